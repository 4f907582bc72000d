//! The same bits, alone and together.

use memtorch_utils::Stream;

use super::single::{draw, voltages};
use super::{Clause, Contract, Report};
use crate::job::{Job, Noise, Record, Task, Waveform};
use crate::{DeviceModel, Parameter, kernel};

pub(super) fn check<M: DeviceModel>(contract: &Contract, model: &M, report: &mut Report) {
    let trial = Trial::new(contract, model);
    let all = 0..trial.devices;
    let together = trial.run(model, kernel::run, all.clone());
    report.expect(Clause::Seeds, trial.run(model, kernel::run, all.clone()) == together, || {
        "two runs with the same seed differ".to_owned()
    });
    let mut same = |what: &str, found: Vec<u64>| {
        let at = found.iter().zip(&together).position(|(a, b)| a != b);
        report.expect(Clause::SameBits, found == together, || {
            format!("{what}: number {at:?} of states, currents and conductances differs")
        });
    };
    same("without vector instructions", trial.run(model, kernel::run_portable, all.clone()));
    same("one lane at a time", trial.run(model, kernel::run_single, all.clone()));
    let alone: Vec<Vec<u64>> = all.map(|device| trial.run(model, kernel::run, device..device + 1)).collect();
    let rows = alone.first().map_or(0, Vec::len);
    same("each alone", (0..rows).flat_map(|row| alone.iter().map(move |device| device[row])).collect());
}

/// Devices with parameters of their own under random voltages of their own.
struct Trial {
    devices: usize,
    parameters: Vec<Parameter>,
    starts: Vec<f64>,
    voltages: Vec<f64>,
    dt: f64,
    noise: Noise,
}

impl Trial {
    fn new<M: DeviceModel>(contract: &Contract, model: &M) -> Self {
        let devices = contract.devices.max(1);
        let stream = Stream::root(contract.seed, 2).named("contract");
        let drawn: Vec<Vec<f64>> = (0..devices).map(|device| draw(model, stream, device, 2.0)).collect();
        let column = |at: usize| drawn.iter().map(|values| values[at]).collect::<Vec<f64>>();
        let named = |name| column(M::PARAMETERS.iter().position(|p| *p == name).unwrap_or(0));
        let (r_on, r_off) = (named("r_on"), named("r_off"));
        let starts = r_on.iter().zip(&r_off).map(|(on, off)| 1.0 / (on * off).sqrt()).collect();
        let steps = contract.steps.min(100);
        let each: Vec<Vec<f64>> =
            (0..devices).map(|device| voltages(contract.voltage, steps, stream, device)).collect();
        let voltages = (0..steps).flat_map(|step| each.iter().map(move |list| list[step])).collect();
        let parameters = (0..M::PARAMETERS.len()).map(|at| Parameter::Each(column(at))).collect();
        // Small enough for noise to leave the bounds now and then only.
        let dt = if M::NOISE { model.time_step() * 1e-4 } else { model.time_step() };
        let noise = Noise { stream, first_step: 5, first_device: 0 };
        Self { devices, parameters, starts, voltages, dt, noise }
    }

    /// States at the end, then currents and conductances step after step, of the devices in a range.
    fn run<M: DeviceModel>(
        &self,
        model: &M,
        kernel: fn(&M, Job<'_>),
        range: std::ops::Range<usize>,
    ) -> Vec<u64> {
        let steps = self.voltages.len() / self.devices;
        let mut states = vec![0.0; range.len()];
        let mut record = vec![vec![0.0; range.len() * steps]; 3];
        let (parameters, first) = (&self.parameters, range.start);
        let task = Task::States { conductances: &self.starts[range.clone()], states: &mut states };
        kernel(model, Job { parameters, first, task });
        let [currents, conductances, before] = &mut record[..] else { return Vec::new() };
        let waveform = Waveform::Each { voltages: &self.voltages, devices: self.devices };
        let record_to = Record { currents, conductances, states: before };
        let task = Task::Advance {
            states: &mut states,
            waveform,
            dt: self.dt,
            noise: self.noise,
            record: Some(record_to),
        };
        kernel(model, Job { parameters, first, task });
        states.iter().chain(record.iter().flatten()).map(|value| value.to_bits()).collect()
    }
}
