use std::fmt::Debug;

use crate::{CrossbarError, Tile};

/// The full scale of a converter in ampere.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FullScale {
    /// The power of two at or above the element number `floor(overflow_rate n)` of the n partial sums
    /// of one tile and one input vector, by falling magnitude. All zero: zeros.
    Dynamic {
        /// Share of the partial sums that may be clipped, in [0, 1).
        overflow_rate: f64,
    },
    /// The same for all tiles.
    Fixed(f32),
    /// One for each tile, in the order of the layout.
    PerTile(std::sync::Arc<[f32]>),
}

/// What a converter does, in terms that a backend can fuse into its product.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ConverterSpec {
    /// The currents as they are.
    Ideal,
    /// `step = FS 2^(1-bits)`, `clip(floor(y / step + 1/2), -2^(bits-1), 2^(bits-1) - 1) step`, all in
    /// f32 with `1 / step` rounded once.
    Linear {
        /// 2 to 24.
        bits: u32,
        /// The full scale.
        full_scale: FullScale,
    },
}

/// Turns the partial sums of one tile for one input vector into what the digital side sees.
pub trait Converter: Debug + Send + Sync {
    /// The name in configurations and reports.
    fn name(&self) -> &str;

    /// What it does, if a backend may fuse it. `None`: partial sums come back and
    /// [`Converter::quantise`] runs on the CPU.
    fn descriptor(&self) -> Option<ConverterSpec> {
        None
    }

    /// Quantises in place the partial sums (ampere) of the used bit lines of `tile` for one input
    /// vector. Returns how many codes were clipped.
    fn quantise(&self, sums: &mut [f32], tile: &Tile) -> usize;
}

/// No converter: currents as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ideal;

impl Converter for Ideal {
    fn name(&self) -> &str {
        "ideal"
    }

    fn descriptor(&self) -> Option<ConverterSpec> {
        Some(ConverterSpec::Ideal)
    }

    fn quantise(&self, _sums: &mut [f32], _tile: &Tile) -> usize {
        0
    }
}

/// A linear analogue-to-digital converter.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearConverter {
    bits: u32,
    full_scale: FullScale,
}

impl LinearConverter {
    /// A converter of `bits` bits.
    ///
    /// # Errors
    /// Bits not in 2..=24, an overflow rate not in [0, 1), a full scale that is not positive.
    pub fn new(bits: u32, full_scale: FullScale) -> Result<Self, CrossbarError> {
        if !(2..=24).contains(&bits) {
            return Err(CrossbarError::value("bits", bits, "a whole number from 2 to 24"));
        }
        let positive = |x: f32| x > 0.0 && x.is_finite();
        match &full_scale {
            FullScale::Dynamic { overflow_rate } if !(0.0..1.0).contains(overflow_rate) => {
                return Err(CrossbarError::value(
                    "overflow_rate",
                    overflow_rate,
                    "a number from 0 to below 1",
                ));
            }
            FullScale::Fixed(x) if !positive(*x) => {
                return Err(CrossbarError::value("range", x, "a positive current in ampere"));
            }
            FullScale::PerTile(list) => {
                if let Some(x) = list.iter().find(|x| !positive(**x)) {
                    return Err(CrossbarError::value("range", x, "a positive current in ampere"));
                }
            }
            _ => {}
        }
        Ok(Self { bits, full_scale })
    }
}

impl Converter for LinearConverter {
    fn name(&self) -> &str {
        "linear"
    }

    fn descriptor(&self) -> Option<ConverterSpec> {
        Some(ConverterSpec::Linear { bits: self.bits, full_scale: self.full_scale.clone() })
    }

    fn quantise(&self, sums: &mut [f32], tile: &Tile) -> usize {
        let full_scale = match &self.full_scale {
            FullScale::Dynamic { overflow_rate } => dynamic_full_scale(sums, *overflow_rate),
            FullScale::Fixed(full_scale) => *full_scale,
            FullScale::PerTile(list) => list[tile.index],
        };
        quantise_linear(sums, self.bits, full_scale)
    }
}

/// `2^ceil(log2 m)`, m being the element number `floor(overflow_rate n)` by falling magnitude; 0 for m = 0.
pub(crate) fn dynamic_full_scale(sums: &[f32], overflow_rate: f64) -> f32 {
    let skip = (overflow_rate * sums.len() as f64).floor() as usize;
    let largest = if skip == 0 {
        sums.iter().fold(0.0f32, |m, y| m.max(y.abs()))
    } else {
        let mut magnitudes: Vec<f32> = sums.iter().map(|y| y.abs()).collect();
        *magnitudes.select_nth_unstable_by(skip, |a, b| b.total_cmp(a)).1
    };
    ceil_power_of_two(largest)
}

/// The least power of two at or above a magnitude, from the exponent bits; 0 for 0.
#[inline]
pub(crate) fn ceil_power_of_two(magnitude: f32) -> f32 {
    let bits = magnitude.to_bits();
    // Adding all ones to the mantissa carries into the exponent unless the mantissa is zero.
    f32::from_bits((bits + 0x007f_ffff) & 0x7f80_0000)
}

/// `(1 / step, step)` of a full scale. Both are 0, so that every code is 0, where the full scale is 0 or so
/// small that `1 / step` is beyond f32.
#[inline(always)]
pub(crate) fn steps(full_scale: f32, bits: u32) -> (f32, f32) {
    // 2^(1-bits), exactly.
    let step = full_scale * f32::from_bits((128 - bits) << 23);
    let inverse = 1.0 / step;
    if inverse.is_finite() && step > 0.0 { (inverse, step) } else { (0.0, 0.0) }
}

/// The linear converter's rule for one full scale. Returns the clipped codes. NaN stays NaN; a full
/// scale that is infinite gives NaN.
pub(crate) fn quantise_linear(sums: &mut [f32], bits: u32, full_scale: f32) -> usize {
    let (inverse, step) = steps(full_scale, bits);
    let (low, high) = (-(2.0f32.powi(bits as i32 - 1)), 2.0f32.powi(bits as i32 - 1) - 1.0);
    let mut clipped = 0;
    for y in sums {
        let code = (*y * inverse + 0.5).floor();
        clipped += usize::from(code < low || code > high);
        *y = code.clamp(low, high) * step;
    }
    clipped
}
