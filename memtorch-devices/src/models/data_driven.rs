use memtorch_utils::config::{Default as Preset, Field, Kind, Table, Value};

use super::shared::{self, START, check, check_lists, joined};
use crate::{DeviceError, DeviceModel, Job, Lane, Pulses, Sweeps, device_parameters, kernel};

device_parameters! {
    /// Parameters of [`DataDriven`].
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
    pub struct DataDrivenParameters / DataDrivenLanes {
        r_on: 1280.0, "ohm", f64::MIN_POSITIVE, f64::INFINITY, "resistance of the ON state";
        r_off: 17e3, "ohm", f64::MIN_POSITIVE, f64::INFINITY, "resistance of the OFF state";
        rate_p: 743.47, "ohm/s", f64::NEG_INFINITY, f64::INFINITY, "rate A_p at positive voltage";
        rate_n: -68012.28374, "ohm/s", f64::NEG_INFINITY, f64::INFINITY, "rate A_n at negative voltage";
        t_p: 6.51, "1/V", f64::NEG_INFINITY, f64::INFINITY, "growth of the rate with positive voltage";
        t_n: 0.31645, "1/V", f64::NEG_INFINITY, f64::INFINITY, "growth of the rate with negative voltage";
        k_p: 5.11e-4, "1/ohm", f64::MIN_POSITIVE, f64::INFINITY, "slope of the window at positive voltage";
        k_n: 1.17e-3, "1/ohm", f64::MIN_POSITIVE, f64::INFINITY, "slope of the window at negative voltage";
        a_p: 0.24, "", f64::MIN_POSITIVE, f64::INFINITY, "scale of the current at positive voltage";
        a_n: 0.24, "", f64::MIN_POSITIVE, f64::INFINITY, "scale of the current at negative voltage";
        b_p: 3.0, "1/V", f64::MIN_POSITIVE, f64::INFINITY, "bend of the current at positive voltage";
        b_n: 3.0, "1/V", f64::MIN_POSITIVE, f64::INFINITY, "bend of the current at negative voltage";
    }
}

/// The data-driven model of 2018: resistance as the state, with rates fitted to measurements.
///
/// `i = (a_p / R) sinh(b_p v)` for v > 0, with `a_n`, `b_n` otherwise. `dR/dt = s(v) f(R, v)`,
/// `s = A (exp(t |v|) - 1)`; `f = exp(eta k_p (r_p(v) - R)) - 1` where `eta (r_p - R) > 0` for v > 0,
/// `f = exp(eta k_n (R - r_n(v))) - 1` where `eta (R - r_n) > 0` for v < 0, else 0. `r_p` and `r_n` are polynomials in
/// v with its sign, `c0 + c1 v + ...`; their lists are one for all devices.
///
/// A step is the exact solution over a constant voltage. With `z = sign(v)`, `u = z eta k (r - R)`,
/// `sigma = z eta k s dt`: where both are positive, `R' = R + (z eta / k) ln(1 + (1 - e^-sigma)(e^u - 1))`, clipped to
/// `[R_on, R_off]`. The conductance is `1/R`. Symbols with units: [`DataDrivenParameters`]; A is `rate_p` or `rate_n`.
///
/// Valid for `0 < R_on < R_off`, eta of 1 or -1, `eta A_p > 0`, `eta A_n < 0`. A negative voltage lowers the resistance
/// (SET) with the defaults.
///
/// ```
/// use memtorch_devices::{Device, models::DataDriven};
/// assert_eq!(Device::r_off(&DataDriven::default()), 17e3);
/// ```
///
/// For u above 500 the logarithm is taken as `u + ln(1 - e^-sigma + e^-(u + sigma))`, so that e^u does not overflow.
///
/// Messaris, Serb, Stathopoulos, Khiat, Nikolaidis, Prodromakis: A data-driven Verilog-A ReRAM model, IEEE
/// Transactions on Computer-Aided Design 37, 2018, 3151.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct DataDriven {
    /// Numeric parameters.
    pub parameters: DataDrivenParameters,
    /// Coefficients of `r_p(v)` in ohm, ohm/V, ...
    pub r_p: Vec<f64>,
    /// Coefficients of `r_n(v)` in ohm, ohm/V, ...
    pub r_n: Vec<f64>,
    /// 1 or -1: the direction of switching.
    pub eta: f64,
    /// Time step of a trace in s.
    pub time_step: f64,
    /// Conductance at the beginning in S; `None` for `1 / r_on`.
    pub start_conductance: Option<f64>,
}

const R_P: &[f64] = &[16719.0, 0.0];
const R_N: &[f64] = &[29304.82557, 23692.77225];

impl Default for DataDriven {
    fn default() -> Self {
        Self {
            parameters: DataDrivenParameters::default(),
            r_p: R_P.to_vec(),
            r_n: R_N.to_vec(),
            eta: 1.0,
            time_step: 1e-8,
            start_conductance: None,
        }
    }
}

/// What a step needs, of each sign of the voltage.
#[derive(Clone, Copy, Debug)]
pub struct DataDrivenPrepared<L> {
    r_on: L,
    r_off: L,
    positive: Branch<L>,
    negative: Branch<L>,
}

/// One sign of the voltage; `z eta` is the direction in which the resistance moves.
#[derive(Clone, Copy, Debug)]
struct Branch<L> {
    a: L,
    b: L,
    t: L,
    /// z eta k.
    slope: L,
    /// 1 / (z eta k).
    per_slope: L,
    /// z eta k A.
    growth: L,
}

impl<L: Lane> Branch<L> {
    #[inline(always)]
    fn pick(positive: L::Mask, p: &Self, n: &Self) -> Self {
        let pick = |p, n| L::select(positive, p, n);
        Self {
            a: pick(p.a, n.a),
            b: pick(p.b, n.b),
            t: pick(p.t, n.t),
            slope: pick(p.slope, n.slope),
            per_slope: pick(p.per_slope, n.per_slope),
            growth: pick(p.growth, n.growth),
        }
    }
}

/// Beyond it e^u would overflow.
const FAR: f64 = 500.0;

const OPTIONS: &[Field] = &[
    shared::time_step(1e-8),
    START,
    Field::new("r_p", Kind::Reals, Preset::Reals(R_P), "polynomial of the bound at positive voltage")
        .unit("ohm"),
    Field::new("r_n", Kind::Reals, Preset::Reals(R_N), "polynomial of the bound at negative voltage")
        .unit("ohm"),
    Field::new("eta", Kind::Real, Preset::Real(1.0), "direction of switching: 1 or -1").range(-1.0, 1.0),
];

impl DeviceModel for DataDriven {
    const NAME: &'static str = "data-driven";
    const PARAMETERS: &'static [&'static str] = DataDrivenParameters::NAMES;
    const FIELDS: &'static [Field] = &joined::<17>(&[OPTIONS, DataDrivenParameters::FIELDS]);
    const OHMIC: bool = false;
    const PROPORTIONAL: bool = true;
    const STATE: &'static str = "resistance (ohm)";
    const SWEEPS: Option<Sweeps> = Some(Sweeps::new((1.5, 10e3, 1e-3), (1.5, 10e3)));
    const PULSES: Option<Pulses> = Some(Pulses { set_voltage: -1.5, reset_voltage: 1.2, steps: 1 });
    const FITTED: &'static [&'static str] = &["rate_p", "rate_n", "t_p", "a_p", "a_n", "b_p", "b_n"];
    type Prepared<L: Lane> = DataDrivenPrepared<L>;

    fn from_table(table: &Table) -> Result<Self, DeviceError> {
        let list = |name: &str| table.get(name).and_then(Value::as_reals).unwrap_or_default();
        Self {
            parameters: DataDrivenParameters::from_table(table),
            r_p: list("r_p"),
            r_n: list("r_n"),
            eta: shared::real(table, "eta").unwrap_or(1.0),
            time_step: shared::real(table, "time_step").unwrap_or(1e-8),
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

    fn validate(&self, values: &[f64]) -> Result<(), DeviceError> {
        let p = DataDrivenParameters::from_values(values);
        let positive = |name, value: f64| (name, value, value > 0.0, "a positive number");
        let rules = [
            ("eta", self.eta, self.eta.abs() == 1.0, "1 or -1"),
            ("rate_p", p.rate_p, self.eta * p.rate_p > 0.0, "a number with the sign of eta"),
            ("rate_n", p.rate_n, self.eta * p.rate_n < 0.0, "a number with the opposite sign of eta"),
            positive("k_p", p.k_p),
            positive("k_n", p.k_n),
        ];
        check_lists([("r_p", &self.r_p), ("r_n", &self.r_n)])?;
        check(Self::PARAMETERS, values, p.r_on, p.r_off, &rules)
    }

    #[inline(never)]
    fn run_job(&self, job: Job<'_>) {
        kernel::run(self, job);
    }

    #[inline(always)]
    fn prepare<L: Lane>(&self, values: &[L]) -> DataDrivenPrepared<L> {
        let p = DataDrivenLanes::new(values);
        let branch = |eta: f64, a, b, t, k: L, rate: L| {
            let slope = L::splat(eta) * k;
            Branch { a, b, t, slope, per_slope: L::splat(1.0) / slope, growth: slope * rate }
        };
        DataDrivenPrepared {
            r_on: p.r_on,
            r_off: p.r_off,
            positive: branch(self.eta, p.a_p, p.b_p, p.t_p, p.k_p, p.rate_p),
            negative: branch(-self.eta, p.a_n, p.b_n, p.t_n, p.k_n, p.rate_n),
        }
    }

    #[inline(always)]
    fn conductance<L: Lane>(&self, _p: &Self::Prepared<L>, resistance: L) -> L {
        L::splat(1.0) / resistance
    }

    #[inline(always)]
    fn state<L: Lane>(&self, p: &Self::Prepared<L>, conductance: L) -> L {
        (L::splat(1.0) / conductance).clamp(p.r_on, p.r_off)
    }

    #[inline(always)]
    fn current<L: Lane>(&self, p: &Self::Prepared<L>, resistance: L, voltage: L) -> L {
        let branch = Branch::pick(voltage.above(L::splat(0.0)), &p.positive, &p.negative);
        branch.a / resistance * (branch.b * voltage).sinh()
    }

    #[inline(always)]
    fn step<L: Lane>(&self, p: &Self::Prepared<L>, resistance: L, voltage: L, dt: f64, _normal: L) -> L {
        let zero = L::splat(0.0);
        let (positive, negative) = (voltage.above(zero), voltage.below(zero));
        let branch = Branch::pick(positive, &p.positive, &p.negative);
        // Mostly all devices see one voltage: one polynomial is enough. At 0 V nothing moves.
        let mut bound = zero;
        if L::any(positive) {
            bound = polynomial(&self.r_p, voltage);
        }
        if L::any(negative) {
            bound = L::select(negative, polynomial(&self.r_n, voltage), bound);
        }
        let u = branch.slope * (bound - resistance);
        let sigma = branch.growth * (branch.t * voltage.abs()).exp_m1() * L::splat(dt);
        let moves = L::any(u.above(zero)) && L::any(sigma.above(zero));
        if !moves {
            return resistance.clamp(p.r_on, p.r_off);
        }
        let share = -(-sigma).exp_m1();
        let mut moved = (share * u.min(L::splat(FAR)).exp_m1()).ln_1p();
        let far = u.above(L::splat(FAR));
        if L::any(far) {
            moved = L::select(far, u + (share + (-(u + sigma)).exp()).ln(), moved);
        }
        let moved = resistance + branch.per_slope * moved;
        let moved = L::select(sigma.above(zero), moved, resistance);
        L::select(u.above(zero), moved, resistance).clamp(p.r_on, p.r_off)
    }
}

/// `c0 + c1 v + c2 v^2 + ...`
#[inline(always)]
pub(super) fn polynomial<L: Lane>(coefficients: &[f64], voltage: L) -> L {
    let mut sum = L::splat(0.0);
    for coefficient in coefficients.iter().rev() {
        sum = sum.mul_add(voltage, L::splat(*coefficient));
    }
    sum
}
