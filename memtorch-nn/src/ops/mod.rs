//! The operators, each made from a node's attributes and run on tensors.

mod binary;
mod broadcast;
mod constant;
pub(crate) mod einsum;
mod gather;
mod indexing;
mod joining;
pub(crate) mod normalise;
mod pad;
mod pool;
pub(crate) mod product;
mod recast;
mod reduce;
mod reshape;
mod resize;
mod space;
mod strided;
mod unary;
mod window;

use std::fmt::Debug;

use crate::attributes::Attributes;
use crate::run::Run;
use crate::{NnError, Tensor};

pub(crate) use strided::{contiguous, strided};
pub(crate) use window::{Window, Windows};

/// Why an operator could not run.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Something about the node; its name is added where it runs.
    Why(String),
    /// Something that says itself where it is.
    Error(NnError),
}

impl From<String> for Fault {
    fn from(why: String) -> Self {
        Self::Why(why)
    }
}

impl From<&str> for Fault {
    fn from(why: &str) -> Self {
        Self::Why(why.to_owned())
    }
}

/// Why an operator could not be made.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The operator, or this use of it, is not known; the text says which use.
    Unsupported(String),
    /// The node contradicts the specification.
    Wrong(String),
}

impl From<String> for Refusal {
    fn from(why: String) -> Self {
        Self::Wrong(why)
    }
}

impl From<&str> for Refusal {
    fn from(why: &str) -> Self {
        Self::Wrong(why.to_owned())
    }
}

/// One operator with its attributes.
pub(crate) trait Operator: Debug + Send + Sync {
    /// Computes the outputs.
    fn run(&self, inputs: Inputs, run: &Run<'_>) -> Result<Vec<Tensor>, Fault>;
}

/// The inputs of a node, as they are taken by its operator.
#[derive(Debug)]
pub(crate) struct Inputs(pub(crate) Vec<Option<Tensor>>);

impl Inputs {
    /// An input that may be left out.
    pub(crate) fn maybe(&mut self, index: usize) -> Option<Tensor> {
        self.0.get_mut(index).and_then(Option::take)
    }

    /// An input.
    pub(crate) fn take(&mut self, index: usize) -> Result<Tensor, String> {
        self.maybe(index).ok_or_else(|| format!("input {index} is missing"))
    }

    /// An input of real numbers.
    pub(crate) fn real(&mut self, index: usize) -> Result<Tensor, String> {
        let tensor = self.take(index)?;
        match tensor.as_f32() {
            Some(_) => Ok(tensor),
            None => Err(format!("input {index} holds {}: expected real numbers", tensor.data().kind())),
        }
    }

    /// An input of whole numbers that may be left out.
    pub(crate) fn wholes_maybe(&mut self, index: usize) -> Result<Option<Vec<i64>>, String> {
        let Some(tensor) = self.maybe(index) else { return Ok(None) };
        match tensor.as_i64() {
            Some(values) => Ok(Some(values.to_vec())),
            None => Err(format!("input {index} holds {}: expected whole numbers", tensor.data().kind())),
        }
    }

    /// An input of whole numbers.
    pub(crate) fn wholes(&mut self, index: usize) -> Result<Vec<i64>, String> {
        self.wholes_maybe(index)?.ok_or_else(|| format!("input {index} is missing"))
    }

    /// All inputs that are there.
    pub(crate) fn rest(self) -> Vec<Tensor> {
        self.0.into_iter().flatten().collect()
    }
}

/// What an operator is made from.
#[derive(Debug)]
pub(crate) struct Making<'a> {
    pub(crate) attributes: Attributes<'a>,
    pub(crate) opset: i64,
    /// How many outputs the node names; those at the end may be left out.
    pub(crate) outputs: usize,
}

pub(crate) type Made = Result<Box<dyn Operator>, Refusal>;

/// The operator of this name.
///
/// # Errors
/// A name or a use that is not known; attributes that are wrong.
pub(crate) fn make(name: &str, making: &Making<'_>) -> Made {
    let made = unary::make(name, making)
        .or_else(|| binary::make(name, making))
        .or_else(|| constant::make(name, making))
        .or_else(|| reshape::make(name, making))
        .or_else(|| joining::make(name, making))
        .or_else(|| gather::make(name, making))
        .or_else(|| pad::make(name, making))
        .or_else(|| pool::make(name, making))
        .or_else(|| normalise::make(name, making))
        .or_else(|| reduce::make(name, making))
        .or_else(|| resize::make(name, making))
        .or_else(|| recast::make(name, making))
        .or_else(|| indexing::make(name, making))
        .or_else(|| space::make(name, making))
        .or_else(|| einsum::make(name, making))
        .or_else(|| product::make(name, making));
    let operator = made.ok_or_else(|| Refusal::Unsupported(String::new()))??;
    making.attributes.finish()?;
    Ok(operator)
}

/// An axis that may count from the end.
pub(crate) fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    let from_start = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(from_start).ok().filter(|&a| a < rank).ok_or_else(|| {
        format!(
            "axis {axis} of a tensor with {rank} axes: expected one from {} to {}",
            -(rank as i64),
            rank as i64 - 1
        )
    })
}

/// Several axes, each once.
pub(crate) fn axes(list: &[i64], rank: usize) -> Result<Vec<usize>, String> {
    let mut axes: Vec<usize> = list.iter().map(|&a| axis(a, rank)).collect::<Result<_, _>>()?;
    axes.sort_unstable();
    if axes.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(format!("axes {list:?}: expected each once"));
    }
    Ok(axes)
}
