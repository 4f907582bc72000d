//! What keeps a layer from giving the digital output, cause by cause.

use std::fmt;
use std::sync::Arc;

use memtorch_crossbar::{Array, CrossbarError, Ideal, NonIdeality, Phase, Report};
use memtorch_devices::Stream;

use crate::hardware::{Entry, Hardware, WeightFloor, Wires, Writer};

/// One thing that keeps a layer from giving the digital output, and that can be taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// Parameters of the devices that are drawn from distributions.
    Devices,
    /// Weights that their range clips, or that its floor takes for zero.
    WeightRange,
    /// Conductances that are written by pulses.
    Pulses,
    /// A step of the list of non-idealities: its place and its name.
    Step(usize, String),
    /// The resistances besides the devices.
    Wires,
    /// The converters of the inputs.
    Dac,
    /// The converters of the currents.
    Adc,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Devices => write!(f, "device"),
            Self::WeightRange => write!(f, "weight range"),
            Self::Pulses => write!(f, "pulses"),
            Self::Step(index, name) => write!(f, "{index} {name}"),
            Self::Wires => write!(f, "wires"),
            Self::Dac => write!(f, "DAC"),
            Self::Adc => write!(f, "ADC"),
        }
    }
}

/// A step that was taken away. It keeps its place in the list, and with it the draws of the others.
#[derive(Debug)]
struct Nothing;

impl NonIdeality for Nothing {
    fn name(&self) -> &str {
        "nothing"
    }

    fn phase(&self) -> Phase {
        Phase::Programmed
    }

    fn apply(&self, _array: &mut Array, _stream: Stream) -> Result<Report, CrossbarError> {
        Ok(Report::default())
    }
}

impl Hardware {
    /// What there is to be taken away, from the devices to the converters.
    pub fn causes(&self) -> Vec<Cause> {
        let range = &self.weight_range;
        let steps = self.nonidealities.iter().enumerate();
        let steps = steps.map(|(index, entry)| Cause::Step(index, entry.step.name().to_owned()));
        let before = [
            (Cause::Devices, !self.device.distributions.is_empty()),
            (Cause::WeightRange, range.exclude_largest > 0.0 || range.floor != WeightFloor::Zero),
            (Cause::Pulses, self.writer != Writer::Direct),
        ];
        let after = [
            (Cause::Wires, !self.wires.is_ideal()),
            (Cause::Dac, self.input.bits > 0),
            (Cause::Adc, !crate::tune::is_ideal(&*self.adc.converter)),
        ];
        let there = |(cause, there): (Cause, bool)| there.then_some(cause);
        before.into_iter().filter_map(there).chain(steps).chain(after.into_iter().filter_map(there)).collect()
    }

    /// The same hardware without one cause; all else draws the same random numbers.
    pub fn without(&self, cause: &Cause) -> Self {
        let mut hardware = self.clone();
        match cause {
            Cause::Devices => hardware.device.distributions.clear(),
            Cause::WeightRange => {
                hardware.weight_range.exclude_largest = 0.0;
                hardware.weight_range.floor = WeightFloor::Zero;
            }
            Cause::Pulses => hardware.writer = Writer::Direct,
            Cause::Step(index, _) => {
                if let Some(entry) = hardware.nonidealities.get_mut(*index) {
                    *entry = Entry::new(Arc::new(Nothing));
                }
            }
            Cause::Wires => hardware.wires = Wires::default(),
            Cause::Dac => (hardware.input.bits, hardware.input.serial) = (0, false),
            Cause::Adc => {
                hardware.adc.converter = Arc::new(Ideal);
                hardware.adc.range = None;
            }
        }
        hardware
    }

    /// The same hardware with no cause but perhaps one.
    pub fn with_only(&self, cause: Option<&Cause>) -> Self {
        let others = self.causes().into_iter().filter(|other| Some(other) != cause);
        others.fold(self.clone(), |hardware, other| hardware.without(&other))
    }
}
