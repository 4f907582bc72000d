//! Lines with resistance.

use ndarray::{Array2, Axis};

use super::cells::Cells;
use super::relaxation::Relaxation;
use super::{Bias, Programmer};
use crate::CrossbarError;
use crate::passive::{Auto, ConjugateGradients, Detail, PassiveCircuit, PassiveSolver, Wiring};

/// The voltages that a network of wires leaves for the devices of a tile. It is solved for a selected cell, and
/// anew where the conductances have changed so much that they could matter.
///
/// A device whose current at the voltages that were found is now another by `d` acts like a source of d between
/// its two nodes; no voltage changes by more than |d| times the resistance that the wires have between these
/// nodes, which is at most that of the way over both drivers. So the sum of |d| times that resistance bounds
/// what is wrong with the old voltages, and [`Programmer::voltage_error`] bounds the sum.
#[derive(Debug)]
pub(super) struct Network {
    shape: [usize; 2],
    bias: Bias,
    wiring: Wiring,
    /// The resistance from driver to sink past each cell, in ohm.
    way: Vec<f64>,
    allowed: f64,
    solver: Auto,
    solved: Option<Solved>,
    currents: Vec<f64>,
    conductances: Vec<f64>,
    pub(super) solutions: u64,
}

/// What was found the last time.
#[derive(Debug)]
struct Solved {
    cell: [usize; 2],
    voltage: f64,
    volts: Vec<f64>,
    currents: Vec<f64>,
}

/// How often to look for the voltages of devices that are not ohmic.
const TRIES: usize = 500;

impl Network {
    pub(super) fn new(shape: [usize; 2], bias: Bias, options: &Programmer) -> Self {
        let [m, n] = shape;
        let (source, line) = (options.resistances.source, options.resistances.line);
        let way = |k: usize| 2.0 * source + line * (k % n + (m - 1 - k / n)) as f64;
        // Far below what is allowed, and not below what can be had.
        let tolerance = (1e-3 * options.voltage_error).max(1e-13);
        let conjugate_gradients = ConjugateGradients { tolerance, ..ConjugateGradients::default() };
        Self {
            shape,
            bias,
            wiring: Wiring::new(source, line),
            way: (0..m * n).map(way).collect(),
            allowed: options.voltage_error,
            solver: Auto { conjugate_gradients },
            solved: None,
            currents: vec![0.0; m * n],
            conductances: vec![0.0; m * n],
            solutions: 0,
        }
    }

    /// The voltages of all cells while the lines of one are driven.
    pub(super) fn voltages(
        &mut self,
        cells: &Cells,
        cell: [usize; 2],
        voltage: f64,
        volts: &mut Vec<f64>,
    ) -> Result<(), CrossbarError> {
        if !self.still_good(cells, cell, voltage) {
            self.solve(cells, cell, voltage)?;
        }
        let solved = self.solved.as_ref().expect("it was just solved");
        let scale = voltage / solved.voltage;
        volts.clear();
        volts.extend(solved.volts.iter().map(|v| v * scale));
        Ok(())
    }

    fn still_good(&mut self, cells: &Cells, cell: [usize; 2], voltage: f64) -> bool {
        let Some(solved) = &self.solved else { return false };
        // Voltages of ohmic devices are proportional to what is applied.
        if self.allowed == 0.0 || solved.cell != cell || !(cells.is_ohmic() || solved.voltage == voltage) {
            return false;
        }
        cells.currents(&solved.volts, &mut self.currents);
        let changes = self.currents.iter().zip(&solved.currents).zip(&self.way);
        let bound: f64 = changes.map(|((now, then), way)| (now - then).abs() * way).sum();
        bound <= self.allowed * solved.voltage.abs()
    }

    fn solve(&mut self, cells: &Cells, cell: [usize; 2], voltage: f64) -> Result<(), CrossbarError> {
        let [m, n] = self.shape;
        // The lines that are not selected: word lines, bit lines.
        let others = match self.bias {
            Bias::Third => [1.0 / 3.0, 2.0 / 3.0],
            Bias::Half | Bias::Floating => [0.5, 0.5],
        };
        let line = |lines: usize, selected: usize, at: f64, other: f64| {
            let each = move |(_, line): (usize, usize)| voltage * if line == selected { at } else { other };
            Array2::from_shape_fn((1, lines), each)
        };
        let (word, bit) = (line(m, cell[0], 1.0, others[0]), line(n, cell[1], 0.0, others[1]));
        let mut volts: Vec<f64> = (0..m * n).map(|k| word[(0, k / n)] - bit[(0, k % n)]).collect();
        cells.conductances_into(&mut self.conductances);
        if !cells.is_ohmic() {
            cells.chords(&volts, 1.0, &mut self.currents, &mut self.conductances);
        }
        let mut relaxation = Relaxation::new();
        let stays = (0.1 * self.allowed).max(1e-9);
        let mut change = f64::INFINITY;
        for _ in 0..TRIES {
            let conductances = Array2::from_shape_vec((m, n), self.conductances.clone());
            let circuit = PassiveCircuit::new(conductances.expect("a conductance a cell"), self.wiring)?;
            let found = self.solver.solve(&circuit, word.view(), bit.view(), Detail::Nodes)?;
            self.solutions += 1;
            let nodes = found.node_voltages.expect("nodes were asked for");
            let nodes = nodes.index_axis(Axis(0), 0);
            let across = nodes.index_axis(Axis(0), 0).to_owned() - nodes.index_axis(Axis(0), 1);
            change = across.iter().zip(&volts).fold(0.0f64, |most, (new, old)| most.max((new - old).abs()));
            volts = across.iter().copied().collect();
            if cells.is_ohmic() || change <= stays * voltage.abs() {
                let mut currents = vec![0.0; m * n];
                cells.currents(&volts, &mut currents);
                self.solved = Some(Solved { cell, voltage, volts, currents });
                return Ok(());
            }
            cells.chords(&volts, relaxation.share(change), &mut self.currents, &mut self.conductances);
        }
        Err(CrossbarError::NotConverged {
            what: format!("the voltages at word line {}, bit line {}", cell[0], cell[1]),
            iterations: TRIES,
            residual: change / voltage.abs(),
            tolerance: stays,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use memtorch_devices::models::{StanfordPku, Vteam};
    use memtorch_devices::{Device, DeviceSpec, Stream};

    use super::*;
    use crate::programming::rules::Rules;
    use crate::programming::{Cell, Order, Resistances};
    use crate::{Array, Layout, TileShape};

    /// While devices move a little from pulse to pulse, the voltages that are kept stay as near to those of a
    /// network solved at every pulse as was asked for.
    #[test]
    fn kept_voltages_are_as_near_as_they_must_be() {
        let fine = StanfordPku { time_step: 1e-12, ..StanfordPku::default() };
        let models: [(Arc<dyn Device>, f64, f64); 2] =
            [(Arc::new(Vteam::default()), -0.2, 0.05), (Arc::new(fine), 1.2, 1.3)];
        for (device, applied, moving) in models {
            let stream = Stream::root(8, 0);
            let (m, n, allowed) = (12, 10, 0.02);
            let layout = Layout::new(1, m, n, TileShape::Layer).unwrap();
            let (mut array, _) = Array::fabricate(layout, &DeviceSpec::new(device.clone()), stream).unwrap();
            let uniform = |k: usize, turn: u32| stream.at([k as u32, turn, 0]).uniform();
            let (low, high) = (1.0 / device.r_off(), 1.0 / device.r_on());
            for (k, g) in array.conductances_mut().iter_mut().enumerate() {
                *g = low + (high - low) * uniform(k, 0);
            }
            let mut programmer = Programmer::of(&*device).unwrap();
            programmer.cell = Cell::Passive { bias: Bias::Half, order: Order::RowMajor };
            programmer.resistances = Resistances { source: 3.0, line: 0.3, transistor: 0.0 };
            programmer.voltage_error = allowed;
            let rules = Rules::new(&programmer, &*device).unwrap();
            let mut cells = Cells::of(&array, 0..m * n, &rules, stream);
            let mut kept = Network::new([m, n], Bias::Half, &programmer);
            programmer.voltage_error = 0.0;
            let mut exact = Network::new([m, n], Bias::Half, &programmer);
            let (mut some, mut all, mut largest) = (Vec::new(), Vec::new(), 0.0f64);
            for turn in 1..=40u32 {
                kept.voltages(&cells, [3, 6], applied, &mut some).unwrap();
                exact.voltages(&cells, [3, 6], applied, &mut all).unwrap();
                let off = some.iter().zip(&all).fold(0.0f64, |most, (a, b)| most.max((a - b).abs()));
                largest = largest.max(off / applied.abs());
                let devices: Vec<usize> = (0..m * n).collect();
                let volts: Vec<f64> = devices.iter().map(|k| moving * uniform(*k, turn)).collect();
                cells.pulse(&devices, &volts, 1);
            }
            assert!(largest > 0.0 && largest <= allowed, "{}: {largest}", device.name());
            let (name, solved) = (device.name(), kept.solutions);
            assert!(3 * solved < 2 * exact.solutions, "{name}: {solved} of {}", exact.solutions);
        }
    }
}
