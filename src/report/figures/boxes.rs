//! The repeats of each point as boxes.

use plotters::style::text_anchor::{HPos, VPos};
use plotters::style::{BLACK, Color, RGBColor};

use super::frame::{SMALL, Ticks, units};
use super::study::{Chosen, Study};
use super::{Frame, Grid, legend_width, palette, range};
use crate::report::picture::{Area, FINE, Failed};

fn cell(study: &Study<'_>, x: usize, groups: Option<usize>) -> (i32, i32) {
    let boxes = study.axes[x].values.len() * groups.map_or(1, |axis| study.axes[axis].values.len());
    ((80 + 14 * boxes as i32).clamp(420, 1200), 320)
}

pub(super) fn size(
    study: &Study<'_>,
    x: usize,
    groups: Option<usize>,
    panels: &[(String, Chosen)],
) -> (u32, u32) {
    Grid::new(panels, cell(study, x, groups)).size(panels.len(), legend_width(study, groups))
}

/// Boxes from the lower to the upper quartile with the median, whiskers to the least and the greatest
/// value, side by side for each step of another axis.
pub(super) fn draw(
    area: &Area<'_>,
    study: &Study<'_>,
    x: usize,
    groups: Option<usize>,
    panels: &[(String, Chosen)],
) -> Result<(), Failed> {
    let grid = Grid::new(panels, cell(study, x, groups));
    let axis = &study.axes[x];
    let columns = axis.values.len();
    let steps = groups.map_or(1, |axis| study.axes[axis].values.len());
    let ordered = groups.is_some_and(|axis| study.axes[axis].numbers.is_some());
    let colour = |step| palette::line(step, steps, ordered);
    let (y, y_ticks) = range(study, &[]);
    let ticks: Ticks = axis.values.iter().enumerate().map(|(i, v)| (i as f64 + 0.5, v.clone())).collect();
    for (index, (title, chosen)) in panels.iter().enumerate() {
        let frame = Frame { area, edges: grid.edges(index), x: 0.0..columns as f64, y: y.clone() };
        frame.grid(&y_ticks)?;
        for column in 0..columns {
            for step in 0..steps {
                let mut place = [&chosen[..], &[(x, column)]].concat();
                place.extend(groups.map(|axis| (axis, step)));
                let mut values = study.at(&place).to_vec();
                values.sort_by(f64::total_cmp);
                let width = 0.8 / steps as f64;
                let middle = column as f64 + 0.1 + width * (step as f64 + 0.5);
                one(&frame, &values, middle, 0.35 * width, colour(step))?;
            }
        }
        frame.axes((&ticks, &axis.label), (&y_ticks, "accuracy (%)"))?;
        frame.title(title)?;
    }
    let frame = Frame { area, edges: grid.edges(0), x: 0.0..1.0, y: 0.0..1.0 };
    let (left, mut top) = grid.right();
    if let Some(axis) = groups.map(|axis| &study.axes[axis]) {
        frame.text(&axis.label, (left, top), SMALL, (HPos::Left, VPos::Center))?;
        for (step, value) in axis.values.iter().enumerate() {
            top += units(18);
            let (from, to) = ((left, top - units(5)), (left + units(16), top + units(5)));
            frame.rectangle(from, to, colour(step).mix(0.35).filled())?;
            frame.rectangle(from, to, colour(step).stroke_width(FINE))?;
            frame.text(value, (left + units(22), top), SMALL, (HPos::Left, VPos::Center))?;
        }
        top += units(30);
    }
    let about = [
        format!("{} repeats:", study.repeats),
        "median, quartiles,".to_owned(),
        "least, greatest".to_owned(),
    ];
    for (line, text) in about.iter().enumerate() {
        frame.text(text, (left, top + units(15 * line as i32)), SMALL, (HPos::Left, VPos::Center))?;
    }
    Ok(())
}

fn one(
    frame: &Frame<'_, '_>,
    sorted: &[f64],
    middle: f64,
    half: f64,
    colour: RGBColor,
) -> Result<(), Failed> {
    let [first, .., last] = sorted else {
        // One value is a line.
        let Some(value) = sorted.first() else { return Ok(()) };
        return frame.line(
            &[frame.at(middle - half, *value), frame.at(middle + half, *value)],
            colour.stroke_width(2 * FINE),
        );
    };
    let (from, to) =
        (frame.at(middle - half, quantile(sorted, 0.75)), frame.at(middle + half, quantile(sorted, 0.25)));
    for (inner, end) in [(quantile(sorted, 0.25), *first), (quantile(sorted, 0.75), *last)] {
        frame.line(&[frame.at(middle, inner), frame.at(middle, end)], colour.stroke_width(FINE))?;
        let (a, b) = (frame.at(middle - 0.6 * half, end), frame.at(middle + 0.6 * half, end));
        frame.line(&[a, b], colour.stroke_width(FINE))?;
    }
    frame.rectangle(from, to, colour.mix(0.35).filled())?;
    frame.rectangle(from, to, colour.stroke_width(FINE))?;
    let median = quantile(sorted, 0.5);
    let (a, b) = (frame.at(middle - half, median), frame.at(middle + half, median));
    frame.line(&[a, b], BLACK.stroke_width(2 * FINE))
}

/// A quantile of sorted values by linear interpolation, as numpy's default.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let below = at.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (at - below as f64) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    /// numpy.quantile([1, 2, 4, 8, 16], [0.25, 0.5, 0.75]) and of [1, 2].
    #[test]
    fn quartiles_are_those_of_numpy() {
        let of = |values: &[f64]| [0.25, 0.5, 0.75].map(|share| super::quantile(values, share));
        assert_eq!(of(&[1.0, 2.0, 4.0, 8.0, 16.0]), [2.0, 4.0, 8.0]);
        assert_eq!(of(&[1.0, 2.0]), [1.25, 1.5, 1.75]);
    }
}
