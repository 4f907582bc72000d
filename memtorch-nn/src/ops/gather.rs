//! Elements in another order: Transpose, Slice, Gather.

use std::sync::Arc;

use super::{Fault, Inputs, Made, Making, Operator, axis, contiguous, strided};
use crate::Tensor;
use crate::run::Run;
use crate::tensor::{Data, count};

#[derive(Clone, Debug)]
struct Transpose {
    order: Option<Vec<usize>>,
}

/// Bounds are attributes before version 10, then inputs.
#[derive(Clone, Debug)]
struct Slice {
    bounds: Option<(Vec<i64>, Vec<i64>)>,
    axes: Option<Vec<i64>>,
}

#[derive(Clone, Copy, Debug)]
struct Gather {
    axis: i64,
}

pub(super) fn make(name: &str, making: &Making<'_>) -> Option<Made> {
    let a = &making.attributes;
    let made: Made = match name {
        "Transpose" => a.sizes("perm", 0).map(|order| Box::new(Transpose { order }) as _).map_err(Into::into),
        "Slice" => (|| {
            let axes = a.wholes("axes")?.cloned();
            let bounds = match (a.wholes("starts")?, a.wholes("ends")?) {
                (Some(starts), Some(ends)) => Some((starts.clone(), ends.clone())),
                (None, None) => None,
                _ => return Err("attributes starts and ends: expected both or none".into()),
            };
            Ok(Box::new(Slice { bounds, axes }) as _)
        })(),
        "Gather" => a.whole("axis", 0).map(|axis| Box::new(Gather { axis }) as _).map_err(Into::into),
        _ => return None,
    };
    Some(made)
}

impl Operator for Transpose {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let tensor = inputs.take(0)?;
        let rank = tensor.shape().len();
        let order = self.order.clone().unwrap_or_else(|| (0..rank).rev().collect());
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if sorted != (0..rank).collect::<Vec<_>>() {
            return Err(format!("perm = {order:?}: expected each of the {rank} axes once").into());
        }
        let strides = contiguous(tensor.shape());
        let shape: Vec<usize> = order.iter().map(|&i| tensor.shape()[i]).collect();
        let strides: Vec<isize> = order.iter().map(|&i| strides[i]).collect();
        Ok(vec![strided(&tensor, &shape, &strides, 0)?])
    }
}

impl Operator for Slice {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let tensor = inputs.take(0)?;
        let rank = tensor.shape().len();
        let (starts, ends) = match &self.bounds {
            Some(bounds) => bounds.clone(),
            None => (inputs.wholes(1)?, inputs.wholes(2)?),
        };
        let axes = inputs.wholes_maybe(3)?.or_else(|| self.axes.clone());
        let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
        let steps = inputs.wholes_maybe(4)?.unwrap_or_else(|| vec![1; starts.len()]);
        if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
            return Err("starts, ends, axes and steps: expected lists of one length".into());
        }
        super::axes(&axes, rank)?;
        let mut shape = tensor.shape().to_vec();
        let mut strides = contiguous(&shape);
        let mut offset = 0;
        for i in 0..starts.len() {
            let at = axis(axes[i], rank)?;
            let (length, step) = (shape[at] as i64, steps[i]);
            if step == 0 {
                return Err("a step of 0: expected another".into());
            }
            let clamp = |x: i64, low: i64, high: i64| {
                (if x < 0 { x.saturating_add(length) } else { x }).clamp(low, high)
            };
            let (start, end) = if step > 0 {
                (clamp(starts[i], 0, length), clamp(ends[i], 0, length))
            } else {
                // The first element, backwards, is at most the last; the end may lie before element 0.
                (clamp(starts[i], 0, (length - 1).max(0)), clamp(ends[i], -1, length - 1))
            };
            let span = if step > 0 { end - start } else { start - end };
            let n = if length == 0 || span <= 0 { 0 } else { (span as u64).div_ceil(step.unsigned_abs()) };
            shape[at] = n as usize;
            // Where there is one element or none, the step moves nothing and may be any number.
            let stride = if n > 1 { step as isize } else { 1 };
            offset += if n > 0 { start as isize * strides[at] } else { 0 };
            strides[at] *= stride;
        }
        Ok(vec![strided(&tensor, &shape, &strides, offset)?])
    }
}

/// An index that may count from the end.
pub(super) fn index(i: i64, length: usize) -> Result<usize, String> {
    let from_start = if i < 0 { i + length as i64 } else { i };
    usize::try_from(from_start)
        .ok()
        .filter(|&i| i < length)
        .ok_or_else(|| format!("index {i} along an axis of length {length}"))
}

impl Operator for Gather {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let (tensor, indices) = (inputs.take(0)?, inputs.take(1)?);
        let axis = axis(self.axis, tensor.shape().len())?;
        let length = tensor.shape()[axis];
        let list = indices.as_i64().ok_or("indices: expected whole numbers")?;
        let list: Vec<usize> = list.iter().map(|&i| index(i, length)).collect::<Result<_, _>>()?;
        let (before, after) = (&tensor.shape()[..axis], &tensor.shape()[axis + 1..]);
        let shape = [before, indices.shape(), after].concat();
        count(&shape)?;
        let (outer, inner): (usize, usize) = (before.iter().product(), after.iter().product());
        fn blocks<T: Copy>(
            values: &[T],
            list: &[usize],
            outer: usize,
            length: usize,
            inner: usize,
        ) -> Vec<T> {
            let mut picked = Vec::with_capacity(outer * list.len() * inner);
            for o in 0..outer {
                for &i in list {
                    picked.extend_from_slice(&values[(o * length + i) * inner..][..inner]);
                }
            }
            picked
        }
        let data = match tensor.data() {
            Data::F32(v) => Data::F32(Arc::new(blocks(v, &list, outer, length, inner))),
            Data::I64(v) => Data::I64(Arc::new(blocks(v, &list, outer, length, inner))),
            Data::Bool(v) => Data::Bool(Arc::new(blocks(v, &list, outer, length, inner))),
        };
        Ok(vec![Tensor::from_data(&shape, data)?])
    }
}
