//! Products as they are defined, element by element: what every kernel must equal bit for bit.

use super::{Accumulate, Conversions, Input, Product};
use crate::{ConverterSpec, Layout};

/// Computes a product whose lengths were checked.
///
/// Each column of each tile is one chain of fused multiply-adds from 0 over the word lines in ascending
/// order; the converter sees the bit lines of one tile for one vector; row tiles add in ascending order.
pub(super) fn multiply(
    layout: &Layout,
    matrix: &[f32],
    product: &Product<'_>,
    output: &mut [f32],
) -> Conversions {
    let (rows, columns) = (layout.groups() * layout.rows(), layout.groups() * layout.columns());
    let (values, samples, length, positions) = match product.input {
        Input::Rows { values, rows: samples } => (values, samples, rows, 1),
        Input::Patches { values, samples, geometry } => {
            (values, samples, geometry.image_len(), geometry.positions())
        }
    };
    let mut done = Conversions::default();
    let (mut vector, mut result) = (vec![0.0; rows], vec![0.0; columns]);
    for sample in 0..samples {
        let input = &values[sample * length..][..length];
        for position in 0..positions {
            match product.input {
                Input::Rows { .. } => vector.copy_from_slice(input),
                Input::Patches { geometry, .. } => geometry.patch(input, position, &mut vector),
            }
            done += through_tiles(layout, matrix, &vector, product, &mut result);
            for (column, value) in result.iter().enumerate() {
                let at = &mut output[(sample * columns + column) * positions + position];
                *at = match product.accumulate {
                    Accumulate::Set => *value,
                    Accumulate::Add => *at + value,
                    Accumulate::Subtract => *at - value,
                };
            }
        }
    }
    done
}

/// One vector through all tiles.
fn through_tiles(
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
        for (input, row) in inputs.iter().zip(matrix[tile.range()].chunks_exact(tile.bit_lines)) {
            for (sum, g) in sums.iter_mut().zip(row) {
                *sum = input.mul_add(*g, *sum);
            }
        }
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
