use memtorch_utils::config::{Default as Preset, Field, Kind, Table};

use super::shared::{self, START, check, joined};
use crate::{DeviceError, DeviceModel, Job, Lane, Pulses, Sweeps, Window, device_parameters, kernel};

device_parameters! {
    /// Parameters of [`LinearIonDrift`].
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
    pub struct LinearIonDriftParameters / LinearIonDriftLanes {
        r_on: 100.0, "ohm", f64::MIN_POSITIVE, f64::INFINITY, "resistance of the ON state";
        r_off: 16e3, "ohm", f64::MIN_POSITIVE, f64::INFINITY, "resistance of the OFF state";
        u_v: 1e-14, "m2/(V s)", f64::MIN_POSITIVE, f64::INFINITY, "mobility of the dopants";
        d: 10e-9, "m", f64::MIN_POSITIVE, f64::INFINITY, "thickness of the film";
        v_pos: 0.55, "V", f64::NEG_INFINITY, f64::INFINITY, "least positive voltage that moves the state";
        v_neg: -0.55, "V", f64::NEG_INFINITY, f64::INFINITY, "greatest negative voltage that moves the state";
        window_p: 1.0, "", f64::MIN_POSITIVE, f64::INFINITY, "exponent of the window";
        window_j: 1.0, "", f64::MIN_POSITIVE, f64::INFINITY, "scale of Prodromakis' window";
    }
}

/// Linear ion drift.
///
/// A film of thickness D whose doped part x in [0, 1] conducts well; the border drifts with the current:
///
/// `M(x) = R_on x + R_off (1 - x)`, `i = v / M(x)`, `dx/dt = u_v R_on / D^2 i f(x)`
///
/// for `v >= v_pos` or `v <= v_neg`; between these thresholds the state does not move. f is a
/// [`Window`], Biolek's by default. Symbols with units and bounds: [`LinearIonDriftParameters`].
///
/// Valid for `0 < R_on < R_off`. A positive voltage lowers the resistance (SET). With the windows of
/// Joglekar and Prodromakis a device at a bound, such as one that starts at `R_on`, stays there for ever.
///
/// ```
/// use memtorch_devices::{DeviceSpec, models::LinearIonDrift, Device};
/// let device = LinearIonDrift::default();
/// assert_eq!(Device::r_on(&device), 100.0);
/// ```
///
/// Near x = 0 and x = 1 the state has a resolution of 1e-16, so that `1 - x` loses digits there.
///
/// Strukov, Snider, Stewart, Williams: The missing memristor found, Nature 453, 2008, 80.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct LinearIonDrift {
    /// Numeric parameters.
    pub parameters: LinearIonDriftParameters,
    /// The window; Team is VTEAM's alone.
    pub window: Window,
    /// Time step of a trace in s.
    pub time_step: f64,
    /// Conductance at the beginning in S; `None` for `1 / r_on`.
    pub start_conductance: Option<f64>,
}

impl Default for LinearIonDrift {
    fn default() -> Self {
        Self {
            parameters: LinearIonDriftParameters::default(),
            window: Window::Biolek,
            time_step: 1e-4,
            start_conductance: None,
        }
    }
}

/// What a step needs.
#[derive(Clone, Copy, Debug)]
pub struct LinearIonDriftPrepared<L> {
    r_off: L,
    /// R_off - R_on.
    span: L,
    /// u_v R_on / D^2.
    rate: L,
    v_pos: L,
    v_neg: L,
    p: L,
    j: L,
}

const OPTIONS: &[Field] = &[
    shared::time_step(1e-4),
    START,
    Field::new(
        "window",
        Kind::Choice(&["none", "joglekar", "biolek", "prodromakis"]),
        Preset::Text("biolek"),
        "factor that holds the state within its bounds",
    ),
];

impl DeviceModel for LinearIonDrift {
    const NAME: &'static str = "linear-ion-drift";
    const PARAMETERS: &'static [&'static str] = LinearIonDriftParameters::NAMES;
    const FIELDS: &'static [Field] = &joined::<11>(&[OPTIONS, LinearIonDriftParameters::FIELDS]);
    const MONOTONE: bool = true;
    const STATE: &'static str = "doped part of the film";
    const SWEEPS: Option<Sweeps> = Some(Sweeps::new((5.0, 2.5, 4.0), (5.0, 2.5)));
    const PULSES: Option<Pulses> = Some(Pulses { set_voltage: 1.0, reset_voltage: -1.0, steps: 5 });
    const FITTED: &'static [&'static str] = &["r_on", "r_off", "u_v"];
    type Prepared<L: Lane> = LinearIonDriftPrepared<L>;

    fn from_table(table: &Table) -> Result<Self, DeviceError> {
        Self {
            parameters: LinearIonDriftParameters::from_table(table),
            window: shared::window(table),
            time_step: shared::real(table, "time_step").unwrap_or(1e-4),
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
        let p = LinearIonDriftParameters::from_values(values);
        let rules = [
            ("u_v", p.u_v, p.u_v > 0.0, "a positive number"),
            ("d", p.d, p.d > 0.0, "a positive number"),
            ("v_pos", p.v_pos, p.v_pos >= p.v_neg, "a number of at least v_neg"),
            ("window_p", p.window_p, p.window_p > 0.0, "a positive number"),
            ("window_j", p.window_j, p.window_j > 0.0, "a positive number"),
        ];
        check(Self::PARAMETERS, values, p.r_on, p.r_off, &rules)
    }

    #[inline(never)]
    fn run_job(&self, job: Job<'_>) {
        kernel::run(self, job);
    }

    #[inline(always)]
    fn prepare<L: Lane>(&self, values: &[L]) -> LinearIonDriftPrepared<L> {
        let p = LinearIonDriftLanes::new(values);
        LinearIonDriftPrepared {
            r_off: p.r_off,
            span: p.r_off - p.r_on,
            rate: p.u_v * p.r_on / (p.d * p.d),
            v_pos: p.v_pos,
            v_neg: p.v_neg,
            p: p.window_p,
            j: p.window_j,
        }
    }

    #[inline(always)]
    fn conductance<L: Lane>(&self, p: &Self::Prepared<L>, state: L) -> L {
        L::splat(1.0) / (p.r_off - p.span * state)
    }

    #[inline(always)]
    fn state<L: Lane>(&self, p: &Self::Prepared<L>, conductance: L) -> L {
        ((p.r_off - L::splat(1.0) / conductance) / p.span).clamp(L::splat(0.0), L::splat(1.0))
    }

    #[inline(always)]
    fn current<L: Lane>(&self, p: &Self::Prepared<L>, state: L, voltage: L) -> L {
        voltage / (p.r_off - p.span * state)
    }

    #[inline(always)]
    fn step<L: Lane>(&self, p: &Self::Prepared<L>, state: L, voltage: L, dt: f64, _normal: L) -> L {
        let current = self.current(p, state, voltage);
        let up = voltage.above(L::splat(0.0));
        let factor = self.window.factor(state, up, p.p, p.j);
        let moved = state + L::splat(dt) * (p.rate * current * factor);
        let moved = moved.clamp(L::splat(0.0), L::splat(1.0));
        let still = L::select(voltage.compare(p.v_neg, |v, low| v <= low), moved, state);
        L::select(voltage.compare(p.v_pos, |v, high| v >= high), moved, still)
    }
}
