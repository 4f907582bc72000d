//! Finding the full scales of converters from what they see.

use std::sync::{Arc, Mutex};

use memtorch_crossbar::{Converter, CrossbarError, FullScale, Layout, Tile};

use crate::MapError;
use crate::hardware::{PerWhat, RangeFit};

/// A converter that changes nothing and keeps the partial sums of every tile.
#[derive(Debug)]
pub(crate) struct Recorder {
    tiles: Vec<Mutex<Vec<f32>>>,
}

impl Recorder {
    pub(crate) fn new(layout: &Layout) -> Self {
        Self { tiles: (0..layout.tile_count()).map(|_| Mutex::default()).collect() }
    }

    /// What each tile gave: vectors in any order, each its used bit lines in order.
    fn finish(self) -> Vec<Vec<f32>> {
        // A thread that panicked while it held a lock has ended the program's use of this already.
        self.tiles.into_iter().map(|tile| tile.into_inner().unwrap_or_default()).collect()
    }
}

impl Converter for Recorder {
    fn name(&self) -> &str {
        "recorder"
    }

    fn quantise(&self, sums: &mut [f32], tile: &Tile) -> usize {
        if let Ok(mut kept) = self.tiles[tile.index].lock() {
            kept.extend_from_slice(sums);
        }
        0
    }
}

/// Calibrated converters, one for each read.
pub(crate) struct Calibrated {
    pub(crate) converters: Vec<Arc<dyn Converter>>,
    pub(crate) full_scales: Vec<FullScale>,
    /// The least and the largest full scale in ampere.
    pub(crate) full_scale: [f64; 2],
    /// Converters whose currents were all zero, which took the largest full scale of the others.
    pub(crate) silent: usize,
}

/// Finds the full scales of the reads of a layer from what each of them gave. `most` is a current that no bit
/// line exceeds: the full scale where all currents were zero. `converter` is what all `fabricated` ones, one for each
/// read, should be.
pub(crate) fn full_scales(
    recorded: Vec<Recorder>,
    layouts: &[Layout],
    (converter, fabricated): (&Arc<dyn Converter>, &[Arc<dyn Converter>]),
    (per, fit): (PerWhat, RangeFit),
    most: f32,
) -> Result<Calibrated, MapError> {
    let reads: Vec<Vec<Vec<f32>>> = recorded.into_iter().map(Recorder::finish).collect();
    let of = |values: Vec<f32>| full_scale(values, converter, fit);
    // For each read and tile, of each bit line or of all together.
    let mut found: Vec<Vec<Vec<f32>>> = match per {
        PerWhat::Layer => vec![vec![vec![of(reads.into_iter().flatten().flatten().collect())?]]],
        PerWhat::Tile => {
            let tile = |values| Ok(vec![of(values)?]);
            let read = |tiles: Vec<Vec<f32>>| tiles.into_iter().map(tile).collect();
            reads.into_iter().map(read).collect::<Result<_, MapError>>()?
        }
        PerWhat::Column => {
            let line = |values: &[f32], lines: usize, at: usize| {
                of(values.iter().skip(at).step_by(lines).copied().collect())
            };
            let read = |(tiles, layout): (Vec<Vec<f32>>, &Layout)| {
                let tiles = tiles.iter().zip(layout.tiles());
                tiles
                    .map(|(values, tile)| {
                        (0..tile.bit_lines).map(|at| line(values, tile.bit_lines, at)).collect()
                    })
                    .collect()
            };
            reads.into_iter().zip(layouts).map(read).collect::<Result<_, MapError>>()?
        }
    };
    let all = || found.iter().flatten().flatten().copied();
    let largest = all().fold(0.0f32, f32::max);
    let silent = all().filter(|full_scale| *full_scale == 0.0).count();
    let instead = if largest > 0.0 { largest } else { most };
    let least = all().filter(|full_scale| *full_scale > 0.0).fold(instead, f32::min);
    for full_scale in found.iter_mut().flatten().flatten().filter(|full_scale| **full_scale == 0.0) {
        *full_scale = instead;
    }
    let full_scales = match per {
        PerWhat::Layer => vec![FullScale::Fixed(found[0][0][0]); layouts.len()],
        PerWhat::Tile => {
            let tiles = |tiles: &Vec<Vec<f32>>| FullScale::PerTile(tiles.iter().flatten().copied().collect());
            found.iter().map(tiles).collect()
        }
        PerWhat::Column => {
            let lines = |tiles: Vec<Vec<f32>>| {
                FullScale::PerLine(tiles.into_iter().map(Vec::into_boxed_slice).collect())
            };
            found.into_iter().map(lines).collect()
        }
    };
    let converters = converters(fabricated, &full_scales)?;
    Ok(Calibrated { converters, full_scales, full_scale: [f64::from(least), f64::from(instead)], silent })
}

/// The converters of all reads with these full scales.
pub(crate) fn converters(
    fabricated: &[Arc<dyn Converter>],
    full_scales: &[FullScale],
) -> Result<Vec<Arc<dyn Converter>>, MapError> {
    fabricated.iter().zip(full_scales).map(|(made, full_scale)| with(made, full_scale.clone())).collect()
}

fn with(converter: &Arc<dyn Converter>, full_scale: FullScale) -> Result<Arc<dyn Converter>, MapError> {
    let made = converter.with_full_scale(full_scale)?;
    Ok(made.ok_or_else(|| {
        let expected = "a converter whose full scale can be set";
        CrossbarError::Value {
            what: "converter".to_owned(),
            value: converter.name().to_owned(),
            expected: expected.to_owned(),
        }
    })?)
}

/// The full scale for some currents; 0 if all are zero.
fn full_scale(mut values: Vec<f32>, converter: &Arc<dyn Converter>, fit: RangeFit) -> Result<f32, MapError> {
    if values.is_empty() {
        return Ok(0.0);
    }
    match fit {
        RangeFit::Percentile(percentile) => {
            let skip = ((1.0 - percentile / 100.0) * values.len() as f64).floor() as usize;
            let at = skip.min(values.len() - 1);
            Ok(values.select_nth_unstable_by(at, |a, b| b.abs().total_cmp(&a.abs())).1.abs())
        }
        RangeFit::LeastSquares => least_squares(values, converter),
    }
}

/// Of the full scales `m 2^(-k/16)`, k = 0..=160, m being the largest magnitude, the one with the least sum of
/// squared errors of the converted currents; of equal ones the largest. Of more than 65536 currents, so many
/// evenly spaced ones in the order of size are looked at, and the largest.
fn least_squares(mut values: Vec<f32>, converter: &Arc<dyn Converter>) -> Result<f32, MapError> {
    const MOST: usize = 65_536;
    // The order of recording depends on threads; that of size does not.
    values.sort_unstable_by(|a, b| b.abs().total_cmp(&a.abs()).then(a.total_cmp(b)));
    let step = values.len().div_ceil(MOST);
    let values: Vec<f32> = values.into_iter().step_by(step).collect();
    let largest = values[0].abs();
    if largest == 0.0 {
        return Ok(0.0);
    }
    let tile =
        Tile { index: 0, group: 0, row: 0, column: 0, word_lines: 1, bit_lines: values.len(), offset: 0 };
    let mut best = (f64::INFINITY, largest);
    for k in 0..=160 {
        let full_scale = (f64::from(largest) * 2f64.powf(f64::from(-k) / 16.0)) as f32;
        // Too small to be one.
        let Ok(converter) = with(converter, FullScale::Fixed(full_scale)) else { break };
        let mut codes = values.clone();
        converter.quantise(&mut codes, &tile);
        let error: f64 =
            values.iter().zip(&codes).map(|(y, q)| (f64::from(*y) - f64::from(*q)).powi(2)).sum();
        if error < best.0 {
            best = (error, full_scale);
        }
    }
    Ok(best.1)
}

#[cfg(test)]
mod tests {
    use memtorch_crossbar::{Ideal, LinearConverter, TileShape};

    use super::*;

    fn linear(bits: u32) -> Arc<dyn Converter> {
        Arc::new(LinearConverter::new(bits, FullScale::Fixed(1.0)).unwrap())
    }

    #[test]
    fn a_percentile_is_an_element_from_the_largest_down() {
        let values: Vec<f32> = (1..=200).map(|i| if i % 2 == 0 { i as f32 } else { -(i as f32) }).collect();
        for (percentile, expected) in
            [(100.0, 200.0), (99.0, 198.0), (99.7, 200.0), (50.0, 100.0), (0.1, 1.0)]
        {
            let found = full_scale(values.clone(), &linear(8), RangeFit::Percentile(percentile)).unwrap();
            assert_eq!(found, expected, "{percentile}");
        }
    }

    /// For normal currents the best full scale of few bits is known: 4 bits need 2.73 standard deviations with the
    /// middle of a step as a code (Max, IRE Trans. Inf. Theory 6, 1960: step 0.335, 16 levels).
    #[test]
    fn least_squares_find_the_best_uniform_quantiser_of_a_normal_current() {
        let stream = memtorch_devices::Stream::root(3, 0);
        let normal = |i: u32| {
            let mut draws = stream.at([i, 0, 0]);
            let (u, v) = (draws.uniform(), draws.uniform());
            ((-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
        };
        let values: Vec<f32> = (0..40_000).map(normal).collect();
        let found = full_scale(values, &linear(4), RangeFit::LeastSquares).unwrap();
        // Ours has a code at 0 and one more below it, so that its steps may be slightly wider; the grid is 4 % fine.
        assert!((2.5..3.0).contains(&found), "{found}");
    }

    #[test]
    fn tiles_without_a_current_take_the_range_of_the_others() {
        let layout = Layout::new(1, 2, 3, TileShape::Sized { word_lines: 2, bit_lines: 2 }).unwrap();
        let record = |tiles: [&[f32]; 2]| {
            let recorder = Recorder::new(&layout);
            for (tile, sums) in layout.tiles().zip(tiles) {
                recorder.quantise(&mut sums.to_vec(), &tile);
            }
            vec![recorder]
        };
        let fit = RangeFit::Percentile(100.0);
        let run = |tiles, per| {
            full_scales(record(tiles), &[layout], (&linear(2), &[linear(2)]), (per, fit), 9.0).unwrap()
        };
        let convert = |made: &Calibrated, tile: usize, mut sums: Vec<f32>| {
            made.converters[0].quantise(&mut sums, &layout.tile(tile));
            sums
        };
        let tiles: [&[f32]; 2] = [&[1.0, 0.0, -2.0, 0.0], &[0.0, 0.0]];
        let made = run(tiles, PerWhat::Tile);
        assert_eq!((made.full_scale, made.silent), ([2.0, 2.0], 1));
        assert_eq!(convert(&made, 1, vec![5.0]), [1.0]);
        let made = run(tiles, PerWhat::Column);
        assert_eq!((made.full_scale, made.silent), ([2.0, 2.0], 2));
        assert_eq!(convert(&made, 0, vec![-5.0, -5.0]), [-2.0, -2.0]);
        let made = run([&[0.0; 4], &[0.0; 2]], PerWhat::Layer);
        assert_eq!((made.full_scale, made.silent), ([9.0, 9.0], 1));
        let wide: [&[f32]; 2] = [&[1.0, -8.0], &[4.0]];
        let made = run(wide, PerWhat::Column);
        assert_eq!((made.full_scale, made.silent), ([1.0, 8.0], 0));
        assert_eq!(convert(&made, 0, vec![-5.0, -5.0]), [-1.0, -4.0]);
        assert_eq!(convert(&made, 1, vec![9.0]), [2.0]);
    }

    #[test]
    fn a_converter_without_a_full_scale_cannot_be_calibrated() {
        let ideal: Arc<dyn Converter> = Arc::new(Ideal);
        assert!(with(&ideal, FullScale::Fixed(1.0)).is_err());
    }
}
