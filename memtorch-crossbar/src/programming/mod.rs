//! Writing conductances by pulses, with the physics of the devices.
//!
//! A [`Programmer`] says what pulses there are and when they end; [`Programmer::program`] writes an
//! [`Array`](crate::Array) with them and gives a [`ProgrammingReport`].
//!
//! Write-verify: the conductance g of a device is read; while `|g - target|` is above the tolerance, a pulse
//! follows, SET where g is too low and RESET where it is too high, anew after each pulse, at most
//! [`Programmer::max_pulses`] at each visit. Errors are measured after the last pulse of the whole array.
//!
//! With a transistor in each cell only the selected device sees a pulse: devices are independent and are written
//! side by side. Without, the lines of the selected cell run through other cells, which see a part of the
//! voltage ([`Bias`]) and are stepped like the selected one. Devices at 0 V are not stepped: by the contract of
//! device models they stay.

mod active;
mod cells;
mod curve;
mod cycling;
mod field;
mod network;
mod options;
mod passive;
mod relaxation;
mod report;
mod rules;
mod stepping;

pub use cycling::Cycling;
pub use options::{Bias, Cell, Order, Programmer, PulseScheme, Resistances, Tolerance, Verify};
pub use report::{Disturbance, Miss, Missed, ProgrammingReport, PulseRecord};
