//! Devices whose currents are not proportional to their voltages.

mod factor;
mod model;
mod sinh;
mod sweep;

use std::sync::{Arc, Mutex};

use memtorch_crossbar::{Array, CrossbarError, NonIdeality, Phase, ReadLaw, Report};
use memtorch_devices::Stream;
use memtorch_utils::config::{ConfigError, Default, Field, Kind, Table, Value};

use self::model::ModelLaw;
use self::sinh::SinhLaw;
use self::sweep::{Grid, SweepLaw, SweepTable};
use crate::NonIdealityEntry;

pub(crate) const ENTRY: NonIdealityEntry = NonIdealityEntry {
    name: "nonlinear",
    meaning: "Currents are not proportional to voltages",
    fields: &[
        Field::new(
            "method",
            Kind::Choice(&["model", "sinh", "sweep"]),
            Default::Text("model"),
            "the device model's current at its frozen state, g sinh(b v) / b, or a table of one sweep",
        ),
        Field::new("b", Kind::Real, Default::Absent, "how fast a current of method sinh grows")
            .unit("1/V")
            .range(f64::MIN_POSITIVE, f64::INFINITY),
        Field::new(
            "amplitude",
            Kind::Real,
            Default::Absent,
            "where the sweep turns: the largest voltage of a read",
        )
        .unit("V")
        .range(f64::MIN_POSITIVE, f64::INFINITY),
        Field::new(
            "frequency",
            Kind::Real,
            Default::Absent,
            "frequency of the sweep, of which 0 to amplitude is a quarter; absent: that of the model's own",
        )
        .unit("Hz")
        .range(f64::MIN_POSITIVE, f64::INFINITY),
        Field::new("points", Kind::Integer, Default::Integer(64), "voltages in the table of a sweep")
            .range(2.0, 4096.0),
        Field::new("states", Kind::Integer, Default::Integer(32), "states in the table of a sweep")
            .range(2.0, 1024.0),
    ],
    build,
    after_tuning: false,
};

/// How currents depend on voltages.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Method {
    /// The device model's `I(v, x)` at the state x that the conductance stands for.
    Model,
    /// `i = g sinh(b v) / b`, b in 1/V.
    Sinh {
        /// In 1/V, positive.
        b: f64,
    },
    /// A table of one sweep.
    Sweep(SweepSettings),
}

/// One sweep `0 -> A -> 0` with the sign that raises the resistance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SweepSettings {
    /// The amplitude A in V.
    pub amplitude: f64,
    /// In Hz: the voltage rises for a quarter of a period. `None`: the frequency at which the model is
    /// shown switching.
    pub frequency: Option<f64>,
    /// Voltages of the table, 0 and A among them.
    pub points: usize,
    /// States of the table.
    pub states: usize,
}

/// Devices whose currents are not proportional to their voltages. Reads move no state.
///
/// - Model: the device model's current at the frozen state. A conductance beyond a device's own bounds (drift,
///   devices that were never formed) keeps its conductance, with the dependence on the voltage of the nearest state.
///   Where the current is the conductance times a function of the voltage, as for all models of this crate, a layer
///   is read as fast as an ohmic one; else device after device.
/// - Sinh: `i = g sinh(b v) / b`.
/// - Sweep: the current of the rising branch of one sweep `0 -> A` from the programmed state, in which the nominal
///   device switches as it will; `i(-v) = -i(v)`, linear between the points of the table; an input beyond A is an error.
///   The table has one row a state: the conductances of the array if they are so few, else states evenly spaced in
///   `ln g` between the nominal bounds, between which `i/g` is linear in `ln g`. It is factored, so that a layer is read
///   with a few products; what that loses of any current, at most 1e-6 of it at the amplitude, is reported.
#[derive(Debug)]
pub struct Nonlinear {
    method: Method,
    /// Tables of sweeps, by what they were made from: arrays share them.
    tables: Mutex<Vec<(Vec<u64>, Arc<SweepTable>)>>,
}

impl Nonlinear {
    /// Devices of this kind.
    ///
    /// # Errors
    /// Numbers that are not positive and finite, fewer than two points or states.
    pub fn new(method: Method) -> Result<Self, ConfigError> {
        let positive = |key: &str, value: f64| {
            if value > 0.0 && value.is_finite() {
                return Ok(());
            }
            Err(ConfigError::value(key, value, "a positive number"))
        };
        match method {
            Method::Model => {}
            Method::Sinh { b } => positive("b", b)?,
            Method::Sweep(sweep) => {
                positive("amplitude", sweep.amplitude)?;
                if let Some(frequency) = sweep.frequency {
                    positive("frequency", frequency)?;
                }
                for (key, value) in [("points", sweep.points), ("states", sweep.states)] {
                    if value < 2 {
                        return Err(ConfigError::value(key, value, "at least 2"));
                    }
                }
            }
        }
        Ok(Self { method, tables: Mutex::default() })
    }

    fn sweep(&self, settings: &SweepSettings, array: &Array) -> Result<Arc<SweepTable>, CrossbarError> {
        let grid = Grid::of(array, settings.states);
        let key = grid.key(array);
        let mut tables = self.tables.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some((_, table)) = tables.iter().find(|(known, _)| *known == key) {
            return Ok(table.clone());
        }
        let table = Arc::new(SweepTable::record(array.devices().model().clone(), settings, grid)?);
        tables.push((key, table.clone()));
        Ok(table)
    }
}

fn build(table: &Table) -> Result<Arc<dyn NonIdeality>, ConfigError> {
    let real = |key: &str| table.get(key).and_then(Value::as_real);
    let count = |key| table.get(key).and_then(Value::as_count).unwrap_or(0);
    let method = table.get("method").and_then(Value::as_text).unwrap_or("model");
    let needed = |key: &'static str, expected: &str| {
        real(key).ok_or_else(|| ConfigError::Missing { key: key.to_owned(), expected: expected.to_owned() })
    };
    for (key, owner) in [("b", "sinh"), ("amplitude", "sweep"), ("frequency", "sweep")] {
        if let (Some(value), true) = (real(key), method != owner) {
            let expected = format!("no such key with method = \"{method}\": it belongs to \"{owner}\"");
            return Err(ConfigError::value(key, value, expected));
        }
    }
    for key in ["points", "states"] {
        let default =
            ENTRY.fields.iter().find(|field| field.name == key).and_then(|field| field.default.value());
        if let (Some(value), true) = (table.get(key), method != "sweep")
            && Some(value) != default.as_ref()
        {
            let expected = format!("no such key with method = \"{method}\": it belongs to \"sweep\"");
            return Err(ConfigError::value(key, value, expected));
        }
    }
    let method = match method {
        "sinh" => Method::Sinh { b: needed("b", "how fast currents grow, in 1/V")? },
        "sweep" => Method::Sweep(SweepSettings {
            amplitude: needed("amplitude", "where the sweep turns, in V")?,
            frequency: real("frequency"),
            points: count("points"),
            states: count("states"),
        }),
        _ => Method::Model,
    };
    Ok(Arc::new(Nonlinear::new(method)?))
}

impl NonIdeality for Nonlinear {
    fn name(&self) -> &str {
        ENTRY.name
    }

    fn phase(&self) -> Phase {
        Phase::Read
    }

    fn apply(&self, array: &mut Array, _stream: Stream) -> Result<Report, CrossbarError> {
        if array.read_effects().law.is_some() {
            let expected = "one step that says how currents depend on voltages";
            return Err(CrossbarError::value("nonlinear", "a second one", expected));
        }
        let model = array.devices().model().clone();
        let mut report = Report::default();
        let law: Arc<dyn ReadLaw> = match &self.method {
            Method::Sinh { b } => Arc::new(SinhLaw { b: *b }),
            Method::Model if model.is_ohmic() => {
                let name = model.name();
                return Ok(report.warn(format!("changes nothing: devices of {name} are ohmic")));
            }
            Method::Model => Arc::new(ModelLaw::new(array.shared_devices())),
            Method::Sweep(settings) => {
                let table = self.sweep(settings, array)?;
                report = report
                    .quantity("states in the table of the sweep", table.states() as f64, "")
                    .quantity("products that a current is a sum of", table.products() as f64, "")
                    .share("largest error of that sum, over the current at the amplitude", table.error())
                    .share("largest change of a conductance while it was swept", table.moved());
                if model.is_ohmic() && table.moved() == 0.0 {
                    let name = model.name();
                    report = report
                        .warn(format!("changes nothing: {name} is ohmic, and the sweep moves no device"));
                }
                Arc::new(SweepLaw { table })
            }
        };
        array.read_effects_mut().law = Some(law);
        Ok(report)
    }
}

/// A name as a number of a law's signature.
fn named(name: &str) -> u64 {
    memtorch_utils::stable_hash(name)
}
