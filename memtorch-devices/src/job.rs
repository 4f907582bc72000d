use memtorch_utils::Stream;

use crate::Parameter;

/// Something to compute for a run of devices.
#[derive(Debug)]
pub struct Job<'a> {
    /// The parameters of all devices, in the order of the model's names.
    pub parameters: &'a [Parameter],
    /// The first device of the run.
    pub first: usize,
    /// What is computed.
    pub task: Task<'a>,
}

/// What a [`Job`] computes. Slices have one element a device of the run.
#[derive(Debug)]
#[non_exhaustive]
pub enum Task<'a> {
    /// Conductances in S from states.
    Conductances {
        /// The states.
        states: &'a [f64],
        /// The conductances.
        conductances: &'a mut [f64],
    },
    /// States from conductances in S, clipped to the devices' own bounds.
    States {
        /// The conductances.
        conductances: &'a [f64],
        /// The states.
        states: &'a mut [f64],
    },
    /// Currents in A at one voltage a device, in V; nothing moves.
    Currents {
        /// The states.
        states: &'a [f64],
        /// The voltages.
        voltages: &'a [f64],
        /// The currents.
        currents: &'a mut [f64],
    },
    /// Steps under voltage.
    Advance {
        /// The states before, then those after.
        states: &'a mut [f64],
        /// The voltages.
        waveform: Waveform<'a>,
        /// The time step in s.
        dt: f64,
        /// Where normal numbers come from.
        noise: Noise,
        /// Where each step is written, if anywhere.
        record: Option<Record<'a>>,
    },
}

impl Task<'_> {
    /// How many devices the run has.
    pub(crate) fn devices(&self) -> usize {
        match self {
            Self::Conductances { states, .. } => states.len(),
            Self::States { states, .. } => states.len(),
            Self::Currents { states, .. } => states.len(),
            Self::Advance { states, .. } => states.len(),
        }
    }
}

/// Voltages over time, in V.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Waveform<'a> {
    /// One a step, for all devices.
    Common(&'a [f64]),
    /// One a step and device: step after step, each with `devices` voltages, of which those of the job begin
    /// at its first device.
    Each {
        /// The voltages.
        voltages: &'a [f64],
        /// How many devices there are in a step.
        devices: usize,
    },
}

impl Waveform<'_> {
    /// How many steps there are.
    pub fn steps(&self) -> usize {
        match self {
            Self::Common(voltages) => voltages.len(),
            Self::Each { voltages, devices } => voltages.len() / (*devices).max(1),
        }
    }
}

/// Normal numbers that depend on the device and the step only.
#[derive(Clone, Copy, Debug)]
pub struct Noise {
    /// The stream.
    pub stream: Stream,
    /// The number of the first step.
    pub first_step: u64,
    /// The number of the population's first device.
    pub first_device: u64,
}

/// What happens in each step: the current, and the state and conductance before it. Step after step, each
/// with one element a device of the run.
#[derive(Debug)]
pub struct Record<'a> {
    /// Currents in A.
    pub currents: &'a mut [f64],
    /// States.
    pub states: &'a mut [f64],
    /// Conductances in S.
    pub conductances: &'a mut [f64],
}
