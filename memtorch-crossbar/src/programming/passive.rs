//! Arrays without transistors: one cell after another, and what the others see.

use memtorch_devices::Stream;
use rayon::prelude::*;

use super::cells::Cells;
use super::field::Field;
use super::report::Written;
use super::rules::{Pulse, Rules, Visit};
use super::{Bias, Miss, Order, Programmer, PulseRecord};
use crate::{Array, CrossbarError, Tile};

pub(super) fn write(
    options: &Programmer,
    rules: &Rules,
    (bias, order): (Bias, Order),
    array: &Array,
    targets: &[f64],
    stream: Stream,
) -> Result<Written, CrossbarError> {
    let tiles: Vec<Result<Written, CrossbarError>> = (0..array.layout().tile_count())
        .into_par_iter()
        .map(|index| {
            let tile = array.layout().tile(index);
            let cells = Cells::of(array, tile.range(), rules, stream);
            let field = Field::new(&tile, bias, options, rules);
            let pulsed = Pulsed { options, rules, order, tile, cells, field, stream };
            pulsed.write(&targets[tile.range()])
        })
        .collect();
    let mut all = Written::nothing(targets.len());
    for tile in tiles {
        all.append(tile?);
    }
    Ok(all)
}

/// A tile that is being written.
struct Pulsed<'a> {
    options: &'a Programmer,
    rules: &'a Rules,
    order: Order,
    tile: Tile,
    cells: Cells,
    field: Field,
    stream: Stream,
}

impl Pulsed<'_> {
    fn write(mut self, targets: &[f64]) -> Result<Written, CrossbarError> {
        let count = targets.len();
        let mut written = Written::nothing(0);
        written.pulses = vec![0; count];
        written.misses = vec![Miss::Masked; count];
        written.left = self.cells.conductances().to_vec();
        let mut reads = vec![0; count];
        for pass in 0..self.rules.passes {
            for at in self.sequence(pass, targets) {
                let mut visit = Visit::new();
                while self.pulse(at, targets[at], pass, &mut visit, &mut reads[at], &mut written)? {}
                written.pulses[at] += visit.pulses;
                written.misses[at] = visit.miss();
                written.left[at] = self.cells.conductances()[at];
            }
        }
        written.conductances = self.cells.conductances().to_vec();
        written.solutions = self.field.solutions();
        written.cycles = self.cells.cycles();
        Ok(written)
    }

    /// The cells that can be written, in the order of a pass.
    fn sequence(&self, pass: u32, targets: &[f64]) -> Vec<usize> {
        let mut free: Vec<usize> = (0..targets.len()).filter(|at| self.cells.is_free(*at)).collect();
        match self.order {
            Order::RowMajor => {}
            Order::Random => {
                let stream = self.stream.named("order").child(pass.into());
                free.sort_by_cached_key(|at| (stream.at(self.place(*at)).uniform() * 2f64.powi(53)) as u64);
            }
            Order::WorstFirst => {
                let conductances = self.cells.conductances();
                let error = |at: usize| (conductances[at] - targets[at]).abs();
                free.sort_by(|a, b| error(*b).total_cmp(&error(*a)));
            }
        }
        free
    }

    fn place(&self, at: usize) -> [u32; 3] {
        let (row, column) = (at / self.tile.bit_lines, at % self.tile.bit_lines);
        [self.tile.index as u32, row as u32, column as u32]
    }

    /// Measures a device and gives it its next pulse, if there is one.
    fn pulse(
        &mut self,
        at: usize,
        target: f64,
        pass: u32,
        visit: &mut Visit,
        reads: &mut u32,
        written: &mut Written,
    ) -> Result<bool, CrossbarError> {
        if let Some(voltage) = self.rules.reads() {
            written.energy +=
                self.field.apply(&mut self.cells, at, Pulse { voltage, steps: 1, sets: false })?.0;
            written.steps += 1;
        }
        let before = self.cells.conductances()[at];
        let found = before + self.rules.read_error(self.stream, self.place(at), *reads);
        *reads += 1;
        let Some(pulse) = self.rules.next(visit, found, target) else { return Ok(false) };
        self.cells.turn(at, pulse.sets, self.place(at))?;
        let (energy, voltage) = self.field.apply(&mut self.cells, at, pulse)?;
        written.energy += energy;
        written.steps += u64::from(pulse.steps);
        if self.options.record {
            let (device, applied, steps) = (self.tile.offset + at, pulse.voltage, pulse.steps);
            let after = self.cells.conductances()[at];
            written.record.push(PulseRecord { device, pass, applied, voltage, steps, before, after });
        }
        Ok(true)
    }
}
