//! RNN, LSTM and GRU. The weights of the input and of the state of each direction are layers of their own;
//! gates and states are digital. A GRU whose reset acts before the product multiplies two vectors a step, the
//! state and what the reset leaves of it: the weights of its candidate are a layer of their own too.

mod activation;
mod cell;

use memtorch_crossbar::Input;
use memtorch_map::Usage;
use ndarray::Array3;

use self::activation::Activation;
use self::cell::{Cell, Constants};
use super::{Linear, Parts};
use crate::Tensor;
use crate::build::Found;
use crate::ops::{Fault, Inputs, Operator, Refusal, strided};
use crate::run::Run;
use crate::tensor::filled;

/// One direction: its layers and functions.
#[derive(Clone, Debug)]
struct Direction {
    input_layer: usize,
    state_layer: usize,
    /// What multiplies the state after the reset.
    candidate_layer: Option<usize>,
    reverse: bool,
    functions: Vec<Activation>,
}

#[derive(Clone, Debug)]
struct Recurrent {
    cell: Cell,
    directions: Vec<Direction>,
    inputs: usize,
    hidden: usize,
    clip: f32,
    /// Whether the batch is the first axis, not time.
    batch_first: bool,
}

const FORWARD: [&str; 3] = [".W", ".R", ".R_candidate"];
const REVERSE: [&str; 3] = [".W_reverse", ".R_reverse", ".R_candidate_reverse"];

pub(super) fn make<'a>(
    operator: &str,
    parts: &Parts<'a>,
    found: &mut Vec<Found<'a>>,
) -> Result<Linear, Refusal> {
    let a = &parts.attributes;
    let cell = match operator {
        "LSTM" => Cell::Lstm { input_forget: a.flag("input_forget", false)? },
        "GRU" => Cell::Gru { linear_before_reset: a.flag("linear_before_reset", false)? },
        _ => Cell::Rnn,
    };
    let reverse: &[bool] = match a.text("direction", "forward")? {
        "forward" => &[false],
        "reverse" => &[true],
        "bidirectional" => &[false, true],
        other => {
            return Err(format!("direction = {other:?}: expected forward, reverse or bidirectional").into());
        }
    };
    let functions = Activation::list(a, cell.default_functions(), reverse.len())?;
    let clip = a.real("clip", f32::INFINITY)?;
    if !(clip >= 0.0) {
        return Err(format!("clip = {clip}: expected at least 0").into());
    }
    let batch_first = a.flag("layout", false)?;
    let ((w, w_values), (r, r_values)) = (parts.weights(1)?, parts.weights(2)?);
    let (&[directions, rows, inputs], &[directions_r, rows_r, hidden]) = (w.shape(), r.shape()) else {
        let shapes = format!("weights of shapes {:?} and {:?}", w.shape(), r.shape());
        return Err(format!("{shapes}: expected three axes each").into());
    };
    let gates = cell.gates();
    let fits = directions == reverse.len() && directions_r == directions && rows == rows_r;
    if !fits
        || Some(rows) != hidden.checked_mul(gates)
        || a.whole("hidden_size", hidden as i64)? != hidden as i64
    {
        let shapes = format!("weights of shapes {:?} and {:?}", w.shape(), r.shape());
        let expected = format!("{} directions, {gates} gates and one hidden_size", reverse.len());
        return Err(format!("{shapes}: expected {expected}").into());
    }
    let biases = parts.list(3, directions * 2 * rows);
    // Of each layer: which input it multiplies, and which of its outputs.
    let mut parts_of_direction = vec![(0, 0..rows), (1, 0..rows)];
    if cell == (Cell::Gru { linear_before_reset: false }) {
        parts_of_direction = vec![(0, 0..rows), (1, 0..2 * hidden), (1, 2 * hidden..rows)];
    }
    let count = parts_of_direction.len();
    for (d, &reverse) in reverse.iter().enumerate() {
        let names = if reverse { REVERSE } else { FORWARD };
        for ((k, outputs), name) in parts_of_direction.iter().cloned().zip(names) {
            let (values, columns) = [(w_values, inputs), (r_values, hidden)][k];
            let first = d * rows + outputs.start;
            // ONNX keeps [outputs, inputs].
            let weights = Array3::from_shape_fn((1, columns, outputs.len()), |(_, i, o)| {
                values[(first + o) * columns + i]
            });
            found.push(Found {
                value: parts.value(1 + k),
                named_after: parts.value(1),
                part: name,
                weights,
                bias: biases.map(|b| &b[(2 * d + k) * rows..][outputs]),
                usage: Usage::Rows,
            });
        }
    }
    let reverse = reverse.to_vec();
    Ok(Linear::Layers(Box::new(move |layers| {
        let each = functions.len() / reverse.len();
        let directions = reverse.iter().enumerate().map(|(d, &reverse)| Direction {
            input_layer: layers[count * d],
            state_layer: layers[count * d + 1],
            candidate_layer: (count == 3).then(|| layers[count * d + 2]),
            reverse,
            functions: functions[d * each..(d + 1) * each].to_vec(),
        });
        Box::new(Recurrent { cell, directions: directions.collect(), inputs, hidden, clip, batch_first })
    })))
}

/// The sizes of one run.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    steps: usize,
    batch: usize,
}

impl Operator for Recurrent {
    fn run(&self, mut inputs: Inputs, run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let x = self.time_first(inputs.real(0)?)?;
        let &[steps, batch, width] = x.shape() else {
            return Err(format!("an input of shape {:?}: expected steps, batch and inputs", x.shape()).into());
        };
        if width != self.inputs {
            return Err(
                format!("an input of shape {:?}: expected {} inputs a step", x.shape(), self.inputs).into()
            );
        }
        let sizes = Sizes { steps, batch };
        let (n, directions, gates) = (self.hidden, self.directions.len(), self.cell.gates());
        let bias = parameter(&mut inputs, 3, &[directions, 2 * gates * n])?;
        let lengths = match inputs.wholes_maybe(4)? {
            None => vec![steps; batch],
            Some(list) => {
                let fits = |&n: &i64| usize::try_from(n).ok().filter(|&n| n <= steps);
                let lengths: Option<Vec<usize>> = list.iter().map(fits).collect();
                lengths.filter(|l| l.len() == batch).ok_or_else(|| {
                    format!("sequence lengths {list:?}: expected {batch} numbers of at most {steps}")
                })?
            }
        };
        let initial = |tensor: Option<Tensor>| -> Result<Vec<f32>, String> {
            let shape = [directions, batch, n];
            let Some(tensor) = tensor else { return filled(&shape, 0.0) };
            let tensor = self.time_first(tensor)?;
            if tensor.shape() != shape {
                return Err(format!("an initial state of shape {:?}: expected {shape:?}", tensor.shape()));
            }
            tensor.into_f32()
        };
        let mut hidden = initial(inputs.maybe(5))?;
        let mut memory = initial(inputs.maybe(6))?;
        let peephole = parameter(&mut inputs, 7, &[directions, 3 * n])?;
        let mut y = filled(&[steps, directions, batch, n], 0.0f32)?;
        for (d, direction) in self.directions.iter().enumerate() {
            let states = d * batch * n..(d + 1) * batch * n;
            let biases = bias.as_ref().map(|b| &b[d * 2 * gates * n..][..2 * gates * n]);
            let zeros = vec![0.0; 2 * gates * n];
            let (bias_x, bias_r) = biases.unwrap_or(&zeros).split_at(gates * n);
            let constants = Constants {
                functions: &direction.functions,
                bias: bias_r,
                peephole: peephole.as_ref().map(|p| &p[d * 3 * n..][..3 * n]),
                clip: self.clip,
            };
            // The inputs of all steps at once; each step of each sequence is a sample of its own.
            let mut from_input = filled(&[steps * batch, gates * n], 0.0f32)?;
            let values = x.as_f32().unwrap_or(&[]);
            run.multiply_steps(
                direction.input_layer,
                Input::Rows { values, rows: steps * batch },
                (0, batch),
                &mut from_input,
            )?;
            if gates * n > 0 {
                for row in from_input.chunks_exact_mut(gates * n) {
                    row.iter_mut().zip(bias_x).for_each(|(y, b)| *y += b);
                }
            }
            self.one_direction(
                run,
                sizes,
                (d, direction, &constants),
                (&from_input, &lengths),
                (&mut hidden[states.clone()], &mut memory[states]),
                &mut y,
            )?;
        }
        let state = [directions, batch, n];
        let list = vec![
            Tensor::new(&[steps, directions, batch, n], y)?,
            Tensor::new(&state, hidden)?,
            Tensor::new(&state, memory)?,
        ];
        if !self.batch_first {
            return Ok(list);
        }
        let [y, hidden, memory]: [Tensor; 3] = list.try_into().map_err(|_| "three outputs")?;
        // [steps, directions, batch, hidden] becomes [batch, steps, directions, hidden].
        let strides = [n, directions * batch * n, batch * n, 1].map(|s| s as isize);
        let y = strided(&y, &[batch, steps, directions, n], &strides, 0)?;
        Ok(vec![y, swapped(&hidden)?, swapped(&memory)?])
    }
}

impl Recurrent {
    /// The tensor with time (or directions) before the batch.
    fn time_first(&self, tensor: Tensor) -> Result<Tensor, String> {
        if self.batch_first && tensor.shape().len() == 3 { swapped(&tensor) } else { Ok(tensor) }
    }

    fn one_direction(
        &self,
        run: &Run<'_>,
        Sizes { steps, batch }: Sizes,
        (d, direction, constants): (usize, &Direction, &Constants<'_>),
        (from_input, lengths): (&[f32], &[usize]),
        (hidden, memory): (&mut [f32], &mut [f32]),
        y: &mut [f32],
    ) -> Result<(), Fault> {
        let (n, gates) = (self.hidden, self.cell.gates());
        if n == 0 {
            return Ok(());
        }
        let state_columns = if direction.candidate_layer.is_some() { 2 * n } else { gates * n };
        let mut from_state = vec![0.0; batch * state_columns];
        let mut candidate = vec![0.0; if direction.candidate_layer.is_some() { batch * n } else { 0 }];
        // Of a GRU: the update and reset gates of each sample.
        let mut first_gates = vec![0.0; if gates == 3 { batch * 2 * n } else { 0 }];
        let mut work = vec![0.0; gates * n];
        let longest = lengths.iter().copied().max().unwrap_or(0).min(steps);
        for step in 0..longest {
            // The place in time of a sample's step; none when its sequence is over.
            let time = |b: usize| {
                let length = lengths[b];
                (step < length).then(|| if direction.reverse { length - 1 - step } else { step })
            };
            let row = |time: usize, b: usize| &from_input[(time * batch + b) * gates * n..][..gates * n];
            // A step of a GRU may read twice.
            run.multiply_steps(
                direction.state_layer,
                Input::Rows { values: hidden, rows: batch },
                (2 * step, batch),
                &mut from_state,
            )?;
            if let Cell::Gru { .. } = self.cell {
                for b in 0..batch {
                    let Some(time) = time(b) else { continue };
                    let r = &from_state[b * state_columns..][..state_columns];
                    cell::gru_gates(constants, row(time, b), r, &mut first_gates[b * 2 * n..][..2 * n]);
                }
                if let Some(layer) = direction.candidate_layer {
                    let pairs = first_gates.chunks_exact(2 * n).zip(hidden.chunks_exact(n));
                    let reset_state: Vec<f32> =
                        pairs.flat_map(|(gates, h)| gates[n..].iter().zip(h).map(|(r, h)| r * h)).collect();
                    let input = Input::Rows { values: &reset_state, rows: batch };
                    run.multiply_steps(layer, input, (step, batch), &mut candidate)?;
                }
            }
            for b in 0..batch {
                let Some(time) = time(b) else { continue };
                let states = b * n..(b + 1) * n;
                let (x, r) = (row(time, b), &from_state[b * state_columns..][..state_columns]);
                let (h, c) = (&mut hidden[states.clone()], &mut memory[states]);
                match self.cell {
                    Cell::Rnn => cell::rnn(constants, x, r, h),
                    Cell::Lstm { input_forget } => {
                        cell::lstm(constants, input_forget, (x, r), (h, c), &mut work);
                    }
                    Cell::Gru { .. } => {
                        let (update, reset) = first_gates[b * 2 * n..][..2 * n].split_at(n);
                        let bias = &constants.bias[2 * n..];
                        let inner = |j: usize| match direction.candidate_layer {
                            Some(_) => candidate[b * n + j] + bias[j],
                            None => reset[j] * (r[2 * n + j] + bias[j]),
                        };
                        cell::gru_state(constants, x, inner, update, h, &mut work);
                    }
                }
                let at = ((time * self.directions.len() + d) * batch + b) * n;
                y[at..at + n].copy_from_slice(h);
            }
        }
        Ok(())
    }
}

/// A tensor of three axes with the first two exchanged.
fn swapped(tensor: &Tensor) -> Result<Tensor, String> {
    let &[a, b, c] = tensor.shape() else {
        return Err(format!("shape {:?}: expected three axes", tensor.shape()));
    };
    strided(tensor, &[b, a, c], &[c as isize, (b * c) as isize, 1], 0)
}

/// An input of real numbers of this shape that may be left out.
fn parameter(inputs: &mut Inputs, index: usize, shape: &[usize]) -> Result<Option<Vec<f32>>, String> {
    match inputs.maybe(index) {
        None => Ok(None),
        Some(tensor) if tensor.shape() != shape => {
            Err(format!("input {index} of shape {:?}: expected {shape:?}", tensor.shape()))
        }
        Some(tensor) => tensor.into_f32().map(Some),
    }
}
