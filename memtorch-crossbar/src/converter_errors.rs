//! How converters err, each like the others or in its own way.

use std::sync::Arc;

use memtorch_devices::Stream;

use crate::{CrossbarError, Layout, Tile};

/// How a converter errs: every one of a layer alike, but for a [`ConverterSpread`].
///
/// What is converted is `y (1 + gain) + (offset + nonlinearity (1 - (y / FS)^2)) step`, `y / FS` within
/// [-1, 1]: a bow that is 0 at both ends of the range and largest at 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ConverterErrors {
    /// Relative error of the gain, above -1.
    pub gain: f64,
    /// Offset in steps of the converter.
    pub offset: f64,
    /// Integral nonlinearity in steps of the converter.
    pub nonlinearity: f64,
}

impl ConverterErrors {
    /// # Errors
    /// An error that is not finite, a gain of -1 or less.
    pub(crate) fn check(&self) -> Result<(), CrossbarError> {
        if !(self.gain > -1.0 && self.gain.is_finite()) {
            return Err(CrossbarError::value("gain_error", self.gain, "a number above -1"));
        }
        for (what, value) in [("offset_error", self.offset), ("nonlinearity", self.nonlinearity)] {
            if !value.is_finite() {
                return Err(CrossbarError::value(what, value, "a finite number of steps"));
            }
        }
        Ok(())
    }

    pub(crate) fn apply(&self, sums: &mut [f32], full_scale: f32, step: f32) {
        if *self == Self::default() || step == 0.0 {
            return;
        }
        let (gain, offset) = (1.0 + self.gain as f32, self.offset as f32 * step);
        let (bow, inverse) = (self.nonlinearity as f32 * step, 1.0 / full_scale);
        for y in sums {
            let position = (*y * inverse).clamp(-1.0, 1.0);
            *y = *y * gain + offset + bow * (1.0 - position * position);
        }
    }
}

/// How errors differ from converter to converter: standard deviations of normal distributions around those that all
/// have.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ConverterSpread {
    /// Of the relative error of the gain.
    pub gain: f64,
    /// Of the offset, in steps.
    pub offset: f64,
}

impl ConverterSpread {
    /// # Errors
    /// Deviations that are negative or not finite; one of the gain with which a gain could be negative.
    pub(crate) fn check(&self, errors: &ConverterErrors) -> Result<(), CrossbarError> {
        // No normal number that is drawn exceeds 8.6.
        let most = (1.0 + errors.gain) / 9.0;
        if !(0.0..most).contains(&self.gain) {
            let expected = format!("a number from 0 to below (1 + gain_error)/9 = {most:.4}");
            return Err(CrossbarError::value("gain_spread", self.gain, expected));
        }
        if !(self.offset >= 0.0 && self.offset.is_finite()) {
            return Err(CrossbarError::value("offset_spread", self.offset, "a number of at least 0"));
        }
        Ok(())
    }

    /// Draws the errors of the converters of all tiles, each of which serves `lines` neighbouring bit lines.
    pub(crate) fn draw(
        &self,
        errors: &ConverterErrors,
        layout: &Layout,
        lines: usize,
        stream: Stream,
    ) -> OwnErrors {
        let tile = |tile: Tile| {
            let converter = |line: usize| {
                let place = [tile.index as u32, (line / lines.max(1)) as u32, 0];
                let [gain, offset] = stream.normals(place, 0);
                ConverterErrors {
                    gain: errors.gain + self.gain * gain,
                    offset: errors.offset + self.offset * offset,
                    ..*errors
                }
            };
            (0..tile.bit_lines).map(converter).collect()
        };
        OwnErrors(layout.tiles().map(tile).collect())
    }
}

/// The errors of the converter of each used bit line of each tile.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OwnErrors(Arc<[Box<[ConverterErrors]>]>);

impl OwnErrors {
    /// Applies those of the bit lines of a tile from `first` on.
    pub(crate) fn apply(&self, sums: &mut [f32], tile: &Tile, first: usize, full_scale: f32, step: f32) {
        let errors = self.0.get(tile.index).map_or(&[][..], |lines| &lines[first.min(lines.len())..]);
        for (sum, errors) in sums.iter_mut().zip(errors) {
            errors.apply(std::slice::from_mut(sum), full_scale, step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Converter, FullScale, LinearConverter, TileShape};

    const ERRORS: ConverterErrors = ConverterErrors { gain: 0.02, offset: 0.5, nonlinearity: 0.3 };
    const SPREAD: ConverterSpread = ConverterSpread { gain: 0.01, offset: 2.0 };

    fn converter(full_scale: FullScale) -> LinearConverter {
        let made = LinearConverter::new(8, full_scale).unwrap().with_errors(ERRORS).unwrap();
        made.with_spread(SPREAD).unwrap()
    }

    /// 100,000 converters: mean, deviation and Kolmogorov-Smirnov of both errors, which are independent.
    #[test]
    fn errors_are_normal_around_those_that_all_have() {
        let shape = TileShape::Sized { word_lines: 2, bit_lines: 100 };
        let layout = Layout::new(1, 200, 1000, shape).unwrap();
        let OwnErrors(tiles) = SPREAD.draw(&ERRORS, &layout, 1, Stream::root(1, 0));
        let own: Vec<ConverterErrors> = tiles.iter().flatten().copied().collect();
        let n = own.len() as f64;
        assert_eq!(own.len(), 100_000);
        let gains: Vec<f64> = own.iter().map(|e| (e.gain - ERRORS.gain) / SPREAD.gain).collect();
        let offsets: Vec<f64> = own.iter().map(|e| (e.offset - ERRORS.offset) / SPREAD.offset).collect();
        let product: f64 = gains.iter().zip(&offsets).map(|(a, b)| a * b).sum::<f64>() / n;
        assert!(product.abs() < 5.0 / n.sqrt(), "{product}");
        for mut list in [gains, offsets] {
            list.sort_by(f64::total_cmp);
            // The normal distribution by the integral of its density, step by step between neighbours.
            let density = |x: f64| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
            let (mut below, mut at, mut distance) = (0.0f64, -9.0f64, 0.0f64);
            for (rank, x) in list.iter().enumerate() {
                let steps = ((x - at) / 1e-3).ceil().max(1.0);
                let width = (x - at) / steps;
                for k in 0..steps as usize {
                    below += width * density(at + (k as f64 + 0.5) * width);
                }
                at = *x;
                let rank = rank as f64;
                distance = distance.max((below - rank / n).abs()).max((below - (rank + 1.0) / n).abs());
            }
            // Exceeded by one sample in a million.
            assert!(distance < 2.69 / n.sqrt(), "{distance}");
        }
    }

    /// Every line is converted as by a converter that has its errors alone; lines that share one share its errors.
    #[test]
    fn each_converter_errs_in_its_own_way() {
        let layout = Layout::new(1, 4, 10, TileShape::Sized { word_lines: 2, bit_lines: 6 }).unwrap();
        let stream = Stream::root(4, 0);
        for (full_scale, lines) in [
            (FullScale::Fixed(4.0), 1),
            (FullScale::Dynamic { overflow_rate: 0.0 }, 4),
            (FullScale::PerLine(layout.tiles().map(|t| vec![3.0; t.bit_lines].into()).collect()), 2),
        ] {
            let own = converter(full_scale.clone()).fabricate(&layout, lines, stream).unwrap();
            // What is calibrated later keeps the errors.
            let own = own.with_full_scale(full_scale.clone()).unwrap().unwrap();
            assert_eq!(own.descriptor(), None);
            let OwnErrors(errors) = SPREAD.draw(&ERRORS, &layout, lines, stream);
            for tile in layout.tiles() {
                let sums: Vec<f32> = (0..tile.bit_lines).map(|i| 0.37 * i as f32 - 0.9).collect();
                let mut found = sums.clone();
                own.quantise(&mut found, &tile);
                for line in 0..tile.bit_lines {
                    let alone = LinearConverter::new(8, full_scale.clone()).unwrap();
                    let alone = alone.with_errors(errors[tile.index][line]).unwrap();
                    let mut expected = sums.clone();
                    alone.quantise(&mut expected, &tile);
                    assert_eq!(found[line], expected[line], "{full_scale:?}, {tile:?}, line {line}");
                    assert_eq!(errors[tile.index][line], errors[tile.index][line / lines * lines]);
                }
            }
            assert_ne!(errors[0][0], errors[1][0]);
        }
        let alike = LinearConverter::new(8, FullScale::Fixed(4.0)).unwrap().with_errors(ERRORS).unwrap();
        assert!(alike.fabricate(&layout, 1, stream).is_none());
        for spread in [
            ConverterSpread { gain: 0.12, offset: 0.0 },
            ConverterSpread { gain: -0.1, offset: 0.0 },
            ConverterSpread { gain: 0.0, offset: -1.0 },
            ConverterSpread { gain: f64::NAN, offset: f64::INFINITY },
        ] {
            assert!(alike.clone().with_spread(spread).is_err(), "{spread:?}");
        }
    }
}
