//! From inputs to volts on the word lines.

use crate::hardware::{InputScale, InputStage};

/// The voltages of some samples.
#[derive(Debug, Default)]
pub(crate) struct Driven {
    /// In volt, in the order of the inputs.
    pub(crate) volts: Vec<f32>,
    /// How many units of the input a volt stands for, for each sample.
    pub(crate) scales: Vec<f32>,
    /// Inputs beyond the largest voltage.
    pub(crate) clipped: u64,
}

impl InputStage {
    /// Turns samples of `sample_len` values each into voltages: `v = x / s`, then the
    /// digital-to-analogue converter.
    pub(crate) fn drive(&self, values: &[f32], sample_len: usize) -> Driven {
        let max_voltage = self.max_voltage as f32;
        let samples = values.len() / sample_len.max(1);
        let mut driven =
            Driven { volts: vec![0.0; values.len()], scales: Vec::with_capacity(samples), clipped: 0 };
        let pairs =
            values.chunks_exact(sample_len.max(1)).zip(driven.volts.chunks_exact_mut(sample_len.max(1)));
        for (sample, volts) in pairs {
            let scale = match self.scale {
                InputScale::Always => largest(sample) / max_voltage,
                InputScale::Exceeds => (largest(sample) / max_voltage).max(1.0),
                InputScale::Fixed(scale) => scale as f32,
            };
            // A sample of zeros, or one so small that its scale vanishes.
            let scale = if scale == 0.0 { 1.0 } else { scale };
            for (volt, x) in volts.iter_mut().zip(sample) {
                *volt = x / scale;
            }
            if let InputScale::Fixed(_) = self.scale {
                let outside = volts.iter().filter(|v| v.abs() > max_voltage).count();
                if outside > 0 {
                    volts.iter_mut().for_each(|v| *v = v.clamp(-max_voltage, max_voltage));
                    driven.clipped += outside as u64;
                }
            }
            driven.scales.push(scale);
        }
        if self.bits > 0 {
            convert(&mut driven.volts, max_voltage, self.bits);
        }
        driven
    }
}

/// The digital-to-analogue converter: `sign(v) floor(|v| / step + 1/2) step`.
fn convert(volts: &mut [f32], max_voltage: f32, bits: u32) {
    let step = max_voltage / ((1u32 << (bits - 1)) - 1) as f32;
    for v in volts {
        *v = ((v.abs() / step + 0.5).floor() * step).copysign(*v);
    }
}

/// The largest magnitude; the lanes let it run at the speed of memory.
fn largest(values: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 16];
    let chunks = values.chunks_exact(16);
    let rest = chunks.remainder().iter().fold(0.0f32, |m, x| m.max(x.abs()));
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = lane.max(x.abs());
        }
    }
    lanes.into_iter().fold(rest, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(scale: InputScale, bits: u32) -> InputStage {
        InputStage { max_voltage: 0.3, scale, bits }
    }

    #[test]
    fn each_sample_has_its_own_scale() {
        // Fault 15 of the published tool: the scale was the maximum of the whole batch.
        let driven = stage(InputScale::Always, 0).drive(&[1.0, -2.0, 0.5, 0.25, 0.0, 0.0], 2);
        assert_eq!(driven.scales, [2.0 / 0.3f32, 0.5 / 0.3f32, 1.0]);
        for (volt, expected) in driven.volts.iter().zip([0.15, -0.3, 0.3, 0.15, 0.0, 0.0]) {
            // One rounding of the scale and one of the quotient.
            assert!((volt - expected).abs() <= 2.0 * f32::EPSILON * 0.3, "{volt} {expected}");
        }
    }

    #[test]
    fn small_samples_are_left_alone_where_only_excess_is_scaled() {
        let driven = stage(InputScale::Exceeds, 0).drive(&[0.1, 0.3, 0.6, -0.3], 2);
        assert_eq!(driven.scales, [1.0, 2.0]);
        assert_eq!(driven.volts[..2], [0.1, 0.3]);
    }

    #[test]
    fn a_fixed_scale_clips_and_counts() {
        let driven = stage(InputScale::Fixed(1.0), 0).drive(&[0.1, 0.5, -9.0, 0.3], 4);
        assert_eq!(driven.volts, [0.1, 0.3, -0.3, 0.3]);
        assert_eq!(driven.clipped, 2);
    }

    #[test]
    fn the_converter_is_odd_and_reaches_both_ends() {
        // Three bits: steps of 0.1 V, codes -3..=3; halves away from zero.
        let driven = stage(InputScale::Fixed(1.0), 3).drive(&[0.3, -0.3, 0.14, -0.14, 0.16, 0.0], 6);
        let codes: Vec<f32> = driven.volts.iter().map(|v| (v * 10.0).round()).collect();
        assert_eq!(codes, [3.0, -3.0, 1.0, -1.0, 2.0, 0.0]);
    }
}
