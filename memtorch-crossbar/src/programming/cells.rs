//! Devices that are stepped a few at a time.

use std::ops::Range;
use std::sync::Arc;

use memtorch_devices::{Device, Distribution, Job, Noise, Parameter, Record, Stream, Task, Waveform};

use super::Cycling;
use super::rules::Rules;
use crate::{Array, CrossbarError};

/// Steps that are computed at once: as many as have so many voltages, within these bounds.
const SLAB_NUMBERS: usize = 512;
const SLABS: [usize; 2] = [16, 128];

/// Some consecutive devices of an array with their states.
#[derive(Debug)]
pub(super) struct Cells {
    model: Arc<dyn Device>,
    parameters: Vec<Parameter>,
    /// In the model's own terms.
    states: Vec<f64>,
    /// Of a device that cannot be written: what it conducts, in S.
    held: Vec<Option<f64>>,
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

/// Memory of a job, with the parameters of its devices.
#[derive(Debug, Default)]
struct Buffers {
    parameters: Vec<Parameter>,
    waveform: Vec<f64>,
    currents: Vec<f64>,
    recorded: Vec<f64>,
    conductances: Vec<f64>,
}

impl Cells {
    /// Devices of an array as they are.
    pub(super) fn of(array: &Array, range: Range<usize>, rules: &Rules, stream: Stream) -> Self {
        let devices = array.devices();
        let mut parameters: Vec<Parameter> =
            devices.values().iter().map(|parameter| part(parameter, range.clone())).collect();
        let mut held = vec![None; range.len()];
        let masks = array.masks();
        let from = masks.partition_point(|(device, _)| *device < range.start);
        for (device, _) in masks[from..].iter().take_while(|(device, _)| *device < range.end) {
            held[device - range.start] = Some(array.conductances()[*device]);
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
            held,
            first: range.start,
            taken: vec![0; range.len()],
            noise: stream.named("noise"),
            dt: rules.dt,
            turns,
            scratch: Scratch::default(),
        };
        let Self { model, parameters, states, .. } = &mut cells;
        let conductances = &array.conductances()[range];
        model.run(Job { parameters, first: 0, task: Task::States { conductances, states } });
        cells
    }

    pub(super) fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether currents are proportional to voltages.
    pub(super) fn is_ohmic(&self) -> bool {
        self.model.is_ohmic()
    }

    /// Whether a device cannot be written.
    pub(super) fn is_held(&self, device: usize) -> bool {
        self.held[device].is_some()
    }

    /// What all devices conduct, in S.
    pub(super) fn conductances(&self) -> Vec<f64> {
        let mut found = vec![0.0; self.len()];
        self.conductances_into(&mut found);
        found
    }

    pub(super) fn conductances_into(&self, found: &mut [f64]) {
        let task = Task::Conductances { states: &self.states, conductances: found };
        self.model.run(Job { parameters: &self.parameters, first: 0, task });
        for (g, held) in found.iter_mut().zip(&self.held) {
            *g = held.unwrap_or(*g);
        }
    }

    /// What one device conducts, in S.
    pub(super) fn conductance(&self, device: usize) -> f64 {
        if let Some(held) = self.held[device] {
            return held;
        }
        let mut found = [0.0];
        let task = Task::Conductances { states: &self.states[device..=device], conductances: &mut found };
        self.model.run(Job { parameters: &self.parameters, first: device, task });
        found[0]
    }

    /// The current of each device at a voltage of its own, in A.
    pub(super) fn currents(&self, volts: &[f64], found: &mut [f64]) {
        let task = Task::Currents { states: &self.states, voltages: volts, currents: found };
        self.model.run(Job { parameters: &self.parameters, first: 0, task });
        for ((current, held), v) in found.iter_mut().zip(&self.held).zip(volts) {
            *current = held.map_or(*current, |g| g * v);
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
        if let Some(g) = self.held[device] {
            return g * voltage;
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
        let g = self.conductance(device);
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
        Ok(())
    }

    /// Steps devices, each at a voltage of its own; those at 0 V stay. Gives the energy in J.
    pub(super) fn pulse(&mut self, devices: &[usize], volts: &[f64], steps: u32) -> f64 {
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut energy = 0.0;
        scratch.devices.clear();
        scratch.volts.clear();
        for (device, v) in devices.iter().zip(volts).filter(|(_, v)| **v != 0.0) {
            if let Some(g) = self.held[*device] {
                energy += g * v * v * self.dt * f64::from(steps);
            } else {
                scratch.devices.push(*device);
                scratch.volts.push(*v);
            }
        }
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
                    if states[at] != before[at] {
                        (devices[kept], volts[kept]) = (devices[at], volts[at]);
                        kept += 1;
                    } else {
                        let power = volts[at] * buffers.currents[at];
                        energy += power * self.dt * f64::from(all - 1);
                    }
                }
                devices.truncate(kept);
                volts.truncate(kept);
            }
        }
        energy
    }

    /// One device with noise of its own.
    fn alone(&mut self, device: usize, v: f64, steps: u32, buffers: &mut Buffers) -> f64 {
        let first_device = (self.first + device) as u64;
        let noise = Noise { stream: self.noise, first_step: self.taken[device], first_device };
        self.parameters_of(&[device], &mut buffers.parameters);
        let state = &mut self.states[device..=device];
        self.taken[device] += u64::from(steps);
        buffers.advance(&*self.model, state, &[v], self.dt, steps, noise)
    }

    fn parameters_of(&self, devices: &[usize], found: &mut Vec<Parameter>) {
        found.clear();
        found.extend(self.parameters.iter().map(|parameter| match parameter {
            Parameter::Uniform(value) => Parameter::Uniform(*value),
            Parameter::Each(values) => Parameter::Each(devices.iter().map(|at| values[*at]).collect()),
        }));
    }
}

impl Buffers {
    /// Steps devices through so many steps, each at a voltage that stays. Gives `sum V I dt`; the currents are
    /// those of the last steps that were computed at once.
    fn advance(
        &mut self,
        model: &dyn Device,
        states: &mut [f64],
        volts: &[f64],
        dt: f64,
        steps: u32,
        mut noise: Noise,
    ) -> f64 {
        let Self { parameters, waveform, currents, recorded, conductances } = self;
        let devices = states.len();
        let longest = (SLAB_NUMBERS / devices.max(1)).clamp(SLABS[0], SLABS[1]);
        waveform.clear();
        for _ in 0..longest.min(steps as usize) {
            waveform.extend_from_slice(volts);
        }
        let mut energy = 0.0;
        let mut left = steps as usize;
        while left > 0 {
            let slab = left.min(longest);
            let count = slab * devices;
            for memory in [&mut *currents, recorded, conductances] {
                memory.resize(count, 0.0);
            }
            let voltages = &waveform[..count];
            // With one step, what is recorded would cost more than the step.
            let record = if slab == 1 {
                let task = Task::Currents { states, voltages, currents };
                model.run(Job { parameters, first: 0, task });
                None
            } else {
                Some(Record { currents, states: recorded, conductances })
            };
            let waveform = Waveform::Each { voltages, devices };
            let task = Task::Advance { states, waveform, dt, noise, record };
            model.run(Job { parameters, first: 0, task });
            energy += voltages.iter().zip(&*currents).map(|(v, i)| v * i).sum::<f64>() * dt;
            noise.first_step += slab as u64;
            left -= slab;
        }
        energy
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
        let mut before = cells.conductances();
        for turn in 0..6u32 {
            for at in 0..count {
                cells.turn(at, turn % 2 == 0, layout.place(at)).unwrap();
                cells.turn(at, turn % 2 == 0, layout.place(at)).unwrap();
            }
            let now = cells.conductances();
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
