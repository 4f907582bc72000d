use memtorch_crossbar::Input;
use memtorch_map::Usage;
use ndarray::{Array3, ArrayView2};

use super::{Linear, Parts};
use crate::Tensor;
use crate::build::Found;
use crate::ops::{Fault, Inputs, Operator, Refusal, contiguous, strided};
use crate::run::Run;
use crate::tensor::unfilled;

/// `x W`, or `W x`, with constant `W`.
#[derive(Clone, Copy, Debug)]
struct MatMul {
    layer: usize,
    rows: usize,
    columns: usize,
    /// Whether the weights stand on the left.
    left: bool,
    /// Whether the weights are a vector, whose axis is not in the result.
    vector: bool,
    /// Axes of the weights, of which all but the last two are 1.
    rank: usize,
}

pub(super) fn make<'a>(parts: &Parts<'a>, found: &mut Vec<Found<'a>>) -> Result<Linear, Refusal> {
    let constant = |i: usize| parts.constants.get(i).copied().flatten();
    let left = match (constant(0), constant(1)) {
        (_, Some(_)) => false,
        (Some(_), None) => true,
        (None, None) => return Ok(Linear::Digital),
    };
    let input = usize::from(!left);
    let (tensor, values) = parts.weights(input)?;
    let shape = tensor.shape();
    let rank = shape.len();
    if rank == 0 {
        return Err("weights without an axis: expected a matrix".into());
    }
    // Several matrices, each for its own part of the input, are no layer.
    if shape[..rank.saturating_sub(2)].iter().any(|&n| n != 1) {
        return Ok(Linear::Digital);
    }
    let vector = rank == 1;
    let (first, second) = match (vector, left) {
        (true, true) => (1, shape[0]),
        (true, false) => (shape[0], 1),
        (false, _) => (shape[rank - 2], shape[rank - 1]),
    };
    let view = ArrayView2::from_shape((first, second), values).map_err(|e| e.to_string())?;
    let view = if left { view.reversed_axes() } else { view };
    let (rows, columns) = view.dim();
    let weights = Array3::from_shape_fn((1, rows, columns), |(_, r, c)| view[[r, c]]);
    let value = parts.value(input);
    found.push(Found { value, named_after: value, part: "", weights, bias: None, usage: Usage::Rows });
    Ok(Linear::Layers(Box::new(move |layers| {
        Box::new(MatMul { layer: layers[0], rows, columns, left, vector, rank })
    })))
}

/// The tensor with its last two axes exchanged.
fn exchanged(tensor: &Tensor) -> Result<Tensor, String> {
    let (mut shape, mut strides) = (tensor.shape().to_vec(), contiguous(tensor.shape()));
    let rank = shape.len();
    shape.swap(rank - 1, rank - 2);
    strides.swap(rank - 1, rank - 2);
    strided(tensor, &shape, &strides, 0)
}

impl Operator for MatMul {
    fn run(&self, mut inputs: Inputs, run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let x = inputs.real(usize::from(self.left))?;
        // A vector on the other side of the weights.
        let line = x.shape().len() == 1;
        let x = if self.left && !line { exchanged(&x)? } else { x };
        let Some((&k, outer)) = x.shape().split_last() else {
            return Err("an input without an axis: expected a vector or more".into());
        };
        if k != self.rows {
            return Err(
                format!("an input of shape {:?}: expected vectors of {}", x.shape(), self.rows).into()
            );
        }
        let n = outer.iter().product();
        let mut shape = outer.to_vec();
        shape.push(self.columns);
        let mut y = unfilled(&shape)?;
        run.multiply(self.layer, Input::Rows { values: x.as_f32().unwrap_or(&[]), rows: n }, &mut y)?;
        let mut y = Tensor::new(&shape, y)?;
        if self.left && !line {
            y = exchanged(&y)?;
        }
        let mut shape = y.shape().to_vec();
        if self.vector {
            let at = if self.left && !line { shape.len() - 2 } else { shape.len() - 1 };
            shape.remove(at);
        }
        // More axes of the weights than of the input come first, each 1.
        let axes = self.rank.max(x.shape().len()).max(2);
        let expected = axes - usize::from(self.vector) - usize::from(line);
        while shape.len() < expected {
            shape.insert(0, 1);
        }
        Ok(vec![y.reshaped(&shape)?])
    }
}
