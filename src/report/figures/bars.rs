//! The relative error of each layer.

use std::collections::BTreeMap;

use plotters::style::Color;
use plotters::style::text_anchor::{HPos, VPos};

use super::frame::{Frame, SMALL, TEXT, round_ticks, units};
use super::{palette, widest};
use crate::report::picture::{Area, Failed};
use crate::sweep::{Row, Sweep, shown, summaries};

/// A layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// Its short name.
    pub name: String,
    /// Its relative error, 0 to 1; absent for a digital one.
    pub error: Option<f64>,
}

const ROW: i32 = 20;

fn left(bars: &[Bar]) -> i32 {
    (30 + widest(bars.iter().map(|bar| bar.name.as_str()))).clamp(80, 320)
}

pub(super) fn size(title: &str, bars: &[Bar]) -> (u32, u32) {
    let width = (left(bars) + 460).max(30 + 8 * title.chars().count() as i32);
    (width as u32, (96 + ROW * bars.len() as i32) as u32)
}

/// The layers of the point with the lowest mean accuracy, over its repeats.
pub(super) fn worst(sweep: &Sweep, rows: &BTreeMap<(usize, usize), Row>) -> Option<(String, Vec<Bar>)> {
    let summaries = summaries(rows);
    let worst = summaries.iter().min_by(|a, b| a.memristive.mean.total_cmp(&b.memristive.mean))?;
    let rows: Vec<&Row> = rows.values().filter(|row| row.point == worst.point).collect();
    let bars = rows.first()?.results.layers.iter().enumerate().map(|(index, layer)| {
        let errors: Vec<f64> =
            rows.iter().filter_map(|row| row.results.layers.get(index)?.relative_error).collect();
        let mean = errors.iter().sum::<f64>() / errors.len().max(1) as f64;
        Bar { name: layer.name.clone(), error: (!errors.is_empty()).then_some(mean) }
    });
    let values = sweep.values(worst.point);
    let setting = sweep.keys().zip(&values).map(|(key, value)| format!("{key} = {}", shown(value)));
    let setting = setting.collect::<Vec<_>>().join(", ");
    let title = match setting.as_str() {
        "" => String::new(),
        setting => format!("point {} (lowest accuracy): {setting}", worst.point),
    };
    Some((title, bars.collect()))
}

pub(super) fn draw(area: &Area<'_>, title: &str, bars: &[Bar]) -> Result<(), Failed> {
    let largest = bars.iter().filter_map(|bar| bar.error).fold(0.0, f64::max);
    let (x, ticks) = round_ticks(0.0, (100.0 * largest).max(1e-6), 6);
    let ((_, height), left) = (size(title, bars), left(bars));
    let edges = [left, 34, left + 400, height as i32 - 52].map(units);
    let frame = Frame { area, edges, x, y: bars.len() as f64..0.0 };
    for (value, _) in &ticks {
        let (from, to) = (frame.at(*value, 0.0), frame.at(*value, bars.len() as f64));
        frame.line(&[from, to], plotters::style::BLACK.mix(0.12).stroke_width(4))?;
    }
    for (row, bar) in bars.iter().enumerate() {
        let row = row as f64;
        let (percent, note) = match bar.error {
            Some(error) => (100.0 * error, format!("{:.3}", 100.0 * error)),
            None => (0.0, "digital".to_owned()),
        };
        let (from, to) = (frame.at(0.0, row + 0.15), frame.at(percent, row + 0.85));
        frame.rectangle(from, to, palette::line(0, 1, false).filled())?;
        let place = (to.0 + units(5), (from.1 + to.1) / 2);
        frame.text(&note, place, SMALL, (HPos::Left, VPos::Center))?;
        frame.text(&bar.name, (edges[0] - units(7), place.1), SMALL, (HPos::Right, VPos::Center))?;
    }
    frame.axes((&ticks, "relative error of the layer's output (%)"), (&Vec::new(), ""))?;
    frame.text(title, (units(12), units(22)), TEXT, (HPos::Left, VPos::Center))
}
