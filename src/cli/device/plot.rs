//! The drawing of a trace.

use std::collections::HashSet;
use std::ops::Range;

use memtorch_devices::Trace;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;

use crate::Error;
use crate::report::picture::{Area, FINE, Failed, Picture};

/// How the current stands over the voltage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Current {
    Linear,
    /// Its absolute value; 0 A has no place.
    Logarithmic,
}

const SIZE: (u32, u32) = (1000, 480);
const COLOUR: RGBColor = RGBColor(0, 90, 156);
const SECOND: RGBColor = RGBColor(196, 78, 24);

/// Draws current over voltage, and current and state over time.
pub(crate) fn draw(
    picture: &Picture,
    trace: &Trace,
    model: &str,
    state: &str,
    current: Current,
) -> Result<(), Error> {
    picture.draw(SIZE, |area| panels(area, trace, model, state, current))
}

fn panels(area: &Area<'_>, trace: &Trace, model: &str, state: &str, current: Current) -> Result<(), Failed> {
    let area = area.margin(6 * FINE, 0, 0, 0).titled(model, ("sans-serif", 18 * FINE))?;
    let (left, right) = area.split_horizontally(500 * FINE);
    let (above, below) =
        right.split_evenly((2, 1)).into_iter().fold((None, None), |pair, panel| match pair {
            (None, _) => (Some(panel), None),
            (first, _) => (first, Some(panel)),
        });
    let voltages = Axis::of(trace.voltages.iter().copied(), "voltage", "V");
    let currents = Axis::of(trace.currents.iter().copied(), "current", "A");
    match current {
        Current::Linear => {
            let points =
                trace.voltages.iter().zip(&trace.currents).map(|(v, i)| voltages.point(*v, &currents, *i));
            let (x, y) = (voltages.range(), currents.range());
            panel(&left, (x, &voltages.label), (y, &currents.label), points.collect(), COLOUR, &plain)?;
        }
        Current::Logarithmic => {
            let sizes = || trace.currents.iter().map(|i| i.abs()).filter(|i| *i > 0.0);
            let (low, high) = (sizes().fold(f64::INFINITY, f64::min), sizes().fold(0.0, f64::max));
            // A sample next to 0 V must not squeeze all others: ten decades are drawn.
            let (low, high) = if high > 0.0 { (low.max(high * 1e-10), high) } else { (0.1, 1.0) };
            let points = trace.voltages.iter().zip(&trace.currents);
            let place = |i: f64| if i >= low { i } else { f64::NAN };
            let points = points.map(|(v, i)| (v * voltages.scale, place(i.abs()))).collect();
            let y = (low / 1.5..high * 1.5).log_scale();
            panel(&left, (voltages.range(), &voltages.label), (y, "|current| (A)"), points, COLOUR, &decade)?;
        }
    }
    let time = |k: usize| k as f64 * trace.time_step;
    let times = Axis::of([0.0, time(trace.voltages.len() - 1)].into_iter(), "time", "s");
    let (name, unit) = state.strip_suffix(')').and_then(|s| s.split_once(" (")).unwrap_or((state, ""));
    let states = Axis::of(trace.states.iter().copied(), name, unit);
    for (area, axis, values, colour) in
        [(above, &currents, &trace.currents, COLOUR), (below, &states, &trace.states, SECOND)]
    {
        let Some(area) = area else { continue };
        let points = values.iter().enumerate().map(|(k, y)| times.point(time(k), axis, *y));
        let (x, y) = (times.range(), axis.range());
        panel(&area, (x, &times.label), (y, &axis.label), points.collect(), colour, &plain)?;
    }
    Ok(())
}

/// One chart with one line, which has gaps where a point has no place.
fn panel<Y>(
    area: &Area<'_>,
    (x, x_label): (Range<f64>, &str),
    (y, y_label): (Y, &str),
    points: Vec<(f64, f64)>,
    colour: RGBColor,
    y_tick: &dyn Fn(&f64) -> String,
) -> Result<(), Failed>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let mut chart = ChartBuilder::on(area)
        .margin(10 * FINE)
        .margin_right(18 * FINE)
        .x_label_area_size(42 * FINE)
        .y_label_area_size(70 * FINE)
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .x_desc(x_label)
        .y_desc(y_label)
        .x_labels(6)
        .y_labels(6)
        .x_label_formatter(&plain)
        .y_label_formatter(&y_tick)
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.15).stroke_width(FINE))
        .axis_style(BLACK.stroke_width(FINE))
        .set_all_tick_mark_size(4 * FINE)
        .label_style(("sans-serif", 13 * FINE))
        .axis_desc_style(("sans-serif", 14 * FINE))
        .draw()?;
    let mut seen = HashSet::new();
    for points in points.split(|(_, y)| y.is_nan()) {
        let places: Vec<(i32, i32)> = points.iter().map(|point| chart.backend_coord(point)).collect();
        for line in lines(&places, &mut seen) {
            let line = line.into_iter().map(|at| points[at]);
            chart.draw_series(LineSeries::new(line, colour.stroke_width(5)))?;
        }
    }
    Ok(())
}

/// A stroke on the screen.
type Stroke = ((i32, i32), (i32, i32));

/// The strokes that differ on the screen, as runs of points: a trace of millions of samples becomes a drawing
/// of a size that depends on the picture alone.
fn lines(places: &[(i32, i32)], seen: &mut HashSet<Stroke>) -> Vec<Vec<usize>> {
    let mut lines: Vec<Vec<usize>> = Vec::new();
    let mut last = 0;
    let mut run = Vec::new();
    for at in 1..places.len() {
        let (from, to) = (places[last], places[at]);
        if from == to {
            continue;
        }
        if seen.insert((from.min(to), from.max(to))) {
            if run.is_empty() {
                run.push(last);
            }
            run.push(at);
        } else if !run.is_empty() {
            lines.push(std::mem::take(&mut run));
        }
        last = at;
    }
    if !run.is_empty() {
        lines.push(run);
    }
    lines
}

/// What is drawn along an axis: scaled so that its numbers are of a size that people read.
struct Axis {
    low: f64,
    high: f64,
    scale: f64,
    label: String,
}

impl Axis {
    fn of(values: impl Iterator<Item = f64>, name: &str, unit: &str) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values {
            (low, high) = (low.min(value), high.max(value));
        }
        let size = low.abs().max(high.abs());
        let (scale, prefix) = match unit {
            "" => (1.0, ""),
            _ => prefix(size),
        };
        let label = match unit {
            "" => name.to_owned(),
            unit => format!("{name} ({prefix}{unit})"),
        };
        Self { low, high, scale, label }
    }

    fn point(&self, x: f64, other: &Self, y: f64) -> (f64, f64) {
        (x * self.scale, y * other.scale)
    }

    /// The range in scaled numbers, with a little room; around a value that never changes, some.
    fn range(&self) -> Range<f64> {
        let (low, high) = (self.low * self.scale, self.high * self.scale);
        let room = match 0.04 * (high - low) {
            room if room > 1e-9 * high.abs().max(low.abs()) => room,
            _ if high != 0.0 => 0.1 * high.abs(),
            _ => 1.0,
        };
        low - room..high + room
    }
}

/// The factor and the prefix that bring a size to 1 to 1000.
fn prefix(size: f64) -> (f64, &'static str) {
    const PREFIXES: [(i32, &str); 11] = [
        (-15, "f"),
        (-12, "p"),
        (-9, "n"),
        (-6, "u"),
        (-3, "m"),
        (0, ""),
        (3, "k"),
        (6, "M"),
        (9, "G"),
        (12, "T"),
        (15, "P"),
    ];
    let power = if size > 0.0 { size.log10().floor() as i32 } else { 0 };
    let power = power.div_euclid(3) * 3;
    let found = PREFIXES.iter().find(|(p, _)| *p == power);
    found.map_or((1.0, ""), |(p, name)| (10f64.powi(-p), name))
}

/// A number of an axis without digits that are rounding.
fn plain(value: &f64) -> String {
    let size = value.abs();
    if size < 1e-12 {
        return "0".to_owned();
    }
    if !(1e-3..1e5).contains(&size) {
        return format!("{value:.1e}");
    }
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn decade(value: &f64) -> String {
    format!("{value:.0e}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strokes_are_drawn_once_and_none_is_lost() {
        let places = [(0, 0), (1, 0), (1, 0), (2, 1), (1, 0), (0, 0), (5, 5)];
        let mut seen = HashSet::new();
        assert_eq!(lines(&places, &mut seen), [vec![0, 1, 3], vec![5, 6]]);
        assert!(lines(&places, &mut seen).is_empty() && lines(&[(3, 3)], &mut seen).is_empty());
    }

    #[test]
    fn numbers_of_axes_are_of_a_readable_size() {
        for (size, prefix) in [(0.05, "m"), (3e-9, "n"), (1.0, ""), (999.0, ""), (1.6e4, "k"), (0.0, "")] {
            assert_eq!(super::prefix(size).1, prefix, "{size}");
        }
        assert_eq!(plain(&0.30000000000000004), "0.3");
        assert_eq!(plain(&-1e-17), "0");
    }
}
