//! The drawing of what was reached.

use memtorch_crossbar::Array;
use memtorch_crossbar::programming::ProgrammingReport;
use plotters::prelude::*;

use crate::Error;
use crate::report::picture::{Area, FINE, Failed, Picture};

const SIZE: (u32, u32) = (1000, 480);
const REACHED: RGBColor = RGBColor(0, 90, 156);
const MISSED: RGBColor = RGBColor(196, 30, 24);
/// Colours of an error on each side of 0.
const SHADES: i32 = 32;

/// Draws the conductance that each device has over its target, and a map of the errors.
pub(crate) fn draw(
    picture: &Picture,
    title: &str,
    range: f64,
    done: &ProgrammingReport,
    array: &Array,
    targets: &[f64],
) -> Result<(), Error> {
    picture.draw(SIZE, |area| {
        let area = area.margin(6 * FINE, 0, 0, 0).titled(title, ("sans-serif", 18 * FINE))?;
        let (left, right) = area.split_horizontally(480 * FINE);
        scatter(&left, done, array.conductances(), targets)?;
        let errors: Vec<f64> =
            array.conductances().iter().zip(targets).map(|(g, target)| (g - target) / range).collect();
        map(&right, array.layout().columns(), &errors)
    })
}

/// A number of an axis without digits that are rounding.
fn plain(value: &f64) -> String {
    let text = format!("{value:.4}");
    match text.trim_end_matches('0').trim_end_matches('.') {
        "-0" | "" => "0".to_owned(),
        text => text.to_owned(),
    }
}

fn scatter(
    area: &Area<'_>,
    done: &ProgrammingReport,
    conductances: &[f64],
    targets: &[f64],
) -> Result<(), Failed> {
    let all = || conductances.iter().chain(targets).copied();
    let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    let (scale, unit) = match high {
        high if high >= 1e-3 => (1e3, "mS"),
        high if high >= 1e-6 => (1e6, "uS"),
        _ => (1e9, "nS"),
    };
    let room = if high > low { 0.04 * (high - low) } else { 0.1 * high };
    let axis = (low - room) * scale..(high + room) * scale;
    let caption =
        format!("blue: {} within the tolerance, red: {} missed", done.within_tolerance, done.missed.len());
    let mut chart = ChartBuilder::on(area)
        .margin(10 * FINE)
        .caption(caption, ("sans-serif", 14 * FINE))
        .x_label_area_size(42 * FINE)
        .y_label_area_size(66 * FINE)
        .build_cartesian_2d(axis.clone(), axis.clone())?;
    chart
        .configure_mesh()
        .x_desc(format!("target ({unit})"))
        .y_desc(format!("reached ({unit})"))
        .x_labels(6)
        .y_labels(6)
        .x_label_formatter(&plain)
        .y_label_formatter(&plain)
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.15).stroke_width(FINE))
        .axis_style(BLACK.stroke_width(FINE))
        .set_all_tick_mark_size(4 * FINE)
        .label_style(("sans-serif", 13 * FINE))
        .axis_desc_style(("sans-serif", 14 * FINE))
        .draw()?;
    let diagonal = [axis.start, axis.end].map(|g| (g, g));
    chart.draw_series(LineSeries::new(diagonal, BLACK.mix(0.3).stroke_width(FINE)))?;
    let mut missed = done.missed.iter().map(|missed| missed.device).peekable();
    let mut points: Vec<((f64, f64), RGBColor)> = Vec::with_capacity(targets.len());
    for (device, (target, g)) in targets.iter().zip(conductances).enumerate() {
        let colour = if missed.next_if_eq(&device).is_some() { MISSED } else { REACHED };
        points.push(((target * scale, g * scale), colour));
    }
    // What is missed lies on top, and what is drawn at one place is drawn once.
    points.sort_by_key(|(_, colour)| colour.0);
    let mut seen = std::collections::HashSet::new();
    points.retain(|(point, colour)| seen.insert((chart.backend_coord(point), *colour)));
    chart.draw_series(
        points
            .into_iter()
            .map(|(point, colour)| Circle::new(point, 2 * FINE as i32, colour.mix(0.6).filled())),
    )?;
    Ok(())
}

/// From blue (too low) over white to red (too high), as far as the largest error.
fn shade(share: f64) -> RGBColor {
    let level = (share.clamp(-1.0, 1.0) * f64::from(SHADES)).round() / f64::from(SHADES);
    let toward = if level > 0.0 { MISSED } else { REACHED };
    let mix = |colour: u8| (255.0 + (f64::from(colour) - 255.0) * level.abs()).round() as u8;
    RGBColor(mix(toward.0), mix(toward.1), mix(toward.2))
}

fn map(area: &Area<'_>, columns: usize, errors: &[f64]) -> Result<(), Failed> {
    let rows = errors.len() / columns;
    let most = errors.iter().fold(0.0f64, |most, error| most.max(error.abs()));
    let caption = format!("error, share of the range: blue -{most:.2e}, red +{most:.2e}");
    let mut chart = ChartBuilder::on(area)
        .margin(10 * FINE)
        .caption(caption, ("sans-serif", 14 * FINE))
        .x_label_area_size(42 * FINE)
        .y_label_area_size(50 * FINE)
        .build_cartesian_2d(0.0..columns as f64, rows as f64..0.0)?;
    chart
        .configure_mesh()
        .disable_mesh()
        .x_desc("bit line")
        .y_desc("word line")
        .x_labels(6)
        .y_labels(6)
        .x_label_formatter(&plain)
        .y_label_formatter(&plain)
        .axis_style(BLACK.stroke_width(FINE))
        .set_all_tick_mark_size(4 * FINE)
        .label_style(("sans-serif", 13 * FINE))
        .axis_desc_style(("sans-serif", 14 * FINE))
        .draw()?;
    let cells = errors.iter().enumerate().map(|(device, error)| {
        let (row, column) = ((device / columns) as f64, (device % columns) as f64);
        let colour = shade(if most > 0.0 { error / most } else { 0.0 });
        Rectangle::new([(column, row), (column + 1.0, row + 1.0)], colour.filled())
    });
    chart.draw_series(cells)?;
    Ok(())
}
