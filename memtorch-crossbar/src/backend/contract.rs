//! What every backend must hold to: the bits of the definition. For the tests of whoever writes one.

mod changes;
mod noise;
mod tiles;

use std::ops::Range;
use std::sync::Arc;

use super::{Accumulate, ArrayBackend, CpuBackend, Input, PatchGeometry, Product};
use crate::{Converter, FullScale, Ideal, Layout, LinearConverter, Tile, TileShape};

pub use changes::changes;
pub use noise::noise;
pub use tiles::tiles;

/// Rows of random shapes, values and converters give the bits of the definition. A case has about `most`
/// multiply-adds at most.
///
/// # Errors
/// They do not: the backend and the case.
pub fn rows(backends: &[Arc<dyn ArrayBackend>], cases: Range<u64>, most: usize) -> Result<(), String> {
    for case in cases {
        let mut random = Random(case);
        let groups = random.pick(&[1, 1, 1, 2, 3]);
        let rows = random.pick(&[1, 2, 5, 16, 31, 127, 128, 129, 255, 257, 600]);
        let columns = random.pick(&[1, 2, 6, 10, 15, 16, 17, 32, 33, 84, 130, 150]);
        let layout = Layout::new(groups, rows, columns, tile(&mut random)).unwrap();
        let vectors = random.pick(&[1, 1, 2, 5, 8, 13, 14, 27, 64, 110]);
        let vectors = vectors.min(most / layout.device_count()).max(1);
        let kinds =
            random.pick(&[(0, 0), (0, 0), (0, 1), (2, 0), (3, 0), (4, 4), (5, 5), (6, 0), (0, 3), (6, 6)]);
        let matrix = random.values(layout.device_count(), kinds.0);
        let values = random.values(vectors * groups * rows, kinds.1);
        let old = random.values(vectors * groups * columns, 0);
        let converter = converter(&mut random, &layout);
        let input = Input::Rows { values: &values, rows: vectors };
        let product = Product { input, converter: &*converter, accumulate: random.pick(&WAYS) };
        compare(
            backends,
            &format!("case {case}, {vectors} rows of kinds {kinds:?}"),
            &layout,
            &matrix,
            &product,
            &old,
        )?;
    }
    Ok(())
}

/// Patches of images of random shapes, values and converters give the bits of the definition. A case has about
/// `most` multiply-adds at most.
///
/// # Errors
/// They do not: the backend and the case.
pub fn patches(backends: &[Arc<dyn ArrayBackend>], cases: Range<u64>, most: usize) -> Result<(), String> {
    for case in cases {
        let mut random = Random(1_000_000 + case);
        let groups = random.pick(&[1, 1, 2, 5, 12]);
        let channels = random.pick(&[1, 1, 2, 3, 8, 60]);
        let columns = random.pick(&[1, 1, 2, 4, 6, 10, 16, 33, 64]);
        let dimensions = random.pick(&[1, 2, 2, 2, 3]);
        let mut geometry = PatchGeometry {
            channels: groups * channels,
            input: [1; 3],
            kernel: [1; 3],
            stride: [1; 3],
            dilation: [1; 3],
            padding: [0; 3],
            output: [1; 3],
        };
        let pointwise = random.below(5) == 0;
        for axis in 3 - dimensions..3 {
            geometry.input[axis] = match dimensions {
                3 => random.pick(&[1, 2, 3, 5, 7]),
                _ => random.pick(&[1, 2, 4, 7, 13, 16, 20]),
            };
            geometry.output[axis] = geometry.input[axis];
            if pointwise {
                continue;
            }
            geometry.kernel[axis] = random.pick(&[1, 2, 3, 5]);
            geometry.stride[axis] = random.pick(&[1, 1, 2, 3]);
            geometry.dilation[axis] = random.pick(&[1, 1, 2, 4]);
            geometry.padding[axis] = random.pick(&[0, 1, 2, 5]);
            // Also results that reach far past the image, or that leave much of it out.
            geometry.output[axis] = random.pick(&[1, 2, 5, 9, 17]);
        }
        let rows = channels * geometry.kernel.iter().product::<usize>();
        let layout = Layout::new(groups, rows, columns, tile(&mut random)).unwrap();
        let samples = random.pick(&[1, 1, 2, 3, 9]);
        let samples = samples.min(most / (layout.device_count() * geometry.positions())).max(1);
        let kinds = random.pick(&[(0, 0), (0, 0), (0, 1), (2, 0), (3, 0), (4, 4), (5, 5), (0, 6), (6, 6)]);
        let matrix = random.values(layout.device_count(), kinds.0);
        let values = random.values(samples * geometry.image_len(), kinds.1);
        let old = random.values(samples * groups * columns * geometry.positions(), 0);
        let converter = converter(&mut random, &layout);
        let input = Input::Patches { values: &values, samples, geometry: &geometry };
        let product = Product { input, converter: &*converter, accumulate: random.pick(&WAYS) };
        compare(
            backends,
            &format!("case {case}, {samples} of {geometry:?}"),
            &layout,
            &matrix,
            &product,
            &old,
        )?;
    }
    Ok(())
}

/// The product in the rule of a linear converter is rounded before its sum: sums at the border of two codes, where
/// a fused operation would give the other.
///
/// # Errors
/// A code is another: the backend and the case.
pub fn ties(backends: &[Arc<dyn ArrayBackend>]) -> Result<(), String> {
    // Just below -step/2 the product with 1/step rounds to -1/2 and the code is 0; fused it would be -1.
    let mut fused_differs = 0;
    for full_scale in [0.3f32, 0.7, 1.1, 7.7, 3e-6] {
        let step = full_scale / 128.0;
        let values: Vec<f32> =
            (0..80).map(|ulp| -f32::from_bits((step * 0.5).to_bits() - 40 + ulp)).collect();
        let inverse = 1.0 / step;
        fused_differs +=
            values.iter().filter(|y| (*y * inverse + 0.5).floor() != y.mul_add(inverse, 0.5).floor()).count();
        let converter = LinearConverter::new(8, FullScale::Fixed(full_scale)).unwrap();
        let layout = Layout::new(1, 1, 1, TileShape::Layer).unwrap();
        let input = Input::Rows { values: &values, rows: 80 };
        let product = Product { input, converter: &converter, accumulate: Accumulate::Set };
        compare(backends, "ties of rows", &layout, &[1.0], &product, &[0.0; 80])?;
        let geometry = PatchGeometry {
            channels: 1,
            input: [1, 1, 80],
            kernel: [1; 3],
            stride: [1; 3],
            dilation: [1; 3],
            padding: [0; 3],
            output: [1, 1, 80],
        };
        let input = Input::Patches { values: &values, samples: 1, geometry: &geometry };
        let product = Product { input, converter: &converter, accumulate: Accumulate::Set };
        compare(backends, "ties of patches", &layout, &[1.0], &product, &[0.0; 80])?;
    }
    assert!(fused_differs > 0, "no value tells the two apart");
    Ok(())
}

/// Computes by the definition and with each backend, and compares.
fn compare(
    backends: &[Arc<dyn ArrayBackend>],
    what: &str,
    layout: &Layout,
    matrix: &[f32],
    product: &Product<'_>,
    old: &[f32],
) -> Result<(), String> {
    let case = || format!("{what}: {layout:?} {:?} {:?}", product.converter, product.accumulate);
    let run = |backend: &dyn ArrayBackend| {
        let mut output = old.to_vec();
        let done = backend
            .pack(layout, matrix)
            .and_then(|operand| backend.multiply(&operand, product, &mut output))
            .map_err(|e| format!("{}: {e}", case()))?;
        Ok::<_, String>((bits(&output), done))
    };
    let expected = run(&CpuBackend::portable())?;
    for backend in backends {
        let found = run(&**backend)?;
        let differ = expected.0.iter().zip(&found.0).filter(|(a, b)| a != b).count();
        if found != expected {
            let len = found.0.len();
            return Err(format!(
                "{}: {differ} of {len} results of {backend:?} are not those of the definition, or its {:?} not {:?}",
                case(),
                found.1,
                expected.1
            ));
        }
    }
    Ok(())
}

const WAYS: [Accumulate; 3] = [Accumulate::Set, Accumulate::Add, Accumulate::Subtract];

fn tile(random: &mut Random) -> TileShape {
    match random.below(4) {
        0 => TileShape::Layer,
        _ => TileShape::Sized {
            word_lines: random.pick(&[1, 3, 9, 32, 64, 128, 300]),
            bit_lines: random.pick(&[1, 2, 5, 7, 16, 17, 33, 64, 128, 200]),
        },
    }
}

/// A small generator of its own (splitmix64), so that a case is known by its number.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// In [-1, 1).
    fn value(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    /// Ordinary values, or ones that kernels get wrong.
    fn values(&mut self, n: usize, kind: usize) -> Vec<f32> {
        (0..n)
            .map(|_| match kind {
                0 => self.value(),
                1 => 0.0,
                2 => -0.0,
                3 => self.value() * 1e-39,
                4 => self.pick(&[0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1e-45, -1e-45, 3e38, f32::MIN_POSITIVE]),
                5 => self.value() * 1e-20,
                _ => self.pick(&[0.0, 1.0, -2.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-3]),
            })
            .collect()
    }
}

/// A converter that no kernel knows.
#[derive(Debug)]
struct Rounding;

impl Converter for Rounding {
    fn name(&self) -> &str {
        "rounding"
    }

    fn quantise(&self, sums: &mut [f32], tile: &Tile) -> usize {
        assert_eq!(sums.len(), tile.bit_lines);
        let last = sums[sums.len() - 1];
        sums.iter_mut().for_each(|y| *y = (*y * 4.0).round() + last + tile.index as f32);
        sums.iter().filter(|y| **y > 1.0).count()
    }
}

fn converter(random: &mut Random, layout: &Layout) -> Box<dyn Converter> {
    let bits = random.pick(&[2, 3, 4, 6, 8, 12, 24]);
    let full_scale = match random.below(9) {
        0 | 1 => return Box::new(Ideal),
        2 => return Box::new(Rounding),
        3 => FullScale::Fixed(random.pick(&[0.3, 1.0, 7.7, 1e-30])),
        4 => FullScale::PerTile((0..layout.tile_count()).map(|i| 0.1 + i as f32 * 0.37).collect()),
        6 => FullScale::PerLine(
            layout
                .tiles()
                .map(|tile| (0..tile.bit_lines).map(|j| 0.2 + (tile.index + j) as f32 * 0.13).collect())
                .collect(),
        ),
        5 => FullScale::Dynamic { overflow_rate: random.pick(&[0.01, 0.1, 0.5, 0.99]) },
        _ => FullScale::Dynamic { overflow_rate: 0.0 },
    };
    Box::new(LinearConverter::new(bits, full_scale).unwrap())
}

/// NaN has many bit patterns and they are all one here: their payload is nobody's concern.
fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|y| if y.is_nan() { f32::NAN.to_bits() } else { y.to_bits() }).collect()
}
