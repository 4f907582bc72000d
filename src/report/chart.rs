//! Charts whose axes people can read: numbers of one to a thousand with a unit, lines that are as small as what can be
//! seen of them.

use std::collections::HashSet;
use std::ops::Range;

use plotters::chart::SeriesLabelPosition;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;

use super::picture::{Area, FINE, Failed};

/// Colours that are told apart, the first for what matters most.
pub const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 90, 156), RGBColor(196, 78, 24), RGBColor(40, 130, 80), RGBColor(120, 70, 150)];

/// What is drawn along an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    low: f64,
    high: f64,
    scale: f64,
    label: String,
    logarithmic: bool,
}

impl Axis {
    /// An axis from the least to the greatest of some values, in multiples of the unit that make readable numbers.
    pub fn of(values: impl Iterator<Item = f64>, name: &str, unit: &str) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| value.is_finite()) {
            (low, high) = (low.min(value), high.max(value));
        }
        if low > high {
            (low, high) = (0.0, 0.0);
        }
        let (scale, prefix) = match unit {
            "" => (1.0, ""),
            _ => prefix(low.abs().max(high.abs())),
        };
        let label = match unit {
            "" => name.to_owned(),
            unit => format!("{name} ({prefix}{unit})"),
        };
        Self { low, high, scale, label, logarithmic: false }
    }

    /// A logarithmic axis of positive values; ten decades at most.
    pub fn logarithmic(values: impl Iterator<Item = f64>, name: &str, unit: &str) -> Self {
        let (mut low, mut high) = (f64::INFINITY, 0.0f64);
        for value in values.filter(|value| *value > 0.0 && value.is_finite()) {
            (low, high) = (low.min(value), high.max(value));
        }
        // One value next to 0 must not squeeze all others.
        let (low, high) = if high > 0.0 { (low.max(high * 1e-10), high) } else { (0.1, 1.0) };
        Self { low, high, scale: 1.0, label: format!("{name} ({unit})"), logarithmic: true }
    }

    /// The range in scaled numbers, with a little room; around a value that never changes, some.
    fn range(&self) -> Range<f64> {
        if self.logarithmic {
            return self.low / 1.5..self.high * 1.5;
        }
        let (low, high) = (self.low * self.scale, self.high * self.scale);
        let room = match 0.04 * (high - low) {
            room if room > 1e-9 * high.abs().max(low.abs()) => room,
            _ if high != 0.0 => 0.1 * high.abs(),
            _ => 1.0,
        };
        low - room..high + room
    }

    /// A value as a place on the axis; not a number where it has none.
    fn place(&self, value: f64) -> f64 {
        if self.logarithmic && value < self.low { f64::NAN } else { value * self.scale }
    }

    fn tick(&self, value: &f64) -> String {
        if self.logarithmic { format!("{value:.0e}") } else { plain(value) }
    }
}

/// How points are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Marks {
    /// A line through them, of this width.
    Line(f64),
    /// A dot on each, of this radius.
    Dots(f64),
    /// A bar from 0 to each, of this width along the horizontal axis.
    Bars(f64),
}

/// Points of one colour.
#[derive(Clone, Debug)]
pub struct Series {
    /// Values along both axes.
    pub points: Vec<(f64, f64)>,
    /// How they are drawn.
    pub marks: Marks,
    /// The colour.
    pub colour: RGBAColor,
    /// What the legend calls them, if it does.
    pub name: Option<String>,
}

impl Series {
    /// A line.
    pub fn line(points: impl Iterator<Item = (f64, f64)>, colour: RGBColor) -> Self {
        Self { points: points.collect(), marks: Marks::Line(1.25), colour: colour.mix(1.0), name: None }
    }

    /// With other marks.
    pub fn marks(mut self, marks: Marks) -> Self {
        self.marks = marks;
        self
    }

    /// Let through some of what is below: 1 for nothing.
    pub fn opacity(mut self, opacity: f64) -> Self {
        self.colour.3 = opacity;
        self
    }

    /// With a name for the legend.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

/// Draws one chart. A point that has no place makes a gap in its line.
///
/// # Errors
/// What plotters says.
pub fn chart(area: &Area<'_>, x: &Axis, y: &Axis, series: &[Series]) -> Result<(), Failed> {
    match (x.logarithmic, y.logarithmic) {
        (false, false) => on(area, (x, x.range()), (y, y.range()), series),
        (false, true) => on(area, (x, x.range()), (y, y.range().log_scale()), series),
        (true, false) => on(area, (x, x.range().log_scale()), (y, y.range()), series),
        (true, true) => on(area, (x, x.range().log_scale()), (y, y.range().log_scale()), series),
    }
}

fn on<X, Y>(
    area: &Area<'_>,
    (x, x_range): (&Axis, X),
    (y, y_range): (&Axis, Y),
    series: &[Series],
) -> Result<(), Failed>
where
    X: AsRangedCoord<Value = f64>,
    X::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let mut chart = ChartBuilder::on(area)
        .margin(10 * FINE)
        .margin_right(18 * FINE)
        .x_label_area_size(42 * FINE)
        .y_label_area_size(70 * FINE)
        .build_cartesian_2d(x_range, y_range)?;
    chart
        .configure_mesh()
        .x_desc(&x.label)
        .y_desc(&y.label)
        .x_labels(6)
        .y_labels(6)
        .x_label_formatter(&|value| x.tick(value))
        .y_label_formatter(&|value| y.tick(value))
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.15).stroke_width(FINE))
        .axis_style(BLACK.stroke_width(FINE))
        .set_all_tick_mark_size(4 * FINE)
        .label_style(("sans-serif", 13 * FINE))
        .axis_desc_style(("sans-serif", 14 * FINE))
        .draw()?;
    let fine = |size: f64| (size * f64::from(FINE)).round().max(1.0) as u32;
    for one in series {
        let points: Vec<(f64, f64)> = one.points.iter().map(|(a, b)| (x.place(*a), y.place(*b))).collect();
        let there = points.iter().copied().filter(|(a, b)| !(a.is_nan() || b.is_nan()));
        match one.marks {
            Marks::Line(width) => {
                let mut seen = HashSet::new();
                for points in points.split(|(a, b)| a.is_nan() || b.is_nan()) {
                    let places: Vec<(i32, i32)> =
                        points.iter().map(|point| chart.backend_coord(point)).collect();
                    for line in lines(&places, &mut seen) {
                        let line = straightened(&line, &places).into_iter().map(|at| points[at]);
                        chart.draw_series(LineSeries::new(line, one.colour.stroke_width(fine(width))))?;
                    }
                }
            }
            Marks::Dots(radius) => {
                let mut seen = HashSet::new();
                let dots: Vec<(f64, f64)> =
                    there.filter(|point| seen.insert(chart.backend_coord(point))).collect();
                chart.draw_series(
                    dots.into_iter().map(|dot| Circle::new(dot, fine(radius), one.colour.filled())),
                )?;
            }
            Marks::Bars(width) => {
                let half = width * x.scale / 2.0;
                chart.draw_series(
                    there.map(|(a, b)| Rectangle::new([(a - half, 0.0), (a + half, b)], one.colour.filled())),
                )?;
            }
        }
        if let Some(name) = &one.name {
            let colour = one.colour;
            let sample = move |(a, b)| {
                let (width, half) = (18 * FINE as i32, FINE as i32);
                Rectangle::new([(a, b - half), (a + width, b + half)], colour.filled())
            };
            // An empty series only for the legend.
            let none: [Circle<(f64, f64), i32>; 0] = [];
            chart.draw_series(none)?.label(name).legend(sample);
        }
    }
    if series.iter().any(|one| one.name.is_some()) {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .margin(8 * FINE)
            .legend_area_size(24 * FINE)
            .background_style(WHITE.mix(0.85))
            .label_font(("sans-serif", 13 * FINE))
            .draw()?;
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

/// A line without the points that lie on the straight way between others, to half of a place.
fn straightened(line: &[usize], places: &[(i32, i32)]) -> Vec<usize> {
    /// How far a way may reach before the points under it are looked at in vain.
    const REACH: usize = 64;
    let place = |at: usize| (f64::from(places[line[at]].0), f64::from(places[line[at]].1));
    let straight = |from: usize, to: usize| {
        let (a, b) = (place(from), place(to));
        let (dx, dy) = (b.0 - a.0, b.1 - a.1);
        let length = dx.hypot(dy);
        (from + 1..to).all(|at| {
            let (x, y) = (place(at).0 - a.0, place(at).1 - a.1);
            // Beside the way, or before its beginning or behind its end.
            let along = (x * dx + y * dy) / length;
            (x * dy - y * dx).abs() <= 0.5 * length && along >= 0.0 && along <= length
        })
    };
    let mut kept = vec![line[0]];
    let mut from = 0;
    while from + 1 < line.len() {
        let mut to = from + 1;
        while to + 1 < line.len() && to - from < REACH && straight(from, to + 1) {
            to += 1;
        }
        kept.push(line[to]);
        from = to;
    }
    kept
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
    fn straight_ways_lose_their_points_and_turns_keep_them() {
        let places = [(0, 0), (4, 4), (10, 10), (20, 20), (10, 10), (30, 10), (30, 9)];
        let line: Vec<usize> = (0..places.len()).collect();
        assert_eq!(straightened(&line, &places), [0, 3, 4, 5, 6]);
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
