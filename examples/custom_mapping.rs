//! A mapping of your own: two devices a weight that share its magnitude, so that both always conduct.
//!
//! `cargo run --release --example custom_mapping`

use std::sync::Arc;

use memtorch::crossbar::Input;
use memtorch::crossbar::backend::CpuBackend;
use memtorch::devices::{DeviceSpec, Stream, models};
use memtorch::map::{
    DoubleColumn, Hardware, MappedMatrix, MappingScheme, Minus, Term, Usage, ndarray::Array3,
};
use memtorch::utils::config::{Table, Value};
use memtorch::{Registry, SchemeEntry};

/// What a registry needs to offer it as `scheme = "balanced"`.
const ENTRY: SchemeEntry = SchemeEntry {
    name: "balanced",
    meaning: "Two devices share a weight's magnitude",
    fields: &[],
    build: |_| Ok(Arc::new(Balanced)),
};

/// Half of the range is no weight; one device goes up by what the other goes down.
#[derive(Clone, Copy, Debug)]
struct Balanced;

impl MappingScheme for Balanced {
    fn name(&self) -> &str {
        ENTRY.name
    }

    fn arrays(&self) -> usize {
        2
    }

    fn states(&self, weight: f64, _floor: f64, states: &mut [f64]) {
        states[0] = 0.5 * (1.0 + weight);
        states[1] = 0.5 * (1.0 - weight);
    }

    fn terms(&self) -> Vec<Term> {
        vec![Term { array: 0, minus: Minus::Array(1), weight: 1.0 }]
    }

    fn gain(&self, _floor: f64) -> f64 {
        // The difference of the states is the relative weight.
        1.0
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut registry = Registry::with_defaults();
    registry.register_scheme(ENTRY)?; // for memtorch::cli::main(registry)

    let vteam = models::MODELS.iter().find(|model| model.name == "vteam").ok_or("no VTEAM model")?;
    let resistances = Table::from_iter([("r_on", Value::Real(1.4e4)), ("r_off", Value::Real(5e7))]);
    let plain = Hardware::new(DeviceSpec::configure(vteam, &resistances)?);
    let weights = Array3::from_shape_fn((1, 16, 4), |(_, i, o)| ((i * 7 + o * 5) % 19) as f32 / 9.0 - 1.0);
    let x: Vec<f32> = (0..16).map(|i| (i as f32 * 0.9).cos()).collect();
    let exact: Vec<f32> = (0..4).map(|o| (0..16).map(|i| x[i] * weights[(0, i, o)]).sum()).collect();
    println!("{:<14} {exact:8.4?}", "exact");
    let schemes: [Arc<dyn MappingScheme>; 2] = [Arc::new(DoubleColumn), Arc::new(Balanced)];
    for scheme in schemes {
        let hardware = Hardware { scheme, ..plain.clone() };
        let backend = Arc::new(CpuBackend::new());
        let stream = Stream::root(0, 0);
        let matrix = MappedMatrix::new("demo", weights.view(), &Usage::Rows, &hardware, stream, backend)?;
        let mut y = [0.0; 4];
        matrix.multiply(Input::Rows { values: &x, rows: 1 }, &mut y)?;
        let total: f64 = matrix.arrays().iter().flat_map(|array| array.conductances()).sum();
        println!("{:<14} {y:8.4?}, {:.3} mS in all", hardware.scheme.name(), 1e3 * total);
        assert!(y.iter().zip(&exact).all(|(y, exact)| (y - exact).abs() < 1e-3));
    }
    Ok(())
}
