//! Nodes whose weights never change: they run through the kernel of a layer.

mod conv;
mod einsum;
mod gemm;
mod matmul;
mod recurrent;
mod transposed;

use crate::attributes::Attributes;
use crate::build::Found;
use crate::ops::{Operator, Refusal};
use crate::{NodeDescription, Tensor};

/// Makes an operator when the numbers of its layers are known.
pub(crate) type Maker = Box<dyn FnOnce(&[usize]) -> Box<dyn Operator>>;

/// What a node becomes.
pub(crate) enum Linear {
    /// An operator on layers: those that were pushed, in that order.
    Layers(Maker),
    /// An ordinary operator.
    Digital,
}

/// What a node is made from.
pub(crate) struct Parts<'a> {
    pub(crate) attributes: Attributes<'a>,
    /// The constants among its inputs.
    pub(crate) constants: Vec<Option<&'a Tensor>>,
    /// The numbers of its inputs.
    pub(crate) values: &'a [Option<usize>],
}

impl<'a> Parts<'a> {
    /// The constant at an input, which must be there and hold real numbers.
    pub(crate) fn weights(&self, input: usize) -> Result<(&'a Tensor, &'a [f32]), Refusal> {
        let value = self.values.get(input).copied().flatten();
        if value.is_none() {
            return Err(format!("input {input} is missing").into());
        }
        let Some(tensor) = self.constants.get(input).copied().flatten() else {
            return Err(Refusal::Unsupported("with weights that are not constant".to_owned()));
        };
        let values = tensor.as_f32().ok_or_else(|| {
            Refusal::Wrong(format!("weights hold {}: expected real numbers", tensor.data().kind()))
        })?;
        Ok((tensor, values))
    }

    /// The attribute `group` of a convolution.
    pub(crate) fn groups(&self) -> Result<usize, String> {
        let groups = self.attributes.whole("group", 1)?;
        let count = usize::try_from(groups).ok().filter(|&n| n > 0);
        count.ok_or_else(|| format!("group = {groups}: expected at least 1"))
    }

    /// The number of the value at an input.
    pub(crate) fn value(&self, input: usize) -> usize {
        self.values.get(input).copied().flatten().unwrap_or_default()
    }

    /// The constant at an input as a list of so many real numbers.
    pub(crate) fn list(&self, input: usize, n: usize) -> Option<&'a [f32]> {
        self.constants.get(input).copied().flatten().and_then(Tensor::as_f32).filter(|v| v.len() == n)
    }
}

/// What a node with the operator of a layer becomes. Its layers are pushed to `found`.
///
/// # Errors
/// Weights that are not constant or of the wrong shape, attributes that are wrong.
pub(crate) fn make<'a>(
    description: &'a NodeDescription,
    constants: Vec<Option<&'a Tensor>>,
    values: &'a [Option<usize>],
    found: &mut Vec<Found<'a>>,
) -> Result<Linear, Refusal> {
    let parts = Parts { attributes: Attributes::new(&description.attributes), constants, values };
    let linear = match description.operator.as_str() {
        "Conv" => conv::make(&parts, found),
        "Einsum" => einsum::make(&parts, found),
        "Gemm" => gemm::make(&parts, found),
        "MatMul" => matmul::make(&parts, found),
        "ConvTranspose" => transposed::make(&parts, found),
        "RNN" | "LSTM" | "GRU" => recurrent::make(&description.operator, &parts, found),
        _ => Ok(Linear::Digital),
    }?;
    if let Linear::Layers(_) = linear {
        parts.attributes.finish()?;
    }
    Ok(linear)
}
