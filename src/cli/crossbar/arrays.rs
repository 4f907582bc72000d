//! Array files as the circuits take them.

use std::path::Path;

use memtorch_crossbar::CrossbarError;
use memtorch_crossbar::ndarray::{Array, Array2, ArrayBase, Data, Dimension, Ix2};
use memtorch_crossbar::passive::{PassiveCircuit, Sinh, Wiring};
use memtorch_utils::npy::NpyArray;

use super::arguments::{BitLineEnds, Circuit, WordLineEnds};
use crate::Error;

/// Reads an array of finite numbers; its shape is for the caller to look at.
fn read(path: &Path) -> Result<NpyArray, Error> {
    let array = NpyArray::read(path)?;
    let name = path.display().to_string();
    if array.data.is_empty() {
        let shape = format!("shape {:?}", array.shape);
        return Err(Error::argument(name, shape, "an array that is not empty"));
    }
    if let Some((index, value)) = array.first_not_finite() {
        return Err(Error::argument(name, format!("{value} at {index:?}"), "finite numbers"));
    }
    Ok(array)
}

fn matrix(path: &Path, shape: (usize, usize), array: NpyArray) -> Result<Array2<f64>, Error> {
    Array::from_shape_vec(shape, array.into_f64())
        .map_err(|error| Error::argument(path.display().to_string(), error, "a matrix"))
}

/// Reads the circuit.
pub(crate) fn circuit(arguments: &Circuit) -> Result<PassiveCircuit, Error> {
    let path = &arguments.conductance;
    let array = read(path)?;
    let &[m, n] = array.shape.as_slice() else {
        let shape = format!("shape {:?}", array.shape);
        return Err(Error::argument(path.display().to_string(), shape, "[word lines, bit lines]"));
    };
    let source = Some(arguments.source_resistance);
    let wiring = Wiring {
        word_left: source.filter(|_| !matches!(arguments.word_line_ends, WordLineEnds::Right)),
        word_right: source.filter(|_| !matches!(arguments.word_line_ends, WordLineEnds::Left)),
        bit_top: source.filter(|_| !matches!(arguments.bit_line_ends, BitLineEnds::Bottom)),
        bit_bottom: source.filter(|_| !matches!(arguments.bit_line_ends, BitLineEnds::Top)),
        word_line: arguments.line_resistance,
        bit_line: arguments.bit_line_resistance.unwrap_or(arguments.line_resistance),
    };
    wiring.check()?;
    // What is wrong from here on is in the file.
    PassiveCircuit::new(matrix(path, (m, n), array)?, wiring).map_err(|error| match error {
        CrossbarError::Value { what, value, expected } => {
            Error::argument(format!("{}: {what}", path.display()), value, expected)
        }
        error => error.into(),
    })
}

/// Voltages of a batch, and whether the file has a batch axis.
pub(crate) struct Voltages {
    pub(crate) values: Array2<f64>,
    pub(crate) batched: bool,
}

/// Reads voltages of so many lines.
pub(crate) fn voltages(path: &Path, lines: usize) -> Result<Voltages, Error> {
    let array = read(path)?;
    let (shape, batched) = match *array.shape.as_slice() {
        [n] if n == lines => ((1, n), false),
        [batch, n] if n == lines => ((batch, n), true),
        _ => {
            let shape = format!("shape {:?}", array.shape);
            let expected = format!("[{lines}] or [batch, {lines}]");
            return Err(Error::argument(path.display().to_string(), shape, expected));
        }
    };
    Ok(Voltages { values: matrix(path, shape, array)?, batched })
}

/// The voltages of word and bit lines, as one batch: without a batch axis, the same for every input.
pub(crate) fn inputs(
    circuit: &PassiveCircuit,
    word_line: Option<&Path>,
    bit_line: Option<&Path>,
) -> Result<(Voltages, Array2<f64>), Error> {
    let same =
        |value: f64, lines: usize| Voltages { values: Array2::from_elem((1, lines), value), batched: false };
    let word = word_line
        .map_or_else(|| Ok(same(1.0, circuit.word_lines())), |path| voltages(path, circuit.word_lines()))?;
    let bit = bit_line
        .map_or_else(|| Ok(same(0.0, circuit.bit_lines())), |path| voltages(path, circuit.bit_lines()))?;
    let batched = word.batched || bit.batched;
    let batch = if word.batched { word.values.nrows() } else { bit.values.nrows() };
    let spread = |voltages: Voltages| -> Result<Array2<f64>, Error> {
        let lines = voltages.values.ncols();
        let found = voltages.values.nrows();
        if voltages.batched {
            if found != batch {
                return Err(Error::argument("--bit-line inputs", found, format!("{batch}, as word lines")));
            }
            return Ok(voltages.values);
        }
        Ok(Array2::from_shape_fn((batch, lines), |(_, line)| voltages.values[(0, line)]))
    };
    Ok((Voltages { values: spread(word)?, batched }, spread(bit)?))
}

/// The voltages of the one input that there may be.
pub(crate) fn single(what: &str, inputs: &Array2<f64>) -> Result<(), Error> {
    if inputs.nrows() != 1 {
        return Err(Error::argument(format!("inputs of {what}"), inputs.nrows(), "one input"));
    }
    Ok(())
}

/// The law of the devices.
pub(crate) fn law(nonlinear: Option<f64>) -> Result<Option<Sinh>, Error> {
    match nonlinear {
        None => Ok(None),
        Some(b) => {
            Sinh::new(b).map(Some).map_err(|_| Error::argument("--nonlinear", b, "a positive number of 1/V"))
        }
    }
}

/// Writes an array, without its batch axis where the inputs have none.
pub(crate) fn write<S: Data<Elem = f64>, D: Dimension>(
    path: &Path,
    array: &ArrayBase<S, D>,
    batched: bool,
) -> Result<(), Error> {
    let shape = if batched { array.shape() } else { &array.shape()[1..] };
    Ok(NpyArray::from_f64(shape, array.iter().copied().collect()).write(path)?)
}

/// Writes a matrix.
pub(crate) fn write_matrix<S: Data<Elem = f64>>(path: &Path, array: &ArrayBase<S, Ix2>) -> Result<(), Error> {
    write(path, array, true)
}
