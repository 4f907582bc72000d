//! Sums of products by an equation: `bij,bjk->bik`.

use super::{Fault, Inputs, Made, Making, Operator, Refusal, contiguous};
use crate::Tensor;
use crate::run::Run;
use crate::tensor::filled;

#[derive(Clone, Debug)]
struct Einsum {
    inputs: Vec<Vec<char>>,
    output: Vec<char>,
}

pub(super) fn make(name: &str, making: &Making<'_>) -> Option<Made> {
    (name == "Einsum").then(|| {
        let equation = making.attributes.text_maybe("equation")?.ok_or("attribute equation is missing")?;
        let (inputs, output) = parse(equation)?;
        Ok(Box::new(Einsum { inputs, output }) as Box<dyn Operator>)
    })
}

/// The letters of each input and of the output.
///
/// # Errors
/// What is no equation; one with an ellipsis.
pub(crate) fn parse(equation: &str) -> Result<(Vec<Vec<char>>, Vec<char>), Refusal> {
    let text: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
    if text.contains("...") {
        return Err(Refusal::Unsupported("with an ellipsis".to_owned()));
    }
    let wrong = || Refusal::Wrong(format!("equation {equation:?}: expected letters, as in `ij,jk->ik`"));
    let (left, right) = match text.split_once("->") {
        Some((left, right)) => (left.to_owned(), Some(right.to_owned())),
        None => (text.clone(), None),
    };
    let letters = |term: &str| -> Result<Vec<char>, Refusal> {
        let list: Vec<char> = term.chars().collect();
        if list.iter().all(char::is_ascii_alphabetic) { Ok(list) } else { Err(wrong()) }
    };
    let inputs = left.split(',').map(letters).collect::<Result<Vec<_>, _>>()?;
    let output = match right {
        Some(right) => letters(&right)?,
        // Without a right side: the letters that stand once, by the alphabet.
        None => {
            let mut all: Vec<char> = inputs.concat();
            all.sort_unstable();
            let once = |c: &&char| all.iter().filter(|d| d == c).count() == 1;
            all.iter().filter(once).copied().collect()
        }
    };
    let mut sorted = output.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() != output.len() || output.iter().any(|c| !inputs.concat().contains(c)) {
        return Err(wrong());
    }
    Ok((inputs, output))
}

impl Operator for Einsum {
    fn run(&self, inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let tensors = inputs.rest();
        if tensors.len() != self.inputs.len() {
            return Err(format!("{} inputs: expected {}", tensors.len(), self.inputs.len()).into());
        }
        // The letters of the output, then those that are summed over; their sizes and, of each input, the
        // distance of neighbours along them.
        let mut letters = self.output.clone();
        for &c in self.inputs.iter().flatten() {
            if !letters.contains(&c) {
                letters.push(c);
            }
        }
        let mut sizes = vec![1usize; letters.len()];
        let mut strides = vec![vec![0usize; letters.len()]; tensors.len()];
        let mut values = Vec::with_capacity(tensors.len());
        for ((term, tensor), strides) in self.inputs.iter().zip(&tensors).zip(&mut strides) {
            values.push(tensor.as_f32().ok_or("expected real numbers")?);
            if term.len() != tensor.shape().len() {
                return Err(format!("an input of shape {:?} for {term:?}", tensor.shape()).into());
            }
            for ((c, &n), stride) in term.iter().zip(tensor.shape()).zip(contiguous(tensor.shape())) {
                let at = letters.iter().position(|d| d == c).unwrap_or_default();
                if n != 1 && sizes[at] != 1 && sizes[at] != n {
                    return Err(format!("{c} is {} and {n}: expected one size", sizes[at]).into());
                }
                sizes[at] = if n == 1 { sizes[at] } else { n };
                // A letter that stands twice is a diagonal.
                strides[at] += if n == 1 { 0 } else { stride as usize };
            }
        }
        let (outer, inner) = sizes.split_at(self.output.len());
        let mut result = filled(outer, 0.0f32)?;
        if sizes.contains(&0) {
            return Ok(vec![Tensor::new(outer, result)?]);
        }
        let n: usize = inner.iter().try_fold(1usize, |n, &m| n.checked_mul(m)).ok_or("too many products")?;
        let mut index = vec![0; outer.len()];
        let mut inner_index = vec![0; inner.len()];
        for y in &mut result {
            let mut sum = 0.0f32;
            for _ in 0..n {
                let mut product = 1.0;
                for (values, strides) in values.iter().zip(&strides) {
                    let (a, b) = strides.split_at(outer.len());
                    let at: usize = index.iter().zip(a).map(|(i, s)| i * s).sum();
                    let at: usize = at + inner_index.iter().zip(b).map(|(i, s)| i * s).sum::<usize>();
                    product *= values[at];
                }
                sum += product;
                step(&mut inner_index, inner);
            }
            *y = sum;
            step(&mut index, outer);
        }
        Ok(vec![Tensor::new(outer, result)?])
    }
}

/// The next place, row-major; after the last one the first.
fn step(index: &mut [usize], shape: &[usize]) {
    for k in (0..shape.len()).rev() {
        index[k] += 1;
        if index[k] < shape[k] {
            return;
        }
        index[k] = 0;
    }
}
