//! Currents that are a sum of several products, read as one product.

use memtorch_crossbar::{
    Accumulate, ArrayBackend, Conversions, Converter, Input, Layout, Operand, PatchGeometry, Product,
    TileShape,
};
use memtorch_utils::buffers;
use rayon::prelude::*;

use crate::MapError;
use crate::feature::{self, Feature};

/// Functions of the voltages times a matrix each, one above the other on the word lines of every tile: the chain of
/// products down a tile is the sum of all.
///
/// The word lines of whole channels stay together, so that an image with all functions as channels has the vectors of
/// a convolution as patches. Where the lines of a tile are not whole channels, those of other tiles conduct nothing in it.
#[derive(Clone, Debug)]
pub(crate) struct Stacked {
    features: Vec<Feature>,
    /// How one of the matrices lies.
    layout: Layout,
    /// Word lines of one channel; 1 for vectors, and where too much of the tiles would conduct nothing.
    channel: usize,
    /// All of them.
    operand: Operand,
}

/// Numbers of vectors that are gathered at once.
const GATHERED: usize = 1 << 22;

impl Stacked {
    /// Matrices in the order of the layout, whose channels have so many word lines each.
    pub(crate) fn new(
        layout: Layout,
        products: &[(Feature, Vec<f64>)],
        channel: usize,
        backend: &dyn ArrayBackend,
    ) -> Result<Self, MapError> {
        let many = products.len();
        let [word_lines, bit_lines] = layout.tile_shape();
        let fits = layout.rows().is_multiple_of(channel) && widest(&layout, channel) <= 2 * word_lines;
        let channel = if fits { channel } else { 1 };
        let lines: usize = (0..layout.tile_rows()).map(|row| lines_of(&layout, channel, row).len()).sum();
        let shape = TileShape::Sized { word_lines: many * widest(&layout, channel), bit_lines };
        let high = Layout::new(layout.groups(), many * lines, layout.columns(), shape)?;
        let mut values = Vec::with_capacity(high.device_count());
        for tile in layout.tiles() {
            for (_, matrix) in products {
                let own = &matrix[tile.range()];
                let lines = lines_of(&layout, channel, tile.row / word_lines);
                let before = (tile.row - lines.start) * tile.bit_lines;
                let after = lines.len() * tile.bit_lines - before - own.len();
                values.extend(std::iter::repeat_n(0.0, before));
                values.extend(own.iter().map(|g| *g as f32));
                values.extend(std::iter::repeat_n(0.0, after));
            }
        }
        let features = products.iter().map(|(feature, _)| feature.clone()).collect();
        Ok(Self { features, layout, channel, operand: backend.pack(&high, &values)? })
    }

    /// Reads vectors of voltages as a backend reads a product.
    pub(crate) fn read(
        &self,
        input: Input<'_>,
        converter: &dyn Converter,
        accumulate: Accumulate,
        backend: &dyn ArrayBackend,
        output: &mut [f32],
    ) -> Result<Conversions, MapError> {
        let multiply = |input: Input<'_>, accumulate, output: &mut [f32]| {
            let product = Product { input, converter, accumulate };
            backend.multiply(&self.operand, &product, output).map_err(MapError::from)
        };
        match input {
            Input::Patches { values, samples, geometry }
                if self.channel == geometry.kernel.iter().product::<usize>() =>
            {
                let (values, geometry) = self.channels(values, geometry);
                let input = Input::Patches { values: &values, samples, geometry: &geometry };
                let done = multiply(input, accumulate, output);
                buffers::give(values);
                done
            }
            Input::Patches { values, samples, geometry } => {
                let (image, positions) = (geometry.image_len(), geometry.positions());
                let columns = self.layout.groups() * self.layout.columns();
                let places = self.places(geometry);
                let gathered = places.len() / self.layout.rows() * self.lines();
                let at_once = (GATHERED / gathered.max(1)).clamp(1, samples.max(1));
                let mut done = Conversions::default();
                let images =
                    values.chunks(at_once * image).zip(output.chunks_mut(at_once * columns * positions));
                for (values, output) in images {
                    let vectors = self.gather(values, image, &places);
                    let rows = values.len() / image * positions;
                    let mut sums = buffers::take(rows * columns);
                    done += multiply(Input::Rows { values: &vectors, rows }, Accumulate::Set, &mut sums)?;
                    let samples = output.chunks_exact_mut(columns * positions);
                    for (output, sums) in samples.zip(sums.chunks_exact(columns * positions)) {
                        scatter(sums, columns, accumulate, output);
                    }
                    buffers::give(vectors);
                    buffers::give(sums);
                }
                Ok(done)
            }
            other => {
                let (values, rows) = match other {
                    Input::Rows { values, rows } => (values, rows),
                    _ => (&[][..], 0),
                };
                let length = self.layout.groups() * self.layout.rows();
                let places: Vec<u32> = (1..=length as u32).collect();
                let vectors = self.gather(values, length, &places);
                let done = multiply(Input::Rows { values: &vectors, rows }, accumulate, output);
                buffers::give(vectors);
                done
            }
        }
    }

    /// Word lines of the operand in one group.
    fn lines(&self) -> usize {
        self.operand.layout().rows()
    }

    /// Images with the channels of all functions, tile after tile of each group.
    fn channels(&self, values: &[f32], geometry: &PatchGeometry) -> (Vec<f32>, PatchGeometry) {
        let (image, groups) = (geometry.image_len(), self.layout.groups());
        let (plane, channels) = (image / geometry.channels, groups * self.lines() / self.channel);
        let mut stacked = buffers::take(values.len() / image * channels * plane);
        stacked.par_chunks_mut(channels * plane).zip(values.par_chunks(image)).for_each(|(mut to, volts)| {
            let functions = feature::all(&self.features, volts);
            for group in 0..groups {
                for row in 0..self.layout.tile_rows() {
                    let lines = lines_of(&self.layout, self.channel, row);
                    let (length, start) =
                        (lines.len() / self.channel * plane, lines.start / self.channel * plane);
                    for function in &functions {
                        let own = &function[group * image / groups..][..image / groups][start..];
                        let used = length.min(own.len());
                        let (part, rest) = std::mem::take(&mut to).split_at_mut(length);
                        part[..used].copy_from_slice(&own[..used]);
                        part[used..].fill(0.0);
                        to = rest;
                    }
                }
            }
        });
        (stacked, PatchGeometry { channels, ..*geometry })
    }

    /// Where the elements of all vectors of an image come from, counted from 1; 0 is outside.
    fn places(&self, geometry: &PatchGeometry) -> Vec<u32> {
        let numbers: Vec<u32> = (1..=geometry.image_len() as u32).collect();
        let length = self.layout.groups() * self.layout.rows();
        let mut all = vec![0; geometry.positions() * length];
        for (position, vector) in all.chunks_exact_mut(length).enumerate() {
            geometry.patch(&numbers, position, vector);
        }
        all
    }

    /// Vectors with all functions one above the other on the word lines of every tile. `values` are images (or
    /// vectors) of so many elements, of each of which `places` makes its vectors.
    fn gather(&self, values: &[f32], image: usize, places: &[u32]) -> Vec<f32> {
        let length = places.len() / self.layout.rows() * self.lines();
        let mut gathered = buffers::take(values.len() / image * length);
        gathered.par_chunks_mut(length).zip(values.par_chunks(image)).for_each(|(to, volts)| {
            let functions = feature::all(&self.features, volts);
            let mut to = to.iter_mut();
            for group in places.chunks_exact(self.layout.rows()) {
                for row in 0..self.layout.tile_rows() {
                    let lines = lines_of(&self.layout, self.channel, row);
                    for function in &functions {
                        let places = group[lines.start..].iter().copied().chain(std::iter::repeat(0));
                        for (place, to) in places.take(lines.len()).zip(to.by_ref()) {
                            *to = if place == 0 { 0.0 } else { function[place as usize - 1] };
                        }
                    }
                }
            }
        });
        gathered
    }
}

/// The word lines of the channels that a row of tiles has a part of; those beyond the last conduct nothing.
fn lines_of(layout: &Layout, channel: usize, row: usize) -> std::ops::Range<usize> {
    let span = span(layout, channel, row);
    let last = row + 1 == layout.tile_rows();
    span.start..if last { span.end } else { span.start + widest(layout, channel) }
}

fn span(layout: &Layout, channel: usize, row: usize) -> std::ops::Range<usize> {
    let size = layout.tile_shape()[0];
    let end = ((row + 1) * size).min(layout.rows());
    row * size / channel * channel..end.next_multiple_of(channel)
}

/// The word lines of the row of tiles that has a part of most channels.
fn widest(layout: &Layout, channel: usize) -> usize {
    (0..layout.tile_rows()).map(|row| span(layout, channel, row).len()).max().unwrap_or(0)
}

/// Puts sums `[positions, columns]` of an image where a product of patches has them, `[columns, positions]`.
fn scatter(sums: &[f32], columns: usize, accumulate: Accumulate, output: &mut [f32]) {
    let positions = sums.len() / columns;
    for (column, output) in output.chunks_exact_mut(positions).enumerate() {
        let sums = sums[column..].iter().step_by(columns);
        match accumulate {
            Accumulate::Set => output.iter_mut().zip(sums).for_each(|(y, sum)| *y = *sum),
            Accumulate::Add => output.iter_mut().zip(sums).for_each(|(y, sum)| *y += *sum),
            Accumulate::Subtract => output.iter_mut().zip(sums).for_each(|(y, sum)| *y -= *sum),
        }
    }
}
