use memtorch_utils::config::{Default as Preset, Field, Kind, Table, Value};

use super::data_driven::polynomial;
use super::shared::{self, START, check, check_lists, joined};
use crate::{DeviceError, DeviceModel, Job, Lane, Pulses, Sweeps, device_parameters, kernel};

device_parameters! {
    /// Parameters of [`DataDriven2021`].
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
    pub struct DataDriven2021Parameters / DataDriven2021Lanes {
        r_on: 1600.0, "ohm", f64::MIN_POSITIVE, f64::INFINITY, "resistance of the ON state";
        r_off: 3000.0, "ohm", f64::MIN_POSITIVE, f64::INFINITY, "resistance of the OFF state";
        rate_p: 600.10075, "1/(ohm s)", f64::NEG_INFINITY, f64::INFINITY, "rate A_p at positive voltage";
        rate_n: -34.5988399, "1/(ohm s)", f64::NEG_INFINITY, f64::INFINITY, "rate A_n at negative voltage";
        t_p: -0.0212028, "V", f64::NEG_INFINITY, f64::INFINITY, "voltage over which the rate grows, positive voltage";
        t_n: -0.05343997, "V", f64::NEG_INFINITY, f64::INFINITY, "voltage over which the rate grows, negative voltage";
        a_p: 0.32046175, "", f64::MIN_POSITIVE, f64::INFINITY, "scale of the current at positive voltage";
        a_n: 0.32046175, "", f64::MIN_POSITIVE, f64::INFINITY, "scale of the current at negative voltage";
        b_p: 2.71689828, "1/V", f64::MIN_POSITIVE, f64::INFINITY, "bend of the current at positive voltage";
        b_n: 2.71689828, "1/V", f64::MIN_POSITIVE, f64::INFINITY, "bend of the current at negative voltage";
    }
}

/// The data-driven model of 2021: a simpler window than that of 2018.
///
/// `i = (a / R) sinh(b v)` with the a and b of the voltage's sign. `s = A (exp(|v| / t) - 1)`,
/// `r(v) = c0 + c1 v + ...`, `dR/dt = s (r - R)^2` where `s (r - R) > 0`, else 0. A step is the exact solution over
/// a constant voltage, `R' = r + (R - r) / (1 + s (r - R) dt)`, clipped to `[R_on, R_off]`. The conductance is `1/R`.
/// Symbols with units: [`DataDriven2021Parameters`]; A is `rate_p` or `rate_n`.
///
/// Valid for `0 < R_on < R_off` and t that are not 0. A positive voltage lowers the resistance (SET) with the
/// defaults.
///
/// ```
/// use memtorch_devices::{Device, models::DataDriven2021};
/// assert_eq!(Device::r_off(&DataDriven2021::default()), 3000.0);
/// ```
///
/// Close to r the step loses digits to `R - r`; what is lost is far below a hundredth of an ohm.
///
/// arXiv 2012.02267.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct DataDriven2021 {
    /// Numeric parameters.
    pub parameters: DataDriven2021Parameters,
    /// Coefficients of `r(v)` at positive voltage in ohm, ohm/V, ...
    pub r_p: Vec<f64>,
    /// Coefficients of `r(v)` at negative voltage in ohm, ohm/V, ...
    pub r_n: Vec<f64>,
    /// Time step of a trace in s.
    pub time_step: f64,
    /// Conductance at the beginning in S; `None` for `1 / r_on`.
    pub start_conductance: Option<f64>,
}

const R_P: &[f64] = &[2699.2336, -672.930205];
const R_N: &[f64] = &[649.413746, -1474.32358];

impl Default for DataDriven2021 {
    fn default() -> Self {
        Self {
            parameters: DataDriven2021Parameters::default(),
            r_p: R_P.to_vec(),
            r_n: R_N.to_vec(),
            time_step: 1e-8,
            start_conductance: None,
        }
    }
}

const OPTIONS: &[Field] = &[
    shared::time_step(1e-8),
    START,
    Field::new("r_p", Kind::Reals, Preset::Reals(R_P), "polynomial of the bound at positive voltage")
        .unit("ohm"),
    Field::new("r_n", Kind::Reals, Preset::Reals(R_N), "polynomial of the bound at negative voltage")
        .unit("ohm"),
];

impl DeviceModel for DataDriven2021 {
    const NAME: &'static str = "data-driven-2021";
    const PARAMETERS: &'static [&'static str] = DataDriven2021Parameters::NAMES;
    const FIELDS: &'static [Field] = &joined::<14>(&[OPTIONS, DataDriven2021Parameters::FIELDS]);
    const OHMIC: bool = false;
    const PROPORTIONAL: bool = true;
    const STATE: &'static str = "resistance (ohm)";
    const SWEEPS: Option<Sweeps> = Some(Sweeps::new((1.5, 10e3, 1e-3), (1.5, 10e3)));
    const PULSES: Option<Pulses> = Some(Pulses { set_voltage: 2.0, reset_voltage: -3.0, steps: 1 });
    const FITTED: &'static [&'static str] = &["rate_p", "rate_n", "a_p", "a_n", "b_p", "b_n"];
    type Prepared<L: Lane> = DataDriven2021Lanes<L>;

    fn from_table(table: &Table) -> Result<Self, DeviceError> {
        let list = |name: &str| table.get(name).and_then(Value::as_reals).unwrap_or_default();
        Self {
            parameters: DataDriven2021Parameters::from_table(table),
            r_p: list("r_p"),
            r_n: list("r_n"),
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
        let p = DataDriven2021Parameters::from_values(values);
        let rules = [
            ("t_p", p.t_p, p.t_p != 0.0, "a number other than 0"),
            ("t_n", p.t_n, p.t_n != 0.0, "a number other than 0"),
        ];
        check_lists([("r_p", &self.r_p), ("r_n", &self.r_n)])?;
        check(Self::PARAMETERS, values, p.r_on, p.r_off, &rules)
    }

    #[inline(never)]
    fn run_job(&self, job: Job<'_>) {
        kernel::run(self, job);
    }

    #[inline(always)]
    fn prepare<L: Lane>(&self, values: &[L]) -> DataDriven2021Lanes<L> {
        DataDriven2021Lanes::new(values)
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
        let positive = voltage.above(L::splat(0.0));
        let (a, b) = (L::select(positive, p.a_p, p.a_n), L::select(positive, p.b_p, p.b_n));
        a / resistance * (b * voltage).sinh()
    }

    #[inline(always)]
    fn step<L: Lane>(&self, p: &Self::Prepared<L>, resistance: L, voltage: L, dt: f64, _normal: L) -> L {
        let zero = L::splat(0.0);
        let positive = voltage.above(zero);
        let pick = |a: L, b: L| L::select(positive, a, b);
        let s = pick(p.rate_p, p.rate_n) * (voltage.abs() / pick(p.t_p, p.t_n)).exp_m1();
        let bound = pick(polynomial(&self.r_p, voltage), polynomial(&self.r_n, voltage));
        let drive = s * (bound - resistance);
        let moved = bound + (resistance - bound) / (L::splat(1.0) + drive * L::splat(dt));
        let moves = L::select(drive.above(zero), moved, resistance);
        // At 0 V nothing moves, whatever the rate.
        let still = voltage.compare(zero, |v, zero| v == zero);
        L::select(still, resistance, moves).clamp(p.r_on, p.r_off)
    }
}
