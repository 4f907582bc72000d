//! Finding the gain of a layer by least squares.

use std::borrow::Cow;
use std::sync::Arc;

use memtorch_crossbar::{Converter, ConverterSpec, Layout, Tile};

use crate::Tuning;
use crate::hardware::PerWhat;

/// What a fit gave: factors on the analytic gains, and constants.
#[derive(Debug)]
pub(crate) struct Found {
    /// One, or one a column.
    pub(crate) slopes: Vec<f64>,
    /// One, or one a column.
    pub(crate) intercepts: Vec<f64>,
    /// Share of the variance explained, all columns together.
    pub(crate) r2: Option<f64>,
}

/// Sums of a regression of y on x.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    n: f64,
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
    yy: f64,
}

impl Sums {
    fn add(&mut self, x: f32, y: f32) {
        let (x, y) = (f64::from(x), f64::from(y));
        self.n += 1.0;
        self.x += x;
        self.y += y;
        self.xx += x * x;
        self.xy += x * y;
        self.yy += y * y;
    }

    /// Slope and constant, `None` where x tells nothing.
    fn fit(&self, intercept: bool) -> Option<(f64, f64)> {
        if !intercept {
            return (self.xx > 0.0).then(|| (self.xy / self.xx, 0.0));
        }
        let variance = self.xx - self.x * self.x / self.n;
        // Below this, what is left of the variance is rounding.
        (variance > 1e-12 * self.xx).then(|| {
            let slope = (self.xy - self.x * self.y / self.n) / variance;
            (slope, (self.y - slope * self.x) / self.n)
        })
    }

    /// Sum of squared errors of a fit.
    fn error(&self, slope: f64, constant: f64) -> f64 {
        let quadratic = self.yy + slope * slope * self.xx + self.n * constant * constant;
        (quadratic + 2.0 * (slope * constant * self.x - slope * self.xy - constant * self.y)).max(0.0)
    }

    /// Sum of squares of y about its mean.
    fn total(&self) -> f64 {
        (self.yy - self.y * self.y / self.n).max(0.0)
    }
}

/// Regresses the ideal output on what the hardware gives with the analytic gain, as a layer or column by
/// column. Sums are in f64 and in the order of the outputs.
pub(crate) struct Fit {
    columns: usize,
    intercept: bool,
    sums: Vec<Sums>,
}

impl Fit {
    pub(crate) fn new(columns: usize, tuning: &Tuning) -> Self {
        let groups = if tuning.per == PerWhat::Column { columns } else { 1 };
        Self { columns, intercept: tuning.intercept, sums: vec![Sums::default(); groups] }
    }

    /// Adds outputs `[samples, columns, positions]`.
    pub(crate) fn add(&mut self, hardware: &[f32], ideal: &[f32], positions: usize) {
        for (run, (x, y)) in hardware.chunks_exact(positions).zip(ideal.chunks_exact(positions)).enumerate() {
            let group = if self.sums.len() == 1 { 0 } else { run % self.columns };
            for (x, y) in x.iter().zip(y) {
                self.sums[group].add(*x, *y);
            }
        }
    }

    pub(crate) fn finish(self) -> Found {
        let mut found = Found { slopes: Vec::new(), intercepts: Vec::new(), r2: None };
        let (mut error, mut total) = (0.0, 0.0);
        for sums in &self.sums {
            let fit = sums.fit(self.intercept);
            let (slope, constant) = fit.unwrap_or((1.0, 0.0));
            if fit.is_some() {
                error += sums.error(slope, constant);
                total += sums.total();
            }
            found.slopes.push(slope);
            found.intercepts.push(constant);
        }
        found.r2 = (total > 0.0).then(|| 1.0 - error / total);
        found
    }
}

/// What a fit tile by tile gave.
pub(crate) struct FoundTiles {
    /// Factors on the analytic gain, for each tile of the layout.
    pub(crate) gains: Vec<f64>,
    /// One, or one a column.
    pub(crate) intercepts: Vec<f64>,
    /// Share of the variance explained, all columns together.
    pub(crate) r2: Option<f64>,
    /// Columns of tiles whose gains the inputs do not determine.
    pub(crate) ridges: usize,
}

/// Regresses the ideal output on what each row of tiles gives with the analytic gain: for every column of
/// tiles of every group one system, whose unknowns are the gains of its tiles and perhaps a constant.
pub(crate) struct TileFit {
    layout: Layout,
    intercept: bool,
    /// For each column of tiles the sums of products of its unknowns' inputs, the ideal output last.
    products: Vec<Vec<f64>>,
    /// How many ideal outputs each had, and their sum.
    ideal: Vec<[f64; 2]>,
}

impl TileFit {
    pub(crate) fn new(layout: Layout, intercept: bool) -> Self {
        let size = layout.tile_rows() + usize::from(intercept) + 1;
        let columns = layout.groups() * layout.tile_columns();
        Self {
            layout,
            intercept,
            products: vec![vec![0.0; size * size]; columns],
            ideal: vec![[0.0; 2]; columns],
        }
    }

    /// Adds outputs `[samples, groups * columns, positions]`: what each row of tiles gives, and the ideal.
    pub(crate) fn add(&mut self, rows: &[&[f32]], ideal: &[f32], positions: usize) {
        let layout = self.layout;
        let columns = layout.groups() * layout.columns();
        let size = rows.len() + usize::from(self.intercept) + 1;
        let mut values = vec![1.0; size];
        for (at, y) in ideal.iter().enumerate() {
            let column = at / positions % columns;
            let tile_column = column % layout.columns() / layout.tile_shape()[1];
            let number = column / layout.columns() * layout.tile_columns() + tile_column;
            let products = &mut self.products[number];
            self.ideal[number][0] += 1.0;
            self.ideal[number][1] += f64::from(*y);
            for (value, row) in values.iter_mut().zip(rows) {
                *value = f64::from(row[at]);
            }
            values[size - 1] = f64::from(*y);
            for (i, a) in values.iter().enumerate() {
                for (sum, b) in products[i * size..].iter_mut().zip(&values) {
                    *sum += a * b;
                }
            }
        }
    }

    pub(crate) fn finish(self) -> FoundTiles {
        let layout = self.layout;
        let rows = layout.tile_rows();
        let unknowns = rows + usize::from(self.intercept);
        let mut found = FoundTiles { gains: Vec::new(), intercepts: vec![0.0], r2: None, ridges: 0 };
        let mut constants = Vec::new();
        let (mut error, mut total) = (0.0, 0.0);
        for (products, [n, sum]) in self.products.iter().zip(&self.ideal) {
            // Without evidence: the analytic gain, no constant.
            let mut prior = vec![1.0; rows];
            prior.resize(unknowns, 0.0);
            let (solution, ridge) = solve(products, &prior);
            found.ridges += usize::from(ridge);
            let at = |i: usize, j: usize| products[i * (unknowns + 1) + j];
            let mut square = at(unknowns, unknowns);
            for i in 0..unknowns {
                square -= 2.0 * solution[i] * at(i, unknowns);
                square += (0..unknowns).map(|j| solution[i] * solution[j] * at(i, j)).sum::<f64>();
            }
            error += square.max(0.0);
            total += (at(unknowns, unknowns) - sum * sum / n.max(1.0)).max(0.0);
            found.gains.extend(&solution[..rows]);
            constants.push(solution.get(rows).copied().unwrap_or(0.0));
        }
        found.r2 = (total > 0.0).then(|| 1.0 - error / total);
        if self.intercept {
            let column = |column: usize| {
                let group = column / layout.columns() * layout.tile_columns();
                constants[group + column % layout.columns() / layout.tile_shape()[1]]
            };
            found.intercepts = (0..layout.groups() * layout.columns()).map(column).collect();
        }
        found
    }
}

/// Solves normal equations whose right side stands in the last column, by Cholesky's method. Where they are
/// singular to 1e-10 of a diagonal element, a ridge of 1e-6 of the largest holds the solution near `prior`;
/// says so.
fn solve(products: &[f64], prior: &[f64]) -> (Vec<f64>, bool) {
    let n = prior.len();
    let at = |i: usize, j: usize| products[i * (n + 1) + j];
    let largest = (0..n).map(|i| at(i, i)).fold(0.0, f64::max);
    if largest == 0.0 {
        return (prior.to_vec(), true);
    }
    for ridge in [0.0, 1e-6 * largest] {
        let mut lower = vec![0.0; n * n];
        let mut regular = true;
        for i in 0..n {
            for j in 0..=i {
                let known: f64 = (0..j).map(|k| lower[i * n + k] * lower[j * n + k]).sum();
                let rest = at(i, j) + if i == j { ridge } else { 0.0 } - known;
                if i == j {
                    regular &= rest > 1e-10 * at(i, i) && rest > 0.0;
                    lower[i * n + i] = rest.max(f64::MIN_POSITIVE).sqrt();
                } else {
                    lower[i * n + j] = rest / lower[j * n + j];
                }
            }
        }
        if !regular && ridge == 0.0 {
            continue;
        }
        let mut solution: Vec<f64> = (0..n).map(|i| at(i, n) + ridge * prior[i]).collect();
        for i in 0..n {
            let known: f64 = (0..i).map(|k| lower[i * n + k] * solution[k]).sum();
            solution[i] = (solution[i] - known) / lower[i * n + i];
        }
        for i in (0..n).rev() {
            let known: f64 = (i + 1..n).map(|k| lower[k * n + i] * solution[k]).sum();
            solution[i] = (solution[i] - known) / lower[i * n + i];
        }
        return (solution, ridge > 0.0);
    }
    (prior.to_vec(), true)
}

/// A converter whose codes the digital side multiplies by a gain of the tile.
#[derive(Debug)]
pub(crate) struct TileGains {
    converter: Arc<dyn Converter>,
    gains: Arc<[f32]>,
}

impl TileGains {
    pub(crate) fn wrap(converters: &[Arc<dyn Converter>], gains: &Arc<[f32]>) -> Vec<Arc<dyn Converter>> {
        let wrap = |converter: &Arc<dyn Converter>| -> Arc<dyn Converter> {
            Arc::new(Self { converter: converter.clone(), gains: gains.clone() })
        };
        converters.iter().map(wrap).collect()
    }
}

impl Converter for TileGains {
    fn name(&self) -> &str {
        self.converter.name()
    }

    fn quantise(&self, sums: &mut [f32], tile: &Tile) -> usize {
        let clipped = self.converter.quantise(sums, tile);
        let gain = self.gains[tile.index];
        sums.iter_mut().for_each(|y| *y *= gain);
        clipped
    }
}

/// Whether a converter gives currents as they are.
pub(crate) fn is_ideal(converter: &dyn Converter) -> bool {
    matches!(converter.descriptor(), Some(ConverterSpec::Ideal))
}

/// Element `at` of a list that has one value for all or one for each.
pub(crate) fn of<T: Copy>(list: &[T], at: usize) -> T {
    if list.len() == 1 { list[0] } else { list[at] }
}

/// A list with one value for all or one for each, as the other list has it.
pub(crate) fn widen<'a>(list: &'a [f64], like: &[f64]) -> Cow<'a, [f64]> {
    if list.len() == 1 && like.len() > 1 {
        Cow::Owned(vec![list[0]; like.len()])
    } else {
        Cow::Borrowed(list)
    }
}

#[cfg(test)]
mod tests {
    use memtorch_crossbar::TileShape;

    use super::*;

    fn fit(x: &[f32], y: &[f32], columns: usize, positions: usize, tuning: Tuning) -> Found {
        let mut fit = Fit::new(columns, &tuning);
        fit.add(x, y, positions);
        fit.finish()
    }

    #[test]
    fn a_line_is_found_exactly() {
        let x: Vec<f32> = (0..32).map(|i| i as f32 - 11.0).collect();
        let y: Vec<f32> = x.iter().map(|x| 3.0 * x + 2.0).collect();
        let found = fit(&x, &y, 2, 1, Tuning { intercept: true, ..Tuning::default() });
        assert!((found.slopes[0] - 3.0).abs() < 1e-12 && (found.intercepts[0] - 2.0).abs() < 1e-12);
        assert!((found.r2.unwrap() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn columns_are_fitted_alone_in_both_shapes_of_output() {
        // Column 0 doubles, column 1 halves, column 2 says nothing and keeps the analytic gain.
        let per_column = Tuning { per: PerWhat::Column, ..Tuning::default() };
        let rows = fit(&[1.0, 4.0, 0.0, 3.0, 8.0, 0.0], &[2.0, 2.0, 5.0, 6.0, 4.0, 7.0], 3, 1, per_column);
        assert_eq!(rows.slopes, [2.0, 0.5, 1.0]);
        let patches = fit(&[1.0, 3.0, 4.0, 8.0, 0.0, 0.0], &[2.0, 6.0, 2.0, 4.0, 5.0, 7.0], 3, 2, per_column);
        assert_eq!(patches.slopes, [2.0, 0.5, 1.0]);
    }

    #[test]
    fn each_tile_has_a_gain_of_its_own() {
        // Three rows of tiles, two columns of tiles of which the last has one line; y is made of known gains.
        let tile = TileShape::Sized { word_lines: 2, bit_lines: 2 };
        let layout = Layout::new(1, 5, 3, tile).unwrap();
        let gains = [[0.5f32, -2.0, 3.0], [1.5, 0.25, 4.0]];
        let constants = [0.75f32, -1.5];
        let outputs = 12 * 3;
        let value = |row: usize, at: usize| ((at * 7 + row * row * 5 + 3) % 11) as f32 - 5.0;
        let rows: Vec<Vec<f32>> = (0..3).map(|row| (0..outputs).map(|at| value(row, at)).collect()).collect();
        let slices: Vec<&[f32]> = rows.iter().map(|row| &row[..]).collect();
        for intercept in [false, true] {
            let ideal: Vec<f32> = (0..outputs)
                .map(|at| {
                    let tile_column = at % 3 / 2;
                    let sum: f32 = (0..3).map(|row| gains[tile_column][row] * rows[row][at]).sum();
                    sum + if intercept { constants[tile_column] } else { 0.0 }
                })
                .collect();
            let mut fit = TileFit::new(layout, intercept);
            fit.add(&slices, &ideal, 1);
            let found = fit.finish();
            assert_eq!(found.ridges, 0);
            for (gain, expected) in found.gains.iter().zip(gains.iter().flatten()) {
                assert!((gain - f64::from(*expected)).abs() < 1e-9, "{:?}", found.gains);
            }
            assert!((found.r2.unwrap() - 1.0).abs() < 1e-12);
            if intercept {
                for (constant, expected) in found.intercepts.iter().zip([0.75, 0.75, -1.5]) {
                    assert!((constant - expected).abs() < 1e-9, "{:?}", found.intercepts);
                }
            }
        }
    }

    /// Two rows of tiles that always give the same, and one that gives nothing: the sum of the first two gains is
    /// known, the ridge shares it evenly, and the third keeps the analytic gain.
    #[test]
    fn a_ridge_holds_what_the_inputs_do_not_tell() {
        let layout = Layout::new(1, 3, 1, TileShape::Sized { word_lines: 1, bit_lines: 1 }).unwrap();
        let x = [1.0f32, -2.0, 3.0];
        let ideal: Vec<f32> = x.iter().map(|x| 5.0 * x).collect();
        let mut fit = TileFit::new(layout, false);
        fit.add(&[&x, &x, &[0.0; 3]], &ideal, 1);
        let found = fit.finish();
        assert_eq!(found.ridges, 1);
        for (gain, expected) in found.gains.iter().zip([2.5, 2.5, 1.0]) {
            assert!((gain - expected).abs() < 1e-5, "{:?}", found.gains);
        }
    }
}
