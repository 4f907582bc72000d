//! Every linear layer and the poolings, of random shapes, against plain loops over the definition: digitally, and on
//! nearly ideal crossbars of small tiles.

#[path = "../common/mod.rs"]
mod common;
mod products;
mod recurrent;
mod torch;
mod windows;

use std::sync::Arc;

use common::{backend, distance, largest, nearly_ideal};
use memtorch_nn::{
    Dimension, ElementType, Executable, ImportOptions, LayerChoice, NetworkBuilder, NodeDescription, Port,
    Tensor,
};
use memtorch_utils::{Stream, StreamRng};

fn below(rng: &mut StreamRng, n: usize) -> usize {
    (rng.uniform() * n as f64) as usize
}

fn coordinates(mut index: usize, shape: &[usize]) -> Vec<usize> {
    let mut list = vec![0; shape.len()];
    for i in (0..shape.len()).rev() {
        list[i] = index % shape[i];
        index /= shape[i];
    }
    list
}

fn random(rng: &mut StreamRng, shape: &[usize]) -> Tensor {
    let n = shape.iter().product();
    Tensor::new(shape, (0..n).map(|_| (2.0 * rng.uniform() - 1.0) as f32).collect()).unwrap()
}

fn real(tensor: &Tensor) -> Vec<f64> {
    tensor.as_f32().unwrap().iter().map(|&x| f64::from(x)).collect()
}

/// What one node gives for the input `x` and constants.
struct Ran {
    /// How many layers it has.
    layers: usize,
    /// Digitally, its outputs in order.
    digital: Vec<Tensor>,
    /// The same on crossbars.
    mapped: Vec<Tensor>,
}

fn run(node: NodeDescription, outputs: &[&str], x: &Tensor, constants: &[(&str, &Tensor)]) -> Ran {
    let mut builder = NetworkBuilder::new(17);
    builder.input(Port::new("x", ElementType::F32, &vec![Dimension::Free(None); x.shape().len()]));
    builder.node(node);
    for name in outputs {
        builder.output(Port::new(name, ElementType::F32, &[]));
    }
    for (name, value) in constants {
        builder.constant(name, (*value).clone());
    }
    let network = Arc::new(builder.build(&ImportOptions::default()).unwrap());
    let layers = network.layers().len();
    let choices = vec![LayerChoice::Memristive(Box::new(nearly_ideal(8))); layers];
    let digital = Executable::digital(network.clone(), backend()).unwrap();
    let mapped = Executable::new(network, choices, Stream::root(0, 0), backend()).unwrap();
    let values = |executable: Executable| {
        let outputs = executable.run(&[("x", x.clone())]).unwrap();
        outputs.values.into_iter().map(|(_, y)| y).collect()
    };
    Ran { layers, digital: values(digital), mapped: values(mapped) }
}

/// Output `number` is what the loops gave.
#[track_caller]
fn compare(ran: &Ran, number: usize, shape: &[usize], expected: &[f64], what: &dyn std::fmt::Debug) {
    let expected: Vec<f32> = expected.iter().map(|&y| y as f32).collect();
    let scale = largest(&expected).max(0.1);
    // Sums of at most some hundred products of f32, against f64; on crossbars devices with a ratio of 1e6.
    for (found, bound) in [(&ran.digital[number], 1e-5), (&ran.mapped[number], 1e-4)] {
        assert_eq!(found.shape(), shape, "{what:?}");
        let error = distance(found.as_f32().unwrap(), &expected) / scale;
        assert!(error < bound, "{what:?}: {error}");
    }
}
