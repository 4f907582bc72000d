use std::fmt::Debug;

use memtorch_devices::Stream;

use crate::programming::Cycling;
use crate::{Array, CrossbarError};

/// When a non-ideality acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Before anything is written: parameters of devices, devices that cannot be written.
    Fabrication,
    /// After the weights were written: what was written is not what was meant.
    Programmed,
    /// After tuning: the array ages.
    Aged,
    /// At every read.
    Read,
}

/// One number that a non-ideality tells about what it did.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// What the number is, in words: `devices stuck at R_on`.
    pub what: String,
    /// The number.
    pub value: f64,
    /// Its unit; empty for counts and shares.
    pub unit: &'static str,
    /// What the number of several arrays is.
    pub over_arrays: OverArrays,
}

/// What a number of several arrays together is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OverArrays {
    /// Their sum: a count.
    Sum,
    /// Their mean: a share or a quantity.
    Mean,
}

/// What a non-ideality did to one array.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// What it did, in numbers.
    pub effects: Vec<Effect>,
    /// What a person should know, each a sentence without a full stop.
    pub warnings: Vec<String>,
}

impl Report {
    /// Adds a count.
    pub fn count(self, what: impl Into<String>, value: usize) -> Self {
        self.effect(what, value as f64, "", OverArrays::Sum)
    }

    /// Adds a share.
    pub fn share(self, what: impl Into<String>, value: f64) -> Self {
        self.effect(what, value, "", OverArrays::Mean)
    }

    /// Adds a number with a unit.
    pub fn quantity(self, what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        self.effect(what, value, unit, OverArrays::Mean)
    }

    /// Adds what a person should know, as a sentence without a full stop.
    pub fn warn(mut self, warning: impl Into<String>) -> Self {
        self.warnings.push(warning.into());
        self
    }

    fn effect(
        mut self,
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
        over_arrays: OverArrays,
    ) -> Self {
        self.effects.push(Effect { what: what.into(), value, unit, over_arrays });
        self
    }
}

/// What a step makes of the conductance g (siemens) of each device by itself, from the device's own bounds and its
/// draws: what a backend may compute.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Change<'a> {
    /// A factor times g.
    Scaled(f64),
    /// The nearest of so many conductances, evenly spaced between the bounds; a tie goes to the higher.
    EvenConductances(u32),
    /// The nearest of so many conductances, evenly spaced in ohm between the bounds; a tie goes to the higher.
    EvenResistances(u32),
    /// The nearest of these, which ascend; a tie goes to the higher.
    Levels(&'a [f64]),
    /// `g + z sqrt((relative g)^2 + absolute^2)`, where z is the first normal number of draw 0 at the device's place.
    Missed {
        /// A share of the conductance.
        relative: f64,
        /// In siemens.
        absolute: f64,
    },
}

/// A way in which arrays are not ideal: one step of an ordered list.
///
/// It is applied to each physical array of a layer alone, with a stream of its own: the seed, the
/// repeat, its index in the list, the layer's name and the array are already in it, so that
/// `stream.at(array.layout().place(device))` is the generator of a device.
pub trait NonIdeality: Debug + Send + Sync {
    /// The name in configurations and reports: lower case, words joined by `-`.
    fn name(&self) -> &str;

    /// When it acts. Entries of one phase act in the order of the list.
    fn phase(&self) -> Phase;

    /// Whether one gain a layer is measured again after everything has acted, as if the layer was
    /// calibrated once more at that time.
    fn remeasures_gain(&self) -> bool {
        false
    }

    /// What it does while devices are written by pulses, instead of [`NonIdeality::apply`] afterwards.
    fn cycling(&self) -> Option<Cycling> {
        None
    }

    /// What it makes of each device by itself, if that is all it does and a backend may compute it.
    fn change(&self) -> Option<Change<'_>> {
        None
    }

    /// As [`NonIdeality::apply`], where a backend has computed [`NonIdeality::change`]: `proposed` is what becomes of
    /// each device that can be written, before its own bounds are looked at.
    ///
    /// # Errors
    /// As [`NonIdeality::apply`].
    fn apply_proposed(
        &self,
        array: &mut Array,
        stream: Stream,
        proposed: &[f64],
    ) -> Result<Report, CrossbarError> {
        let _ = proposed;
        self.apply(array, stream)
    }

    /// Changes the array and says what it did. Devices with a mask do not follow a write: use
    /// [`Array::write`] for whatever writes.
    ///
    /// # Errors
    /// Whatever makes it impossible; the array may then be in any state.
    fn apply(&self, array: &mut Array, stream: Stream) -> Result<Report, CrossbarError>;
}
