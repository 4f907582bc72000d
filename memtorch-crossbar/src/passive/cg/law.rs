use std::fmt::Debug;

use memtorch_devices::{Lane, Lanes};

use super::kernel;
use crate::CrossbarError;

/// How the current of a device depends on its voltage.
///
/// The current must be 0 at 0 V and rise with the voltage: where it falls, a solver may find no solution,
/// and says so.
pub trait DeviceLaw: Debug + Send + Sync {
    /// The current (ampere) and its slope (siemens, not negative) at `voltage` (volt) of the device at
    /// `[word line, bit line]`, whose conductance at small voltage is `conductance` (siemens).
    fn current_and_slope(&self, conductance: f64, voltage: f64, place: [usize; 2]) -> (f64, f64);

    /// The same for all devices of a word line, one after another. Laws that can be computed for several
    /// devices at a time may do so here, with the same result.
    fn word_line(
        &self,
        conductances: &[f64],
        voltages: &[f64],
        word_line: usize,
        currents: &mut [f64],
        slopes: &mut [f64],
    ) {
        let devices = conductances.iter().zip(voltages);
        for (bit_line, ((g, v), to)) in devices.zip(currents.iter_mut().zip(slopes)).enumerate() {
            (*to.0, *to.1) = self.current_and_slope(*g, *v, [word_line, bit_line]);
        }
    }
}

/// `i = g v`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ohmic;

impl DeviceLaw for Ohmic {
    #[inline]
    fn current_and_slope(&self, conductance: f64, voltage: f64, _place: [usize; 2]) -> (f64, f64) {
        (conductance * voltage, conductance)
    }
}

/// `i = g sinh(b v) / b`, b in 1/V.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sinh {
    b: f64,
}

impl Sinh {
    /// The law of this b (1/V).
    ///
    /// # Errors
    /// b that is not finite and positive.
    pub fn new(b: f64) -> Result<Self, CrossbarError> {
        if !(b > 0.0 && b.is_finite()) {
            return Err(CrossbarError::value("b", b, "a positive number of 1/V"));
        }
        Ok(Self { b })
    }

    /// The parameter, in 1/V.
    pub fn b(&self) -> f64 {
        self.b
    }
}

impl DeviceLaw for Sinh {
    fn current_and_slope(&self, conductance: f64, voltage: f64, _place: [usize; 2]) -> (f64, f64) {
        let (Lanes([current]), Lanes([slope])) = sinh(self.b, Lanes([conductance]), Lanes([voltage]));
        (current, slope)
    }

    fn word_line(&self, g: &[f64], v: &[f64], _word_line: usize, currents: &mut [f64], slopes: &mut [f64]) {
        kernel::sinh_law(self.b, g, v, currents, slopes);
    }
}

/// Current and slope.
#[inline(always)]
pub(super) fn sinh<L: Lane>(b: f64, conductance: L, voltage: L) -> (L, L) {
    let (one, half) = (L::splat(1.0), L::splat(0.5));
    let x = voltage * L::splat(b);
    // sinh and cosh from one exponential; exp(x) - 1 keeps the digits of a small argument.
    let e = x.abs().exp_m1();
    let quotient = e / (e + one);
    let sinh = (half * (e + quotient)).zip(x, f64::copysign);
    (conductance * sinh / L::splat(b), conductance * (one + half * e * quotient))
}
