use std::ops::Range;

use plotters::element::{Circle, PathElement, Polygon, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{BLACK, Color, FontTransform, IntoTextStyle, RGBColor, ShapeStyle};

use crate::report::picture::{Area, FINE, Failed};

/// A place of a drawing.
pub(super) type Place = (i32, i32);

/// Units of a figure's size as places.
pub(super) const fn units(count: i32) -> i32 {
    count * FINE as i32
}

pub(super) const TEXT: u32 = 13;
pub(super) const SMALL: u32 = 11;
const INK: RGBColor = RGBColor(40, 40, 40);

/// The box of a chart on a drawing: from numbers to places.
pub(super) struct Frame<'a, 'b> {
    pub(super) area: &'a Area<'b>,
    /// Left, top, right, bottom.
    pub(super) edges: [i32; 4],
    pub(super) x: Range<f64>,
    pub(super) y: Range<f64>,
}

/// Marks along an axis, with what stands there.
pub(super) type Ticks = Vec<(f64, String)>;

impl Frame<'_, '_> {
    pub(super) fn at(&self, x: f64, y: f64) -> Place {
        let [left, top, right, bottom] = self.edges.map(f64::from);
        let share = |value: f64, range: &Range<f64>| (value - range.start) / (range.end - range.start);
        let across = left + share(x, &self.x) * (right - left);
        let down = bottom - share(y, &self.y) * (bottom - top);
        (across.round() as i32, down.round() as i32)
    }

    /// Lines behind everything, at the marks of the vertical axis.
    pub(super) fn grid(&self, ticks: &Ticks) -> Result<(), Failed> {
        for (y, _) in ticks {
            let [left, _, right, _] = self.edges;
            let level = self.at(self.x.start, *y).1;
            self.line(&[(left, level), (right, level)], BLACK.mix(0.12).stroke_width(FINE))?;
        }
        Ok(())
    }

    /// The box, its marks and what they are.
    pub(super) fn axes(&self, x: (&Ticks, &str), y: (&Ticks, &str)) -> Result<(), Failed> {
        let [left, top, right, bottom] = self.edges;
        let style = INK.stroke_width(FINE);
        self.line(&[(left, top), (left, bottom), (right, bottom)], style)?;
        for (value, label) in x.0 {
            let across = self.at(*value, self.y.start).0;
            self.line(&[(across, bottom), (across, bottom + units(4))], style)?;
            self.text(label, (across, bottom + units(6)), SMALL, (HPos::Center, VPos::Top))?;
        }
        let mut longest = 0;
        for (value, label) in y.0 {
            let down = self.at(self.x.start, *value).1;
            self.line(&[(left - units(4), down), (left, down)], style)?;
            self.text(label, (left - units(7), down), SMALL, (HPos::Right, VPos::Center))?;
            longest = longest.max(label.chars().count() as i32);
        }
        self.text(x.1, ((left + right) / 2, bottom + units(24)), TEXT, (HPos::Center, VPos::Top))?;
        let place = (left - units(13 + 7 * longest), (top + bottom) / 2);
        self.turned(y.1, place)
    }

    pub(super) fn title(&self, title: &str) -> Result<(), Failed> {
        let [left, top, right, _] = self.edges;
        self.text(title, ((left + right) / 2, top - units(8)), TEXT, (HPos::Center, VPos::Bottom))
    }

    pub(super) fn text(
        &self,
        text: &str,
        place: Place,
        size: u32,
        (h, v): (HPos, VPos),
    ) -> Result<(), Failed> {
        self.coloured(text, place, size, (h, v), INK)
    }

    pub(super) fn coloured(
        &self,
        text: &str,
        place: Place,
        size: u32,
        (h, v): (HPos, VPos),
        colour: RGBColor,
    ) -> Result<(), Failed> {
        let style = ("sans-serif", size * FINE).into_text_style(self.area);
        let style = style.color(&colour).pos(Pos::new(h, v));
        Ok(self.area.draw(&Text::new(text, place, style))?)
    }

    /// A text that is read from below.
    fn turned(&self, text: &str, place: Place) -> Result<(), Failed> {
        let style = ("sans-serif", TEXT * FINE).into_text_style(self.area);
        let style = style.color(&INK).transform(FontTransform::Rotate270);
        let style = style.pos(Pos::new(HPos::Center, VPos::Bottom));
        Ok(self.area.draw(&Text::new(text, place, style))?)
    }

    pub(super) fn line(&self, places: &[Place], style: ShapeStyle) -> Result<(), Failed> {
        Ok(self.area.draw(&PathElement::new(places.to_vec(), style))?)
    }

    /// A line of dashes, level or upright.
    pub(super) fn dashes(&self, from: Place, to: Place, style: ShapeStyle) -> Result<(), Failed> {
        let (dash, gap) = (units(6), units(4));
        let length = (to.0 - from.0).abs().max((to.1 - from.1).abs());
        let on = |at: i32| {
            let share = f64::from(at.min(length)) / f64::from(length.max(1));
            let mix = |a: i32, b: i32| (f64::from(a) + share * f64::from(b - a)).round() as i32;
            (mix(from.0, to.0), mix(from.1, to.1))
        };
        for start in (0..length).step_by((dash + gap) as usize) {
            self.line(&[on(start), on(start + dash)], style)?;
        }
        Ok(())
    }

    pub(super) fn rectangle(
        &self,
        from: Place,
        to: Place,
        style: impl Into<ShapeStyle>,
    ) -> Result<(), Failed> {
        Ok(self.area.draw(&Rectangle::new([from, to], style))?)
    }

    pub(super) fn polygon(&self, places: Vec<Place>, style: impl Into<ShapeStyle>) -> Result<(), Failed> {
        Ok(self.area.draw(&Polygon::new(places, style))?)
    }

    /// One of a few shapes, so that lines differ without colours too.
    pub(super) fn marker(&self, (x, y): Place, shape: usize, colour: RGBColor) -> Result<(), Failed> {
        let r = units(4);
        match shape % 5 {
            0 => Ok(self.area.draw(&Circle::new((x, y), r - 2, colour.filled()))?),
            1 => self.rectangle((x - r + 3, y - r + 3), (x + r - 3, y + r - 3), colour.filled()),
            2 => self.polygon(vec![(x - r, y + r - 3), (x + r, y + r - 3), (x, y - r)], colour.filled()),
            3 => self.polygon(vec![(x - r, y), (x, y - r), (x + r, y), (x, y + r)], colour.filled()),
            _ => self.polygon(vec![(x - r, y - r + 3), (x + r, y - r + 3), (x, y + r)], colour.filled()),
        }
    }

    /// What lines are, one under the other, from a place on.
    pub(super) fn legend(
        &self,
        title: &str,
        entries: &[(String, RGBColor, usize)],
        (x, y): Place,
    ) -> Result<(), Failed> {
        self.text(title, (x, y), SMALL, (HPos::Left, VPos::Center))?;
        for (index, (label, colour, shape)) in entries.iter().enumerate() {
            let y = y + units(18) * (index as i32 + 1);
            self.line(&[(x, y), (x + units(22), y)], colour.stroke_width(2 * FINE))?;
            self.marker((x + units(11), y), *shape, *colour)?;
            self.text(label, (x + units(28), y), SMALL, (HPos::Left, VPos::Center))?;
        }
        Ok(())
    }
}

/// Round numbers on an axis from `low` to `high`, about so many, and the range that they span.
pub(super) fn round_ticks(low: f64, high: f64, count: usize) -> (Range<f64>, Ticks) {
    let span = if high > low { high - low } else { 0.1 * low.abs().max(10.0) };
    let rough = span / count.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].iter().map(|m| m * power).find(|s| *s >= rough * 0.999);
    let step = step.unwrap_or(power);
    let first = (low / step + 1e-9).floor() as i64;
    let last = ((high / step - 1e-9).ceil() as i64).max(first + 1);
    let digits = (-step.log10().floor()).max(0.0) as usize + usize::from((step / power - 2.5).abs() < 1e-9);
    let ticks = (first..=last).map(|i| (i as f64 * step, format!("{:.digits$}", i as f64 * step))).collect();
    (first as f64 * step..last as f64 * step, ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_span_the_values() {
        for (low, high, range, first, last) in [
            (0.0, 100.0, 0.0..100.0, "0", "100"),
            (88.3, 90.9, 88.0..91.0, "88", "91"),
            (0.0, 0.0371, 0.0..0.04, "0.00", "0.04"),
            (55.0, 55.0, 54.0..56.0, "54", "56"),
        ] {
            let (found, ticks) = round_ticks(low, high, 5);
            assert!(
                (found.start - range.start).abs() < 1e-9 && (found.end - range.end).abs() < 1e-9,
                "{found:?}"
            );
            assert_eq!((ticks[0].1.as_str(), ticks[ticks.len() - 1].1.as_str()), (first, last), "{ticks:?}");
        }
    }
}
