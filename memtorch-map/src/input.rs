//! From inputs to volts on the word lines.

use memtorch_utils::buffers;
use memtorch_utils::kernel::{Loop, wide, widest};

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
    /// Cycles in which an input goes out.
    pub(crate) fn cycle_count(&self) -> usize {
        if self.serial { self.bits as usize } else { 1 }
    }

    /// The cycles of bit-serial inputs: voltages, and what the digital side multiplies their results with. The
    /// codes of the voltages are whole numbers in two's complement, lowest bit first.
    pub(crate) fn cycles(&self, volts: &[f32]) -> impl Iterator<Item = (f32, Vec<f32>)> {
        let (bits, max_voltage) = (self.bits, self.max_voltage as f32);
        let codes: Vec<i32> = volts.iter().map(|v| (v / step(max_voltage, bits)).round() as i32).collect();
        (0..bits).map(move |bit| {
            let power = f64::from(1u32 << bit) / f64::from((1u32 << (bits - 1)) - 1);
            let weight = if bit + 1 == bits { -power } else { power };
            let on = |code: &i32| if code >> bit & 1 == 1 { max_voltage } else { 0.0 };
            (weight as f32, codes.iter().map(on).collect())
        })
    }

    /// Turns samples of `sample_len` values each into voltages: `v = x / s`, then the
    /// digital-to-analogue converter.
    pub(crate) fn drive(&self, values: &[f32], sample_len: usize) -> Driven {
        let max_voltage = self.max_voltage as f32;
        let samples = values.len() / sample_len.max(1);
        let mut driven =
            Driven { volts: buffers::take(values.len()), scales: Vec::with_capacity(samples), clipped: 0 };
        let pairs =
            values.chunks_exact(sample_len.max(1)).zip(driven.volts.chunks_exact_mut(sample_len.max(1)));
        for (sample, volts) in pairs {
            let scale = match self.scale {
                InputScale::Always => largest(sample) / max_voltage,
                InputScale::Exceeds => (largest(sample) / max_voltage).max(1.0),
                InputScale::Fixed(scale) => scale as f32,
                // A calibrated scale is a fixed one before anything is read.
                InputScale::Calibrated => unreachable!("read before it was calibrated"),
            };
            // A sample of zeros, or one so small that its scale vanishes.
            let scale = if scale == 0.0 { 1.0 } else { scale };
            wide(|| volts.iter_mut().zip(sample).for_each(|(volt, x)| *volt = x / scale));
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
    let step = step(max_voltage, bits);
    wide(|| volts.iter_mut().for_each(|v| *v = ((v.abs() / step + 0.5).floor() * step).copysign(*v)));
}

/// The voltage of one code.
fn step(max_voltage: f32, bits: u32) -> f32 {
    max_voltage / ((1u32 << (bits - 1)) - 1) as f32
}

/// The largest magnitude; the lanes let it run at the speed of memory.
fn largest(values: &[f32]) -> f32 {
    struct Largest<'a>(&'a [f32]);

    impl Loop for Largest<'_> {
        type Output = f32;

        #[inline(always)]
        fn run(self) -> f32 {
            let mut lanes = [0.0f32; 32];
            let chunks = self.0.chunks_exact(32);
            let rest = chunks.remainder().iter().fold(0.0f32, |m, x| m.max(x.abs()));
            for chunk in chunks {
                for (lane, x) in lanes.iter_mut().zip(chunk) {
                    *lane = lane.max(x.abs());
                }
            }
            lanes.into_iter().fold(rest, f32::max)
        }
    }

    widest(Largest(values))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(scale: InputScale, bits: u32) -> InputStage {
        InputStage { scale, bits, ..InputStage::default() }
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
    fn the_bits_of_a_code_add_up_to_its_voltage() {
        for bits in [2, 3, 8, 13] {
            let stage = InputStage { serial: true, ..stage(InputScale::Fixed(1.0), bits) };
            let inputs: Vec<f32> = (-10..=10).map(|i| i as f32 * 0.03).collect();
            let driven = stage.drive(&inputs, inputs.len());
            let mut sums = vec![0.0f64; inputs.len()];
            let cycles: Vec<_> = stage.cycles(&driven.volts).collect();
            assert_eq!((cycles.len(), stage.cycle_count()), (bits as usize, bits as usize));
            for (weight, volts) in cycles {
                assert!(volts.iter().all(|v| *v == 0.0 || *v == 0.3));
                sums.iter_mut().zip(volts).for_each(|(sum, v)| *sum += f64::from(weight) * f64::from(v));
            }
            for (sum, volt) in sums.iter().zip(&driven.volts) {
                assert!((sum - f64::from(*volt)).abs() < 1e-6, "{bits} bits: {sum} {volt}");
            }
        }
    }

    #[test]
    fn the_converter_is_odd_and_reaches_both_ends() {
        // Three bits: steps of 0.1 V, codes -3..=3; halves away from zero.
        let driven = stage(InputScale::Fixed(1.0), 3).drive(&[0.3, -0.3, 0.14, -0.14, 0.16, 0.0], 6);
        let codes: Vec<f32> = driven.volts.iter().map(|v| (v * 10.0).round()).collect();
        assert_eq!(codes, [3.0, -3.0, 1.0, -1.0, 2.0, 0.0]);
    }
}
