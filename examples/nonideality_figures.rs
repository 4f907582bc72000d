//! Figures of non-idealities: each is what one step of a list makes of devices between 10 and 100 kilo-ohm.
//!
//! `cargo run --release --example nonideality_figures -- DIR` writes them as SVG into a folder, `-- DIR png` as PNG.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use memtorch::crossbar::backend::CpuBackend;
use memtorch::crossbar::{Array, Input, Layout, Mask, NonIdeality, Phase, TileShape};
use memtorch::devices::{DeviceSpec, Distribution, Stream, models};
use memtorch::map::{Entry, Hardware, MappedMatrix, Usage, ndarray::Array3};
use memtorch::nonideal::{
    Cause, Clustering, CycleToCycle, DeviceToDevice, Drift, Failure, Method, Nonlinear, ProgrammingError,
    ReadNoise, Spacing, StateWear, States, Stuck, SweepSettings, Telegraph, Wear,
};
use memtorch::report::chart::{Axis, COLOURS, Marks, Series, chart};
use memtorch::report::picture::{FINE, Picture};
use memtorch::utils::config::{Table, Value};

type Done = Result<(), Box<dyn Error>>;
type Draw = fn(&Picture) -> Done;

const R_ON: f64 = 1e4;
const R_OFF: f64 = 1e5;

fn main() -> Done {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| ".".to_owned());
    let extension = arguments.next().unwrap_or_else(|| "svg".to_owned());
    let figures: [(&str, Draw); 10] = [
        ("device-to-device", device_to_device),
        ("cycle-to-cycle", cycle_to_cycle),
        ("states", states),
        ("stuck", stuck),
        ("programming-error", programming_error),
        ("drift", drift),
        ("retention", retention),
        ("endurance", endurance),
        ("nonlinear", nonlinear),
        ("read-noise", read_noise),
    ];
    for (name, draw) in figures {
        draw(&Picture::at("picture", Path::new(&folder).join(name).with_extension(&extension))?)?;
    }
    Ok(())
}

/// Devices of a model between two resistances.
fn devices(model: &str, r_on: f64, r_off: f64) -> Result<DeviceSpec, Box<dyn Error>> {
    let entry = models::MODELS.iter().find(|entry| entry.name == model).ok_or("no such model")?;
    let resistances = Table::from_iter([("r_on", Value::Real(r_on)), ("r_off", Value::Real(r_off))]);
    Ok(DeviceSpec::configure(entry, &resistances)?)
}

/// Writes conductances into a line of devices, spoiled by one step.
fn spoiled(spec: &DeviceSpec, step: &dyn NonIdeality, siemens: &[f64]) -> Result<Array, Box<dyn Error>> {
    let layout = Layout::new(1, 1, siemens.len(), TileShape::Layer)?;
    let (mut array, _) = Array::fabricate(layout, spec, Stream::root(0, 0))?;
    let before = step.phase() == Phase::Fabrication;
    if before {
        step.apply(&mut array, Stream::root(0, 0).child(0))?;
    }
    array.program(siemens)?;
    if !before {
        step.apply(&mut array, Stream::root(0, 0).child(0))?;
    }
    Ok(array)
}

/// Conductances from OFF to ON, evenly spaced.
fn ramp(count: usize) -> Vec<f64> {
    let (low, high) = (1.0 / R_OFF, 1.0 / R_ON);
    (0..count).map(|k| low + (high - low) * k as f64 / (count - 1) as f64).collect()
}

/// So many numbers from `first` to `last`, evenly spaced in their logarithm.
fn decades(first: f64, last: f64, count: usize) -> impl Iterator<Item = f64> + Clone {
    (0..count).map(move |k| first * (last / first).powf(k as f64 / (count - 1) as f64))
}

fn line(points: impl Iterator<Item = (f64, f64)>, colour: usize) -> Series {
    Series::line(points, COLOURS[colour])
}

fn dots(points: impl Iterator<Item = (f64, f64)>, colour: usize) -> Series {
    line(points, colour).marks(Marks::Dots(2.0)).opacity(0.7)
}

/// One chart, with room for the legend above its points.
fn draw(picture: &Picture, x: &Axis, (what, unit): (&str, &str), series: &[Series]) -> Done {
    let values = || series.iter().flat_map(|one| one.points.iter().map(|point| point.1));
    let (low, high) = values().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), y| (a.min(y), b.max(y)));
    let y = Axis::of(values().chain([high + 0.25 * (high - low)]), what, unit);
    Ok(picture.draw((640, 400), |area| chart(area, x, &y, series))?)
}

/// Written over meant: what a device's own bounds do not allow is clipped.
fn device_to_device(picture: &Picture) -> Done {
    let meant = ramp(600);
    let array = spoiled(&devices("vteam", R_ON, R_OFF)?, &DeviceToDevice::sigma(3000.0)?, &meant)?;
    let pairs = meant.iter().copied().zip(array.conductances().iter().copied());
    let series = [
        dots(pairs, 0).named("written, r_on = N(10, 3) kilo-ohm"),
        line(meant.iter().map(|g| (*g, *g)), 1).named("meant"),
    ];
    draw(picture, &Axis::of(meant.iter().copied(), "conductance meant", "S"), ("written", "S"), &series)
}

/// Three devices over the number of the cycle.
fn cycle_to_cycle(picture: &Picture) -> Done {
    let (spec, meant) = (devices("vteam", R_ON, R_OFF)?, [2e-5, 5e-5, 9e-5]);
    let mut traces = vec![Vec::new(); meant.len()];
    for cycle in 1..=50 {
        let array = spoiled(&spec, &CycleToCycle::new(500.0)?.with_cycles(cycle)?, &meant)?;
        for (trace, g) in traces.iter_mut().zip(array.conductances()) {
            trace.push((f64::from(cycle), *g));
        }
    }
    let names = ["20 uS", "50 uS", "90 uS"];
    let series: Vec<Series> = (0..meant.len())
        .flat_map(|at| {
            let points = || traces[at].iter().copied();
            let dots = line(points(), at).marks(Marks::Dots(2.5));
            [line(points(), at).opacity(0.4), dots.named(format!("written as {}", names[at]))]
        })
        .collect();
    draw(picture, &Axis::of([0.0, 50.0].into_iter(), "cycle", ""), ("conductance", "S"), &series)
}

/// The staircase of six states, evenly spaced in siemens and in ohm.
fn states(picture: &Picture) -> Done {
    let (spec, meant) = (devices("vteam", R_ON, R_OFF)?, ramp(4000));
    let mut series = Vec::new();
    for (colour, spacing, name) in [
        (0, Spacing::Conductance, "6 states, even in conductance"),
        (1, Spacing::Resistance, "6 states, even in resistance"),
    ] {
        let array = spoiled(&spec, &States::even(6, spacing)?, &meant)?;
        let pairs = meant.iter().copied().zip(array.conductances().iter().copied());
        series.push(line(pairs, colour).named(name));
    }
    draw(picture, &Axis::of(meant.iter().copied(), "conductance meant", "S"), ("state", "S"), &series)
}

/// Which devices of a tile are stuck, alone and in runs along word lines.
fn stuck(picture: &Picture) -> Done {
    const LINES: usize = 40;
    let layout = Layout::new(1, LINES, LINES, TileShape::Layer)?;
    let spec = devices("vteam", R_ON, R_OFF)?;
    let mut panels = Vec::new();
    for (title, clustering) in [
        ("clustering = \"none\"", Clustering::None),
        ("clustering = \"word-lines\", cluster_length = 8", Clustering::WordLines(Some(8))),
    ] {
        let (mut array, _) = Array::fabricate(layout, &spec, Stream::root(0, 0))?;
        let step = Stuck::new(0.05, 0.1, 0.03)?.with_clustering(clustering)?;
        step.apply(&mut array, Stream::root(0, 0).child(0))?;
        let of = |wanted: fn(&Mask) -> bool, colour, name: &str| {
            let devices = array.masks().iter().filter(|(_, mask)| wanted(mask));
            let places = devices.map(|(device, _)| layout.place(*device));
            line(places.map(|[_, i, j]| (f64::from(j), f64::from(i))), colour)
                .marks(Marks::Dots(3.0))
                .named(name)
        };
        panels.push((
            title,
            [
                of(|mask| matches!(mask, Mask::Lrs), 0, "lrs = 0.05"),
                of(|mask| matches!(mask, Mask::Hrs), 1, "hrs = 0.1"),
                of(|mask| matches!(mask, Mask::Unformed(_)), 2, "unformed = 0.03"),
            ],
        ));
    }
    picture.draw((1000, 500), |area| {
        let axis = |name, room: f64| Axis::of([0.0, LINES as f64 + room].into_iter(), name, "");
        for (half, (title, series)) in area.split_evenly((1, 2)).iter().zip(&panels) {
            let panel = half.margin(6 * FINE, 0, 0, 0).titled(title, ("sans-serif", 16 * FINE))?;
            chart(&panel, &axis("bit line", -1.0), &axis("word line", 11.0), series)?;
        }
        Ok(())
    })?;
    Ok(())
}

/// Written over meant, with an error of a share and one of siemens.
fn programming_error(picture: &Picture) -> Done {
    let (spec, meant) = (devices("vteam", R_ON, R_OFF)?, ramp(400));
    let mut series = Vec::new();
    for (colour, relative, absolute, name) in
        [(0, 0.1, 0.0, "relative = 0.1"), (1, 0.0, 2e-6, "absolute = 2e-6")]
    {
        let array = spoiled(&spec, &ProgrammingError::new(relative, absolute)?, &meant)?;
        let pairs = meant.iter().copied().zip(array.conductances().iter().copied());
        series.push(dots(pairs, colour).named(name));
    }
    draw(picture, &Axis::of(meant.iter().copied(), "conductance meant", "S"), ("written", "S"), &series)
}

/// One exponent, and one for each device.
fn drift(picture: &Picture) -> Done {
    const DEVICES: usize = 40;
    let (spec, meant) = (devices("vteam", R_ON, R_OFF)?, [5e-5; DEVICES]);
    let times = decades(1.0, 1e7, 60);
    let same: Vec<(f64, f64)> = times.clone().map(|t| (t, t.powf(-0.05))).collect();
    let mut each = vec![Vec::new(); DEVICES];
    for time in times.clone() {
        let array =
            spoiled(&spec, &Drift::distributed(Distribution::normal(0.05, 0.02)?, 1.0, time)?, &meant)?;
        for (trace, g) in each.iter_mut().zip(array.conductances()) {
            trace.push((time, g / meant[0]));
        }
    }
    let mut series: Vec<Series> =
        each.into_iter().map(|points| line(points.into_iter(), 0).opacity(0.35)).collect();
    series[0].name = Some("nu = N(0.05, 0.02), 40 devices".to_owned());
    series.push(line(same.into_iter(), 1).marks(Marks::Line(2.0)).named("nu = 0.05"));
    draw(picture, &Axis::logarithmic(times, "time", "s"), ("conductance over that written", ""), &series)
}

/// The resistance of two devices, ON and OFF, after an amount of time or cycles.
fn worn(
    cause: Cause,
    amount: f64,
    temperature: f64,
    cell_size: f64,
    [r_on, r_off]: [f64; 2],
    [lrs, hrs]: [StateWear; 2],
) -> Result<[f64; 2], Box<dyn Error>> {
    let step = Wear::new(cause, amount, temperature, cell_size, Some(lrs), Some(hrs))?;
    let array = spoiled(&devices("vteam", r_on, r_off)?, &step, &[1.0 / r_on, 1.0 / r_off])?;
    Ok([1.0 / array.conductances()[0], 1.0 / array.conductances()[1]])
}

/// Both states for two of something, over time or cycles.
fn wear(
    picture: &Picture,
    x: Axis,
    amounts: impl Iterator<Item = f64> + Clone,
    names: [&str; 2],
    at: impl Fn(usize, f64) -> Result<[f64; 2], Box<dyn Error>>,
) -> Done {
    let mut series = Vec::new();
    for (which, name) in names.into_iter().enumerate() {
        let both = amounts.clone().map(|x| Ok((x, at(which, x)?)));
        let both = both.collect::<Result<Vec<_>, Box<dyn Error>>>()?;
        series.push(line(both.iter().map(|(x, r)| (*x, r[0])), which).marks(Marks::Line(2.0)).named(name));
        series.push(line(both.iter().map(|(x, r)| (*x, r[1])), which).marks(Marks::Line(2.0)));
    }
    let values = || series.iter().flat_map(|one| one.points.iter().map(|point| point.1));
    let most = values().fold(0.0, f64::max);
    let y = Axis::logarithmic(values().chain([4.0 * most]), "resistance", "ohm");
    Ok(picture.draw((640, 400), |area| chart(area, &x, &y, &series))?)
}

/// An illustration: no parameters of retention are published with the model.
fn retention(picture: &Picture) -> Done {
    let state =
        |p3| StateWear { p: [1.0, 0.1, 8.0], threshold_temperature: 298.0, failure: Failure::Gradual { p3 } };
    let times = decades(1.0, 1e8, 80);
    let at = |which: usize, time| {
        worn(Cause::Time, time, [298.0, 400.0][which], 10.0, [R_ON, R_OFF], [state(0.01), state(-0.015)])
    };
    wear(picture, Axis::logarithmic(times.clone(), "time", "s"), times, ["298 K", "400 K"], at)
}

/// The stack for which parameters are known.
fn endurance(picture: &Picture) -> Done {
    let state = |p3| StateWear {
        p: [10.0, 0.69078, 0.0],
        threshold_temperature: 298.0,
        failure: Failure::Gradual { p3 },
    };
    let cycles = decades(1.0, 1e10, 80);
    let at = |which: usize, cycles| {
        let states = [state(0.017619), state(-0.022953)];
        worn(Cause::Cycles, cycles, 298.0, [10.0, 20.0][which], [4400.0, 65e3], states)
    };
    let names = ["cell_size = 10", "cell_size = 20"];
    wear(picture, Axis::logarithmic(cycles.clone(), "switching", "cycles"), cycles, names, at)
}

/// The current of one device over its voltage, by each method.
fn nonlinear(picture: &Picture) -> Done {
    const CONDUCTANCE: f64 = 5e-5;
    const AMPLITUDE: f64 = 1.2;
    let spec = devices("stanford-pku", R_ON, R_OFF)?;
    let sweep = SweepSettings { amplitude: AMPLITUDE, frequency: None, points: 64, states: 32 };
    let volts = || (-120..=120).map(|k| f64::from(k) / 120.0 * AMPLITUDE);
    let mut series = vec![line(volts().map(|v| (v, CONDUCTANCE * v)), 3).named("ohmic")];
    for (colour, method, name) in [
        (0, Method::Model, "model"),
        (1, Method::Sinh { b: 2.0 }, "sinh, b = 2"),
        (2, Method::Sweep(sweep), "sweep"),
    ] {
        let array = spoiled(&spec, &Nonlinear::new(method)?, &[CONDUCTANCE])?;
        let law = array.read_effects().law.clone().ok_or("a law")?;
        let currents = volts().map(|v| (v, law.current_and_slope(Some(0), CONDUCTANCE, v).0));
        series.push(line(currents, colour).marks(Marks::Line(2.0)).named(name));
    }
    draw(picture, &Axis::of(volts(), "voltage", "V"), ("current", "A"), &series)
}

/// A weight of 1 read again and again.
fn read_noise(picture: &Picture) -> Done {
    const READS: usize = 250;
    let telegraph = Telegraph { amplitude: 0.1, high: 0.3, devices: 1.0 };
    let mut series = Vec::new();
    for (colour, noise, name) in [
        (0, ReadNoise::new(0.02, 0.0)?, "relative = 0.02"),
        (1, ReadNoise::new(0.0, 0.0)?.with_telegraph(telegraph)?, "telegraph = 0.1, telegraph_high = 0.3"),
    ] {
        let hardware = Hardware {
            nonidealities: vec![Entry::new(Arc::new(noise))],
            ..Hardware::new(devices("vteam", R_ON, R_OFF)?)
        };
        let weight = Array3::from_elem((1, 1, 1), 1.0f32);
        let backend = Arc::new(CpuBackend::new());
        let stream = Stream::root(0, 0);
        let matrix = MappedMatrix::new("weight", weight.view(), &Usage::Rows, &hardware, stream, backend)?;
        let mut read = [0.0; READS];
        matrix.multiply(Input::Rows { values: &[1.0; READS], rows: READS }, &mut read)?;
        let points = read.iter().enumerate().map(|(at, y)| (at as f64, f64::from(*y)));
        series.push(line(points, colour).marks(Marks::Dots(2.0)).named(name));
    }
    draw(
        picture,
        &Axis::of([0.0, READS as f64].into_iter(), "read", ""),
        ("weight that is read", ""),
        &series,
    )
}
