//! Lines that have resistance, or are left open.

use super::cells::Cells;
use super::relaxation::Relaxation;
use super::{Bias, Programmer};
use crate::CrossbarError;
use crate::passive::{Drive, Kept, Wiring};

/// The voltages of all devices of a tile while a cell is selected, from the network of its lines: for the cell, and
/// anew where conductances have changed so much that it could matter.
///
/// Two solutions for the same cell, combined with weights whose sum is 1, obey Kirchhoff's laws; only devices that
/// have moved since then have another current there than their own. The weights are such that the selected device
/// has its own, so that only what the others did is left. A current that is wrong by d acts like a source of d
/// between the two nodes of its device, and changes no voltage by more than |d| times the resistance between these
/// nodes, which is at most that of the way past the device over both drivers, or the device's own. So the sum of
/// |d| times that resistance bounds what is wrong with the voltages, and [`Programmer::voltage_error`] bounds the sum.
#[derive(Debug)]
pub(super) struct Network {
    shape: [usize; 2],
    bias: Bias,
    resistances: [f64; 2],
    allowed: f64,
    kept: Kept,
    selected: Option<Selected>,
    drive: Drive,
    conductances: Vec<f64>,
    currents: Vec<f64>,
    pub(super) solutions: u64,
}

/// What is known of a cell's lines at a voltage.
#[derive(Debug)]
struct Selected {
    cell: [usize; 2],
    voltage: f64,
    last: Found,
    /// The solution before it.
    before: Option<Found>,
}

/// A solution: volt and ampere of all devices.
#[derive(Debug)]
struct Found {
    volts: Vec<f64>,
    currents: Vec<f64>,
}

/// How often to look for the voltages of devices that are not ohmic.
const TRIES: usize = 500;

/// The least resistance of lines that may be open, over that of a device in its ON state: of less, currents between
/// the nodes of an open line would be lost in the rounding of its voltage. It changes voltages by about as small a share:
/// by more where bent devices conduct better than in that state.
const LEAST: f64 = 1e-9;

/// The share of what is allowed that the solution itself may leave.
const RESIDUAL: f64 = 0.02;

impl Network {
    /// `range` is `g_on - g_off` in S.
    pub(super) fn new(shape: [usize; 2], bias: Bias, options: &Programmer, range: f64) -> Self {
        let [m, n] = shape;
        let least = if bias == Bias::Floating { LEAST / range } else { 0.0 };
        let [source, line] = [options.resistances.source, options.resistances.line].map(|r| r.max(least));
        Self {
            shape,
            bias,
            resistances: [source, line],
            allowed: options.voltage_error,
            kept: Kept::new(shape, &Wiring::new(source, line)),
            selected: None,
            drive: Drive::default(),
            conductances: vec![0.0; m * n],
            currents: vec![0.0; m * n],
            solutions: 0,
        }
    }

    /// The voltages of all cells while the lines of one are driven.
    pub(super) fn voltages(
        &mut self,
        cells: &mut Cells,
        cell: [usize; 2],
        voltage: f64,
        volts: &mut Vec<f64>,
    ) -> Result<(), CrossbarError> {
        volts.resize(self.conductances.len(), 0.0);
        if !self.combine(cells, cell, voltage, volts) {
            self.solve(cells, cell, voltage)?;
            let selected = self.selected.as_ref().expect("it was just solved");
            volts.copy_from_slice(&selected.last.volts);
        }
        Ok(())
    }

    /// Makes the voltages of what is known, if they are good enough.
    fn combine(&self, cells: &Cells, cell: [usize; 2], voltage: f64, volts: &mut [f64]) -> bool {
        let Some(selected) = &self.selected else { return false };
        // Voltages of ohmic devices are proportional to what is applied.
        let usable = cells.is_ohmic() || selected.voltage == voltage;
        if self.allowed == 0.0 || selected.cell != cell || !usable {
            return false;
        }
        let Selected { last, before, .. } = selected;
        let at = cell[0] * self.shape[1] + cell[1];
        // The device's own current where the voltages go on from those before: I + b dI = g (V + b dV).
        let weight = before.as_ref().filter(|_| cells.is_ohmic()).map_or(0.0, |before| {
            let (change, g) = (last.volts[at] - before.volts[at], cells.conductances()[at]);
            let missing = g * last.volts[at] - last.currents[at];
            let weight = missing / (last.currents[at] - before.currents[at] - g * change);
            if weight.is_finite() { weight } else { 0.0 }
        });
        let go_on = |last: f64, before: Option<f64>| last + weight * (last - before.unwrap_or(last));
        let mut bound = 0.0;
        for device in cells.moved() {
            let volt = go_on(last.volts[*device], before.as_ref().map(|before| before.volts[*device]));
            let current =
                go_on(last.currents[*device], before.as_ref().map(|before| before.currents[*device]));
            let wrong = (cells.current(*device, volt) - current).abs();
            if wrong > 0.0 {
                bound += wrong * self.between(cells, cell, *device);
            }
        }
        // What the two solutions lack counts as often as they do.
        let left = 1.0 - RESIDUAL * (1.0 + 2.0 * weight.abs());
        if bound > left * self.allowed * selected.voltage.abs() {
            return false;
        }
        let scale = voltage / selected.voltage;
        match before {
            Some(before) if weight != 0.0 => {
                let pairs = last.volts.iter().zip(&before.volts);
                for (volt, (last, before)) in volts.iter_mut().zip(pairs) {
                    *volt = scale * (last + weight * (last - before));
                }
            }
            _ => volts.iter_mut().zip(&last.volts).for_each(|(volt, last)| *volt = scale * last),
        }
        true
    }

    /// What the resistance between the nodes of a device can be at most, in ohm.
    fn between(&self, cells: &Cells, [row, column]: [usize; 2], device: usize) -> f64 {
        let [m, n] = self.shape;
        let (i, j) = (device / n, device % n);
        let [source, line] = self.resistances;
        let open = self.bias == Bias::Floating && (i != row || j != column);
        let way = if open { f64::INFINITY } else { 2.0 * source + line * (j + (m - 1 - i)) as f64 };
        // A device's own says something where its slope is known.
        if cells.is_ohmic() { way.min(1.0 / cells.conductances()[device]) } else { way }
    }

    fn solve(&mut self, cells: &mut Cells, cell: [usize; 2], voltage: f64) -> Result<(), CrossbarError> {
        self.drive(cell, voltage);
        let stays = (0.1 * self.allowed).max(1e-9);
        // Not below what can be had.
        let tolerance = (RESIDUAL * self.allowed).max(1e-13);
        let volts = if cells.is_ohmic() {
            self.solutions += 1;
            self.kept.solve(cells.conductances(), &self.drive, tolerance)?.to_vec()
        } else {
            self.conductances.copy_from_slice(cells.conductances());
            let mut volts = vec![0.0; self.conductances.len()];
            let mut relaxation = Relaxation::new();
            let mut tries = 0;
            loop {
                self.solutions += 1;
                let found = self.kept.solve(&self.conductances, &self.drive, tolerance.min(0.1 * stays))?;
                let pairs = found.iter().zip(&volts);
                let change = pairs.fold(0.0f64, |most, (new, old)| most.max((new - old).abs()));
                volts.copy_from_slice(found);
                tries += 1;
                if change <= stays * voltage.abs() {
                    break volts;
                }
                if tries == TRIES {
                    return Err(CrossbarError::NotConverged {
                        what: format!("the voltages at word line {}, bit line {}", cell[0], cell[1]),
                        iterations: TRIES,
                        residual: change / voltage.abs(),
                        tolerance: stays,
                    });
                }
                cells.chords(&volts, relaxation.share(change), &mut self.currents, &mut self.conductances);
            }
        };
        let mut currents = vec![0.0; volts.len()];
        cells.currents(&volts, &mut currents);
        let before = self.selected.take().filter(|old| old.cell == cell && old.voltage == voltage);
        if before.is_none() {
            cells.forget();
        }
        let before = before.map(|old| old.last);
        self.selected = Some(Selected { cell, voltage, last: Found { volts, currents }, before });
        Ok(())
    }

    /// Drives the lines of a cell, and the others as the bias says.
    fn drive(&mut self, [row, column]: [usize; 2], voltage: f64) {
        // Other word lines, other bit lines.
        let [word, bit] = match self.bias {
            Bias::Half => [Some(0.5 * voltage); 2],
            Bias::Third => [Some(voltage / 3.0), Some(2.0 * voltage / 3.0)],
            Bias::Floating => [None; 2],
        };
        let [m, n] = self.shape;
        self.drive.word.clear();
        self.drive.word.resize(m, word);
        self.drive.word[row] = Some(voltage);
        self.drive.bit.clear();
        self.drive.bit.resize(n, bit);
        self.drive.bit[column] = Some(0.0);
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
        let vteam: Arc<dyn Device> = Arc::new(Vteam::default());
        let models: [(Arc<dyn Device>, Bias, f64, f64); 4] = [
            (vteam.clone(), Bias::Half, -0.2, 0.05),
            (vteam.clone(), Bias::Third, -0.2, 0.05),
            (vteam, Bias::Floating, -0.2, 0.05),
            (Arc::new(fine), Bias::Half, 1.2, 1.3),
        ];
        for (device, bias, applied, moving) in models {
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
            programmer.cell = Cell::Passive { bias, order: Order::RowMajor };
            programmer.resistances = Resistances { source: 3.0, line: 0.3, transistor: 0.0 };
            programmer.voltage_error = allowed;
            let rules = Rules::new(&programmer, &*device).unwrap();
            let mut cells = Cells::of(&array, 0..m * n, &rules, stream);
            let mut kept = Network::new([m, n], bias, &programmer, rules.range);
            programmer.voltage_error = 0.0;
            let mut exact = Network::new([m, n], bias, &programmer, rules.range);
            let (mut some, mut all, mut largest) = (Vec::new(), Vec::new(), 0.0f64);
            for turn in 1..=40u32 {
                kept.voltages(&mut cells, [3, 6], applied, &mut some).unwrap();
                exact.voltages(&mut cells, [3, 6], applied, &mut all).unwrap();
                let off = some.iter().zip(&all).fold(0.0f64, |most, (a, b)| most.max((a - b).abs()));
                largest = largest.max(off / applied.abs());
                let devices: Vec<usize> = (0..m * n).collect();
                let volts: Vec<f64> = devices.iter().map(|k| moving * uniform(*k, turn)).collect();
                cells.pulse(&devices, &volts, 1);
            }
            assert!(largest > 0.0 && largest <= allowed, "{} {bias:?}: {largest}", device.name());
            let (name, solved) = (device.name(), kept.solutions);
            assert!(3 * solved < 2 * exact.solutions, "{name} {bias:?}: {solved} of {}", exact.solutions);
        }
    }
}
