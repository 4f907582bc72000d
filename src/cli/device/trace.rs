//! `memtorch device trace`

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use memtorch_devices::{Device, DeviceEntry, DeviceError, Stream, Sweep};
use memtorch_utils::config::{self, ConfigError, Kind, Table, Value};
use memtorch_utils::files::write_atomic;
use memtorch_utils::npy::NpyArray;

use super::plot;
use crate::cli::arguments::Trace;
use crate::cli::print;
use crate::experiment::Document;
use crate::report::picture::Picture;
use crate::{Error, Registry};

/// Five numbers a sample are kept: 4 GB.
const MOST_SAMPLES: f64 = 1e8;

pub(crate) fn execute(arguments: &Trace, registry: &Registry) -> Result<(), Error> {
    let picture = arguments.plot.as_ref().map(|path| Picture::at("--plot", path)).transpose()?;
    let entry = entry(&arguments.model, registry)?;
    let (device, mut table) = device(entry, arguments)?;
    let dt = arguments.dt.unwrap_or_else(|| device.time_step());
    let voltages = voltages(arguments, &*device, dt)?;
    if let Some(caution) = device.caution(dt) {
        // Nobody is told that a warning could not be told.
        let _ = writeln!(std::io::stderr(), "warning: {caution}");
    }
    let stream = Stream::root(arguments.seed, 0);
    let trace = memtorch_devices::trace(device.clone(), &voltages, dt, stream)
        .map_err(|error| Error::argument(entry.name, error, "a trace that is possible"))?;
    if let Some(at) = trace.currents.iter().position(|i| !i.is_finite()) {
        let what = format!("current of {} at sample {at}", entry.name);
        let expected = format!("a finite number: {} V is beyond what the model can compute", voltages[at]);
        return Err(Error::argument(what, trace.currents[at], expected));
    }
    if let Some(path) = &arguments.out {
        NpyArray::from_f64(&[voltages.len()], trace.currents.clone()).write(path)?;
    }
    if let Some(path) = &arguments.csv {
        write_atomic(path, |file| csv(&trace, file))?;
    }
    if let Some(picture) = picture {
        let style = if arguments.switching { plot::Current::Logarithmic } else { plot::Current::Linear };
        plot::draw(&picture, &trace, entry.name, device.state_label(), style)?;
    }
    let (start, end) = (trace.conductances[0], trace.final_conductance);
    if !arguments.json {
        return print(&human(entry.name, &trace, start, end));
    }
    for (name, value) in [("time_step", dt), ("start_conductance", start)] {
        if entry.fields.iter().any(|field| field.name == name) {
            table.insert(name, Value::Real(value));
        }
    }
    let report = serde_json::json!({
        "model": entry.name,
        "parameters": json(&Value::Table(table)),
        "time_step": dt,
        "samples": voltages.len(),
        "start_conductance": start,
        "final_conductance": end,
    });
    print(&format!("{report:#}\n"))
}

/// The model of this name.
pub(crate) fn entry<'a>(name: &str, registry: &'a Registry) -> Result<&'a DeviceEntry, Error> {
    registry.devices().iter().find(|entry| entry.name == name).ok_or_else(|| {
        let names: Vec<&str> = registry.devices().iter().map(|entry| entry.name).collect();
        let near = config::nearest(name, names.iter().copied());
        let near = near.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
        Error::argument("device model", name, format!("one of {}{near}", names.join(", ")))
    })
}

/// The device that the options describe, and its complete parameters.
fn device(entry: &DeviceEntry, arguments: &Trace) -> Result<(Arc<dyn Device>, Table), Error> {
    let mut document = Document::empty();
    for option in &arguments.set {
        document.set(option)?;
    }
    let table = config::check(entry.fields, &document.table).map_err(|error| document.error(error))?;
    for field in entry.fields.iter().filter(|field| field.kind == Kind::Parameter) {
        if let Some(value @ Value::Table(_)) = table.get(field.name) {
            let expected = "a number: a trace records one device";
            return Err(document.error(ConfigError::value(field.name, value, expected)));
        }
    }
    let device = (entry.build)(&table).map_err(|error| match error {
        DeviceError::Config(error) => document.error(error),
        DeviceError::Parameter { parameter, value, expected } => {
            document.error(ConfigError::value(parameter, format!("{value:?}"), expected))
        }
        other => Error::argument("device model", entry.name, other.to_string()),
    })?;
    Ok((device, table))
}

/// The voltage of each sample.
fn voltages(arguments: &Trace, device: &dyn Device, dt: f64) -> Result<Vec<f64>, Error> {
    positive("--dt", Some(dt), "s")?;
    if let Some(path) = &arguments.voltage {
        return file(path);
    }
    positive("--amplitude", arguments.amplitude, "V")?;
    positive("--frequency", arguments.frequency, "Hz")?;
    positive("--cycles", arguments.cycles, "periods")?;
    let own = device.sweeps();
    let own = own.map(|own| if arguments.switching { own.switching } else { own.hysteresis });
    let needed = |option, given: Option<f64>, own: Option<f64>| {
        given.or(own).ok_or_else(|| {
            Error::argument(
                option,
                "not given",
                format!("a number: {} has no sweep of its own", device.name()),
            )
        })
    };
    let amplitude = needed("--amplitude", arguments.amplitude, own.map(|own| own.amplitude))?;
    let frequency = needed("--frequency", arguments.frequency, own.map(|own| own.frequency))?;
    let duration = match (arguments.cycles, own) {
        (Some(cycles), _) => cycles / frequency,
        (None, _) if arguments.switching => 1.0 / frequency,
        (None, own) => needed("--cycles", None, own.map(|own| own.duration))?,
    };
    let sweep = Sweep { amplitude, frequency, duration };
    let samples = sweep.samples(dt);
    if !(samples <= MOST_SAMPLES) {
        let what = format!("samples of {duration:e} s at a time step of {dt:e} s");
        let expected = format!("at most {MOST_SAMPLES:e}: a longer --dt, or a shorter sweep");
        return Err(Error::argument(what, format!("{samples:e}"), expected));
    }
    let period = 1.0 / (frequency * dt);
    if period < 10.0 {
        let line = format!("warning: only {period:.1} samples a period: a shorter --dt shows more");
        // As above.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
    Ok(if arguments.switching { sweep.triangle(dt) } else { sweep.sine(dt) })
}

fn positive(option: &str, value: Option<f64>, unit: &str) -> Result<(), Error> {
    match value {
        Some(value) if !(value > 0.0 && value.is_finite()) => {
            Err(Error::argument(option, value, format!("a positive number of {unit}")))
        }
        _ => Ok(()),
    }
}

/// Voltages of a file.
fn file(path: &Path) -> Result<Vec<f64>, Error> {
    let array = NpyArray::read(path)?;
    let name = path.display().to_string();
    let shape = || format!("shape {:?}", array.shape);
    if array.shape.len() != 1 {
        return Err(Error::argument(name, shape(), "a list [samples]"));
    }
    if array.data.is_empty() {
        return Err(Error::argument(name, shape(), "an array that is not empty"));
    }
    if array.shape[0] as f64 > MOST_SAMPLES {
        return Err(Error::argument(name, shape(), format!("at most {MOST_SAMPLES:e} samples")));
    }
    if let Some((index, value)) = array.first_not_finite() {
        return Err(Error::argument(name, format!("{value} at {index:?}"), "finite numbers"));
    }
    Ok(array.into_f64())
}

fn csv(trace: &memtorch_devices::Trace, file: &mut dyn Write) -> std::io::Result<()> {
    writeln!(file, "time,voltage,current,state,conductance")?;
    for (k, voltage) in trace.voltages.iter().enumerate() {
        let time = k as f64 * trace.time_step;
        let (current, state, conductance) = (trace.currents[k], trace.states[k], trace.conductances[k]);
        writeln!(file, "{time:?},{voltage:?},{current:?},{state:?},{conductance:?}")?;
    }
    Ok(())
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Bool(value) => serde_json::json!(value),
        Value::Integer(value) => serde_json::json!(value),
        Value::Real(value) => serde_json::json!(value),
        Value::Text(value) => serde_json::json!(value),
        Value::List(list) => list.iter().map(json).collect(),
        Value::Table(table) => table.iter().map(|(key, value)| (key.to_owned(), json(value))).collect(),
        other => serde_json::json!(other.to_string()),
    }
}

fn human(model: &str, trace: &memtorch_devices::Trace, start: f64, end: f64) -> String {
    let range = |values: &[f64]| {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (low, high)
    };
    let ((v, w), (i, j)) = (range(&trace.voltages), range(&trace.currents));
    let (g, h) = range(&trace.conductances);
    format!(
        "{model}: {} samples, one every {:e} s\n\
         voltage      {v:.6} to {w:.6} V\n\
         current      {i:.6e} to {j:.6e} A\n\
         resistance   {:.6} to {:.6} ohm\n\
         conductance  {start:.6e} S at the beginning, {end:.6e} S at the end\n",
        trace.voltages.len(),
        trace.time_step,
        1.0 / h,
        1.0 / g,
    )
}
