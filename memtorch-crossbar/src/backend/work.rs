//! What a backend may leave to the CPU.

use crate::passive::Wiring;
use crate::{Converter, NonIdeality, ReadLaw};

/// Work that a backend may have no kernel for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Work<'a> {
    /// Converting partial sums.
    Converter(&'a dyn Converter),
    /// Effective conductances of tiles with these wires.
    Reduction(&'a Wiring),
    /// Drawing what each device is.
    Draws,
    /// The functions of voltages that are multiplied, where currents are a sum of products.
    Functions(&'a dyn ReadLaw),
    /// Currents of devices that are no sum of products.
    Devices(&'a dyn ReadLaw),
    /// Currents of devices that are not ohmic, between wires with resistance.
    Circuits(&'a dyn ReadLaw),
    /// Changing devices as a step of the list of non-idealities does.
    Step(&'a dyn NonIdeality),
    /// Converting and adding sums that are no single product: with noise, or of devices that are not ohmic.
    Sums,
    /// Writing devices by pulses.
    Pulses,
}
