//! Cells with transistors: devices that are written side by side.

use memtorch_devices::Stream;
use rayon::prelude::*;

use super::cells::Cells;
use super::report::Written;
use super::rules::{Pulse, Rules, Visit};
use super::{Miss, Programmer, PulseRecord, Resistances};
use crate::{Array, CrossbarError, Layout};

/// Devices of one task.
const BLOCK: usize = 256;

/// One device on its way.
struct Device {
    /// In its block.
    at: usize,
    visit: Visit,
    /// Measurements so far: the place of their noise.
    reads: u32,
}

pub(super) fn write(
    options: &Programmer,
    rules: &Rules,
    array: &Array,
    targets: &[f64],
    stream: Stream,
) -> Result<Written, CrossbarError> {
    let count = targets.len();
    let blocks: Vec<Result<Written, CrossbarError>> = (0..count.div_ceil(BLOCK))
        .into_par_iter()
        .map(|block| {
            let range = block * BLOCK..count.min((block + 1) * BLOCK);
            let cells = Cells::of(array, range.clone(), rules, stream);
            let block = Block { options, rules, layout: array.layout(), first: range.start, cells, stream };
            block.write(&targets[range])
        })
        .collect();
    let mut all = Written::nothing(count);
    for block in blocks {
        all.append(block?);
    }
    // In the order of a machine that writes one device after another.
    all.record.sort_by_key(|pulse| (pulse.pass, pulse.device));
    Ok(all)
}

struct Block<'a> {
    options: &'a Programmer,
    rules: &'a Rules,
    layout: &'a Layout,
    first: usize,
    cells: Cells,
    stream: Stream,
}

impl Block<'_> {
    fn write(mut self, targets: &[f64]) -> Result<Written, CrossbarError> {
        let count = targets.len();
        let mut written = Written::nothing(0);
        written.pulses = vec![0; count];
        written.misses = vec![Miss::Masked; count];
        let mut reads = vec![0; count];
        for pass in 0..self.rules.passes {
            let free = (0..count).filter(|at| self.cells.is_free(*at));
            let mut active: Vec<Device> =
                free.map(|at| Device { at, visit: Visit::new(), reads: reads[at] }).collect();
            while !active.is_empty() {
                self.round(&mut active, targets, pass, &mut written)?;
                active.retain(|device| {
                    let done = device.visit.is_done();
                    if done {
                        written.pulses[device.at] += device.visit.pulses;
                        written.misses[device.at] = device.visit.miss();
                        reads[device.at] = device.reads;
                    }
                    !done
                });
            }
        }
        written.conductances = self.cells.conductances().to_vec();
        written.left = written.conductances.clone();
        written.cycles = self.cells.cycles();
        Ok(written)
    }

    /// Measures all active devices and gives each its next pulse.
    fn round(
        &mut self,
        active: &mut [Device],
        targets: &[f64],
        pass: u32,
        written: &mut Written,
    ) -> Result<(), CrossbarError> {
        if let Some(voltage) = self.rules.reads() {
            let pulse = Pulse { voltage, steps: 1, sets: false };
            let reads: Vec<(usize, Pulse)> = active.iter().map(|device| (device.at, pulse)).collect();
            written.energy += self.apply(&reads).0;
            written.steps += active.len() as u64;
        }
        let mut pulses = Vec::with_capacity(active.len());
        let mut befores = Vec::with_capacity(active.len());
        for device in active {
            let place = self.layout.place(self.first + device.at);
            let error = self.rules.read_error(self.stream, place, device.reads);
            device.reads += 1;
            let before = self.cells.conductances()[device.at];
            let found = before + error;
            if let Some(pulse) = self.rules.next(&mut device.visit, found, targets[device.at]) {
                self.cells.turn(device.at, pulse.sets, place)?;
                pulses.push((device.at, pulse));
                befores.push(before);
            }
        }
        let (energy, volts) = self.apply(&pulses);
        written.energy += energy;
        written.steps += pulses.iter().map(|(_, pulse)| u64::from(pulse.steps)).sum::<u64>();
        if self.options.record {
            for (((at, pulse), voltage), before) in pulses.into_iter().zip(volts).zip(befores) {
                let after = self.cells.conductances()[at];
                let (device, applied, steps) = (self.first + at, pulse.voltage, pulse.steps);
                written.record.push(PulseRecord { device, pass, applied, voltage, steps, before, after });
            }
        }
        Ok(())
    }

    /// Pulses devices; gives the energy and the voltage across each.
    fn apply(&mut self, pulses: &[(usize, Pulse)]) -> (f64, Vec<f64>) {
        let volts: Vec<f64> = pulses.iter().map(|(at, pulse)| self.across(*at, pulse.voltage)).collect();
        let mut lengths: Vec<u32> = pulses.iter().map(|(_, pulse)| pulse.steps).collect();
        lengths.sort_unstable();
        lengths.dedup();
        let mut energy = 0.0;
        for steps in lengths {
            let of_length = pulses.iter().zip(&volts).filter(|((_, pulse), _)| pulse.steps == steps);
            let (devices, volts): (Vec<usize>, Vec<f64>) = of_length.map(|((at, _), v)| (*at, *v)).unzip();
            energy += self.cells.pulse(&devices, &volts, steps);
        }
        (energy, volts)
    }

    /// The voltage that wires and transistor leave for a device: only its own current flows.
    fn across(&self, at: usize, applied: f64) -> f64 {
        let resistance = in_series(&self.options.resistances, self.layout, self.first + at);
        if resistance == 0.0 {
            return applied;
        }
        divide(applied, resistance, |voltage| self.cells.current(at, voltage))
    }
}

/// The resistance between the driver of a device's word line and the sink of its bit line, without the device.
fn in_series(resistances: &Resistances, layout: &Layout, device: usize) -> f64 {
    if resistances.is_ideal() {
        return 0.0;
    }
    let [tile, row, column] = layout.place(device);
    let below = layout.tile(tile as usize).word_lines - 1 - row as usize;
    let segments = column as usize + below;
    2.0 * resistances.source + resistances.transistor + resistances.line * segments as f64
}

/// The voltage v of a device in series with a resistance R at `applied` volt: `v + R I(v) = applied`.
fn divide(applied: f64, resistance: f64, current: impl Fn(f64) -> f64) -> f64 {
    // I rises with v: the root is between 0 and what is applied. The Illinois variant of false position.
    let miss = |v: f64| v + resistance * current(v) - applied;
    let (mut a, mut b) = (0.0, applied);
    let (mut at_a, mut at_b) = (-applied, miss(applied));
    for _ in 0..200 {
        if at_b == 0.0 || (b - a).abs() <= 1e-15 * applied.abs() {
            break;
        }
        let c = match b - at_b * (b - a) / (at_b - at_a) {
            c if c.is_finite() && (c - a) * (c - b) <= 0.0 => c,
            _ => 0.5 * (a + b),
        };
        let at_c = miss(c);
        if (at_c > 0.0) == (at_b > 0.0) {
            at_a *= 0.5;
        } else {
            (a, at_a) = (b, at_b);
        }
        let step = (c - b).abs();
        (b, at_b) = (c, at_c);
        if step <= 1e-15 * applied.abs() {
            break;
        }
    }
    b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_in_series_gets_its_share() {
        for (g, r) in [(1e-3, 100.0), (1.0, 1e-3), (1e-9, 1e6)] {
            for applied in [2.0, -0.3] {
                let v = divide(applied, r, |v| g * v);
                assert!((v - applied / (1.0 + g * r)).abs() < 1e-14 * applied.abs(), "{v}");
            }
        }
        // i = sinh(8 v), through 10 ohm.
        let v = divide(1.5, 10.0, |v| (8.0 * v).sinh());
        assert!((v + 10.0 * (8.0 * v).sinh() - 1.5).abs() < 1e-13, "{v}");
    }
}
