//! What a backend may leave to the CPU.

use crate::{Converter, NonIdeality, ReadLaw};

/// Work that a backend may have no kernel for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Work<'a> {
    /// Converting partial sums.
    Converter(&'a dyn Converter),
    /// Currents of devices that are no sum of products.
    Devices(&'a dyn ReadLaw),
    /// Currents of devices that are not ohmic, between wires with resistance.
    Circuits(&'a dyn ReadLaw),
    /// Changing devices as a step of the list of non-idealities does.
    Step(&'a dyn NonIdeality),
    /// Writing devices by pulses.
    Pulses,
}
