//! From programmed arrays to operands of a backend.

use memtorch_crossbar::{Accumulate, Array, ArrayBackend, Layout, Operand};

use crate::MapError;
use crate::hardware::{Hardware, ReadMode};
use crate::scheme::Minus;

/// One product of a read, and what becomes of its result.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) operand: Operand,
    pub(crate) accumulate: Accumulate,
}

/// The products of one term of the scheme, whose sum has this weight.
#[derive(Clone, Debug)]
pub(crate) struct WeighedReads {
    pub(crate) weight: f32,
    pub(crate) reads: Vec<Read>,
}

/// Packs what the scheme's terms read. Differences are formed in f64 and rounded once to f32.
pub(crate) fn pack(
    arrays: &[Array],
    layout: &Layout,
    hardware: &Hardware,
    backend: &dyn ArrayBackend,
) -> Result<Vec<WeighedReads>, MapError> {
    let (on, off) = (1.0 / hardware.device.model.r_on(), 1.0 / hardware.device.model.r_off());
    let operand = |values: &mut dyn Iterator<Item = f64>| {
        let values: Vec<f32> = values.map(|g| g as f32).collect();
        backend.pack(layout, &values)
    };
    let mut terms = Vec::new();
    for term in hardware.scheme.terms() {
        let array = arrays[term.array].conductances();
        let minus: Option<Box<dyn Iterator<Item = f64>>> = match term.minus {
            Minus::Nothing => None,
            Minus::Array(other) => Some(Box::new(arrays[other].conductances().iter().copied())),
            Minus::State(state) => {
                let mirror = off + (on - off) * state;
                Some(Box::new(std::iter::repeat_n(mirror, array.len())))
            }
        };
        let set = |operand| Read { operand, accumulate: Accumulate::Set };
        let reads = match (minus, hardware.adc.read) {
            (None, _) => vec![set(operand(&mut array.iter().copied())?)],
            (Some(minus), ReadMode::Difference) => {
                vec![set(operand(&mut array.iter().zip(minus).map(|(g, m)| g - m))?)]
            }
            (Some(mut minus), ReadMode::Each) => vec![
                set(operand(&mut array.iter().copied())?),
                Read { operand: operand(&mut minus)?, accumulate: Accumulate::Subtract },
            ],
        };
        terms.push(WeighedReads { weight: term.weight, reads });
    }
    Ok(terms)
}
