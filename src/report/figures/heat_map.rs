//! Accuracy over two numbers.

use plotters::style::text_anchor::{HPos, VPos};
use plotters::style::{Color, RGBColor};

use super::frame::{SMALL, Ticks, units};
use super::study::{Chosen, Study};
use super::{Frame, Grid, palette};
use crate::report::picture::{Area, Failed};

const LEGEND: i32 = 80;
/// Size of a field, as long as its number fits.
const FIELD: (i32, i32) = (54, 34);
const NONE: RGBColor = RGBColor(221, 221, 221);

fn cell(study: &Study<'_>, x: usize, y: usize) -> (i32, i32) {
    let fields = |axis: usize, field: i32, least: i32| {
        (study.axes[axis].values.len() as i32 * field).clamp(least, 900)
    };
    (80 + fields(x, FIELD.0, 240), 86 + fields(y, FIELD.1, 160))
}

pub(super) fn size(study: &Study<'_>, x: usize, y: usize, panels: &[(String, Chosen)]) -> (u32, u32) {
    Grid::new(panels, cell(study, x, y)).size(panels.len(), LEGEND)
}

/// The mean of the repeats as a colour and a number.
pub(super) fn draw(
    area: &Area<'_>,
    study: &Study<'_>,
    x: usize,
    y: usize,
    panels: &[(String, Chosen)],
) -> Result<(), Failed> {
    let grid = Grid::new(panels, cell(study, x, y));
    let (columns, rows) = (study.axes[x].values.len(), study.axes[y].values.len());
    let ticks = |axis: usize| -> Ticks {
        study.axes[axis].values.iter().enumerate().map(|(i, v)| (i as f64 + 0.5, v.clone())).collect()
    };
    for (index, (title, chosen)) in panels.iter().enumerate() {
        let frame = Frame { area, edges: grid.edges(index), x: 0.0..columns as f64, y: 0.0..rows as f64 };
        for column in 0..columns {
            for row in 0..rows {
                let place = [&chosen[..], &[(x, column), (y, row)]].concat();
                let mean = study.statistics(&place).map(|s| s.mean);
                let colour = mean.map_or(NONE, |mean| palette::ramp(mean / 100.0));
                let (from, to) =
                    (frame.at(column as f64, row as f64 + 1.0), frame.at(column as f64 + 1.0, row as f64));
                frame.rectangle(from, to, colour.filled())?;
                let fits = to.0 - from.0 >= units(34) && to.1 - from.1 >= units(14);
                if let Some(mean) = mean.filter(|_| fits) {
                    let ink =
                        if palette::is_light(colour) { RGBColor(0, 0, 0) } else { RGBColor(255, 255, 255) };
                    let middle = ((from.0 + to.0) / 2, (from.1 + to.1) / 2);
                    frame.coloured(
                        &format!("{mean:.1}"),
                        middle,
                        SMALL,
                        (HPos::Center, VPos::Center),
                        ink,
                    )?;
                }
            }
        }
        frame.axes((&ticks(x), &study.axes[x].label), (&ticks(y), &study.axes[y].label))?;
        frame.title(title)?;
    }
    bar(area, &grid)
}

/// What the colours mean.
fn bar(area: &Area<'_>, grid: &Grid) -> Result<(), Failed> {
    let (left, _) = grid.right();
    let [_, top, _, bottom] = grid.edges(0);
    let edges = [left, top, left + units(14), bottom];
    let frame = Frame { area, edges, x: 0.0..1.0, y: 0.0..100.0 };
    // Each step covers all below it, so that there is no seam between two.
    for percent in (0..100).rev() {
        let level = f64::from(percent);
        let (from, to) = (frame.at(0.0, level + 1.0), frame.at(1.0, 0.0));
        frame.rectangle(from, to, palette::ramp((level + 0.5) / 100.0).filled())?;
    }
    for percent in [0, 20, 40, 60, 80, 100] {
        let (x, y) = frame.at(1.0, f64::from(percent));
        frame.text(&percent.to_string(), (x + units(5), y), SMALL, (HPos::Left, VPos::Center))?;
    }
    frame.text("accuracy (%)", (left - units(2), top - units(10)), SMALL, (HPos::Left, VPos::Bottom))
}
