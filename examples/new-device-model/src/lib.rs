//! A device model of one's own: phase change memory whose RESET state drifts.
//!
//! The state is the logarithm of the resistance over `r_on`. With `u = |v|`, as either polarity heats:
//!
//! - `v_set <= u < v_melt` crystallises: `ds/dt = -s / t_set`;
//! - `u >= v_melt` melts and quenches: `ds/dt = (ln(r_reset / r_on) - s) / t_melt`;
//! - below, an amorphous cell (`R >= r_reset`) relaxes: `ds/dt = (nu / t_0) exp(-(s - ln(r_reset / r_on)) / nu)`,
//!   which makes `R = r_reset (1 + t / t_0)^nu`, the power law that is measured; other cells stay.
//!
//! Each step is the exact solution over a constant voltage, so a trace may take steps of a nanosecond during a
//! pulse and of an hour after it. A cell drifts once some twenty `t_melt` of melting brought it to `r_reset`.
//! Valid for `r_on < r_reset < r_off`; the drift ends at `r_off`.
//!
//! Le Gallo et al., Collective structural relaxation in phase-change memory devices, Adv. Electron. Mater. 4, 2018.

use memtorch_devices::{
    DeviceEntry, DeviceError, DeviceModel, Field, Kind, Lane, Preset, Sweeps, Table, Value, device_parameters,
};

/// What a registry needs to use the model by name.
pub const ENTRY: DeviceEntry = DeviceEntry::of::<Pcm>();

device_parameters! {
    /// Numeric parameters: default, unit, bounds, meaning.
    pub struct PcmParameters / PcmLanes {
        r_on: 1e4, "ohm", f64::MIN_POSITIVE, f64::INFINITY, "resistance of the crystalline state";
        r_off: 1e7, "ohm", f64::MIN_POSITIVE, f64::INFINITY, "resistance at which the drift ends";
        r_reset: 1e6, "ohm", f64::MIN_POSITIVE, f64::INFINITY, "resistance just after melting";
        v_set: 0.6, "V", f64::MIN_POSITIVE, f64::INFINITY, "voltage from which the cell crystallises";
        v_melt: 1.2, "V", f64::MIN_POSITIVE, f64::INFINITY, "voltage from which the cell melts";
        t_set: 100e-9, "s", f64::MIN_POSITIVE, f64::INFINITY, "time constant of crystallisation";
        t_melt: 1e-9, "s", f64::MIN_POSITIVE, f64::INFINITY, "time constant of melting";
        nu: 0.05, "", f64::MIN_POSITIVE, 1.0, "drift exponent";
        t_0: 1.0, "s", f64::MIN_POSITIVE, f64::INFINITY, "time from which drift shows";
    }
}

/// The model.
#[derive(Clone, Debug, Default)]
pub struct Pcm {
    /// Numeric parameters.
    pub parameters: PcmParameters,
    /// Conductance at the beginning in S; `None` for `1 / r_on`.
    pub start_conductance: Option<f64>,
    /// Time step of a trace in s; `None` for [`TIME_STEP`].
    pub time_step: Option<f64>,
}

/// Time step of a trace in s, where none is given.
pub const TIME_STEP: f64 = 1e-9;

/// What can be set, besides the numeric parameters; then all of it.
const OPTIONS: [Field; 2] = [
    Field::new("time_step", Kind::Real, Preset::Real(TIME_STEP), "time step of a trace")
        .unit("s")
        .range(f64::MIN_POSITIVE, f64::INFINITY),
    Field::new(
        "start_conductance",
        Kind::Real,
        Preset::Absent,
        "conductance at the beginning; absent: 1 / r_on",
    )
    .unit("S")
    .range(f64::MIN_POSITIVE, f64::INFINITY),
];
const FIELDS: &[Field] = &{
    let mut all = [OPTIONS[0]; OPTIONS.len() + PcmParameters::FIELDS.len()];
    all[1] = OPTIONS[1];
    let mut at = 0;
    while at < PcmParameters::FIELDS.len() {
        all[OPTIONS.len() + at] = PcmParameters::FIELDS[at];
        at += 1;
    }
    all
};

impl DeviceModel for Pcm {
    const NAME: &'static str = "pcm-drift";
    const PARAMETERS: &'static [&'static str] = PcmParameters::NAMES;
    const FIELDS: &'static [Field] = FIELDS;
    const STATE: &'static str = "ln(R / r_on)";
    const SWEEPS: Option<Sweeps> = Some(Sweeps::new((1.5, 1e6, 3e-6), (1.5, 1e6)));
    type Prepared<L: Lane> = (PcmLanes<L>, L, L);

    fn from_table(table: &Table) -> Result<Self, DeviceError> {
        let real = |name| table.get(name).and_then(Value::as_real);
        let model = Self {
            parameters: PcmParameters::from_table(table),
            start_conductance: real("start_conductance"),
            time_step: real("time_step"),
        };
        model.validate(&model.nominal())?;
        let (p, wrong) = (&model.parameters, |parameter, value, expected: &str| {
            Err(DeviceError::Parameter { parameter, value, expected: expected.to_owned() })
        });
        match (model.time_step, model.start_conductance) {
            (Some(dt), _) if !(dt > 0.0 && dt.is_finite()) => wrong("time_step", dt, "a positive time"),
            (_, Some(g)) if !(g >= (1.0 - 1e-12) / p.r_off && g <= (1.0 + 1e-12) / p.r_on) => {
                wrong("start_conductance", g, "a conductance from 1/r_off to 1/r_on")
            }
            _ => Ok(model),
        }
    }

    fn nominal(&self) -> Vec<f64> {
        self.parameters.values()
    }

    fn time_step(&self) -> f64 {
        self.time_step.unwrap_or(TIME_STEP)
    }

    fn start_conductance(&self) -> Option<f64> {
        self.start_conductance
    }

    fn validate(&self, values: &[f64]) -> Result<(), DeviceError> {
        let p = PcmParameters::from_values(values);
        let wrong = |parameter, value, expected: &str| {
            Err(DeviceError::Parameter { parameter, value, expected: expected.to_owned() })
        };
        if let Some(at) = values.iter().position(|x| !(*x > 0.0 && x.is_finite())) {
            return wrong(PcmParameters::NAMES[at.min(8)], values[at], "a positive number");
        }
        if !(p.r_on < p.r_reset) {
            return wrong("r_on", p.r_on, "a resistance below r_reset");
        }
        if !(p.r_reset < p.r_off) {
            return wrong("r_reset", p.r_reset, "a resistance below r_off");
        }
        if p.v_set > p.v_melt { wrong("v_set", p.v_set, "a voltage of at most v_melt") } else { Ok(()) }
    }

    #[inline(always)]
    fn prepare<L: Lane>(&self, values: &[L]) -> Self::Prepared<L> {
        let p = PcmLanes::new(values);
        (p, (p.r_reset / p.r_on).ln(), (p.r_off / p.r_on).ln())
    }

    #[inline(always)]
    fn conductance<L: Lane>(&self, (p, _, _): &Self::Prepared<L>, state: L) -> L {
        (-state).exp() / p.r_on
    }

    #[inline(always)]
    fn state<L: Lane>(&self, (p, _, most): &Self::Prepared<L>, conductance: L) -> L {
        (-(conductance * p.r_on).ln()).clamp(L::splat(0.0), *most)
    }

    #[inline(always)]
    fn current<L: Lane>(&self, prepared: &Self::Prepared<L>, state: L, voltage: L) -> L {
        self.conductance(prepared, state) * voltage
    }

    #[inline(always)]
    fn step<L: Lane>(&self, prepared: &Self::Prepared<L>, state: L, voltage: L, dt: f64, _normal: L) -> L {
        let (p, reset, most) = prepared;
        let (u, dt) = (voltage.abs(), L::splat(dt));
        // Drift from age exp((s - reset) / nu) in units of t_0; a state short of `reset`, but for rounding, stays.
        let age = ((state - *reset) / p.nu).exp();
        let drifted = state + p.nu * (dt / (p.t_0 * age)).ln_1p();
        let rest = L::select(state.below(*reset * L::splat(1.0 - 1e-9)), state, drifted);
        let crystallised = state * (-(dt / p.t_set)).exp();
        let molten = *reset + (state - *reset) * (-(dt / p.t_melt)).exp();
        let cold = L::select(u.below(p.v_set), rest, crystallised);
        L::select(u.below(p.v_melt), cold, molten).clamp(L::splat(0.0), *most)
    }
}
