//! Tensors from nothing or from a shape.

use super::{Fault, Inputs, Made, Making, Operator, Refusal};
use crate::Tensor;
use crate::run::Run;
use crate::tensor::{Data, filled};

/// A tensor that is written in the node.
#[derive(Clone, Debug)]
struct Literal(Tensor);

/// A tensor of a shape that is an input, all of one value.
#[derive(Clone, Debug)]
struct ConstantOfShape(Tensor);

#[derive(Clone, Copy, Debug)]
struct Range;

pub(super) fn make(name: &str, making: &Making<'_>) -> Option<Made> {
    match name {
        "Constant" => Some(literal(making)),
        "ConstantOfShape" => Some(of_shape(making)),
        "Range" => Some(Ok(Box::new(Range))),
        _ => None,
    }
}

fn literal(making: &Making<'_>) -> Made {
    let a = &making.attributes;
    let real = |x: f32| Tensor::new(&[], vec![x]);
    let tensor = if let Some(tensor) = a.tensor("value")? {
        tensor.clone()
    } else if let Some(&x) = a.real_maybe("value_float")? {
        real(x)?
    } else if let Some(values) = a.reals("value_floats")? {
        Tensor::new(&[values.len()], values.clone())?
    } else if let Some(&x) = a.whole_maybe("value_int")? {
        Tensor::whole(&[], vec![x])?
    } else if let Some(values) = a.wholes("value_ints")? {
        Tensor::whole(&[values.len()], values.clone())?
    } else {
        return Err(Refusal::Unsupported("a constant that is neither a tensor nor numbers".to_owned()));
    };
    Ok(Box::new(Literal(tensor)))
}

impl Operator for Literal {
    fn run(&self, _inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        Ok(vec![self.0.clone()])
    }
}

fn of_shape(making: &Making<'_>) -> Made {
    let value = match making.attributes.tensor("value")? {
        Some(value) if value.len() == 1 => value.clone(),
        Some(value) => return Err(format!("value has shape {:?}: expected one number", value.shape()).into()),
        None => Tensor::new(&[1], vec![0.0])?,
    };
    Ok(Box::new(ConstantOfShape(value)))
}

impl Operator for ConstantOfShape {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let shape = sizes(&inputs.wholes(0)?)?;
        Ok(vec![match self.0.data() {
            Data::F32(value) => Tensor::new(&shape, filled(&shape, value[0])?)?,
            Data::I64(value) => Tensor::whole(&shape, filled(&shape, value[0])?)?,
            Data::Bool(value) => Tensor::truth(&shape, filled(&shape, value[0])?)?,
        }])
    }
}

/// A shape from numbers, none of which may be negative.
pub(super) fn sizes(list: &[i64]) -> Result<Vec<usize>, String> {
    let sizes: Option<Vec<usize>> = list.iter().map(|&n| usize::try_from(n).ok()).collect();
    sizes.ok_or_else(|| format!("shape {list:?}: expected no negative number"))
}

impl Operator for Range {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let list = [inputs.take(0)?, inputs.take(1)?, inputs.take(2)?];
        if list.iter().any(|t| t.len() != 1) {
            return Err("start, limit and delta: expected one number each".into());
        }
        let length = |n: f64| -> Result<usize, String> {
            // The comparison is false for a NaN.
            if n < crate::tensor::MOST_ELEMENTS as f64 {
                Ok(n.max(0.0) as usize)
            } else {
                Err(format!("a range of {n} numbers: expected at most {}", crate::tensor::MOST_ELEMENTS))
            }
        };
        Ok(vec![match [list[0].data(), list[1].data(), list[2].data()] {
            [Data::I64(start), Data::I64(limit), Data::I64(delta)] => {
                let (start, limit, delta) = (start[0], limit[0], delta[0]);
                let n = length(((limit as f64 - start as f64) / delta as f64).ceil())?;
                let values = (0..n as i64).map(|i| start.wrapping_add(i.wrapping_mul(delta))).collect();
                Tensor::whole(&[n], values)?
            }
            [Data::F32(start), Data::F32(limit), Data::F32(delta)] => {
                let (start, limit, delta) = (start[0], limit[0], delta[0]);
                let n = length(((f64::from(limit) - f64::from(start)) / f64::from(delta)).ceil())?;
                Tensor::new(&[n], (0..n).map(|i| start + i as f32 * delta).collect())?
            }
            _ => return Err("start, limit and delta: expected numbers of one kind".into()),
        }])
    }
}
