use std::sync::Arc;

use crate::Tensor;
use crate::tensor::{Data, count};

/// Distances of neighbours along each axis of a row-major tensor.
pub(crate) fn contiguous(shape: &[usize]) -> Vec<isize> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i] as isize;
    }
    strides
}

/// The elements of `tensor` at `offset` plus multiples of `strides`, as a tensor of `shape`: what a
/// transposition, a slice and an expansion have in common. All of them must lie in the tensor.
pub(crate) fn strided(
    tensor: &Tensor,
    shape: &[usize],
    strides: &[isize],
    offset: isize,
) -> Result<Tensor, String> {
    let n = count(shape)?;
    let data = match tensor.data() {
        Data::F32(values) => Data::F32(Arc::new(pick(values, n, shape, strides, offset)?)),
        Data::I64(values) => Data::I64(Arc::new(pick(values, n, shape, strides, offset)?)),
        Data::Bool(values) => Data::Bool(Arc::new(pick(values, n, shape, strides, offset)?)),
    };
    Tensor::from_data(shape, data)
}

fn pick<T: Copy>(
    values: &[T],
    n: usize,
    shape: &[usize],
    strides: &[isize],
    offset: isize,
) -> Result<Vec<T>, String> {
    let mut picked = Vec::new();
    picked.try_reserve_exact(n).map_err(|_| format!("no memory for a tensor of shape {shape:?}"))?;
    if n == 0 {
        return Ok(picked);
    }
    // Axes of length 1 say nothing; neighbours that lie one after the other are one axis.
    let mut dims: Vec<(usize, isize)> = Vec::new();
    for (&length, &stride) in shape.iter().zip(strides).filter(|(length, _)| **length != 1) {
        match dims.last_mut() {
            Some((before, outer)) if *outer == stride * length as isize => {
                *before *= length;
                *outer = stride;
            }
            _ => dims.push((length, stride)),
        }
    }
    let (length, stride) = dims.pop().unwrap_or((1, 1));
    let mut index = vec![0; dims.len()];
    let mut start = offset;
    loop {
        if stride == 1 {
            picked.extend_from_slice(&values[start as usize..start as usize + length]);
        } else {
            picked.extend((0..length).map(|i| values[(start + i as isize * stride) as usize]));
        }
        let mut axis = dims.len();
        loop {
            if axis == 0 {
                return Ok(picked);
            }
            axis -= 1;
            let (length, stride) = dims[axis];
            index[axis] += 1;
            start += stride;
            if index[axis] < length {
                break;
            }
            start -= stride * length as isize;
            index[axis] = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transposed_slice_is_what_indices_say() {
        let shape = [3, 4, 5];
        let tensor = Tensor::new(&shape, (0..60).map(|i| i as f32).collect()).unwrap();
        // [axis 2 reversed from 4 by -2, axis 0, axis 1 from 1]
        let strides = contiguous(&shape);
        let picked = strided(&tensor, &[3, 3, 3], &[-2 * strides[2], strides[0], strides[1]], 4 + strides[1]);
        let picked = picked.unwrap();
        let values = picked.as_f32().unwrap();
        for a in 0..3 {
            for b in 0..3 {
                for c in 0..3 {
                    let expected = b * 20 + (c + 1) * 5 + (4 - 2 * a);
                    assert_eq!(values[a * 9 + b * 3 + c], expected as f32);
                }
            }
        }
    }

    #[test]
    fn scalars_and_empty_tensors_work() {
        let scalar = Tensor::new(&[], vec![3.0]).unwrap();
        assert_eq!(strided(&scalar, &[2, 3], &[0, 0], 0).unwrap().as_f32().unwrap(), [3.0; 6]);
        assert_eq!(strided(&scalar, &[], &[], 0).unwrap().as_f32().unwrap(), [3.0]);
        assert_eq!(strided(&scalar, &[0, 3], &[0, 0], 0).unwrap().len(), 0);
    }
}
