//! Jobs on lanes, for the instruction set at hand: four vectors at a time, so that each can wait for the one before it in a
//! chain of operations while the others go on.

use crate::job::{Job, Record, Task, Waveform};
use crate::normals::normals;
use crate::{DeviceModel, Lane, Lanes, Parameter};

/// Runs a job with the widest vectors of this machine; a single device needs none, and neither does code that is not
/// optimised (`build.rs` says why).
pub(crate) fn run<M: DeviceModel>(model: &M, job: Job<'_>) {
    #[cfg(all(target_arch = "x86_64", not(unoptimised)))]
    {
        if std::is_x86_feature_detected!("avx512f")
            && std::is_x86_feature_detected!("avx512dq")
            && std::is_x86_feature_detected!("avx512vl")
            && std::is_x86_feature_detected!("fma")
        {
            // SAFETY: the processor was just seen to have what the function needs.
            unsafe { run_avx512(model, job) };
            return;
        }
        if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
            // SAFETY: as above.
            unsafe { run_avx2(model, job) };
            return;
        }
    }
    run_portable(model, job);
}

#[cfg(all(target_arch = "x86_64", not(unoptimised)))]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,fma")]
fn run_avx512<M: DeviceModel>(model: &M, job: Job<'_>) {
    match job.task.devices() {
        1 => lanes::<M, 1>(model, job),
        _ => lanes::<M, 32>(model, job),
    }
}

#[cfg(all(target_arch = "x86_64", not(unoptimised)))]
#[target_feature(enable = "avx2,fma")]
fn run_avx2<M: DeviceModel>(model: &M, job: Job<'_>) {
    match job.task.devices() {
        1 => lanes::<M, 1>(model, job),
        _ => lanes::<M, 16>(model, job),
    }
}

/// Without vector instructions of a known kind; slow where there is no fused multiply-add.
pub(crate) fn run_portable<M: DeviceModel>(model: &M, job: Job<'_>) {
    match job.task.devices() {
        1 => lanes::<M, 1>(model, job),
        _ => lanes::<M, 4>(model, job),
    }
}

/// One device after another.
pub(crate) fn run_single<M: DeviceModel>(model: &M, job: Job<'_>) {
    lanes::<M, 1>(model, job);
}

#[inline(always)]
fn lanes<M: DeviceModel, const W: usize>(model: &M, job: Job<'_>) {
    let (parameters, first) = (job.parameters, job.first);
    match job.task {
        Task::Conductances { states, conductances } => {
            for (block, (from, to)) in states.chunks(W).zip(conductances.chunks_mut(W)).enumerate() {
                let p = prepare::<M, W>(model, parameters, first + block * W, from.len());
                store(model.conductance(&p, load(from)), to);
            }
        }
        Task::States { conductances, states } => {
            for (block, (from, to)) in conductances.chunks(W).zip(states.chunks_mut(W)).enumerate() {
                let p = prepare::<M, W>(model, parameters, first + block * W, from.len());
                store(model.state(&p, load(from)), to);
            }
        }
        Task::Currents { states, voltages, currents } => {
            let inputs = states.chunks(W).zip(voltages.chunks(W));
            for (block, ((state, voltage), to)) in inputs.zip(currents.chunks_mut(W)).enumerate() {
                let p = prepare::<M, W>(model, parameters, first + block * W, state.len());
                store(model.current(&p, load(state), load(voltage)), to);
            }
        }
        Task::Advance { states, waveform, dt, noise, mut record } => {
            let devices = states.len();
            let noisy = M::NOISE && model.is_noisy();
            for (block, slice) in states.chunks_mut(W).enumerate() {
                let offset = block * W;
                let p = prepare::<M, W>(model, parameters, first + offset, slice.len());
                let mut state = load(slice);
                for step in 0..waveform.steps() {
                    let voltage = voltage(&waveform, step, first + offset, slice.len());
                    if let Some(record) = &mut record {
                        let at = step * devices + offset..step * devices + offset + slice.len();
                        write(model, &p, state, voltage, record, at);
                    }
                    let normal = if noisy {
                        normals(&noise, (first + offset) as u64, step as u64)
                    } else {
                        Lanes::splat(0.0)
                    };
                    state = model.step(&p, state, voltage, dt, normal);
                }
                store(state, slice);
            }
        }
    }
}

/// The parameters of consecutive devices, ready.
#[inline(always)]
fn prepare<M: DeviceModel, const W: usize>(
    model: &M,
    parameters: &[Parameter],
    first: usize,
    count: usize,
) -> M::Prepared<Lanes<W>> {
    let mut values = [Lanes::<W>::splat(0.0); MAX_PARAMETERS];
    for (lane, parameter) in values.iter_mut().zip(parameters) {
        *lane = match parameter {
            Parameter::Uniform(value) => Lanes::splat(*value),
            Parameter::Each(list) => load(&list[first..][..count]),
        };
    }
    model.prepare(&values[..parameters.len().min(MAX_PARAMETERS)])
}

/// No model may have more parameters than this; [`crate::contract`] checks it.
pub(crate) const MAX_PARAMETERS: usize = 48;

#[inline(always)]
fn write<M: DeviceModel, const W: usize>(
    model: &M,
    p: &M::Prepared<Lanes<W>>,
    state: Lanes<W>,
    voltage: Lanes<W>,
    record: &mut Record<'_>,
    at: std::ops::Range<usize>,
) {
    keep(&model.current(p, state, voltage), record.currents, at.clone());
    keep(&model.conductance(p, state), record.conductances, at.clone());
    keep(&state, record.states, at);
}

/// Not inlined: the loop over time would carry an address for each lane, whether anything is written or not.
#[inline(never)]
fn keep<const W: usize>(values: &Lanes<W>, list: &mut [f64], at: std::ops::Range<usize>) {
    store(*values, &mut list[at]);
}

#[inline(always)]
fn voltage<const W: usize>(waveform: &Waveform<'_>, step: usize, device: usize, count: usize) -> Lanes<W> {
    match waveform {
        Waveform::Common(voltages) => Lanes::splat(voltages[step]),
        Waveform::Each { voltages, devices } => {
            let mut own = Lanes::splat(0.0);
            take(voltages, step * devices + device, count, &mut own);
            own
        }
    }
}

/// Not inlined for the reason of [`keep`].
#[inline(never)]
fn take<const W: usize>(list: &[f64], at: usize, count: usize, values: &mut Lanes<W>) {
    *values = load(&list[at..][..count]);
}

/// The numbers of a chunk; what is past its end repeats the last.
#[inline(always)]
fn load<const W: usize>(chunk: &[f64]) -> Lanes<W> {
    let mut values = [0.0; W];
    if let Some(whole) = chunk.first_chunk::<W>() {
        return Lanes(*whole);
    }
    for (at, value) in values.iter_mut().enumerate() {
        *value = chunk[at.min(chunk.len() - 1)];
    }
    Lanes(values)
}

#[inline(always)]
fn store<const W: usize>(values: Lanes<W>, chunk: &mut [f64]) {
    if let Some(whole) = chunk.first_chunk_mut::<W>() {
        *whole = values.0;
        return;
    }
    chunk.copy_from_slice(&values.0[..chunk.len()]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Noise;
    use crate::models::{DataDriven, StanfordPku, Vteam};
    use memtorch_utils::Stream;

    fn states<M: DeviceModel>(
        model: &M,
        run: impl Fn(&M, Job<'_>),
        range: std::ops::Range<usize>,
    ) -> Vec<u64> {
        let mut parameters: Vec<Parameter> = model.nominal().into_iter().map(Parameter::Uniform).collect();
        let Parameter::Uniform(r_off) = parameters[1] else { panic!("uniform") };
        parameters[1] = Parameter::Each((0..37).map(|i| r_off * (1.0 + 0.01 * f64::from(i))).collect());
        let at: Vec<f64> = (0..37).map(|i| 1.0 / (r_off * (0.3 + 0.01 * f64::from(i)))).collect();
        let mut found = vec![0.0; range.len()];
        let conductances = &at[range.clone()];
        run(
            model,
            Job {
                parameters: &parameters,
                first: range.start,
                task: Task::States { conductances, states: &mut found },
            },
        );
        let voltages: Vec<f64> = (0..40).map(|k| 1.3 * (0.4 * f64::from(k)).sin()).collect();
        let noise = Noise { stream: Stream::root(3, 0), first_step: 7, first_device: 0 };
        let dt = DeviceModel::time_step(model) * 1e-3;
        let task = Task::Advance {
            states: &mut found,
            waveform: Waveform::Common(&voltages),
            dt,
            noise,
            record: None,
        };
        run(model, Job { parameters: &parameters, first: range.start, task });
        found.into_iter().map(f64::to_bits).collect()
    }

    fn same<M: DeviceModel>(model: &M) {
        let expected = states(model, |m, j| lanes::<M, 1>(m, j), 0..37);
        assert_eq!(states(model, |m, j| run(m, j), 0..37), expected, "dispatched");
        assert_eq!(states(model, |m, j| run_portable(m, j), 0..37), expected, "portable");
        assert_eq!(states(model, |m, j| lanes::<M, 32>(m, j), 0..37), expected, "32 lanes");
        // Split anywhere.
        let mut parts = states(model, |m, j| run(m, j), 0..5);
        parts.extend(states(model, |m, j| run(m, j), 5..6));
        parts.extend(states(model, |m, j| run(m, j), 6..37));
        assert_eq!(parts, expected, "split");
    }

    #[test]
    fn widths_instruction_sets_and_splits_give_the_same_bits() {
        same(&Vteam::default());
        let mut bent = Vteam::default();
        bent.parameters.alpha_on = 2.7;
        bent.parameters.alpha_off = 1.3;
        same(&bent);
        same(&StanfordPku { dynamic: true, ..StanfordPku::default() });
        same(&DataDriven::default());
    }
}
