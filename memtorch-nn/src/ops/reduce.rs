//! Sums, means, extremes along axes.

use std::sync::Arc;

use super::{Fault, Inputs, Made, Making, Operator, axes, axis, contiguous, strided};
use crate::Tensor;
use crate::run::Run;
use crate::tensor::{Data, count};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Sum,
    Mean,
    Max,
    Min,
    Prod,
    L1,
    L2,
    SumSquare,
    LogSum,
    LogSumExp,
}

#[derive(Clone, Debug)]
struct Reduce {
    how: How,
    axes: Option<Vec<i64>>,
    keep: bool,
    /// Without axes nothing is reduced, instead of everything.
    nothing: bool,
}

/// The index of the largest or smallest element.
#[derive(Clone, Copy, Debug)]
struct Arg {
    max: bool,
    axis: i64,
    keep: bool,
    last: bool,
}

pub(super) fn make(name: &str, making: &Making<'_>) -> Option<Made> {
    let how = match name {
        "ReduceSum" => How::Sum,
        "ReduceMean" => How::Mean,
        "ReduceMax" => How::Max,
        "ReduceMin" => How::Min,
        "ReduceProd" => How::Prod,
        "ReduceL1" => How::L1,
        "ReduceL2" => How::L2,
        "ReduceSumSquare" => How::SumSquare,
        "ReduceLogSum" => How::LogSum,
        "ReduceLogSumExp" => How::LogSumExp,
        "ArgMax" | "ArgMin" => return Some(arg(making, name == "ArgMax")),
        _ => return None,
    };
    let a = &making.attributes;
    Some((|| {
        Ok(Box::new(Reduce {
            how,
            axes: a.wholes("axes")?.cloned(),
            keep: a.flag("keepdims", true)?,
            nothing: a.flag("noop_with_empty_axes", false)?,
        }) as Box<dyn Operator>)
    })())
}

fn arg(making: &Making<'_>, max: bool) -> Made {
    let a = &making.attributes;
    let (axis, keep, last) =
        (a.whole("axis", 0)?, a.flag("keepdims", true)?, a.flag("select_last_index", false)?);
    Ok(Box::new(Arg { max, axis, keep, last }))
}

/// The tensor with these axes last, their number of elements, and the shape of what is left.
fn inner(tensor: &Tensor, gone: &[usize], keep: bool) -> Result<(Tensor, usize, Vec<usize>), String> {
    let (old, strides) = (tensor.shape(), contiguous(tensor.shape()));
    let stay: Vec<usize> = (0..old.len()).filter(|i| !gone.contains(i)).collect();
    let order: Vec<usize> = stay.iter().chain(gone).copied().collect();
    let n = gone.iter().map(|&i| old[i]).product();
    let result = if keep {
        (0..old.len()).map(|i| if gone.contains(&i) { 1 } else { old[i] }).collect()
    } else {
        stay.iter().map(|&i| old[i]).collect()
    };
    if order.iter().copied().eq(0..old.len()) {
        return Ok((tensor.clone(), n, result));
    }
    let shape: Vec<usize> = order.iter().map(|&i| old[i]).collect();
    let strides: Vec<isize> = order.iter().map(|&i| strides[i]).collect();
    Ok((strided(tensor, &shape, &strides, 0)?, n, result))
}

impl Operator for Reduce {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let tensor = inputs.take(0)?;
        let list = inputs.wholes_maybe(1)?.or_else(|| self.axes.clone()).unwrap_or_default();
        let gone = match (list.is_empty(), self.nothing) {
            (true, true) => return Ok(vec![tensor]),
            (true, false) => (0..tensor.shape().len()).collect(),
            (false, _) => axes(&list, tensor.shape().len())?,
        };
        let (moved, n, shape) = inner(&tensor, &gone, self.keep)?;
        let results = count(&shape)?;
        let data = match moved.data() {
            Data::F32(values) => {
                let part = |i: usize| self.real(&values[i * n..(i + 1) * n]);
                Data::F32(Arc::new((0..results).map(part).collect::<Result<_, _>>()?))
            }
            Data::I64(values) => {
                let part = |i: usize| self.whole(&values[i * n..(i + 1) * n]);
                Data::I64(Arc::new((0..results).map(part).collect::<Result<_, _>>()?))
            }
            Data::Bool(_) => return Err("input 0 holds truth values: expected numbers".into()),
        };
        Ok(vec![Tensor::from_data(&shape, data)?])
    }
}

impl Reduce {
    /// Sums are made in f64 and rounded once.
    fn real(&self, values: &[f32]) -> Result<f32, String> {
        let sum = |f: fn(f64) -> f64| values.iter().map(|&x| f(f64::from(x))).sum::<f64>();
        let extreme = |start: f32, better: fn(f32, f32) -> bool| {
            if values.is_empty() {
                return Err("the largest or smallest of no elements".to_owned());
            }
            Ok(values.iter().fold(start, |y, &x| if better(x, y) || x.is_nan() { x } else { y }))
        };
        Ok(match self.how {
            How::Sum => sum(|x| x) as f32,
            How::Mean => (sum(|x| x) / values.len() as f64) as f32,
            How::Max => extreme(f32::NEG_INFINITY, |x, y| x > y)?,
            How::Min => extreme(f32::INFINITY, |x, y| x < y)?,
            How::Prod => values.iter().map(|&x| f64::from(x)).product::<f64>() as f32,
            How::L1 => sum(f64::abs) as f32,
            How::L2 => sum(|x| x * x).sqrt() as f32,
            How::SumSquare => sum(|x| x * x) as f32,
            How::LogSum => sum(|x| x).ln() as f32,
            How::LogSumExp => {
                let largest = f64::from(values.iter().fold(f32::NEG_INFINITY, |m, &x| m.max(x)));
                let sum: f64 = values.iter().map(|&x| (f64::from(x) - largest).exp()).sum();
                (largest + sum.ln()) as f32
            }
        })
    }

    fn whole(&self, values: &[i64]) -> Result<i64, String> {
        let none = || "the largest or smallest of no elements".to_owned();
        match self.how {
            How::Sum => Ok(values.iter().fold(0, |a, &b| a.wrapping_add(b))),
            How::Prod => Ok(values.iter().fold(1, |a, &b| a.wrapping_mul(b))),
            How::Max => values.iter().copied().max().ok_or_else(none),
            How::Min => values.iter().copied().min().ok_or_else(none),
            How::Mean if !values.is_empty() => {
                Ok(values.iter().fold(0, |a: i64, &b| a.wrapping_add(b)) / values.len() as i64)
            }
            _ => Err("input 0 holds whole numbers: expected real numbers".to_owned()),
        }
    }
}

impl Operator for Arg {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let tensor = inputs.real(0)?;
        let at = axis(self.axis, tensor.shape().len())?;
        let (moved, n, shape) = inner(&tensor, &[at], self.keep)?;
        let values = moved.as_f32().unwrap_or(&[]);
        if n == 0 {
            return Err("the largest or smallest of no elements".into());
        }
        let one = |line: &[f32]| {
            let mut best = 0;
            for (i, &x) in line.iter().enumerate().skip(1) {
                let (y, sign) = (line[best], if self.max { 1.0 } else { -1.0 });
                if x * sign > y * sign || (self.last && x == y) {
                    best = i;
                }
            }
            best as i64
        };
        Ok(vec![Tensor::whole(&shape, values.chunks_exact(n).map(one).collect())?])
    }
}
