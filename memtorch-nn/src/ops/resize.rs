//! Images of another size, by nearest or linear interpolation along each axis.

use super::{Fault, Inputs, Made, Making, Operator, Refusal, axis};
use crate::Tensor;
use crate::run::Run;
use crate::tensor::{count, filled};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    HalfPixel,
    PytorchHalfPixel,
    AlignCorners,
    Asymmetric,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nearest {
    RoundPreferFloor,
    RoundPreferCeil,
    Floor,
    Ceil,
}

#[derive(Clone, Debug)]
struct Resize {
    linear: bool,
    place: Place,
    nearest: Nearest,
    axes: Option<Vec<i64>>,
    /// Input with the scales, and input with the sizes.
    from: (usize, Option<usize>),
    /// Scales of the oldest form.
    scales: Option<Vec<f32>>,
}

pub(super) fn make(name: &str, making: &Making<'_>) -> Option<Made> {
    let a = &making.attributes;
    match name {
        "Upsample" => Some((|| {
            let linear = mode(a.text("mode", "nearest")?)?;
            let scales = a.reals("scales")?.cloned();
            let (place, nearest) = (Place::Asymmetric, Nearest::Floor);
            Ok(Box::new(Resize { linear, place, nearest, axes: None, from: (1, None), scales }) as _)
        })()),
        "Resize" => Some((|| {
            let linear = mode(a.text("mode", "nearest")?)?;
            if making.opset < 11 {
                let (place, nearest) = (Place::Asymmetric, Nearest::Floor);
                let from = (1, None);
                return Ok(Box::new(Resize { linear, place, nearest, axes: None, from, scales: None }) as _);
            }
            let place = match a.text("coordinate_transformation_mode", "half_pixel")? {
                "half_pixel" => Place::HalfPixel,
                "pytorch_half_pixel" => Place::PytorchHalfPixel,
                "align_corners" => Place::AlignCorners,
                "asymmetric" => Place::Asymmetric,
                other => return Err(Refusal::Unsupported(format!("with coordinates {other}"))),
            };
            let nearest = match a.text("nearest_mode", "round_prefer_floor")? {
                "round_prefer_floor" => Nearest::RoundPreferFloor,
                "round_prefer_ceil" => Nearest::RoundPreferCeil,
                "floor" => Nearest::Floor,
                "ceil" => Nearest::Ceil,
                other => return Err(format!("nearest_mode = {other:?} is not known").into()),
            };
            if a.flag("antialias", false)? || a.text("keep_aspect_ratio_policy", "stretch")? != "stretch" {
                return Err(Refusal::Unsupported("with antialiasing or a kept aspect ratio".to_owned()));
            }
            // They belong to modes that are refused above.
            ["cubic_coeff_a", "exclude_outside", "extrapolation_value"].into_iter().for_each(|n| a.ignore(n));
            let axes = a.wholes("axes")?.cloned();
            Ok(Box::new(Resize { linear, place, nearest, axes, from: (2, Some(3)), scales: None }) as _)
        })()),
        _ => None,
    }
}

fn mode(mode: &str) -> Result<bool, Refusal> {
    match mode {
        "nearest" => Ok(false),
        "linear" | "bilinear" => Ok(true),
        other => Err(Refusal::Unsupported(format!("with mode {other}"))),
    }
}

impl Operator for Resize {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let tensor = inputs.real(0)?;
        let rank = tensor.shape().len();
        let axes = match &self.axes {
            Some(list) => list.iter().map(|&a| axis(a, rank)).collect::<Result<Vec<_>, _>>()?,
            None => (0..rank).collect(),
        };
        let sizes = self.from.1.map(|i| inputs.wholes_maybe(i)).transpose()?.flatten();
        let sizes = sizes.filter(|list| !list.is_empty());
        let scales = match inputs.maybe(self.from.0) {
            Some(scales) => Some(scales.as_f32().ok_or("scales: expected real numbers")?.to_vec()),
            None => self.scales.clone(),
        };
        let mut shape = tensor.shape().to_vec();
        let mut factors = vec![1.0f64; rank];
        match (sizes, scales) {
            (Some(sizes), _) if sizes.len() == axes.len() => {
                for (&a, n) in axes.iter().zip(super::constant::sizes(&sizes)?) {
                    factors[a] = n as f64 / shape[a] as f64;
                    shape[a] = n;
                }
            }
            (None, Some(scales)) if scales.len() == axes.len() => {
                for (&a, &scale) in axes.iter().zip(&scales) {
                    if !(scale > 0.0 && scale.is_finite()) {
                        return Err(format!("a scale of {scale}: expected a positive number").into());
                    }
                    factors[a] = f64::from(scale);
                    shape[a] = (shape[a] as f64 * f64::from(scale)).floor() as usize;
                }
            }
            _ => return Err("expected scales or sizes, one for each axis".into()),
        }
        count(&shape)?;
        if tensor.is_empty() {
            return Err(
                format!("an image of shape {:?}: expected one that is not empty", tensor.shape()).into()
            );
        }
        let mut result = tensor;
        for a in 0..rank {
            if result.shape()[a] != shape[a] || factors[a] != 1.0 {
                result = self.along(&result, a, shape[a], factors[a])?;
            }
        }
        Ok(vec![result])
    }
}

impl Resize {
    fn along(&self, tensor: &Tensor, axis: usize, n: usize, factor: f64) -> Result<Tensor, String> {
        let (old, values) = (tensor.shape(), tensor.as_f32().unwrap_or(&[]));
        let length = old[axis];
        let inner: usize = old[axis + 1..].iter().product();
        let mut shape = old.to_vec();
        shape[axis] = n;
        let mut result = filled(&shape, 0.0f32)?;
        if n * inner == 0 {
            return Tensor::new(&shape, result);
        }
        let taps: Vec<(usize, usize, f32)> = (0..n).map(|i| self.tap(i, length, n, factor)).collect();
        for (from, to) in values.chunks_exact(length * inner).zip(result.chunks_exact_mut(n * inner)) {
            for (line, &(low, high, part)) in to.chunks_exact_mut(inner).zip(&taps) {
                let (low, high) = (&from[low * inner..][..inner], &from[high * inner..][..inner]);
                for (y, (&a, &b)) in line.iter_mut().zip(low.iter().zip(high)) {
                    *y = if part == 0.0 { a } else { a * (1.0 - part) + b * part };
                }
            }
        }
        Tensor::new(&shape, result)
    }

    /// The two elements between which element `i` of the result lies, and how far it is on its way.
    fn tap(&self, i: usize, length: usize, n: usize, factor: f64) -> (usize, usize, f32) {
        let i = i as f64;
        let x = match self.place {
            Place::HalfPixel => (i + 0.5) / factor - 0.5,
            Place::PytorchHalfPixel => {
                if n > 1 {
                    (i + 0.5) / factor - 0.5
                } else {
                    0.0
                }
            }
            Place::AlignCorners => {
                if n > 1 {
                    i * (length - 1) as f64 / (n - 1) as f64
                } else {
                    0.0
                }
            }
            Place::Asymmetric => i / factor,
        };
        let last = (length - 1) as f64;
        if self.linear {
            let x = x.clamp(0.0, last);
            let low = x.floor();
            return (low as usize, (low + 1.0).min(last) as usize, (x - low) as f32);
        }
        let x = match self.nearest {
            Nearest::RoundPreferFloor => (x - 0.5).ceil(),
            Nearest::RoundPreferCeil => (x + 0.5).floor(),
            Nearest::Floor => x.floor(),
            Nearest::Ceil => x.ceil(),
        };
        let at = x.clamp(0.0, last) as usize;
        (at, at, 0.0)
    }
}
