//! Figures of device models: loops with bipolar switching, ten states by gradual RESET, resistances whose distributions
//! overlap, a hundred devices with any conductance and with ten.
//!
//! `cargo run --release --example device_figures -- DIR` writes them as SVG into a folder, `-- DIR png` as PNG.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use memtorch::devices::models::{StanfordPku, Vteam};
use memtorch::devices::{Device, DeviceParameters, Distribution, Population, Stream, Sweep, trace};
use memtorch::nonideal::{Spacing, States};
use memtorch::report::chart::{Axis, COLOURS, Marks, Series, chart};
use memtorch::report::picture::plotters::style::{RGBColor, WHITE};
use memtorch::report::picture::{Area, FINE, Failed, Picture};
use memtorch::utils::Shape;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| ".".to_owned());
    let extension = arguments.next().unwrap_or_else(|| "svg".to_owned());
    let picture =
        |name: &str| Picture::at("picture", Path::new(&folder).join(name).with_extension(&extension));
    loops(&picture("device-loops")?)?;
    reset(&picture("device-reset")?)?;
    resistances(&picture("device-resistances")?)?;
    stochastic(&picture("device-stochastic")?)?;
    Ok(())
}

/// A part of an area, in shares of its width and height.
fn part<'a>(area: &Area<'a>, (left, top): (f64, f64), (width, height): (f64, f64)) -> Area<'a> {
    let (w, h) = area.dim_in_pixel();
    let place = |share: f64, of: u32| (share * f64::from(of)) as u32;
    area.clone().shrink((place(left, w), place(top, h)), (place(width, w), place(height, h)))
}

/// Current over voltage of two models: bipolar switching, and in it the loop of a sine.
fn loops(picture: &Picture) -> Result<(), Box<dyn Error>> {
    let devices: [Arc<dyn Device>; 2] = [Arc::new(Vteam::default()), Arc::new(StanfordPku::default())];
    let mut panels = Vec::new();
    for device in devices {
        let (dt, sweeps) = (device.time_step(), device.sweeps().ok_or("a model with sweeps")?);
        let record = |voltages: &[f64]| trace(device.clone(), voltages, dt, Stream::root(0, 0));
        panels.push((
            device.name(),
            record(&sweeps.switching.triangle(dt))?,
            record(&sweeps.hysteresis.sine(dt))?,
        ));
    }
    picture.draw((1000, 440), |area| {
        for (half, (name, switching, hysteresis)) in area.split_evenly((1, 2)).iter().zip(&panels) {
            let panel = half.margin(6 * FINE, 0, 0, 0).titled(name, ("sans-serif", 18 * FINE))?;
            let sizes: Vec<f64> = switching.currents.iter().map(|i| i.abs()).collect();
            let volts = |voltages: &[f64]| Axis::of(voltages.iter().copied(), "voltage", "V");
            let line = |x: &[f64], y: &[f64], colour| {
                let points: Vec<(f64, f64)> = x.iter().copied().zip(y.iter().copied()).collect();
                Series::line(points.into_iter(), colour)
            };
            let positive = || sizes.iter().copied().filter(|i| *i > 0.0);
            let (least, most) = (positive().fold(f64::INFINITY, f64::min), positive().fold(0.0, f64::max));
            // The curves in the upper part, so that the inset has the lower one.
            let axis =
                Axis::logarithmic(positive().chain([most * (least / most).powf(2.4)]), "|current|", "A");
            chart(
                &panel,
                &volts(&switching.voltages),
                &axis,
                &[line(&switching.voltages, &sizes, COLOURS[0])],
            )?;
            let inset = part(&panel, (0.57, 0.47), (0.41, 0.39));
            inset.fill(&WHITE)?;
            let axis = Axis::of(hysteresis.currents.iter().copied(), "current", "A");
            let series = line(&hysteresis.voltages, &hysteresis.currents, COLOURS[1]);
            chart(&inset, &volts(&hysteresis.voltages), &axis, &[series])?;
        }
        Ok(())
    })?;
    Ok(())
}

/// Double sweeps `0 -> V -> 0` to voltages that rise: each leaves the device in another state.
fn reset(picture: &Picture) -> Result<(), Box<dyn Error>> {
    const SWEEPS: usize = 9;
    let device: Arc<dyn Device> = Arc::new(Vteam::default());
    let dt = device.time_step();
    let mut population = Population::new(DeviceParameters::new(device, 1), Stream::root(0, 0));
    let mut states = vec![population.conductances()[0]];
    let mut sweeps = Vec::new();
    for sweep in 0..SWEEPS {
        let amplitude = 0.1 + 0.02 * sweep as f64;
        let rise = (10e-9 / dt).round() as usize;
        let voltages: Vec<f64> =
            (0..=2 * rise).map(|k| amplitude * (1.0 - (k as f64 / rise as f64 - 1.0).abs())).collect();
        let currents = population.record(&voltages, dt)?.currents;
        sweeps.push((voltages, currents));
        states.push(population.conductances()[0]);
    }
    println!("gradual RESET, conductances in mS: {:.3?}", states.iter().map(|g| g * 1e3).collect::<Vec<_>>());
    picture.draw((1000, 420), |area| {
        let (left, right) = area.split_horizontally(560 * FINE);
        let volts = Axis::of(sweeps.iter().flat_map(|(v, _)| v).copied(), "voltage", "V");
        let amperes = Axis::of(sweeps.iter().flat_map(|(_, i)| i).copied(), "current", "A");
        let series: Vec<Series> = sweeps
            .iter()
            .enumerate()
            .map(|(at, (v, i))| Series::line(v.iter().copied().zip(i.iter().copied()), shade(at, SWEEPS)))
            .collect();
        chart(&left, &volts, &amperes, &series)?;
        let points = || states.iter().enumerate().map(|(at, g)| (at as f64, *g));
        let line = Series::line(points(), COLOURS[0]).opacity(0.4);
        let dots = Series::line(points(), COLOURS[0]).marks(Marks::Dots(4.0));
        let count = Axis::of([0.0, SWEEPS as f64].into_iter(), "double sweeps", "");
        let siemens = Axis::of(states.iter().copied().chain([0.0]), "conductance", "S");
        chart(&right, &count, &siemens, &[line, dots])
    })?;
    Ok(())
}

/// From the first colour to the second.
fn shade(at: usize, count: usize) -> RGBColor {
    let share = at as f64 / (count - 1).max(1) as f64;
    let (from, to) = (COLOURS[0], COLOURS[1]);
    let mix = |a: u8, b: u8| (f64::from(a) + share * (f64::from(b) - f64::from(a))).round() as u8;
    RGBColor(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
}

/// Resistances of devices whose distributions overlap.
fn resistances(picture: &Picture) -> Result<(), Box<dyn Error>> {
    const DEVICES: usize = 10_000;
    const BIN: f64 = 20.0;
    let mut parameters = DeviceParameters::new(Arc::new(Vteam::default()), DEVICES);
    let draws =
        [("r_on", Distribution::normal(600.0, 100.0)?), ("r_off", Distribution::normal(1000.0, 150.0)?)];
    let report = parameters
        .vary(&draws, Stream::root(0, 0), &|devices| devices.map(|device| [device as u32, 0, 0]).collect())?;
    println!(
        "resistances: {} of {DEVICES} devices drawn again, because r_on was not below r_off",
        report.redrawn
    );
    let histogram = |value: &dyn Fn(usize) -> f64, colour, name: &str| {
        let mut counts = std::collections::BTreeMap::new();
        for device in 0..DEVICES {
            *counts.entry((value(device) / BIN).floor() as i64).or_insert(0usize) += 1;
        }
        let points = counts.iter().map(|(bin, count)| ((*bin as f64 + 0.5) * BIN, *count as f64));
        Series::line(points, colour).marks(Marks::Bars(BIN)).opacity(0.55).named(name)
    };
    let series = [
        histogram(&|device| parameters.r_on().get(device), COLOURS[0], "r_on, std 100 ohm"),
        histogram(&|device| parameters.r_off().get(device), COLOURS[1], "r_off, std 150 ohm"),
    ];
    picture.draw((640, 400), |area| {
        let points = || series.iter().flat_map(|one| one.points.iter());
        // In ohm: a thousand of them would be kilo-ohm.
        let ohm = Axis::of(points().map(|(x, _)| *x), "resistance (ohm)", "");
        let most = points().map(|(_, y)| *y).fold(0.0, f64::max);
        // Room for the legend above the bars.
        let count = Axis::of([0.0, 1.3 * most].into_iter(), "devices", "");
        chart(area, &ohm, &count, &series)
    })?;
    Ok(())
}

/// A hundred devices with resistances of their own, read exactly and at the nearest of ten states.
fn stochastic(picture: &Picture) -> Result<(), Box<dyn Error>> {
    const DEVICES: usize = 100;
    let device = Vteam::default();
    let dt = device.time_step;
    let voltages = Sweep { amplitude: 1.0, frequency: 50e6, duration: 20e-9 }.sine(dt);
    let mut parameters = DeviceParameters::new(Arc::new(device), DEVICES);
    // Few ohm would hide all others.
    let r_on = Distribution::new(Shape::Normal { mean: 50.0, std: 25.0 }, 10.0, f64::INFINITY)?;
    let draws = [("r_on", r_on), ("r_off", Distribution::normal(1000.0, 50.0)?)];
    parameters
        .vary(&draws, Stream::root(0, 0), &|devices| devices.map(|device| [device as u32, 0, 0]).collect())?;
    let mut population = Population::new(parameters, Stream::root(0, 0));
    let recording = population.record(&voltages, dt)?;
    let states = States::even(10, Spacing::Conductance)?;
    let parameters = population.parameters();
    let read: Vec<f64> = recording
        .conductances
        .iter()
        .enumerate()
        .map(|(at, g)| {
            let device = at % DEVICES;
            let bounds = (1.0 / parameters.r_off().get(device), 1.0 / parameters.r_on().get(device));
            // VTEAM is ohmic.
            states.nearest(*g, bounds) * voltages[at / DEVICES]
        })
        .collect();
    picture.draw((1000, 440), |area| {
        let amperes = Axis::of(recording.currents.iter().chain(&read).copied(), "current", "A");
        let panels = [("any conductance", &recording.currents), ("10 states", &read)];
        for (half, (name, currents)) in area.split_evenly((1, 2)).iter().zip(panels) {
            let panel = half.margin(6 * FINE, 0, 0, 0).titled(name, ("sans-serif", 18 * FINE))?;
            let volts = Axis::of(voltages.iter().copied(), "voltage", "V");
            let line = |device: usize| {
                let currents = currents.iter().skip(device).step_by(DEVICES);
                Series::line(voltages.iter().copied().zip(currents.copied()), shade(device, DEVICES))
                    .marks(Marks::Line(0.75))
                    .opacity(0.5)
            };
            chart(&panel, &volts, &amperes, &(0..DEVICES).map(line).collect::<Vec<_>>())?;
        }
        Ok::<(), Failed>(())
    })?;
    Ok(())
}
