//! Linear regression on one crossbar: weights found by least squares, programmed, and read back as
//! predictions.
//!
//! `cargo run --release --example linear_regression`

use std::sync::Arc;

use memtorch::crossbar::backend::CpuBackend;
use memtorch::crossbar::{FullScale, Input, LinearConverter};
use memtorch::devices::{DeviceSpec, Stream, models};
use memtorch::map::{Adc, Hardware, MappedMatrix, Usage, ndarray::Array3};
use memtorch::utils::config::{Table, Value};

const FEATURES: usize = 4;
const SAMPLES: usize = 200;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // y = 1.5 x0 - 2 x1 + 0.25 x2 + noise; x3 is 1, so that its weight is the constant, 0.5.
    let truth = [1.5, -2.0, 0.25, 0.5];
    let draws = Stream::root(42, 0);
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for sample in 0..SAMPLES {
        let mut rng = draws.at([sample as u32, 0, 0]);
        let row: [f64; FEATURES] =
            std::array::from_fn(|k| if k == 3 { 1.0 } else { 2.0 * rng.uniform() - 1.0 });
        y.push(row.iter().zip(truth).map(|(x, w)| x * w).sum::<f64>() + 0.1 * (rng.uniform() - 0.5));
        x.push(row);
    }
    let weights = least_squares(&x, &y);
    println!("weights: {weights:.3?}, meant: {truth:?}");

    let vteam = models::MODELS.iter().find(|model| model.name == "vteam").ok_or("no VTEAM model")?;
    // Devices that differ: 10 % in the resistance of the ON state.
    let resistances = Table::from_iter([
        (
            "r_on",
            Value::Table(Table::from_iter([(
                "lognormal",
                Value::Table(Table::from_iter([
                    ("median", Value::Real(1.4e4)),
                    ("sigma_ln", Value::Real(0.1)),
                ])),
            )])),
        ),
        ("r_off", Value::Real(5e7)),
    ]);
    let spec = DeviceSpec::configure(vteam, &resistances)?;
    let rows: Vec<f32> = x.iter().flatten().map(|x| *x as f32).collect();
    println!("root mean square error: {:.4} digitally", error(&y, |i| predict(&x[i], &weights)));
    for bits in [4, 6, 8, 10] {
        let converter = Arc::new(LinearConverter::new(bits, FullScale::Dynamic { overflow_rate: 0.0 })?);
        let hardware = Hardware { adc: Adc { converter, ..Adc::default() }, ..Hardware::new(spec.clone()) };
        let matrix = Array3::from_shape_fn((1, FEATURES, 1), |(_, k, _)| weights[k] as f32);
        let mapped = MappedMatrix::new(
            "regression",
            matrix.view(),
            &Usage::Rows,
            &hardware,
            Stream::root(0, 0),
            Arc::new(CpuBackend::new()),
        )?;
        let mut found = vec![0.0; SAMPLES];
        mapped.multiply(Input::Rows { values: &rows, rows: SAMPLES }, &mut found)?;
        println!("  {:.4} on the crossbar with {bits}-bit converters", error(&y, |i| f64::from(found[i])));
    }
    Ok(())
}

fn predict(row: &[f64; FEATURES], weights: &[f64; FEATURES]) -> f64 {
    row.iter().zip(weights).map(|(x, w)| x * w).sum()
}

fn error(y: &[f64], prediction: impl Fn(usize) -> f64) -> f64 {
    let sum: f64 = y.iter().enumerate().map(|(i, y)| (y - prediction(i)).powi(2)).sum();
    (sum / y.len() as f64).sqrt()
}

/// Solves the normal equations by Gaussian elimination; they are positive definite.
fn least_squares(x: &[[f64; FEATURES]], y: &[f64]) -> [f64; FEATURES] {
    let mut a = [[0.0; FEATURES + 1]; FEATURES];
    for (row, y) in x.iter().zip(y) {
        for i in 0..FEATURES {
            for j in 0..FEATURES {
                a[i][j] += row[i] * row[j];
            }
            a[i][FEATURES] += row[i] * y;
        }
    }
    for k in 0..FEATURES {
        let pivot = a[k];
        for row in a.iter_mut().skip(k + 1) {
            let factor = row[k] / pivot[k];
            row.iter_mut().zip(pivot).for_each(|(value, p)| *value -= factor * p);
        }
    }
    let mut weights = [0.0; FEATURES];
    for k in (0..FEATURES).rev() {
        let known: f64 = (k + 1..FEATURES).map(|j| a[k][j] * weights[j]).sum();
        weights[k] = (a[k][FEATURES] - known) / a[k][k];
    }
    weights
}
