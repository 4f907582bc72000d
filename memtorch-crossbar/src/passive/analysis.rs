use ndarray::{Array2, Array3, ArrayView1, Axis};

use super::{Detail, DeviceLaw, PassiveCircuit, PassiveSolver, Solution};
use crate::CrossbarError;

/// Where the power goes, in watt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Power {
    /// Delivered by all sources together.
    pub sources: f64,
    /// Turned to heat in the devices.
    pub devices: f64,
    /// Turned to heat in the lines and source resistances.
    pub wires: f64,
}

/// The cell that loses most of its voltage to the wires.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WorstDrop {
    /// Its word line.
    pub word_line: usize,
    /// Its bit line.
    pub bit_line: usize,
    /// What is lost, in volt: the difference of the line voltages less the voltage across the device.
    pub lost: f64,
    /// The difference of the line voltages, in volt.
    pub applied: f64,
}

/// Everything about one input of a solved circuit.
#[derive(Clone, Debug, PartialEq)]
pub struct OperatingPoint {
    /// Volt, `[2, word line, bit line]`, the nodes of word lines first.
    pub node_voltages: Array3<f64>,
    /// Volt across each device, word line less bit line.
    pub device_voltages: Array2<f64>,
    /// Ampere through each device, from word line to bit line.
    pub device_currents: Array2<f64>,
    /// Volt that each cell loses to the wires.
    pub lost: Array2<f64>,
    /// Where the power goes.
    pub power: Power,
    /// The cell that loses most.
    pub worst_drop: WorstDrop,
}

impl OperatingPoint {
    /// What the solution says about one input of its batch, whose voltages are given again; `law` is
    /// that of the devices ([`Ohmic`](super::Ohmic) for linear solvers).
    ///
    /// # Errors
    /// A solution without node voltages; an input that is not in it; voltages of another number.
    pub fn new(
        circuit: &PassiveCircuit,
        law: &dyn DeviceLaw,
        solution: &Solution,
        input: usize,
        word_lines: ArrayView1<f64>,
        bit_lines: ArrayView1<f64>,
    ) -> Result<Self, CrossbarError> {
        let (m, n) = (circuit.word_lines(), circuit.bit_lines());
        let nodes = solution
            .node_voltages
            .as_ref()
            .ok_or_else(|| CrossbarError::value("node voltages", "none", "a solution with Detail::Nodes"))?;
        if input >= nodes.len_of(Axis(0)) {
            let expected = format!("a number below {}", nodes.len_of(Axis(0)));
            return Err(CrossbarError::value("input", input, expected));
        }
        for (what, found, expected) in
            [("word-line voltages", word_lines.len(), m), ("bit-line voltages", bit_lines.len(), n)]
        {
            if found != expected {
                return Err(CrossbarError::Shape { what, found: vec![found], expected: vec![expected] });
            }
        }
        let nodes = nodes.index_axis(Axis(0), input).to_owned();
        if nodes.shape() != [2, m, n] {
            let (found, expected) = (nodes.shape().to_vec(), vec![2, m, n]);
            return Err(CrossbarError::Shape { what: "node voltages", found, expected });
        }
        let device_voltages = Array2::from_shape_fn((m, n), |(i, j)| nodes[[0, i, j]] - nodes[[1, i, j]]);
        let device_currents = Array2::from_shape_fn((m, n), |(i, j)| {
            law.current_and_slope(circuit.conductances()[(i, j)], device_voltages[(i, j)], [i, j]).0
        });
        let lost = Array2::from_shape_fn((m, n), |(i, j)| {
            (word_lines[i] - nodes[[0, i, j]]) + (nodes[[1, i, j]] - bit_lines[j])
        });
        let mut worst_drop = WorstDrop {
            word_line: 0,
            bit_line: 0,
            lost: lost[(0, 0)],
            applied: word_lines[0] - bit_lines[0],
        };
        for ((word_line, bit_line), lost) in lost.indexed_iter() {
            if lost.abs() > worst_drop.lost.abs() {
                let applied = word_lines[word_line] - bit_lines[bit_line];
                worst_drop = WorstDrop { word_line, bit_line, lost: *lost, applied };
            }
        }
        let delivered = |currents: ArrayView1<f64>, voltages: ArrayView1<f64>| currents.dot(&voltages);
        let sources = delivered(solution.source_currents.row(input), word_lines)
            - delivered(solution.column_currents.row(input), bit_lines);
        let devices = device_voltages.iter().zip(&device_currents).map(|(v, i)| v * i).sum();
        let power = Power { sources, devices, wires: heat(circuit, &nodes, word_lines, bit_lines) };
        Ok(Self { node_voltages: nodes, device_voltages, device_currents, lost, power, worst_drop })
    }
}

/// What the lines and source resistances turn to heat.
fn heat(
    circuit: &PassiveCircuit,
    nodes: &Array3<f64>,
    word_lines: ArrayView1<f64>,
    bit_lines: ArrayView1<f64>,
) -> f64 {
    let (m, n) = (circuit.word_lines(), circuit.bit_lines());
    let wiring = circuit.wiring();
    let of = |a: f64, b: f64, resistance: Option<f64>| match resistance {
        Some(r) if r > 0.0 => (a - b) * (a - b) / r,
        _ => 0.0,
    };
    let mut power = 0.0;
    for i in 0..m {
        power += of(word_lines[i], nodes[[0, i, 0]], wiring.word_left);
        power += of(word_lines[i], nodes[[0, i, n - 1]], wiring.word_right);
        power +=
            (1..n).map(|j| of(nodes[[0, i, j - 1]], nodes[[0, i, j]], Some(wiring.word_line))).sum::<f64>();
    }
    for j in 0..n {
        power += of(bit_lines[j], nodes[[1, 0, j]], wiring.bit_top);
        power += of(bit_lines[j], nodes[[1, m - 1, j]], wiring.bit_bottom);
        power +=
            (1..m).map(|i| of(nodes[[1, i - 1, j]], nodes[[1, i, j]], Some(wiring.bit_line))).sum::<f64>();
    }
    power
}

/// How much the current of one column (ampere into its sink) changes with each device's conductance:
/// `dI_column / dg`, in volt, `[word line, bit line]`, for ohmic devices at one input.
///
/// It is the voltage across the device times its voltage in the adjoint network, in which all sources
/// are at 0 V and the column's sink is at -1 V: two solutions, whatever the number of devices.
///
/// # Errors
/// A column that is not there; those of the solver.
pub fn sensitivity(
    circuit: &PassiveCircuit,
    solver: &dyn PassiveSolver,
    word_lines: ArrayView1<f64>,
    bit_lines: ArrayView1<f64>,
    column: usize,
) -> Result<Array2<f64>, CrossbarError> {
    let (m, n) = (circuit.word_lines(), circuit.bit_lines());
    if column >= n {
        return Err(CrossbarError::value("column", column, format!("a number below {n}")));
    }
    let across = |word: ArrayView1<f64>, bit: ArrayView1<f64>| -> Result<Array2<f64>, CrossbarError> {
        let (word, bit) = (word.insert_axis(Axis(0)), bit.insert_axis(Axis(0)));
        let solution = solver.solve(circuit, word, bit, Detail::Nodes)?;
        let nodes = solution
            .node_voltages
            .ok_or_else(|| CrossbarError::value("node voltages", "none", "a solver that gives them"))?;
        Ok(Array2::from_shape_fn((m, n), |(i, j)| nodes[[0, 0, i, j]] - nodes[[0, 1, i, j]]))
    };
    let (zero, mut sink) = (ndarray::Array1::zeros(m), ndarray::Array1::zeros(n));
    sink[column] = -1.0;
    Ok(across(word_lines, bit_lines)? * across(zero.view(), sink.view())?)
}
