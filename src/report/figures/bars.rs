//! The relative error of each layer.

use std::collections::BTreeMap;

use plotters::style::Color;
use plotters::style::text_anchor::{HPos, VPos};

use super::frame::{Frame, SMALL, TEXT, round_ticks, units};
use super::study::Study;
use super::{palette, widest};
use crate::report::picture::{Area, Failed};
use crate::sweep::{Row, summaries};

/// A layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// Its short name.
    pub name: String,
    /// Its relative error, 0 to 1; absent for a digital one.
    pub error: Option<f64>,
}

const ROW: i32 = 20;
const LINE: i32 = 18;

fn left(bars: &[Bar]) -> i32 {
    (30 + widest(bars.iter().map(|bar| bar.name.as_str()))).clamp(80, 320)
}

fn width(bars: &[Bar]) -> i32 {
    left(bars) + 460
}

/// Where the bars begin.
fn top(title: &str, bars: &[Bar]) -> i32 {
    16 + LINE * wrapped(title, width(bars)).len() as i32
}

pub(super) fn size(title: &str, bars: &[Bar]) -> (u32, u32) {
    (width(bars) as u32, (top(title, bars) + 62 + ROW * bars.len() as i32) as u32)
}

/// A text as lines that have room in such a width.
fn wrapped(text: &str, width: i32) -> Vec<String> {
    let most = ((width - 24) / 7).max(1) as usize;
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The layers of the point with the lowest mean accuracy, over its repeats.
pub(super) fn worst(study: &Study<'_>, rows: &BTreeMap<(usize, usize), Row>) -> Option<(String, Vec<Bar>)> {
    let summaries = summaries(rows);
    let worst = summaries.iter().min_by(|a, b| a.memristive.mean.total_cmp(&b.memristive.mean))?;
    let rows: Vec<&Row> = rows.values().filter(|row| row.point == worst.point).collect();
    let bars = rows.first()?.results.layers.iter().enumerate().map(|(index, layer)| {
        let errors: Vec<f64> =
            rows.iter().filter_map(|row| row.results.layers.get(index)?.relative_error).collect();
        let mean = errors.iter().sum::<f64>() / errors.len().max(1) as f64;
        Bar { name: layer.name.clone(), error: (!errors.is_empty()).then_some(mean) }
    });
    let title = match study.setting(worst.point).as_str() {
        "" => String::new(),
        setting => format!("point {} (lowest accuracy): {setting}", worst.point),
    };
    Some((title, bars.collect()))
}

pub(super) fn draw(area: &Area<'_>, title: &str, bars: &[Bar]) -> Result<(), Failed> {
    let largest = bars.iter().filter_map(|bar| bar.error).fold(0.0, f64::max);
    let (x, ticks) = round_ticks(0.0, (100.0 * largest).max(1e-6), 6);
    let ((_, height), left) = (size(title, bars), left(bars));
    let edges = [left, top(title, bars), left + 400, height as i32 - 52].map(units);
    let frame = Frame { area, edges, x, y: bars.len() as f64..0.0 };
    for (value, _) in &ticks {
        let (from, to) = (frame.at(*value, 0.0), frame.at(*value, bars.len() as f64));
        frame.line(&[from, to], plotters::style::BLACK.mix(0.12).stroke_width(4))?;
    }
    for (row, bar) in bars.iter().enumerate() {
        let row = row as f64;
        let (percent, note) = match bar.error {
            Some(error) => (100.0 * error, three_digits(100.0 * error)),
            None => (0.0, "digital".to_owned()),
        };
        let (from, to) = (frame.at(0.0, row + 0.15), frame.at(percent, row + 0.85));
        frame.rectangle(from, to, palette::line(0, 1, false).filled())?;
        let place = (to.0 + units(5), (from.1 + to.1) / 2);
        frame.text(&note, place, SMALL, (HPos::Left, VPos::Center))?;
        frame.text(&bar.name, (edges[0] - units(7), place.1), SMALL, (HPos::Right, VPos::Center))?;
    }
    frame.axes((&ticks, "relative error of the layer's output (%)"), (&Vec::new(), ""))?;
    for (number, line) in wrapped(title, width(bars)).iter().enumerate() {
        frame.text(line, (units(12), units(LINE * (number as i32 + 1))), TEXT, (HPos::Left, VPos::Center))?;
    }
    Ok(())
}

/// A number of at least 0 with three digits that say something.
fn three_digits(x: f64) -> String {
    let before = if x > 0.0 { x.log10().floor().clamp(-6.0, 2.0) } else { 2.0 };
    format!("{x:.*}", (2.0 - before) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_wrapped_and_numbers_short() {
        assert_eq!(wrapped("a bc def", 24 + 7 * 4), ["a bc", "def"]);
        assert!(wrapped("", 100).is_empty());
        for (x, text) in [(90.419, "90.4"), (132.7, "133"), (0.01234, "0.0123"), (9.999, "10.00"), (0.0, "0")]
        {
            assert_eq!(three_digits(x), text);
        }
    }
}
