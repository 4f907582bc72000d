//! A non-ideality of your own: devices of the outer bit lines of each tile conduct less, as at the edge of a
//! wafer.
//!
//! `cargo run --release --example custom_nonideality`

use std::sync::Arc;

use memtorch::Registry;
use memtorch::crossbar::backend::CpuBackend;
use memtorch::crossbar::{Array, CrossbarError, Input, NonIdeality, Phase, Report};
use memtorch::devices::{DeviceSpec, Stream, models};
use memtorch::map::{Entry, Hardware, MappedMatrix, Usage, ndarray::Array3};
use memtorch::nonideal::NonIdealityEntry;
use memtorch::utils::config::{self, ConfigError, Default as Preset, Field, Kind, Table, Value};

/// What a registry needs to offer it as `kind = "wafer-edge"`: its keys, and how it is made from them.
const ENTRY: NonIdealityEntry = NonIdealityEntry {
    name: "wafer-edge",
    meaning: "Devices at the edges of tiles conduct less",
    fields: &[
        Field::new("width", Kind::Integer, Preset::Integer(4), "bit lines of an edge").range(1.0, 1e6),
        Field::new("loss", Kind::Real, Preset::Required, "largest share of a conductance that is lost")
            .range(0.0, 1.0),
    ],
    build,
    after_tuning: false,
};

/// The table is complete and in range: `ENTRY.fields` was checked.
fn build(table: &Table) -> Result<Arc<dyn NonIdeality>, ConfigError> {
    let width = table.get("width").and_then(Value::as_count).unwrap_or(0) as u32;
    let loss = table.get("loss").and_then(Value::as_real).unwrap_or(0.0);
    Ok(Arc::new(WaferEdge { width, loss }))
}

/// Every device on the first and last `width` bit lines of a tile loses up to `loss` of its conductance.
#[derive(Debug)]
struct WaferEdge {
    width: u32,
    loss: f64,
}

impl NonIdeality for WaferEdge {
    fn name(&self) -> &str {
        ENTRY.name
    }

    fn phase(&self) -> Phase {
        Phase::Programmed
    }

    fn apply(&self, array: &mut Array, stream: Stream) -> Result<Report, CrossbarError> {
        let layout = *array.layout();
        let last = (layout.tile_shape()[1] as u32).saturating_sub(1);
        let mut changed = 0;
        // `write` leaves devices alone that cannot be written, and says how many they are.
        let masked = array.write(|device, conductance, (lowest, _)| {
            let place = layout.place(device);
            if place[2] >= self.width && place[2] + self.width <= last {
                return conductance;
            }
            changed += 1;
            (conductance * (1.0 - self.loss * stream.at(place).uniform())).max(lowest)
        });
        Ok(Report::default().count("devices at an edge", changed).count("of all, not writable", masked))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut registry = Registry::with_defaults();
    registry.register_non_ideality(ENTRY)?; // for memtorch::cli::main(registry)

    let vteam = models::MODELS.iter().find(|model| model.name == "vteam").ok_or("no VTEAM model")?;
    let resistances = Table::from_iter([("r_on", Value::Real(1.4e4)), ("r_off", Value::Real(5e7))]);
    let ideal = Hardware::new(DeviceSpec::configure(vteam, &resistances)?);
    // As an experiment file would say it: kind = "wafer-edge", loss = 0.5.
    let keys = config::check(ENTRY.fields, &Table::from_iter([("loss", Value::Real(0.5))]))?;
    let spoiled = Hardware { nonidealities: vec![Entry::new((ENTRY.build)(&keys)?)], ..ideal.clone() };
    let weights = Array3::from_shape_fn((1, 64, 32), |(_, i, o)| ((i * 7 + o * 5) % 19) as f32 / 9.0 - 1.0);
    let x = [1.0f32; 64];
    let mut outputs = Vec::new();
    for hardware in [&ideal, &spoiled] {
        let backend = Arc::new(CpuBackend::new());
        let matrix =
            MappedMatrix::new("demo", weights.view(), &Usage::Rows, hardware, Stream::root(0, 0), backend)?;
        for step in &matrix.report().steps {
            for effect in &step.report.effects {
                println!("{}, array {}: {} {}", step.name, step.array, effect.what, effect.value);
            }
        }
        let mut y = vec![0.0; 32];
        matrix.multiply(Input::Rows { values: &x, rows: 1 }, &mut y)?;
        outputs.push(y);
    }
    for (o, (ideal, spoiled)) in outputs[0].iter().zip(&outputs[1]).enumerate().step_by(5) {
        println!("output {o:>2}: {ideal:8.3} without, {spoiled:8.3} with it");
    }
    Ok(())
}
