//! Reads of devices that are not ohmic or noisy, against sums in plain loops and stated distributions.

use std::sync::Arc;

use memtorch_crossbar::backend::CpuBackend;
use memtorch_crossbar::{
    Array, AttachedNoise, Converter, CrossbarError, DeviceNoise, FullScale, Ideal, Input, LinearConverter,
    NonIdeality, PatchGeometry, Phase, ReadLaw, Report, Telegraph, TileShape,
};
use memtorch_devices::{DeviceSpec, Stream, models};
use memtorch_map::{
    Adc, BitSliced, Entry, Hardware, InputScale, InputStage, MappedMatrix, MappingScheme, ReadIndex,
    ReadMode, Reference, Sign, SingleColumn, Tuning, Usage, Wires,
};
use memtorch_utils::config::{Table, Value};
use ndarray::Array3;

const R_ON: f64 = 1.4e4;
const R_OFF: f64 = 2e5;

fn hardware() -> Hardware {
    let vteam = models::MODELS.iter().find(|m| m.name == "vteam").unwrap();
    let table = Table::from_iter([("r_on", Value::Real(R_ON)), ("r_off", Value::Real(R_OFF))]);
    Hardware {
        tile: TileShape::Sized { word_lines: 16, bit_lines: 8 },
        // Volts are the inputs themselves.
        input: InputStage { max_voltage: 1.0, scale: InputScale::Fixed(1.0), ..InputStage::default() },
        tuning: Tuning { samples: 0, ..Tuning::default() },
        ..Hardware::new(DeviceSpec::configure(vteam, &table).unwrap())
    }
}

fn random(count: usize, label: u64) -> Vec<f32> {
    let stream = Stream::root(label, 0);
    (0..count).map(|i| (2.0 * stream.at([i as u32, 0, 0]).uniform() - 1.0) as f32).collect()
}

fn adc(bits: u32) -> Arc<dyn Converter> {
    Arc::new(LinearConverter::new(bits, FullScale::Dynamic { overflow_rate: 0.0 }).unwrap())
}

/// Attaches a law, noise, or both.
#[derive(Clone, Debug)]
struct Attach {
    law: Option<Arc<dyn ReadLaw>>,
    noise: Option<Arc<dyn DeviceNoise>>,
}

impl NonIdeality for Attach {
    fn name(&self) -> &str {
        "attach"
    }

    fn phase(&self) -> Phase {
        Phase::Read
    }

    fn apply(&self, array: &mut Array, stream: Stream) -> Result<Report, CrossbarError> {
        let effects = array.read_effects_mut();
        effects.law = self.law.clone().or(effects.law.take());
        effects.noise.extend(self.noise.clone().map(|noise| AttachedNoise { noise, stream }));
        Ok(Report::default())
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Variance([f64; 3], Option<Telegraph>);

impl DeviceNoise for Variance {
    fn variance(&self, conductance: f64) -> [f64; 3] {
        let [c0, c1, c2] = self.0;
        [c0 * conductance, c1 * conductance, c2 * conductance * conductance]
    }

    fn telegraph(&self) -> Option<Telegraph> {
        self.1
    }
}

/// `i = g v + a g^2 v^3 + a v^5 / R_ON`, as three products or as none.
#[derive(Clone, Copy, Debug)]
struct Bent {
    products: usize,
}

const A: f64 = 1e4;

impl ReadLaw for Bent {
    fn current_and_slope(&self, _: Option<usize>, g: f64, v: f64) -> (f64, f64) {
        let v2 = v * v;
        let current = g * v + A * g * g * v * v2 + 0.3 * v * v2 * v2 / R_ON;
        (current, g + 3.0 * A * g * g * v2 + 1.5 * v2 * v2 / R_ON)
    }

    fn products(&self) -> usize {
        self.products
    }

    fn function(&self, k: usize, volts: &[f32], values: &mut [f32]) {
        for (value, v) in values.iter_mut().zip(volts) {
            *value = v.powi(2 * k as i32 + 1);
        }
    }

    fn coefficients(&self, k: usize, conductances: &[f64]) -> Vec<f64> {
        conductances.iter().map(|g| [*g, A * g * g, 0.3 / R_ON][k]).collect()
    }
}

fn with(hardware: &Hardware, law: Option<Arc<dyn ReadLaw>>, noise: Option<Variance>) -> Hardware {
    let noise = noise.map(|noise| Arc::new(noise) as Arc<dyn DeviceNoise>);
    let step = Arc::new(Attach { law, noise });
    Hardware { nonidealities: vec![Entry::new(step)], ..hardware.clone() }
}

fn map(hardware: &Hardware, weights: &Array3<f32>, usage: &Usage) -> MappedMatrix {
    let backend = Arc::new(CpuBackend::new());
    MappedMatrix::new("layer", weights.view(), usage, hardware, Stream::root(3, 0), backend).unwrap()
}

fn weights(groups: usize, rows: usize, columns: usize) -> Array3<f32> {
    Array3::from_shape_vec((groups, rows, columns), random(groups * rows * columns, 5)).unwrap()
}

const GEOMETRY: PatchGeometry = PatchGeometry {
    channels: 6,
    input: [1, 7, 9],
    kernel: [1, 3, 2],
    stride: [1, 2, 1],
    dilation: [1, 1, 2],
    padding: [0, 1, 1],
    output: [1, 4, 9],
};

/// Every output of some rows and of some images.
fn outputs(hardware: &Hardware) -> Vec<f32> {
    let matrix = map(hardware, &weights(1, 40, 19), &Usage::Rows);
    let mut rows = vec![0.0; 300 * 19];
    let x = random(300 * 40, 6);
    matrix.multiply(Input::Rows { values: &x, rows: 300 }, &mut rows).unwrap();
    let usage = Usage::Patches { geometry: GEOMETRY, dimensions: 2 };
    let matrix = map(hardware, &weights(2, 18, 11), &usage);
    let x = random(10 * GEOMETRY.image_len(), 7);
    let mut images = vec![0.0; 10 * 22 * GEOMETRY.positions()];
    let input = Input::Patches { values: &x, samples: 10, geometry: &GEOMETRY };
    matrix.multiply(input, &mut images).unwrap();
    rows.extend(images);
    rows
}

#[test]
fn partial_sums_one_by_one_are_those_of_the_fused_product() {
    let single = |reference| Arc::new(SingleColumn { reference }) as Arc<dyn MappingScheme>;
    for (scheme, read, converter) in [
        (hardware().scheme, ReadMode::Difference, adc(6)),
        (hardware().scheme, ReadMode::Each, adc(5)),
        (single(Reference::Mirror), ReadMode::Difference, Arc::new(Ideal)),
        (single(Reference::Column), ReadMode::Each, adc(6)),
        (Arc::new(BitSliced::new(2, 3, Sign::Differential).unwrap()), ReadMode::Difference, adc(6)),
    ] {
        let plain = Hardware { scheme, adc: Adc { converter, read, ..Adc::default() }, ..hardware() };
        // Noise without variance takes the path of noise.
        let silent = with(&plain, None, Some(Variance::default()));
        let (fused, explicit) = (outputs(&plain), outputs(&silent));
        assert!(fused.iter().zip(&explicit).all(|(a, b)| a.to_bits() == b.to_bits()), "{read:?}");
    }
}

/// Where reference currents are subtracted before conversion, the difference is one product or two.
#[test]
fn a_reference_column_is_subtracted_from_the_noisy_currents_of_its_tile() {
    let scheme = Arc::new(SingleColumn { reference: Reference::Column });
    let plain = Hardware { scheme, ..hardware() };
    let (fused, explicit) = (outputs(&plain), outputs(&with(&plain, None, Some(Variance::default()))));
    let largest = fused.iter().fold(0.0f32, |m, y| m.max(y.abs()));
    assert!(fused.iter().zip(&explicit).all(|(a, b)| (a - b).abs() < 2e-6 * largest));
}

/// The images' 18 word lines, nine a channel, lie on five or two rows of tiles, or both groups of channels on one row each; the two arrays of a
/// weight are read together, or one after the other.
#[test]
fn currents_of_products_are_those_of_the_devices() {
    let wired = Wires { transistor_resistance: 2e3, ..Wires::default() };
    let cases =
        [(4, Wires::default()), (16, Wires::default()), (16, wired), (64, Wires::default()), (64, wired)];
    // So many bits that a code more or less is nothing.
    let each = Adc { converter: adc(24), read: ReadMode::Each, ..Adc::default() };
    for ((word_lines, wires), adc) in
        cases.into_iter().flat_map(|case| [(case, Adc::default()), (case, each.clone())])
    {
        let tile = TileShape::Sized { word_lines, bit_lines: 8 };
        let base = Hardware { wires, tile, adc, ..hardware() };
        let fast = outputs(&with(&base, Some(Arc::new(Bent { products: 3 })), None));
        let slow = outputs(&with(&base, Some(Arc::new(Bent { products: 0 })), None));
        let ohmic = outputs(&base);
        let largest = slow.iter().fold(0.0f32, |m, y| m.max(y.abs()));
        for (a, b) in fast.iter().zip(&slow) {
            // Forty rounded products of f32.
            assert!((a - b).abs() < 2e-5 * largest, "{a} {b}");
        }
        let bent = ohmic.iter().zip(&slow).filter(|(a, b)| (*a - *b).abs() > 0.01 * largest).count();
        assert!(bent > slow.len() / 10, "the law must matter: {bent} of {}", slow.len());
    }
}

#[test]
fn one_device_conducts_as_its_law_says_also_behind_a_transistor() {
    let law = Arc::new(Bent { products: 3 });
    let weights = Array3::from_shape_vec((1, 1, 1), vec![1.0]).unwrap();
    for resistance in [0.0, 5e3] {
        let wires = Wires { transistor_resistance: resistance, ..Wires::default() };
        let hardware = with(&Hardware { wires, ..hardware() }, Some(law.clone()), None);
        let matrix = map(&hardware, &weights, &Usage::Rows);
        for v in [0.9f32, -0.4, 0.0] {
            let mut y = [0.0];
            matrix.multiply(Input::Rows { values: &[v], rows: 1 }, &mut y).unwrap();
            // The voltage of the device by bisection, that of its transistor being what is left.
            let current = |g: f64| {
                let (mut low, mut high) = (0.0, f64::from(v.abs()));
                for _ in 0..200 {
                    let middle = 0.5 * (low + high);
                    let i = law.current_and_slope(None, g, middle).0;
                    *(if middle + resistance * i > f64::from(v.abs()) { &mut high } else { &mut low }) =
                        middle;
                }
                law.current_and_slope(None, g, low).0.copysign(f64::from(v))
            };
            let expected = (current(1.0 / R_ON) - current(1.0 / R_OFF)) / (1.0 / R_ON - 1.0 / R_OFF);
            let tolerance = 1e-6 * expected.abs();
            assert!((f64::from(y[0]) - expected).abs() <= tolerance, "{resistance} {v}: {} {expected}", y[0]);
        }
    }
}

/// The error function of Abramowitz and Stegun 7.1.26: within 1.5e-7.
fn normal_cdf(x: f64) -> f64 {
    let z = x.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let terms = [1.061_405_429, -1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592];
    let erf = 1.0 - t * terms.iter().fold(0.0, |sum, c| sum * t + c) * (-z * z).exp();
    0.5 * (1.0 + erf.copysign(x))
}

/// Repeated reads of one vector: the output of one column less its mean value, in amperes.
fn reads(hardware: &Hardware, x: &[f32], w: &Array3<f32>, count: usize) -> Vec<f64> {
    let columns = w.dim().2;
    let matrix = map(hardware, w, &Usage::Rows);
    let many: Vec<f32> = x.iter().copied().cycle().take(count * x.len()).collect();
    let mut noisy = vec![0.0; count * columns];
    matrix.multiply(Input::Rows { values: &many, rows: count }, &mut noisy).unwrap();
    let quiet = map(&Hardware { nonidealities: Vec::new(), ..hardware.clone() }, w, &Usage::Rows);
    let mut mean = vec![0.0; columns];
    quiet.multiply(Input::Rows { values: x, rows: 1 }, &mut mean).unwrap();
    let gain = matrix.gains()[0];
    noisy.iter().enumerate().map(|(i, y)| f64::from(y - mean[i % columns]) / gain).collect()
}

#[test]
fn noise_at_the_column_has_the_variance_of_the_sum() {
    // 25 word lines on two tiles, 10 bit lines on two; both arrays are noisy.
    let (rows, columns) = (25, 10);
    let w = weights(1, rows, columns);
    let x = random(rows, 9);
    let noise = Variance([3e-16, 2e-12, 4e-3], None);
    let hardware = with(&hardware(), None, Some(noise));
    let matrix = map(&hardware, &w, &Usage::Rows);
    let found = reads(&hardware, &x, &w, 10_000);
    let mut scaled = Vec::new();
    for column in 0..columns {
        let mut variance = 0.0;
        for (row, x) in x.iter().enumerate() {
            for array in matrix.arrays() {
                let g = array.conductances()[matrix.layout().device(0, row, column)];
                let v = f64::from(x.abs());
                variance += 3e-16 * g + 2e-12 * g * v + 4e-3 * (g * v).powi(2);
            }
        }
        scaled.extend(found.iter().skip(column).step_by(columns).map(|i| i / variance.sqrt()));
    }
    let n = scaled.len() as f64;
    assert_eq!(n, 1e5);
    let square = scaled.iter().map(|z| z * z).sum::<f64>() / n;
    // Five standard errors of a variance.
    assert!((square - 1.0).abs() < 5.0 * (2.0 / n).sqrt(), "{square}");
    scaled.sort_by(f64::total_cmp);
    let both = |(i, z): (usize, &f64)| {
        (normal_cdf(*z) - i as f64 / n).abs().max(((i + 1) as f64 / n - normal_cdf(*z)).abs())
    };
    let distance = scaled.iter().enumerate().map(both).fold(0.0, f64::max);
    // Kolmogorov and Smirnov: further with probability 1e-6.
    assert!(distance < (2e6f64.ln() / (2.0 * n)).sqrt(), "{distance}");
}

#[test]
fn telegraph_noise_has_two_levels_about_the_mean() {
    let telegraph = Telegraph { amplitude: 0.2, high: 0.3, devices: 1.0 };
    let hardware = with(&hardware(), None, Some(Variance([0.0; 3], Some(telegraph))));
    // Two devices: one of each array.
    let w = Array3::from_shape_vec((1, 1, 1), vec![1.0]).unwrap();
    let (on, off) = (0.5 / R_ON, 0.5 / R_OFF);
    let found = reads(&hardware, &[0.5], &w, 100_000);
    let levels = [(on, off, 0.7 * 0.7), (on, -off, 0.7 * 0.3), (-on, off, 0.3 * 0.7), (-on, -off, 0.09)];
    let mut chi_square = 0.0;
    let mut left = found.len();
    for (a, b, _) in levels {
        let of = |g: f64| g.abs() * if g > 0.0 { -0.2 * 0.3 } else { 0.2 * 0.7 };
        let expected = of(a) - of(b);
        let near = found.iter().filter(|i| (**i - expected).abs() < 1e-4 * on).count();
        let share = if a > 0.0 { 0.7 } else { 0.3 } * if b > 0.0 { 0.7 } else { 0.3 };
        chi_square += (near as f64 - share * 1e5).powi(2) / (share * 1e5);
        left -= near;
    }
    assert_eq!(left, 0, "reads at no level: {:?}", &found[..4]);
    // Three degrees of freedom: more with probability 1e-6.
    assert!(chi_square < 30.7, "{chi_square}");
    // Only a share of the devices switches: 100 of 1000 for a tenth, within five deviations.
    let tenth = Telegraph { devices: 0.1, ..telegraph };
    let hardware = with(&hardware, None, Some(Variance([0.0; 3], Some(tenth))));
    let found = reads(&hardware, &[0.5], &Array3::from_elem((1, 1, 1000), 1.0), 1);
    let moved = found.iter().filter(|i| i.abs() > 0.01 * on).count();
    assert!((50..150).contains(&moved), "{moved}");
}

#[test]
fn noise_depends_on_the_sample_and_not_on_the_batch() {
    let hardware = with(&hardware(), None, Some(Variance([0.0, 0.0, 1e-2], None)));
    let usage = Usage::Patches { geometry: GEOMETRY, dimensions: 2 };
    let matrix = map(&hardware, &weights(2, 18, 11), &usage);
    let (len, out) = (GEOMETRY.image_len(), 22 * GEOMETRY.positions());
    let one = random(len, 11);
    let all: Vec<f32> = one.iter().copied().cycle().take(7 * len).collect();
    let read = |first: usize, samples: usize| {
        let mut y = vec![0.0; samples * out];
        let values = &all[first * len..][..samples * len];
        let input = Input::Patches { values, samples, geometry: &GEOMETRY };
        let index = ReadIndex { first_sample: first, ..ReadIndex::default() };
        matrix.multiply_at(input, index, &mut y).unwrap();
        y
    };
    let whole = read(0, 7);
    let parts = [read(0, 3), read(3, 1), read(4, 3)].concat();
    assert!(whole.iter().zip(&parts).all(|(a, b)| a.to_bits() == b.to_bits()));
    // The same image, read again, gives other numbers, and so does every position.
    assert!((0..out).all(|i| whole[i] != whole[out + i]));
    // Nothing moved the devices.
    assert!(whole.iter().zip(read(0, 7)).all(|(a, b)| a.to_bits() == b.to_bits()));
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(|| read(0, 7));
    assert_eq!(whole, one_thread);
}

#[test]
fn arrays_and_samples_draw_alone() {
    // Equal weights of both signs: neighbouring columns see equal variances of swapped arrays.
    let w = Array3::from_shape_fn((1, 4, 2), |(_, _, c)| if c == 0 { 0.5 } else { -0.5 });
    let hardware = with(&hardware(), None, Some(Variance([0.0, 0.0, 1e-2], None)));
    let found = reads(&hardware, &[0.9, 0.3, -0.4, 0.8], &w, 20_000);
    let correlation = |a: &[f64], b: &[f64]| {
        let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    };
    let column = |c: usize| found.iter().skip(c).step_by(2).copied().collect::<Vec<_>>();
    let (first, second) = (column(0), column(1));
    let bound = 5.0 / 20_000f64.sqrt();
    assert!(correlation(&first, &second).abs() < bound, "columns");
    assert!(correlation(&first[1..], &first[..first.len() - 1]).abs() < bound, "samples");
}

#[test]
fn a_law_that_ends_below_the_largest_input_is_an_error() {
    #[derive(Debug)]
    struct Short;
    impl ReadLaw for Short {
        fn current_and_slope(&self, _: Option<usize>, g: f64, v: f64) -> (f64, f64) {
            (g * v, g)
        }
        fn limit(&self) -> f64 {
            0.5
        }
    }
    let hardware = with(&hardware(), Some(Arc::new(Short)), None);
    let backend = Arc::new(CpuBackend::new());
    let w = weights(1, 2, 2);
    let made = MappedMatrix::new("layer", w.view(), &Usage::Rows, &hardware, Stream::root(0, 0), backend);
    let error = made.unwrap_err().to_string();
    assert!(error.contains("max_voltage") && error.contains("0.5"), "{error}");
}
