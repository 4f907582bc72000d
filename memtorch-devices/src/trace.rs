use std::sync::Arc;

use memtorch_utils::Stream;

use crate::job::{Job, Noise, Record, Task, Waveform};
use crate::{Device, DeviceError, DeviceParameters, Population};

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
/// A voltage that is not finite, with its position; a time step that is not positive.
pub fn trace(
    device: Arc<dyn Device>,
    voltages: &[f64],
    dt: f64,
    stream: Stream,
) -> Result<Trace, DeviceError> {
    if !(dt > 0.0 && dt.is_finite()) {
        let expected = "a positive number of seconds".to_owned();
        return Err(DeviceError::Parameter { parameter: "time step", value: dt, expected });
    }
    if let Some(at) = voltages.iter().position(|v| !v.is_finite()) {
        let expected = format!("a finite number of volt at sample {at}");
        return Err(DeviceError::Parameter { parameter: "voltage", value: voltages[at], expected });
    }
    let population = Population::new(DeviceParameters::new(device.clone(), 1), stream);
    let mut state = [population.states()[0]];
    let steps = voltages.len();
    let mut trace = Trace {
        time_step: dt,
        voltages: voltages.to_vec(),
        currents: vec![0.0; steps],
        states: vec![0.0; steps],
        conductances: vec![0.0; steps],
        final_conductance: 0.0,
    };
    let record = Record {
        currents: &mut trace.currents,
        states: &mut trace.states,
        conductances: &mut trace.conductances,
    };
    let noise = Noise { stream, first_step: 0, first_device: 0 };
    let parameters = population.parameters().values();
    let task = Task::Advance {
        states: &mut state,
        waveform: Waveform::Common(voltages),
        dt,
        noise,
        record: Some(record),
    };
    device.run(Job { parameters, first: 0, task });
    let mut last = [0.0];
    let task = Task::Conductances { states: &state, conductances: &mut last };
    device.run(Job { parameters, first: 0, task });
    trace.final_conductance = last[0];
    Ok(trace)
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
