//! Concat, Split and Tile.

use std::sync::Arc;

use super::constant::sizes;
use super::{Fault, Inputs, Made, Making, Operator, axis, contiguous, strided};
use crate::Tensor;
use crate::run::Run;
use crate::tensor::{Data, count};

#[derive(Clone, Copy, Debug)]
struct Concat {
    axis: i64,
}

#[derive(Clone, Debug)]
struct Split {
    axis: i64,
    lengths: Option<Vec<i64>>,
    outputs: usize,
}

#[derive(Clone, Copy, Debug)]
struct Tile;

pub(super) fn make(name: &str, making: &Making<'_>) -> Option<Made> {
    let a = &making.attributes;
    let made = match name {
        "Concat" => (|| match a.whole_maybe("axis")? {
            Some(&axis) => Ok(Box::new(Concat { axis }) as Box<dyn Operator>),
            None => Err("attribute axis is missing".into()),
        })(),
        "Split" => (|| {
            let axis = a.whole("axis", 0)?;
            let lengths = a.wholes("split")?.cloned();
            let outputs = a.whole("num_outputs", making.outputs as i64)?;
            if outputs != making.outputs as i64 {
                return Err(
                    format!("num_outputs = {outputs}: expected {}, its outputs", making.outputs).into()
                );
            }
            Ok(Box::new(Split { axis, lengths, outputs: making.outputs }) as Box<dyn Operator>)
        })(),
        "Tile" => Ok(Box::new(Tile) as Box<dyn Operator>),
        _ => return None,
    };
    Some(made)
}

impl Operator for Concat {
    fn run(&self, inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let list = inputs.rest();
        let first = list.first().ok_or("input 0 is missing")?;
        let axis = axis(self.axis, first.shape().len())?;
        let mut shape = first.shape().to_vec();
        shape[axis] = 0;
        for tensor in &list {
            let other = tensor.shape();
            let fits =
                other.len() == shape.len() && (0..shape.len()).all(|i| i == axis || other[i] == shape[i]);
            if !fits {
                let shapes: Vec<_> = list.iter().map(Tensor::shape).collect();
                return Err(format!("shapes {shapes:?} cannot be joined along axis {axis}").into());
            }
            shape[axis] += other[axis];
        }
        count(&shape)?;
        let outer: usize = shape[..axis].iter().product();
        fn join<T: Copy>(
            list: &[Tensor],
            outer: usize,
            get: impl Fn(&Tensor) -> Option<&[T]>,
        ) -> Option<Vec<T>> {
            let parts: Option<Vec<&[T]>> = list.iter().map(get).collect();
            let parts = parts?;
            let mut joined = Vec::with_capacity(parts.iter().map(|p| p.len()).sum());
            for i in 0..outer {
                for part in &parts {
                    let n = part.len() / outer;
                    joined.extend_from_slice(&part[i * n..(i + 1) * n]);
                }
            }
            Some(joined)
        }
        let data = match first.data() {
            Data::F32(_) => join(&list, outer, Tensor::as_f32).map(|v| Data::F32(Arc::new(v))),
            Data::I64(_) => join(&list, outer, Tensor::as_i64).map(|v| Data::I64(Arc::new(v))),
            Data::Bool(_) => join(&list, outer, Tensor::as_bool).map(|v| Data::Bool(Arc::new(v))),
        };
        Ok(vec![Tensor::from_data(&shape, data.ok_or("expected tensors of one kind")?)?])
    }
}

impl Operator for Split {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let tensor = inputs.take(0)?;
        let axis = axis(self.axis, tensor.shape().len())?;
        let total = tensor.shape()[axis];
        let lengths = match inputs.wholes_maybe(1)?.or_else(|| self.lengths.clone()) {
            Some(list) => sizes(&list)?,
            None => {
                // Parts of equal length; the last may be shorter.
                let n = total.div_ceil(self.outputs.max(1));
                (0..self.outputs).map(|i| total.saturating_sub(i * n).min(n)).collect()
            }
        };
        let sum = lengths.iter().try_fold(0usize, |sum, &n| sum.checked_add(n));
        if sum != Some(total) || lengths.len() != self.outputs {
            return Err(format!(
                "parts of lengths {lengths:?}: expected {} with a sum of {total}",
                self.outputs
            )
            .into());
        }
        let strides = contiguous(tensor.shape());
        let mut start = 0;
        let mut parts = Vec::with_capacity(lengths.len());
        for n in lengths {
            let mut shape = tensor.shape().to_vec();
            shape[axis] = n;
            parts.push(strided(&tensor, &shape, &strides, start * strides[axis])?);
            start += n as isize;
        }
        Ok(parts)
    }
}

impl Operator for Tile {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let tensor = inputs.take(0)?;
        let repeats = sizes(&inputs.wholes(1)?)?;
        if repeats.len() != tensor.shape().len() {
            let found = repeats.len();
            return Err(
                format!("{found} repeats: expected one for each of {} axes", tensor.shape().len()).into()
            );
        }
        // Each axis becomes two: the repeats, over which nothing moves, and the axis itself.
        let (mut shape, mut strides, mut joined) = (Vec::new(), Vec::new(), Vec::new());
        for ((&n, &stride), &r) in tensor.shape().iter().zip(&contiguous(tensor.shape())).zip(&repeats) {
            shape.extend([r, n]);
            strides.extend([0, stride]);
            joined.push(r.checked_mul(n).ok_or("the result is too large")?);
        }
        Ok(vec![strided(&tensor, &shape, &strides, 0)?.reshaped(&joined)?])
    }
}
