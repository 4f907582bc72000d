//! Devices that are stepped a few at a time.

use std::ops::Range;
use std::sync::Arc;

use memtorch_devices::{Device, Job, Noise, Parameter, Record, Stream, Task, Waveform};

use crate::Array;

/// Steps that are computed at once.
const SLAB: usize = 16;

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
    scratch: Scratch,
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
    /// Devices of an array as they are; `noise` is the stream of models that have some.
    pub(super) fn of(array: &Array, range: Range<usize>, dt: f64, noise: Stream) -> Self {
        let devices = array.devices();
        let parameters = devices.values().iter().map(|parameter| part(parameter, range.clone())).collect();
        let mut held = vec![None; range.len()];
        let masks = array.masks();
        let from = masks.partition_point(|(device, _)| *device < range.start);
        for (device, _) in masks[from..].iter().take_while(|(device, _)| *device < range.end) {
            held[device - range.start] = Some(array.conductances()[*device]);
        }
        let mut cells = Self {
            model: devices.model().clone(),
            parameters,
            states: vec![0.0; range.len()],
            held,
            first: range.start,
            taken: vec![0; range.len()],
            noise,
            dt,
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
        waveform.clear();
        for _ in 0..SLAB.min(steps as usize) {
            waveform.extend_from_slice(volts);
        }
        let mut energy = 0.0;
        let mut left = steps as usize;
        while left > 0 {
            let slab = left.min(SLAB);
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
