//! Noise of a read, on the partial sums of a row of tiles.

use memtorch_devices::{Stream, normals_at};
use rayon::prelude::*;

use super::{Accumulate, ArrayBackend, Input, Operand, Product};
use crate::{CrossbarError, Ideal, Layout, Telegraph, Tile};

/// Sums of one thread at a time, about.
const BLOCK: usize = 1024;

/// Noise that is added to the partial sums `[vector, column]` of one row of tiles: normal noise drawn at the
/// columns, then telegraph noise drawn at the devices.
#[derive(Clone, Debug)]
pub struct SumNoise<'a> {
    /// How the devices lie.
    pub layout: &'a Layout,
    /// The row of tiles.
    pub row: usize,
    /// From where the numbers are drawn; telegraph noise from its child of that name.
    pub stream: Stream,
    /// Of each vector the first two words of its place; the third is the column, the draw is the row of tiles.
    pub places: &'a [[u32; 2]],
    /// The variance at 0 V of each column, in square amperes.
    pub constants: &'a [f64],
    /// What is added to it: at most two.
    pub variances: Vec<Variance<'a>>,
    /// Telegraph noise besides.
    pub telegraph: Option<Switching<'a>>,
}

/// `scale` times a product, nowhere below 0: variances in square amperes.
#[derive(Clone, Copy, Debug)]
pub struct Variance<'a> {
    /// The factor.
    pub scale: f64,
    /// The matrix: the row of tiles alone.
    pub operand: &'a Operand,
    /// The vectors `[vector, groups * word lines of the row]`.
    pub values: &'a [f32],
}

/// Devices that jump between two conductances.
#[derive(Clone, Copy, Debug)]
pub struct Switching<'a> {
    /// The levels.
    pub telegraph: Telegraph,
    /// What each device conducts in siemens, in the order of the layout; 0 for those that do not switch.
    pub conductances: &'a [f64],
    /// The vectors `[vector, groups * word lines of the row]`, in volt.
    pub volts: &'a [f32],
}

impl SumNoise<'_> {
    /// The word lines of the row.
    pub fn word_lines(&self) -> usize {
        let size = self.layout.tile_shape()[0];
        size.min(self.layout.rows() - self.row * size)
    }

    /// The tiles of the row.
    pub fn tiles(&self) -> impl Iterator<Item = Tile> + '_ {
        let (layout, rows) = (self.layout, self.layout.tile_rows());
        (0..layout.groups() * layout.tile_columns()).map(move |column| layout.tile(column * rows + self.row))
    }

    /// The first draw of the row's telegraph noise at a place: four devices down a column share a block of random
    /// bits.
    pub fn first_block(&self) -> usize {
        self.layout.tile_shape()[0].div_ceil(4) * self.row
    }

    fn columns(&self) -> usize {
        self.layout.groups() * self.layout.columns()
    }

    /// Whether lengths fit together with those of the sums.
    ///
    /// # Errors
    /// The first that does not.
    pub fn check(&self, sums: usize) -> Result<(), CrossbarError> {
        let fits = |what, found: usize, expected: usize| {
            if found == expected {
                return Ok(());
            }
            Err(CrossbarError::Shape { what, found: vec![found], expected: vec![expected] })
        };
        if self.row >= self.layout.tile_rows() {
            let expected = format!("a number below {}", self.layout.tile_rows());
            return Err(CrossbarError::value("row of tiles", self.row, expected));
        }
        let (vectors, columns) = (self.places.len(), self.columns());
        fits("sums", sums, vectors * columns)?;
        fits("constant variances", self.constants.len(), columns)?;
        if self.variances.len() > 2 {
            return Err(CrossbarError::value("variances", self.variances.len(), "at most two"));
        }
        let width = vectors * self.layout.groups() * self.word_lines();
        for variance in &self.variances {
            fits("vectors of a variance", variance.values.len(), width)?;
            let of = variance.operand.layout();
            fits("columns of a variance", of.groups() * of.columns(), columns)?;
        }
        if let Some(switching) = &self.telegraph {
            fits("devices of telegraph noise", switching.conductances.len(), self.layout.device_count())?;
            fits("vectors of telegraph noise", switching.volts.len(), width)?;
        }
        Ok(())
    }

    /// Adds it on the CPU, with products of the backend.
    pub(super) fn add(
        &self,
        backend: &(impl ArrayBackend + ?Sized),
        sums: &mut [f32],
    ) -> Result<(), CrossbarError> {
        self.check(sums.len())?;
        let columns = self.columns();
        let mut variances = Vec::with_capacity(self.variances.len());
        for Variance { scale, operand, values } in &self.variances {
            let mut found = vec![0.0f32; sums.len()];
            let input = Input::Rows { values, rows: self.places.len() };
            let product = Product { input, converter: &Ideal, accumulate: Accumulate::Set };
            backend.multiply(operand, &product, &mut found)?;
            variances.push((*scale, found));
        }
        let at_once = (BLOCK / columns).max(1);
        sums.par_chunks_mut(at_once * columns).enumerate().for_each(|(block, sums)| {
            self.add_normal(block * at_once, &variances, sums);
            if let Some(switching) = &self.telegraph {
                for (vector, sums) in sums.chunks_exact_mut(columns).enumerate() {
                    self.switch(switching, block * at_once + vector, sums);
                }
            }
        });
        Ok(())
    }

    /// Adds the normal noise of vectors from `first` on.
    fn add_normal(&self, first: usize, variances: &[(f64, Vec<f32>)], sums: &mut [f32]) {
        let columns = self.columns();
        let mut squares: Vec<f64> = self.constants.iter().copied().cycle().take(sums.len()).collect();
        for (scale, values) in variances {
            for (square, value) in squares.iter_mut().zip(&values[first * columns..]) {
                *square += scale * f64::from(value.max(0.0));
            }
        }
        if squares.iter().all(|square| !(*square > 0.0)) {
            return;
        }
        let vectors = self.places[first..].iter().take(sums.len() / columns);
        let places: Vec<[u32; 3]> = vectors
            .flat_map(|[sample, step]| (0..columns as u32).map(move |column| [*sample, *step, column]))
            .collect();
        let mut normals = vec![0.0; sums.len()];
        normals_at(self.stream, &places, self.row as u32, &mut normals);
        for ((sum, square), normal) in sums.iter_mut().zip(squares).zip(normals) {
            if square > 0.0 {
                *sum = (f64::from(*sum) + square.sqrt() * normal) as f32;
            }
        }
    }

    /// Adds what the levels of the devices differ from their mean by.
    fn switch(&self, switching: &Switching<'_>, vector: usize, sums: &mut [f32]) {
        let (layout, stream) = (self.layout, self.stream.named("telegraph"));
        let [sample, step] = self.places[vector];
        let [high, low] = switching.telegraph.levels();
        let (lines, blocks) = (self.word_lines(), self.first_block());
        let volts = &switching.volts[vector * layout.groups() * lines..];
        for tile in self.tiles() {
            let conductances = &switching.conductances[tile.range()];
            let volts = &volts[tile.group * lines..][..lines];
            for bit_line in 0..tile.bit_lines {
                let column = tile.group * layout.columns() + tile.column + bit_line;
                let mut total = 0.0;
                for (block, volts) in volts.chunks(4).enumerate() {
                    let words = stream.words([sample, step, column as u32], (blocks + block) as u32);
                    for (k, (word, volt)) in words.iter().zip(volts).enumerate() {
                        let g = conductances[(4 * block + k) * tile.bit_lines + bit_line];
                        let level =
                            if f64::from(*word) < switching.telegraph.threshold() { high } else { low };
                        total += g * level * f64::from(*volt);
                    }
                }
                sums[column] += total as f32;
            }
        }
    }
}
