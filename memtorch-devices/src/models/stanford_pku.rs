use memtorch_utils::config::{Default as Preset, Field, Kind, Table, Value};

use super::shared::{self, START, check, joined};
use crate::{DeviceError, DeviceModel, Job, Lane, Pulses, Sweeps, device_parameters, kernel};

/// Boltzmann's constant in J/K.
const BOLTZMANN: f64 = 1.380_649e-23;
/// The elementary charge in C.
const CHARGE: f64 = 1.602_176_634e-19;

device_parameters! {
    /// Parameters of [`StanfordPku`].
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
    pub struct StanfordPkuParameters / StanfordPkuLanes {
        r_on: 542.0, "ohm", f64::MIN_POSITIVE, f64::INFINITY, "resistance of the ON state at v_read";
        r_off: 218586.0, "ohm", f64::MIN_POSITIVE, f64::INFINITY, "resistance of the OFF state at v_read";
        g_0: 0.25e-9, "m", f64::MIN_POSITIVE, f64::INFINITY, "length over which the current falls to 1/e";
        v_0: 0.25, "V", f64::MIN_POSITIVE, f64::INFINITY, "voltage of the hyperbolic sine of the current";
        i_0: 1e-3, "A", f64::MIN_POSITIVE, f64::INFINITY, "current at no gap and unit sinh";
        v_read: 0.1, "V", f64::MIN_POSITIVE, f64::INFINITY, "voltage at which the conductance is read";
        t_0: 298.0, "K", f64::MIN_POSITIVE, f64::INFINITY, "ambient temperature";
        r_th: 2.1e3, "K/W", 0.0, f64::INFINITY, "thermal resistance";
        gamma_0: 16.0, "", f64::NEG_INFINITY, f64::INFINITY, "field enhancement without gap";
        beta: 0.8, "", f64::NEG_INFINITY, f64::INFINITY, "loss of field enhancement with the cube of the gap in nm";
        t_ox: 12e-9, "m", f64::MIN_POSITIVE, f64::INFINITY, "thickness of the oxide";
        f_min: 1.4e9, "V/m", 0.0, f64::INFINITY, "least field that enhances";
        nu_0: 10.0, "m/s", 0.0, f64::INFINITY, "velocity of the gap";
        e_a: 0.6, "eV", f64::NEG_INFINITY, f64::INFINITY, "activation energy";
        a_0: 0.25e-9, "m", 0.0, f64::INFINITY, "distance of hopping sites";
        delta_g_0: 0.02, "m/s", 0.0, f64::INFINITY, "noise of the gap, dynamic variant only";
        t_crit: 450.0, "K", f64::MIN_POSITIVE, f64::INFINITY, "temperature above which noise sets in";
        t_smth: 500.0, "K", f64::MIN_POSITIVE, f64::INFINITY, "width of that transition";
    }
}

/// The RRAM model of Stanford and Peking universities: a gap between a filament and an electrode.
///
/// `I = i_0 exp(-g/g_0) sinh(V/v_0)`, `T = t_0 + |V I| r_th`, `gamma = gamma_0 - beta (g / 1 nm)^3`, and 0
/// where `gamma |V| / t_ox < f_min`;
///
/// `dg/dt = -nu_0 exp(-q e_a / (k T)) sinh(gamma a_0 q V / (t_ox k T)) + chi delta_g`, with chi standard normal
/// and `delta_g = delta_g_0 / (1 + exp((t_crit - T) / t_smth))` in the dynamic variant, 0 in the standard one.
///
/// The bounds of the gap follow from `r_on` and `r_off` at the read voltage:
/// `g_0 ln(i_0 sinh(v_read/v_0) R / v_read)`. Symbols with units: [`StanfordPkuParameters`].
///
/// Valid where `r_on` is so large that its gap is positive. A positive voltage closes the gap (SET). In the
/// dynamic variant each device draws one number a step at any voltage; keep `dt delta_g_0` far below the
/// range of the gap, that is dt at most 1e-9 s with the defaults.
///
/// ```
/// use memtorch_devices::{Device, models::StanfordPku};
/// assert_eq!(Device::r_on(&StanfordPku::default()), 542.0);
/// ```
///
/// Currents beyond about 177 V (sinh of 709) are infinite.
///
/// Jiang, Yu, Wu, Chen, Wong: Verilog-A compact model for oxide-based resistive random access memory, SISPAD
/// 2014, 41.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct StanfordPku {
    /// Numeric parameters.
    pub parameters: StanfordPkuParameters,
    /// Whether the gap is noisy.
    pub dynamic: bool,
    /// Time step of a trace in s.
    pub time_step: f64,
    /// Conductance at the beginning in S; `None` for `1 / r_on`.
    pub start_conductance: Option<f64>,
}

impl Default for StanfordPku {
    fn default() -> Self {
        Self {
            parameters: StanfordPkuParameters::default(),
            dynamic: false,
            time_step: 1e-4,
            start_conductance: None,
        }
    }
}

/// What a step needs.
#[derive(Clone, Copy, Debug)]
pub struct StanfordPkuPrepared<L> {
    gap_min: L,
    gap_max: L,
    g_0: L,
    per_g_0: L,
    per_v_0: L,
    i_0: L,
    /// i_0 sinh(v_read / v_0) / v_read: the conductance at no gap.
    g_read: L,
    t_0: L,
    r_th: L,
    gamma_0: L,
    beta: L,
    per_t_ox: L,
    f_min: L,
    nu_0: L,
    /// q e_a / k.
    activation: L,
    /// a_0 q / (t_ox k).
    hop: L,
    delta_g_0: L,
    t_crit: L,
    per_t_smth: L,
}

const OPTIONS: &[Field] = &[
    shared::time_step(1e-4),
    START,
    Field::new("dynamic", Kind::Bool, Preset::Bool(false), "whether the gap is noisy"),
];

impl DeviceModel for StanfordPku {
    const NAME: &'static str = "stanford-pku";
    const PARAMETERS: &'static [&'static str] = StanfordPkuParameters::NAMES;
    const FIELDS: &'static [Field] = &joined::<21>(&[OPTIONS, StanfordPkuParameters::FIELDS]);
    const NOISE: bool = true;
    const OHMIC: bool = false;
    const PROPORTIONAL: bool = true;
    const STATE: &'static str = "gap (m)";
    const SWEEPS: Option<Sweeps> = Some(Sweeps::new((1.5, 10.0, 0.5), (1.5, 0.05)));
    const PULSES: Option<Pulses> = Some(Pulses { set_voltage: 1.45, reset_voltage: -1.4, steps: 1 });
    const FITTED: &'static [&'static str] = &["r_on", "r_off", "v_0", "gamma_0", "nu_0"];
    type Prepared<L: Lane> = StanfordPkuPrepared<L>;

    fn from_table(table: &Table) -> Result<Self, DeviceError> {
        Self {
            parameters: StanfordPkuParameters::from_table(table),
            dynamic: table.get("dynamic").and_then(Value::as_bool).unwrap_or(false),
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

    fn caution(&self, dt: f64) -> Option<String> {
        let p = &self.parameters;
        let (range, noise) = (p.g_0 * (p.r_off / p.r_on).ln(), dt * p.delta_g_0);
        (self.dynamic && noise > range).then(|| {
            format!(
                "a noise step dt delta_g_0 = {noise:.3e} m exceeds the range of the gap, {range:.3e} m: \
                 the time step {dt:e} s is too long for the dynamic variant"
            )
        })
    }

    fn validate(&self, values: &[f64]) -> Result<(), DeviceError> {
        let p = StanfordPkuParameters::from_values(values);
        let least = p.v_read / (p.i_0 * (p.v_read / p.v_0).sinh());
        let positive = |name, value: f64| (name, value, value > 0.0, "a positive number");
        let rules = [
            positive("g_0", p.g_0),
            positive("v_0", p.v_0),
            positive("i_0", p.i_0),
            positive("v_read", p.v_read),
            positive("t_0", p.t_0),
            positive("t_ox", p.t_ox),
            positive("t_smth", p.t_smth),
            ("r_th", p.r_th, p.r_th >= 0.0, "a number of at least 0"),
            // The hyperbolic sine of the read voltage must be a number.
            ("v_0", p.v_0, p.v_0 >= p.v_read / 700.0, "at least v_read / 700"),
            (
                "r_on",
                p.r_on,
                p.r_on > least,
                "a resistance with a positive gap: above v_read / (i_0 sinh(v_read / v_0))",
            ),
        ];
        check(Self::PARAMETERS, values, p.r_on, p.r_off, &rules)
    }

    #[inline(always)]
    fn is_noisy(&self) -> bool {
        self.dynamic
    }

    #[inline(never)]
    fn run_job(&self, job: Job<'_>) {
        kernel::run(self, job);
    }

    #[inline(always)]
    fn prepare<L: Lane>(&self, values: &[L]) -> StanfordPkuPrepared<L> {
        let p = StanfordPkuLanes::new(values);
        let one = L::splat(1.0);
        let g_read = p.i_0 * (p.v_read / p.v_0).sinh() / p.v_read;
        let charge = L::splat(CHARGE / BOLTZMANN);
        StanfordPkuPrepared {
            gap_min: p.g_0 * (g_read * p.r_on).ln(),
            gap_max: p.g_0 * (g_read * p.r_off).ln(),
            g_0: p.g_0,
            per_g_0: one / p.g_0,
            per_v_0: one / p.v_0,
            i_0: p.i_0,
            g_read,
            t_0: p.t_0,
            r_th: p.r_th,
            gamma_0: p.gamma_0,
            beta: p.beta,
            per_t_ox: one / p.t_ox,
            f_min: p.f_min,
            nu_0: p.nu_0,
            activation: charge * p.e_a,
            hop: charge * p.a_0 / p.t_ox,
            delta_g_0: p.delta_g_0,
            t_crit: p.t_crit,
            per_t_smth: one / p.t_smth,
        }
    }

    #[inline(always)]
    fn conductance<L: Lane>(&self, p: &Self::Prepared<L>, gap: L) -> L {
        p.g_read * (-(gap * p.per_g_0)).exp()
    }

    #[inline(always)]
    fn state<L: Lane>(&self, p: &Self::Prepared<L>, conductance: L) -> L {
        (p.g_0 * (p.g_read / conductance).ln()).clamp(p.gap_min, p.gap_max)
    }

    #[inline(always)]
    fn current<L: Lane>(&self, p: &Self::Prepared<L>, gap: L, voltage: L) -> L {
        p.i_0 * (-(gap * p.per_g_0)).exp() * (voltage * p.per_v_0).sinh()
    }

    #[inline(always)]
    fn step<L: Lane>(&self, p: &Self::Prepared<L>, gap: L, voltage: L, dt: f64, normal: L) -> L {
        let (zero, one) = (L::splat(0.0), L::splat(1.0));
        let nanometres = gap * L::splat(1e9);
        let gamma = p.gamma_0 - p.beta * (nanometres * nanometres * nanometres);
        let field = gamma * voltage.abs() * p.per_t_ox;
        let strong = field.compare(p.f_min, |field, least| !(field < least));
        let drifts = L::any(strong);
        // Below the least field without noise nothing moves, however warm.
        if !drifts && !self.dynamic {
            return gap.clamp(p.gap_min, p.gap_max);
        }
        let current = self.current(p, gap, voltage);
        let temperature = p.t_0 + (voltage * current).abs() * p.r_th;
        let mut rate = zero;
        if drifts {
            let per_temperature = one / temperature;
            let hop = (gamma * p.hop * voltage * per_temperature).sinh();
            let drift = -(p.nu_0 * (-(p.activation * per_temperature)).exp() * hop);
            rate = L::select(strong, drift, zero);
        }
        if self.dynamic {
            let onset = one + ((p.t_crit - temperature) * p.per_t_smth).exp();
            rate = rate + normal * (p.delta_g_0 / onset);
        }
        (gap + L::splat(dt) * rate).clamp(p.gap_min, p.gap_max)
    }
}
