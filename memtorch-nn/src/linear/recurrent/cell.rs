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
    /// Clips what goes into a gate and applies its function.
    fn gate(&self, function: usize, values: &mut [f32]) {
        if self.clip < f32::INFINITY {
            let clip = self.clip;
            // A NaN stays one.
            values.iter_mut().for_each(|x| *x = x.clamp(-clip, clip));
        }
        self.functions[function].apply(values);
    }

    /// `sum[j] = x[j] + (r[j] + bias[j])` over all gates.
    fn sum(&self, x: &[f32], r: &[f32], sum: &mut [f32]) {
        for (s, ((x, r), b)) in sum.iter_mut().zip(x.iter().zip(r).zip(self.bias)) {
            *s = x + (r + b);
        }
    }
}

/// An RNN: `x` is the product of the input and its bias, `r` that of the state.
pub(super) fn rnn(k: &Constants<'_>, x: &[f32], r: &[f32], h: &mut [f32]) {
    k.sum(x, r, h);
    k.gate(0, h);
}

/// An LSTM. `work` has room for the four gates.
pub(super) fn lstm(
    k: &Constants<'_>,
    input_forget: bool,
    (x, r): (&[f32], &[f32]),
    (h, c): (&mut [f32], &mut [f32]),
    work: &mut [f32],
) {
    let n = h.len();
    k.sum(x, r, work);
    let (input, rest) = work.split_at_mut(n);
    let (output, rest) = rest.split_at_mut(n);
    let (forget, candidate) = rest.split_at_mut(n);
    let peep = |gate: usize, values: &mut [f32], c: &[f32]| {
        if let Some(p) = k.peephole {
            values.iter_mut().zip(&p[gate * n..][..n]).zip(c).for_each(|((y, p), c)| *y += p * c);
        }
    };
    peep(0, input, c);
    k.gate(0, input);
    if input_forget {
        forget.iter_mut().zip(&*input).for_each(|(f, i)| *f = 1.0 - i);
    } else {
        peep(2, forget, c);
        k.gate(0, forget);
    }
    k.gate(1, candidate);
    for (c, ((f, i), g)) in c.iter_mut().zip(forget.iter().zip(&*input).zip(&*candidate)) {
        *c = f * *c + i * g;
    }
    peep(1, output, c);
    k.gate(0, output);
    // The clip limits what goes into the gates, not the state.
    h.copy_from_slice(c);
    k.functions[2].apply(h);
    h.iter_mut().zip(&*output).for_each(|(h, o)| *h *= o);
}

/// The update and reset gates of a GRU, one after the other in `gates`.
pub(super) fn gru_gates(k: &Constants<'_>, x: &[f32], r: &[f32], gates: &mut [f32]) {
    k.sum(x, r, gates);
    k.gate(0, gates);
}

/// The state of a GRU: `inner` is what the recurrent part adds to the candidate, whose place is `work`.
pub(super) fn gru_state(
    k: &Constants<'_>,
    x: &[f32],
    inner: impl Fn(usize) -> f32,
    update: &[f32],
    h: &mut [f32],
    work: &mut [f32],
) {
    let n = h.len();
    for (j, y) in work[..n].iter_mut().enumerate() {
        *y = x[2 * n + j] + inner(j);
    }
    k.gate(1, &mut work[..n]);
    for (h, (z, y)) in h.iter_mut().zip(update.iter().zip(&*work)) {
        *h = (1.0 - z) * y + z * *h;
    }
}
