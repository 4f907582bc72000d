//! Products on tiles with their converters, against the machine's own peak and a plain product.
//!
//! `cargo bench --bench crossbar`, or with a filter, as `cargo bench --bench crossbar linear`. Beside
//! criterion's figures, each case prints its threads, its best time, its FLOP/s and their share of the peak
//! of as many threads, which was measured on one at the start.

mod support;

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use memtorch_crossbar::backend::CpuBackend;
use memtorch_crossbar::ndarray::Array2;
use memtorch_crossbar::{
    Accumulate, ArrayBackend, Converter, FullScale, Ideal, Input, Layout, LinearConverter, PatchGeometry,
    Product, TileShape,
};

/// 128 x 128 devices.
const TILE: TileShape = TileShape::Sized { word_lines: 128, bit_lines: 128 };

/// Numbers in [-1, 1) that differ.
fn numbers(n: usize) -> Vec<f32> {
    (0..n as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0).collect()
}

fn converters() -> [(&'static str, Box<dyn Converter>); 3] {
    let linear = |full_scale| LinearConverter::new(8, full_scale).expect("a converter of 8 bits");
    [
        ("none", Box::new(Ideal)),
        ("fixed", Box::new(linear(FullScale::Fixed(8.0)))),
        ("dynamic", Box::new(linear(FullScale::Dynamic { overflow_rate: 0.0 }))),
    ]
}

struct Bench<'a> {
    criterion: &'a mut Criterion,
    peak: f64,
}

impl Bench<'_> {
    /// Times one case: the best of what fits into 0.2 s, then criterion.
    fn time(&mut self, group: &str, case: &str, threads: usize, flop: usize, mut run: impl FnMut()) {
        let name = format!("{group}/{case}");
        if !support::is_wanted(&name) {
            return;
        }
        let (start, mut best) = (Instant::now(), Duration::MAX);
        while start.elapsed() < Duration::from_millis(200) {
            let one = Instant::now();
            run();
            best = best.min(one.elapsed());
        }
        let (speed, peak) = (flop as f64 / best.as_secs_f64(), self.peak * threads as f64);
        println!(
            "{name}: {threads} thread(s), {:.1} us, {:.1} GFLOP/s, {:.0} % of the peak of {:.1}",
            best.as_secs_f64() * 1e6,
            speed * 1e-9,
            speed / peak * 100.0,
            peak * 1e-9
        );
        let mut group = self.criterion.benchmark_group(group);
        group.sample_size(10).warm_up_time(Duration::from_millis(50));
        group.measurement_time(Duration::from_millis(300)).throughput(Throughput::Elements(flop as u64));
        group.bench_function(case, |bencher| bencher.iter(&mut run));
        group.finish();
    }

    /// One layer with the dynamic converter on two threads.
    fn two_threads(&mut self, group: &str, case: &str, layout: &Layout, input: Input<'_>) {
        let backend = CpuBackend::new();
        let operand =
            backend.pack(layout, &numbers(layout.device_count())).expect("as many values as devices");
        let mut output = vec![0.0; input.vectors() * layout.groups() * layout.columns()];
        let converter = &*converters()[2].1;
        let product = Product { input, converter, accumulate: Accumulate::Set };
        let flop = 2 * input.vectors() * layout.device_count();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("two threads");
        self.time(group, &format!("{case}/{}/dynamic_two_threads", backend.instructions()), 2, flop, || {
            let done = pool.install(|| backend.multiply(&operand, &product, &mut output));
            done.expect("lengths that fit");
        });
    }

    /// One layer with all converters.
    fn layer(&mut self, backend: CpuBackend, group: &str, case: &str, layout: &Layout, input: Input<'_>) {
        let matrix = numbers(layout.device_count());
        let operand = backend.pack(layout, &matrix).expect("as many values as devices");
        let mut output = vec![0.0; input.vectors() * layout.groups() * layout.columns()];
        for (name, converter) in converters() {
            let product = Product { input, converter: &*converter, accumulate: Accumulate::Set };
            let flop = 2 * input.vectors() * layout.device_count();
            let case = format!("{case}/{}/{name}", backend.instructions());
            self.time(group, &case, 1, flop, || {
                backend.multiply(&operand, &product, &mut output).expect("lengths that fit");
            });
        }
    }
}

fn linear(bench: &mut Bench<'_>) {
    let (rows, columns) = (1024, 1024);
    let layout = Layout::new(1, rows, columns, TILE).expect("a layout");
    for batch in [1, 8, 64, 256] {
        let values = numbers(batch * rows);
        let input = Input::Rows { values: &values, rows: batch };
        let case = format!("1024x1024/batch{batch}");
        for backend in CpuBackend::all().into_iter().skip(2) {
            bench.layer(backend, "linear", &case, &layout, input);
        }
        if batch >= 64 {
            bench.two_threads("linear", &case, &layout, input);
        }
        let x = Array2::from_shape_vec((batch, rows), values.clone()).expect("a matrix");
        let w = Array2::from_shape_vec((rows, columns), numbers(rows * columns)).expect("a matrix");
        let mut y = Array2::zeros((batch, columns));
        bench.time("linear", &format!("{case}/matrixmultiply/none"), 1, 2 * batch * rows * columns, || {
            memtorch_crossbar::ndarray::linalg::general_mat_mul(1.0, &x, &w, 0.0, &mut y);
            std::hint::black_box(&y);
        });
    }
}

/// A square convolution: channels, groups, outputs, kernel, size of image, stride, padding.
fn convolution(bench: &mut Bench<'_>, case: &str, batch: usize, sizes: [usize; 7]) {
    let [channels, groups, outputs, kernel, size, stride, padding] = sizes;
    let output = (size + 2 * padding - kernel) / stride + 1;
    let geometry = PatchGeometry {
        channels,
        input: [1, size, size],
        kernel: [1, kernel, kernel],
        stride: [1, stride, stride],
        dilation: [1; 3],
        padding: [0, padding, padding],
        output: [1, output, output],
    };
    let layout =
        Layout::new(groups, channels / groups * kernel * kernel, outputs / groups, TILE).expect("a layout");
    let values = numbers(batch * geometry.image_len());
    let input = Input::Patches { values: &values, samples: batch, geometry: &geometry };
    let case = format!("{case}/batch{batch}");
    bench.layer(CpuBackend::new(), "convolution", &case, &layout, input);
    bench.two_threads("convolution", &case, &layout, input);
}

fn convolutions(bench: &mut Bench<'_>) {
    convolution(bench, "3x3_64to64_32x32", 8, [64, 1, 64, 3, 32, 1, 1]);
    convolution(bench, "lenet_5x5_1to6_28x28", 64, [1, 1, 6, 5, 28, 1, 2]);
    convolution(bench, "lenet_5x5_6to16_14x14", 64, [6, 1, 16, 5, 14, 1, 0]);
    convolution(bench, "depthwise_3x3_144_14x14", 8, [144, 144, 144, 3, 14, 1, 1]);
    convolution(bench, "depthwise_3x3_64_32x32", 8, [64, 64, 64, 3, 32, 1, 1]);
    convolution(bench, "1x1_96to24_14x14", 8, [96, 1, 24, 1, 14, 1, 0]);
}

/// The digital product: one tile as large as the layer, a long chain.
fn untiled(bench: &mut Bench<'_>) {
    for (rows, columns) in [(1024, 1024), (4096, 512)] {
        let layout = Layout::new(1, rows, columns, TileShape::Layer).expect("a layout");
        let values = numbers(64 * rows);
        let input = Input::Rows { values: &values, rows: 64 };
        bench.layer(CpuBackend::new(), "untiled", &format!("{rows}x{columns}/batch64"), &layout, input);
    }
}

fn lenet_linear(bench: &mut Bench<'_>) {
    for (rows, columns) in [(400, 120), (120, 84), (84, 10)] {
        let layout = Layout::new(1, rows, columns, TILE).expect("a layout");
        let values = numbers(64 * rows);
        let input = Input::Rows { values: &values, rows: 64 };
        bench.layer(CpuBackend::new(), "linear", &format!("lenet_{rows}x{columns}/batch64"), &layout, input);
    }
}

fn main() {
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().expect("the only pool");
    let mut criterion = Criterion::default().configure_from_args();
    let peak = support::peak(&mut criterion);
    let bench = &mut Bench { criterion: &mut criterion, peak };
    linear(bench);
    untiled(bench);
    lenet_linear(bench);
    convolutions(bench);
    criterion.final_summary();
}
