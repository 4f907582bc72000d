use rayon::prelude::*;

use memtorch_utils::Stream;

use crate::job::{Job, Noise, Record, Task, Waveform};
use crate::{Device, DeviceError, DeviceParameters};

/// Devices with states: struct of arrays, parameters that are alike stored once.
///
/// Results do not depend on threads, on the instruction set or on how a population is split.
#[derive(Clone, Debug)]
pub struct Population {
    parameters: DeviceParameters,
    states: Vec<f64>,
    stream: Stream,
    first_device: u64,
    steps: u64,
}

/// Devices of one task: a multiple of every width, small enough for the first-level cache.
const BLOCK: usize = 1024;

impl Population {
    /// Devices at their model's conductance at the beginning, each clipped to its own bounds.
    ///
    /// `stream` gives the noise of models that have one.
    pub fn new(parameters: DeviceParameters, stream: Stream) -> Self {
        let start = parameters.model().start_conductance();
        let states = vec![0.0; parameters.len()];
        let mut population = Self { parameters, states, stream, first_device: 0, steps: 0 };
        // No list as long as the population: it would be a third of what it takes.
        let targets = [start; BLOCK];
        let parameters = &population.parameters;
        population.states.par_chunks_mut(BLOCK).enumerate().for_each(|(block, states)| {
            let task = Task::States { conductances: &targets[..states.len()], states };
            parameters.model().run(Job { parameters: parameters.values(), first: block * BLOCK, task });
        });
        population
    }

    /// Numbers its devices from this one on, as a part of a larger population.
    pub fn starting_at(mut self, first_device: u64) -> Self {
        self.first_device = first_device;
        self
    }

    /// How many devices there are.
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// How the devices were fabricated.
    pub fn parameters(&self) -> &DeviceParameters {
        &self.parameters
    }

    /// The state of each device, in the model's own terms.
    pub fn states(&self) -> &[f64] {
        &self.states
    }

    /// Sets conductances in S, one a device, each clipped to the device's own bounds. Gives what was set.
    ///
    /// # Errors
    /// Another number of conductances than devices; one that is not positive and finite.
    pub fn set_conductances(&mut self, conductances: &[f64]) -> Result<Vec<f64>, DeviceError> {
        self.fits("conductances", conductances.len())?;
        if let Some(value) = conductances.iter().find(|g| !(**g > 0.0 && g.is_finite())) {
            let expected = "a positive, finite number of siemens".to_owned();
            return Err(DeviceError::Parameter { parameter: "conductance", value: *value, expected });
        }
        self.write(conductances);
        Ok(self.conductances())
    }

    fn write(&mut self, conductances: &[f64]) {
        let Self { parameters, states, .. } = self;
        states.par_chunks_mut(BLOCK).zip(conductances.par_chunks(BLOCK)).enumerate().for_each(
            |(block, (states, conductances))| {
                let task = Task::States { conductances, states };
                parameters.model().run(Job { parameters: parameters.values(), first: block * BLOCK, task });
            },
        );
    }

    /// What each device conducts, in S.
    pub fn conductances(&self) -> Vec<f64> {
        let mut found = vec![0.0; self.len()];
        found.par_chunks_mut(BLOCK).zip(self.states.par_chunks(BLOCK)).enumerate().for_each(
            |(block, (conductances, states))| {
                let task = Task::Conductances { states, conductances };
                self.run(block * BLOCK, task);
            },
        );
        found
    }

    /// The current of each device in A at a voltage of its own in V, without moving it.
    ///
    /// # Errors
    /// Another number of voltages than devices; one that is not finite.
    pub fn currents(&self, voltages: &[f64]) -> Result<Vec<f64>, DeviceError> {
        self.fits("voltages", voltages.len())?;
        if let Some(value) = voltages.iter().find(|v| !v.is_finite()) {
            let expected = "a finite number of volt".to_owned();
            return Err(DeviceError::Parameter { parameter: "voltage", value: *value, expected });
        }
        let mut found = vec![0.0; self.len()];
        found
            .par_chunks_mut(BLOCK)
            .zip(self.states.par_chunks(BLOCK))
            .zip(voltages.par_chunks(BLOCK))
            .enumerate()
            .for_each(|(block, ((currents, states), voltages))| {
                self.run(block * BLOCK, Task::Currents { states, voltages, currents });
            });
        Ok(found)
    }

    /// Steps all devices through a waveform, `dt` seconds a step, with the backend of this crate.
    ///
    /// # Errors
    /// A time step that is not positive and finite; a waveform that does not fit the devices.
    pub fn advance(&mut self, waveform: Waveform<'_>, dt: f64) -> Result<(), DeviceError> {
        CpuPopulations.advance(self, waveform, dt)
    }

    /// As [`Population::advance`] under one waveform for all devices, and writes down every step.
    ///
    /// # Errors
    /// A time step that is not positive and finite; a voltage that is not finite, with its position.
    pub fn record(&mut self, voltages: &[f64], dt: f64) -> Result<Recording, DeviceError> {
        CpuPopulations.record(self, voltages, dt)
    }

    /// For backends: checks what they would have to, lets `step` move the states and write down those before each
    /// step, `[steps, devices]`, computes currents and conductances from these, and counts the steps.
    ///
    /// # Errors
    /// As [`Population::record`]; those of `step`, and the population is then as `step` left it.
    pub fn record_by(
        &mut self,
        voltages: &[f64],
        dt: f64,
        step: impl FnOnce(&DeviceParameters, &mut [f64], Noise, &mut [f64]) -> Result<(), DeviceError>,
    ) -> Result<Recording, DeviceError> {
        let mut recording = self.recording(voltages, dt)?;
        let noise = self.noise();
        step(&self.parameters, &mut self.states, noise, &mut recording.states)?;
        self.steps += voltages.len() as u64;
        let Recording { currents, states, conductances } = &mut recording;
        let devices = self.len().max(1);
        let found = currents.par_chunks_mut(devices).zip(conductances.par_chunks_mut(devices));
        found.zip(states.par_chunks(devices)).zip(voltages).for_each(
            |(((currents, conductances), states), voltage)| {
                self.run(0, Task::Conductances { states, conductances });
                self.run(0, Task::Currents { states, voltages: &vec![*voltage; states.len()], currents });
            },
        );
        Ok(recording)
    }

    /// Room for a record of these voltages, which are possible.
    fn recording(&self, voltages: &[f64], dt: f64) -> Result<Recording, DeviceError> {
        check_step(dt)?;
        if let Some(at) = voltages.iter().position(|v| !v.is_finite()) {
            let expected = format!("a finite number of volt at sample {at}");
            return Err(DeviceError::Parameter { parameter: "voltage", value: voltages[at], expected });
        }
        let room = || vec![0.0; voltages.len() * self.len()];
        Ok(Recording { currents: room(), states: room(), conductances: room() })
    }

    fn noise(&self) -> Noise {
        Noise { stream: self.stream, first_step: self.steps, first_device: self.first_device }
    }

    /// For backends: checks what they would have to, lets `step` move the states as [`Task::Advance`] says, and
    /// counts the steps.
    ///
    /// # Errors
    /// As [`Population::advance`]; those of `step`, and the population is then as `step` left it.
    pub fn advance_by(
        &mut self,
        waveform: Waveform<'_>,
        dt: f64,
        step: impl FnOnce(&DeviceParameters, &mut [f64], Noise) -> Result<(), DeviceError>,
    ) -> Result<(), DeviceError> {
        check_step(dt)?;
        if let Waveform::Each { voltages, devices } = waveform {
            self.fits("devices of the waveform", devices)?;
            if devices > 0 && voltages.len() % devices != 0 {
                let expected = format!("a multiple of {devices}, one for each device and step");
                let value = voltages.len() as f64;
                return Err(DeviceError::Parameter { parameter: "voltages", value, expected });
            }
        }
        let noise = self.noise();
        step(&self.parameters, &mut self.states, noise)?;
        self.steps += waveform.steps() as u64;
        Ok(())
    }

    fn run(&self, first: usize, task: Task<'_>) {
        self.parameters.model().run(Job { parameters: self.parameters.values(), first, task });
    }

    fn fits(&self, what: &'static str, found: usize) -> Result<(), DeviceError> {
        if found == self.len() {
            return Ok(());
        }
        let expected = format!("{}, one for each device", self.len());
        Err(DeviceError::Parameter { parameter: what, value: found as f64, expected })
    }
}

/// What happened to a population: `[steps, devices]` each, one step after another.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// Currents in A, with the state before the step.
    pub currents: Vec<f64>,
    /// States before each step, in the model's own terms.
    pub states: Vec<f64>,
    /// Conductances before each step, in S.
    pub conductances: Vec<f64>,
}

fn check_step(dt: f64) -> Result<(), DeviceError> {
    if dt > 0.0 && dt.is_finite() {
        return Ok(());
    }
    let expected = "a positive number of seconds".to_owned();
    Err(DeviceError::Parameter { parameter: "time step", value: dt, expected })
}

/// Computes on populations: the door behind which the CPU and a GPU stand.
pub trait PopulationBackend: std::fmt::Debug + Send + Sync {
    /// The name in configurations and reports.
    fn name(&self) -> &'static str;

    /// Steps all devices through a waveform, `dt` seconds a step.
    ///
    /// # Errors
    /// As [`Population::advance`]; whatever the backend lacks.
    fn advance(
        &self,
        population: &mut Population,
        waveform: Waveform<'_>,
        dt: f64,
    ) -> Result<(), DeviceError>;

    /// As [`PopulationBackend::advance`] under one waveform for all devices, and writes down every step.
    ///
    /// # Errors
    /// As [`Population::record`]; whatever the backend lacks.
    fn record(
        &self,
        population: &mut Population,
        voltages: &[f64],
        dt: f64,
    ) -> Result<Recording, DeviceError> {
        let mut recording = population.recording(voltages, dt)?;
        let record = Record {
            currents: &mut recording.currents,
            states: &mut recording.states,
            conductances: &mut recording.conductances,
        };
        let noise = population.noise();
        let Population { parameters, states, .. } = population;
        let waveform = Waveform::Common(voltages);
        let task = Task::Advance { states, waveform, dt, noise, record: Some(record) };
        parameters.model().run(Job { parameters: parameters.values(), first: 0, task });
        population.steps += voltages.len() as u64;
        Ok(recording)
    }

    /// What of a trace of this model it leaves to the CPU, to which what that needs is moved; each a few words.
    /// Results are the same.
    fn leaves_to_cpu(&self, _model: &dyn Device) -> Vec<&'static str> {
        Vec::new()
    }
}

/// Populations on the CPU: rayon over blocks, the loop over time inside a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuPopulations;

impl PopulationBackend for CpuPopulations {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn advance(
        &self,
        population: &mut Population,
        waveform: Waveform<'_>,
        dt: f64,
    ) -> Result<(), DeviceError> {
        population.advance_by(waveform, dt, |parameters, states, noise| {
            states.par_chunks_mut(BLOCK).enumerate().for_each(|(block, states)| {
                let task = Task::Advance { states, waveform, dt, noise, record: None };
                parameters.model().run(Job { parameters: parameters.values(), first: block * BLOCK, task });
            });
            Ok(())
        })
    }
}
