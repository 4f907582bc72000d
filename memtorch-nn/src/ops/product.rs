//! Products of two values that both come from the network: attention scores and the like. They are no
//! layers and stay digital.

use super::broadcast::Broadcast;
use super::{Fault, Inputs, Made, Making, Operator};
use crate::Tensor;
use crate::run::Run;
use crate::tensor::filled;

/// NumPy's `matmul`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MatMul;

/// `alpha A' B' + beta C`.
#[derive(Clone, Copy, Debug)]
struct Gemm {
    alpha: f32,
    beta: f32,
    transpose: [bool; 2],
}

pub(super) fn make(name: &str, making: &Making<'_>) -> Option<Made> {
    match name {
        "MatMul" => Some(Ok(Box::new(MatMul))),
        "Gemm" => Some((|| {
            let a = &making.attributes;
            Ok(Box::new(Gemm {
                alpha: a.real("alpha", 1.0)?,
                beta: a.real("beta", 1.0)?,
                transpose: [a.flag("transA", false)?, a.flag("transB", false)?],
            }) as Box<dyn Operator>)
        })()),
        _ => None,
    }
}

/// `c += a b` with `a` `[m, k]`, `b` `[k, n]`: each element is one chain over k.
pub(crate) fn accumulate(a: &[f32], b: &[f32], c: &mut [f32], [m, k, n]: [usize; 3]) {
    for i in 0..m {
        let row = &mut c[i * n..(i + 1) * n];
        for l in 0..k {
            let x = a[i * k + l];
            row.iter_mut().zip(&b[l * n..(l + 1) * n]).for_each(|(y, &w)| *y += x * w);
        }
    }
}

impl Operator for MatMul {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let (a, b) = (inputs.real(0)?, inputs.real(1)?);
        let (mut left, mut right) = (a.shape().to_vec(), b.shape().to_vec());
        let wrong = || format!("shapes {:?} and {:?} cannot be multiplied", a.shape(), b.shape());
        if left.is_empty() || right.is_empty() {
            return Err(wrong().into());
        }
        // A vector is a row on the left and a column on the right; its axis is not in the result.
        let vectors = [left.len() == 1, right.len() == 1];
        if vectors[0] {
            left.insert(0, 1);
        }
        if vectors[1] {
            right.push(1);
        }
        let [m, k] = [left[left.len() - 2], left[left.len() - 1]];
        let [k2, n] = [right[right.len() - 2], right[right.len() - 1]];
        if k != k2 {
            return Err(wrong().into());
        }
        let batch = Broadcast::new([&left[..left.len() - 2], &right[..right.len() - 2]])?;
        let mut shape = batch.shape.clone();
        shape.extend([m, n]);
        let mut result = filled(&shape, 0.0f32)?;
        let (x, y) = (a.as_f32().unwrap_or(&[]), b.as_f32().unwrap_or(&[]));
        if m * n > 0 {
            batch.stretches(|s| {
                for i in 0..s.length {
                    let at = |operand: usize, size: usize| (s.from[operand] + i * s.step[operand]) * size;
                    let (x, y) = (&x[at(0, m * k)..][..m * k], &y[at(1, k * n)..][..k * n]);
                    accumulate(x, y, &mut result[(s.start + i) * m * n..][..m * n], [m, k, n]);
                }
            });
        }
        let rank = shape.len();
        if vectors[1] {
            shape.remove(rank - 1);
        }
        if vectors[0] {
            shape.remove(rank - 2);
        }
        Ok(vec![Tensor::new(&shape, result)?])
    }
}

/// A matrix, transposed if it should be.
pub(crate) fn matrix(tensor: Tensor, transpose: bool) -> Result<Tensor, String> {
    let &[m, n] = tensor.shape() else {
        return Err(format!("shape {:?}: expected a matrix", tensor.shape()));
    };
    if transpose { super::strided(&tensor, &[n, m], &[1, n as isize], 0) } else { Ok(tensor) }
}

/// Adds `beta c`, broadcast, to a matrix.
pub(crate) fn add_bias(y: Tensor, c: Option<Tensor>, beta: f32) -> Result<Tensor, String> {
    let Some(c) = c else { return Ok(y) };
    let values = c.as_f32().ok_or("input 2: expected real numbers")?;
    let shape = y.shape().to_vec();
    if Broadcast::new([&shape, c.shape()])?.shape != shape {
        return Err(format!("input 2 of shape {:?}: expected one that broadcasts to {shape:?}", c.shape()));
    }
    let mut y = y.into_f32()?;
    if beta == 1.0 {
        super::broadcast::zip_in_place((&shape, &mut y), (c.shape(), values), |y, c| y + c)?;
    } else {
        super::broadcast::zip_in_place((&shape, &mut y), (c.shape(), values), |y, c| y + beta * c)?;
    }
    Tensor::new(&shape, y)
}

impl Operator for Gemm {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let a = matrix(inputs.real(0)?, self.transpose[0])?;
        let b = matrix(inputs.real(1)?, self.transpose[1])?;
        let (m, k, n) = (a.shape()[0], a.shape()[1], b.shape()[1]);
        if b.shape()[0] != k {
            return Err(format!("shapes {:?} and {:?} cannot be multiplied", a.shape(), b.shape()).into());
        }
        let mut y = filled(&[m, n], 0.0f32)?;
        accumulate(a.as_f32().unwrap_or(&[]), b.as_f32().unwrap_or(&[]), &mut y, [m, k, n]);
        if self.alpha != 1.0 {
            y.iter_mut().for_each(|y| *y *= self.alpha);
        }
        Ok(vec![add_bias(Tensor::new(&[m, n], y)?, inputs.maybe(2), self.beta)?])
    }
}
