//! Reads whose partial sums are computed one by one: where noise is added to them, or where devices are not ohmic
//! and their currents are no product.

use std::sync::Arc;

use memtorch_crossbar::backend::{SumNoise, Variance};
use memtorch_crossbar::passive::{DeviceLaw, Newton, NonlinearTile};
use memtorch_crossbar::{
    Accumulate, ArrayBackend, Conversions, Converter, Ideal, Input, Layout, Operand, Product, ReadLaw,
    Telegraph, Tile, TileShape,
};
use memtorch_devices::Stream;
use ndarray::ArrayView2;
use rayon::prelude::*;

use crate::feature::Feature;
use crate::tune::is_ideal;
use crate::{MapError, ReadIndex};

/// Vectors that are read together.
const CHUNK: usize = 256;

/// One conversion of all columns.
#[derive(Clone, Debug)]
pub(crate) struct Explicit {
    /// How the devices lie.
    layout: Layout,
    /// How what is converted lies: the same, or without the last bit line of every tile.
    converted: Layout,
    /// Whether the current of that bit line is subtracted from the others of its tile.
    subtracted: bool,
    features: Vec<Feature>,
    /// Products of features, of which currents are sums.
    currents: Vec<Term>,
    /// Currents that are no product.
    others: Vec<Other>,
    noises: Vec<Noise>,
}

/// A feature times a matrix: `scale` times one operand for each row of tiles.
#[derive(Clone, Debug)]
struct Term {
    feature: usize,
    scale: f64,
    operands: Vec<Operand>,
}

/// Currents of an array that are computed device by device or tile by tile.
#[derive(Clone, Debug)]
pub(crate) struct Other {
    pub(crate) sign: f64,
    pub(crate) law: Arc<dyn ReadLaw>,
    pub(crate) kind: OtherKind,
}

#[derive(Clone, Debug)]
pub(crate) enum OtherKind {
    /// Conductances, in the order of the layout; ideal wires.
    Devices(Arc<[f64]>),
    /// One circuit for each tile.
    Circuits(Arc<[NonlinearTile]>),
}

/// Gaussian noise of one step of the list on one array, and telegraph noise.
#[derive(Clone, Debug)]
struct Noise {
    stream: Stream,
    /// Square amperes at 0 V of each output column, for each row of tiles.
    constants: Vec<Vec<f64>>,
    variances: Vec<Term>,
    telegraph: Option<Switching>,
}

/// Telegraph noise of an array.
#[derive(Clone, Debug)]
struct Switching {
    telegraph: Telegraph,
    feature: usize,
    /// Siemens, in the order of the layout, with the sign of the array; 0 for devices that do not switch.
    conductances: Arc<[f64]>,
}

/// What is known of the noise of one step on one array.
pub(crate) struct NoiseParts {
    pub(crate) stream: Stream,
    /// Of each device, `[c0, c1, c2]` of its variance.
    pub(crate) variance: [Vec<f64>; 3],
    /// The functions that c1 and c2 are multiplied with.
    pub(crate) features: [Feature; 2],
    pub(crate) telegraph: Option<(Telegraph, Feature, Vec<f64>)>,
}

impl Explicit {
    pub(crate) fn new(
        (layout, converted, subtracted): (Layout, Layout, bool),
        currents: Vec<(Feature, Vec<f64>)>,
        others: Vec<Other>,
        noises: Vec<NoiseParts>,
        backend: &dyn ArrayBackend,
    ) -> Result<Self, MapError> {
        let mut made = Self {
            layout,
            converted,
            subtracted,
            features: Vec::new(),
            currents: Vec::new(),
            others,
            noises: Vec::new(),
        };
        if !made.others.is_empty() {
            made.feature(Feature::VOLTAGE);
        }
        for (feature, matrix) in currents {
            let term = made.term(feature, &matrix, false, backend)?;
            made.currents.push(term);
        }
        for parts in noises {
            let [constant, linear, square] = parts.variance;
            let mut variances = Vec::new();
            for (matrix, feature) in [linear, square].into_iter().zip(parts.features) {
                if matrix.iter().any(|c| *c != 0.0) {
                    variances.push(made.term(feature, &matrix, true, backend)?);
                }
            }
            let telegraph = parts.telegraph.map(|(telegraph, feature, conductances)| Switching {
                telegraph,
                feature: made.feature(feature),
                conductances: conductances.into(),
            });
            let constants = column_sums(&layout, &constant);
            made.noises.push(Noise { stream: parts.stream, constants, variances, telegraph });
        }
        Ok(made)
    }

    fn feature(&mut self, feature: Feature) -> usize {
        self.features.iter().position(|known| known.same(&feature)).unwrap_or_else(|| {
            self.features.push(feature);
            self.features.len() - 1
        })
    }

    /// Packs a matrix (in the order of the layout), one operand for each row of tiles. Where it may be small, it is
    /// scaled to what f32 holds best.
    fn term(
        &mut self,
        feature: Feature,
        matrix: &[f64],
        scaled: bool,
        backend: &dyn ArrayBackend,
    ) -> Result<Term, MapError> {
        let largest = matrix.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        let scale = if scaled && largest > 0.0 { largest } else { 1.0 };
        let layout = self.layout;
        let operands = (0..layout.tile_rows()).map(|row| {
            let mut values = Vec::new();
            for tile in row_tiles(&layout, row) {
                values.extend(matrix[tile.range()].iter().map(|x| (x / scale) as f32));
            }
            let word_lines = word_lines(&layout, row).len();
            let bit_lines = layout.tile_shape()[1];
            let shape = TileShape::Sized { word_lines, bit_lines };
            let block = Layout::new(layout.groups(), word_lines, layout.columns(), shape)?;
            Ok(backend.pack(&block, &values)?)
        });
        let operands = operands.collect::<Result<_, MapError>>()?;
        Ok(Term { feature: self.feature(feature), scale, operands })
    }

    /// Reads vectors of voltages; adds to or replaces `output` as [`Input`] states its shape.
    pub(crate) fn read(
        &self,
        input: Input<'_>,
        at: (ReadIndex, u64),
        converter: &dyn Converter,
        accumulate: Accumulate,
        backend: &dyn ArrayBackend,
        output: &mut [f32],
    ) -> Result<Conversions, MapError> {
        let vectors = Vectors::new(input, &self.features);
        let columns = self.converted.groups() * self.converted.columns();
        let mut done = Conversions::default();
        for first in (0..vectors.count).step_by(CHUNK) {
            let count = CHUNK.min(vectors.count - first);
            let whole: Vec<Vec<f32>> =
                (0..self.features.len()).map(|feature| vectors.gather(feature, first, count)).collect();
            let mut totals = vec![0.0f32; count * columns];
            for row in 0..self.layout.tile_rows() {
                done +=
                    self.row_of_tiles(row, &whole, (&vectors, first, at), converter, backend, &mut totals)?;
            }
            for (i, total) in totals.chunks_exact(columns).enumerate() {
                let (sample, position) = ((first + i) / vectors.positions, (first + i) % vectors.positions);
                for (column, value) in total.iter().enumerate() {
                    let at = &mut output[(sample * columns + column) * vectors.positions + position];
                    *at = match accumulate {
                        Accumulate::Set => *value,
                        Accumulate::Add => *at + value,
                        Accumulate::Subtract => *at - value,
                    };
                }
            }
        }
        Ok(done)
    }

    /// Adds the converted partial sums of one row of tiles.
    fn row_of_tiles(
        &self,
        row: usize,
        whole: &[Vec<f32>],
        (vectors, first, (index, salt)): (&Vectors<'_>, usize, (ReadIndex, u64)),
        converter: &dyn Converter,
        backend: &dyn ArrayBackend,
        totals: &mut [f32],
    ) -> Result<Conversions, MapError> {
        let layout = &self.layout;
        let columns = layout.groups() * layout.columns();
        let converted = self.converted.groups() * self.converted.columns();
        let count = totals.len() / converted;
        let lines = word_lines(layout, row);
        let parts: Vec<Vec<f32>> = whole.iter().map(|values| block(layout, values, &lines)).collect();
        let product = |term: &Term, sums: &mut [f32], accumulate| {
            let input = Input::Rows { values: &parts[term.feature], rows: count };
            let product = Product { input, converter: &Ideal, accumulate };
            backend.multiply(&term.operands[row], &product, sums)
        };
        let mut sums = vec![0.0f32; count * columns];
        for (number, term) in self.currents.iter().enumerate() {
            let accumulate = if number == 0 { Accumulate::Set } else { Accumulate::Add };
            product(term, &mut sums, accumulate)?;
        }
        for other in &self.others {
            other.add(layout, row, &parts[0], &mut sums)?;
        }
        let places: Vec<[u32; 2]> = match self.noises.is_empty() {
            true => Vec::new(),
            false => (first..first + count).map(|vector| vectors.place(vector, index)).collect(),
        };
        let noises: Vec<SumNoise<'_>> =
            self.noises.iter().map(|noise| noise.of_row((layout, row), salt, &places, &parts)).collect();
        backend.add_noise(&noises, &mut sums)?;
        let ideal = is_ideal(converter);
        let done = sums
            .par_chunks_mut(columns)
            .zip(totals.par_chunks_mut(converted))
            .map(|(sums, totals)| {
                let mut done = Conversions::default();
                for (tile, all) in row_tiles(&self.converted, row).zip(row_tiles(layout, row)) {
                    let sums = &mut sums[all.group * layout.columns() + all.column..][..all.bit_lines];
                    let reference = if self.subtracted { sums[all.bit_lines - 1] } else { 0.0 };
                    let sums = &mut sums[..tile.bit_lines];
                    sums.iter_mut().for_each(|sum| *sum -= reference);
                    if !ideal {
                        done.codes += sums.len() as u64;
                        done.clipped += converter.quantise(sums, &tile) as u64;
                    }
                    let totals = &mut totals[tile.group * self.converted.columns() + tile.column..];
                    totals.iter_mut().zip(sums).for_each(|(total, sum)| *total += *sum);
                }
                done
            })
            .reduce(Conversions::default, |mut a, b| {
                a += b;
                a
            });
        Ok(done)
    }
}

impl Other {
    /// Adds the currents of a row of tiles for vectors `[count, groups * word lines]`.
    fn add(&self, layout: &Layout, row: usize, volts: &[f32], sums: &mut [f32]) -> Result<(), MapError> {
        let columns = layout.groups() * layout.columns();
        let lines = word_lines(layout, row).len();
        let width = layout.groups() * lines;
        for tile in row_tiles(layout, row) {
            let at = tile.group * layout.columns() + tile.column;
            let part = |i: usize| &volts[i * width + tile.group * lines..][..lines];
            match &self.kind {
                OtherKind::Devices(conductances) => {
                    let conductances = &conductances[tile.range()];
                    sums.par_chunks_mut(columns).enumerate().for_each(|(i, sums)| {
                        let mut total = vec![0.0; tile.bit_lines];
                        let mut currents = vec![0.0; tile.bit_lines];
                        for (line, volt) in part(i).iter().enumerate() {
                            let devices = line * tile.bit_lines;
                            let conductances = &conductances[devices..][..tile.bit_lines];
                            let first = tile.offset + devices;
                            self.law.currents(first, conductances, f64::from(*volt), &mut currents);
                            total.iter_mut().zip(&currents).for_each(|(sum, i)| *sum += i);
                        }
                        for (sum, total) in sums[at..].iter_mut().zip(&total) {
                            *sum += (self.sign * total) as f32;
                        }
                    });
                }
                OtherKind::Circuits(circuits) => {
                    let count = sums.len() / columns;
                    let flat: Vec<f64> =
                        (0..count).flat_map(|i| part(i).iter().map(|v| f64::from(*v))).collect();
                    let inputs =
                        ArrayView2::from_shape((count, lines), &flat).expect("so many were gathered");
                    let law = OfTile { law: &*self.law, tile };
                    let found = circuits[tile.index].column_currents(&law, inputs, &Newton::default())?;
                    for (sums, currents) in sums.chunks_exact_mut(columns).zip(found.rows()) {
                        for (sum, current) in sums[at..].iter_mut().zip(currents) {
                            *sum += (self.sign * current) as f32;
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// A law as the circuit of a tile asks for it.
#[derive(Debug)]
struct OfTile<'a> {
    law: &'a dyn ReadLaw,
    tile: Tile,
}

impl DeviceLaw for OfTile<'_> {
    fn current_and_slope(&self, conductance: f64, voltage: f64, [line, column]: [usize; 2]) -> (f64, f64) {
        let used = line < self.tile.word_lines && column < self.tile.bit_lines;
        let device = used.then(|| self.tile.offset + line * self.tile.bit_lines + column);
        self.law.current_and_slope(device, conductance, voltage)
    }
}

impl Noise {
    /// What is added to the sums of a row of tiles, for vectors at these places.
    fn of_row<'a>(
        &'a self,
        (layout, row): (&'a Layout, usize),
        salt: u64,
        places: &'a [[u32; 2]],
        parts: &'a [Vec<f32>],
    ) -> SumNoise<'a> {
        let variance = |term: &'a Term| Variance {
            scale: term.scale,
            operand: &term.operands[row],
            values: &parts[term.feature],
        };
        let switching = |found: &'a Switching| memtorch_crossbar::backend::Switching {
            telegraph: found.telegraph,
            conductances: &found.conductances,
            volts: &parts[found.feature],
        };
        SumNoise {
            layout,
            row,
            stream: self.stream.child(salt),
            places,
            constants: &self.constants[row],
            variances: self.variances.iter().map(variance).collect(),
            telegraph: self.telegraph.as_ref().map(switching),
        }
    }
}

/// The vectors of an input, each feature of them computed once.
struct Vectors<'a> {
    input: Input<'a>,
    features: Vec<Vec<f32>>,
    count: usize,
    /// Vectors of one row (1) or image.
    positions: usize,
}

impl<'a> Vectors<'a> {
    fn new(input: Input<'a>, features: &[Feature]) -> Self {
        let (values, positions) = match input {
            Input::Patches { values, geometry, .. } => (values, geometry.positions()),
            Input::Rows { values, .. } => (values, 1),
            _ => (&[][..], 1),
        };
        let features = features.iter().map(|feature| feature.of(values)).collect();
        Self { input, features, count: input.vectors(), positions: positions.max(1) }
    }

    /// Where a vector's noise is drawn: its sample, and its step and position.
    fn place(&self, vector: usize, index: ReadIndex) -> [u32; 2] {
        let (image, position) = (vector / self.positions, vector % self.positions);
        let [sample, step] = index.of(image, self.count / self.positions);
        [sample, step.wrapping_mul(self.positions as u32).wrapping_add(position as u32)]
    }

    /// A feature of some vectors, `[count, groups * word lines]`.
    fn gather(&self, feature: usize, first: usize, count: usize) -> Vec<f32> {
        let values = &self.features[feature];
        match self.input {
            Input::Patches { geometry, .. } => {
                let (image, length) = (geometry.image_len(), patch_len(&self.input));
                let mut gathered = vec![0.0; count * length];
                gathered.par_chunks_mut(length).enumerate().for_each(|(i, vector)| {
                    let (sample, position) = ((first + i) / self.positions, (first + i) % self.positions);
                    geometry.patch(&values[sample * image..][..image], position, vector);
                });
                gathered
            }
            _ => {
                let length = values.len() / self.count;
                values[first * length..][..count * length].to_vec()
            }
        }
    }
}

fn patch_len(input: &Input<'_>) -> usize {
    match input {
        Input::Patches { geometry, .. } => geometry.channels * geometry.kernel.iter().product::<usize>(),
        _ => 0,
    }
}

/// The word lines of a row of tiles, within a group.
fn word_lines(layout: &Layout, row: usize) -> std::ops::Range<usize> {
    let size = layout.tile_shape()[0];
    row * size..((row + 1) * size).min(layout.rows())
}

/// The tiles of a row, groups outermost.
fn row_tiles(layout: &Layout, row: usize) -> impl Iterator<Item = Tile> + '_ {
    let rows = layout.tile_rows();
    (0..layout.groups() * layout.tile_columns()).map(move |column| layout.tile(column * rows + row))
}

/// The columns of vectors `[count, groups * rows]` that lie on some word lines of every group.
fn block(layout: &Layout, values: &[f32], lines: &std::ops::Range<usize>) -> Vec<f32> {
    if lines.len() == layout.rows() {
        return values.to_vec();
    }
    values.chunks_exact(layout.rows()).flat_map(|group| &group[lines.clone()]).copied().collect()
}

/// Sums down each output column, for each row of tiles.
fn column_sums(layout: &Layout, values: &[f64]) -> Vec<Vec<f64>> {
    let sums = |row: usize| {
        let mut sums = vec![0.0; layout.groups() * layout.columns()];
        for tile in row_tiles(layout, row) {
            let at = tile.group * layout.columns() + tile.column;
            for line in values[tile.range()].chunks_exact(tile.bit_lines) {
                sums[at..].iter_mut().zip(line).for_each(|(sum, x)| *sum += x);
            }
        }
        sums
    };
    (0..layout.tile_rows()).map(sums).collect()
}
