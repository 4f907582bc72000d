use std::fmt::Debug;
use std::sync::Arc;

use memtorch_devices::Stream;

use crate::converter_errors::{ConverterErrors, ConverterSpread, OwnErrors};
use crate::{CrossbarError, Layout, Tile};

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
    PerTile(Arc<[f32]>),
    /// One for each used bit line of each tile, in the order of the layout.
    PerLine(Arc<[Box<[f32]>]>),
}

impl FullScale {
    /// Whether it is possible; every full scale that is given must also be one that `fits`.
    pub(crate) fn check(&self, fits: impl Fn(f32) -> bool) -> Result<(), CrossbarError> {
        let positive = |x: &f32| *x > 0.0 && x.is_finite() && fits(*x);
        let range = |x: &f32| CrossbarError::value("range", x, "a positive current in ampere");
        match self {
            Self::Dynamic { overflow_rate } if !(0.0..1.0).contains(overflow_rate) => {
                Err(CrossbarError::value("overflow_rate", overflow_rate, "a number from 0 to below 1"))
            }
            Self::Fixed(x) if !positive(x) => Err(range(x)),
            Self::PerTile(list) => list.iter().find(|x| !positive(x)).map_or(Ok(()), |x| Err(range(x))),
            Self::PerLine(tiles) => {
                tiles.iter().flatten().find(|x| !positive(x)).map_or(Ok(()), |x| Err(range(x)))
            }
            _ => Ok(()),
        }
    }

    /// Calls `convert` with the sums of one tile, or with each of them alone, the first one's bit line and their full
    /// scale: of a dynamic one what `dynamic` finds. Returns the sum of what it returns.
    pub(crate) fn each(
        &self,
        sums: &mut [f32],
        tile: &Tile,
        dynamic: impl Fn(&[f32], f64) -> f32,
        convert: impl Fn(&mut [f32], usize, f32) -> usize,
    ) -> usize {
        // A tile or a line without a full scale has no code but 0; backends refuse a list that is too short.
        let full_scale = match self {
            Self::Dynamic { overflow_rate } => dynamic(sums, *overflow_rate),
            Self::Fixed(full_scale) => *full_scale,
            Self::PerTile(list) => list.get(tile.index).copied().unwrap_or(0.0),
            Self::PerLine(tiles) => {
                let lines: &[f32] = tiles.get(tile.index).map_or(&[], |lines| lines);
                let full_scales = lines.iter().copied().chain(std::iter::repeat(0.0));
                let lines = sums.chunks_exact_mut(1).zip(full_scales).enumerate();
                return lines.map(|(line, (sum, x))| convert(sum, line, x)).sum();
            }
        };
        convert(sums, 0, full_scale)
    }
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

    /// The same converter with another full scale, if it has one that can be set: what calibration does.
    ///
    /// # Errors
    /// A full scale that is not possible.
    fn with_full_scale(&self, full_scale: FullScale) -> Result<Option<Arc<dyn Converter>>, CrossbarError> {
        let _ = full_scale;
        Ok(None)
    }

    /// The converters of a read whose sums lie as `layout` says, each of which serves `lines` neighbouring bit lines
    /// of a tile, where every one has errors of its own, drawn from `stream`. `None`: all are as this one.
    fn fabricate(&self, layout: &Layout, lines: usize, stream: Stream) -> Option<Arc<dyn Converter>> {
        let _ = (layout, lines, stream);
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
    errors: ConverterErrors,
    spread: ConverterSpread,
    /// What was drawn.
    own: Option<OwnErrors>,
}

impl LinearConverter {
    /// A converter of `bits` bits.
    ///
    /// # Errors
    /// Bits not in 2..=24, an overflow rate not in [0, 1), a full scale that is not positive or so
    /// small that one over its step is beyond f32.
    pub fn new(bits: u32, full_scale: FullScale) -> Result<Self, CrossbarError> {
        if !(2..=24).contains(&bits) {
            return Err(CrossbarError::value("bits", bits, "a whole number from 2 to 24"));
        }
        full_scale.check(|x| steps(x, bits).1 > 0.0)?;
        Ok(Self {
            bits,
            full_scale,
            errors: ConverterErrors::default(),
            spread: ConverterSpread::default(),
            own: None,
        })
    }

    /// The same converter with errors; products then call it on the CPU.
    ///
    /// # Errors
    /// An error that is not finite, a gain of -1 or less.
    pub fn with_errors(self, errors: ConverterErrors) -> Result<Self, CrossbarError> {
        errors.check()?;
        self.spread.check(&errors)?;
        Ok(Self { errors, ..self })
    }

    /// The same converter with errors that differ from one to the other once it is fabricated
    /// ([`Converter::fabricate`]).
    ///
    /// # Errors
    /// Deviations that are negative or not finite; one of the gain with which a gain could be negative.
    pub fn with_spread(self, spread: ConverterSpread) -> Result<Self, CrossbarError> {
        spread.check(&self.errors)?;
        Ok(Self { spread, ..self })
    }
}

impl Converter for LinearConverter {
    fn name(&self) -> &str {
        "linear"
    }

    fn descriptor(&self) -> Option<ConverterSpec> {
        (self.errors == ConverterErrors::default() && self.own.is_none())
            .then(|| ConverterSpec::Linear { bits: self.bits, full_scale: self.full_scale.clone() })
    }

    fn with_full_scale(&self, full_scale: FullScale) -> Result<Option<Arc<dyn Converter>>, CrossbarError> {
        let Self { errors, spread, own, .. } = self.clone();
        Ok(Some(Arc::new(Self { errors, spread, own, ..Self::new(self.bits, full_scale)? })))
    }

    fn fabricate(&self, layout: &Layout, lines: usize, stream: Stream) -> Option<Arc<dyn Converter>> {
        if self.spread == ConverterSpread::default() {
            return None;
        }
        let own = Some(self.spread.draw(&self.errors, layout, lines, stream));
        Some(Arc::new(Self { own, ..self.clone() }))
    }

    fn quantise(&self, sums: &mut [f32], tile: &Tile) -> usize {
        self.full_scale.each(sums, tile, dynamic_full_scale, |sums, first, full_scale| {
            let step = steps(full_scale, self.bits).1;
            match &self.own {
                None => self.errors.apply(sums, full_scale, step),
                Some(own) => own.apply(sums, tile, first, full_scale, step),
            }
            quantise_linear(sums, self.bits, full_scale)
        })
    }
}

/// `2^ceil(log2 m)` (see [`ceil_power_of_two`]) of the [`largest`] magnitude m; 0 for m = 0.
pub(crate) fn dynamic_full_scale(sums: &[f32], overflow_rate: f64) -> f32 {
    ceil_power_of_two(largest(sums, overflow_rate))
}

/// The element number `floor(overflow_rate n)` by falling magnitude.
pub(crate) fn largest(sums: &[f32], overflow_rate: f64) -> f32 {
    let skip = (overflow_rate * sums.len() as f64).floor() as usize;
    if skip == 0 {
        sums.iter().fold(0.0f32, |m, y| m.max(y.abs()))
    } else {
        let mut magnitudes: Vec<f32> = sums.iter().map(|y| y.abs()).collect();
        *magnitudes.select_nth_unstable_by(skip, |a, b| b.total_cmp(a)).1
    }
}

/// The least power of two at or above a magnitude, from the exponent bits; 0 for 0.
///
/// Below the smallest normal number, 2^-126, it is that number; above 2^127, the largest power, infinite.
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

#[cfg(test)]
mod tests {
    use super::*;

    const TILE: Tile = Tile { index: 1, group: 0, row: 0, column: 0, word_lines: 1, bit_lines: 1, offset: 0 };

    fn convert(bits: u32, full_scale: FullScale, sums: &[f32]) -> (Vec<f32>, usize) {
        let mut sums = sums.to_vec();
        let clipped = LinearConverter::new(bits, full_scale).unwrap().quantise(&mut sums, &TILE);
        (sums, clipped)
    }

    #[test]
    fn a_fixed_range_rounds_half_up_and_clips_at_its_uneven_ends() {
        // Three bits over 4 A: steps of 1 A from -4 A to 3 A.
        let sums = [0.0, 0.49, 0.5, -0.5, -0.51, 2.5, 3.49, 3.5, 9.0, -4.4, -4.5, -4.6, -9.0];
        let expected = [0.0, 0.0, 1.0, 0.0, -1.0, 3.0, 3.0, 3.0, 3.0, -4.0, -4.0, -4.0, -4.0];
        assert_eq!(convert(3, FullScale::Fixed(4.0), &sums), (expected.to_vec(), 4));
    }

    #[test]
    fn codes_are_those_of_the_definition_in_f64() {
        for bits in [2, 5, 8, 11] {
            let sums: Vec<f32> = (-500..500).map(|i| i as f32 * 0.00731).collect();
            let (found, _) = convert(bits, FullScale::Dynamic { overflow_rate: 0.0 }, &sums);
            let largest = 500.0 * 0.00731f64;
            let step = largest.log2().ceil().exp2() * 2f64.powi(1 - bits as i32);
            let half = 2f64.powi(bits as i32 - 1);
            for (y, q) in sums.iter().zip(found) {
                // The steps are powers of two, so that f32 rounds nothing but the sum with one half; it
                // cannot cross a code's border here, which are multiples of step/2 that 0.00731 i avoids.
                let expected = (f64::from(*y) / step + 0.5).floor().clamp(-half, half - 1.0) * step;
                assert_eq!(f64::from(q), expected, "{bits} bits, {y} A");
            }
        }
    }

    #[test]
    fn a_dynamic_range_is_the_power_of_two_at_or_above_the_largest() {
        for (largest, expected) in
            [(1.0, 1.0), (1.0000001, 2.0), (0.3, 0.5), (-5.0, 8.0), (0.25, 0.25), (3e-6, 3.814_697_3e-6)]
        {
            assert_eq!(dynamic_full_scale(&[0.0, largest, -0.1 * largest], 0.0), expected, "{largest}");
        }
        for exponent in -126..=127 {
            let power = 2f32.powi(exponent);
            assert_eq!(ceil_power_of_two(power), power);
            let above = f32::from_bits(power.to_bits() + 1);
            assert_eq!(ceil_power_of_two(above), 2f32.powi(exponent) * 2.0, "{above}");
        }
    }

    #[test]
    fn a_share_of_the_largest_sums_may_overflow() {
        // Of ten sums, floor(0.25 * 10) = 2 are above the one that gives the range: 8, and 8 clips at 7.
        let sums = [1.0, -2.0, 3.0, 4.0, -5.0, 6.0, 7.0, 8.0, -90.0, 100.0];
        let (found, clipped) = convert(4, FullScale::Dynamic { overflow_rate: 0.25 }, &sums);
        assert_eq!(found, [1.0, -2.0, 3.0, 4.0, -5.0, 6.0, 7.0, 7.0, -8.0, 7.0]);
        assert_eq!(clipped, 3);
    }

    #[test]
    fn each_tile_has_its_own_range() {
        let (found, clipped) = convert(2, FullScale::PerTile([1.0, 4.0].into()), &[3.0, -3.0, 1.0]);
        assert_eq!((found, clipped), (vec![2.0, -2.0, 2.0], 1));
    }

    #[test]
    fn each_line_has_its_own_range() {
        let lines: Box<[f32]> = [1.0, 4.0].into();
        let full_scale = FullScale::PerLine([[].into(), lines].into());
        // Steps of 0.5 A and 2 A; -3 A lies halfway and goes up. The third line has no range: no code but 0.
        assert_eq!(convert(2, full_scale, &[3.0, -3.0, 1.0]), (vec![0.5, -2.0, 0.0], 1));
    }

    #[test]
    fn errors_shift_codes_as_stated() {
        // Steps of 1 A from -8 A to 7 A.
        let converter = |gain, offset, nonlinearity| {
            let errors = ConverterErrors { gain, offset, nonlinearity };
            LinearConverter::new(4, FullScale::Fixed(8.0)).unwrap().with_errors(errors).unwrap()
        };
        let run = |converter: LinearConverter, sums: &[f32]| {
            let mut sums = sums.to_vec();
            let clipped = converter.quantise(&mut sums, &TILE);
            (sums, clipped)
        };
        assert_eq!(run(converter(0.25, 0.0, 0.0), &[4.0, -4.0, 6.0]), (vec![5.0, -5.0, 7.0], 1));
        assert_eq!(run(converter(0.0, 1.5, 0.0), &[0.0, -3.0, 3.2]), (vec![2.0, -1.0, 5.0], 0));
        // Two steps at the middle, (1 - 1/4) 2 half way, none at the ends.
        assert_eq!(run(converter(0.0, 0.0, 2.0), &[0.0, 4.0, -4.0, -8.0]), (vec![2.0, 6.0, -2.0, -8.0], 0));
        assert_eq!(converter(0.0, 0.0, 2.0).descriptor(), None);
        let other = converter(0.25, 0.0, 0.0).with_full_scale(FullScale::Fixed(16.0)).unwrap().unwrap();
        let mut sums = [8.0];
        other.quantise(&mut sums, &TILE);
        assert_eq!(sums, [10.0]);
        for (gain, offset, nonlinearity) in
            [(-1.0, 0.0, 0.0), (f64::NAN, 0.0, 0.0), (0.0, f64::INFINITY, 0.0)]
        {
            let errors = ConverterErrors { gain, offset, nonlinearity };
            assert!(LinearConverter::new(4, FullScale::Fixed(8.0)).unwrap().with_errors(errors).is_err());
        }
    }

    #[test]
    fn extreme_sums_give_zeros_or_nan_and_never_panic() {
        let dynamic = || FullScale::Dynamic { overflow_rate: 0.0 };
        assert_eq!(convert(8, dynamic(), &[0.0, -0.0]), (vec![0.0, 0.0], 0));
        assert_eq!(convert(8, dynamic(), &[1e-44, -1e-42]), (vec![0.0, 0.0], 0));
        // The largest power of two that is a full scale, and what is beyond it.
        assert_eq!(convert(2, dynamic(), &[2f32.powi(127), 1.0]), (vec![2f32.powi(126), 0.0], 1));
        assert!(convert(8, dynamic(), &[f32::MAX, 1.0]).0.iter().all(|y| y.is_nan()));
        assert!(convert(8, dynamic(), &[f32::INFINITY, 1.0]).0.iter().all(|y| y.is_nan()));
        let (found, clipped) = convert(8, dynamic(), &[f32::NAN, 1.0, 0.25]);
        assert!(found[0].is_nan() && found[1..] == [0.992_187_5, 0.25] && clipped == 1);
        assert!(
            convert(8, FullScale::Dynamic { overflow_rate: 0.9 }, &[f32::NAN, f32::INFINITY]).0[0].is_nan()
        );
    }

    #[test]
    fn converters_that_cannot_be_are_errors() {
        for bits in [0, 1, 25, u32::MAX] {
            assert!(LinearConverter::new(bits, FullScale::Fixed(1.0)).is_err());
        }
        for full_scale in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e-45, 1e-37] {
            assert!(LinearConverter::new(24, FullScale::Fixed(full_scale)).is_err(), "{full_scale}");
            assert!(LinearConverter::new(24, FullScale::PerTile([1.0, full_scale].into())).is_err());
        }
        for overflow_rate in [-0.1, 1.0, f64::NAN] {
            assert!(LinearConverter::new(8, FullScale::Dynamic { overflow_rate }).is_err());
        }
    }
}
