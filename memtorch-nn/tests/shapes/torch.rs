//! Layers by the names of PyTorch's weights, against the equations of its documentation.

use std::sync::Arc;

use memtorch_nn::{
    Convolution, Dimension, ElementType, Executable, ImportOptions, NetworkBuilder, Port, Recurrence, Tensor,
};
use memtorch_utils::Stream;

use crate::common::{backend, distance};
use crate::{random, real};

/// The output `y` for `x`, and the names of the layers.
fn run(mut builder: NetworkBuilder, x: &Tensor) -> (Tensor, Vec<String>) {
    let free = vec![Dimension::Free(None); x.shape().len()];
    builder.input(Port::new("x", ElementType::F32, &free)).output(Port::new("y", ElementType::F32, &free));
    let network = Arc::new(builder.build(&ImportOptions::default()).unwrap());
    let names = network.layers().iter().map(|layer| layer.name.clone()).collect();
    let executable = Executable::digital(network, backend()).unwrap();
    (executable.run(&[("x", x.clone())]).unwrap().values.remove(0).1, names)
}

#[track_caller]
fn compare(found: &Tensor, shape: &[usize], expected: &[f64]) {
    let expected: Vec<f32> = expected.iter().map(|&y| y as f32).collect();
    assert_eq!(found.shape(), shape);
    assert!(distance(found.as_f32().unwrap(), &expected) < 1e-5, "{found:?} {expected:?}");
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[test]
fn recurrent_layers_have_the_gates_in_the_order_of_pytorch() {
    let (steps, batch, inputs, hidden) = (4, 3, 5, 2);
    for (kind, gates) in [(Recurrence::Rnn, 1), (Recurrence::Lstm, 4), (Recurrence::Gru, 3)] {
        for (directions, has_bias) in [(1, true), (2, true), (2, false)] {
            let mut rng = Stream::root(9, 0).at([gates as u32, directions as u32, 0]);
            let rows = gates * hidden;
            let x = random(&mut rng, &[steps, batch, inputs]);
            let mut builder = NetworkBuilder::new(17);
            let mut expected = vec![0.0; steps * batch * directions * hidden];
            for direction in 0..directions {
                let end = ["", "_reverse"][direction];
                let w = random(&mut rng, &[rows, inputs]);
                let r = random(&mut rng, &[rows, hidden]);
                let biases = [0, 1].map(|_| random(&mut rng, &[rows]));
                builder.constant(&format!("rnn.weight_ih_l1{end}"), w.clone());
                builder.constant(&format!("rnn.weight_hh_l1{end}"), r.clone());
                let (xv, w, r) = (real(&x), real(&w), real(&r));
                let mut b = [vec![0.0; rows], vec![0.0; rows]];
                if has_bias {
                    b = [0, 1].map(|i| real(&biases[i]));
                    for (name, bias) in ["bias_ih", "bias_hh"].into_iter().zip(biases) {
                        builder.constant(&format!("rnn.{name}_l1{end}"), bias);
                    }
                }
                for sample in 0..batch {
                    let (mut h, mut c) = (vec![0.0; hidden], vec![0.0; hidden]);
                    for step in 0..steps {
                        let time = if direction == 1 { steps - 1 - step } else { step };
                        let line = &xv[(time * batch + sample) * inputs..][..inputs];
                        let dot = |m: &[f64], row: usize, v: &[f64]| -> f64 {
                            m[row * v.len()..][..v.len()].iter().zip(v).map(|(m, v)| m * v).sum()
                        };
                        let before = h.clone();
                        let of_x = |gate: usize, j: usize| {
                            dot(&w, gate * hidden + j, line) + b[0][gate * hidden + j]
                        };
                        let of_h = |gate: usize, j: usize| {
                            dot(&r, gate * hidden + j, &before) + b[1][gate * hidden + j]
                        };
                        for j in 0..hidden {
                            let both = |gate| of_x(gate, j) + of_h(gate, j);
                            h[j] = match kind {
                                Recurrence::Lstm => {
                                    // i, f, g, o
                                    c[j] = sigmoid(both(1)) * c[j] + sigmoid(both(0)) * both(2).tanh();
                                    sigmoid(both(3)) * c[j].tanh()
                                }
                                Recurrence::Gru => {
                                    // r, z, n
                                    let n = (of_x(2, j) + sigmoid(both(0)) * of_h(2, j)).tanh();
                                    let z = sigmoid(both(1));
                                    (1.0 - z) * n + z * before[j]
                                }
                                _ => both(0).tanh(),
                            };
                            expected[((time * batch + sample) * directions + direction) * hidden + j] = h[j];
                        }
                    }
                }
            }
            builder.recurrent(kind, "x", "rnn", 1, "y").unwrap();
            let (found, names) = run(builder, &x);
            compare(&found, &[steps, batch, directions * hidden], &expected);
            let first = &["rnn_l1.W", "rnn_l1.R", "rnn_l1.W_reverse", "rnn_l1.R_reverse"][..2 * directions];
            assert_eq!(names, first);
        }
    }
    let error =
        NetworkBuilder::new(17).recurrent(Recurrence::Gru, "x", "rnn", 0, "y").unwrap_err().to_string();
    assert!(error.contains("rnn.weight_ih_l0"), "{error}");
    let mut builder = NetworkBuilder::new(17);
    let zeros = |shape: &[usize]| Tensor::new(shape, vec![0.0; shape.iter().product()]).unwrap();
    builder.constant("a.weight_ih_l0", zeros(&[8, 3])).constant("a.weight_hh_l0", zeros(&[8, 2]));
    let error = builder.clone().recurrent(Recurrence::Gru, "x", "a", 0, "y").unwrap_err().to_string();
    assert!(error.contains("[8, 3]") && error.contains("3 gates"), "{error}");
    builder.constant("a.bias_hh_l0", zeros(&[7]));
    let error = builder.recurrent(Recurrence::Lstm, "x", "a", 0, "y").unwrap_err().to_string();
    assert!(error.contains("a.bias_hh_l0") && error.contains("[8]"), "{error}");
}

#[test]
fn linear_layers_take_any_leading_shape_and_convolutions_their_places() {
    let mut rng = Stream::root(10, 0).at([0, 0, 0]);
    let (x, w, b) = (random(&mut rng, &[2, 3, 4]), random(&mut rng, &[5, 4]), random(&mut rng, &[5]));
    for has_bias in [false, true] {
        let mut builder = NetworkBuilder::new(17);
        builder.constant("fc.weight", w.clone());
        if has_bias {
            builder.constant("fc.bias", b.clone());
        }
        builder.linear("x", "fc", "y");
        let (found, names) = run(builder, &x);
        let (xv, wv, bv) = (real(&x), real(&w), real(&b));
        let expected: Vec<f64> = (0..6 * 5)
            .map(|at| {
                let (row, o) = (at / 5, at % 5);
                let sum: f64 = (0..4).map(|k| xv[row * 4 + k] * wv[o * 4 + k]).sum();
                sum + if has_bias { bv[o] } else { 0.0 }
            })
            .collect();
        compare(&found, &[2, 3, 5], &expected);
        assert_eq!(names, ["fc"]);
    }
    // One axis: stride 2, one zero on either side, every second element, two groups of two channels.
    let (x, w) = (random(&mut rng, &[1, 4, 9]), random(&mut rng, &[2, 2, 3]));
    let places = Convolution { stride: vec![2], padding: vec![1], dilation: vec![2], groups: 2 };
    let mut builder = NetworkBuilder::new(17);
    builder.constant("c.weight", w.clone()).conv("x", "c", "y", &places);
    let (xv, wv) = (real(&x), real(&w));
    let expected: Vec<f64> = (0..2 * 4)
        .map(|at| {
            let (o, place) = (at / 4, at % 4);
            let taps = (0..2usize).flat_map(|c| (0..3usize).map(move |k| (c, k)));
            taps.map(|(c, k)| {
                let from = (2 * place + 2 * k).checked_sub(1).filter(|i| *i < 9);
                from.map_or(0.0, |i| xv[(2 * o + c) * 9 + i] * wv[(o * 2 + c) * 3 + k])
            })
            .sum()
        })
        .collect();
    compare(&run(builder, &x).0, &[1, 2, 4], &expected);
}
