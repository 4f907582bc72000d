//! Padding.

use std::sync::Arc;

use super::{Fault, Inputs, Made, Making, Operator, axis, contiguous};
use crate::Tensor;
use crate::run::Run;
use crate::tensor::{Data, count, filled};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Constant,
    Reflect,
    Edge,
    Wrap,
}

/// Elements before and after each axis; negative ones are cut off.
#[derive(Clone, Debug)]
struct Pad {
    mode: Mode,
    /// Attributes before version 11, then inputs.
    pads: Option<Vec<i64>>,
    value: f32,
}

pub(super) fn make(name: &str, making: &Making<'_>) -> Option<Made> {
    let a = &making.attributes;
    (name == "Pad").then(|| {
        let mode = match a.text("mode", "constant")? {
            "constant" => Mode::Constant,
            "reflect" => Mode::Reflect,
            "edge" => Mode::Edge,
            "wrap" => Mode::Wrap,
            other => {
                return Err(format!("mode = {other:?}: expected constant, reflect, edge or wrap").into());
            }
        };
        let (pads, value) = (a.wholes("pads")?.cloned(), a.real("value", 0.0)?);
        Ok(Box::new(Pad { mode, pads, value }) as Box<dyn Operator>)
    })
}

impl Operator for Pad {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let tensor = inputs.take(0)?;
        let rank = tensor.shape().len();
        let pads = match &self.pads {
            Some(pads) => pads.clone(),
            None => inputs.wholes(1)?,
        };
        let value = inputs.maybe(2);
        let axes = inputs.wholes_maybe(3)?.unwrap_or_else(|| (0..rank as i64).collect());
        if pads.len() != 2 * axes.len() {
            return Err(format!("pads = {pads:?}: expected {} numbers", 2 * axes.len()).into());
        }
        super::axes(&axes, rank)?;
        let mut amounts = vec![(0, 0); rank];
        for (i, &a) in axes.iter().enumerate() {
            amounts[axis(a, rank)?] = (pads[i], pads[axes.len() + i]);
        }
        // Where each element along each axis comes from; None is the padding's value.
        let mut sources = Vec::with_capacity(rank);
        let mut shape = Vec::with_capacity(rank);
        for (&n, &(before, after)) in tensor.shape().iter().zip(&amounts) {
            // No axis is as long, and none is cut by as much.
            let possible = |n: &i64| n.unsigned_abs() <= 1 << 40;
            let total = [before, after].iter().all(possible).then(|| n as i64 + before + after);
            let total = total.and_then(|total| usize::try_from(total).ok());
            let total = total.ok_or_else(|| format!("pads {before} and {after} of an axis of length {n}"))?;
            shape.push(total);
            // Each axis alone must be of a size that can be, before anything is made for it.
            count(&shape)?;
            sources
                .push((0..total as i64).map(|i| self.source(i - before, n)).collect::<Result<Vec<_>, _>>()?);
        }
        let value = value.as_ref();
        let strides = contiguous(tensor.shape());
        let data = match tensor.data() {
            Data::F32(v) => {
                let value = value.and_then(Tensor::as_f32).and_then(|v| v.first()).copied();
                Data::F32(Arc::new(padded(v, value.unwrap_or(self.value), &shape, &sources, &strides)?))
            }
            Data::I64(v) => {
                let value = value.and_then(Tensor::as_i64).and_then(|v| v.first()).copied();
                Data::I64(Arc::new(padded(
                    v,
                    value.unwrap_or(self.value as i64),
                    &shape,
                    &sources,
                    &strides,
                )?))
            }
            Data::Bool(v) => {
                let value = value.and_then(Tensor::as_bool).and_then(|v| v.first()).copied();
                Data::Bool(Arc::new(padded(v, value.unwrap_or(false), &shape, &sources, &strides)?))
            }
        };
        Ok(vec![Tensor::from_data(&shape, data)?])
    }
}

impl Pad {
    /// Where element `i` along an axis of length `n` comes from.
    fn source(&self, i: i64, n: usize) -> Result<Option<usize>, String> {
        let length = n as i64;
        if (0..length).contains(&i) {
            return Ok(Some(i as usize));
        }
        if self.mode != Mode::Constant && n == 0 {
            return Err("an axis of length 0: expected an element to copy".to_owned());
        }
        Ok(match self.mode {
            Mode::Constant => None,
            Mode::Edge => Some(i.clamp(0, length - 1) as usize),
            Mode::Wrap => Some(i.rem_euclid(length) as usize),
            Mode::Reflect if n == 1 => Some(0),
            Mode::Reflect => {
                let period = 2 * (length - 1);
                let at = i.rem_euclid(period);
                Some(at.min(period - at) as usize)
            }
        })
    }
}

/// A tensor of `shape` with the elements of `values` where each axis has a source, else with `value`.
fn padded<T: Copy>(
    values: &[T],
    value: T,
    shape: &[usize],
    sources: &[Vec<Option<usize>>],
    strides: &[isize],
) -> Result<Vec<T>, String> {
    let mut result = filled(shape, value)?;
    let Some((last, outer)) = sources.split_last() else {
        result.copy_from_slice(values);
        return Ok(result);
    };
    if result.is_empty() {
        return Ok(result);
    }
    let mut index = vec![0; outer.len()];
    for row in result.chunks_exact_mut(last.len()) {
        let start: Option<usize> =
            index.iter().zip(outer).zip(strides).map(|((&i, axis), &s)| Some(axis[i]? * s as usize)).sum();
        if let Some(start) = start {
            for (y, source) in row.iter_mut().zip(last) {
                if let Some(source) = source {
                    *y = values[start + source];
                }
            }
        }
        for k in (0..outer.len()).rev() {
            index[k] += 1;
            if index[k] < outer[k].len() {
                break;
            }
            index[k] = 0;
        }
    }
    Ok(result)
}
