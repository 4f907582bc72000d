use std::sync::Arc;

use memtorch_utils::Stream;

use crate::{Device, DeviceError, DeviceParameters, Population, Recording};

/// One device under a voltage that changes over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// Seconds between samples.
    pub time_step: f64,
    /// Voltage of each sample in V.
    pub voltages: Vec<f64>,
    /// Current of each sample in A, with the state before the step.
    pub currents: Vec<f64>,
    /// State before each step, in the model's own terms.
    pub states: Vec<f64>,
    /// Conductance before each step, in S.
    pub conductances: Vec<f64>,
    /// Conductance after the last step, in S.
    pub final_conductance: f64,
}

/// Records a nominal device from its conductance at the beginning.
///
/// `i[k] = I(v[k], x[k])` with the state before the step; then the step of `dt` seconds. `stream` gives the noise
/// of models that have one.
///
/// # Errors
/// A device that is not possible; a voltage that is not finite, with its position; a time step that is not positive.
pub fn trace(
    device: Arc<dyn Device>,
    voltages: &[f64],
    dt: f64,
    stream: Stream,
) -> Result<Trace, DeviceError> {
    device.check_nominal()?;
    let mut population = Population::new(DeviceParameters::new(device, 1), stream);
    let Recording { currents, states, conductances } = population.record(voltages, dt)?;
    let final_conductance = population.conductances()[0];
    let voltages = voltages.to_vec();
    Ok(Trace { time_step: dt, voltages, currents, states, conductances, final_conductance })
}

/// A sine of this amplitude (V) and frequency (Hz) over `duration` seconds: `round(T / dt) + 1` samples.
pub fn sine(amplitude: f64, frequency: f64, duration: f64, dt: f64) -> Vec<f64> {
    let samples = (duration / dt).round() as usize + 1;
    (0..samples).map(|k| amplitude * (2.0 * std::f64::consts::PI * frequency * k as f64 * dt).sin()).collect()
}

/// One period of a triangle, `0 -> A -> 0 -> -A -> 0`: `round(T / dt) + 1` samples.
pub fn triangle(amplitude: f64, frequency: f64, dt: f64) -> Vec<f64> {
    let period = 1.0 / frequency;
    let samples = (period / dt).round() as usize + 1;
    (0..samples)
        .map(|k| {
            let phase = k as f64 * dt / period;
            amplitude
                * match phase {
                    p if p <= 0.25 => 4.0 * p,
                    p if p <= 0.75 => 2.0 - 4.0 * p,
                    p => 4.0 * p - 4.0,
                }
        })
        .collect()
}
