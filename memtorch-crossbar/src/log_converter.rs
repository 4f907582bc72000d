use std::f64::consts::LN_10;
use std::sync::Arc;

use crate::converter::largest;
use crate::{Converter, CrossbarError, FullScale, Tile};

/// A converter whose codes are evenly spaced in the logarithm, besides the code zero.
///
/// With b bits, `n = 2^(b-1) - 2`, full scale FS and D decades:
/// `k = floor(n (1 + ln(|y|/FS)/(D ln 10)) + 1/2)`, clipped to 0..n, stands for
/// `sign(y) FS 10^(D (k/n - 1))`; below `FS 10^-D / 2` the code is zero. A dynamic full scale is the
/// element of [`FullScale::Dynamic`] itself, no power of two.
///
/// Codes are found in f64, values rounded once to f32. It has no descriptor: products call it on the CPU.
#[derive(Clone, Debug, PartialEq)]
pub struct LogConverter {
    bits: u32,
    full_scale: FullScale,
    decades: f64,
    /// What codes stand for over the full scale, for few bits.
    values: Vec<f64>,
}

/// Up to so many bits the values of all codes are kept.
const KEPT: u32 = 12;

impl LogConverter {
    /// A converter of `bits` bits over `decades` decades below the full scale.
    ///
    /// # Errors
    /// Bits not in 3..=24, decades not in (0, 38], an impossible full scale.
    pub fn new(bits: u32, full_scale: FullScale, decades: f64) -> Result<Self, CrossbarError> {
        if !(3..=24).contains(&bits) {
            return Err(CrossbarError::value("bits", bits, "a whole number from 3 to 24"));
        }
        if !(decades > 0.0 && decades <= 38.0) {
            return Err(CrossbarError::value("decades", decades, "a positive number of at most 38"));
        }
        full_scale.check(|_| true)?;
        let mut made = Self { bits, full_scale, decades, values: Vec::new() };
        if bits <= KEPT {
            made.values = (0..=made.last() as u32).map(|k| made.value(f64::from(k))).collect();
        }
        Ok(made)
    }

    /// The largest code n.
    fn last(&self) -> f64 {
        f64::from((1u32 << (self.bits - 1)) - 2)
    }

    /// What a code stands for over the full scale.
    fn value(&self, code: f64) -> f64 {
        10f64.powf(self.decades * (code / self.last() - 1.0))
    }
}

impl Converter for LogConverter {
    fn name(&self) -> &str {
        "log"
    }

    fn quantise(&self, sums: &mut [f32], tile: &Tile) -> usize {
        self.full_scale.each(sums, tile, largest, |sums, _, full_scale| self.convert(sums, full_scale))
    }

    fn with_full_scale(&self, full_scale: FullScale) -> Result<Option<Arc<dyn Converter>>, CrossbarError> {
        Ok(Some(Arc::new(Self::new(self.bits, full_scale, self.decades)?)))
    }
}

impl LogConverter {
    /// Quantises sums that share a full scale; returns the clipped codes.
    fn convert(&self, sums: &mut [f32], full_scale: f32) -> usize {
        if full_scale == 0.0 {
            // More than a share of the sums are zero: the rest is beyond the range, which is nothing.
            let clipped = sums.iter().filter(|y| **y != 0.0).count();
            sums.fill(0.0);
            return clipped;
        }
        let full_scale = f64::from(full_scale);
        let (last, slope) = (self.last(), self.last() / (self.decades * LN_10));
        let zero = 0.5 * full_scale * 10f64.powf(-self.decades);
        let mut clipped = 0;
        for y in sums {
            let magnitude = f64::from(y.abs());
            if magnitude < zero {
                *y = 0.0;
                continue;
            }
            let code = (last + slope * (magnitude / full_scale).ln() + 0.5).floor();
            clipped += usize::from(code < 0.0 || code > last);
            let code = code.clamp(0.0, last);
            let value = match self.values.get(code as usize) {
                Some(value) => *value,
                None => self.value(code),
            };
            // A sum that is no number stays none.
            *y = if code.is_nan() { f32::NAN } else { ((full_scale * value) as f32).copysign(*y) };
        }
        clipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layout, TileShape};

    fn quantise(converter: &LogConverter, sums: &[f32]) -> (Vec<f32>, usize) {
        let tile = Layout::new(1, 1, sums.len(), TileShape::Layer).unwrap().tile(0);
        let mut sums = sums.to_vec();
        let clipped = converter.quantise(&mut sums, &tile);
        (sums, clipped)
    }

    /// Fault 12 of the published tool: every current below 1 became 1.
    #[test]
    fn currents_below_one_ampere_keep_their_size() {
        // 4 bits over 3 decades: n = 6, two codes a decade.
        let converter = LogConverter::new(4, FullScale::Fixed(1e-3), 3.0).unwrap();
        let (got, clipped) = quantise(&converter, &[1e-3, -1e-4, 1e-6, 3e-5, -3.2e-6, 0.0, 4.9e-7]);
        for (y, expected) in got.iter().zip([1e-3, -1e-4, 1e-6, 3.162_277_7e-5, -3.162_277_7e-6, 0.0, 0.0]) {
            assert!((y - expected).abs() <= 1e-6 * expected.abs(), "{y} {expected}");
        }
        assert_eq!(clipped, 0);
    }

    #[test]
    fn codes_are_the_nearest_in_the_logarithm() {
        for (bits, decades) in [(3, 2.0), (6, 4.0), (8, 1.5), (13, 4.0)] {
            let converter = LogConverter::new(bits, FullScale::Fixed(2e-4), decades).unwrap();
            let last = (1i32 << (bits - 1)) - 2;
            let levels: Vec<f64> = (0..=last)
                .map(|k| {
                    (f64::from(2e-4f32).ln() - decades * LN_10 * f64::from(last - k) / f64::from(last)).exp()
                })
                .collect();
            for i in 0..500 {
                // From below the lowest to the highest level; no tie is hit exactly.
                let y = 2e-4 * 10f64.powf(-1.2 * decades * f64::from(i) / 500.0);
                let (got, _) = quantise(&converter, &[y as f32]);
                let distance = |level: f64| (level.ln() - y.ln()).abs();
                let best =
                    levels.iter().copied().min_by(|a, b| distance(*a).total_cmp(&distance(*b))).unwrap();
                let zero = y < 0.5 * 2e-4 * 10f64.powf(-decades);
                let expected = if zero { 0.0 } else { best };
                assert!(
                    (f64::from(got[0]) - expected).abs() <= 1e-6 * expected,
                    "{bits} {y}: {got:?} {best}"
                );
            }
        }
    }

    #[test]
    fn a_dynamic_full_scale_is_the_largest_itself_and_what_exceeds_it_is_counted() {
        let dynamic = |overflow_rate| FullScale::Dynamic { overflow_rate };
        let converter = LogConverter::new(8, dynamic(0.0), 4.0).unwrap();
        let (got, clipped) = quantise(&converter, &[3e-5, -1e-9, 0.0]);
        assert_eq!((got[0], got[2], clipped), (3e-5, 0.0, 0));
        assert_eq!(quantise(&converter, &[0.0, 0.0]), (vec![0.0, 0.0], 0));
        // floor(0.5 * 4) = 2: the third largest is the full scale.
        let converter = LogConverter::new(8, dynamic(0.5), 4.0).unwrap();
        let (got, clipped) = quantise(&converter, &[4e-3, -3e-3, 2e-3, 1e-3]);
        assert_eq!((got[0], got[1], got[2], clipped), (2e-3, -2e-3, 2e-3, 2));
    }

    #[test]
    fn impossible_converters_are_errors() {
        for (bits, full_scale, decades, what) in [
            (2, FullScale::Fixed(1.0), 4.0, "bits"),
            (8, FullScale::Fixed(0.0), 4.0, "range"),
            (8, FullScale::Fixed(1.0), 0.0, "decades"),
            (8, FullScale::Dynamic { overflow_rate: 1.0 }, 4.0, "overflow_rate"),
        ] {
            let error = LogConverter::new(bits, full_scale, decades).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }
}
