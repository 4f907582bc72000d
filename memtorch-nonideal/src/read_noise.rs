use std::sync::Arc;

use memtorch_crossbar::{
    Array, AttachedNoise, CrossbarError, DeviceNoise, NonIdeality, Phase, Report, Telegraph,
};
use memtorch_devices::Stream;
use memtorch_utils::config::{ConfigError, Default, Field, Kind, Table, Value};

use crate::NonIdealityEntry;

const BOLTZMANN: f64 = 1.380649e-23;
const CHARGE: f64 = 1.602176634e-19;

const fn share(name: &'static str, default: Default, meaning: &'static str) -> Field {
    Field::new(name, Kind::Real, default, meaning).range(0.0, f64::INFINITY)
}

pub(crate) const ENTRY: NonIdealityEntry = NonIdealityEntry {
    name: "read-noise",
    meaning: "Every read of a device gives another current",
    fields: &[
        share("relative", Default::Absent, "standard deviation of a conductance over the conductance"),
        share("absolute", Default::Absent, "standard deviation of every conductance").unit("S"),
        Field::new("thermal", Kind::Bool, Default::Bool(false), "Johnson noise: variance 4 k T g bandwidth"),
        Field::new("shot", Kind::Bool, Default::Bool(false), "shot noise: variance 2 q |i| bandwidth"),
        Field::new("bandwidth", Kind::Real, Default::Absent, "bandwidth of thermal and shot noise")
            .unit("Hz")
            .range(f64::MIN_POSITIVE, f64::INFINITY),
        Field::new("temperature", Kind::Real, Default::Real(298.0), "temperature of thermal noise")
            .unit("K")
            .range(f64::MIN_POSITIVE, f64::INFINITY),
        share(
            "telegraph",
            Default::Absent,
            "distance of the two levels of telegraph noise over the conductance",
        ),
        share("telegraph_high", Default::Real(0.5), "share of the reads at the higher level").range(0.0, 1.0),
        share("telegraph_devices", Default::Real(1.0), "share of the devices with telegraph noise")
            .range(0.0, 1.0),
    ],
    build,
    after_tuning: false,
};

/// Noise of every read, independent from device to device and from read to read.
///
/// With g the conductance of a device and v its voltage, the variance of its current is
/// `(relative g v)^2 + (absolute v)^2 + 4 k T g B + 2 q |g v| B`: a share of the conductance, a number of siemens,
/// thermal (Johnson, Phys. Rev. 32, 1928) and shot noise (Schottky, Ann. Phys. 362, 1918) in a bandwidth B, all
/// normal. With ideal wires the sum over a column is drawn at the column, which is the same distribution.
///
/// Telegraph noise is drawn device by device: two levels whose distance is a share of the conductance, each read
/// at one of them by chance, the mean being the conductance. That holds where reads lie further apart than the
/// trap's time constants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReadNoise {
    relative: f64,
    absolute: f64,
    /// `4 k T B`, in ampere squared a siemens.
    thermal: f64,
    /// `2 q B`, in ampere.
    shot: f64,
    telegraph: Option<Telegraph>,
}

impl ReadNoise {
    /// Standard deviations: `relative` of the conductance, and `absolute` in siemens.
    ///
    /// # Errors
    /// Numbers that are negative or not finite.
    pub fn new(relative: f64, absolute: f64) -> Result<Self, ConfigError> {
        for (key, value) in [("relative", relative), ("absolute", absolute)] {
            not_negative(key, value)?;
        }
        Ok(Self { relative, absolute, thermal: 0.0, shot: 0.0, telegraph: None })
    }

    /// Thermal noise besides, in a bandwidth (Hz) at a temperature (K).
    ///
    /// # Errors
    /// Numbers that are not positive and finite.
    pub fn with_thermal(mut self, bandwidth: f64, temperature: f64) -> Result<Self, ConfigError> {
        positive("bandwidth", bandwidth)?;
        positive("temperature", temperature)?;
        self.thermal = 4.0 * BOLTZMANN * temperature * bandwidth;
        Ok(self)
    }

    /// Shot noise besides, in a bandwidth (Hz).
    ///
    /// # Errors
    /// A number that is not positive and finite.
    pub fn with_shot(mut self, bandwidth: f64) -> Result<Self, ConfigError> {
        positive("bandwidth", bandwidth)?;
        self.shot = 2.0 * CHARGE * bandwidth;
        Ok(self)
    }

    /// Telegraph noise besides.
    ///
    /// # Errors
    /// An amplitude that is negative or not finite, shares that are none.
    pub fn with_telegraph(mut self, telegraph: Telegraph) -> Result<Self, ConfigError> {
        not_negative("telegraph", telegraph.amplitude)?;
        for (key, share) in [("telegraph_high", telegraph.high), ("telegraph_devices", telegraph.devices)] {
            if !(0.0..=1.0).contains(&share) {
                return Err(ConfigError::value(key, share, "a number from 0 to 1"));
            }
        }
        if telegraph.amplitude * telegraph.high >= 1.0 {
            let expected = "less than 1 / telegraph_high: the lower level would conduct nothing";
            return Err(ConfigError::value("telegraph", telegraph.amplitude, expected));
        }
        self.telegraph = Some(telegraph);
        Ok(self)
    }
}

fn not_negative(key: &str, value: f64) -> Result<(), ConfigError> {
    if value >= 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(ConfigError::value(key, value, "a number of at least 0"))
}

fn positive(key: &str, value: f64) -> Result<(), ConfigError> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(ConfigError::value(key, value, "a positive number"))
}

fn build(table: &Table) -> Result<Arc<dyn NonIdeality>, ConfigError> {
    let real = |key| table.get(key).and_then(Value::as_real);
    let flag = |key| table.get(key).and_then(Value::as_bool).unwrap_or(false);
    let (relative, absolute, telegraph) = (real("relative"), real("absolute"), real("telegraph"));
    let (thermal, shot) = (flag("thermal"), flag("shot"));
    if relative.is_none() && absolute.is_none() && telegraph.is_none() && !thermal && !shot {
        let expected = "relative, absolute, thermal, shot or telegraph".to_owned();
        return Err(ConfigError::Missing { key: "relative".to_owned(), expected });
    }
    for (key, owner, there) in [
        ("temperature", "thermal = true", thermal),
        ("telegraph_high", "telegraph", telegraph.is_some()),
        ("telegraph_devices", "telegraph", telegraph.is_some()),
    ] {
        let default =
            ENTRY.fields.iter().find(|field| field.name == key).and_then(|field| field.default.value());
        if let (Some(value), false) = (table.get(key), there)
            && Some(value) != default.as_ref()
        {
            return Err(ConfigError::value(key, value, format!("no such key without {owner}")));
        }
    }
    let mut noise = ReadNoise::new(relative.unwrap_or(0.0), absolute.unwrap_or(0.0))?;
    match real("bandwidth") {
        None if thermal || shot => {
            let expected = "the bandwidth of thermal and shot noise in Hz".to_owned();
            return Err(ConfigError::Missing { key: "bandwidth".to_owned(), expected });
        }
        Some(bandwidth) if !thermal && !shot => {
            let expected = "no bandwidth without thermal = true or shot = true";
            return Err(ConfigError::value("bandwidth", bandwidth, expected));
        }
        None => {}
        Some(bandwidth) => {
            if thermal {
                noise = noise.with_thermal(bandwidth, real("temperature").unwrap_or(298.0))?;
            }
            if shot {
                noise = noise.with_shot(bandwidth)?;
            }
        }
    }
    if let Some(amplitude) = telegraph {
        let share = |key, default| real(key).unwrap_or(default);
        let (high, devices) = (share("telegraph_high", 0.5), share("telegraph_devices", 1.0));
        noise = noise.with_telegraph(Telegraph { amplitude, high, devices })?;
    }
    Ok(Arc::new(noise))
}

impl NonIdeality for ReadNoise {
    fn name(&self) -> &str {
        ENTRY.name
    }

    fn phase(&self) -> Phase {
        Phase::Read
    }

    fn apply(&self, array: &mut Array, stream: Stream) -> Result<Report, CrossbarError> {
        array.read_effects_mut().noise.push(AttachedNoise { noise: Arc::new(*self), stream });
        let mean = |of: &dyn Fn(f64) -> f64| {
            let conductances = array.conductances();
            conductances.iter().map(|g| of(*g)).sum::<f64>() / conductances.len() as f64
        };
        let volt = |g: f64| self.variance(g).iter().sum::<f64>().sqrt();
        let report =
            Report::default().quantity("mean deviation of a device's current at 1 V", mean(&volt), "A");
        Ok(match self.telegraph {
            None => report,
            Some(t) => {
                report.share("telegraph noise: distance of the levels over the conductance", t.amplitude)
            }
        })
    }
}

impl DeviceNoise for ReadNoise {
    fn variance(&self, conductance: f64) -> [f64; 3] {
        let deviation = self.relative * conductance;
        [
            self.thermal * conductance,
            self.shot * conductance,
            deviation * deviation + self.absolute * self.absolute,
        ]
    }

    fn telegraph(&self) -> Option<Telegraph> {
        self.telegraph
    }
}
