//! What the backend of a matrix leaves to the CPU, for reports.

use memtorch_crossbar::backend::Work;
use memtorch_crossbar::{Array, ArrayBackend, Converter, Phase};

use crate::hardware::{Hardware, Writer};
use crate::read::{Currents, WeighedReads};
use crate::tune;

/// Each step of writing and reading for which the backend has no kernel, in a few words; `written` says whether the
/// matrix was programmed here.
pub(crate) fn left<'a>(
    arrays: &[Array],
    terms: &[WeighedReads],
    converters: impl Iterator<Item = &'a dyn Converter>,
    hardware: &Hardware,
    written: bool,
    backend: &dyn ArrayBackend,
) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut add = |work: Work<'_>, what: String| {
        if backend.leaves_to_cpu(&work) && !found.contains(&what) {
            found.push(what);
        }
    };
    if written {
        if !hardware.device.distributions.is_empty() {
            add(Work::Draws, "draws of device parameters".to_owned());
        }
        if hardware.writer != Writer::Direct {
            add(Work::Pulses, "writing by pulses".to_owned());
        }
        for (index, entry) in hardware.nonidealities.iter().enumerate() {
            if entry.step.phase() != Phase::Read {
                add(Work::Step(&*entry.step), format!("non-ideality {index} ({})", entry.step.name()));
            }
        }
    }
    for law in arrays.iter().filter_map(|array| array.read_effects().law.as_ref()) {
        if !hardware.wires.is_ideal() {
            add(Work::Circuits(&**law), "currents of devices that are not ohmic, with wires".to_owned());
        } else if law.products() == 0 {
            add(Work::Devices(&**law), "currents of devices that are not ohmic".to_owned());
        } else {
            add(Work::Functions(&**law), "functions of voltages of devices that are not ohmic".to_owned());
        }
    }
    let explicit =
        |term: &WeighedReads| term.reads.iter().any(|read| matches!(read.currents, Currents::Explicit(_)));
    let ideal = tune::is_ideal(&*hardware.adc.converter);
    if terms.iter().any(explicit) {
        let what = if ideal { "addition" } else { "conversion" };
        add(Work::Sums, format!("{what} of sums with noise or of devices that are not ohmic"));
    } else {
        for converter in converters {
            add(Work::Converter(converter), format!("conversion by the method {}", converter.name()));
        }
    }
    found
}
