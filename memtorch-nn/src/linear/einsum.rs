use memtorch_crossbar::Input;
use memtorch_map::Usage;
use ndarray::Array3;

use super::{Linear, Parts};
use crate::Tensor;
use crate::build::Found;
use crate::ops::{Fault, Inputs, Operator, Refusal, contiguous, einsum, strided};
use crate::run::Run;
use crate::tensor::filled;

/// `bij,jk->bik` with a constant matrix: letters that only the input has, that both have and that are summed over,
/// and that only the weights have.
#[derive(Clone, Debug)]
struct Einsum {
    layer: usize,
    /// Which input is not the weights.
    input: usize,
    /// For each axis of `[free axes, summed axes]`, the axis of the input.
    order: Vec<usize>,
    /// How many axes are free.
    free: usize,
    /// Sizes of the axes that are summed over, and of those of the weights that are not.
    summed: Vec<usize>,
    columns: Vec<usize>,
    /// For each axis of the result, the axis of `[free axes, columns]`.
    result: Vec<usize>,
}

fn is_distinct(letters: &[char]) -> bool {
    letters.iter().enumerate().all(|(i, c)| !letters[..i].contains(c))
}

/// The tensor whose axis `i` is axis `order[i]` of this one.
fn permuted(tensor: &Tensor, order: &[usize]) -> Result<Tensor, String> {
    let (shape, strides) = (tensor.shape(), contiguous(tensor.shape()));
    let sizes: Vec<usize> = order.iter().map(|&axis| shape[axis]).collect();
    let steps: Vec<isize> = order.iter().map(|&axis| strides[axis]).collect();
    strided(tensor, &sizes, &steps, 0)
}

/// Where each of these letters stands in a list that has them.
fn places(letters: &[char], list: &[char]) -> Vec<usize> {
    letters.iter().filter_map(|c| list.iter().position(|d| d == c)).collect()
}

pub(super) fn make<'a>(parts: &Parts<'a>, found: &mut Vec<Found<'a>>) -> Result<Linear, Refusal> {
    let Some(equation) = parts.attributes.text_maybe("equation")? else { return Ok(Linear::Digital) };
    let (terms, output) = einsum::parse(equation)?;
    let constant = |i: usize| parts.constants.get(i).copied().flatten().is_some();
    let weights = match (terms.len(), constant(0), constant(1)) {
        (2, true, false) => 0,
        (2, false, true) => 1,
        _ => return Ok(Linear::Digital),
    };
    let (x, w) = (&terms[1 - weights], &terms[weights]);
    let pick =
        |list: &[char], is: &dyn Fn(&char) -> bool| list.iter().copied().filter(is).collect::<Vec<char>>();
    let free = pick(&output, &|c| x.contains(c) && !w.contains(c));
    let columns = pick(&output, &|c| w.contains(c) && !x.contains(c));
    let summed = pick(x, &|c| w.contains(c) && !output.contains(c));
    // Anything else, as matrices of their own for parts of the input, is no layer.
    let is_matrix = is_distinct(x)
        && is_distinct(w)
        && !summed.is_empty()
        && free.len() + summed.len() == x.len()
        && columns.len() + summed.len() == w.len();
    if !is_matrix {
        return Ok(Linear::Digital);
    }
    let (tensor, _) = parts.weights(weights)?;
    if tensor.shape().len() != w.len() {
        return Err(format!("weights of shape {:?} in {equation:?}", tensor.shape()).into());
    }
    let matrix = permuted(tensor, &places(&[&summed[..], &columns].concat(), w))?;
    let (rows, rest) = matrix.shape().split_at(summed.len());
    let (sizes, widths) = (rows.to_vec(), rest.to_vec());
    let shape = (1, sizes.iter().product(), widths.iter().product());
    let matrix = Array3::from_shape_vec(shape, matrix.into_f32()?).map_err(|e| e.to_string())?;
    let value = parts.value(weights);
    found.push(Found {
        value,
        named_after: value,
        part: "",
        weights: matrix,
        bias: None,
        usage: Usage::Rows,
    });
    let order = places(&[&free[..], &summed].concat(), x);
    let result = places(&output, &[&free[..], &columns].concat());
    let free = free.len();
    Ok(Linear::Layers(Box::new(move |layers| {
        let (layer, input) = (layers[0], 1 - weights);
        Box::new(Einsum { layer, input, order, free, summed: sizes, columns: widths, result })
    })))
}

impl Operator for Einsum {
    fn run(&self, mut inputs: Inputs, run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let x = inputs.real(self.input)?;
        let fits = x.shape().len() == self.order.len()
            && self.order[self.free..].iter().zip(&self.summed).all(|(&axis, n)| x.shape()[axis] == *n);
        if !fits {
            let expected = format!("{} axes, those of the weights {:?}", self.order.len(), self.summed);
            return Err(format!("an input of shape {:?}: expected {expected}", x.shape()).into());
        }
        let x = permuted(&x, &self.order)?;
        let free = &x.shape()[..self.free];
        let rows = free.iter().product();
        let mut shape = free.to_vec();
        shape.extend_from_slice(&self.columns);
        let mut y = filled(&shape, 0.0f32)?;
        run.multiply(self.layer, Input::Rows { values: x.as_f32().unwrap_or(&[]), rows }, &mut y)?;
        Ok(vec![permuted(&Tensor::new(&shape, y)?, &self.result)?])
    }
}
