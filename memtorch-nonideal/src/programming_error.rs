use std::sync::Arc;

use memtorch_crossbar::{Array, Change, CrossbarError, NonIdeality, Phase, Report};
use memtorch_devices::Stream;
use memtorch_utils::config::{ConfigError, Default, Field, Kind, Table, Value};

use crate::NonIdealityEntry;
use crate::places::Places;

pub(crate) const ENTRY: NonIdealityEntry = NonIdealityEntry {
    name: "programming-error",
    meaning: "What is written misses its target by a random amount",
    fields: &[
        Field::new(
            "relative",
            Kind::Real,
            Default::Absent,
            "standard deviation as a share of the conductance; with absolute, the two are independent",
        )
        .range(0.0, f64::INFINITY),
        Field::new("absolute", Kind::Real, Default::Absent, "standard deviation whatever the conductance")
            .unit("S")
            .range(0.0, f64::INFINITY),
        Field::new(
            "lognormal",
            Kind::Real,
            Default::Absent,
            "standard deviation of the natural logarithm of the conductance, instead",
        )
        .range(0.0, f64::INFINITY),
        Field::new(
            "table",
            Kind::Any,
            Default::Absent,
            "list of [conductance, standard deviation] in S, instead: linear between them, constant beyond both ends",
        ),
    ],
    build,
    after_tuning: false,
};

/// What is written misses its target: `g + N(0, sigma(g))`, clipped to the device's own bounds.
///
/// With both a relative and an absolute deviation, `sigma(g)^2 = (relative g)^2 + absolute^2`. Or lognormal:
/// `g exp(sigma_ln z)`, z standard normal, clipped likewise. Devices that cannot be written stay what they are.
#[derive(Clone, Debug, PartialEq)]
pub struct ProgrammingError {
    deviation: Deviation,
}

#[derive(Clone, Debug, PartialEq)]
enum Deviation {
    Parts {
        relative: f64,
        absolute: f64,
    },
    /// By ascending conductance.
    Table(Vec<(f64, f64)>),
    /// Of the natural logarithm.
    Lognormal(f64),
}

impl ProgrammingError {
    /// A deviation of `relative` times the conductance and, independent of it, of `absolute` siemens.
    ///
    /// # Errors
    /// A number that is negative or not finite.
    pub fn new(relative: f64, absolute: f64) -> Result<Self, ConfigError> {
        for (key, value) in [("relative", relative), ("absolute", absolute)] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(ConfigError::value(key, value, "a number of at least 0"));
            }
        }
        Ok(Self { deviation: Deviation::Parts { relative, absolute } })
    }

    /// Deviations at some conductances, both in siemens: linear between them, constant beyond both ends.
    ///
    /// # Errors
    /// An empty list, a number that is negative or not finite, the same conductance twice.
    pub fn table(mut points: Vec<(f64, f64)>) -> Result<Self, ConfigError> {
        let wrong = |(g, sigma): (f64, f64), expected| {
            Err(ConfigError::value("table", format!("[{g:?}, {sigma:?}]"), expected))
        };
        if points.is_empty() {
            return Err(ConfigError::value("table", "[]", "at least one [conductance, standard deviation]"));
        }
        let right = |x: f64| x >= 0.0 && x.is_finite();
        if let Some(point) = points.iter().find(|(g, sigma)| !(right(*g) && right(*sigma))) {
            return wrong(*point, "two numbers of at least 0");
        }
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        if let Some(pair) = points.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return wrong(pair[1], "every conductance once");
        }
        Ok(Self { deviation: Deviation::Table(points) })
    }

    /// What is written is the conductance times `exp(sigma_ln z)`, z standard normal.
    ///
    /// # Errors
    /// A number that is negative or not finite.
    pub fn lognormal(sigma_ln: f64) -> Result<Self, ConfigError> {
        if !(sigma_ln >= 0.0 && sigma_ln.is_finite()) {
            return Err(ConfigError::value("lognormal", sigma_ln, "a number of at least 0"));
        }
        Ok(Self { deviation: Deviation::Lognormal(sigma_ln) })
    }

    /// What is written where `conductance` (siemens) is meant, for a standard normal number.
    fn written(&self, conductance: f64, normal: f64) -> f64 {
        match self.deviation {
            Deviation::Lognormal(sigma_ln) => conductance * (sigma_ln * normal).exp(),
            _ => conductance + self.deviation(conductance) * normal,
        }
    }

    /// The standard deviation of what is written at a conductance, before it is clipped, both in siemens.
    pub fn deviation(&self, conductance: f64) -> f64 {
        match &self.deviation {
            Deviation::Parts { relative, absolute } => {
                let relative = relative * conductance;
                (relative * relative + absolute * absolute).sqrt()
            }
            Deviation::Table(points) => {
                let above = points.partition_point(|(g, _)| *g < conductance);
                let (last, below) = (points.len() - 1, above.saturating_sub(1));
                let ((g0, s0), (g1, s1)) = (points[below], points[above.min(last)]);
                if g1 > g0 { s0 + (s1 - s0) * ((conductance - g0) / (g1 - g0)) } else { s1 }
            }
            Deviation::Lognormal(sigma_ln) => {
                let square = sigma_ln * sigma_ln;
                conductance * (square.exp_m1() * square.exp()).sqrt()
            }
        }
    }
}

fn build(table: &Table) -> Result<Arc<dyn NonIdeality>, ConfigError> {
    let real = |key| table.get(key).and_then(Value::as_real);
    let (relative, absolute) = (real("relative"), real("absolute"));
    let normal = relative.is_some() || absolute.is_some();
    let step = match (table.get("table"), real("lognormal")) {
        (Some(value), lognormal) if normal || lognormal.is_some() => {
            return Err(ConfigError::value(
                "table",
                value,
                "no table beside relative, absolute or lognormal",
            ));
        }
        (Some(value), _) => ProgrammingError::table(points(value)?)?,
        (None, Some(sigma_ln)) if normal => {
            let expected = "no lognormal beside relative or absolute";
            return Err(ConfigError::value("lognormal", sigma_ln, expected));
        }
        (None, Some(sigma_ln)) => ProgrammingError::lognormal(sigma_ln)?,
        (None, None) if !normal => {
            let expected = "relative, absolute, lognormal or table".to_owned();
            return Err(ConfigError::Missing { key: "relative".to_owned(), expected });
        }
        (None, None) => ProgrammingError::new(relative.unwrap_or(0.0), absolute.unwrap_or(0.0))?,
    };
    Ok(Arc::new(step))
}

fn points(value: &Value) -> Result<Vec<(f64, f64)>, ConfigError> {
    let wrong = |value: &Value| ConfigError::value("table", value, "a list of [conductance, deviation]");
    let Value::List(list) = value else { return Err(wrong(value)) };
    list.iter()
        .map(|point| match point.as_reals().as_deref() {
            Some(&[g, sigma]) => Ok((g, sigma)),
            _ => Err(wrong(point)),
        })
        .collect()
}

impl NonIdeality for ProgrammingError {
    fn name(&self) -> &str {
        ENTRY.name
    }

    fn phase(&self) -> Phase {
        Phase::Programmed
    }

    fn change(&self) -> Option<Change<'_>> {
        match self.deviation {
            Deviation::Parts { relative, absolute } => Some(Change::Missed { relative, absolute }),
            Deviation::Table(_) | Deviation::Lognormal(_) => None,
        }
    }

    fn apply(&self, array: &mut Array, stream: Stream) -> Result<Report, CrossbarError> {
        let mut places = Places::new(*array.layout());
        Ok(miss(array, |device, conductance| {
            let [normal, _] = stream.normals(places.at(device), 0);
            self.written(conductance, normal)
        }))
    }

    fn apply_proposed(
        &self,
        array: &mut Array,
        _stream: Stream,
        proposed: &[f64],
    ) -> Result<Report, CrossbarError> {
        Ok(miss(array, |device, _| proposed[device]))
    }
}

/// Writes what `missed` makes of each device.
fn miss(array: &mut Array, mut missed: impl FnMut(usize, f64) -> f64) -> Report {
    let (mut clipped, mut squares) = (0, 0.0);
    let masked = array.write(|device, conductance, (low, high)| {
        let missed = missed(device, conductance);
        let written = missed.clamp(low, high);
        clipped += usize::from(written != missed);
        squares += ((written - conductance) / (high - low)).powi(2);
        written
    });
    let written = array.conductances().len() - masked;
    let rms = if written == 0 { 0.0 } else { (squares / written as f64).sqrt() };
    let report = Report::default()
        .share("root mean square error, as a share of the device's range", rms)
        .count("errors clipped at a bound of the device", clipped);
    if masked > 0 {
        report.count("devices left alone because they cannot be written", masked)
    } else {
        report
    }
}
