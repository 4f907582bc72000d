//! A plain product of a matrix and a vector on a crossbar, with and without what is not ideal.
//!
//! `cargo run --release --example matrix_vector`

use std::sync::Arc;

use memtorch::crossbar::backend::CpuBackend;
use memtorch::crossbar::{FullScale, Input, LinearConverter};
use memtorch::devices::{DeviceSpec, Stream, models};
use memtorch::map::{Adc, Entry, Hardware, MappedMatrix, Usage, Wires, ndarray::Array3};
use memtorch::nonideal::Stuck;
use memtorch::utils::config::{Table, Value};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // One group of 64 inputs and 8 outputs.
    let weights = Array3::from_shape_fn((1, 64, 8), |(_, i, o)| ((i * 7 + o * 13) % 23) as f32 / 11.0 - 1.0);
    let x: Vec<f32> = (0..64).map(|i| (i as f32 * 0.37).sin()).collect();
    let exact: Vec<f32> = (0..8).map(|o| (0..64).map(|i| x[i] * weights[(0, i, o)]).sum()).collect();

    let vteam = models::MODELS.iter().find(|model| model.name == "vteam").ok_or("no VTEAM model")?;
    let resistances = Table::from_iter([("r_on", Value::Real(1.4e4)), ("r_off", Value::Real(5e7))]);
    let ideal = Hardware::new(DeviceSpec::configure(vteam, &resistances)?);
    let converter = Arc::new(LinearConverter::new(6, FullScale::Dynamic { overflow_rate: 0.0 })?);
    let coarse = Hardware { adc: Adc { converter, ..Adc::default() }, ..ideal.clone() };
    let wired = Hardware {
        wires: Wires { source_resistance: 20.0, line_resistance: 2.0, ..Wires::default() },
        ..coarse.clone()
    };
    let stuck =
        Hardware { nonidealities: vec![Entry::new(Arc::new(Stuck::new(0.0, 0.1, 0.0)?))], ..wired.clone() };

    println!("{:<34} {}", "exact", shown(&exact));
    for (name, hardware) in [
        ("ideal devices and converters", ideal),
        ("6-bit converters", coarse),
        ("and wires of 2 ohm a cell", wired),
        ("and a tenth of the devices at OFF", stuck),
    ] {
        let backend = Arc::new(CpuBackend::new());
        let stream = Stream::root(0, 0);
        let matrix = MappedMatrix::new("demo", weights.view(), &Usage::Rows, &hardware, stream, backend)?;
        let mut y = [0.0; 8];
        matrix.multiply(Input::Rows { values: &x, rows: 1 }, &mut y)?;
        let error: f32 = y.iter().zip(&exact).map(|(y, e)| (y - e).powi(2)).sum();
        let norm: f32 = exact.iter().map(|e| e.powi(2)).sum();
        println!("{name:<34} {}  relative error {:.4}", shown(&y), (error / norm).sqrt());
    }
    Ok(())
}

fn shown(values: &[f32]) -> String {
    values.iter().map(|y| format!("{y:7.3}")).collect()
}
