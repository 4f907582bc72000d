//! Calibrated ranges and scales, bit-serial inputs, and gains of tiles against plain loops in f64.

use std::sync::Arc;

use memtorch_crossbar::backend::CpuBackend;
use memtorch_crossbar::{
    Array, CrossbarError, FullScale, Input, LinearConverter, NonIdeality, Phase, Report, TileShape,
};
use memtorch_devices::{DeviceSpec, Stream, models};
use memtorch_map::{
    CalibratedRange, Calibration, Entry, Hardware, InputScale, LayerInputs, MapError, MappedMatrix, PerWhat,
    ProbeInputs, RangeFit, ReadMode, Tuning, Usage,
};
use memtorch_utils::config::{Table, Value};
use ndarray::Array3;

const ON: f64 = 1.0 / 1.4e4;
const OFF: f64 = 1.0 / 2e5;
const ROWS: usize = 37;
const COLUMNS: usize = 20;
const WORD_LINES: usize = 16;
const BIT_LINES: usize = 7;

fn hardware() -> Hardware {
    let vteam = models::MODELS.iter().find(|m| m.name == "vteam").unwrap();
    let table = Table::from_iter([("r_on", Value::Real(1.0 / ON)), ("r_off", Value::Real(1.0 / OFF))]);
    Hardware {
        tile: TileShape::Sized { word_lines: WORD_LINES, bit_lines: BIT_LINES },
        tuning: Tuning { samples: 0, ..Tuning::default() },
        ..Hardware::new(DeviceSpec::configure(vteam, &table).unwrap())
    }
}

fn linear(bits: u32, full_scale: FullScale) -> Arc<LinearConverter> {
    Arc::new(LinearConverter::new(bits, full_scale).unwrap())
}

fn random(count: usize, label: u64) -> Vec<f32> {
    let stream = Stream::root(label, 0);
    (0..count).map(|i| (2.0 * stream.at([i as u32, 0, 0]).uniform() - 1.0) as f32).collect()
}

fn weights() -> Array3<f32> {
    Array3::from_shape_vec((1, ROWS, COLUMNS), random(ROWS * COLUMNS, 1)).unwrap()
}

/// Ten vectors that a layer has seen, each larger than the one before.
fn seen() -> LayerInputs {
    let mut seen = LayerInputs::new();
    for sample in 0..10 {
        let values: Vec<f32> =
            random(ROWS, 20 + sample as u64).iter().map(|x| x * (sample + 1) as f32).collect();
        seen.push(sample, Input::Rows { values: &values, rows: 1 });
    }
    seen
}

fn try_map(hardware: &Hardware, seen: &LayerInputs) -> Result<MappedMatrix, MapError> {
    let backend = Arc::new(CpuBackend::portable());
    let (stream, weights) = (Stream::root(0, 0), weights());
    MappedMatrix::with_inputs("layer", weights.view(), &Usage::Rows, seen, hardware, stream, backend)
}

fn map(hardware: &Hardware, seen: &LayerInputs) -> MappedMatrix {
    try_map(hardware, seen).unwrap()
}

fn multiply(matrix: &MappedMatrix, x: &[f32]) -> Vec<f32> {
    let rows = x.len() / ROWS;
    let mut y = vec![0.0; rows * COLUMNS];
    matrix.multiply(Input::Rows { values: x, rows }, &mut y).unwrap();
    y
}

/// The currents of a column through one tile, of its pair of devices or of one of them.
fn current(volts: &[f64], weights: &Array3<f32>, tile_row: usize, column: usize, sides: &[f64]) -> f64 {
    let w_max = weights.iter().fold(0.0f64, |m, w| m.max(f64::from(w.abs())));
    let rows = tile_row * WORD_LINES..ROWS.min((tile_row + 1) * WORD_LINES);
    let device = |row: usize, side: f64| {
        let weight = f64::from(weights[[0, row, column]]) / w_max;
        side * (OFF + (ON - OFF) * (side * weight).max(0.0))
    };
    rows.map(|row| volts[row] * sides.iter().map(|side| device(row, *side)).sum::<f64>()).sum()
}

fn code(current: f64, full_scale: f64, bits: i32) -> f64 {
    let half = 2f64.powi(bits - 1);
    let step = full_scale / half;
    (current / step + 0.5).floor().clamp(-half, half - 1.0) * step
}

fn volts(x: &[f32], scale: f64) -> Vec<f64> {
    x.iter().map(|x| f64::from(*x) / scale).collect()
}

fn own_scale(x: &[f32]) -> f64 {
    x.iter().fold(0.0f64, |m, x| m.max(f64::from(x.abs()))) / 0.3
}

/// Counts outputs that differ by more than rounding can do.
fn differ(found: &[f32], expected: &[f64]) -> usize {
    let size = expected.iter().fold(0.0f64, |m, y| m.max(y.abs()));
    found.iter().zip(expected).filter(|(y, e)| (f64::from(**y) - *e).abs() > 3e-5 * size).count()
}

#[test]
fn a_calibrated_range_is_the_percentile_of_what_its_converters_saw() {
    let (weights, bits) = (weights(), 6);
    let w_max = weights.iter().fold(0.0f64, |m, w| m.max(f64::from(w.abs())));
    for (per, percentile, read) in [
        (PerWhat::Layer, 100.0, ReadMode::Difference),
        (PerWhat::Layer, 90.0, ReadMode::Each),
        (PerWhat::Tile, 75.0, ReadMode::Difference),
        (PerWhat::Tile, 100.0, ReadMode::Each),
        (PerWhat::Column, 80.0, ReadMode::Difference),
    ] {
        let mut hardware = hardware();
        hardware.adc.converter = linear(bits as u32, FullScale::Fixed(1.0));
        hardware.adc.read = read;
        hardware.adc.range = Some(CalibratedRange { per, fit: RangeFit::Percentile(percentile) });
        hardware.calibration = Calibration { inputs: ProbeInputs::Data, samples: 6 };
        assert_eq!(hardware.data_samples(), 6);
        let matrix = map(&hardware, &seen());
        let sides: &[&[f64]] = if read == ReadMode::Each { &[&[1.0], &[-1.0]] } else { &[&[1.0, -1.0]] };
        // All currents of calibration: read, row of tiles, column, sample.
        let mut currents = Vec::new();
        for (number, sides) in sides.iter().enumerate() {
            for sample in 0..6u64 {
                let x = random(ROWS, 20 + sample);
                let volts = volts(&x, own_scale(&x));
                for tile_row in 0..ROWS.div_ceil(WORD_LINES) {
                    for column in 0..COLUMNS {
                        let value = current(&volts, &weights, tile_row, column, sides);
                        currents.push(((number, tile_row, column), value.abs()));
                    }
                }
            }
        }
        let full_scale = |number: usize, tile_row: usize, column: usize| {
            let shares = |(n, t, c): &(usize, usize, usize)| match per {
                PerWhat::Tile => (*n, *t, c / BIT_LINES) == (number, tile_row, column / BIT_LINES),
                PerWhat::Column => (*n, *t, *c) == (number, tile_row, column),
                _ => true,
            };
            let mut values: Vec<f64> =
                currents.iter().filter(|(place, _)| shares(place)).map(|(_, value)| *value).collect();
            values.sort_by(|a, b| b.total_cmp(a));
            values[((1.0 - percentile / 100.0) * values.len() as f64).floor() as usize]
        };
        let all: Vec<f64> = currents.iter().map(|((n, t, c), _)| full_scale(*n, *t, *c)).collect();
        let [least, most] = matrix.report().full_scale.unwrap();
        let extreme = |pick: fn(f64, f64) -> f64| all.iter().copied().reduce(pick).unwrap();
        assert!((least / extreme(f64::min) - 1.0).abs() < 1e-5, "{per:?} {least} {}", extreme(f64::min));
        assert!((most / extreme(f64::max) - 1.0).abs() < 1e-5, "{per:?} {most} {}", extreme(f64::max));
        let x = random(12 * ROWS, 3);
        let y = multiply(&matrix, &x);
        let mut off = 0;
        for (x, y) in x.chunks(ROWS).zip(y.chunks(COLUMNS)) {
            let scale = own_scale(x);
            let volts = volts(x, scale);
            let expected: Vec<f64> = (0..COLUMNS)
                .map(|column| {
                    let mut sum = 0.0;
                    for tile_row in 0..ROWS.div_ceil(WORD_LINES) {
                        for (number, sides) in sides.iter().enumerate() {
                            let current = current(&volts, &weights, tile_row, column, sides);
                            // The negative side's current is positive, and its code is subtracted.
                            let sign = if *sides == [-1.0] { -1.0 } else { 1.0 };
                            sum += sign * code(sign * current, full_scale(number, tile_row, column), bits);
                        }
                    }
                    w_max / (ON - OFF) * scale * sum
                })
                .collect();
            off += differ(y, &expected);
        }
        // A current half way between two codes may round either way in f32.
        assert!(off <= 5, "{per:?} {percentile} {read:?}: {off} outputs differ");
    }
}

#[test]
fn a_calibrated_scale_of_inputs_clips_what_is_beyond_it() {
    let mut hardware = hardware();
    hardware.input.scale = InputScale::Calibrated;
    hardware.calibration = Calibration { inputs: ProbeInputs::Data, samples: 4 };
    let matrix = map(&hardware, &seen());
    let largest = (0..4u64)
        .flat_map(|sample| random(ROWS, 20 + sample).into_iter().map(move |x| x.abs() * (sample + 1) as f32))
        .fold(0.0f32, f32::max);
    let scale = matrix.report().input_scale.unwrap();
    assert!((scale - f64::from(largest) / 0.3).abs() < 1e-6 * scale);
    let x: Vec<f32> = random(ROWS, 3).iter().map(|x| 10.0 * x).collect();
    let beyond = x.iter().filter(|x| x.abs() > largest * (1.0 + 1e-6)).count();
    let mut y = vec![0.0; COLUMNS];
    let report = matrix.multiply(Input::Rows { values: &x, rows: 1 }, &mut y).unwrap();
    assert!(beyond > 0 && report.inputs_clipped == beyond as u64);
    let weights = weights();
    let expected: Vec<f64> = (0..COLUMNS)
        .map(|c| {
            (0..ROWS).map(|r| f64::from(x[r].clamp(-largest, largest)) * f64::from(weights[[0, r, c]])).sum()
        })
        .collect();
    assert_eq!(differ(&y, &expected), 0);
}

/// Every bit plane of the code in two's complement is converted by itself.
#[test]
fn bit_serial_inputs_are_converted_plane_by_plane() {
    let weights = weights();
    let w_max = weights.iter().fold(0.0f64, |m, w| m.max(f64::from(w.abs())));
    for (dac, adc) in [(5u32, None), (2, Some(8)), (8, Some(7))] {
        let mut hardware = hardware();
        hardware.input.bits = dac;
        hardware.input.serial = true;
        let full_scale = 2e-4f32;
        if let Some(bits) = adc {
            hardware.adc.converter = linear(bits as u32, FullScale::Fixed(full_scale));
        }
        hardware.adc.columns_per_adc = 4;
        let matrix = map(&hardware, &LayerInputs::new());
        let x = random(8 * ROWS, 5);
        let y = multiply(&matrix, &x);
        let levels = 2i64.pow(dac - 1) - 1;
        let mut off = 0;
        for (x, y) in x.chunks(ROWS).zip(y.chunks(COLUMNS)) {
            let scale = own_scale(x);
            let codes: Vec<i64> = volts(x, scale)
                .iter()
                .map(|v| ((v.abs() / 0.3 * levels as f64 + 0.5).floor().copysign(*v)) as i64)
                .collect();
            let expected: Vec<f64> = (0..COLUMNS)
                .map(|column| {
                    let mut sum = 0.0;
                    for bit in 0..dac {
                        let plane: Vec<f64> = codes
                            .iter()
                            .map(|code| 0.3 * (code.rem_euclid(2i64.pow(dac)) >> bit & 1) as f64)
                            .collect();
                        let power = 2f64.powi(bit as i32) / levels as f64;
                        let sign = if bit + 1 == dac { -1.0 } else { 1.0 };
                        for tile_row in 0..ROWS.div_ceil(WORD_LINES) {
                            let current = current(&plane, &weights, tile_row, column, &[1.0, -1.0]);
                            let value =
                                adc.map_or(current, |bits| code(current, f64::from(full_scale), bits));
                            sum += sign * power * value;
                        }
                    }
                    w_max / (ON - OFF) * scale * sum
                })
                .collect();
            off += differ(y, &expected);
        }
        assert!(off <= if adc.is_some() { 3 } else { 0 }, "{dac} {adc:?}: {off} outputs differ");
        let Some(cost) = matrix.report().converters else {
            assert_eq!(adc, None);
            continue;
        };
        // Tiles of 7, 7 and 6 bit lines, three rows of them; two converters a tile.
        assert_eq!(cost.converters, 3 * (2 + 2 + 2));
        assert_eq!(cost.conversions_per_vector, 3 * COLUMNS * dac as usize);
        assert_eq!(cost.cycles_per_vector, 4 * dac as usize);
        let mut y = vec![0.0; COLUMNS];
        let report = matrix.multiply(Input::Rows { values: &x[..ROWS], rows: 1 }, &mut y).unwrap();
        assert_eq!(report.conversions.codes, cost.conversions_per_vector as u64);
    }
}

/// Sharing a converter costs cycles and changes no number.
#[test]
fn a_shared_converter_changes_the_report_alone() {
    let mut hardware = hardware();
    hardware.adc.converter = linear(4, FullScale::Dynamic { overflow_rate: 0.0 });
    let x = random(5 * ROWS, 8);
    let mut outputs = Vec::new();
    for (columns, converters, cycles) in [(1, 3 * COLUMNS, 1), (2, 3 * (4 + 4 + 3), 2), (100, 9, 7)] {
        hardware.adc.columns_per_adc = columns;
        let matrix = map(&hardware, &LayerInputs::new());
        let cost = matrix.report().converters.unwrap();
        assert_eq!((cost.converters, cost.cycles_per_vector), (converters, cycles));
        outputs.push(multiply(&matrix, &x));
    }
    assert!(outputs[0] == outputs[1] && outputs[0] == outputs[2]);
}

/// A step after which the devices of tile t conduct `1 / (1 + t / 10)` of what they did.
#[derive(Debug)]
struct Fade;

impl NonIdeality for Fade {
    fn name(&self) -> &str {
        "fade"
    }

    fn phase(&self) -> Phase {
        Phase::Programmed
    }

    fn apply(&self, array: &mut Array, _: Stream) -> Result<Report, CrossbarError> {
        let layout = *array.layout();
        for (device, g) in array.conductances_mut().iter_mut().enumerate() {
            *g /= 1.0 + 0.1 * f64::from(layout.place(device)[0]);
        }
        Ok(Report::default())
    }
}

#[test]
fn a_gain_for_each_tile_makes_up_for_what_each_tile_lost() {
    let mut hardware = hardware();
    hardware.nonidealities = vec![Entry::new(Arc::new(Fade))];
    let x = random(6 * ROWS, 9);
    let weights = weights();
    let ideal: Vec<f64> = x
        .chunks(ROWS)
        .flat_map(|x| {
            (0..COLUMNS).map(|c| (0..ROWS).map(|r| f64::from(x[r]) * f64::from(weights[[0, r, c]])).sum())
        })
        .collect();
    for (inputs, samples) in [(ProbeInputs::Uniform, 16), (ProbeInputs::Data, 10)] {
        for intercept in [false, true] {
            let tuning = Tuning { samples, per: PerWhat::Tile, intercept, inputs };
            hardware.tuning = tuning;
            let tiles = map(&hardware, &seen());
            let gains = tiles.tile_gains().unwrap();
            assert_eq!(gains.len(), 9);
            for (tile, gain) in gains.iter().enumerate() {
                assert!((gain - (1.0 + 0.1 * tile as f64)).abs() < 1e-4, "{gains:?}");
            }
            assert!(tiles.report().r2.unwrap() > 1.0 - 1e-8);
            assert_eq!(differ(&multiply(&tiles, &x), &ideal), 0);
            hardware.tuning = Tuning { per: PerWhat::Layer, ..tuning };
            let layer = map(&hardware, &seen());
            assert!(layer.report().r2.unwrap() < 0.999 && layer.tile_gains().is_none());
        }
    }
    // Ideal converters make no codes, whatever the gains.
    let mut y = vec![0.0; COLUMNS];
    hardware.tuning = Tuning { samples: 16, per: PerWhat::Tile, ..Tuning::default() };
    let report =
        map(&hardware, &seen()).multiply(Input::Rows { values: &x[..ROWS], rows: 1 }, &mut y).unwrap();
    assert_eq!(report.conversions.codes, 0);
}

/// Rows of tiles of which the data say nothing keep the analytic gain, and a person is told.
#[test]
fn a_ridge_is_told() {
    let mut hardware = hardware();
    hardware.tuning =
        Tuning { samples: 10, per: PerWhat::Tile, inputs: ProbeInputs::Data, ..Tuning::default() };
    let mut dark = LayerInputs::new();
    for sample in 0..10 {
        let mut values = random(ROWS, 40 + sample as u64);
        values[WORD_LINES..2 * WORD_LINES].fill(0.0);
        dark.push(sample, Input::Rows { values: &values, rows: 1 });
    }
    let matrix = map(&hardware, &dark);
    assert!(matrix.report().warnings.iter().any(|warning| warning.contains("ridge")));
    for (tile, gain) in matrix.tile_gains().unwrap().iter().enumerate() {
        assert!((gain - 1.0).abs() < 1e-4, "{tile}: {gain}");
    }
}

#[test]
fn data_that_is_needed_and_not_there_is_an_error() {
    let mut tuned = hardware();
    tuned.tuning = Tuning { samples: 4, inputs: ProbeInputs::Data, ..Tuning::default() };
    let mut calibrated = hardware();
    calibrated.input.scale = InputScale::Calibrated;
    calibrated.calibration.inputs = ProbeInputs::Data;
    for (hardware, key) in [(tuned, "inputs"), (calibrated, "calibration")] {
        let error = try_map(&hardware, &LayerInputs::new()).unwrap_err().to_string();
        assert!(error.starts_with(key) && error.contains("digital network"), "{error}");
    }
    let mut serial = hardware();
    serial.input.serial = true;
    assert!(try_map(&serial, &seen()).unwrap_err().to_string().starts_with("serial"));
    let mut percentile = hardware();
    percentile.adc.range = Some(CalibratedRange { per: PerWhat::Tile, fit: RangeFit::Percentile(0.0) });
    assert!(try_map(&percentile, &seen()).unwrap_err().to_string().starts_with("percentile"));
}
