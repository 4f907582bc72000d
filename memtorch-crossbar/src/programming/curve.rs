//! What pulses make of the nominal device when nobody looks.

use memtorch_devices::{Device, Job, Noise, Parameter, Stream, Task, Waveform};

use super::rules::Pulse;

/// The calibration curve of open-loop programming: a device is brought to one end of its range, and from there so
/// many pulses bring the nominal device nearest to a target.
#[derive(Clone, Debug)]
pub(super) struct Curve {
    erase: Pulse,
    erasures: u32,
    write: Pulse,
    /// The conductance of the nominal device after 0, 1, 2, ... pulses, in S.
    levels: Vec<f64>,
}

impl Curve {
    /// Of the two ways, up from OFF or down from ON, the one whose levels leave the smaller largest gap. It has
    /// `most` pulses to erase and as many to write.
    pub(super) fn new(device: &dyn Device, set: Pulse, reset: Pulse, most: u32) -> Self {
        let (low, high) = (1.0 / device.r_off(), 1.0 / device.r_on());
        let up = levels(device, low, set, most);
        let down = levels(device, high, reset, most);
        let gap = |levels: &[f64], end: f64| {
            let last = levels.last().map_or(f64::INFINITY, |last| (end - last).abs());
            levels.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(last, f64::max)
        };
        let count = |levels: &[f64]| levels.len() as u32 - 1;
        if gap(&up, high) <= gap(&down, low) {
            Self { erase: reset, erasures: count(&down), write: set, levels: up }
        } else {
            Self { erase: set, erasures: count(&up), write: reset, levels: down }
        }
    }

    /// The pulse after so many that a device had, if there is one for this target (S).
    pub(super) fn pulse(&self, had: u32, target: f64) -> Option<Pulse> {
        if had < self.erasures {
            return Some(self.erase);
        }
        let miss = |at: &usize| (self.levels[*at] - target).abs();
        let nearest = (0..self.levels.len()).min_by(|a, b| miss(a).total_cmp(&miss(b)))?;
        (((had - self.erasures) as usize) < nearest).then_some(self.write)
    }
}

/// The conductances of the nominal device from one on, until a pulse changes nothing or there are no more.
fn levels(device: &dyn Device, from: f64, pulse: Pulse, most: u32) -> Vec<f64> {
    let parameters: Vec<Parameter> = device.values().into_iter().map(Parameter::Uniform).collect();
    let run = |task: Task<'_>| device.run(Job { parameters: &parameters, first: 0, task });
    let noise = Noise { stream: Stream::root(0, 0), first_step: 0, first_device: 0 };
    let waveform = vec![pulse.voltage; pulse.steps as usize];
    let (mut state, mut read) = ([0.0], [from]);
    run(Task::States { conductances: &[from], states: &mut state });
    run(Task::Conductances { states: &state, conductances: &mut read });
    let mut levels = vec![read[0]];
    for _ in 0..most {
        let before = state;
        let waveform = Waveform::Common(&waveform);
        run(Task::Advance { states: &mut state, waveform, dt: device.time_step(), noise, record: None });
        if state == before {
            break;
        }
        run(Task::Conductances { states: &state, conductances: &mut read });
        levels.push(read[0]);
    }
    levels
}
