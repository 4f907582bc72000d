//! A mapped matrix against a simulation written from the equations, in plain loops over weights.

mod arrays;

use std::sync::Arc;

use memtorch_crossbar::backend::CpuBackend;
use memtorch_crossbar::{Converter, FullScale, Input, LinearConverter, PatchGeometry, TileShape};
use memtorch_devices::{DeviceSpec, Stream, models};
use memtorch_map::{
    DoubleColumn, Hardware, MappedMatrix, MappingScheme, PerWhat, ReadMode, SingleColumn, Tuning, Usage,
    WeightFloor,
};
use memtorch_utils::config::{Table, Value};
use ndarray::Array3;

const R_ON: f64 = 1.4e4;
const R_OFF: f64 = 2e5;
const MAX_VOLTAGE: f64 = 0.3;

fn hardware() -> Hardware {
    let vteam = models::MODELS.iter().find(|m| m.name == "vteam").unwrap();
    let table = Table::from_iter([("r_on", Value::Real(R_ON)), ("r_off", Value::Real(R_OFF))]);
    Hardware {
        tile: TileShape::Sized { word_lines: 16, bit_lines: 8 },
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

/// What the equations give for one vector and one matrix `[rows][columns]`.
struct Simulation<'a> {
    hardware: &'a Hardware,
    weights: &'a dyn Fn(usize, usize) -> f64,
    rows: usize,
    columns: usize,
    /// w_max of a column.
    w_max: &'a dyn Fn(usize) -> f64,
    bits: Option<u32>,
}

impl Simulation<'_> {
    fn conductance(&self, row: usize, column: usize, positive: bool) -> f64 {
        let (on, off) = (1.0 / R_ON, 1.0 / R_OFF);
        let (w, w_max) = ((self.weights)(row, column), (self.w_max)(column));
        let w = w.clamp(-w_max, w_max);
        if self.hardware.scheme.name() == "single-column" {
            return off + (on - off) * (w + w_max) / (2.0 * w_max);
        }
        let w_min = match self.hardware.weight_range.floor {
            WeightFloor::Ratio => w_max * R_ON / R_OFF,
            _ => 0.0,
        };
        let s = if positive { w.max(0.0) } else { (-w).max(0.0) };
        off + (on - off) * (s.clamp(w_min, w_max) - w_min) / (w_max - w_min)
    }

    fn gain(&self, column: usize) -> f64 {
        let range = 1.0 / R_ON - 1.0 / R_OFF;
        let w_max = (self.w_max)(column);
        match (self.hardware.scheme.name(), self.hardware.weight_range.floor) {
            ("single-column", _) => 2.0 * w_max / range,
            (_, WeightFloor::Ratio) => (w_max - w_max * R_ON / R_OFF) / range,
            _ => w_max / range,
        }
    }

    /// The converter of the paper, written with logarithms in f64.
    fn convert(&self, currents: &[f64]) -> Vec<f64> {
        let Some(bits) = self.bits else { return currents.to_vec() };
        let largest = currents.iter().fold(0.0f64, |m, i| m.max(i.abs()));
        if largest == 0.0 {
            return vec![0.0; currents.len()];
        }
        let step = 2f64.powf(largest.log2().ceil()) * 2f64.powi(1 - bits as i32);
        let half = 2f64.powi(bits as i32 - 1);
        currents.iter().map(|i| (i / step + 0.5).floor().clamp(-half, half - 1.0) * step).collect()
    }

    /// Outputs for one vector whose sample has this largest magnitude.
    fn run(&self, x: &[f32], largest: f64) -> Vec<f64> {
        let scale = if largest == 0.0 { 1.0 } else { largest / MAX_VOLTAGE };
        let dac = self.hardware.input.bits;
        let volts: Vec<f64> = x
            .iter()
            .map(|x| {
                let v = f64::from(*x) / scale;
                if dac == 0 {
                    return v;
                }
                let step = MAX_VOLTAGE / (2f64.powi(dac as i32 - 1) - 1.0);
                v.signum() * (v.abs() / step + 0.5).floor() * step
            })
            .collect();
        let mirror = 0.5 * (1.0 / R_ON + 1.0 / R_OFF);
        let mut sums = vec![0.0; self.columns];
        for first_row in (0..self.rows).step_by(16) {
            let rows = first_row..(first_row + 16).min(self.rows);
            for first_column in (0..self.columns).step_by(8) {
                let columns: Vec<usize> = (first_column..(first_column + 8).min(self.columns)).collect();
                let current = |column: usize, positive: bool| -> f64 {
                    rows.clone().map(|r| volts[r] * self.conductance(r, column, positive)).sum()
                };
                let plus: Vec<f64> = columns.iter().map(|c| current(*c, true)).collect();
                let minus: Vec<f64> = columns
                    .iter()
                    .map(|c| match self.hardware.scheme.name() {
                        "single-column" => rows.clone().map(|r| volts[r] * mirror).sum(),
                        _ => current(*c, false),
                    })
                    .collect();
                let converted: Vec<f64> = match self.hardware.adc.read {
                    ReadMode::Difference => {
                        self.convert(&plus.iter().zip(&minus).map(|(p, m)| p - m).collect::<Vec<_>>())
                    }
                    _ => self.convert(&plus).iter().zip(self.convert(&minus)).map(|(p, m)| p - m).collect(),
                };
                for (column, value) in columns.iter().zip(converted) {
                    sums[*column] += value;
                }
            }
        }
        (0..self.columns).map(|c| self.gain(c) * scale * sums[c]).collect()
    }
}

/// Runs both for a matrix of these sizes and compares every output.
fn compare(hardware: &Hardware, bits: Option<u32>, rows: usize, columns: usize, label: u64) {
    let data = random(rows * columns, label);
    let weights = Array3::from_shape_vec((1, rows, columns), data).unwrap();
    let vectors = 7;
    let mut x = random(vectors * rows, label + 100);
    // A vector of zeros, and one much smaller than the others.
    x[..rows].fill(0.0);
    x[rows..2 * rows].iter_mut().for_each(|x| *x *= 1e-3);
    let matrix = MappedMatrix::new(
        "layer",
        weights.view(),
        &Usage::Rows,
        hardware,
        Stream::root(0, 0),
        Arc::new(CpuBackend::portable()),
    )
    .unwrap();
    let mut output = vec![0.0f32; vectors * columns];
    matrix.multiply(Input::Rows { values: &x, rows: vectors }, &mut output).unwrap();
    let largest = |values: &mut dyn Iterator<Item = &f32>| {
        let mut magnitudes: Vec<f64> = values.map(|w| f64::from(w.abs())).collect();
        magnitudes.sort_by(|a, b| b.total_cmp(a));
        magnitudes[(hardware.weight_range.exclude_largest * magnitudes.len() as f64).floor() as usize]
    };
    let simulation = Simulation {
        hardware,
        weights: &|r, c| f64::from(weights[[0, r, c]]),
        rows,
        columns,
        w_max: &|c| match hardware.weight_range.per {
            PerWhat::Column => largest(&mut weights.slice(ndarray::s![0, .., c]).iter()),
            _ => largest(&mut weights.iter()),
        },
        bits,
    };
    let mut off = 0;
    for (x, y) in x.chunks(rows).zip(output.chunks(columns)) {
        let scale = x.iter().fold(0.0f64, |m, x| m.max(f64::from(x.abs())));
        let expected = simulation.run(x, scale);
        let size = expected.iter().fold(1e-30f64, |m, y| m.max(y.abs()));
        for (y, expected) in y.iter().zip(&expected) {
            // f32 sums of up to 16 terms and a subtraction of nearby conductances: 1e-5 of the largest.
            off += usize::from((f64::from(*y) - expected).abs() > 1e-5 * size);
        }
    }
    // A current half way between two codes may round either way in f32: no more than one in a hundred.
    let allowed = if bits.is_some() || hardware.input.bits > 0 { vectors * columns / 100 } else { 0 };
    assert!(off <= allowed, "{off} of {} outputs differ", vectors * columns);
}

const SIZES: [(usize, usize); 5] = [(1, 1), (16, 8), (17, 9), (40, 20), (5, 31)];

#[test]
fn ideal_converters_give_the_product() {
    for (label, (rows, columns)) in SIZES.into_iter().enumerate() {
        compare(&hardware(), None, rows, columns, label as u64);
    }
}

#[test]
fn schemes_reads_ranges_and_converters_follow_the_equations() {
    let schemes: [Arc<dyn MappingScheme>; 2] = [Arc::new(DoubleColumn), Arc::new(SingleColumn::default())];
    let mut label = 10;
    for scheme in schemes {
        for read in [ReadMode::Difference, ReadMode::Each] {
            for per in [PerWhat::Layer, PerWhat::Column] {
                for (bits, dac) in [(None, 0), (None, 5), (Some(4), 0), (Some(8), 0)] {
                    let mut hardware = hardware();
                    hardware.scheme = scheme.clone();
                    hardware.adc.read = read;
                    hardware.weight_range.per = per;
                    hardware.weight_range.exclude_largest = 0.1;
                    hardware.input.bits = dac;
                    if let Some(bits) = bits {
                        hardware.adc.converter = adc(bits);
                    }
                    compare(&hardware, bits, 40, 20, label);
                    label += 1;
                }
            }
        }
    }
}

#[test]
fn the_floor_of_the_paper_is_a_dead_zone() {
    let mut hardware = hardware();
    hardware.weight_range.floor = WeightFloor::Ratio;
    compare(&hardware, None, 40, 20, 50);
}

/// Fault 2 of the published tool: a single column clamped negative weights to one value.
#[test]
fn a_single_column_tells_negative_weights_apart() {
    let mut hardware = hardware();
    hardware.scheme = Arc::new(SingleColumn::default());
    let weights = Array3::from_shape_vec((1, 1, 3), vec![-1.0, -0.5, 0.25]).unwrap();
    let backend = Arc::new(CpuBackend::portable());
    let matrix =
        MappedMatrix::new("a", weights.view(), &Usage::Rows, &hardware, Stream::root(0, 0), backend).unwrap();
    let mut y = [0.0; 3];
    matrix.multiply(Input::Rows { values: &[2.0], rows: 1 }, &mut y).unwrap();
    for (y, expected) in y.iter().zip([-2.0, -1.0, 0.5]) {
        assert!((y - expected).abs() < 1e-5, "{y} {expected}");
    }
}

/// Fault 15 of the published tool: an output depended on the other inputs of the batch.
#[test]
fn an_output_does_not_depend_on_the_rest_of_the_batch() {
    let mut hardware = hardware();
    hardware.adc.converter = adc(5);
    let weights = Array3::from_shape_vec((1, 40, 20), random(800, 1)).unwrap();
    let backend = Arc::new(CpuBackend::portable());
    let matrix =
        MappedMatrix::new("a", weights.view(), &Usage::Rows, &hardware, Stream::root(0, 0), backend).unwrap();
    let x = random(40 * 6, 2);
    let mut batch = vec![0.0; 120];
    matrix.multiply(Input::Rows { values: &x, rows: 6 }, &mut batch).unwrap();
    for (row, expected) in x.chunks(40).zip(batch.chunks(20)) {
        let mut alone = vec![0.0; 20];
        matrix.multiply(Input::Rows { values: row, rows: 1 }, &mut alone).unwrap();
        assert_eq!(alone, expected);
    }
}

/// Fault 4 of the published tool: groups, dilation and the strides of other axes were ignored.
#[test]
fn a_grouped_dilated_convolution_equals_its_loops() {
    let geometry = PatchGeometry {
        channels: 4,
        input: [1, 7, 9],
        kernel: [1, 2, 3],
        stride: [1, 2, 1],
        dilation: [1, 2, 1],
        padding: [0, 1, 2],
        output: [1, 4, 11],
    };
    let (groups, rows, columns) = (2, 2 * 6, 3);
    let weights =
        Array3::from_shape_vec((groups, rows, columns), random(groups * rows * columns, 3)).unwrap();
    let usage = Usage::Patches { geometry, dimensions: 2 };
    let backend = Arc::new(CpuBackend::portable());
    let matrix =
        MappedMatrix::new("a", weights.view(), &usage, &hardware(), Stream::root(0, 0), backend).unwrap();
    let samples = 2;
    let images = random(samples * geometry.image_len(), 4);
    let mut output = vec![0.0; samples * groups * columns * geometry.positions()];
    let input = Input::Patches { values: &images, samples, geometry: &geometry };
    matrix.multiply(input, &mut output).unwrap();
    let mut at = output.iter();
    for image in images.chunks(geometry.image_len()) {
        for group in 0..groups {
            for column in 0..columns {
                for oy in 0..4 {
                    for ox in 0..11 {
                        let mut expected = 0.0;
                        for c in 0..2 {
                            for ky in 0..2 {
                                for kx in 0..3 {
                                    let (y, x) = (oy * 2 + ky * 2, ox + kx);
                                    if !(1..8).contains(&y) || !(2..11).contains(&x) {
                                        continue;
                                    }
                                    let pixel = image[((group * 2 + c) * 7 + y - 1) * 9 + x - 2];
                                    let weight = weights[[group, (c * 2 + ky) * 3 + kx, column]];
                                    expected += f64::from(pixel) * f64::from(weight);
                                }
                            }
                        }
                        let y = f64::from(*at.next().unwrap());
                        assert!((y - expected).abs() < 2e-5, "{group} {column} {oy} {ox}: {y} {expected}");
                    }
                }
            }
        }
    }
}

#[test]
fn tuning_finds_the_analytic_gain_of_ideal_hardware_and_says_so() {
    for per in [PerWhat::Layer, PerWhat::Column] {
        for intercept in [false, true] {
            let mut hardware = hardware();
            let weights = Array3::from_shape_vec((1, 40, 20), random(800, 1)).unwrap();
            let backend = Arc::new(CpuBackend::portable());
            let build = |hardware: &Hardware| {
                let stream = Stream::root(0, 0);
                MappedMatrix::new("a", weights.view(), &Usage::Rows, hardware, stream, backend.clone())
                    .unwrap()
            };
            let analytic = build(&hardware);
            assert_eq!(analytic.report().r2, None);
            hardware.tuning = Tuning { samples: 16, per, intercept, ..Tuning::default() };
            let tuned = build(&hardware);
            for gain in tuned.gains() {
                assert!((gain / analytic.gains()[0] - 1.0).abs() < 1e-5, "{gain}");
            }
            assert!(tuned.intercepts().iter().all(|c| c.abs() < 1e-5));
            assert!(tuned.report().r2.unwrap() > 1.0 - 1e-9);
            let mut coarse = hardware.clone();
            coarse.adc.converter = adc(3);
            let r2 = build(&coarse).report().r2.unwrap();
            assert!(r2 < 0.999 && r2 > 0.5, "{r2}");
        }
    }
}

#[test]
fn settings_that_a_single_column_has_no_use_for_are_told() {
    let mut hardware = hardware();
    hardware.scheme = Arc::new(SingleColumn::default());
    hardware.weight_range.floor = WeightFloor::Ratio;
    let backend = Arc::new(CpuBackend::portable());
    let weights = Array3::from_elem((1, 2, 2), 0.5);
    let stream = Stream::root(0, 0);
    let matrix = MappedMatrix::new("a", weights.view(), &Usage::Rows, &hardware, stream, backend).unwrap();
    let warnings = &matrix.report().warnings;
    assert!(warnings.len() == 1 && warnings[0].contains("single-column"), "{warnings:?}");
}

#[test]
fn a_matrix_of_zeros_is_off_and_gives_zeros() {
    let weights = Array3::zeros((1, 5, 4));
    let schemes: [Arc<dyn MappingScheme>; 2] = [Arc::new(DoubleColumn), Arc::new(SingleColumn::default())];
    for scheme in schemes {
        let mut hardware = hardware();
        hardware.scheme = scheme;
        hardware.tuning.samples = 4;
        let backend = Arc::new(CpuBackend::portable());
        let stream = Stream::root(0, 0);
        let matrix =
            MappedMatrix::new("a", weights.view(), &Usage::Rows, &hardware, stream, backend).unwrap();
        assert_eq!(matrix.gains(), [0.0]);
        assert!(matrix.arrays().iter().all(|a| a.conductances().iter().all(|g| *g == 1.0 / R_OFF)));
        let mut y = [1.0; 4];
        matrix.multiply(Input::Rows { values: &[1.0; 5], rows: 1 }, &mut y).unwrap();
        assert_eq!(y, [0.0; 4]);
    }
}

#[test]
fn weights_that_are_no_numbers_are_named() {
    let mut weights = Array3::zeros((1, 2, 2));
    weights[[0, 1, 0]] = f32::NAN;
    let backend = Arc::new(CpuBackend::portable());
    let error =
        MappedMatrix::new("a", weights.view(), &Usage::Rows, &hardware(), Stream::root(0, 0), backend)
            .unwrap_err();
    assert!(error.to_string().contains("group 0, row 1, column 0 is NaN"), "{error}");
}
