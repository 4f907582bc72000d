/// Pulses that write devices of a model with its default parameters.
///
/// The voltages are so low that half of them, or a third, moves a device little or not at all where the
/// model has thresholds: they suit arrays without transistors too.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pulses {
    /// Voltage in V that raises the conductance.
    pub set_voltage: f64,
    /// Voltage in V that lowers the conductance.
    pub reset_voltage: f64,
    /// Time steps of a pulse whose length is always the same.
    pub steps: u32,
}
