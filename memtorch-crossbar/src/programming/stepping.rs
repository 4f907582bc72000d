//! Some devices through some steps.

use memtorch_devices::{Device, Job, Noise, Parameter, Record, Task, Waveform};

/// Steps that are computed at once: as many as have so many voltages, within these bounds.
const SLAB_NUMBERS: usize = 512;
const SLABS: [usize; 2] = [16, 128];

/// Memory of a job, with the parameters of its devices.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    pub(super) parameters: Vec<Parameter>,
    waveform: Vec<f64>,
    pub(super) currents: Vec<f64>,
    /// In the model's own terms.
    pub(super) states: Vec<f64>,
    pub(super) conductances: Vec<f64>,
}

impl Buffers {
    /// Steps devices through so many steps, each at a voltage that stays. Gives `sum V I dt`; the currents are
    /// those of the last steps that were computed at once.
    pub(super) fn advance(
        &mut self,
        model: &dyn Device,
        states: &mut [f64],
        volts: &[f64],
        dt: f64,
        steps: u32,
        mut noise: Noise,
    ) -> f64 {
        let Self { parameters, waveform, currents, states: recorded, conductances } = self;
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
