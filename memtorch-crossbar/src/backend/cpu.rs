//! The backend on the CPU.

use std::sync::Arc;

use rayon::prelude::*;

use super::{Accumulate, ArrayBackend, Conversions, Input, Operand, PatchGeometry, Product};
use crate::{ConverterSpec, CrossbarError, Layout};

/// Products on the CPU, with rayon over vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuBackend {
    portable: bool,
}

const NAME: &str = "cpu";

impl CpuBackend {
    /// The fastest kernels that this machine has.
    pub fn new() -> Self {
        Self { portable: false }
    }

    /// The portable kernels: the definition of the right answer.
    pub fn portable() -> Self {
        Self { portable: true }
    }
}

/// The devices of a layout, in its order.
struct Packed {
    values: Vec<f32>,
}

impl ArrayBackend for CpuBackend {
    fn name(&self) -> &'static str {
        NAME
    }

    fn pack(&self, layout: &Layout, values: &[f32]) -> Result<Operand, CrossbarError> {
        if values.len() != layout.device_count() {
            return Err(CrossbarError::Shape {
                what: "matrix",
                found: vec![values.len()],
                expected: vec![layout.device_count()],
            });
        }
        Ok(Operand::new(*layout, NAME, Arc::new(Packed { values: values.to_vec() })))
    }

    fn multiply(
        &self,
        operand: &Operand,
        product: &Product<'_>,
        output: &mut [f32],
    ) -> Result<Conversions, CrossbarError> {
        let layout = *operand.layout();
        let packed: &Packed = operand.downcast(NAME)?;
        let columns = layout.groups() * layout.columns();
        check(&layout, &product.input, output.len())?;
        let (length, positions) = match product.input {
            Input::Rows { .. } => (layout.groups() * layout.rows(), 1),
            Input::Patches { geometry, .. } => (geometry.image_len(), geometry.positions()),
        };
        let values = match product.input {
            Input::Rows { values, .. } | Input::Patches { values, .. } => values,
        };
        let sample = |(input, output): (&[f32], &mut [f32])| {
            let mut done = Conversions::default();
            let mut vector = vec![0.0; layout.groups() * layout.rows()];
            let mut result = vec![0.0; columns];
            for position in 0..positions {
                match product.input {
                    Input::Rows { .. } => vector.copy_from_slice(input),
                    Input::Patches { geometry, .. } => patch(geometry, input, position, &mut vector),
                }
                done += self.vector(&layout, &packed.values, &vector, product, &mut result);
                for (column, value) in result.iter().enumerate() {
                    let at = &mut output[column * positions + position];
                    *at = match product.accumulate {
                        Accumulate::Set => *value,
                        Accumulate::Add => *at + value,
                        Accumulate::Subtract => *at - value,
                    };
                }
            }
            done
        };
        Ok(values
            .par_chunks_exact(length)
            .zip(output.par_chunks_exact_mut(columns * positions))
            .map(sample)
            .reduce(Conversions::default, |mut a, b| {
                a += b;
                a
            }))
    }
}

impl CpuBackend {
    /// One vector through all tiles.
    fn vector(
        &self,
        layout: &Layout,
        matrix: &[f32],
        vector: &[f32],
        product: &Product<'_>,
        result: &mut [f32],
    ) -> Conversions {
        let ideal = matches!(product.converter.descriptor(), Some(ConverterSpec::Ideal));
        let mut done = Conversions::default();
        let mut sums = vec![0.0f32; layout.tile_shape()[1].min(layout.columns())];
        result.fill(0.0);
        for tile in layout.tiles() {
            let sums = &mut sums[..tile.bit_lines];
            sums.fill(0.0);
            let inputs = &vector[tile.group * layout.rows() + tile.row..][..tile.word_lines];
            self.tile(&matrix[tile.range()], inputs, sums);
            if !ideal {
                done.codes += sums.len() as u64;
                done.clipped += product.converter.quantise(sums, &tile) as u64;
            }
            let at = tile.group * layout.columns() + tile.column;
            for (total, sum) in result[at..at + tile.bit_lines].iter_mut().zip(sums) {
                *total += *sum;
            }
        }
        done
    }

    /// The partial sums of one tile.
    fn tile(&self, matrix: &[f32], inputs: &[f32], sums: &mut [f32]) {
        #[cfg(target_arch = "x86_64")]
        if !self.portable && std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
            // SAFETY: the processor was just seen to have AVX2 and FMA.
            unsafe { tile_kernel_fma(matrix, inputs, sums) };
            return;
        }
        tile_kernel(matrix, inputs, sums);
    }
}

#[inline(always)]
fn tile_kernel(matrix: &[f32], inputs: &[f32], sums: &mut [f32]) {
    for (input, row) in inputs.iter().zip(matrix.chunks_exact(sums.len())) {
        for (sum, g) in sums.iter_mut().zip(row) {
            *sum = input.mul_add(*g, *sum);
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn tile_kernel_fma(matrix: &[f32], inputs: &[f32], sums: &mut [f32]) {
    tile_kernel(matrix, inputs, sums);
}

/// Gathers the elements under the kernel at one position, all groups in order.
fn patch(geometry: &PatchGeometry, image: &[f32], position: usize, vector: &mut [f32]) {
    let [_, oh, ow] = geometry.output;
    let at = [position / (oh * ow), position / ow % oh, position % ow];
    let [id, ih, iw] = geometry.input;
    let [kd, kh, kw] = geometry.kernel;
    let source = |axis: usize, k: usize| {
        (at[axis] * geometry.stride[axis] + k * geometry.dilation[axis])
            .checked_sub(geometry.padding[axis])
            .filter(|i| *i < geometry.input[axis])
    };
    let mut slots = vector.iter_mut();
    for channel in 0..geometry.channels {
        for d in 0..kd {
            for h in 0..kh {
                for w in 0..kw {
                    let value = match (source(0, d), source(1, h), source(2, w)) {
                        (Some(z), Some(y), Some(x)) => image[((channel * id + z) * ih + y) * iw + x],
                        _ => 0.0,
                    };
                    if let Some(slot) = slots.next() {
                        *slot = value;
                    }
                }
            }
        }
    }
}

fn check(layout: &Layout, input: &Input<'_>, output: usize) -> Result<(), CrossbarError> {
    let (found, expected) = match input {
        Input::Rows { values, rows } => (values.len(), rows.checked_mul(layout.groups() * layout.rows())),
        Input::Patches { values, samples, geometry } => {
            let kernel: usize = geometry.kernel.iter().product();
            let rows = geometry.channels / layout.groups() * kernel;
            if geometry.channels % layout.groups() != 0 || rows != layout.rows() {
                return Err(CrossbarError::Shape {
                    what: "patch",
                    found: vec![geometry.channels, kernel],
                    expected: vec![layout.groups() * layout.rows()],
                });
            }
            (values.len(), samples.checked_mul(geometry.image_len()))
        }
    };
    if Some(found) != expected {
        let expected = vec![expected.unwrap_or(usize::MAX)];
        return Err(CrossbarError::Shape { what: "input", found: vec![found], expected });
    }
    let expected = input.vectors() * layout.groups() * layout.columns();
    if output != expected {
        return Err(CrossbarError::Shape { what: "output", found: vec![output], expected: vec![expected] });
    }
    Ok(())
}
