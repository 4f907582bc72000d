use std::sync::Arc;

use memtorch_crossbar::{Array, CrossbarError, Mask, NonIdeality, Phase, Report};
use memtorch_devices::Stream;
use memtorch_utils::config::{ConfigError, Default, Field, Kind, Table, Value};

use crate::NonIdealityEntry;

pub(crate) const ENTRY: NonIdealityEntry = NonIdealityEntry {
    name: "stuck",
    meaning: "A share of the devices cannot be written",
    fields: &[
        Field::new(
            "lrs",
            Kind::Real,
            Default::Real(0.0),
            "share of the devices stuck at their own ON resistance",
        )
        .range(0.0, 1.0),
        Field::new(
            "hrs",
            Kind::Real,
            Default::Real(0.0),
            "share of the devices stuck at their own OFF resistance",
        )
        .range(0.0, 1.0),
        Field::new("unformed", Kind::Real, Default::Real(0.0), "share of the devices that were never formed")
            .range(0.0, 1.0),
        Field::new(
            "unformed_resistance",
            Kind::Real,
            Default::Absent,
            "resistance of a device that was never formed; absent: its own OFF resistance",
        )
        .unit("ohm")
        .range(f64::MIN_POSITIVE, f64::INFINITY),
    ],
    build,
    after_tuning: false,
};

/// Devices that cannot be written: stuck at their own ON or OFF resistance, or never formed.
///
/// Of the `n` devices in use of an array, `floor(share n + 1/2)` are chosen for each kind, in the order
/// ON, OFF, unformed, each cut to what is left. Every device has a random key of its place; by
/// ascending key the first are stuck ON, the last OFF, those before the last are unformed. So the
/// kinds are disjoint, and a larger share contains the devices of a smaller one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stuck {
    lrs: f64,
    hrs: f64,
    unformed: f64,
    unformed_resistance: Option<f64>,
}

impl Stuck {
    /// Shares of the devices stuck at the ON resistance, at the OFF resistance, and never formed.
    ///
    /// # Errors
    /// A share outside [0, 1], a sum above 1.
    pub fn new(lrs: f64, hrs: f64, unformed: f64) -> Result<Self, ConfigError> {
        for (key, share) in [("lrs", lrs), ("hrs", hrs), ("unformed", unformed)] {
            if !(0.0..=1.0).contains(&share) {
                return Err(ConfigError::value(key, share, "a number from 0 to 1"));
            }
        }
        let sum = lrs + hrs + unformed;
        if sum > 1.0 + 1e-12 {
            return Err(ConfigError::value("lrs + hrs + unformed", sum, "a sum of at most 1"));
        }
        Ok(Self { lrs, hrs, unformed, unformed_resistance: None })
    }

    /// The resistance of devices that were never formed, in ohm, instead of their own OFF resistance.
    ///
    /// # Errors
    /// A resistance that is not positive and finite.
    pub fn with_unformed_resistance(mut self, resistance: f64) -> Result<Self, ConfigError> {
        if !(resistance > 0.0 && resistance.is_finite()) {
            return Err(ConfigError::value("unformed_resistance", resistance, "a positive number of ohm"));
        }
        self.unformed_resistance = Some(resistance);
        Ok(self)
    }
}

fn build(table: &Table) -> Result<Arc<dyn NonIdeality>, ConfigError> {
    let real = |key| table.get(key).and_then(Value::as_real);
    let share = |key| real(key).unwrap_or(0.0);
    let stuck = Stuck::new(share("lrs"), share("hrs"), share("unformed"))?;
    Ok(Arc::new(match real("unformed_resistance") {
        Some(resistance) => stuck.with_unformed_resistance(resistance)?,
        None => stuck,
    }))
}

impl NonIdeality for Stuck {
    fn name(&self) -> &str {
        ENTRY.name
    }

    fn phase(&self) -> Phase {
        Phase::Fabrication
    }

    fn apply(&self, array: &mut Array, stream: Stream) -> Result<Report, CrossbarError> {
        let layout = *array.layout();
        let count = layout.device_count();
        let mut left = count;
        let [lrs, hrs, unformed] = [self.lrs, self.hrs, self.unformed].map(|share| {
            let wanted = (share * count as f64 + 0.5).floor() as usize;
            let taken = wanted.min(left);
            left -= taken;
            taken
        });
        let mut order: Vec<(u64, usize)> = if lrs + hrs + unformed == 0 {
            Vec::new()
        } else {
            (0..count).map(|device| (key(stream, layout.place(device)), device)).collect()
        };
        let mut masks = Vec::with_capacity(lrs + hrs + unformed);
        let mut take = |devices: &[(u64, usize)], mask| {
            masks.extend(devices.iter().map(|(_, device)| (*device, mask)));
        };
        // Only the borders between the kinds matter, not the order inside one.
        take(least(&mut order, lrs), Mask::Lrs);
        let rest = &mut order[lrs..];
        let first_off = rest.len() - hrs;
        least(rest, first_off);
        take(&rest[first_off..], Mask::Hrs);
        let rest = &mut rest[..first_off];
        let first_unformed = rest.len() - unformed;
        least(rest, first_unformed);
        take(&rest[first_unformed..], Mask::Unformed(self.unformed_resistance));
        array.add_masks(&masks)?;
        Ok(Report::default()
            .count("devices stuck at their ON resistance", lrs)
            .count("devices stuck at their OFF resistance", hrs)
            .count("devices never formed", unformed))
    }
}

/// The random key of a device, by which devices are ordered.
fn key(stream: Stream, place: [u32; 3]) -> u64 {
    let [a, b, ..] = stream.words(place, 0);
    u64::from(a) << 32 | u64::from(b)
}

/// Brings the `count` least to the front and returns them.
fn least<T: Ord>(items: &mut [T], count: usize) -> &[T] {
    if count > 0 && count < items.len() {
        items.select_nth_unstable(count);
    }
    &items[..count]
}
