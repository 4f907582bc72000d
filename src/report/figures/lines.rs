//! Accuracy over one number.

use plotters::style::text_anchor::{HPos, VPos};
use plotters::style::{BLACK, Color, RGBColor};

use super::frame::{SMALL, units};
use super::study::{Chosen, Study};
use super::{Frame, Grid, legend_width, palette, range};
use crate::report::picture::{Area, FINE, Failed};

const CELL: (i32, i32) = (420, 320);

pub(super) fn size(study: &Study<'_>, lines: Option<usize>, panels: &[(String, Chosen)]) -> (u32, u32) {
    Grid::new(panels, CELL).size(panels.len(), legend_width(study, lines))
}

/// The mean of the repeats over one axis with its 95 % confidence band, a line for each step of another.
pub(super) fn draw(
    area: &Area<'_>,
    study: &Study<'_>,
    x: usize,
    lines: Option<usize>,
    panels: &[(String, Chosen)],
) -> Result<(), Failed> {
    let axis = &study.axes[x];
    let positions = axis.positions();
    let (low, high) = positions
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), p| (low.min(*p), high.max(*p)));
    let room = 0.05 * (high - low);
    let (y, y_ticks) = range(study, &study.digital);
    let grid = Grid::new(panels, CELL);
    let steps = lines.map_or(1, |axis| study.axes[axis].values.len());
    let ordered = lines.is_some_and(|axis| study.axes[axis].numbers.is_some());
    let colour = |step| palette::line(step, steps, ordered);
    for (index, (title, chosen)) in panels.iter().enumerate() {
        let frame = Frame { area, edges: grid.edges(index), x: low - room..high + room, y: y.clone() };
        frame.grid(&y_ticks)?;
        for digital in &study.digital {
            let level = |x| frame.at(x, *digital);
            frame.dashes(level(frame.x.start), level(frame.x.end), BLACK.stroke_width(FINE))?;
        }
        for step in 0..steps {
            let place = |at: usize| {
                let mut place = [&chosen[..], &[(x, at)]].concat();
                place.extend(lines.map(|axis| (axis, step)));
                study.statistics(&place)
            };
            let mut found: Vec<_> =
                positions.iter().enumerate().filter_map(|(at, p)| Some((*p, place(at)?))).collect();
            found.sort_by(|a, b| a.0.total_cmp(&b.0));
            let inside = |y: f64| y.clamp(frame.y.start, frame.y.end);
            let upper = found.iter().filter_map(|(p, s)| Some(frame.at(*p, inside(s.high?))));
            let lower = found.iter().rev().filter_map(|(p, s)| Some(frame.at(*p, inside(s.low?))));
            let band: Vec<_> = upper.chain(lower).collect();
            if band.len() > 2 {
                frame.polygon(band, colour(step).mix(0.18).filled())?;
            }
            let line: Vec<_> = found.iter().map(|(p, s)| frame.at(*p, s.mean)).collect();
            if line.len() > 1 {
                frame.line(&line, colour(step).stroke_width(2 * FINE))?;
            }
            for place in line {
                frame.marker(place, step, colour(step))?;
            }
        }
        frame.axes((&axis.ticks(), &axis.label), (&y_ticks, "accuracy (%)"))?;
        frame.title(title)?;
    }
    let frame = Frame { area, edges: grid.edges(0), x: 0.0..1.0, y: 0.0..1.0 };
    let mut place = grid.right();
    if let Some(axis) = lines.map(|axis| &study.axes[axis]) {
        let entries: Vec<(String, RGBColor, usize)> =
            axis.values.iter().enumerate().map(|(step, value)| (value.clone(), colour(step), step)).collect();
        frame.legend(&axis.label, &entries, place)?;
        place.1 += units(18 * (entries.len() as i32 + 2));
    }
    frame.dashes(place, (place.0 + units(22), place.1), BLACK.stroke_width(FINE))?;
    frame.text("digital", (place.0 + units(28), place.1), SMALL, (HPos::Left, VPos::Center))?;
    if study.repeats > 1 {
        let about = [format!("mean of {} repeats", study.repeats), "and its 95 %".to_owned()];
        let about = [&about[..], &["confidence,".to_owned(), format!("{} samples", study.samples)]].concat();
        for (line, text) in about.iter().enumerate() {
            let place = (place.0, place.1 + units(24 + 15 * line as i32));
            frame.text(text, place, SMALL, (HPos::Left, VPos::Center))?;
        }
    }
    Ok(())
}
