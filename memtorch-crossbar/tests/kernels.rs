//! Every kernel that the machine has gives the bits of the definition: odd shapes, all converters, all
//! ways to accumulate, special values, any number of threads.

use std::sync::Arc;

use memtorch_crossbar::backend::{CpuBackend, contract};
use memtorch_crossbar::{
    Accumulate, ArrayBackend, Converter, CrossbarError, FullScale, Ideal, Input, Layout, LinearConverter,
    PatchGeometry, Product, TileShape,
};
use memtorch_devices::Stream;
use memtorch_utils::StreamRng;

fn all() -> Vec<Arc<dyn ArrayBackend>> {
    let shared = |backend| Arc::new(backend) as Arc<dyn ArrayBackend>;
    CpuBackend::all().into_iter().map(shared).collect()
}

/// In [-1, 1).
fn draw(random: &mut StreamRng, n: usize) -> Vec<f32> {
    (0..n).map(|_| (2.0 * random.uniform() - 1.0) as f32).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|y| y.to_bits()).collect()
}

#[test]
fn rows_have_the_bits_of_the_definition() {
    contract::rows(&all(), 0..400, 4_000_000).unwrap();
}

#[test]
fn patches_have_the_bits_of_the_definition() {
    contract::patches(&all(), 0..400, 2_000_000).unwrap();
}

#[test]
fn the_rule_of_a_converter_rounds_its_product_before_its_sum() {
    contract::ties(&all()).unwrap();
}

#[test]
fn threads_change_no_bit() {
    let mut random = Stream::root(7, 0).at([0; 3]);
    let layout = Layout::new(2, 300, 200, TileShape::Sized { word_lines: 64, bit_lines: 48 }).unwrap();
    let matrix = draw(&mut random, layout.device_count());
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
        let values = draw(&mut random, vectors * 600);
        let image = draw(&mut random, 3 * geometry.image_len());
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

/// Tiles of more bit lines than are computed at a time: each keeps the range that is its own, past every border
/// between them.
#[test]
fn ranges_of_lines_stay_with_their_lines_on_wide_tiles() {
    let mut random = Stream::root(9, 0).at([0; 3]);
    let layout = Layout::new(2, 70, 450, TileShape::Sized { word_lines: 40, bit_lines: 300 }).unwrap();
    let matrix = draw(&mut random, layout.device_count());
    // Ranges that are no multiples of each other, so that a neighbour's gives other codes.
    let lines = |tile: memtorch_crossbar::Tile| {
        (0..tile.bit_lines).map(move |j| 0.3 + 0.0171 * (tile.index + j) as f32)
    };
    let ranges = FullScale::PerLine(layout.tiles().map(|tile| lines(tile).collect()).collect());
    let converter = LinearConverter::new(5, ranges).unwrap();
    for rows in [1, 5, 30] {
        let values = draw(&mut random, rows * 140);
        let input = Input::Rows { values: &values, rows };
        let product = Product { input, converter: &converter, accumulate: Accumulate::Set };
        let run = |backend: &dyn ArrayBackend| {
            let operand = backend.pack(&layout, &matrix).unwrap();
            let mut output = vec![0.0; rows * 900];
            let done = backend.multiply(&operand, &product, &mut output).unwrap();
            (bits(&output), done)
        };
        let expected = run(&CpuBackend::portable());
        assert!(expected.1.clipped > 0);
        for backend in CpuBackend::all() {
            assert!(run(&backend) == expected, "{}, {rows} rows", backend.instructions());
        }
    }
}

#[test]
fn a_vector_is_the_same_alone_and_in_a_batch() {
    let mut random = Stream::root(8, 0).at([0; 3]);
    let layout = Layout::new(1, 200, 150, TileShape::Sized { word_lines: 128, bit_lines: 128 }).unwrap();
    let backend = CpuBackend::new();
    let operand = backend.pack(&layout, &draw(&mut random, layout.device_count())).unwrap();
    let converter = LinearConverter::new(8, FullScale::Dynamic { overflow_rate: 0.0 }).unwrap();
    let values = draw(&mut random, 40 * 200);
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
        let lines = |last: usize| {
            let tiles =
                layout.tiles().map(|tile| vec![1.0; tile.bit_lines - usize::from(tile.index == last)]);
            LinearConverter::new(8, FullScale::PerLine(tiles.map(Vec::into_boxed_slice).collect())).unwrap()
        };
        assert!(multiply(rows(&[0.0; 36], 2), &lines(usize::MAX), 16).is_ok());
        assert!(multiply(rows(&[0.0; 36], 2), &lines(layout.tile_count() - 1), 16).is_err());

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
