//! `memtorch device trace`

use std::io::Write;
use std::path::Path;

use memtorch_crossbar::CrossbarError;
use memtorch_devices::{
    Device, DeviceError, DeviceParameters, DeviceSpec, Population, PopulationBackend, Stream, Sweep,
};
use memtorch_nonideal::{Spacing, States};
use memtorch_utils::config::{ConfigError, Value};
use memtorch_utils::files::write_atomic;
use memtorch_utils::npy::NpyArray;

use super::{model, plot};
use crate::cli::arguments::Trace;
use crate::cli::{context, print};
use crate::report::picture::Picture;
use crate::{Error, Registry};

/// Five numbers a sample are kept: 4 GB.
const MOST_SAMPLES: f64 = 1e8;

/// Devices under one voltage; what they do is `[samples, devices]`.
pub(super) struct Traces {
    pub(super) devices: usize,
    pub(super) time_step: f64,
    /// In V.
    pub(super) voltages: Vec<f64>,
    /// In A.
    pub(super) currents: Vec<f64>,
    /// In the model's own terms.
    pub(super) states: Vec<f64>,
    /// In S.
    pub(super) conductances: Vec<f64>,
    /// After the last sample, in S.
    pub(super) last: Vec<f64>,
    /// Devices whose parameters were drawn more than once, because they were not possible.
    redrawn: usize,
}

impl Traces {
    /// The time of each sample in s.
    pub(super) fn times(&self) -> Vec<f64> {
        (0..self.voltages.len()).map(|k| k as f64 * self.time_step).collect()
    }
}

pub(crate) fn execute(arguments: &Trace, registry: &Registry) -> Result<(), Error> {
    let picture = arguments.plot.as_ref().map(|path| Picture::at("--plot", path)).transpose()?;
    let entry = model::entry(&arguments.model, registry)?;
    let document = model::options(&arguments.set)?;
    let (spec, mut table) = model::spec(entry, &document)?;
    if arguments.devices.is_none()
        && let Some((name, _)) = spec.distributions.first()
        && let Some(value) = table.get(name)
    {
        let expected = "a number: a trace records one device, if --devices does not say how many";
        return Err(document.error(ConfigError::value(*name, value, expected)));
    }
    let device = &*spec.model;
    let dt = arguments.dt.unwrap_or_else(|| device.time_step());
    let backend = context::populations(&arguments.backend, registry)?;
    let voltages = voltages(arguments, device, dt)?;
    if let Some(caution) = device.caution(dt) {
        // Nobody is told that a warning could not be told.
        let _ = writeln!(std::io::stderr(), "warning: {caution}");
    }
    let left = backend.leaves_to_cpu(device);
    if !left.is_empty() {
        let (name, what) = (backend.name(), left.join(", "));
        // As above.
        let _ = writeln!(std::io::stderr(), "warning: the backend {name} leaves to the CPU: {what}");
    }
    let traces = record(arguments, &spec, voltages, dt, &*backend)?;
    if let Some(at) = traces.currents.iter().position(|i| !i.is_finite()) {
        let sample = at / traces.devices;
        let what = format!("current of {} at sample {sample}", entry.name);
        let voltage = traces.voltages[sample];
        let expected = format!("a finite number: {voltage} V is beyond what the model can compute");
        return Err(Error::argument(what, traces.currents[at], expected));
    }
    if let Some(path) = &arguments.out {
        let array = if arguments.devices.is_none() {
            NpyArray::from_f64(&[traces.voltages.len()], traces.currents.clone())
        } else {
            let of = |device: usize| traces.currents.iter().skip(device).step_by(traces.devices).copied();
            let all = (0..traces.devices).flat_map(of).collect();
            NpyArray::from_f64(&[traces.devices, traces.voltages.len()], all)
        };
        array.write(path)?;
    }
    if let Some(path) = &arguments.csv {
        write_atomic(path, |file| csv(&traces, arguments.devices.is_some(), file))?;
    }
    if let Some(picture) = picture {
        let style = if arguments.switching { plot::Current::Logarithmic } else { plot::Current::Linear };
        plot::traces(&picture, &traces, entry.name, device.state_label(), style)?;
    }
    if !arguments.json {
        return print(&human(entry.name, &traces));
    }
    let start = traces.conductances[0];
    for (name, value) in [("time_step", dt), ("start_conductance", start)] {
        let many = arguments.devices.is_some() && name == "start_conductance";
        if !many && entry.fields.iter().any(|field| field.name == name) {
            table.insert(name, Value::Real(value));
        }
    }
    let mut report = serde_json::json!({
        "model": entry.name,
        "parameters": model::json(&Value::Table(table)),
        "time_step": dt,
        "samples": traces.voltages.len(),
    });
    if arguments.devices.is_none() {
        report["start_conductance"] = start.into();
        report["final_conductance"] = traces.last[0].into();
    } else {
        report["devices"] = traces.devices.into();
        report["redrawn"] = traces.redrawn.into();
        report["start_conductances"] = traces.conductances[..traces.devices].into();
        report["final_conductances"] = traces.last.clone().into();
    }
    print(&format!("{report:#}\n"))
}

/// Fabricates the devices and records them.
fn record(
    arguments: &Trace,
    spec: &DeviceSpec,
    voltages: Vec<f64>,
    dt: f64,
    backend: &dyn PopulationBackend,
) -> Result<Traces, Error> {
    let devices = arguments.devices.unwrap_or(1) as usize;
    let asked = devices as f64 * voltages.len() as f64;
    if asked > MOST_SAMPLES {
        let expected = format!("at most {MOST_SAMPLES:e}: fewer --devices, or a longer --dt");
        return Err(Error::argument("samples of all devices", format!("{asked:e}"), expected));
    }
    let impossible = |error: memtorch_devices::DeviceError| {
        Error::argument(spec.model.name(), error, "a trace that is possible")
    };
    let stream = Stream::root(arguments.seed, 0);
    let mut parameters = DeviceParameters::new(spec.model.clone(), devices);
    let drawn = parameters
        .vary(&spec.distributions, stream.named("fabrication"), &|devices| {
            devices.map(|device| [device as u32, 0, 0]).collect()
        })
        .map_err(impossible)?;
    let mut population = Population::new(parameters, stream);
    let recording = backend.record(&mut population, &voltages, dt).map_err(|error| match error {
        DeviceError::Backend { .. } => CrossbarError::from(error).into(),
        error => impossible(error),
    })?;
    let mut traces = Traces {
        devices,
        time_step: dt,
        voltages,
        currents: recording.currents,
        states: recording.states,
        conductances: recording.conductances,
        last: population.conductances(),
        redrawn: drawn.redrawn,
    };
    if let Some(count) = arguments.states {
        let states = States::even(count, Spacing::Conductance)
            .map_err(|error| Error::argument("--states", count, error.to_string()))?;
        read_states(&mut traces, &states, population).map_err(impossible)?;
    }
    Ok(traces)
}

/// Reads every device at the nearest of its states; underneath, its state moves as before.
fn read_states(
    traces: &mut Traces,
    states: &States,
    mut population: Population,
) -> Result<(), memtorch_devices::DeviceError> {
    let bounds: Vec<(f64, f64)> = {
        let (r_on, r_off) = (population.parameters().r_on(), population.parameters().r_off());
        (0..traces.devices).map(|device| (1.0 / r_off.get(device), 1.0 / r_on.get(device))).collect()
    };
    let nearest = |conductances: &[f64]| -> Vec<f64> {
        conductances.iter().zip(&bounds).map(|(g, bounds)| states.nearest(*g, *bounds)).collect()
    };
    let rows = traces.conductances.chunks_mut(traces.devices).zip(traces.currents.chunks_mut(traces.devices));
    for ((conductances, currents), voltage) in rows.zip(&traces.voltages) {
        let read = population.set_conductances(&nearest(conductances))?;
        conductances.copy_from_slice(&read);
        currents.copy_from_slice(&population.currents(&vec![*voltage; traces.devices])?);
    }
    traces.last = nearest(&traces.last);
    Ok(())
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

fn csv(traces: &Traces, many: bool, file: &mut dyn Write) -> std::io::Result<()> {
    writeln!(file, "{}time,voltage,current,state,conductance", if many { "device," } else { "" })?;
    let times = traces.times();
    for device in 0..traces.devices {
        for (k, (time, voltage)) in times.iter().zip(&traces.voltages).enumerate() {
            let at = k * traces.devices + device;
            let (current, state, conductance) =
                (traces.currents[at], traces.states[at], traces.conductances[at]);
            if many {
                write!(file, "{device},")?;
            }
            writeln!(file, "{time:?},{voltage:?},{current:?},{state:?},{conductance:?}")?;
        }
    }
    Ok(())
}

fn human(model: &str, traces: &Traces) -> String {
    let range = |values: &[f64]| {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (low, high)
    };
    let ((v, w), (i, j)) = (range(&traces.voltages), range(&traces.currents));
    let (g, h) = range(&traces.conductances);
    let shown = |(low, high): (f64, f64)| match traces.devices {
        1 => format!("{low:.6e} S"),
        _ => format!("{low:.6e} to {high:.6e} S"),
    };
    let (start, end) = (shown(range(&traces.conductances[..traces.devices])), shown(range(&traces.last)));
    let devices = match (traces.devices, traces.redrawn) {
        (1, _) => String::new(),
        (devices, 0) => format!("{devices} devices, "),
        (devices, redrawn) => format!("{devices} devices ({redrawn} drawn again), "),
    };
    format!(
        "{model}: {devices}{} samples, one every {:e} s\n\
         voltage      {v:.6} to {w:.6} V\n\
         current      {i:.6e} to {j:.6e} A\n\
         resistance   {:.6} to {:.6} ohm\n\
         conductance  {start} at the beginning, {end} at the end\n",
        traces.voltages.len(),
        traces.time_step,
        1.0 / h,
        1.0 / g,
    )
}
