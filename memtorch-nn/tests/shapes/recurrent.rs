//! RNN, LSTM and GRU of either direction or both, with the choices that the specification leaves.

use memtorch_nn::{Attribute, NodeDescription, Tensor};
use memtorch_utils::{Stream, StreamRng};

use crate::{below, compare, random, real, run};

#[derive(Debug)]
struct Case {
    operator: &'static str,
    direction: &'static str,
    steps: usize,
    batch: usize,
    inputs: usize,
    hidden: usize,
    /// How many steps each sample has.
    lengths: Option<Vec<usize>>,
    has_bias: bool,
    has_state: bool,
    /// Of an LSTM.
    peepholes: bool,
    input_forget: bool,
    /// Of a GRU: the reset acts on the product.
    linear_before_reset: bool,
    batch_first: bool,
    clip: Option<f32>,
}

impl Case {
    fn random(rng: &mut StreamRng) -> Self {
        let operator = ["RNN", "LSTM", "GRU"][below(rng, 3)];
        let mut coin = || below(rng, 2) == 1;
        let [has_bias, has_state, some_peep, forget, linear_before_reset, batch_first, varies, clips] =
            [0; 8].map(|_| coin());
        let direction = ["forward", "reverse", "bidirectional"][below(rng, 3)];
        let [steps, batch, inputs, hidden] = [6, 4, 8, 7].map(|most| 1 + below(rng, most));
        let lengths = varies.then(|| (0..batch).map(|_| 1 + below(rng, steps)).collect());
        Self {
            operator,
            direction,
            steps,
            batch,
            inputs,
            hidden,
            lengths,
            has_bias,
            has_state,
            peepholes: operator == "LSTM" && some_peep,
            input_forget: operator == "LSTM" && forget && !some_peep,
            linear_before_reset: operator == "GRU" && linear_before_reset,
            batch_first,
            clip: clips.then(|| (0.3 + rng.uniform()) as f32),
        }
    }

    fn gates(&self) -> usize {
        match self.operator {
            "RNN" => 1,
            "GRU" => 3,
            _ => 4,
        }
    }

    fn directions(&self) -> usize {
        if self.direction == "bidirectional" { 2 } else { 1 }
    }

    fn is_reverse(&self, direction: usize) -> bool {
        self.direction == "reverse" || direction == 1
    }

    /// The shape of a state, of the first axis of `[directions, batch, hidden]` or batch first.
    fn state(&self) -> Vec<usize> {
        let (d, b) = (self.directions(), self.batch);
        if self.batch_first { vec![b, d, self.hidden] } else { vec![d, b, self.hidden] }
    }

    fn node(&self) -> NodeDescription {
        let given = |is: bool, name: &'static str| if is { name } else { "" };
        let mut inputs =
            vec!["x", "w", "r", given(self.has_bias, "b"), given(self.lengths.is_some(), "lengths")];
        inputs.push(given(self.has_state, "h"));
        let mut outputs = vec!["y", "y_h"];
        if self.operator == "LSTM" {
            inputs.extend([given(self.has_state, "c"), given(self.peepholes, "p")]);
            outputs.push("y_c");
        }
        let mut node = NodeDescription::new(self.operator, &inputs, &outputs)
            .attribute("hidden_size", Attribute::Whole(self.hidden as i64))
            .attribute("direction", Attribute::Text(self.direction.to_owned()))
            .attribute("layout", Attribute::Whole(i64::from(self.batch_first)));
        if self.operator == "GRU" {
            node =
                node.attribute("linear_before_reset", Attribute::Whole(i64::from(self.linear_before_reset)));
        }
        if self.input_forget {
            node = node.attribute("input_forget", Attribute::Whole(1));
        }
        match self.clip {
            Some(clip) => node.attribute("clip", Attribute::Real(clip)),
            None => node,
        }
    }
}

/// The weights of one direction.
struct Weights {
    w: Vec<f64>,
    r: Vec<f64>,
    b: Vec<f64>,
    p: Vec<f64>,
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

impl Case {
    /// One step of one sample by the equations of the ONNX specification.
    fn step(&self, k: &Weights, x: &[f64], h: &mut [f64], c: &mut [f64]) {
        let n = self.hidden;
        let all = self.gates() * n;
        let row = |m: &[f64], line: usize, v: &[f64]| -> f64 {
            m[line * v.len()..][..v.len()].iter().zip(v).map(|(m, v)| m * v).sum()
        };
        let clip = |y: f64| self.clip.map_or(y, |clip| y.clamp(-f64::from(clip), f64::from(clip)));
        // X W' + Wb, and H R' + Rb.
        let from_x = |gate: usize, j: usize| row(&k.w, gate * n + j, x) + k.b[gate * n + j];
        let from_h = |gate: usize, j: usize, h: &[f64]| row(&k.r, gate * n + j, h) + k.b[all + gate * n + j];
        let before = h.to_vec();
        let both = |gate: usize, j: usize| from_x(gate, j) + from_h(gate, j, &before);
        match self.operator {
            "RNN" => (0..n).for_each(|j| h[j] = clip(both(0, j)).tanh()),
            "GRU" => {
                let reset: Vec<f64> = (0..n).map(|j| sigmoid(clip(both(1, j)))).collect();
                let left: Vec<f64> = reset.iter().zip(&before).map(|(r, h)| r * h).collect();
                for j in 0..n {
                    let update = sigmoid(clip(both(0, j)));
                    let recurrent = if self.linear_before_reset {
                        reset[j] * from_h(2, j, &before)
                    } else {
                        from_h(2, j, &left)
                    };
                    let candidate = clip(from_x(2, j) + recurrent).tanh();
                    h[j] = (1.0 - update) * candidate + update * before[j];
                }
            }
            _ => {
                for j in 0..n {
                    let peep = |gate: usize, c: f64| k.p[gate * n + j] * c;
                    let input = sigmoid(clip(both(0, j) + peep(0, c[j])));
                    let forget = if self.input_forget {
                        1.0 - input
                    } else {
                        sigmoid(clip(both(2, j) + peep(2, c[j])))
                    };
                    c[j] = forget * c[j] + input * clip(both(3, j)).tanh();
                    h[j] = sigmoid(clip(both(1, j) + peep(1, c[j]))) * c[j].tanh();
                }
            }
        }
    }
}

#[test]
fn recurrent_layers_are_what_their_equations_give_step_by_step() {
    for round in 0..400 {
        let mut rng = Stream::root(7, round).at([0, 0, 0]);
        let s = Case::random(&mut rng);
        let (n, d, rows) = (s.hidden, s.directions(), s.gates() * s.hidden);
        let x_shape = if s.batch_first { [s.batch, s.steps, s.inputs] } else { [s.steps, s.batch, s.inputs] };
        let x = random(&mut rng, &x_shape);
        let w = random(&mut rng, &[d, rows, s.inputs]);
        let r = random(&mut rng, &[d, rows, n]);
        let b = random(&mut rng, &[d, 2 * rows]);
        let p = random(&mut rng, &[d, 3 * n]);
        let (h0, c0) = (random(&mut rng, &s.state()), random(&mut rng, &s.state()));
        let lengths = s.lengths.clone().unwrap_or_else(|| vec![s.steps; s.batch]);
        let list = Tensor::whole(&[s.batch], lengths.iter().map(|&n| n as i64).collect()).unwrap();
        // Where the numbers of a state are.
        let at = |direction: usize, sample: usize| {
            (if s.batch_first { sample * d + direction } else { direction * s.batch + sample }) * n
        };
        let mut y = vec![0.0; s.steps * d * s.batch * n];
        let (mut last_h, mut last_c) = (vec![0.0; d * s.batch * n], vec![0.0; d * s.batch * n]);
        let (xv, hv, cv) = (real(&x), real(&h0), real(&c0));
        for direction in 0..d {
            let of = |tensor: &Tensor, is: bool| -> Vec<f64> {
                let all = real(tensor);
                let each = all.len() / d;
                all[direction * each..][..each].iter().map(|x| if is { *x } else { 0.0 }).collect()
            };
            let weights =
                Weights { w: of(&w, true), r: of(&r, true), b: of(&b, s.has_bias), p: of(&p, s.peepholes) };
            for (sample, &length) in lengths.iter().enumerate() {
                let state = at(direction, sample)..at(direction, sample) + n;
                let begin = |v: &[f64]| if s.has_state { v[state.clone()].to_vec() } else { vec![0.0; n] };
                let (mut h, mut c) = (begin(&hv), begin(&cv));
                for step in 0..length {
                    let time = if s.is_reverse(direction) { length - 1 - step } else { step };
                    let line = if s.batch_first { sample * s.steps + time } else { time * s.batch + sample };
                    s.step(&weights, &xv[line * s.inputs..][..s.inputs], &mut h, &mut c);
                    let line = if s.batch_first {
                        (sample * s.steps + time) * d + direction
                    } else {
                        (time * d + direction) * s.batch + sample
                    };
                    y[line * n..][..n].copy_from_slice(&h);
                }
                last_h[state.clone()].copy_from_slice(&h);
                last_c[state].copy_from_slice(&c);
            }
        }
        let outputs = if s.operator == "LSTM" { &["y", "y_h", "y_c"][..] } else { &["y", "y_h"] };
        let constants =
            [("w", &w), ("r", &r), ("b", &b), ("p", &p), ("h", &h0), ("c", &c0), ("lengths", &list)];
        let ran = run(s.node(), outputs, &x, &constants);
        // The candidate of a GRU whose reset comes first sees another vector.
        let layers = if s.operator == "GRU" && !s.linear_before_reset { 3 } else { 2 };
        assert_eq!(ran.layers, layers * d, "{s:?}");
        let y_shape = if s.batch_first { [s.batch, s.steps, d, n] } else { [s.steps, d, s.batch, n] };
        compare(&ran, 0, &y_shape, &y, &s);
        compare(&ran, 1, &s.state(), &last_h, &s);
        if s.operator == "LSTM" {
            compare(&ran, 2, &s.state(), &last_c, &s);
        }
    }
}
