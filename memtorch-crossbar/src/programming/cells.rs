//! Devices that are stepped a few at a time.

use std::ops::Range;
use std::sync::Arc;

use memtorch_devices::{Device, Distribution, Job, Noise, Parameter, Stream, Task};

use super::Cycling;
use super::rules::Rules;
use super::stepping::Buffers;
use crate::{Array, CrossbarError};

/// Some consecutive devices of an array with their states.
#[derive(Debug)]
pub(super) struct Cells {
    model: Arc<dyn Device>,
    parameters: Vec<Parameter>,
    /// In the model's own terms.
    states: Vec<f64>,
    /// What they conduct, in S.
    conductances: Vec<f64>,
    /// Of each device: the voltages, 0 V among them, that are known to leave it where it is.
    still: Vec<[f64; 2]>,
    /// Whether it can be written.
    free: Vec<bool>,
    /// The devices that moved since this was emptied, each once.
    moved: Vec<usize>,
    has_moved: Vec<bool>,
    /// The number of the first device in the array.
    first: usize,
    /// Steps that each device has taken: the place of its noise in time.
    taken: Vec<u64>,
    noise: Stream,
    dt: f64,
    turns: Option<Turns>,
    scratch: Scratch,
}

/// What devices whose bounds are drawn anew have done so far.
#[derive(Debug)]
struct Turns {
    cycling: Cycling,
    stream: Stream,
    /// Where `r_on` and `r_off` are among the parameters, and what they were made as.
    places: [usize; 2],
    own: [Parameter; 2],
    /// Of each device: whether its last pulse was to raise the conductance, and how often that changed.
    last: Vec<Option<bool>>,
    counts: Vec<u32>,
}

/// Memory of a pulse; it keeps its size.
#[derive(Debug, Default)]
struct Scratch {
    devices: Vec<usize>,
    volts: Vec<f64>,
    states: Vec<f64>,
    before: Vec<f64>,
    buffers: Buffers,
}

impl Cells {
    /// Devices of an array as they are.
    pub(super) fn of(array: &Array, range: Range<usize>, rules: &Rules, stream: Stream) -> Self {
        let devices = array.devices();
        let mut parameters: Vec<Parameter> =
            devices.values().iter().map(|parameter| part(parameter, range.clone())).collect();
        let conductances = array.conductances()[range.clone()].to_vec();
        let (mut free, mut still) = (vec![true; range.len()], vec![[0.0; 2]; range.len()]);
        let masks = array.masks();
        let from = masks.partition_point(|(device, _)| *device < range.start);
        for (device, _) in masks[from..].iter().take_while(|(device, _)| *device < range.end) {
            free[device - range.start] = false;
            still[device - range.start] = [f64::NEG_INFINITY, f64::INFINITY];
        }
        let turns = rules.cycling().map(|cycling| {
            let named = |name: &str| devices.model().parameter_names().iter().position(|n| *n == name);
            let places = ["r_on", "r_off"].map(|name| named(name).expect("every model has r_on and r_off"));
            let own = places.map(|at| parameters[at].clone());
            for at in places {
                let each = (0..range.len()).map(|device| parameters[at].get(device)).collect();
                parameters[at] = Parameter::Each(each);
            }
            let (last, counts) = (vec![None; range.len()], vec![0; range.len()]);
            Turns { cycling, stream: stream.named("cycle"), places, own, last, counts }
        });
        let mut cells = Self {
            model: devices.model().clone(),
            parameters,
            states: vec![0.0; range.len()],
            conductances,
            still,
            free,
            moved: Vec::new(),
            has_moved: vec![false; range.len()],
            first: range.start,
            taken: vec![0; range.len()],
            noise: stream.named("noise"),
            dt: rules.dt,
            turns,
            scratch: Scratch::default(),
        };
        let Self { model, parameters, states, conductances, free, .. } = &mut cells;
        model.run(Job { parameters, first: 0, task: Task::States { conductances, states } });
        let mut read = vec![0.0; range.len()];
        let task = Task::Conductances { states, conductances: &mut read };
        model.run(Job { parameters, first: 0, task });
        for ((g, read), free) in conductances.iter_mut().zip(read).zip(free) {
            *g = if *free { read } else { *g };
        }
        cells
    }

    /// Whether currents are proportional to voltages.
    pub(super) fn is_ohmic(&self) -> bool {
        self.model.is_ohmic()
    }

    /// Whether a device can be written.
    pub(super) fn is_free(&self, device: usize) -> bool {
        self.free[device]
    }

    /// What all devices conduct, in S.
    pub(super) fn conductances(&self) -> &[f64] {
        &self.conductances
    }

    /// The devices that moved since [`Cells::forget`] was called.
    pub(super) fn moved(&self) -> &[usize] {
        &self.moved
    }

    /// Begins to look anew for devices that move.
    pub(super) fn forget(&mut self) {
        for device in self.moved.drain(..) {
            self.has_moved[device] = false;
        }
    }

    /// The current of each device at a voltage of its own, in A.
    pub(super) fn currents(&self, volts: &[f64], found: &mut [f64]) {
        let task = Task::Currents { states: &self.states, voltages: volts, currents: found };
        self.model.run(Job { parameters: &self.parameters, first: 0, task });
        for (device, current) in found.iter_mut().enumerate().filter(|(device, _)| !self.free[*device]) {
            *current = self.conductances[device] * volts[device];
        }
    }

    /// Brings `chords` (S) nearer to `I(v)/v` of each device at a voltage of its own: by this share of the way
    /// on a logarithmic scale.
    pub(super) fn chords(&self, volts: &[f64], share: f64, currents: &mut [f64], chords: &mut [f64]) {
        self.currents(volts, currents);
        for ((chord, current), v) in chords.iter_mut().zip(currents).zip(volts) {
            // Next to 0 V a quotient says nothing.
            if v.abs() > 1e-9 {
                *chord *= (*current / v / *chord).powf(share);
            }
        }
    }

    /// The current of one device at a voltage, in A.
    pub(super) fn current(&self, device: usize, voltage: f64) -> f64 {
        if !self.free[device] || self.model.is_ohmic() {
            return self.conductances[device] * voltage;
        }
        let mut found = [0.0];
        let states = &self.states[device..=device];
        let task = Task::Currents { states, voltages: &[voltage], currents: &mut found };
        self.model.run(Job { parameters: &self.parameters, first: device, task });
        found[0]
    }

    /// How often bounds were drawn anew.
    pub(super) fn cycles(&self) -> u64 {
        self.turns.as_ref().map_or(0, |turns| turns.counts.iter().map(|n| u64::from(*n)).sum())
    }

    /// Tells what the next pulse of a device is for. Where that changes, its bounds are drawn anew, if they are to
    /// be, from the stream at its place.
    ///
    /// # Errors
    /// A deviation with which no possible device is drawn.
    pub(super) fn turn(&mut self, device: usize, sets: bool, place: [u32; 3]) -> Result<(), CrossbarError> {
        const TRIES: u32 = 1000;
        let Some(turns) = &mut self.turns else { return Ok(()) };
        if turns.last[device].replace(sets).is_none_or(|last| last == sets) {
            return Ok(());
        }
        turns.counts[device] += 1;
        let mut rng = turns.stream.child(turns.counts[device].into()).at(place);
        let [on, off] = [0, 1].map(|bound| turns.own[bound].get(device));
        let sigma = turns.cycling.sigma;
        let around =
            |mean: f64, std: f64| Distribution::normal(mean, std).expect("a deviation that was checked");
        let (around_on, around_off) = (around(on, sigma), around(off, 2.0 * sigma));
        let mut values: Vec<f64> = self.parameters.iter().map(|parameter| parameter.get(device)).collect();
        let [at_on, at_off] = turns.places;
        let (old_low, old_high) = (1.0 / values[at_off], 1.0 / values[at_on]);
        let drawn = (0..TRIES).any(|_| {
            values[at_on] = around_on.sample(&mut rng);
            values[at_off] = around_off.sample(&mut rng);
            self.model.check(&values).is_ok()
        });
        if !drawn {
            let expected = format!("a deviation with which {TRIES} draws make a possible device");
            return Err(CrossbarError::value("sigma", sigma, expected));
        }
        let keep_conductance = turns.cycling.keep_conductance;
        let g = self.conductances[device];
        for at in [at_on, at_off] {
            if let Parameter::Each(each) = &mut self.parameters[at] {
                each[device] = values[at];
            }
        }
        let (low, high) = (1.0 / values[at_off], 1.0 / values[at_on]);
        let state = (g - old_low) / (old_high - old_low);
        let g = if keep_conductance { g } else { low + (high - low) * state };
        let states = &mut self.states[device..=device];
        let task = Task::States { conductances: &[g], states };
        self.model.run(Job { parameters: &self.parameters, first: device, task });
        let mut scratch = std::mem::take(&mut self.scratch);
        self.have_changed(&[device], &mut scratch.buffers);
        self.scratch = scratch;
        Ok(())
    }

    /// Reads devices whose states or parameters changed.
    fn have_changed(&mut self, devices: &[usize], buffers: &mut Buffers) {
        self.parameters_of(devices, &mut buffers.parameters);
        buffers.states.clear();
        buffers.states.extend(devices.iter().map(|device| self.states[*device]));
        buffers.conductances.resize(devices.len(), 0.0);
        let Buffers { parameters, states, conductances, .. } = buffers;
        self.model.run(Job { parameters, first: 0, task: Task::Conductances { states, conductances } });
        for (device, g) in devices.iter().zip(conductances) {
            self.conductances[*device] = *g;
            self.still[*device] = [0.0; 2];
            if !std::mem::replace(&mut self.has_moved[*device], true) {
                self.moved.push(*device);
            }
        }
    }

    /// Steps devices, each at a voltage of its own; those that it cannot move stay. Gives the energy in J.
    pub(super) fn pulse(&mut self, devices: &[usize], volts: &[f64], steps: u32) -> f64 {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.devices.clear();
        scratch.volts.clear();
        let mut power = 0.0;
        for (device, v) in devices.iter().zip(volts) {
            if self.stays(*device, *v) {
                power += self.conductances[*device] * v * v;
            } else {
                scratch.devices.push(*device);
                scratch.volts.push(*v);
            }
        }
        self.finish(power, steps, scratch)
    }

    /// The same for all devices.
    pub(super) fn pulse_all(&mut self, volts: &[f64], steps: u32) -> f64 {
        /// Sums that are kept side by side.
        const CHAINS: usize = 8;
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.devices.clear();
        scratch.volts.clear();
        let mut powers = [0.0; CHAINS];
        let chunks =
            volts.chunks(CHAINS).zip(self.conductances.chunks(CHAINS)).zip(self.still.chunks(CHAINS));
        for (chunk, ((volts, conductances), still)) in chunks.enumerate() {
            let all = volts.iter().zip(still).all(|(v, [low, high])| (v >= low) & (v <= high));
            for (at, ((v, g), [low, high])) in volts.iter().zip(conductances).zip(still).enumerate() {
                if all || v >= low && v <= high {
                    powers[at] += g * v * v;
                } else {
                    scratch.devices.push(chunk * CHAINS + at);
                    scratch.volts.push(*v);
                }
            }
        }
        self.finish(powers.iter().sum(), steps, scratch)
    }

    /// Whether a voltage is known to leave a device where it is.
    fn stays(&self, device: usize, v: f64) -> bool {
        let [low, high] = self.still[device];
        v >= low && v <= high
    }

    /// Steps the devices that may move; the others take `power` watt.
    fn finish(&mut self, power: f64, steps: u32, mut scratch: Scratch) -> f64 {
        let mut energy = power * self.dt * f64::from(steps);
        if self.model.is_noisy() {
            for at in 0..scratch.devices.len() {
                energy += self.alone(scratch.devices[at], scratch.volts[at], steps, &mut scratch.buffers);
            }
        } else {
            energy += self.together(steps, &mut scratch);
        }
        self.scratch = scratch;
        energy
    }

    /// Devices without noise. What a step does not move, no further step at the same voltage will: after the
    /// first step only those that it moved go on.
    fn together(&mut self, all: u32, scratch: &mut Scratch) -> f64 {
        let Scratch { devices, volts, states, before, buffers } = scratch;
        let noise = Noise { stream: self.noise, first_step: 0, first_device: 0 };
        let mut energy = 0.0;
        for (first, steps) in [(true, 1), (false, all - 1)] {
            if steps == 0 || devices.is_empty() {
                break;
            }
            before.clear();
            before.extend(devices.iter().map(|at| self.states[*at]));
            states.clone_from(before);
            self.parameters_of(devices, &mut buffers.parameters);
            energy += buffers.advance(&*self.model, states, volts, self.dt, steps, noise);
            for (device, state) in devices.iter().zip(&*states) {
                self.states[*device] = *state;
            }
            if first {
                let mut kept = 0;
                for at in 0..devices.len() {
                    let (device, v) = (devices[at], volts[at]);
                    if states[at] != before[at] {
                        (devices[kept], volts[kept]) = (device, v);
                        kept += 1;
                        continue;
                    }
                    energy += v * buffers.currents[at] * self.dt * f64::from(all - 1);
                    // The power of those that stay is that of ohmic devices.
                    if self.model.is_monotone() && self.model.is_ohmic() {
                        let [low, high] = &mut self.still[device];
                        (*low, *high) = (low.min(v), high.max(v));
                    }
                }
                devices.truncate(kept);
                volts.truncate(kept);
            }
        }
        self.have_changed(devices, buffers);
        energy
    }

    /// One device with noise of its own.
    fn alone(&mut self, device: usize, v: f64, steps: u32, buffers: &mut Buffers) -> f64 {
        let first_device = (self.first + device) as u64;
        let noise = Noise { stream: self.noise, first_step: self.taken[device], first_device };
        self.parameters_of(&[device], &mut buffers.parameters);
        let state = &mut self.states[device..=device];
        self.taken[device] += u64::from(steps);
        let energy = buffers.advance(&*self.model, state, &[v], self.dt, steps, noise);
        self.have_changed(&[device], buffers);
        energy
    }

    fn parameters_of(&self, devices: &[usize], found: &mut Vec<Parameter>) {
        found.clear();
        found.extend(self.parameters.iter().map(|parameter| match parameter {
            Parameter::Uniform(value) => Parameter::Uniform(*value),
            Parameter::Each(values) => Parameter::Each(devices.iter().map(|at| values[*at]).collect()),
        }));
    }
}

/// The values of some devices.
fn part(parameter: &Parameter, range: Range<usize>) -> Parameter {
    match parameter {
        Parameter::Uniform(value) => Parameter::Uniform(*value),
        Parameter::Each(values) => Parameter::Each(values[range].to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use memtorch_devices::DeviceSpec;
    use memtorch_devices::models::Vteam;

    use super::*;
    use crate::programming::Programmer;
    use crate::{Layout, TileShape};

    /// Devices that are ON stay ON, at a resistance that is drawn around their own at each change of polarity and
    /// does not wander from change to change.
    #[test]
    fn each_change_of_polarity_draws_around_the_own_bounds() {
        let (device, sigma, count) = (Arc::new(Vteam::default()), 2.0, 20_000);
        let mut programmer = Programmer::of(&*device).unwrap();
        programmer.cycling = Some(Cycling { sigma, keep_conductance: false });
        let rules = Rules::new(&programmer, &*device).unwrap();
        let layout = Layout::new(1, 1, count, TileShape::Layer).unwrap();
        let stream = Stream::root(3, 0);
        let (mut array, _) = Array::fabricate(layout, &DeviceSpec::new(device), stream).unwrap();
        array.conductances_mut().fill(1.0 / 50.0);
        let mut cells = Cells::of(&array, 0..count, &rules, stream);
        let mut before = cells.conductances().to_vec();
        for turn in 0..6u32 {
            for at in 0..count {
                cells.turn(at, turn % 2 == 0, layout.place(at)).unwrap();
                cells.turn(at, turn % 2 == 0, layout.place(at)).unwrap();
            }
            let now = cells.conductances().to_vec();
            if turn == 0 {
                assert_eq!(now, before, "the first pulse changes no polarity");
                continue;
            }
            let r = |k: usize| 1.0 / now[k] - 50.0;
            let mean = (0..count).map(r).sum::<f64>() / count as f64;
            let variance = (0..count).map(|k| r(k).powi(2)).sum::<f64>() / count as f64;
            // Five standard errors.
            let n = (count as f64).sqrt();
            assert!(mean.abs() < 5.0 * sigma / n, "turn {turn}: {mean}");
            assert!(
                (variance / sigma.powi(2) - 1.0).abs() < 5.0 * 2f64.sqrt() / n,
                "turn {turn}: {variance}"
            );
            let with_before: f64 = (0..count).map(|k| r(k) * (1.0 / before[k] - 50.0)).sum();
            let correlation = with_before / count as f64 / sigma.powi(2);
            assert!(correlation.abs() < 5.0 / n, "turn {turn}: {correlation}");
            before = now;
        }
        assert_eq!(cells.cycles(), 5 * count as u64);
    }
}
