//! `memtorch program`

pub(crate) mod arguments;
mod plot;
mod report;

use std::io::Write;

use memtorch_crossbar::programming::{PulseRecord, Resistances};
use memtorch_crossbar::{Array, CrossbarError, Layout, TileShape};
use memtorch_devices::{Device, DeviceError, DeviceSpec, Stream};
use memtorch_utils::config::ConfigError;
use memtorch_utils::files::write_atomic;
use memtorch_utils::npy::NpyArray;

use super::{context, device, print};
use crate::experiment::Document;
use crate::experiment::pulses::PulseOptions;
use crate::report::picture::Picture;
use crate::{Error, Registry};
use arguments::Program;

pub(crate) fn execute(arguments: &Program, registry: &Registry) -> Result<(), Error> {
    let picture = arguments.plot.as_ref().map(|path| Picture::at("--plot", path)).transpose()?;
    let spec = spec(arguments, registry)?;
    let model = &*spec.model;
    let options = options(arguments);
    let mut programmer = options.programmer(model).map_err(option)?;
    programmer.record = arguments.record.is_some();
    let (shape, targets) = targets(arguments, model)?;
    let idle = options.idle().into_iter();
    let idle = idle.map(|(what, why)| format!("{} changes nothing: {why}", name(what)));
    for warning in idle.chain(model.caution(model.time_step())) {
        // Nobody is told that a warning could not be told.
        let _ = writeln!(std::io::stderr(), "warning: {warning}");
    }
    let layout = Layout::new(1, shape[0], shape[1], TileShape::Layer)?;
    let stream = Stream::root(arguments.seed, 0);
    let (mut array, _) = Array::fabricate(layout, &spec, stream.named("device"))?;
    let start = model.start_conductance();
    array.write(|_, _, (low, high)| start.clamp(low, high));
    let done = context::with_threads(arguments.threads, || {
        programmer.program(&mut array, &targets, stream.named("program")).map_err(option)
    })?;
    if let Some(path) = &arguments.out {
        NpyArray::from_f64(&shape, array.conductances().to_vec()).write(path)?;
    }
    if let Some(path) = &arguments.record {
        write_atomic(path, |file| csv(&done.record, shape[1], file))?;
    }
    if let Some(picture) = &picture {
        let range = 1.0 / model.r_on() - 1.0 / model.r_off();
        plot::draw(picture, model.name(), range, &done, &array, &targets)?;
    }
    let said = report::json(&programmer, model, arguments.seed, &done, &array, &targets, shape[1]);
    let said = format!("{said:#}\n");
    if let Some(path) = &arguments.report {
        write_atomic(path, |file| file.write_all(said.as_bytes()))?;
    }
    print(&if arguments.json { said } else { report::human(&programmer, model, &done, &array) })
}

/// The devices that the options describe.
fn spec(arguments: &Program, registry: &Registry) -> Result<DeviceSpec, Error> {
    let entry = device::entry(&arguments.device, registry)?;
    let mut document = Document::empty();
    for option in &arguments.set {
        document.set(option)?;
    }
    DeviceSpec::configure(entry, &document.table).map_err(|error| match error {
        DeviceError::Config(error) => document.error(error),
        DeviceError::Parameter { parameter, value, expected } => {
            document.error(ConfigError::value(parameter, format!("{value:?}"), expected))
        }
        other => Error::argument("device model", entry.name, other.to_string()),
    })
}

fn options(arguments: &Program) -> PulseOptions {
    PulseOptions {
        passive: arguments.cell == "0t1r",
        bias: arguments.bias.clone(),
        order: arguments.order.clone(),
        resistances: Resistances {
            source: arguments.source_resistance,
            line: arguments.line_resistance,
            transistor: 0.0,
        },
        scheme: arguments.scheme.clone(),
        set_voltage: arguments.set_voltage,
        reset_voltage: arguments.reset_voltage,
        pulse_width: arguments.pulse_width,
        voltage_step: arguments.voltage_step,
        voltage_limit: arguments.voltage_limit,
        longest_pulse: arguments.longest_pulse,
        voltage_error: arguments.voltage_error,
        read_voltage: arguments.read_voltage,
        read_noise: arguments.read_noise,
        max_pulses: arguments.max_pulses,
        tolerance: arguments.tolerance,
        tolerance_siemens: arguments.tolerance_siemens,
        passes: arguments.passes,
    }
}

/// An error of a setting, under the name of its option.
fn option(error: CrossbarError) -> Error {
    match error {
        CrossbarError::Value { what, value, expected } if !what.contains(' ') => {
            Error::argument(name(&what), value, expected)
        }
        other => other.into(),
    }
}

/// The option of a setting.
fn name(setting: &str) -> String {
    format!("--{}", setting.replace('_', "-"))
}

/// The targets and their shape.
fn targets(arguments: &Program, model: &dyn Device) -> Result<([usize; 2], Vec<f64>), Error> {
    let array = NpyArray::read(&arguments.target)?;
    let name = arguments.target.display().to_string();
    let said = || format!("shape {:?}", array.shape);
    let &[rows, columns] = array.shape.as_slice() else {
        return Err(Error::argument(name, said(), "[word lines, bit lines]"));
    };
    if rows * columns == 0 {
        return Err(Error::argument(name, said(), "an array that is not empty"));
    }
    if let Some((index, value)) = array.first_not_finite() {
        return Err(Error::argument(name, format!("{value} at {index:?}"), "finite numbers"));
    }
    let targets = array.into_f64();
    let (low, high) = (1.0 / model.r_off(), 1.0 / model.r_on());
    // A bound in single precision is not exactly the bound.
    let outside = |g: &f64| !(*g >= low * (1.0 - 1e-6) && *g <= high * (1.0 + 1e-6));
    if let Some(at) = targets.iter().position(outside) {
        let place = [at / columns, at % columns];
        let expected = format!("a conductance from 1/r_off = {low:e} to 1/r_on = {high:e} S");
        return Err(Error::argument(name, format!("{:e} at {place:?}", targets[at]), expected));
    }
    Ok(([rows, columns], targets))
}

/// Every pulse in the order of a machine that makes one after another.
fn csv(record: &[PulseRecord], columns: usize, file: &mut dyn Write) -> std::io::Result<()> {
    writeln!(file, "pulse,pass,row,column,applied,voltage,steps,before,after")?;
    for (number, pulse) in record.iter().enumerate() {
        let (row, column) = (pulse.device / columns, pulse.device % columns);
        let PulseRecord { pass, applied, voltage, steps, before, after, .. } = pulse;
        let places = format!("{number},{pass},{row},{column}");
        writeln!(file, "{places},{applied:?},{voltage:?},{steps},{before:?},{after:?}")?;
    }
    Ok(())
}
