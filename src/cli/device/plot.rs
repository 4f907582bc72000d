//! The drawings of traces and fits.

use memtorch_devices::fit::{Fit, Measurement};
use plotters::prelude::RGBColor;

use super::trace::Traces;
use crate::Error;
use crate::report::chart::{Axis, COLOURS, Marks, Series, chart};
use crate::report::picture::{Area, FINE, Failed, Picture};

/// How the current stands over the voltage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Current {
    Linear,
    /// Its absolute value; 0 A has no place.
    Logarithmic,
}

const SIZE: (u32, u32) = (1000, 480);

/// One area on the left and two above each other on the right, under a title.
fn areas<'a>(area: &Area<'a>, title: &str) -> Result<[Area<'a>; 3], Failed> {
    let area = area.margin(6 * FINE, 0, 0, 0).titled(title, ("sans-serif", 18 * FINE))?;
    let (left, right) = area.split_horizontally(500 * FINE);
    let (_, height) = right.dim_in_pixel();
    let (above, below) = right.split_vertically(height / 2);
    Ok([left, above, below])
}

/// Draws current over voltage, and current and state over time, of each device.
pub(super) fn traces(
    picture: &Picture,
    traces: &Traces,
    model: &str,
    state: &str,
    current: Current,
) -> Result<(), Error> {
    picture.draw(SIZE, |area| {
        let [left, above, below] = areas(area, model)?;
        let voltages = Axis::of(traces.voltages.iter().copied(), "voltage", "V");
        let currents = Axis::of(traces.currents.iter().copied(), "current", "A");
        let times = traces.times();
        let time = Axis::of(times.iter().copied(), "time", "s");
        let (name, unit) = state.strip_suffix(')').and_then(|s| s.split_once(" (")).unwrap_or((state, ""));
        let states = Axis::of(traces.states.iter().copied(), name, unit);
        // One line a device; many let each other through.
        let series = |x: &[f64], y: &[f64], colour: RGBColor| -> Vec<Series> {
            let lines = (0..traces.devices).map(|device| {
                let y = y.iter().skip(device).step_by(traces.devices);
                Series::line(x.iter().copied().zip(y.copied()), colour)
            });
            match traces.devices {
                1 => lines.collect(),
                _ => lines.map(|line| line.marks(Marks::Line(0.75)).opacity(0.35)).collect(),
            }
        };
        match current {
            Current::Linear => {
                chart(&left, &voltages, &currents, &series(&traces.voltages, &traces.currents, COLOURS[0]))?;
            }
            Current::Logarithmic => {
                let sizes: Vec<f64> = traces.currents.iter().map(|i| i.abs()).collect();
                let axis = Axis::logarithmic(sizes.iter().copied(), "|current|", "A");
                chart(&left, &voltages, &axis, &series(&traces.voltages, &sizes, COLOURS[0]))?;
            }
        }
        chart(&above, &time, &currents, &series(&times, &traces.currents, COLOURS[0]))?;
        chart(&below, &time, &states, &series(&times, &traces.states, COLOURS[1]))
    })
}

/// Draws what was measured and what was fitted, over the voltage and over time, and their difference.
pub(super) fn fit(picture: &Picture, measured: &Measurement, fit: &Fit, model: &str) -> Result<(), Error> {
    picture.draw(SIZE, |area| {
        let [left, above, below] = areas(area, &format!("{model}, fitted"))?;
        let times: Vec<f64> = (0..measured.voltages.len()).map(|k| k as f64 * measured.time_step).collect();
        let both = || measured.currents.iter().chain(&fit.currents).copied();
        let voltages = Axis::of(measured.voltages.iter().copied(), "voltage", "V");
        let currents = Axis::of(both(), "current", "A");
        let time = Axis::of(times.iter().copied(), "time", "s");
        for (area, axis, x) in [(&left, &voltages, &measured.voltages), (&above, &time, &times)] {
            let points = |y: &[f64]| x.iter().copied().zip(y.to_vec());
            let dots = Series::line(points(&measured.currents), COLOURS[1]).marks(Marks::Dots(1.5));
            let line = Series::line(points(&fit.currents), COLOURS[0]);
            chart(area, axis, &currents, &[dots.named("measured"), line.named("fitted")])?;
        }
        let differences: Vec<f64> =
            measured.currents.iter().zip(&fit.currents).map(|(measured, fitted)| measured - fitted).collect();
        let axis = Axis::of(differences.iter().copied(), "difference", "A");
        let points = times.iter().copied().zip(differences.iter().copied());
        chart(&below, &time, &axis, &[Series::line(points, COLOURS[1]).marks(Marks::Dots(1.0))])
    })
}
