use memtorch_crossbar::ReadLaw;
use memtorch_crossbar::passive::{DeviceLaw, Sinh};

use super::named;

/// `i = g sinh(b v) / b`.
#[derive(Clone, Copy, Debug)]
pub(super) struct SinhLaw {
    /// In 1/V, positive and finite.
    pub(super) b: f64,
}

impl ReadLaw for SinhLaw {
    fn current_and_slope(&self, _device: Option<usize>, conductance: f64, voltage: f64) -> (f64, f64) {
        let law = Sinh::new(self.b).expect("b was checked");
        law.current_and_slope(conductance, voltage, [0, 0])
    }

    fn products(&self) -> usize {
        1
    }

    fn function(&self, _k: usize, volts: &[f32], values: &mut [f32]) {
        for (value, v) in values.iter_mut().zip(volts) {
            *value = ((self.b * f64::from(*v)).sinh() / self.b) as f32;
        }
    }

    fn signature(&self) -> Vec<u64> {
        vec![named("sinh"), self.b.to_bits()]
    }
}
