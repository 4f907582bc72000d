//! Padding.

use std::sync::Arc;

use super::{Fault, Inputs, Made, Making, Operator, axis, contiguous};
use crate::Tensor;
use crate::run::Run;
use crate::tensor::{Data, count};

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
            let total = (n as i64).checked_add(before).and_then(|m| m.checked_add(after));
            let total = total.and_then(|m| usize::try_from(m).ok());
            let total = total.ok_or_else(|| format!("pads {before} and {after} of an axis of length {n}"))?;
            shape.push(total);
            // Each axis alone must be of a size that can be, before anything is made for it.
            count(&shape)?;
            sources
                .push((0..total as i64).map(|i| self.source(i - before, n)).collect::<Result<Vec<_>, _>>()?);
        }
        let n = count(&shape)?;
        let places = places(&sources, &contiguous(tensor.shape()), n)?;
        let data = match tensor.data() {
            Data::F32(v) => {
                let value = value.as_ref().and_then(Tensor::as_f32).and_then(|v| v.first()).copied();
                let value = value.unwrap_or(self.value);
                Data::F32(Arc::new(places.iter().map(|p| p.map_or(value, |p| v[p])).collect()))
            }
            Data::I64(v) => {
                let value = value.as_ref().and_then(Tensor::as_i64).and_then(|v| v.first()).copied();
                let value = value.unwrap_or(self.value as i64);
                Data::I64(Arc::new(places.iter().map(|p| p.map_or(value, |p| v[p])).collect()))
            }
            Data::Bool(v) => {
                let value = value.as_ref().and_then(Tensor::as_bool).and_then(|v| v.first()).copied();
                let value = value.unwrap_or(false);
                Data::Bool(Arc::new(places.iter().map(|p| p.map_or(value, |p| v[p])).collect()))
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

/// The place of every element of the result in the tensor.
fn places(sources: &[Vec<Option<usize>>], strides: &[isize], n: usize) -> Result<Vec<Option<usize>>, String> {
    let mut places = Vec::new();
    places.try_reserve_exact(n).map_err(|_| format!("no memory for {n} elements"))?;
    places.push(Some(0));
    for (axis, stride) in sources.iter().zip(strides) {
        let mut longer = Vec::new();
        longer
            .try_reserve_exact(places.len() * axis.len())
            .map_err(|_| format!("no memory for {n} elements"))?;
        for place in &places {
            longer.extend(axis.iter().map(|i| Some((*place)? + (*i)? * *stride as usize)));
        }
        places = longer;
    }
    Ok(places)
}
