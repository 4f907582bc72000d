use memtorch_utils::config::{Default as Preset, Field, Kind, Table, Value};

use super::shared::{self, START, check, joined};
use crate::{DeviceError, DeviceModel, Job, Lane, Pulses, Sweeps, Window, device_parameters, kernel};

device_parameters! {
    /// Parameters of [`Vteam`].
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
    pub struct VteamParameters / VteamLanes {
        r_on: 50.0, "ohm", f64::MIN_POSITIVE, f64::INFINITY, "resistance of the ON state";
        r_off: 1000.0, "ohm", f64::MIN_POSITIVE, f64::INFINITY, "resistance of the OFF state";
        k_on: -10.0, "m/s", f64::NEG_INFINITY, f64::INFINITY, "velocity of the state towards ON, negative";
        k_off: 5e-4, "m/s", f64::NEG_INFINITY, f64::INFINITY, "velocity of the state towards OFF, positive";
        alpha_on: 3.0, "", f64::NEG_INFINITY, f64::INFINITY, "exponent of the velocity towards ON";
        alpha_off: 1.0, "", f64::NEG_INFINITY, f64::INFINITY, "exponent of the velocity towards OFF";
        v_on: -0.2, "V", f64::NEG_INFINITY, f64::INFINITY, "threshold towards ON, negative";
        v_off: 0.02, "V", f64::NEG_INFINITY, f64::INFINITY, "threshold towards OFF, positive";
        w_on: 0.0, "m", f64::NEG_INFINITY, f64::INFINITY, "state at the ON resistance";
        w_off: 3e-9, "m", f64::NEG_INFINITY, f64::INFINITY, "state at the OFF resistance";
        window_p: 1.0, "", f64::MIN_POSITIVE, f64::INFINITY, "exponent of the window";
        window_j: 1.0, "", f64::MIN_POSITIVE, f64::INFINITY, "scale of Prodromakis' window";
        w_c: 107e-12, "m", f64::MIN_POSITIVE, f64::INFINITY, "width of the TEAM window";
    }
}

/// How the resistance of a VTEAM device follows its state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
pub enum ResistanceLaw {
    /// `R = R_on + (R_off - R_on) u`.
    #[default]
    Linear,
    /// `R = R_on exp(lambda u)`, `lambda = ln(R_off / R_on)`.
    Exponential,
}

/// VTEAM: a threshold model with a state w between w_on and w_off.
///
/// `dw/dt = k_off (v/v_off - 1)^alpha_off f_off(w)` for `v > v_off > 0`,
/// `dw/dt = k_on (v/v_on - 1)^alpha_on f_on(w)` for `v < v_on < 0`, else 0.
///
/// `u = (w - w_on)/(w_off - w_on)` gives the resistance ([`ResistanceLaw`]); `i = v / R`. f is a
/// [`Window`], none by default; the TEAM window takes w in metres, centred at `a_off` (default `w_off`) towards OFF
/// and at `a_on` (default `w_on`) towards ON. Symbols with units: [`VteamParameters`].
///
/// Valid for `0 < R_on < R_off`, `w_on < w_off`, `v_on < 0 < v_off`, `k_on < 0 < k_off`. A negative voltage
/// lowers the resistance (SET).
///
/// ```
/// use memtorch_devices::{Device, models::Vteam};
/// let device = Vteam::default();
/// assert_eq!((Device::r_on(&device), Device::r_off(&device)), (50.0, 1000.0));
/// ```
///
/// Exponents that are not whole go through the logarithm and are good to about 1e-14; at a large
/// `R_off / R_on` the linear law resolves conductances near `1/R_on` only to `1e-16 R_off / R_on`.
///
/// Kvatinsky, Ramadan, Friedman, Kolodny: VTEAM: a general model for voltage-controlled memristors, IEEE
/// Transactions on Circuits and Systems II 62, 2015, 786.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct Vteam {
    /// Numeric parameters.
    pub parameters: VteamParameters,
    /// How the resistance follows the state.
    pub resistance: ResistanceLaw,
    /// The window.
    pub window: Window,
    /// Centre of the TEAM window towards ON in m; `None` for `w_on`.
    pub a_on: Option<f64>,
    /// Centre of the TEAM window towards OFF in m; `None` for `w_off`.
    pub a_off: Option<f64>,
    /// Time step of a trace in s.
    pub time_step: f64,
    /// Conductance at the beginning in S; `None` for `1 / r_on`.
    pub start_conductance: Option<f64>,
}

impl Default for Vteam {
    fn default() -> Self {
        Self {
            parameters: VteamParameters::default(),
            resistance: ResistanceLaw::Linear,
            window: Window::None,
            a_on: None,
            a_off: None,
            time_step: 1e-10,
            start_conductance: None,
        }
    }
}

/// What a step needs.
#[derive(Clone, Copy, Debug)]
pub struct VteamPrepared<L> {
    r_on: L,
    /// R_off - R_on.
    span: L,
    /// ln(R_off / R_on).
    lambda: L,
    w_on: L,
    w_off: L,
    /// 1 / (w_off - w_on).
    per_width: L,
    k_on: L,
    k_off: L,
    alpha_on: L,
    alpha_off: L,
    v_on: L,
    v_off: L,
    per_v_on: L,
    per_v_off: L,
    p: L,
    j: L,
    a_on: L,
    a_off: L,
    per_w_c: L,
}

const OPTIONS: &[Field] = &[
    shared::time_step(1e-10),
    START,
    Field::new(
        "resistance",
        Kind::Choice(&["linear", "exponential"]),
        Preset::Text("linear"),
        "how the resistance follows the state",
    ),
    Field::new(
        "window",
        Kind::Choice(&["none", "joglekar", "biolek", "prodromakis", "team"]),
        Preset::Text("none"),
        "factor that holds the state within its bounds",
    ),
    Field::new("a_on", Kind::Real, Preset::Absent, "centre of the TEAM window towards ON; absent: w_on")
        .unit("m"),
    Field::new("a_off", Kind::Real, Preset::Absent, "centre of the TEAM window towards OFF; absent: w_off")
        .unit("m"),
];

impl DeviceModel for Vteam {
    const NAME: &'static str = "vteam";
    const PARAMETERS: &'static [&'static str] = VteamParameters::NAMES;
    const FIELDS: &'static [Field] = &joined::<19>(&[OPTIONS, VteamParameters::FIELDS]);
    const MONOTONE: bool = true;
    const STATE: &'static str = "position (m)";
    const SWEEPS: Option<Sweeps> = Some(Sweeps::new((1.0, 50e6, 200e-9), (1.5, 50e6)));
    const PULSES: Option<Pulses> = Some(Pulses { set_voltage: -0.22, reset_voltage: 0.04, steps: 50 });
    const FITTED: &'static [&'static str] =
        &["r_on", "r_off", "k_on", "k_off", "alpha_on", "alpha_off", "v_on", "v_off"];
    type Prepared<L: Lane> = VteamPrepared<L>;

    fn from_table(table: &Table) -> Result<Self, DeviceError> {
        Self {
            parameters: VteamParameters::from_table(table),
            resistance: match table.get("resistance").and_then(Value::as_text) {
                Some("exponential") => ResistanceLaw::Exponential,
                _ => ResistanceLaw::Linear,
            },
            window: shared::window(table),
            a_on: shared::real(table, "a_on"),
            a_off: shared::real(table, "a_off"),
            time_step: shared::real(table, "time_step").unwrap_or(1e-10),
            start_conductance: shared::real(table, "start_conductance"),
        }
        .checked()
    }

    fn nominal(&self) -> Vec<f64> {
        self.parameters.values()
    }

    fn time_step(&self) -> f64 {
        self.time_step
    }

    fn start_conductance(&self) -> Option<f64> {
        self.start_conductance
    }

    fn caution(&self, _dt: f64) -> Option<String> {
        self.window.caution()
    }

    fn validate(&self, values: &[f64]) -> Result<(), DeviceError> {
        let p = VteamParameters::from_values(values);
        let rules = [
            ("k_on", p.k_on, p.k_on < 0.0, "a negative number"),
            ("k_off", p.k_off, p.k_off > 0.0, "a positive number"),
            ("v_on", p.v_on, p.v_on < 0.0, "a negative number"),
            ("v_off", p.v_off, p.v_off > 0.0, "a positive number"),
            ("w_on", p.w_on, p.w_on < p.w_off, "a number below w_off"),
            ("window_p", p.window_p, p.window_p > 0.0, "a positive number"),
            ("window_j", p.window_j, p.window_j > 0.0, "a positive number"),
            ("w_c", p.w_c, p.w_c > 0.0, "a positive number"),
            ("a_on", self.a_on.unwrap_or(0.0), self.a_on.is_none_or(f64::is_finite), "a finite number"),
            ("a_off", self.a_off.unwrap_or(0.0), self.a_off.is_none_or(f64::is_finite), "a finite number"),
        ];
        check(Self::PARAMETERS, values, p.r_on, p.r_off, &rules)
    }

    #[inline(never)]
    fn run_job(&self, job: Job<'_>) {
        kernel::run(self, job);
    }

    #[inline(always)]
    fn prepare<L: Lane>(&self, values: &[L]) -> VteamPrepared<L> {
        let p = VteamLanes::new(values);
        let one = L::splat(1.0);
        let lambda = match self.resistance {
            ResistanceLaw::Linear => one,
            ResistanceLaw::Exponential => (p.r_off / p.r_on).ln(),
        };
        VteamPrepared {
            r_on: p.r_on,
            span: p.r_off - p.r_on,
            lambda,
            w_on: p.w_on,
            w_off: p.w_off,
            per_width: one / (p.w_off - p.w_on),
            k_on: p.k_on,
            k_off: p.k_off,
            alpha_on: p.alpha_on,
            alpha_off: p.alpha_off,
            v_on: p.v_on,
            v_off: p.v_off,
            per_v_on: one / p.v_on,
            per_v_off: one / p.v_off,
            p: p.window_p,
            j: p.window_j,
            a_on: self.a_on.map_or(p.w_on, L::splat),
            a_off: self.a_off.map_or(p.w_off, L::splat),
            per_w_c: one / p.w_c,
        }
    }

    #[inline(always)]
    fn conductance<L: Lane>(&self, p: &Self::Prepared<L>, state: L) -> L {
        L::splat(1.0) / self.resistance_of(p, state)
    }

    #[inline(always)]
    fn state<L: Lane>(&self, p: &Self::Prepared<L>, conductance: L) -> L {
        let one = L::splat(1.0);
        let u = match self.resistance {
            ResistanceLaw::Linear => (one / conductance - p.r_on) / p.span,
            ResistanceLaw::Exponential => (one / (conductance * p.r_on)).ln() / p.lambda,
        };
        (p.w_on + (p.w_off - p.w_on) * u).clamp(p.w_on, p.w_off)
    }

    #[inline(always)]
    fn current<L: Lane>(&self, p: &Self::Prepared<L>, state: L, voltage: L) -> L {
        voltage / self.resistance_of(p, state)
    }

    #[inline(always)]
    fn step<L: Lane>(&self, p: &Self::Prepared<L>, state: L, voltage: L, dt: f64, _normal: L) -> L {
        let (zero, one) = (L::splat(0.0), L::splat(1.0));
        let (off, on) = (voltage.above(p.v_off), voltage.below(p.v_on));
        let mut rate = zero;
        if L::any(off) {
            let drive = voltage.mul_add(p.per_v_off, -one).max(zero);
            let velocity = p.k_off * drive.pow(p.alpha_off) * self.window_of(p, state, off, true);
            rate = L::select(off, velocity, rate);
        }
        if L::any(on) {
            let drive = voltage.mul_add(p.per_v_on, -one).max(zero);
            let velocity = p.k_on * drive.pow(p.alpha_on) * self.window_of(p, state, off, false);
            rate = L::select(on, velocity, rate);
        }
        (state + L::splat(dt) * rate).clamp(p.w_on, p.w_off)
    }
}

impl Vteam {
    #[inline(always)]
    fn resistance_of<L: Lane>(&self, p: &VteamPrepared<L>, state: L) -> L {
        let u = (state - p.w_on) * p.per_width;
        match self.resistance {
            ResistanceLaw::Linear => p.r_on + p.span * u,
            ResistanceLaw::Exponential => p.r_on * (p.lambda * u).exp(),
        }
    }

    /// The window of a state that is driven to OFF or to ON.
    #[inline(always)]
    fn window_of<L: Lane>(&self, p: &VteamPrepared<L>, state: L, up: L::Mask, to_off: bool) -> L {
        if self.window != Window::Team {
            let x = (state - p.w_on) * p.per_width;
            return self.window.factor(x, up, p.p, p.j);
        }
        let argument = if to_off { state - p.a_off } else { p.a_on - state };
        (-(argument * p.per_w_c).exp()).exp()
    }
}
