//! Figures of sweeps and runs, to be printed: labels with units, colours and marks that differ for any
//! colour vision and in grey, text of one size.

mod bars;
mod boxes;
mod frame;
mod heat_map;
mod lines;
mod palette;
mod study;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use bars::Bar;
use frame::{Frame, units};
use study::{Chosen, Study};

use super::picture::{Area, Failed, Picture};
use crate::experiment::Document;
use crate::sweep::{Row, Sweep};
use crate::{Error, Registry};

/// Draws what a sweep found, each figure as SVG and as PNG, and gives the names of the SVG files.
///
/// One figure for each swept number, or for the first key where none is (accuracy over it, a line for each value of
/// the next key, a panel for each of the others), a heat map for two, boxes of the repeats, the layers of the worst
/// point.
///
/// # Errors
/// A folder that cannot be written to.
pub fn sweep(
    folder: &Path,
    document: &Document,
    sweep: &Sweep,
    rows: &BTreeMap<(usize, usize), Row>,
    registry: &Registry,
) -> Result<Vec<PathBuf>, Error> {
    let study = Study::new(document, sweep, rows, registry);
    let mut files = Vec::new();
    let numeric: Vec<usize> = (0..study.axes.len()).filter(|i| study.axes[*i].numbers.is_some()).collect();
    // Lines and boxes side by side are for numbers, panels for the rest.
    let other = |x: usize| numeric.iter().copied().chain(0..study.axes.len()).find(|i| *i != x);
    // Something must show the accuracies where no key is a number.
    let along = if numeric.is_empty() && !study.axes.is_empty() { vec![0] } else { numeric.clone() };
    for &x in &along {
        let name = format!("accuracy-{}", file_name(&study.axes[x].key));
        let lines = other(x);
        let used: Vec<usize> = [Some(x), lines].into_iter().flatten().collect();
        let panels = study.panels(&used);
        draw(folder, &name, lines::size(&study, lines, &panels), &mut files, |area| {
            lines::draw(area, &study, x, lines, &panels)
        })?;
    }
    if let [.., y, x] = numeric[..] {
        let panels = study.panels(&[x, y]);
        let size = heat_map::size(&study, x, y, &panels);
        draw(folder, "heat-map", size, &mut files, |area| heat_map::draw(area, &study, x, y, &panels))?;
    }
    if study.repeats > 1 && !study.axes.is_empty() {
        let x = numeric.first().copied().unwrap_or(0);
        let groups = other(x);
        let used: Vec<usize> = [Some(x), groups].into_iter().flatten().collect();
        let panels = study.panels(&used);
        let size = boxes::size(&study, x, groups, &panels);
        draw(folder, "repeats", size, &mut files, |area| boxes::draw(area, &study, x, groups, &panels))?;
    }
    if let Some((title, bars)) = bars::worst(&study, rows) {
        layers(folder, &title, &bars, &mut files)?;
    }
    Ok(files)
}

/// Draws the relative error of each layer.
///
/// # Errors
/// As [`sweep`].
pub fn layers(folder: &Path, title: &str, bars: &[Bar], files: &mut Vec<PathBuf>) -> Result<(), Error> {
    draw(folder, "layers", bars::size(title, bars), files, |area| bars::draw(area, title, bars))
}

fn draw(
    folder: &Path,
    name: &str,
    size: (u32, u32),
    files: &mut Vec<PathBuf>,
    figure: impl Fn(&Area<'_>) -> Result<(), Failed>,
) -> Result<(), Error> {
    for format in ["png", "svg"] {
        let picture = Picture::at("--out", folder.join(format!("{name}.{format}")))?;
        picture.draw(size, &figure)?;
    }
    files.push(folder.join(format!("{name}.svg")));
    Ok(())
}

/// A key as a part of a file's name.
fn file_name(key: &str) -> String {
    key.chars().map(|c| if c.is_alphanumeric() || ".-_+".contains(c) { c } else { '_' }).collect()
}

/// Where the panels of a figure lie, so many in a row.
struct Grid {
    columns: usize,
    /// Width and height of a panel with its labels.
    cell: (i32, i32),
}

impl Grid {
    /// For panels with titles, each of this size, or wider if the titles are.
    fn new(panels: &[(String, Chosen)], cell: (i32, i32)) -> Self {
        let columns = match panels.len() {
            0..=3 => panels.len().max(1),
            n => (n as f64).sqrt().ceil() as usize,
        };
        let title = 20 + widest(panels.iter().map(|(title, _)| title.as_str()));
        Self { columns, cell: (cell.0.max(title), cell.1) }
    }

    /// The size of the figure with some room on the right.
    fn size(&self, panels: usize, right: i32) -> (u32, u32) {
        let rows = panels.max(1).div_ceil(self.columns) as i32;
        let width = self.cell.0 * self.columns as i32 + right;
        (width as u32, (self.cell.1 * rows) as u32)
    }

    /// The edges of a panel's box.
    fn edges(&self, panel: usize) -> [i32; 4] {
        let (column, row) = ((panel % self.columns) as i32, (panel / self.columns) as i32);
        let (left, top) = (column * self.cell.0, row * self.cell.1);
        [left + 66, top + 34, left + self.cell.0 - 14, top + self.cell.1 - 52].map(units)
    }

    /// Where a legend begins.
    fn right(&self) -> (i32, i32) {
        (units(self.cell.0 * self.columns as i32 + 6), units(46))
    }
}

/// The longest of some texts, as units of width.
fn widest<'a>(texts: impl Iterator<Item = &'a str>) -> i32 {
    texts.map(|text| 7 * text.chars().count() as i32).max().unwrap_or(0)
}

/// The width of a legend with the values of an axis.
fn legend_width(study: &Study<'_>, axis: Option<usize>) -> i32 {
    let axis = axis.map(|axis| &study.axes[axis]);
    let title = axis.map_or(0, |axis| widest([axis.label.as_str()].into_iter()));
    let values = axis.map_or(0, |axis| 28 + widest(axis.values.iter().map(String::as_str)));
    title.max(values).max(130) + 16
}

/// The range of accuracies that are drawn: those of all points, and others.
fn range(study: &Study<'_>, others: &[f64]) -> (std::ops::Range<f64>, frame::Ticks) {
    let all = || study.all().chain(others.iter().copied());
    let (low, high) = (all().fold(100.0, f64::min), all().fold(0.0, f64::max));
    if high - low > 40.0 {
        return frame::round_ticks(0.0, 100.0, 5);
    }
    let room = 0.04 * (high - low).max(0.5);
    let (range, ticks) = frame::round_ticks((low - room).max(0.0), (high + room).min(100.0), 5);
    (range, ticks)
}
