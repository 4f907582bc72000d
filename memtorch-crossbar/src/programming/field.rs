//! The voltages of all cells while one is selected.

use super::cells::Cells;
use super::network::Network;
use super::rules::{Pulse, Rules};
use super::{Bias, Programmer};
use crate::{CrossbarError, Tile};

/// What gives the voltages.
#[derive(Debug)]
enum Source {
    /// V/2 on the lines of the cell, 0 elsewhere.
    Half,
    /// V/3 on the lines of the cell, -V/3 elsewhere.
    Third,
    /// Wires with resistance, or open lines.
    Network(Box<Network>),
}

/// A tile's cells under the voltage of a selected one.
#[derive(Debug)]
pub(super) struct Field {
    rows: usize,
    columns: usize,
    source: Source,
    /// The cells that see a voltage.
    devices: Vec<usize>,
    /// Their voltages in V.
    volts: Vec<f64>,
}

impl Field {
    pub(super) fn new(tile: &Tile, bias: Bias, options: &Programmer, rules: &Rules) -> Self {
        let (rows, columns) = (tile.word_lines, tile.bit_lines);
        let source = match bias {
            Bias::Half if options.resistances.is_ideal() => Source::Half,
            Bias::Third if options.resistances.is_ideal() => Source::Third,
            bias => Source::Network(Box::new(Network::new([rows, columns], bias, options, rules.range))),
        };
        Self { rows, columns, source, devices: Vec::new(), volts: Vec::new() }
    }

    /// How often a network was solved.
    pub(super) fn solutions(&self) -> u64 {
        match &self.source {
            Source::Half | Source::Third => 0,
            Source::Network(network) => network.solutions,
        }
    }

    /// Pulses the lines of a cell: all cells move as they must. Gives the energy in J, and the voltage across
    /// the cell.
    pub(super) fn apply(
        &mut self,
        cells: &mut Cells,
        at: usize,
        pulse: Pulse,
    ) -> Result<(f64, f64), CrossbarError> {
        let Pulse { voltage, steps, .. } = pulse;
        let cell = [at / self.columns, at % self.columns];
        if matches!(self.source, Source::Half) {
            return Ok((self.half(cells, cell, pulse), voltage));
        }
        match &mut self.source {
            Source::Network(network) => network.voltages(cells, cell, voltage, &mut self.volts)?,
            Source::Half | Source::Third => third([self.rows, self.columns], cell, voltage, &mut self.volts),
        }
        let energy = cells.pulse_all(&self.volts, steps);
        Ok((energy, self.volts[at]))
    }

    /// Only the cells of the row and the column see a voltage.
    fn half(&mut self, cells: &mut Cells, [row, column]: [usize; 2], pulse: Pulse) -> f64 {
        let Pulse { voltage, steps, .. } = pulse;
        let line = row * self.columns;
        self.devices.clear();
        self.devices.extend(line..line + self.columns);
        let others = (0..self.rows).filter(|other| *other != row);
        self.devices.extend(others.map(|other| other * self.columns + column));
        self.volts.clear();
        self.volts.resize(self.devices.len(), 0.5 * voltage);
        self.volts[column] = voltage;
        cells.pulse(&self.devices, &self.volts, steps)
    }
}

/// V at a cell, V/3 on its lines, -V/3 elsewhere.
fn third([rows, columns]: [usize; 2], [row, column]: [usize; 2], voltage: f64, volts: &mut Vec<f64>) {
    let part = voltage / 3.0;
    volts.clear();
    volts.resize(rows * columns, -part);
    volts[row * columns..(row + 1) * columns].fill(part);
    volts.iter_mut().skip(column).step_by(columns).for_each(|v| *v = part);
    volts[row * columns + column] = voltage;
}
