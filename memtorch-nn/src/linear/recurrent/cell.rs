//! One step of one sample: ONNX's equations, with the products already made.

use super::activation::Activation;

/// What is multiplied and added, and in which order the gates stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Rnn,
    /// Gates i, o, f, c.
    Lstm {
        input_forget: bool,
    },
    /// Gates z, r, h. Whether the reset acts on the product (and its bias) or on the state before it.
    Gru {
        linear_before_reset: bool,
    },
}

impl Cell {
    /// Gates of a cell.
    pub(super) fn gates(self) -> usize {
        match self {
            Self::Rnn => 1,
            Self::Lstm { .. } => 4,
            Self::Gru { .. } => 3,
        }
    }

    pub(super) fn default_functions(self) -> &'static [Activation] {
        match self {
            Self::Rnn => &[Activation::Tanh],
            Self::Lstm { .. } => &[Activation::Sigmoid, Activation::Tanh, Activation::Tanh],
            Self::Gru { .. } => &[Activation::Sigmoid, Activation::Tanh],
        }
    }
}

/// What stays the same over all steps of a direction.
pub(super) struct Constants<'a> {
    pub(super) functions: &'a [Activation],
    /// Biases of the recurrent products, `[gates * hidden]`.
    pub(super) bias: &'a [f32],
    /// Weights from the cell state to the gates i, o, f.
    pub(super) peephole: Option<&'a [f32]>,
    pub(super) clip: f32,
}

impl Constants<'_> {
    fn function(&self, index: usize, x: f32) -> f32 {
        // A NaN stays one.
        let x = if x > self.clip {
            self.clip
        } else if x < -self.clip {
            -self.clip
        } else {
            x
        };
        self.functions[index].apply(x)
    }
}

/// An RNN: `x` is the product of the input and its bias, `r` that of the state.
pub(super) fn rnn(k: &Constants<'_>, x: &[f32], r: &[f32], h: &mut [f32]) {
    for (j, h) in h.iter_mut().enumerate() {
        *h = k.function(0, x[j] + (r[j] + k.bias[j]));
    }
}

/// An LSTM.
pub(super) fn lstm(
    k: &Constants<'_>,
    input_forget: bool,
    x: &[f32],
    r: &[f32],
    h: &mut [f32],
    c: &mut [f32],
) {
    let n = h.len();
    let sum = |gate: usize, j: usize| x[gate * n + j] + (r[gate * n + j] + k.bias[gate * n + j]);
    let peep = |gate: usize, j: usize, c: f32| k.peephole.map_or(0.0, |p| p[gate * n + j] * c);
    for j in 0..n {
        let input = k.function(0, sum(0, j) + peep(0, j, c[j]));
        let forget = if input_forget { 1.0 - input } else { k.function(0, sum(2, j) + peep(2, j, c[j])) };
        c[j] = forget * c[j] + input * k.function(1, sum(3, j));
        let output = k.function(0, sum(1, j) + peep(1, j, c[j]));
        // The clip limits what goes into the gates, not the state.
        h[j] = output * k.functions[2].apply(c[j]);
    }
}

/// The update and reset gates of a GRU.
pub(super) fn gru_gates(k: &Constants<'_>, x: &[f32], r: &[f32], update: &mut [f32], reset: &mut [f32]) {
    let n = update.len();
    for j in 0..n {
        update[j] = k.function(0, x[j] + (r[j] + k.bias[j]));
        reset[j] = k.function(0, x[n + j] + (r[n + j] + k.bias[n + j]));
    }
}

/// The state of a GRU: `inner` is what the recurrent part adds to the candidate.
pub(super) fn gru_state(
    k: &Constants<'_>,
    x: &[f32],
    inner: impl Fn(usize) -> f32,
    update: &[f32],
    h: &mut [f32],
) {
    let n = h.len();
    for j in 0..n {
        let candidate = k.function(1, x[2 * n + j] + inner(j));
        h[j] = (1.0 - update[j]) * candidate + update[j] * h[j];
    }
}
