use std::sync::Arc;

use memtorch_crossbar::{Array, CrossbarError, NonIdeality, Phase, Report};
use memtorch_devices::Stream;
use memtorch_utils::config::{self, ConfigError, Default, Field, Kind, Table, Value};

use crate::NonIdealityEntry;

const TIME: Field = Field::new("time", Kind::Real, Default::Required, "time since the array was written")
    .unit("s")
    .range(0.0, f64::INFINITY);
const CYCLES: Field = Field::new(
    "cycles",
    Kind::Real,
    Default::Required,
    "how many times each device has been switched to and fro",
)
.range(0.0, f64::INFINITY);
const TEMPERATURE: Field =
    Field::new("temperature", Kind::Real, Default::Real(298.0), "temperature of the array")
        .unit("K")
        .range(f64::MIN_POSITIVE, f64::INFINITY);
const CELL_SIZE: Field = Field::new("cell_size", Kind::Real, Default::Real(10.0), "width of a device")
    .unit("nm")
    .range(f64::MIN_POSITIVE, f64::INFINITY);
const MODE: Field = Field::new(
    "mode",
    Kind::Choice(&["gradual", "sudden"]),
    Default::Text("gradual"),
    "past its threshold a resistance moves with a power of time or cycles, or jumps to a stable value",
);
const THRESHOLD: Field = Field::new(
    "threshold_temperature",
    Kind::Real,
    Default::Real(298.0),
    "temperature above which heat matters; a table lrs or hrs may have its own",
)
.unit("K")
.range(f64::MIN_POSITIVE, f64::INFINITY);
const LRS: Field = Field::new(
    "lrs",
    Kind::Any,
    Default::Absent,
    "devices in their low resistance state: { p = [p0, p1, p2, p3], stable_resistance = ohm }; absent: they stay",
);
const HRS: Field = Field::new(
    "hrs",
    Kind::Any,
    Default::Absent,
    "devices in their high resistance state: { p = [p0, p1, p2, p3], stable_resistance = ohm }; absent: they stay",
);

/// The keys of a table `lrs` or `hrs`.
const STATE: &[Field] = &[
    Field::new("p", Kind::Reals, Default::Required, "p0 to p3"),
    Field::new("threshold_temperature", Kind::Real, Default::Absent, "instead of that of both states")
        .unit("K")
        .range(f64::MIN_POSITIVE, f64::INFINITY),
    Field::new("stable_resistance", Kind::Real, Default::Absent, "where a sudden failure ends")
        .unit("ohm")
        .range(f64::MIN_POSITIVE, f64::INFINITY),
];

pub(crate) const RETENTION: NonIdealityEntry = NonIdealityEntry {
    name: "retention",
    meaning: "Resistances move with time, once a threshold has passed",
    fields: &[TIME, TEMPERATURE, CELL_SIZE, MODE, THRESHOLD, LRS, HRS],
    build: |table| build(table, Cause::Time),
    after_tuning: true,
};

pub(crate) const ENDURANCE: NonIdealityEntry = NonIdealityEntry {
    name: "endurance",
    meaning: "Resistances move with the number of switching cycles, once a threshold has passed",
    fields: &[CYCLES, TEMPERATURE, CELL_SIZE, MODE, THRESHOLD, LRS, HRS],
    build: |table| build(table, Cause::Cycles),
    after_tuning: true,
};

/// What wears devices out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// Seconds since the array was written: retention.
    Time,
    /// Switching cycles: endurance.
    Cycles,
}

/// What becomes of the devices of one state past their threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Failure {
    /// `log10 R` moves with slope `p3 (p1 s + p2 T_c)` in `log10 x`.
    Gradual {
        /// The factor p3.
        p3: f64,
    },
    /// The resistance becomes this one.
    Sudden {
        /// In ohm, positive.
        stable_resistance: f64,
    },
}

/// How devices in one state wear out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StateWear {
    /// Threshold `x_th = p0 exp(p1 s + p2 T_c)`, in seconds or cycles: p0 > 0, p1 (in 1/nm), p2.
    pub p: [f64; 3],
    /// The temperature T_th in kelvin above which heat matters.
    pub threshold_temperature: f64,
    /// What happens past the threshold.
    pub failure: Failure,
}

/// Retention or endurance of metal-oxide devices (Lammie, Rahimi Azghadi, Ielmini: Empirical metal-oxide
/// RRAM device endurance and retention model for deep learning simulations, Semicond. Sci. Technol. 36,
/// 065003, 2021).
///
/// With x the seconds (retention) or cycles (endurance), s the width of a device in nanometres and
/// `T_c = min(T_th/T, 1)`, the threshold of a state is `x_th = p0 exp(p1 s + p2 T_c)`. Where `x > x_th`, a
/// resistance becomes the stable one (sudden), or `log10 R` moves by
/// `p3 (p1 s + p2 T_c)(log10 x - log10 x_th)` (gradual). A device is in its low resistance state where
/// its resistance is below the middle `(R_on + R_off)/2` of its own two.
///
/// Nothing is clipped to a device's bounds. Time moves all devices; cycles do not move devices that cannot be
/// written, since those do not switch.
///
/// # Parameters for one stack
/// TiN/Hf(Al)O/Hf/TiN, R_on = 4400 ohm, R_off = 65 kohm, endurance, gradual, no dependence on temperature:
/// `lrs.p = [10, 0.69078, 0, 0.017619]`, `hrs.p = [10, 0.69078, 0, -0.022953]`. They stand for thresholds of
/// `10 exp(0.69078 s)` cycles, which are 1e4 at 10 nm and 1e7 at 20 nm, and slopes of `0.012171 s` (low) and
/// `-0.015856 s` (high resistance), which the authors' simulations of Figure 6 use (`coreylammie/SST-Reproducibility`,
/// `simulate_6A.py`; its `GeneralModel.py` has the equations above, temperature included).
///
/// Verified: a least squares fit in ohm of these equations to the measured points of 10 and 20 nm in the same repository
/// (Figure 2A), the thresholds and the resistances at the beginning given, finds slopes of 0.01217 s and -0.015855 s. The
/// points scatter by 0.10 to 0.18 decades (root mean square) about it. Not verified, since the article's own text was not
/// to be had: its printed parameters; the thresholds and the resistances at the beginning, which were inputs of the authors'
/// fit; anything about temperature (p2), retention, sudden failures, other stacks, and cells of 30 and 40 nm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wear {
    cause: Cause,
    amount: f64,
    temperature: f64,
    cell_size: f64,
    lrs: Option<StateWear>,
    hrs: Option<StateWear>,
}

/// What happens to one state: nothing, or a factor on or a value of the conductance.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Stays,
    Factor(f64),
    Value(f64),
}

impl Wear {
    /// After `amount` seconds or cycles, at `temperature` kelvin, of devices `cell_size` nanometres wide.
    /// Devices in a state without parameters stay what they are.
    ///
    /// # Errors
    /// A negative amount, another number that is not positive, one that is not finite.
    pub fn new(
        cause: Cause,
        amount: f64,
        temperature: f64,
        cell_size: f64,
        lrs: Option<StateWear>,
        hrs: Option<StateWear>,
    ) -> Result<Self, ConfigError> {
        let key = match cause {
            Cause::Time => "time",
            Cause::Cycles => "cycles",
        };
        if !(amount >= 0.0 && amount.is_finite()) {
            return Err(ConfigError::value(key, amount, "a number of at least 0"));
        }
        let positive = |key: String, value: f64| {
            if value > 0.0 && value.is_finite() {
                Ok(())
            } else {
                Err(ConfigError::value(key, value, "a positive number"))
            }
        };
        positive("temperature".to_owned(), temperature)?;
        positive("cell_size".to_owned(), cell_size)?;
        for (name, state) in [("lrs", lrs), ("hrs", hrs)] {
            let Some(state) = state else { continue };
            positive(format!("{name}.p"), state.p[0])?;
            positive(format!("{name}.threshold_temperature"), state.threshold_temperature)?;
            let last = match state.failure {
                Failure::Gradual { p3 } => p3,
                Failure::Sudden { stable_resistance } => {
                    positive(format!("{name}.stable_resistance"), stable_resistance)?;
                    0.0
                }
            };
            if let Some(p) = state.p.into_iter().chain([last]).find(|p| !p.is_finite()) {
                return Err(ConfigError::value(format!("{name}.p"), p, "finite numbers"));
            }
        }
        Ok(Self { cause, amount, temperature, cell_size, lrs, hrs })
    }

    /// The threshold of a state in seconds or cycles, and what happens at this amount.
    fn outcome(&self, state: &StateWear) -> (f64, Outcome) {
        let [p0, p1, p2] = state.p;
        let heat = (state.threshold_temperature / self.temperature).min(1.0);
        let exponent = p1 * self.cell_size + p2 * heat;
        let threshold = p0 * exponent.exp();
        let outcome = match state.failure {
            _ if !(self.amount > threshold) => Outcome::Stays,
            Failure::Sudden { stable_resistance } => Outcome::Value(1.0 / stable_resistance),
            Failure::Gradual { p3 } => {
                // In logarithms, so that the threshold may be as small as it likes.
                let above = self.amount.log10() - p0.log10() - exponent * std::f64::consts::LOG10_E;
                Outcome::Factor(10f64.powf(-p3 * exponent * above))
            }
        };
        (threshold, outcome)
    }
}

fn build(table: &Table, cause: Cause) -> Result<Arc<dyn NonIdeality>, ConfigError> {
    let real = |key| table.get(key).and_then(Value::as_real).unwrap_or(f64::NAN);
    let sudden = table.get("mode").and_then(Value::as_text) == Some("sudden");
    let state = |name: &str| -> Result<Option<StateWear>, ConfigError> {
        let Some(value) = table.get(name) else { return Ok(None) };
        let expected = "a table with p = [p0, p1, p2, p3]";
        let given = value.as_table().ok_or_else(|| ConfigError::value(name, value, expected))?;
        let checked = config::check(STATE, given).map_err(|e| e.under(name))?;
        let wrong = |key: &str, value: &dyn ToString, expected: &str| {
            ConfigError::value(format!("{name}.{key}"), value.to_string(), expected)
        };
        let p = checked.get("p").and_then(Value::as_reals).unwrap_or_default();
        let &[p0, p1, p2, p3] = p.as_slice() else {
            return Err(wrong("p", &format!("{p:?}"), "four numbers, p0 to p3"));
        };
        let failure = match (sudden, checked.get("stable_resistance").and_then(Value::as_real)) {
            (false, None) => Failure::Gradual { p3 },
            (false, Some(ohm)) => {
                return Err(wrong("stable_resistance", &ohm, "no such key with mode = \"gradual\""));
            }
            (true, Some(stable_resistance)) => Failure::Sudden { stable_resistance },
            (true, None) => {
                let expected = "the resistance in ohm where a sudden failure ends".to_owned();
                return Err(ConfigError::Missing { key: format!("{name}.stable_resistance"), expected });
            }
        };
        let own = checked.get("threshold_temperature").and_then(Value::as_real);
        let threshold_temperature = own.unwrap_or_else(|| real("threshold_temperature"));
        Ok(Some(StateWear { p: [p0, p1, p2], threshold_temperature, failure }))
    };
    let amount = match cause {
        Cause::Time => real("time"),
        Cause::Cycles => real("cycles"),
    };
    let (lrs, hrs) = (state("lrs")?, state("hrs")?);
    Ok(Arc::new(Wear::new(cause, amount, real("temperature"), real("cell_size"), lrs, hrs)?))
}

impl NonIdeality for Wear {
    fn name(&self) -> &str {
        match self.cause {
            Cause::Time => RETENTION.name,
            Cause::Cycles => ENDURANCE.name,
        }
    }

    fn phase(&self) -> Phase {
        Phase::Aged
    }

    fn apply(&self, array: &mut Array, _stream: Stream) -> Result<Report, CrossbarError> {
        let states = [("low", "lrs", self.lrs), ("high", "hrs", self.hrs)];
        let outcomes = states.map(|(.., state)| state.map(|state| self.outcome(&state)));
        let [low_state, high_state] = outcomes.map(|o| o.map_or(Outcome::Stays, |(_, outcome)| outcome));
        let mut counts = [0usize; 2];
        let mut change = |conductance: f64, (low, high): (f64, f64)| {
            let middle = 0.5 * (1.0 / high + 1.0 / low);
            let is_high = usize::from(!(1.0 / conductance < middle));
            counts[is_high] += 1;
            match [low_state, high_state][is_high] {
                Outcome::Stays => conductance,
                Outcome::Factor(factor) => conductance * factor,
                Outcome::Value(value) => value,
            }
        };
        let masked = match self.cause {
            Cause::Cycles => array.write(|_, conductance, bounds| change(conductance, bounds)),
            Cause::Time => {
                array.age(|_, conductance, bounds| change(conductance, bounds));
                0
            }
        };
        if let Some(g) = array.conductances().iter().find(|g| !(g.is_finite() && **g > 0.0)) {
            let expected = "parameters with which conductances stay positive and finite";
            return Err(CrossbarError::value("conductance", g, expected));
        }
        let unit = match self.cause {
            Cause::Time => "s",
            Cause::Cycles => "cycles",
        };
        let mut report = Report::default();
        for (((name, table, _), outcome), count) in states.into_iter().zip(outcomes).zip(counts) {
            report = match outcome {
                None => report.count(
                    format!("devices of {name} resistance left alone: there is no table {table}"),
                    count,
                ),
                Some((threshold, outcome)) => {
                    let moved = if outcome == Outcome::Stays { 0 } else { count };
                    report
                        .quantity(format!("threshold of the {name} resistance"), threshold, unit)
                        .count(format!("devices of {name} resistance past it"), moved)
                }
            };
        }
        if masked > 0 {
            report = report.count("devices left alone because they cannot be written", masked);
        }
        Ok(report)
    }
}
