//! Elements at places that are inputs: GatherElements, GatherND, ScatterND, ScatterElements, OneHot, TopK; and CumSum and
//! Trilu, which look at places only.

use std::sync::Arc;

use super::gather::index;
use super::{Fault, Inputs, Made, Making, Operator, Refusal, axis, contiguous};
use crate::Tensor;
use crate::run::Run;
use crate::tensor::{Data, count, filled};

#[derive(Clone, Copy, Debug)]
struct GatherElements {
    axis: i64,
}

#[derive(Clone, Copy, Debug)]
struct GatherNd {
    batch: usize,
}

#[derive(Clone, Copy, Debug)]
struct ScatterNd;

#[derive(Clone, Copy, Debug)]
struct ScatterElements {
    axis: i64,
}

#[derive(Clone, Copy, Debug)]
struct OneHot {
    axis: i64,
}

#[derive(Clone, Copy, Debug)]
struct TopK {
    axis: i64,
    largest: bool,
    /// The number is an attribute before version 10.
    k: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
struct CumSum {
    exclusive: bool,
    reverse: bool,
}

#[derive(Clone, Copy, Debug)]
struct Trilu {
    upper: bool,
}

pub(super) fn make(name: &str, making: &Making<'_>) -> Option<Made> {
    let a = &making.attributes;
    let plain = |reduction: &str| match reduction {
        "none" => Ok(()),
        other => Err(Refusal::Unsupported(format!("with reduction {other}"))),
    };
    let made: Result<Box<dyn Operator>, Refusal> = (|| {
        Ok(match name {
            "GatherElements" => Box::new(GatherElements { axis: a.whole("axis", 0)? }) as Box<dyn Operator>,
            "GatherND" => {
                let batch = a.whole("batch_dims", 0)?;
                let batch = usize::try_from(batch)
                    .map_err(|_| format!("batch_dims = {batch}: expected at least 0"))?;
                Box::new(GatherNd { batch })
            }
            "ScatterND" => {
                plain(a.text("reduction", "none")?)?;
                Box::new(ScatterNd)
            }
            "ScatterElements" => {
                plain(a.text("reduction", "none")?)?;
                Box::new(ScatterElements { axis: a.whole("axis", 0)? })
            }
            "OneHot" => Box::new(OneHot { axis: a.whole("axis", -1)? }),
            "TopK" => {
                // Sorted is one of the orders that an unsorted result may have.
                a.ignore("sorted");
                let (axis, largest) = (a.whole("axis", -1)?, a.flag("largest", true)?);
                Box::new(TopK { axis, largest, k: a.whole_maybe("k")?.copied() })
            }
            "CumSum" => Box::new(CumSum {
                exclusive: a.flag("exclusive", false)?,
                reverse: a.flag("reverse", false)?,
            }),
            "Trilu" => Box::new(Trilu { upper: a.flag("upper", true)? }),
            _ => return Err(Refusal::Unsupported(String::new())),
        })
    })();
    match made {
        Err(Refusal::Unsupported(text)) if text.is_empty() => None,
        made => Some(made),
    }
}

/// The elements of a tensor at places.
fn pick(tensor: &Tensor, shape: &[usize], places: &[usize]) -> Result<Tensor, String> {
    let data = match tensor.data() {
        Data::F32(v) => Data::F32(Arc::new(places.iter().map(|&p| v[p]).collect())),
        Data::I64(v) => Data::I64(Arc::new(places.iter().map(|&p| v[p]).collect())),
        Data::Bool(v) => Data::Bool(Arc::new(places.iter().map(|&p| v[p]).collect())),
    };
    Tensor::from_data(shape, data)
}

/// A tensor with other elements at places, later ones winning.
fn put(tensor: Tensor, updates: &Tensor, places: &[usize]) -> Result<Tensor, String> {
    fn write<T: Copy>(values: &mut Arc<Vec<T>>, updates: &[T], places: &[usize]) {
        let values = Arc::make_mut(values);
        places.iter().zip(updates).for_each(|(&p, &u)| values[p] = u);
    }
    let shape = tensor.shape().to_vec();
    let mut data = tensor.into_data();
    match (&mut data, updates.data()) {
        (Data::F32(v), Data::F32(u)) => write(v, u, places),
        (Data::I64(v), Data::I64(u)) => write(v, u, places),
        (Data::Bool(v), Data::Bool(u)) => write(v, u, places),
        (v, u) => return Err(format!("{} and {}: expected tensors of one kind", v.kind(), u.kind())),
    }
    Tensor::from_data(&shape, data)
}

/// The places that `indices` along one axis mean in a tensor of a shape: all other coordinates are those
/// of the index.
fn elements(shape: &[usize], indices: &Tensor, axis: usize) -> Result<Vec<usize>, String> {
    let own = indices.shape();
    if own.len() != shape.len() || (0..shape.len()).any(|i| i != axis && own[i] > shape[i]) {
        return Err(format!("indices of shape {own:?} for a tensor of shape {shape:?}"));
    }
    let list = indices.as_i64().ok_or("indices: expected whole numbers")?;
    let strides = contiguous(shape);
    let mut coordinates = vec![0; own.len()];
    let mut places = Vec::with_capacity(list.len());
    for &i in list {
        let along = index(i, shape[axis])?;
        let at = |k: usize| if k == axis { along } else { coordinates[k] } * strides[k] as usize;
        places.push((0..own.len()).map(at).sum());
        for k in (0..own.len()).rev() {
            coordinates[k] += 1;
            if coordinates[k] < own[k] {
                break;
            }
            coordinates[k] = 0;
        }
    }
    Ok(places)
}

/// The places that tuples of indices (the last axis of `indices`) mean in a tensor of `shape`, after
/// `batch` axes that both share; each tuple means a whole block of the axes that it does not reach.
fn tuples(shape: &[usize], indices: &Tensor, batch: usize) -> Result<(Vec<usize>, Vec<usize>), String> {
    let list = indices.as_i64().ok_or("indices: expected whole numbers")?;
    let Some((&depth, outer)) = indices.shape().split_last() else {
        return Err("indices without an axis: expected tuples".to_owned());
    };
    if batch + depth > shape.len() || batch > outer.len() || outer[..batch] != shape[..batch] || depth == 0 {
        return Err(format!("indices of shape {:?} for a tensor of shape {shape:?}", indices.shape()));
    }
    let strides = contiguous(shape);
    let rest = &shape[batch + depth..];
    let block: usize = rest.iter().product();
    let result = [outer, rest].concat();
    let per_batch: usize = outer[batch..].iter().product();
    let batch_size: usize = shape[batch..].iter().product();
    let mut places = Vec::with_capacity(count(&result)?);
    for (t, tuple) in list.chunks_exact(depth).enumerate() {
        let mut start = t / per_batch.max(1) * batch_size;
        for (k, &i) in tuple.iter().enumerate() {
            start += index(i, shape[batch + k])? * strides[batch + k] as usize;
        }
        places.extend(start..start + block);
    }
    Ok((result, places))
}

impl Operator for GatherElements {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let (tensor, indices) = (inputs.take(0)?, inputs.take(1)?);
        let axis = axis(self.axis, tensor.shape().len())?;
        let places = elements(tensor.shape(), &indices, axis)?;
        Ok(vec![pick(&tensor, indices.shape(), &places)?])
    }
}

impl Operator for GatherNd {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let (tensor, indices) = (inputs.take(0)?, inputs.take(1)?);
        let (shape, places) = tuples(tensor.shape(), &indices, self.batch)?;
        Ok(vec![pick(&tensor, &shape, &places)?])
    }
}

impl Operator for ScatterNd {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let (tensor, indices, updates) = (inputs.take(0)?, inputs.take(1)?, inputs.take(2)?);
        let (shape, places) = tuples(tensor.shape(), &indices, 0)?;
        if updates.shape() != shape {
            return Err(format!("updates of shape {:?}: expected {shape:?}", updates.shape()).into());
        }
        Ok(vec![put(tensor, &updates, &places)?])
    }
}

impl Operator for ScatterElements {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let (tensor, indices, updates) = (inputs.take(0)?, inputs.take(1)?, inputs.take(2)?);
        let axis = axis(self.axis, tensor.shape().len())?;
        let places = elements(tensor.shape(), &indices, axis)?;
        if updates.shape() != indices.shape() {
            return Err(
                format!("updates of shape {:?}: expected {:?}", updates.shape(), indices.shape()).into()
            );
        }
        Ok(vec![put(tensor, &updates, &places)?])
    }
}

impl Operator for OneHot {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let (indices, depth, values) = (inputs.take(0)?, inputs.take(1)?, inputs.take(2)?);
        let whole = |tensor: &Tensor| match tensor.data() {
            Data::I64(v) => Ok(v.to_vec()),
            Data::F32(v) => Ok(v.iter().map(|&x| x as i64).collect()),
            Data::Bool(_) => Err("indices and depth: expected numbers"),
        };
        let depth = whole(&depth)?.first().copied().and_then(|n| usize::try_from(n).ok()).filter(|&n| n > 0);
        let depth = depth.ok_or("depth: expected at least 1")?;
        if values.len() != 2 {
            return Err(format!("values of shape {:?}: expected two numbers", values.shape()).into());
        }
        let rank = indices.shape().len() + 1;
        let at = axis(self.axis, rank)?;
        let mut shape = indices.shape().to_vec();
        shape.insert(at, depth);
        let inner: usize = shape[at + 1..].iter().product();
        let mut places = filled(&shape, 0usize)?;
        for (i, &wanted) in whole(&indices)?.iter().enumerate() {
            // An index that is no place leaves all OFF.
            if let Ok(hot) = index(wanted, depth) {
                places[(i / inner * depth + hot) * inner + i % inner] = 1;
            }
        }
        Ok(vec![pick(&values, &shape, &places)?])
    }
}

impl Operator for TopK {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let tensor = inputs.real(0)?;
        let k = inputs.wholes_maybe(1)?.and_then(|list| list.first().copied()).or(self.k);
        let at = axis(self.axis, tensor.shape().len())?;
        let length = tensor.shape()[at];
        let k = k.and_then(|k| usize::try_from(k).ok()).filter(|&k| k <= length);
        let k = k.ok_or_else(|| format!("k: expected a number of at most {length}"))?;
        let mut shape = tensor.shape().to_vec();
        let inner: usize = shape[at + 1..].iter().product();
        let outer: usize = shape[..at].iter().product();
        shape[at] = k;
        let values = tensor.as_f32().unwrap_or(&[]);
        let (mut best, mut places) = (filled(&shape, 0.0f32)?, filled(&shape, 0i64)?);
        for o in 0..outer {
            for i in 0..inner {
                let value = |j: usize| values[(o * length + j) * inner + i];
                let mut order: Vec<usize> = (0..length).collect();
                // The sort is stable: of equal ones the first comes first.
                order.sort_by(|&a, &b| {
                    let order = value(a).total_cmp(&value(b));
                    if self.largest { order.reverse() } else { order }
                });
                for (j, &from) in order[..k].iter().enumerate() {
                    best[(o * k + j) * inner + i] = value(from);
                    places[(o * k + j) * inner + i] = from as i64;
                }
            }
        }
        Ok(vec![Tensor::new(&shape, best)?, Tensor::whole(&shape, places)?])
    }
}

impl Operator for CumSum {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let tensor = inputs.take(0)?;
        let at = *inputs.wholes(1)?.first().ok_or("axis: expected one number")?;
        let at = axis(at, tensor.shape().len())?;
        let shape = tensor.shape().to_vec();
        let (length, inner) = (shape[at], shape[at + 1..].iter().product::<usize>());
        fn sums<T: Copy + Default>(
            how: CumSum,
            values: &[T],
            length: usize,
            inner: usize,
            add: fn(T, T) -> T,
        ) -> Vec<T> {
            let mut result = vec![T::default(); values.len()];
            let outer = values.len() / (length * inner).max(1);
            for o in 0..outer {
                for i in 0..inner {
                    let mut sum = T::default();
                    for step in 0..length {
                        let j = if how.reverse { length - 1 - step } else { step };
                        let place = (o * length + j) * inner + i;
                        let next = add(sum, values[place]);
                        result[place] = if how.exclusive { sum } else { next };
                        sum = next;
                    }
                }
            }
            result
        }
        Ok(vec![match tensor.data() {
            Data::F32(v) => Tensor::new(&shape, sums(*self, v, length, inner, |a, b| a + b))?,
            Data::I64(v) => Tensor::whole(&shape, sums(*self, v, length, inner, i64::wrapping_add))?,
            Data::Bool(_) => return Err("input 0 holds truth values: expected numbers".into()),
        }])
    }
}

impl Operator for Trilu {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let tensor = inputs.take(0)?;
        let shift = inputs.wholes_maybe(1)?.and_then(|list| list.first().copied()).unwrap_or(0);
        let shape = tensor.shape().to_vec();
        let &[.., rows, columns] = &shape[..] else {
            return Err(format!("shape {shape:?}: expected matrices").into());
        };
        let keep = |place: usize| {
            let (i, j) = ((place / columns % rows) as i64, (place % columns) as i64);
            let distance = j - i;
            if self.upper { distance >= shift } else { distance <= shift }
        };
        fn cut<T: Copy + Default>(values: &[T], keep: impl Fn(usize) -> bool) -> Vec<T> {
            values.iter().enumerate().map(|(p, &x)| if keep(p) { x } else { T::default() }).collect()
        }
        Ok(vec![match tensor.data() {
            Data::F32(v) => Tensor::new(&shape, cut(v, keep))?,
            Data::I64(v) => Tensor::whole(&shape, cut(v, keep))?,
            Data::Bool(v) => Tensor::truth(&shape, cut(v, keep))?,
        }])
    }
}
