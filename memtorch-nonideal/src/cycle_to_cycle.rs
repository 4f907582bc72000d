use std::sync::Arc;

use memtorch_crossbar::programming::Cycling;
use memtorch_crossbar::{Array, CrossbarError, NonIdeality, Phase, Report};
use memtorch_devices::Stream;
use memtorch_utils::config::{ConfigError, Default, Field, Kind, Table, Value};

use crate::NonIdealityEntry;
use crate::places::Places;

/// Draws for one device before it is given up.
const TRIES: u32 = 1000;

pub(crate) const ENTRY: NonIdealityEntry = NonIdealityEntry {
    name: "cycle-to-cycle",
    meaning: "A device's bounds differ each time that it is switched",
    fields: &[
        Field::new(
            "sigma",
            Kind::Real,
            Default::Required,
            "standard deviation s: a cycle's r_on is drawn from N(r_on, s), r_off from N(r_off, 2 s) around the device's own",
        )
        .unit("ohm")
        .range(0.0, f64::INFINITY),
        Field::new(
            "cycles",
            Kind::Integer,
            Default::Integer(1),
            "how many cycles have passed; each draws anew around the device's own bounds",
        )
        .range(1.0, 4_294_967_295.0),
        Field::new(
            "keep",
            Kind::Choice(&["state", "conductance"]),
            Default::Text("state"),
            "what a device keeps in the new bounds: its normalised state, or its conductance, clipped",
        ),
    ],
    build,
    after_tuning: false,
};

/// What a device keeps when its bounds change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Keep {
    /// The normalised state `(g - g_off)/(g_on - g_off)`, read in the new bounds.
    #[default]
    State,
    /// The conductance, clipped to the new bounds.
    Conductance,
}

/// Variability from cycle to cycle: each cycle draws `R_on ~ N(R_on, sigma)`, `R_off ~ N(R_off, 2 sigma)`
/// around the device's own bounds, so that cycles never compound and what counts is the last one.
///
/// The normalised state is the one that weights are mapped to, linear in the conductance:
/// `s = (g - g_off)/(g_on - g_off)`, and `g' = g_off' + (g_on' - g_off') s`. The device's own bounds stay what
/// they are. Where devices are written by pulses, each change of polarity is a cycle that draws ([`Cycling`]), and
/// nothing is drawn afterwards. A draw that makes no possible device is made again. Devices that cannot be written do
/// not cycle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CycleToCycle {
    sigma: f64,
    cycles: u32,
    keep: Keep,
}

impl CycleToCycle {
    /// A deviation in ohm, after one cycle, keeping the state.
    ///
    /// # Errors
    /// A deviation that is negative or not finite.
    pub fn new(sigma: f64) -> Result<Self, ConfigError> {
        if !(sigma >= 0.0 && sigma.is_finite()) {
            return Err(ConfigError::value("sigma", sigma, "a number of at least 0"));
        }
        Ok(Self { sigma, cycles: 1, keep: Keep::State })
    }

    /// After so many cycles.
    ///
    /// # Errors
    /// No cycle at all.
    pub fn with_cycles(mut self, cycles: u32) -> Result<Self, ConfigError> {
        if cycles == 0 {
            return Err(ConfigError::value("cycles", cycles, "a whole number of at least 1"));
        }
        self.cycles = cycles;
        Ok(self)
    }

    /// Keeps this.
    pub fn with_keep(mut self, keep: Keep) -> Self {
        self.keep = keep;
        self
    }

    /// The bounds `(g_off, g_on)` of this cycle, and the draws that it took; `None` after too many.
    #[inline]
    fn bounds(&self, stream: Stream, place: [u32; 3], (low, high): (f64, f64)) -> Option<((f64, f64), u32)> {
        for attempt in 0..TRIES {
            let [a, b] = stream.normals(place, attempt);
            let (on, off) = (1.0 / high + self.sigma * a, 1.0 / low + 2.0 * self.sigma * b);
            if on > 0.0 && on < off && off.is_finite() {
                return Some(((1.0 / off, 1.0 / on), attempt + 1));
            }
        }
        None
    }
}

fn build(table: &Table) -> Result<Arc<dyn NonIdeality>, ConfigError> {
    let sigma = table.get("sigma").and_then(Value::as_real).unwrap_or(f64::NAN);
    let cycles = table.get("cycles").and_then(Value::as_count).unwrap_or(1);
    let keep = match table.get("keep").and_then(Value::as_text) {
        Some("conductance") => Keep::Conductance,
        _ => Keep::State,
    };
    let step = CycleToCycle::new(sigma)?.with_cycles(u32::try_from(cycles).unwrap_or(u32::MAX))?;
    Ok(Arc::new(step.with_keep(keep)))
}

impl NonIdeality for CycleToCycle {
    fn name(&self) -> &str {
        ENTRY.name
    }

    fn phase(&self) -> Phase {
        Phase::Programmed
    }

    fn cycling(&self) -> Option<Cycling> {
        Some(Cycling { sigma: self.sigma, keep_conductance: self.keep == Keep::Conductance })
    }

    fn apply(&self, array: &mut Array, stream: Stream) -> Result<Report, CrossbarError> {
        let stream = stream.named("cycle").child(u64::from(self.cycles));
        let mut places = Places::new(*array.layout());
        let (mut redrawn, mut clipped, mut squares, mut failed) = (0, 0, 0.0, false);
        let masked = array.write(|device, conductance, (low, high)| {
            let Some(((new_low, new_high), tries)) = self.bounds(stream, places.at(device), (low, high))
            else {
                failed = true;
                return conductance;
            };
            redrawn += usize::from(tries > 1);
            let new = match self.keep {
                Keep::State => new_low + (new_high - new_low) * ((conductance - low) / (high - low)),
                Keep::Conductance => {
                    let new = conductance.clamp(new_low, new_high);
                    clipped += usize::from(new != conductance);
                    new
                }
            };
            squares += ((new - conductance) / (high - low)).powi(2);
            new
        });
        if failed {
            let expected = format!("a deviation with which {TRIES} draws make a possible device");
            return Err(CrossbarError::value("sigma", self.sigma, expected));
        }
        let cycled = array.conductances().len() - masked;
        let rms = if cycled == 0 { 0.0 } else { (squares / cycled as f64).sqrt() };
        let mut report = Report::default()
            .share("root mean square move, as a share of the device's range", rms)
            .count("devices drawn again", redrawn);
        if self.keep == Keep::Conductance {
            report = report.count("devices clipped to the bounds of the cycle", clipped);
        }
        if masked > 0 {
            report = report.count("devices left alone because they cannot be written", masked);
        }
        Ok(report)
    }
}
