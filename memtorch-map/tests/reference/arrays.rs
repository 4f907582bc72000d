//! What becomes of the arrays between programming and reading: steps, ageing, wires.

use std::sync::Arc;

use memtorch_crossbar::backend::CpuBackend;
use memtorch_crossbar::{Array, CrossbarError, Input, NonIdeality, Phase, Report, TileShape};
use memtorch_devices::Stream;
use memtorch_map::{Arrays, Entry, MappedMatrix, PerWhat, Tuning, Usage, Wires};
use ndarray::Array3;

use super::{R_OFF, R_ON, hardware, random};

/// A step that multiplies conductances and asks for a new gain.
#[derive(Debug)]
struct Fade(f64, bool);

impl NonIdeality for Fade {
    fn name(&self) -> &str {
        "fade"
    }

    fn phase(&self) -> Phase {
        Phase::Aged
    }

    fn remeasures_gain(&self) -> bool {
        self.1
    }

    fn apply(&self, array: &mut Array, _: Stream) -> Result<Report, CrossbarError> {
        array.conductances_mut().iter_mut().for_each(|g| *g *= self.0);
        Ok(Report::default())
    }
}

/// The first array is the positive one, and what acts before tuning is what the gain makes up for.
#[test]
fn steps_act_on_the_arrays_and_at_the_time_that_they_are_given() {
    // One input, one positive and one negative weight: each output comes from one array.
    let weights = Array3::from_shape_vec((1, 1, 2), vec![0.75, -0.5]).unwrap();
    let run = |arrays, after_tuning, samples| {
        let mut hardware = hardware();
        hardware.tuning.samples = samples;
        let step = Arc::new(Fade(0.5, false));
        hardware.nonidealities = vec![Entry { arrays, after_tuning, ..Entry::new(step) }];
        let backend = Arc::new(CpuBackend::portable());
        let stream = Stream::root(0, 0);
        let matrix =
            MappedMatrix::new("a", weights.view(), &Usage::Rows, &hardware, stream, backend).unwrap();
        let mut y = [0.0; 2];
        matrix.multiply(Input::Rows { values: &[1.0], rows: 1 }, &mut y).unwrap();
        (y, matrix.report().steps.iter().map(|step| step.array).collect::<Vec<_>>())
    };
    // A weight w lies on its array as g_off + (g_on - g_off) w, and g_off on the other one does not cancel any more.
    let off = 0.75 * (1.0 / R_OFF) / (1.0 / R_ON - 1.0 / R_OFF);
    let near = |y: [f32; 2], expected: [f64; 2]| {
        for (y, expected) in y.into_iter().zip(expected) {
            assert!((f64::from(y) - expected).abs() < 1e-6, "{y} {expected}");
        }
    };
    let (y, steps) = run(Arrays::Positive, true, 0);
    near(y, [0.375 - 0.5 * off, -0.5 - 0.5 * off]);
    assert_eq!(steps, [0]);
    let (y, steps) = run(Arrays::Negative, true, 0);
    near(y, [0.75 + 0.5 * off, -0.25 + 0.5 * off]);
    assert_eq!(steps, [1]);
    assert_eq!(run(Arrays::All, true, 0).1, [0, 1]);
    // After tuning half of the output is lost; before it the gain is twice as large, and nothing is.
    near(run(Arrays::All, true, 8).0, [0.375, -0.25]);
    near(run(Arrays::All, false, 8).0, [0.75, -0.5]);
}

#[test]
fn one_gain_is_measured_again_after_ageing() {
    let weights = Array3::from_shape_vec((1, 40, 20), random(800, 1)).unwrap();
    let build = |samples, per, compensation| {
        let mut hardware = hardware();
        hardware.tuning = Tuning { samples, per, intercept: samples > 0, ..Tuning::default() };
        hardware.nonidealities = vec![Entry::new(Arc::new(Fade(0.25, compensation)))];
        let backend = Arc::new(CpuBackend::portable());
        MappedMatrix::new("a", weights.view(), &Usage::Rows, &hardware, Stream::root(0, 0), backend).unwrap()
    };
    for samples in [0, 16] {
        for per in [PerWhat::Layer, PerWhat::Column] {
            let (without, with) = (build(samples, per, false), build(samples, per, true));
            assert_eq!(without.report().compensation, None);
            // All devices lost the same three quarters, so the gain grows fourfold; f32 products.
            let factor = with.report().compensation.unwrap();
            assert!((factor - 4.0).abs() < 1e-4, "{samples} {per:?}: {factor}");
            for (new, old) in with.gains().iter().zip(without.gains()) {
                assert!((new / old / factor - 1.0).abs() < 1e-12);
            }
            assert_eq!(with.intercepts(), without.intercepts());
        }
    }
}

/// Fault 1 of the published tool: the passive solve ran on the difference of the two arrays.
#[test]
fn the_two_arrays_with_wires_are_two_circuits() {
    // One device a tile: R_s + 1/g + R_s in series, for the positive and the negative array alone.
    let mut hardware = hardware();
    hardware.tile = TileShape::Sized { word_lines: 1, bit_lines: 1 };
    hardware.wires = Wires { source_resistance: 500.0, transistor_resistance: 200.0, ..Wires::default() };
    let weights = Array3::from_shape_vec((1, 2, 2), vec![1.0, -0.5, 0.25, 0.0]).unwrap();
    let backend = Arc::new(CpuBackend::portable());
    let matrix =
        MappedMatrix::new("a", weights.view(), &Usage::Rows, &hardware, Stream::root(0, 0), backend).unwrap();
    let mut y = [0.0; 2];
    matrix.multiply(Input::Rows { values: &[1.0, -2.0], rows: 1 }, &mut y).unwrap();
    let (on, off) = (1.0 / R_ON, 1.0 / R_OFF);
    let effective = |state: f64| 1.0 / (1.0 / (off + (on - off) * state) + 1200.0);
    for column in 0..2 {
        let expected: f64 = [1.0, -2.0]
            .iter()
            .enumerate()
            .map(|(row, x)| {
                let w = f64::from(weights[[0, row, column]]);
                x * (effective(w.max(0.0)) - effective((-w).max(0.0))) / (on - off)
            })
            .sum();
        assert!((f64::from(y[column]) - expected).abs() < 1e-6, "{} {expected}", y[column]);
    }
}

#[test]
fn wires_without_resistance_change_nothing_and_little_resistance_little() {
    let weights = Array3::from_shape_vec((1, 20, 10), random(200, 9)).unwrap();
    let x = random(20, 10);
    let run = |wires: Wires| {
        let mut hardware = hardware();
        hardware.wires = wires;
        let backend = Arc::new(CpuBackend::portable());
        let stream = Stream::root(0, 0);
        let matrix =
            MappedMatrix::new("a", weights.view(), &Usage::Rows, &hardware, stream, backend).unwrap();
        let mut y = vec![0.0; 10];
        matrix.multiply(Input::Rows { values: &x, rows: 1 }, &mut y).unwrap();
        y
    };
    let ideal = run(Wires::default());
    let distance = |r: f64| {
        let y = run(Wires { source_resistance: r, line_resistance: r, ..Wires::default() });
        y.iter().zip(&ideal).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max)
    };
    assert!(distance(1e-12) < 1e-6);
    // To first order the loss grows in proportion.
    let ratio = distance(10.0) / distance(1.0);
    assert!((5.0..10.5).contains(&ratio), "{ratio}");
}
