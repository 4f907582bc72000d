use std::sync::Arc;

use memtorch_crossbar::{Array, Change, CrossbarError, NonIdeality, Phase, Report};
use memtorch_devices::{Distribution, Stream};
use memtorch_utils::config::{self, ConfigError, Default, Field, Kind, Table, Value};

use crate::NonIdealityEntry;
use crate::places::Places;

pub(crate) const ENTRY: NonIdealityEntry = NonIdealityEntry {
    name: "drift",
    meaning: "Conductances fall with a power of time",
    fields: &[
        Field::new(
            "nu",
            Kind::Parameter,
            Default::Required,
            "exponent of the power law, the same for all devices or a distribution over them",
        ),
        Field::new("t0", Kind::Real, Default::Real(1.0), "time at which conductances are what was written")
            .unit("s")
            .range(f64::MIN_POSITIVE, f64::INFINITY),
        Field::new("time", Kind::Real, Default::Required, "time at which the array is read")
            .unit("s")
            .range(f64::MIN_POSITIVE, f64::INFINITY),
        Field::new(
            "compensation",
            Kind::Bool,
            Default::Bool(false),
            "measure one gain a layer again at this time",
        ),
    ],
    build,
    after_tuning: true,
};

/// Drift: `g(t) = g (t/t_0)^-nu` (Boybat et al., Impact of conductance drift on multi-PCM synaptic
/// architectures, NVMTS 2018).
///
/// `nu` is one number, or drawn for every device. A device may fall below its own OFF conductance: that is
/// not clipped, and its share is reported. Devices that cannot be written drift like all others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drift {
    exponent: Exponent,
    t0: f64,
    time: f64,
    compensation: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Exponent {
    Same(f64),
    Each(Distribution),
}

impl Drift {
    /// The same exponent for all devices; times in seconds.
    ///
    /// # Errors
    /// An exponent that is not finite, a time that is not positive and finite.
    pub fn new(nu: f64, t0: f64, time: f64) -> Result<Self, ConfigError> {
        if !nu.is_finite() {
            return Err(ConfigError::value("nu", nu, "a finite number"));
        }
        Self::with(Exponent::Same(nu), t0, time)
    }

    /// An exponent of its own for every device; times in seconds.
    ///
    /// # Errors
    /// A time that is not positive and finite.
    pub fn distributed(nu: Distribution, t0: f64, time: f64) -> Result<Self, ConfigError> {
        Self::with(Exponent::Each(nu), t0, time)
    }

    fn with(exponent: Exponent, t0: f64, time: f64) -> Result<Self, ConfigError> {
        for (key, value) in [("t0", t0), ("time", time)] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(ConfigError::value(key, value, "a positive number of seconds"));
            }
        }
        Ok(Self { exponent, t0, time, compensation: false })
    }

    /// Whether one gain a layer is measured again at this time.
    pub fn with_compensation(mut self, compensation: bool) -> Self {
        self.compensation = compensation;
        self
    }
}

fn build(table: &Table) -> Result<Arc<dyn NonIdeality>, ConfigError> {
    let real = |key| table.get(key).and_then(Value::as_real).unwrap_or(f64::NAN);
    let (t0, time) = (real("t0"), real("time"));
    let drift = match table.get("nu").and_then(Value::as_table) {
        Some(nu) => Drift::distributed(config::distribution(nu).map_err(|e| e.under("nu"))?, t0, time)?,
        None => Drift::new(real("nu"), t0, time)?,
    };
    let compensation = table.get("compensation").and_then(Value::as_bool).unwrap_or(false);
    Ok(Arc::new(drift.with_compensation(compensation)))
}

impl NonIdeality for Drift {
    fn name(&self) -> &str {
        ENTRY.name
    }

    fn phase(&self) -> Phase {
        Phase::Aged
    }

    fn remeasures_gain(&self) -> bool {
        self.compensation
    }

    fn change(&self) -> Option<Change<'_>> {
        match self.exponent {
            Exponent::Same(nu) => Some(Change::Scaled((-nu * self.logarithm()).exp())),
            Exponent::Each(_) => None,
        }
    }

    fn apply(&self, array: &mut Array, stream: Stream) -> Result<Report, CrossbarError> {
        self.drift(array, stream, None)
    }

    fn apply_proposed(
        &self,
        array: &mut Array,
        stream: Stream,
        proposed: &[f64],
    ) -> Result<Report, CrossbarError> {
        self.drift(array, stream, Some(proposed))
    }
}

impl Drift {
    fn logarithm(&self) -> f64 {
        (self.time / self.t0).ln()
    }

    fn drift(
        &self,
        array: &mut Array,
        stream: Stream,
        proposed: Option<&[f64]>,
    ) -> Result<Report, CrossbarError> {
        let before: f64 = array.conductances().iter().sum();
        let logarithm = self.logarithm();
        match (self.exponent, proposed) {
            (Exponent::Same(_), Some(proposed)) => array.conductances_mut().copy_from_slice(proposed),
            (Exponent::Same(nu), None) => {
                let factor = (-nu * logarithm).exp();
                array.conductances_mut().iter_mut().for_each(|g| *g *= factor);
            }
            (Exponent::Each(nu), _) => {
                let mut places = Places::new(*array.layout());
                for (device, g) in array.conductances_mut().iter_mut().enumerate() {
                    *g *= (-nu.sample(&mut stream.at(places.at(device))) * logarithm).exp();
                }
            }
        }
        if let Some(at) = array.conductances().iter().position(|g| !g.is_finite()) {
            let expected = "an exponent with which conductances stay finite";
            return Err(CrossbarError::value("nu", array.conductances()[at], expected));
        }
        let (mut below, mut after) = (0, 0.0);
        let r_off = array.devices().r_off();
        for (device, g) in array.conductances().iter().enumerate() {
            // Equal up to the rounding of 1/R.
            below += usize::from(*g < (1.0 - 1e-12) / r_off.get(device));
            after += g;
        }
        let share = below as f64 / array.conductances().len() as f64;
        Ok(Report::default()
            .share("share of the devices below their own OFF conductance", share)
            .share("mean conductance over that before", after / before))
    }
}
