mod parts;

use std::sync::Arc;

use memtorch_devices::{DeviceParameters, DeviceSpec, Parameter, Stream, VaryReport};

use crate::{CrossbarError, Layout, ReadEffects};

pub use parts::ArrayParts;

/// Devices that can no longer be written.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Mask {
    /// Stuck at its own ON resistance.
    Lrs,
    /// Stuck at its own OFF resistance.
    Hrs,
    /// Never formed: this resistance in ohm, or its own OFF resistance.
    Unformed(Option<f64>),
}

/// What programming an array did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Programmed {
    /// Devices whose target was outside their own bounds, so that the bound was written.
    pub clipped: usize,
    /// Devices that cannot be written.
    pub masked: usize,
}

/// One physical array of a layer (of a double column: the positive or the negative one): all its
/// tiles and groups, how its devices were fabricated, and what they conduct now.
///
/// The conductances are the truth; whatever is derived from them is made from them. They are in
/// siemens, f64, in the order of [`Layout`].
#[derive(Clone, Debug)]
pub struct Array {
    layout: Layout,
    devices: Arc<DeviceParameters>,
    conductances: Vec<f64>,
    masks: Vec<(usize, Mask)>,
    programmed: bool,
    reads: ReadEffects,
}

impl Array {
    /// Fabricates an array: draws the parameters of every device; every device is at its nominal
    /// OFF conductance until it is programmed.
    ///
    /// # Errors
    /// Distributions of which no possible device is drawn.
    pub fn fabricate(
        layout: Layout,
        spec: &DeviceSpec,
        stream: Stream,
    ) -> Result<(Self, VaryReport), CrossbarError> {
        let mut devices = DeviceParameters::new(spec.model.clone(), layout.device_count());
        let draws: Vec<(&str, _)> = spec.distributions.iter().map(|(n, d)| (*n, *d)).collect();
        let report = if draws.is_empty() {
            VaryReport::default()
        } else {
            devices.vary(&draws, stream, &|devices| layout.places(devices))?
        };
        let conductances = vec![1.0 / spec.model.r_off(); layout.device_count()];
        Ok((
            Self {
                layout,
                devices: Arc::new(devices),
                conductances,
                masks: Vec::new(),
                programmed: false,
                reads: ReadEffects::default(),
            },
            report,
        ))
    }

    /// How the devices lie on tiles.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// How the devices were fabricated.
    pub fn devices(&self) -> &DeviceParameters {
        &self.devices
    }

    /// How the devices were fabricated, to draw more of their parameters.
    pub fn devices_mut(&mut self) -> &mut DeviceParameters {
        Arc::make_mut(&mut self.devices)
    }

    /// What each device conducts, in siemens.
    pub fn conductances(&self) -> &[f64] {
        &self.conductances
    }

    /// What each device conducts, in siemens, to change it.
    ///
    /// Whoever writes through it answers for [`Array::masks`]: use [`Array::write`] for
    /// whatever a stuck device would not follow.
    pub fn conductances_mut(&mut self) -> &mut [f64] {
        &mut self.conductances
    }

    /// A device's own bounds `(g_off, g_on)` in siemens.
    #[inline]
    pub fn bounds(&self, device: usize) -> (f64, f64) {
        (1.0 / self.devices.r_off().get(device), 1.0 / self.devices.r_on().get(device))
    }

    /// What a read sees besides the conductances.
    pub fn read_effects(&self) -> &ReadEffects {
        &self.reads
    }

    /// What a read sees besides the conductances, to attach more.
    pub fn read_effects_mut(&mut self) -> &mut ReadEffects {
        &mut self.reads
    }

    /// How the devices were fabricated, shared.
    pub fn shared_devices(&self) -> Arc<DeviceParameters> {
        self.devices.clone()
    }

    /// Whether it was programmed: fabrication is over.
    pub fn is_programmed(&self) -> bool {
        self.programmed
    }

    /// The devices that cannot be written, by ascending index.
    pub fn masks(&self) -> &[(usize, Mask)] {
        &self.masks
    }

    /// Adds devices that cannot be written. A device that already is one stays what it is.
    ///
    /// # Errors
    /// A device that does not exist, a resistance that is not positive.
    pub fn add_masks(&mut self, masks: &[(usize, Mask)]) -> Result<(), CrossbarError> {
        for &(device, mask) in masks {
            if device >= self.conductances.len() {
                let expected = format!("a device below {}", self.conductances.len());
                return Err(CrossbarError::value("stuck device", device, expected));
            }
            if let Mask::Unformed(Some(resistance)) = mask
                && !(resistance > 0.0)
            {
                return Err(CrossbarError::value(
                    "unformed resistance",
                    resistance,
                    "a positive number of ohm",
                ));
            }
        }
        let old = std::mem::take(&mut self.masks);
        self.masks = old.into_iter().chain(masks.iter().copied()).collect();
        // A stable sort: of the same device, the older mask comes first and is kept.
        self.masks.sort_by_key(|(device, _)| *device);
        self.masks.dedup_by_key(|(device, _)| *device);
        self.hold_masked();
        Ok(())
    }

    /// Writes conductances directly: each target (siemens, in the order of [`Layout`]) is clipped to
    /// its device's own bounds, and devices that cannot be written stay what they are.
    ///
    /// # Errors
    /// Another number of targets than devices; a target that is not finite.
    pub fn program(&mut self, targets: &[f64]) -> Result<Programmed, CrossbarError> {
        if targets.len() != self.conductances.len() {
            return Err(CrossbarError::Shape {
                what: "targets",
                found: vec![targets.len()],
                expected: vec![self.conductances.len()],
            });
        }
        if let Some(at) = targets.iter().position(|g| !g.is_finite()) {
            return Err(CrossbarError::value(format!("target {at}"), targets[at], "a finite conductance"));
        }
        let mut clipped = 0;
        self.write(|device, _, (low, high)| {
            let target = targets[device];
            let written = target.clamp(low, high);
            // Equal up to the rounding of 1/R: a nominal bound is no clipping.
            clipped += usize::from((written - target).abs() > 1e-12 * target.abs());
            written
        });
        self.programmed = true;
        Ok(Programmed { clipped, masked: self.masks.len() })
    }

    /// Takes what writing by pulses made of its devices.
    pub(crate) fn put(&mut self, conductances: Vec<f64>) {
        self.conductances = conductances;
        self.programmed = true;
    }

    /// Changes every device that can be written to `change(device, conductance, (g_off, g_on))`,
    /// with the device's own bounds, in ascending order. Returns how many devices could not follow.
    pub fn write(&mut self, change: impl FnMut(usize, f64, (f64, f64)) -> f64) -> usize {
        let masks = std::mem::take(&mut self.masks);
        self.change(&masks, change);
        self.masks = masks;
        self.masks.len()
    }

    /// As [`Array::write`] for what moves every device, those that cannot be written among them: time.
    pub fn age(&mut self, change: impl FnMut(usize, f64, (f64, f64)) -> f64) {
        self.change(&[], change);
    }

    /// Changes every device that is not in the list.
    fn change(&mut self, masks: &[(usize, Mask)], mut change: impl FnMut(usize, f64, (f64, f64)) -> f64) {
        let mut masked = masks.iter().map(|(device, _)| *device).peekable();
        let (r_on, r_off) = (self.devices.r_on(), self.devices.r_off());
        let uniform = match (r_on, r_off) {
            (Parameter::Uniform(on), Parameter::Uniform(off)) => Some((1.0 / off, 1.0 / on)),
            _ => None,
        };
        for (device, conductance) in self.conductances.iter_mut().enumerate() {
            if masked.next_if_eq(&device).is_some() {
                continue;
            }
            let bounds = uniform.unwrap_or_else(|| (1.0 / r_off.get(device), 1.0 / r_on.get(device)));
            *conductance = change(device, *conductance, bounds);
        }
    }

    /// Puts the devices that cannot be written where they are held.
    fn hold_masked(&mut self) {
        for i in 0..self.masks.len() {
            let (device, mask) = self.masks[i];
            let (low, high) = self.bounds(device);
            self.conductances[device] = match mask {
                Mask::Lrs => high,
                Mask::Hrs | Mask::Unformed(None) => low,
                Mask::Unformed(Some(resistance)) => 1.0 / resistance,
            };
        }
    }

    /// Ends fabrication: devices that cannot be written take what they are held at, now that all
    /// parameters are drawn.
    pub fn settle(&mut self) {
        self.hold_masked();
    }
}
