use std::sync::Arc;

use memtorch_crossbar::ReadLaw;
use memtorch_devices::{DeviceParameters, Job, Parameter, Task};

use super::named;

/// The device model's current at the state that the conductance stands for.
#[derive(Clone, Debug)]
pub(super) struct ModelLaw {
    devices: Arc<DeviceParameters>,
    /// The nominal device.
    nominal: Vec<Parameter>,
    /// Whether every current is the conductance times one function of the voltage.
    proportional: bool,
}

/// Devices that are computed together.
const BLOCK: usize = 256;

impl ModelLaw {
    pub(super) fn new(devices: Arc<DeviceParameters>) -> Self {
        let model = devices.model();
        let nominal = model.values().into_iter().map(Parameter::Uniform).collect();
        // The bounds say where a state may be, and nothing about its current.
        let alike =
            model.parameter_names().iter().zip(devices.values()).all(|(name, value)| {
                matches!(value, Parameter::Uniform(_)) || ["r_on", "r_off"].contains(name)
            });
        Self { proportional: model.is_proportional() && alike, nominal, devices }
    }

    /// Currents of consecutive devices at voltages, at most [`BLOCK`].
    fn block(
        &self,
        parameters: &[Parameter],
        first: usize,
        conductances: &[f64],
        voltages: &[f64],
        currents: &mut [f64],
    ) {
        let n = conductances.len();
        let (mut states, mut held) = ([0.0; BLOCK], [0.0; BLOCK]);
        let (states, held) = (&mut states[..n], &mut held[..n]);
        let model = self.devices.model();
        model.run(Job { parameters, first, task: Task::States { conductances, states } });
        let states = &*states;
        model.run(Job { parameters, first, task: Task::Conductances { states, conductances: held } });
        model.run(Job { parameters, first, task: Task::Currents { states, voltages, currents } });
        for ((current, conductance), held) in currents.iter_mut().zip(conductances).zip(held) {
            *current *= conductance / *held;
        }
    }
}

impl ReadLaw for ModelLaw {
    fn current_and_slope(&self, device: Option<usize>, conductance: f64, voltage: f64) -> (f64, f64) {
        let (parameters, first) = match device {
            Some(device) => (self.devices.values(), device),
            None => (&*self.nominal, 0),
        };
        let at = |voltage: f64| {
            let mut current = [0.0];
            self.block(parameters, first, &[conductance], &[voltage], &mut current);
            current[0]
        };
        // The current is exact; the slope, by a central difference, only leads to the solution.
        let step = 1e-5 * voltage.abs().max(1e-3);
        (at(voltage), (at(voltage + step) - at(voltage - step)) / (2.0 * step))
    }

    fn currents(&self, first: usize, conductances: &[f64], voltage: f64, currents: &mut [f64]) {
        let voltages = [voltage; BLOCK];
        let blocks = conductances.chunks(BLOCK).zip(currents.chunks_mut(BLOCK));
        for (block, (conductances, currents)) in blocks.enumerate() {
            let (first, n) = (first + block * BLOCK, conductances.len());
            self.block(self.devices.values(), first, conductances, &voltages[..n], currents);
        }
    }

    fn products(&self) -> usize {
        usize::from(self.proportional)
    }

    fn function(&self, _k: usize, volts: &[f32], values: &mut [f32]) {
        let model = self.devices.model();
        let conductance = 1.0 / (model.r_on() * model.r_off()).sqrt();
        let (conductances, mut currents) = ([conductance; BLOCK], [0.0; BLOCK]);
        for (volts, values) in volts.chunks(BLOCK).zip(values.chunks_mut(BLOCK)) {
            let n = volts.len();
            let voltages: Vec<f64> = volts.iter().map(|v| f64::from(*v)).collect();
            self.block(&self.nominal_alike(), 0, &conductances[..n], &voltages, &mut currents[..n]);
            for (value, current) in values.iter_mut().zip(&currents) {
                *value = (current / conductance) as f32;
            }
        }
    }

    fn signature(&self) -> Vec<u64> {
        let mut signature = vec![named("model"), named(self.devices.model().name())];
        signature.extend(self.nominal_alike().iter().map(|value| value.get(0).to_bits()));
        signature
    }
}

impl ModelLaw {
    /// The parameters that all devices share, with the nominal bounds.
    fn nominal_alike(&self) -> Vec<Parameter> {
        let pairs = self.devices.values().iter().zip(&self.nominal);
        pairs
            .map(|(own, nominal)| match own {
                Parameter::Uniform(value) => Parameter::Uniform(*value),
                Parameter::Each(_) => nominal.clone(),
            })
            .collect()
    }
}
