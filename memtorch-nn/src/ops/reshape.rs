//! The same elements in another shape, and shapes as tensors.

use super::constant::sizes;
use super::{Fault, Inputs, Made, Making, Operator, Refusal, axes, axis, contiguous, strided};
use crate::Tensor;
use crate::run::Run;

#[derive(Clone, Debug)]
enum Reshape {
    /// As it is.
    Identity,
    /// As it is; the mask, if it is wanted, is all true.
    Dropout,
    /// To the shape of input 1: 0 keeps a size (unless it is allowed), one -1 takes what is left.
    Shape { allow_zero: bool },
    /// To a matrix: axes before this one, axes from it on.
    Flatten(i64),
    /// Without these axes, each of length 1; without any, all of length 1.
    Squeeze(Option<Vec<i64>>),
    /// With new axes of length 1 at these places of the result.
    Unsqueeze(Option<Vec<i64>>),
}

/// The shape from one axis to another.
#[derive(Clone, Copy, Debug)]
struct ShapeOf {
    start: i64,
    end: Option<i64>,
}

/// How many elements there are.
#[derive(Clone, Copy, Debug)]
struct Size;

/// Copies along axes of length 1.
#[derive(Clone, Copy, Debug)]
struct Expand;

pub(super) fn make(name: &str, making: &Making<'_>) -> Option<Made> {
    let a = &making.attributes;
    let reshape = |made: Result<Reshape, String>| {
        Some(made.map(|r| Box::new(r) as Box<dyn Operator>).map_err(Refusal::from))
    };
    match name {
        "Identity" => reshape(Ok(Reshape::Identity)),
        "Dropout" => {
            ["ratio", "seed", "is_test"].into_iter().for_each(|name| a.ignore(name));
            reshape(Ok(Reshape::Dropout))
        }
        "Reshape" => reshape(a.flag("allowzero", false).map(|allow_zero| Reshape::Shape { allow_zero })),
        "Flatten" => reshape(a.whole("axis", 1).map(Reshape::Flatten)),
        "Squeeze" => reshape(a.wholes("axes").map(|axes| Reshape::Squeeze(axes.cloned()))),
        "Unsqueeze" => reshape(a.wholes("axes").map(|axes| Reshape::Unsqueeze(axes.cloned()))),
        "Shape" => Some((|| {
            let (start, end) = (a.whole("start", 0)?, a.whole_maybe("end")?.copied());
            Ok(Box::new(ShapeOf { start, end }) as Box<dyn Operator>)
        })()),
        "Size" => Some(Ok(Box::new(Size))),
        "Expand" => Some(Ok(Box::new(Expand))),
        _ => None,
    }
}

impl Operator for Reshape {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let tensor = inputs.take(0)?;
        let old = tensor.shape();
        let new = match self {
            Self::Identity => return Ok(vec![tensor]),
            Self::Dropout => {
                if inputs
                    .maybe(2)
                    .is_some_and(|training| training.as_bool().is_some_and(|t| t.contains(&true)))
                {
                    return Err("Dropout in training mode: expected a network exported for inference".into());
                }
                let mask = Tensor::truth(old, vec![true; tensor.len()])?;
                return Ok(vec![tensor, mask]);
            }
            Self::Shape { allow_zero } => resolve(old, &inputs.wholes(1)?, *allow_zero)?,
            Self::Flatten(at) => {
                let at = if *at == old.len() as i64 { old.len() } else { axis(*at, old.len())? };
                vec![old[..at].iter().product(), old[at..].iter().product()]
            }
            Self::Squeeze(list) => {
                let list = inputs.wholes_maybe(1)?.or_else(|| list.clone());
                let gone = match list {
                    Some(list) => axes(&list, old.len())?,
                    None => (0..old.len()).filter(|&i| old[i] == 1).collect(),
                };
                if let Some(&wrong) = gone.iter().find(|&&i| old[i] != 1) {
                    return Err(
                        format!("axis {wrong} of shape {old:?} has {}: expected 1", old[wrong]).into()
                    );
                }
                (0..old.len()).filter(|i| !gone.contains(i)).map(|i| old[i]).collect()
            }
            Self::Unsqueeze(list) => {
                let list = inputs.wholes_maybe(1)?.or_else(|| list.clone()).ok_or("axes are missing")?;
                let rank = old.len() + list.len();
                let new = axes(&list, rank)?;
                let mut old = old.iter();
                (0..rank).map(|i| if new.contains(&i) { 1 } else { *old.next().unwrap_or(&1) }).collect()
            }
        };
        Ok(vec![tensor.reshaped(&new)?])
    }
}

/// The shape that a request means for a tensor of an old shape.
fn resolve(old: &[usize], request: &[i64], allow_zero: bool) -> Result<Vec<usize>, String> {
    let wrong = || format!("shape {request:?} for a tensor of shape {old:?}: expected as many elements");
    let mut new = Vec::with_capacity(request.len());
    let mut free = None;
    for (i, &n) in request.iter().enumerate() {
        new.push(match n {
            0 if !allow_zero => *old.get(i).ok_or_else(wrong)?,
            -1 if free.is_none() => {
                free = Some(i);
                1
            }
            n => usize::try_from(n).map_err(|_| wrong())?,
        });
    }
    if let Some(i) = free {
        let (total, rest) = (crate::tensor::count(old)?, crate::tensor::count(&new)?);
        if rest == 0 || total % rest != 0 {
            return Err(wrong());
        }
        new[i] = total / rest;
    }
    Ok(new)
}

impl Operator for ShapeOf {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let tensor = inputs.take(0)?;
        let rank = tensor.shape().len() as i64;
        let clamp = |i: i64| (if i < 0 { i + rank } else { i }).clamp(0, rank) as usize;
        let (start, end) = (clamp(self.start), self.end.map_or(rank as usize, clamp));
        let shape: Vec<i64> = tensor.shape()[start..end.max(start)].iter().map(|&n| n as i64).collect();
        Ok(vec![Tensor::whole(&[shape.len()], shape)?])
    }
}

impl Operator for Size {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        Ok(vec![Tensor::whole(&[], vec![inputs.take(0)?.len() as i64])?])
    }
}

impl Operator for Expand {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let tensor = inputs.take(0)?;
        let target = sizes(&inputs.wholes(1)?)?;
        let shape = super::broadcast::Broadcast::new([tensor.shape(), &target])?.shape;
        let missing = shape.len() - tensor.shape().len();
        let mut strides = vec![0; missing];
        strides.extend(
            contiguous(tensor.shape()).iter().zip(tensor.shape()).map(|(&s, &n)| if n == 1 { 0 } else { s }),
        );
        Ok(vec![strided(&tensor, &shape, &strides, 0)?])
    }
}

#[cfg(test)]
mod tests {
    use super::resolve;

    #[test]
    fn requested_shapes_keep_copy_and_infer() {
        assert_eq!(resolve(&[2, 3, 4], &[0, -1], false).unwrap(), [2, 12]);
        assert_eq!(resolve(&[2, 3, 4], &[-1], false).unwrap(), [24]);
        assert_eq!(resolve(&[0, 3], &[0, 3], true).unwrap(), [0, 3]);
        assert!(resolve(&[2, 3], &[-1, -1], false).is_err());
        assert!(resolve(&[2, 3], &[4, -1], false).is_err());
        assert!(resolve(&[2, 3], &[2, 3, 0], false).is_err());
        assert!(resolve(&[2, 3], &[i64::MAX, i64::MAX, -1], false).is_err());
    }
}
