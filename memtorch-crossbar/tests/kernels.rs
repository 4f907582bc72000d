//! Every kernel that the machine has gives the bits of the definition: odd shapes, all converters, all
//! ways to accumulate, special values, any number of threads.

use std::sync::Arc;

use memtorch_crossbar::backend::CpuBackend;
use memtorch_crossbar::{
    Accumulate, ArrayBackend, Conversions, Converter, CrossbarError, FullScale, Ideal, Input, Layout,
    LinearConverter, PatchGeometry, Product, Tile, TileShape,
};

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
    let full_scale = match random.below(8) {
        0 | 1 => return Box::new(Ideal),
        2 => return Box::new(Rounding),
        3 => FullScale::Fixed(random.pick(&[0.3, 1.0, 7.7, 1e-30])),
        4 => FullScale::PerTile((0..layout.tile_count()).map(|i| 0.1 + i as f32 * 0.37).collect()),
        5 => FullScale::Dynamic { overflow_rate: random.pick(&[0.01, 0.1, 0.5, 0.99]) },
        _ => FullScale::Dynamic { overflow_rate: 0.0 },
    };
    Box::new(LinearConverter::new(bits, full_scale).unwrap())
}

/// NaN has many bit patterns and they are all one here: their payload is nobody's concern.
fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|y| if y.is_nan() { f32::NAN.to_bits() } else { y.to_bits() }).collect()
}

fn compare(what: &str, layout: &Layout, matrix: &[f32], product: &Product<'_>, old: &[f32]) {
    let mut expected: Option<(Vec<f32>, Conversions)> = None;
    for backend in CpuBackend::all() {
        let operand = backend.pack(layout, matrix).unwrap();
        let mut output = old.to_vec();
        let done = backend.multiply(&operand, product, &mut output).unwrap();
        let (result, conversions) = expected.get_or_insert_with(|| (output.clone(), done));
        let name = backend.instructions();
        let case = || format!("{what}, {name}: {layout:?} {:?} {:?}", product.converter, product.accumulate);
        assert_eq!(bits(result), bits(&output), "{}", case());
        assert_eq!(*conversions, done, "{}", case());
    }
}

fn tile(random: &mut Random) -> TileShape {
    match random.below(4) {
        0 => TileShape::Layer,
        _ => TileShape::Sized {
            word_lines: random.pick(&[1, 3, 9, 32, 64, 128, 300]),
            bit_lines: random.pick(&[1, 2, 5, 7, 16, 17, 33, 64, 128, 200]),
        },
    }
}

const WAYS: [Accumulate; 3] = [Accumulate::Set, Accumulate::Add, Accumulate::Subtract];

#[test]
fn rows_have_the_bits_of_the_definition() {
    for case in 0..400 {
        let mut random = Random(case);
        let groups = random.pick(&[1, 1, 1, 2, 3]);
        let rows = random.pick(&[1, 2, 5, 16, 31, 127, 128, 129, 255, 257, 600]);
        let columns = random.pick(&[1, 2, 6, 10, 15, 16, 17, 32, 33, 84, 130, 150]);
        let layout = Layout::new(groups, rows, columns, tile(&mut random)).unwrap();
        let vectors = random.pick(&[1, 1, 2, 5, 8, 13, 14, 27, 64, 110]);
        let vectors = vectors.min(4_000_000 / layout.device_count()).max(1);
        let kinds =
            random.pick(&[(0, 0), (0, 0), (0, 1), (2, 0), (3, 0), (4, 4), (5, 5), (6, 0), (0, 3), (6, 6)]);
        let matrix = random.values(layout.device_count(), kinds.0);
        let values = random.values(vectors * groups * rows, kinds.1);
        let old = random.values(vectors * groups * columns, 0);
        let converter = converter(&mut random, &layout);
        let input = Input::Rows { values: &values, rows: vectors };
        let product = Product { input, converter: &*converter, accumulate: random.pick(&WAYS) };
        compare(&format!("case {case}, {vectors} rows of kinds {kinds:?}"), &layout, &matrix, &product, &old);
    }
}

#[test]
fn patches_have_the_bits_of_the_definition() {
    for case in 0..400 {
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
        let samples = samples.min(2_000_000 / (layout.device_count() * geometry.positions())).max(1);
        let kinds = random.pick(&[(0, 0), (0, 0), (0, 1), (2, 0), (3, 0), (4, 4), (5, 5), (0, 6), (6, 6)]);
        let matrix = random.values(layout.device_count(), kinds.0);
        let values = random.values(samples * geometry.image_len(), kinds.1);
        let old = random.values(samples * groups * columns * geometry.positions(), 0);
        let converter = converter(&mut random, &layout);
        let input = Input::Patches { values: &values, samples, geometry: &geometry };
        let product = Product { input, converter: &*converter, accumulate: random.pick(&WAYS) };
        compare(&format!("case {case}, {samples} of {geometry:?}"), &layout, &matrix, &product, &old);
    }
}

#[test]
fn the_rule_of_a_converter_rounds_its_product_before_its_sum() {
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
        compare("ties of rows", &layout, &[1.0], &product, &[0.0; 80]);
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
        compare("ties of patches", &layout, &[1.0], &product, &[0.0; 80]);
    }
    assert!(fused_differs > 0, "no value tells the two apart");
}

#[test]
fn threads_change_no_bit() {
    let mut random = Random(7);
    let layout = Layout::new(2, 300, 200, TileShape::Sized { word_lines: 64, bit_lines: 48 }).unwrap();
    let matrix = random.values(layout.device_count(), 0);
    let converter = LinearConverter::new(6, FullScale::Dynamic { overflow_rate: 0.0 }).unwrap();
    let geometry = PatchGeometry {
        channels: 24,
        input: [1, 30, 30],
        kernel: [1, 5, 5],
        stride: [1, 1, 1],
        dilation: [1, 1, 1],
        padding: [0, 2, 2],
        output: [1, 30, 30],
    };
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let backend = CpuBackend::new();
    let operand = backend.pack(&layout, &matrix).unwrap();
    for vectors in [1, 3, 70, 333] {
        let values = random.values(vectors * 600, 0);
        let image = random.values(3 * geometry.image_len(), 0);
        let inputs = [
            Input::Rows { values: &values, rows: vectors },
            Input::Patches { values: &image, samples: 3, geometry: &geometry },
        ];
        for input in inputs {
            let product = Product { input, converter: &converter, accumulate: Accumulate::Set };
            let run = |threads| {
                let mut output = vec![0.0; input.vectors() * 400];
                let done = pool(threads).install(|| backend.multiply(&operand, &product, &mut output));
                (bits(&output), done.unwrap())
            };
            let one = run(1);
            for threads in [2, 3, 8] {
                assert!(one == run(threads), "{vectors} rows or 3 images, {threads} threads");
            }
        }
    }
}

#[test]
fn a_vector_is_the_same_alone_and_in_a_batch() {
    let mut random = Random(8);
    let layout = Layout::new(1, 200, 150, TileShape::Sized { word_lines: 128, bit_lines: 128 }).unwrap();
    let backend = CpuBackend::new();
    let operand = backend.pack(&layout, &random.values(layout.device_count(), 0)).unwrap();
    let converter = LinearConverter::new(8, FullScale::Dynamic { overflow_rate: 0.0 }).unwrap();
    let values = random.values(40 * 200, 0);
    let product = |values, rows| Product {
        input: Input::Rows { values, rows },
        converter: &converter,
        accumulate: Accumulate::Set,
    };
    let mut batch = vec![0.0; 40 * 150];
    backend.multiply(&operand, &product(&values, 40), &mut batch).unwrap();
    for (vector, expected) in values.chunks_exact(200).zip(batch.chunks_exact(150)) {
        let mut alone = vec![0.0; 150];
        backend.multiply(&operand, &product(vector, 1), &mut alone).unwrap();
        assert_eq!(bits(expected), bits(&alone));
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let layout = Layout::new(2, 9, 4, TileShape::Layer).unwrap();
    for backend in CpuBackend::all() {
        assert!(matches!(
            backend.pack(&layout, &[0.0; 71]),
            Err(CrossbarError::Shape { what: "matrix", .. })
        ));
        let operand = backend.pack(&layout, &[1.0; 72]).unwrap();
        let multiply = |input, converter: &dyn Converter, output: usize| {
            let product = Product { input, converter, accumulate: Accumulate::Set };
            backend.multiply(&operand, &product, &mut vec![0.0; output])
        };
        let rows = |values, rows| Input::Rows { values, rows };
        assert!(multiply(rows(&[0.0; 36], 2), &Ideal, 16).is_ok());
        assert!(multiply(rows(&[], 0), &Ideal, 0).is_ok());
        assert!(multiply(rows(&[0.0; 35], 2), &Ideal, 16).is_err());
        assert!(multiply(rows(&[0.0; 36], 2), &Ideal, 15).is_err());
        assert!(multiply(rows(&[0.0; 36], usize::MAX), &Ideal, 16).is_err());
        let one_too_few = LinearConverter::new(8, FullScale::PerTile(Arc::from([1.0]))).unwrap();
        assert!(multiply(rows(&[0.0; 36], 2), &one_too_few, 16).is_err());

        let good = PatchGeometry {
            channels: 2,
            input: [1, 4, 5],
            kernel: [1, 3, 3],
            stride: [1; 3],
            dilation: [1; 3],
            padding: [0; 3],
            output: [1, 2, 3],
        };
        let patches = |geometry: PatchGeometry, image: usize, samples, output| {
            let values = vec![0.0; image];
            let input = Input::Patches { values: &values, samples, geometry: &geometry };
            let product = Product { input, converter: &Ideal, accumulate: Accumulate::Set };
            backend.multiply(&operand, &product, &mut vec![0.0; output])
        };
        assert!(patches(good, 40, 1, 48).is_ok());
        assert!(patches(good, 0, 0, 0).is_ok());
        assert!(patches(good, 41, 1, 48).is_err());
        assert!(patches(good, 40, 1, 47).is_err());
        assert!(patches(good, 40, usize::MAX, 48).is_err());
        assert!(patches(PatchGeometry { channels: 3, ..good }, 60, 1, 48).is_err());
        assert!(patches(PatchGeometry { kernel: [1, 3, 2], ..good }, 40, 1, 48).is_err());
        assert!(patches(PatchGeometry { kernel: [usize::MAX; 3], ..good }, 40, 1, 48).is_err());
        assert!(patches(PatchGeometry { stride: [1, 0, 1], ..good }, 40, 1, 48).is_err());
        assert!(patches(PatchGeometry { stride: [1, usize::MAX, 1], ..good }, 40, 1, 48).is_err());
        assert!(patches(PatchGeometry { input: [usize::MAX, 2, 1], ..good }, 40, 1, 48).is_err());
        assert!(patches(PatchGeometry { output: [usize::MAX, 2, 1], ..good }, 40, 1, 48).is_err());
        // Possible, if strange: an image without elements, and a kernel that reaches very far.
        assert!(patches(PatchGeometry { input: [0, 4, 5], ..good }, 0, 1, 48).is_ok());
        assert!(patches(PatchGeometry { dilation: [1, 1 << 40, 1 << 40], ..good }, 40, 1, 48).is_ok());
        assert!(patches(PatchGeometry { padding: [usize::MAX; 3], ..good }, 40, 1, 48).is_ok());
    }
}
