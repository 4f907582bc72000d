//! Currents that are a sum of several products, read as one product.

use memtorch_crossbar::{
    Accumulate, ArrayBackend, Conversions, Converter, Input, Layout, Operand, PatchGeometry, Product,
    TileShape,
};
use rayon::prelude::*;

use crate::MapError;
use crate::feature::{self, Feature};

/// Functions of the voltages times a matrix each, one above the other on the word lines of every tile: the chain of
/// products down a tile is the sum of all.
#[derive(Clone, Debug)]
pub(crate) struct Stacked {
    features: Vec<Feature>,
    /// How one of the matrices lies.
    layout: Layout,
    /// All of them.
    operand: Operand,
}

/// Numbers of vectors that are gathered at once.
const GATHERED: usize = 1 << 22;

impl Stacked {
    /// Matrices in the order of the layout.
    pub(crate) fn new(
        layout: Layout,
        products: &[(Feature, Vec<f64>)],
        backend: &dyn ArrayBackend,
    ) -> Result<Self, MapError> {
        let many = products.len();
        let [word_lines, bit_lines] = layout.tile_shape();
        let shape = TileShape::Sized { word_lines: many * word_lines, bit_lines };
        let high = Layout::new(layout.groups(), many * layout.rows(), layout.columns(), shape)?;
        let mut values = Vec::with_capacity(high.device_count());
        for tile in layout.tiles() {
            for (_, matrix) in products {
                values.extend(matrix[tile.range()].iter().map(|g| *g as f32));
            }
        }
        let features = products.iter().map(|(feature, _)| feature.clone()).collect();
        Ok(Self { features, layout, operand: backend.pack(&high, &values)? })
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
            Input::Patches { values, samples, geometry } if self.layout.tile_rows() == 1 => {
                let (values, geometry) = self.channels(values, geometry);
                multiply(Input::Patches { values: &values, samples, geometry: &geometry }, accumulate, output)
            }
            Input::Patches { values, samples, geometry } => {
                let (image, positions) = (geometry.image_len(), geometry.positions());
                let columns = self.layout.groups() * self.layout.columns();
                let places = self.places(geometry);
                let at_once =
                    (GATHERED / (self.features.len() * places.len()).max(1)).clamp(1, samples.max(1));
                let mut done = Conversions::default();
                let images =
                    values.chunks(at_once * image).zip(output.chunks_mut(at_once * columns * positions));
                for (values, output) in images {
                    let vectors = self.gather(values, image, &places);
                    let rows = values.len() / image * positions;
                    let mut sums = vec![0.0; rows * columns];
                    done += multiply(Input::Rows { values: &vectors, rows }, Accumulate::Set, &mut sums)?;
                    let samples = output.chunks_exact_mut(columns * positions);
                    for (output, sums) in samples.zip(sums.chunks_exact(columns * positions)) {
                        scatter(sums, columns, accumulate, output);
                    }
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
                multiply(Input::Rows { values: &vectors, rows }, accumulate, output)
            }
        }
    }

    /// Images with all functions as channels of each group.
    fn channels(&self, values: &[f32], geometry: &PatchGeometry) -> (Vec<f32>, PatchGeometry) {
        let (image, many) = (geometry.image_len(), self.features.len());
        let group = image / self.layout.groups();
        let mut stacked = vec![0.0f32; many * values.len()];
        stacked.par_chunks_mut(many * image).zip(values.par_chunks(image)).for_each(|(stacked, volts)| {
            let functions = feature::all(&self.features, volts);
            for (number, to) in stacked.chunks_exact_mut(group).enumerate() {
                let (at, k) = (number / many * group, number % many);
                to.copy_from_slice(&functions[k][at..at + group]);
            }
        });
        (stacked, PatchGeometry { channels: many * geometry.channels, ..*geometry })
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
        let (many, size) = (self.features.len(), self.layout.tile_shape()[0]);
        let mut gathered = vec![0.0f32; values.len() / image * many * places.len()];
        gathered.par_chunks_mut(many * places.len()).zip(values.par_chunks(image)).for_each(|(to, volts)| {
            let functions = feature::all(&self.features, volts);
            let mut to = to.iter_mut();
            for group in places.chunks_exact(self.layout.rows()) {
                for lines in group.chunks(size) {
                    for function in &functions {
                        for (place, to) in lines.iter().zip(to.by_ref()) {
                            *to = if *place == 0 { 0.0 } else { function[*place as usize - 1] };
                        }
                    }
                }
            }
        });
        gathered
    }
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
