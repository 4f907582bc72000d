//! Normalisations and softmax.

use super::{Fault, Inputs, Made, Making, Operator, Refusal, axis};
use crate::Tensor;
use crate::kernel::wide;
use crate::math::exp;
use crate::run::Run;

/// Per channel, with stored mean and variance.
#[derive(Clone, Copy, Debug)]
struct BatchNorm {
    epsilon: f32,
}

/// Over the axes from this one on.
#[derive(Clone, Copy, Debug)]
struct LayerNorm {
    axis: i64,
    epsilon: f32,
}

/// By the root of the mean square over the axes from this one on.
#[derive(Clone, Copy, Debug)]
struct RmsNorm {
    axis: i64,
    epsilon: f32,
}

/// Over the image of each channel, or of each group of channels.
#[derive(Clone, Copy, Debug)]
struct GroupNorm {
    groups: Option<usize>,
    epsilon: f32,
    /// Whether scale and bias are per group (before version 21) and not per channel.
    per_group: bool,
}

/// Local response normalisation across channels.
#[derive(Clone, Copy, Debug)]
struct Response {
    alpha: f32,
    beta: f32,
    bias: f32,
    size: usize,
}

#[derive(Clone, Copy, Debug)]
struct Softmax {
    axis: i64,
    log: bool,
    /// Before version 13 the axes from this one on are one.
    flatten: bool,
}

pub(super) fn make(name: &str, making: &Making<'_>) -> Option<Made> {
    Some(match name {
        "BatchNormalization" => batch_norm(making),
        "LayerNormalization" => layer_norm(making),
        "InstanceNormalization" | "GroupNormalization" => group_norm(making, name),
        "RMSNormalization" => rms_norm(making),
        "LRN" => response(making),
        "Softmax" => softmax(making, false),
        "LogSoftmax" => softmax(making, true),
        _ => return None,
    })
}

fn batch_norm(making: &Making<'_>) -> Made {
    let a = &making.attributes;
    let epsilon = a.real("epsilon", 1e-5)?;
    a.ignore("momentum");
    if a.flag("training_mode", false)? || a.whole("spatial", 1)? != 1 || making.outputs > 1 {
        return Err(Refusal::Unsupported("in training mode or not per channel".to_owned()));
    }
    Ok(Box::new(BatchNorm { epsilon }))
}

/// Factor and constant of each channel, `y = factor x + constant`, computed in f64.
pub(crate) fn batch_norm_line(parameters: [&[f32]; 4], epsilon: f32) -> Vec<(f64, f64)> {
    let [scale, bias, mean, variance] = parameters;
    let line = |c: usize| {
        let factor = f64::from(scale[c]) / (f64::from(variance[c]) + f64::from(epsilon)).sqrt();
        (factor, f64::from(bias[c]) - f64::from(mean[c]) * factor)
    };
    (0..scale.len()).map(line).collect()
}

impl Operator for BatchNorm {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let tensor = inputs.real(0)?;
        let shape = tensor.shape().to_vec();
        let channels = *shape.get(1).ok_or("expected an input with batch and channels")?;
        let parameters = [inputs.real(1)?, inputs.real(2)?, inputs.real(3)?, inputs.real(4)?];
        if let Some(wrong) = parameters.iter().find(|p| p.shape() != [channels]) {
            return Err(format!("parameters of shape {:?}: expected [{channels}]", wrong.shape()).into());
        }
        let [scale, bias, mean, variance] = &parameters;
        let get = |t: &'_ Tensor| t.as_f32().unwrap_or(&[]).to_vec();
        let (scale, bias, mean, variance) = (get(scale), get(bias), get(mean), get(variance));
        let line = batch_norm_line([&scale, &bias, &mean, &variance], self.epsilon);
        let inner: usize = shape[2..].iter().product();
        let mut values = tensor.into_f32()?;
        if inner > 0 {
            let images = values.chunks_exact_mut(inner).zip(line.iter().cycle());
            wide(|| {
                for (image, (factor, constant)) in images {
                    let (factor, constant) = (*factor as f32, *constant as f32);
                    image.iter_mut().for_each(|x| *x = *x * factor + constant);
                }
            });
        }
        Ok(vec![Tensor::new(&shape, values)?])
    }
}

fn layer_norm(making: &Making<'_>) -> Made {
    let a = &making.attributes;
    let (axis, epsilon) = (a.whole("axis", -1)?, a.real("epsilon", 1e-5)?);
    a.ignore("stash_type");
    if making.outputs > 1 {
        return Err(Refusal::Unsupported("with mean and deviation as outputs".to_owned()));
    }
    Ok(Box::new(LayerNorm { axis, epsilon }))
}

/// Mean and `1 / sqrt(variance + epsilon)`.
fn moments(values: &[f32], epsilon: f32) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    let variance = values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
    (mean, 1.0 / (variance + f64::from(epsilon)).sqrt())
}

impl Operator for LayerNorm {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let tensor = inputs.real(0)?;
        let shape = tensor.shape().to_vec();
        let axis = axis(self.axis, shape.len())?;
        let inner: usize = shape[axis..].iter().product();
        let (scale, bias) = (inputs.real(1)?, inputs.maybe(2));
        let scale = spread(&scale, &shape[axis..])?;
        let bias = bias.map(|bias| spread(&bias, &shape[axis..])).transpose()?;
        let mut values = tensor.into_f32()?;
        if inner > 0 {
            for row in values.chunks_exact_mut(inner) {
                let (mean, factor) = moments(row, self.epsilon);
                for (i, x) in row.iter_mut().enumerate() {
                    let normal = ((f64::from(*x) - mean) * factor) as f32;
                    *x = normal * scale[i] + bias.as_ref().map_or(0.0, |bias| bias[i]);
                }
            }
        }
        Ok(vec![Tensor::new(&shape, values)?])
    }
}

fn rms_norm(making: &Making<'_>) -> Made {
    let a = &making.attributes;
    let (axis, epsilon) = (a.whole("axis", -1)?, a.real("epsilon", 1e-5)?);
    a.ignore("stash_type");
    Ok(Box::new(RmsNorm { axis, epsilon }))
}

impl Operator for RmsNorm {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let tensor = inputs.real(0)?;
        let shape = tensor.shape().to_vec();
        let axis = axis(self.axis, shape.len())?;
        let inner: usize = shape[axis..].iter().product();
        let scale = spread(&inputs.real(1)?, &shape[axis..])?;
        let mut values = tensor.into_f32()?;
        if inner > 0 {
            for row in values.chunks_exact_mut(inner) {
                let square = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / inner as f64;
                let factor = 1.0 / (square + f64::from(self.epsilon)).sqrt();
                row.iter_mut().zip(&scale).for_each(|(x, s)| *x = (f64::from(*x) * factor) as f32 * s);
            }
        }
        Ok(vec![Tensor::new(&shape, values)?])
    }
}

/// A tensor of real numbers, broadcast to a shape.
fn spread(tensor: &Tensor, shape: &[usize]) -> Result<Vec<f32>, String> {
    let values = tensor.as_f32().ok_or("scale and bias: expected real numbers")?;
    let zeros = crate::tensor::filled(shape, 0.0f32)?;
    let (found, spread) = super::broadcast::zip((tensor.shape(), values), (shape, &zeros), |a, _| a)?;
    if found != shape {
        return Err(format!("scale or bias of shape {:?}: expected {shape:?}", tensor.shape()));
    }
    Ok(spread)
}

fn group_norm(making: &Making<'_>, name: &str) -> Made {
    let a = &making.attributes;
    let epsilon = a.real("epsilon", 1e-5)?;
    a.ignore("stash_type");
    let groups = match (name, a.whole_maybe("num_groups")?) {
        ("GroupNormalization", Some(&n)) => {
            let groups = usize::try_from(n).ok().filter(|&n| n > 0);
            Some(groups.ok_or_else(|| format!("num_groups = {n}: expected at least 1"))?)
        }
        ("GroupNormalization", None) => return Err("attribute num_groups is missing".into()),
        _ => None,
    };
    Ok(Box::new(GroupNorm { groups, epsilon, per_group: groups.is_some() && making.opset < 21 }))
}

impl Operator for GroupNorm {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let tensor = inputs.real(0)?;
        let shape = tensor.shape().to_vec();
        let channels = *shape.get(1).ok_or("expected an input with batch and channels")?;
        let groups = self.groups.unwrap_or(channels);
        if groups == 0 || channels % groups != 0 {
            return Err(format!("{channels} channels in {groups} groups: expected a divisor").into());
        }
        let (scale, bias) = (inputs.real(1)?, inputs.real(2)?);
        let expected = if self.per_group { groups } else { channels };
        if scale.shape() != [expected] || bias.shape() != [expected] {
            return Err(
                format!("scale {:?}, bias {:?}: expected [{expected}]", scale.shape(), bias.shape()).into()
            );
        }
        let (scale, bias) = (scale.as_f32().unwrap_or(&[]), bias.as_f32().unwrap_or(&[]));
        let image: usize = shape[2..].iter().product();
        let inner = channels / groups * image;
        let mut values = tensor.into_f32()?;
        if inner > 0 {
            for (g, part) in values.chunks_exact_mut(inner).enumerate() {
                let (mean, factor) = moments(part, self.epsilon);
                let group = g % groups;
                for (c, channel) in part.chunks_exact_mut(image).enumerate() {
                    let at = if self.per_group { group } else { group * (channels / groups) + c };
                    let factor = factor * f64::from(scale[at]);
                    let constant = f64::from(bias[at]) - mean * factor;
                    channel.iter_mut().for_each(|x| *x = (f64::from(*x) * factor + constant) as f32);
                }
            }
        }
        Ok(vec![Tensor::new(&shape, values)?])
    }
}

fn response(making: &Making<'_>) -> Made {
    let a = &making.attributes;
    let size = *a.whole_maybe("size")?.ok_or("attribute size is missing")?;
    let size = usize::try_from(size).ok().filter(|&n| n > 0).ok_or("size: expected at least 1")?;
    let (alpha, beta, bias) = (a.real("alpha", 1e-4)?, a.real("beta", 0.75)?, a.real("bias", 1.0)?);
    Ok(Box::new(Response { alpha, beta, bias, size }))
}

impl Operator for Response {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let tensor = inputs.real(0)?;
        let shape = tensor.shape().to_vec();
        if shape.len() < 2 {
            return Err("expected an input with batch and channels".into());
        }
        let (channels, image) = (shape[1], shape[2..].iter().product::<usize>());
        let values = tensor.as_f32().unwrap_or(&[]);
        let mut result = values.to_vec();
        let (before, after) = ((self.size - 1) / 2, self.size / 2);
        for (at, y) in result.iter_mut().enumerate() {
            let (c, start) = (at / image % channels, at - at / image % channels * image);
            let (low, high) = (c.saturating_sub(before), (c + after).min(channels - 1));
            let squares: f32 = (low..=high).map(|k| values[start + k * image].powi(2)).sum();
            *y /= (self.bias + self.alpha / self.size as f32 * squares).powf(self.beta);
        }
        Ok(vec![Tensor::new(&shape, result)?])
    }
}

fn softmax(making: &Making<'_>, log: bool) -> Made {
    let flatten = making.opset < 13;
    let axis = making.attributes.whole("axis", if flatten { 1 } else { -1 })?;
    Ok(Box::new(Softmax { axis, log, flatten }))
}

impl Operator for Softmax {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let tensor = inputs.real(0)?;
        let shape = tensor.shape().to_vec();
        let axis = axis(self.axis, shape.len())?;
        let (length, inner) = if self.flatten {
            (shape[axis..].iter().product::<usize>(), 1)
        } else {
            (shape[axis], shape[axis + 1..].iter().product::<usize>())
        };
        let mut values = tensor.into_f32()?;
        let mut line = vec![0.0f32; length];
        if length * inner > 0 {
            for block in values.chunks_exact_mut(length * inner) {
                for i in 0..inner {
                    line.iter_mut().enumerate().for_each(|(k, x)| *x = block[k * inner + i]);
                    self.one(&mut line);
                    line.iter().enumerate().for_each(|(k, x)| block[k * inner + i] = *x);
                }
            }
        }
        Ok(vec![Tensor::new(&shape, values)?])
    }
}

impl Softmax {
    /// One line, with its maximum taken out first, so that nothing overflows.
    fn one(&self, line: &mut [f32]) {
        let largest = line.iter().fold(f32::NEG_INFINITY, |m, &x| m.max(x));
        if self.log {
            let sum: f64 = line.iter().map(|&x| f64::from(exp(x - largest))).sum();
            let shift = sum.ln() as f32;
            line.iter_mut().for_each(|x| *x = *x - largest - shift);
        } else {
            line.iter_mut().for_each(|x| *x = exp(*x - largest));
            let sum = line.iter().map(|&x| f64::from(x)).sum::<f64>();
            line.iter_mut().for_each(|x| *x = (f64::from(*x) / sum) as f32);
        }
    }
}
