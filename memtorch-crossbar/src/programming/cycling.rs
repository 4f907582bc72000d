/// Bounds that differ from one switching of a device to the next: at each change of polarity, `R_on` is drawn from
/// `N(R_on, sigma)` and `R_off` from `N(R_off, 2 sigma)` around the device's own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cycling {
    /// Standard deviation in ohm.
    pub sigma: f64,
    /// Whether a device keeps its conductance, clipped to the new bounds, rather than its normalised state
    /// `(g - g_off)/(g_on - g_off)`.
    pub keep_conductance: bool,
}
