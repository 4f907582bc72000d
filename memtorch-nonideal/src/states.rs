use std::sync::Arc;

use memtorch_crossbar::{Array, Change, CrossbarError, NonIdeality, Phase, Report};
use memtorch_devices::Stream;
use memtorch_utils::config::{ConfigError, Default, Field, Kind, Table, Value};

use crate::NonIdealityEntry;

pub(crate) const ENTRY: NonIdealityEntry = NonIdealityEntry {
    name: "states",
    meaning: "Every device has finitely many conductances",
    fields: &[
        Field::new(
            "count",
            Kind::Integer,
            Default::Absent,
            "how many states there are between a device's bounds",
        )
        .range(2.0, 16_777_216.0),
        Field::new("levels", Kind::Reals, Default::Absent, "conductances of the states, instead of count")
            .unit("S"),
        Field::new(
            "spacing",
            Kind::Choice(&["conductance", "resistance"]),
            Default::Text("conductance"),
            "in what the states are evenly spaced",
        ),
    ],
    build,
    after_tuning: false,
};

/// In what states are evenly spaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Spacing {
    /// In siemens.
    #[default]
    Conductance,
    /// In ohm.
    Resistance,
}

/// Finitely many states: each conductance becomes the nearest state (nearest in siemens, a tie goes to
/// the higher conductance).
///
/// Counted states lie between the bounds of each device itself, which are states too. Given levels
/// are the same for all devices; what lies outside a device's own bounds is clipped to them and counted.
/// Devices that cannot be written stay what they are.
#[derive(Clone, Debug, PartialEq)]
pub struct States {
    levels: Levels,
}

#[derive(Clone, Debug, PartialEq)]
enum Levels {
    Even {
        count: u32,
        spacing: Spacing,
    },
    /// Ascending, in siemens.
    Given(Vec<f64>),
}

impl States {
    /// `count` states, evenly spaced between the bounds of each device.
    ///
    /// # Errors
    /// Fewer than two states or more than 2^24.
    pub fn even(count: u32, spacing: Spacing) -> Result<Self, ConfigError> {
        if !(2..=1 << 24).contains(&count) {
            return Err(ConfigError::value("count", count, "a whole number from 2 to 16777216"));
        }
        Ok(Self { levels: Levels::Even { count, spacing } })
    }

    /// These conductances in siemens, in any order.
    ///
    /// # Errors
    /// Fewer than two, one that is not positive and finite.
    pub fn given(mut levels: Vec<f64>) -> Result<Self, ConfigError> {
        if levels.len() < 2 {
            return Err(ConfigError::value("levels", format!("{levels:?}"), "at least two conductances"));
        }
        if let Some(level) = levels.iter().find(|g| !(**g > 0.0 && g.is_finite())) {
            return Err(ConfigError::value("levels", level, "positive conductances in siemens"));
        }
        levels.sort_by(f64::total_cmp);
        Ok(Self { levels: Levels::Given(levels) })
    }

    /// The state nearest to a conductance, of a device with these bounds; all in siemens.
    pub fn nearest(&self, conductance: f64, (low, high): (f64, f64)) -> f64 {
        match &self.levels {
            Levels::Even { count, spacing: Spacing::Conductance } => {
                let last = f64::from(count - 1);
                let state = ((conductance - low) / (high - low) * last + 0.5).floor().clamp(0.0, last);
                // Exact at both ends.
                if state == last { high } else { low + (high - low) * (state / last) }
            }
            Levels::Even { count, spacing: Spacing::Resistance } => {
                let last = f64::from(count - 1);
                let (r_on, r_off) = (1.0 / high, 1.0 / low);
                let resistance = |state: f64| {
                    if state == last { r_off } else { r_on + (r_off - r_on) * (state / last) }
                };
                // The state at or above the conductance, and the one below it.
                let position = (1.0 / conductance - r_on) / (r_off - r_on) * last;
                let above = position.floor().clamp(0.0, last);
                let below = (above + 1.0).min(last);
                let (above, below) = (1.0 / resistance(above), 1.0 / resistance(below));
                if (above - conductance).abs() <= (conductance - below).abs() { above } else { below }
            }
            Levels::Given(levels) => {
                let above = levels.partition_point(|g| *g < conductance);
                let (below, above) = (levels[above.saturating_sub(1)], levels[above.min(levels.len() - 1)]);
                if (above - conductance).abs() <= (conductance - below).abs() { above } else { below }
            }
        }
    }
}

fn build(table: &Table) -> Result<Arc<dyn NonIdeality>, ConfigError> {
    let count = table.get("count").and_then(Value::as_count);
    let levels = table.get("levels").and_then(Value::as_reals);
    let spacing = match table.get("spacing").and_then(Value::as_text) {
        Some("resistance") => Spacing::Resistance,
        _ => Spacing::Conductance,
    };
    let states = match (count, levels) {
        (Some(count), None) => States::even(u32::try_from(count).unwrap_or(u32::MAX), spacing)?,
        (None, Some(_)) if spacing == Spacing::Resistance => {
            return Err(ConfigError::value("spacing", "resistance", "no spacing where levels are given"));
        }
        (None, Some(levels)) => States::given(levels)?,
        (Some(count), Some(_)) => {
            return Err(ConfigError::value("count", count, "either count or levels, not both"));
        }
        (None, None) => {
            let expected = "a whole number of at least 2, or levels".to_owned();
            return Err(ConfigError::Missing { key: "count".to_owned(), expected });
        }
    };
    Ok(Arc::new(states))
}

impl NonIdeality for States {
    fn name(&self) -> &str {
        ENTRY.name
    }

    fn phase(&self) -> Phase {
        Phase::Programmed
    }

    fn change(&self) -> Option<Change<'_>> {
        Some(match &self.levels {
            Levels::Even { count, spacing: Spacing::Conductance } => Change::EvenConductances(*count),
            Levels::Even { count, spacing: Spacing::Resistance } => Change::EvenResistances(*count),
            Levels::Given(levels) => Change::Levels(levels),
        })
    }

    fn apply(&self, array: &mut Array, _stream: Stream) -> Result<Report, CrossbarError> {
        Ok(self.move_to(array, |_, conductance, bounds| self.nearest(conductance, bounds)))
    }

    fn apply_proposed(
        &self,
        array: &mut Array,
        _stream: Stream,
        proposed: &[f64],
    ) -> Result<Report, CrossbarError> {
        Ok(self.move_to(array, |device, _, _| proposed[device]))
    }
}

impl States {
    /// Moves each device to its state.
    fn move_to(&self, array: &mut Array, nearest: impl Fn(usize, f64, (f64, f64)) -> f64) -> Report {
        let (mut moved, mut clipped, mut squares) = (0, 0, 0.0);
        let masked = array.write(|device, conductance, (low, high)| {
            let state = nearest(device, conductance, (low, high));
            let written = state.clamp(low, high);
            clipped += usize::from(written != state);
            moved += usize::from(written != conductance);
            squares += ((written - conductance) / (high - low)).powi(2);
            written
        });
        let written = array.conductances().len() - masked;
        let rms = if written == 0 { 0.0 } else { (squares / written as f64).sqrt() };
        let mut report = Report::default()
            .count("devices moved to a state", moved)
            .share("root mean square move, as a share of the device's range", rms);
        if clipped > 0 {
            report = report.count("devices whose state lies outside their own bounds", clipped);
        }
        if masked > 0 {
            report = report.count("devices left alone because they cannot be written", masked);
        }
        report
    }
}
