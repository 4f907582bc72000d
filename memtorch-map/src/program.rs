//! Fabricating, programming and spoiling the arrays of a matrix.

use memtorch_crossbar::programming::{Cycling, Miss};
use memtorch_crossbar::{
    Array, ArrayBackend, CrossbarError, Layout, NonIdeality, Phase, ReadEffects, Report,
};
use memtorch_devices::Stream;

use crate::hardware::{Arrays, Entry, Hardware, Writer};
use crate::range::{Meaning, Relative};
use crate::remap::Arrangement;
use crate::report::StepReport;
use crate::{MapError, MatrixReport};

/// Fabricates the arrays of a layer and writes the weights into them: steps (1) to (3), with everything
/// that is there at fabrication. Says where the weights lie, if not in their own order.
pub(crate) fn fabricate_and_write(
    layout: &Layout,
    relative: &Relative,
    hardware: &Hardware,
    (stream, backend): (Stream, &dyn ArrayBackend),
    report: &mut MatrixReport,
) -> Result<(Vec<Array>, Option<Arrangement>), MapError> {
    let devices = stream.named("device");
    let mut arrays = Vec::new();
    for index in 0..hardware.scheme.arrays() {
        let (array, varied) = Array::fabricate(*layout, &hardware.device, devices.child(index as u64))?;
        report.redrawn += varied.redrawn;
        arrays.push(array);
    }
    apply(&mut arrays, hardware, (stream, backend), report, |entry| {
        entry.step.phase() == Phase::Fabrication && !entry.after_tuning
    })?;
    let (on, off) = (1.0 / hardware.device.model.r_on(), 1.0 / hardware.device.model.r_off());
    let floor = hardware.weight_range.floor_ratio(hardware);
    let mut targets = vec![Vec::with_capacity(relative.devices.len()); arrays.len()];
    let mut states = vec![0.0; arrays.len()];
    for device in &relative.devices {
        match device {
            Meaning::Weight(weight) => hardware.scheme.states(*weight, floor, &mut states),
            // Weights that are all zero have no range: their devices are OFF, and the gain is 0.
            Meaning::Nothing => states.fill(0.0),
            Meaning::Reference => states.fill(hardware.scheme.reference().unwrap_or(0.0)),
        }
        for (target, state) in targets.iter_mut().zip(&states) {
            target.push(off + (on - off) * state);
        }
    }
    arrays.iter_mut().for_each(Array::settle);
    let arrangement = Arrangement::find(&arrays, &targets, layout, hardware);
    if let Some(arrangement) = &arrangement {
        targets.iter_mut().for_each(|targets| *targets = arrangement.devices(layout, targets));
        report.remapping = Some(arrangement.error);
    }
    let pulses = stream.named("pulses");
    for (number, (array, targets)) in arrays.iter_mut().zip(&targets).enumerate() {
        match &hardware.writer {
            Writer::Direct => report.write_clipped += array.program(targets)?.clipped,
            Writer::Pulses(programmer) => {
                let mut programmer = programmer.clone();
                let cycling = cycling(hardware, number);
                programmer.cycling = cycling.map(|(_, cycling)| cycling);
                let written = programmer.program(array, targets, pulses.child(number as u64))?;
                if let Some((index, _)) = cycling {
                    let name = hardware.nonidealities[index].step.name().to_owned();
                    let done = Report::default()
                        .count("changes of polarity, each with new bounds", written.cycles as usize);
                    report.steps.push(StepReport { name, index, array: number, report: done });
                }
                report.write_clipped += written.count(Miss::OutOfRange);
                report.programming.get_or_insert_default().merge(written);
            }
        }
    }
    Ok((arrays, arrangement))
}

/// Whether a step is meant for an array.
fn meant(hardware: &Hardware, entry: &Entry, number: usize) -> bool {
    let subtracted = || hardware.scheme.terms().iter().any(|term| term.subtracted() == Some(number));
    match entry.arrays {
        Arrays::All => true,
        Arrays::Positive => !subtracted(),
        Arrays::Negative => subtracted(),
    }
}

/// The step that acts while pulses are written to an array, and its place in the list.
fn cycling(hardware: &Hardware, number: usize) -> Option<(usize, Cycling)> {
    let entries = hardware.nonidealities.iter().enumerate();
    let meant = entries.filter(|(_, entry)| !entry.after_tuning && meant(hardware, entry, number));
    meant.filter_map(|(index, entry)| Some((index, entry.step.cycling()?))).next()
}

/// Attaches the chosen steps of the list that act at reads, instead of those that were attached before: they see
/// the conductances and the parameters that are read, whatever comes after them in the list.
pub(crate) fn attach(
    arrays: &mut [Array],
    hardware: &Hardware,
    at: (Stream, &dyn ArrayBackend),
    report: &mut MatrixReport,
    chosen: impl Fn(&Entry) -> bool,
) -> Result<(), MapError> {
    let reads = |entry: &Entry| entry.step.phase() == Phase::Read;
    arrays.iter_mut().for_each(|array| *array.read_effects_mut() = ReadEffects::default());
    report.steps.retain(|step| !reads(&hardware.nonidealities[step.index]));
    apply(arrays, hardware, at, report, |entry| reads(entry) && chosen(entry))
}

/// Applies the chosen steps of the list, in its order, to the arrays that each is meant for.
pub(crate) fn apply(
    arrays: &mut [Array],
    hardware: &Hardware,
    (stream, backend): (Stream, &dyn ArrayBackend),
    report: &mut MatrixReport,
    chosen: impl Fn(&Entry) -> bool,
) -> Result<(), MapError> {
    let steps = stream.named("non-ideality");
    let pairs = hardware.scheme.terms().iter().any(|term| term.subtracted().is_some());
    for (index, entry) in hardware.nonidealities.iter().enumerate().filter(|(_, entry)| chosen(entry)) {
        if entry.arrays == Arrays::Negative && !pairs {
            let (step, scheme) = (entry.step.name(), hardware.scheme.name());
            report.warnings.push(format!(
                "non-ideality {index} ({step}) changes nothing: {scheme} has no negative array"
            ));
        }
        for (number, array) in arrays.iter_mut().enumerate() {
            // What acts while pulses are written has acted.
            let acted = hardware.writer != Writer::Direct
                && cycling(hardware, number).is_some_and(|(acting, _)| acting == index);
            if !meant(hardware, entry, number) || acted {
                continue;
            }
            let stream = steps.child(index as u64).child(number as u64);
            let done = apply_to(array, &*entry.step, stream, backend).map_err(|source| MapError::Step {
                index,
                name: entry.step.name().to_owned(),
                source,
            })?;
            for warning in &done.warnings {
                let warning = format!("non-ideality {index} ({}): {warning}", entry.step.name());
                if !report.warnings.contains(&warning) {
                    report.warnings.push(warning);
                }
            }
            let name = entry.step.name().to_owned();
            report.steps.push(StepReport { name, index, array: number, report: done });
        }
    }
    Ok(())
}

/// Applies a step, with what the backend computes of it.
fn apply_to(
    array: &mut Array,
    step: &dyn NonIdeality,
    stream: Stream,
    backend: &dyn ArrayBackend,
) -> Result<Report, CrossbarError> {
    let proposed = match step.change() {
        Some(change) => backend.change(&change, array, stream)?,
        None => None,
    };
    match proposed {
        Some(proposed) => step.apply_proposed(array, stream, &proposed),
        None => step.apply(array, stream),
    }
}
