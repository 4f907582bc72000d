//! Heat maps of arrays, side by side.

use memtorch_crossbar::ndarray::Array2;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::Error;
use crate::report::picture::{Area, FINE, Failed, Picture};

/// How values become colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    Linear,
    /// Of positive values; 0 has no colour.
    Logarithmic,
}

/// One heat map: `[word line, bit line]`, word line 0 at the top.
pub(crate) struct Panel {
    pub(crate) title: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) values: Array2<f64>,
    pub(crate) scale: Scale,
}

/// Of a panel's cells, its margins and the bar of its colours, in units of the picture's size.
const SIDE: i32 = 360;
const LEFT: i32 = 60;
const TOP: i32 = 42;
const BAR: i32 = 14;
const RIGHT: i32 = 72;
const BOTTOM: i32 = 60;
/// The least that fits the labels of a side of the cells.
const SHORTEST: i32 = 110;
/// The least width that fits a title.
const NARROWEST: i32 = 320;
/// Colours that an eye tells apart.
const LEVELS: usize = 64;

/// From dark blue over teal to yellow, rising in lightness.
const STOPS: [[f64; 3]; 5] = [
    [34.0, 22.0, 86.0],
    [48.0, 84.0, 140.0],
    [38.0, 146.0, 140.0],
    [116.0, 200.0, 90.0],
    [250.0, 230.0, 60.0],
];
/// Where there is no value.
const NONE: RGBColor = RGBColor(221, 221, 221);

fn colour(level: usize) -> RGBColor {
    let x = level as f64 / (LEVELS - 1) as f64 * (STOPS.len() - 1) as f64;
    let stop = (x as usize).min(STOPS.len() - 2);
    let mix = |c: usize| STOPS[stop][c] + (x - stop as f64) * (STOPS[stop + 1][c] - STOPS[stop][c]);
    RGBColor(mix(0).round() as u8, mix(1).round() as u8, mix(2).round() as u8)
}

/// Width and height of the cells: square ones, unless a side became too short for its labels.
fn sides((m, n): (usize, usize)) -> (i32, i32) {
    let side = |lines: usize| (i64::from(SIDE) * lines as i64 / m.max(n).max(1) as i64) as i32;
    (side(n).max(SHORTEST), side(m).max(SHORTEST))
}

/// Draws the panels, two in a row.
pub(crate) fn draw(picture: &Picture, panels: &[Panel]) -> Result<(), Error> {
    let rows = panels.len().div_ceil(2);
    let sides = panels.iter().map(|panel| sides(panel.values.dim()));
    let (width, height) = sides.fold((0, 0), |most, side| (most.0.max(side.0), most.1.max(side.1)));
    let width = (LEFT + width + 12 + BAR + RIGHT).max(NARROWEST) as u32;
    let height = (TOP + height + BOTTOM) as u32;
    picture.draw((2 * width, rows as u32 * height), |area| {
        for (area, panel) in area.split_evenly((rows, 2)).iter().zip(panels) {
            draw_panel(area, panel)?;
        }
        Ok(())
    })
}

fn draw_panel(area: &Area<'_>, panel: &Panel) -> Result<(), Failed> {
    let (m, n) = panel.values.dim();
    let place = |v: f64| match panel.scale {
        Scale::Linear => v,
        Scale::Logarithmic if v > 0.0 => v.log10(),
        Scale::Logarithmic => f64::NAN,
    };
    let finite = || panel.values.iter().map(|v| place(*v)).filter(|v| v.is_finite());
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    let level = |v: f64| {
        let v = place(v);
        let share = if high > low { (v - low) / (high - low) } else { 0.5 };
        v.is_finite().then(|| ((share * LEVELS as f64) as usize).min(LEVELS - 1))
    };
    let fine = FINE as i32;
    let (left, top) = (LEFT * fine, TOP * fine);
    let (width, height) = sides((m, n));
    let (width, height) = (width * fine, height * fine);
    let edge =
        |length: i32, line: usize, lines: usize| (i64::from(length) * line as i64 / lines as i64) as i32;
    let (across, down) = (|line| edge(width, line, n), |line| edge(height, line, m));
    let text = |size: u32| ("sans-serif", size * FINE).into_text_style(area);
    let centred = |size: u32, vertical| text(size).pos(Pos::new(HPos::Center, vertical));
    let title = format!("{} ({})", panel.title, panel.unit);
    area.draw(&Text::new(title, (left + width / 2, top - 10 * fine), centred(15, VPos::Bottom)))?;
    let below = (left + width / 2, top + height + 6 * fine);
    area.draw(&Text::new(range("bit line", n), below, centred(12, VPos::Top)))?;
    let beside = centred(12, VPos::Bottom).transform(FontTransform::Rotate270);
    area.draw(&Text::new(range("word line", m), (left - 8 * fine, top + height / 2), beside))?;
    let rectangle = |x: (i32, i32), y: (i32, i32), colour: RGBColor| {
        Rectangle::new([(left + x.0, top + y.0), (left + x.1, top + y.1)], colour.filled())
    };
    area.draw(&rectangle((0, width), (0, height), NONE))?;
    for (i, row) in panel.values.rows().into_iter().enumerate() {
        let levels: Vec<Option<usize>> = row.iter().map(|v| level(*v)).collect();
        let mut j = 0;
        // Neighbours of one colour are one rectangle.
        for run in levels.chunk_by(|a, b| a == b) {
            if let Some(level) = run[0] {
                let cells = (across(j), across(j + run.len()));
                area.draw(&rectangle(cells, (down(i), down(i + 1)), colour(level)))?;
            }
            j += run.len();
        }
    }
    if low > high {
        return Ok(());
    }
    let bar = (width + 12 * fine, width + (12 + BAR) * fine);
    let along = |level: usize| height - height * level as i32 / LEVELS as i32;
    for level in 0..LEVELS {
        area.draw(&rectangle(bar, (along(level + 1), along(level)), colour(level)))?;
    }
    let back = |v: f64| match panel.scale {
        Scale::Linear => v,
        Scale::Logarithmic => 10f64.powf(v),
    };
    for (v, at) in [(low, 0), (0.5 * (low + high), LEVELS / 2), (high, LEVELS)] {
        let place = (left + bar.1 + 4 * fine, top + along(at));
        let style = text(12).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new(format!("{:.3e}", back(v)), place, style))?;
    }
    Ok(())
}

fn range(of: &str, lines: usize) -> String {
    if lines == 1 { format!("{of} 0") } else { format!("{of} 0 to {}", lines - 1) }
}
