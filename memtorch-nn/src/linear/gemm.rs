use memtorch_crossbar::Input;
use memtorch_map::Usage;
use ndarray::{Array3, ArrayView2};

use super::{Linear, Parts};
use crate::Tensor;
use crate::build::Found;
use crate::ops::product::{add_bias, matrix};
use crate::ops::{Fault, Inputs, Operator, Refusal};
use crate::run::Run;
use crate::tensor::unfilled;

/// `alpha A' W + beta C` with constant `W`.
#[derive(Clone, Copy, Debug)]
struct Gemm {
    layer: usize,
    rows: usize,
    columns: usize,
    transpose: bool,
    alpha: f32,
    beta: f32,
}

pub(super) fn make<'a>(parts: &Parts<'a>, found: &mut Vec<Found<'a>>) -> Result<Linear, Refusal> {
    if parts.constants.get(1).copied().flatten().is_none() {
        return Ok(Linear::Digital);
    }
    let a = &parts.attributes;
    let (alpha, beta) = (a.real("alpha", 1.0)?, a.real("beta", 1.0)?);
    let (transpose, weights_transposed) = (a.flag("transA", false)?, a.flag("transB", false)?);
    let (tensor, values) = parts.weights(1)?;
    let &[first, second] = tensor.shape() else {
        return Err(format!("weights of shape {:?}: expected a matrix", tensor.shape()).into());
    };
    let view = ArrayView2::from_shape((first, second), values).map_err(|e| e.to_string())?;
    let view = if weights_transposed { view.reversed_axes() } else { view };
    let (rows, columns) = view.dim();
    let weights = Array3::from_shape_fn((1, rows, columns), |(_, r, c)| view[[r, c]]);
    let bias = parts.list(2, columns);
    found.push(Found {
        value: parts.value(1),
        named_after: parts.value(1),
        part: "",
        weights,
        bias,
        usage: Usage::Rows,
    });
    Ok(Linear::Layers(Box::new(move |layers| {
        Box::new(Gemm { layer: layers[0], rows, columns, transpose, alpha, beta })
    })))
}

impl Operator for Gemm {
    fn run(&self, mut inputs: Inputs, run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let a = matrix(inputs.real(0)?, self.transpose)?;
        let (n, k) = (a.shape()[0], a.shape()[1]);
        if k != self.rows {
            return Err(format!("an input of shape {:?}: expected {} columns", a.shape(), self.rows).into());
        }
        let mut y = unfilled(&[n, self.columns])?;
        run.multiply(self.layer, Input::Rows { values: a.as_f32().unwrap_or(&[]), rows: n }, &mut y)?;
        if self.alpha != 1.0 {
            y.iter_mut().for_each(|y| *y *= self.alpha);
        }
        Ok(vec![add_bias(Tensor::new(&[n, self.columns], y)?, inputs.maybe(2), self.beta)?])
    }
}
