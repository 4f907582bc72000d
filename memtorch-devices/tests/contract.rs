//! The contract holds for every model of the crate, and finds each fault of a broken one.

use memtorch_devices::contract::{Clause, Contract, check};
use memtorch_devices::models::{
    DataDriven, DataDriven2021, LinearIonDrift, ResistanceLaw, StanfordPku, Vteam,
};
use memtorch_devices::{
    DeviceError, DeviceModel, Field, Kind, Lane, Lanes, Preset, Table, Value, Window, device_parameters,
};

/// Nothing is found, and the time it takes is that of a unit test.
#[track_caller]
fn keeps<M: DeviceModel>(model: &M, voltage: f64) {
    let findings = Contract { voltage, ..Contract::default() }.check(model);
    assert!(findings.is_empty(), "{}: {findings:#?}", M::NAME);
}

#[test]
fn linear_ion_drift_keeps_the_contract() {
    keeps(&LinearIonDrift::default(), 5.0);
    for window in [Window::None, Window::Joglekar, Window::Prodromakis] {
        keeps(&LinearIonDrift { window, ..LinearIonDrift::default() }, 5.0);
    }
}

#[test]
fn vteam_keeps_the_contract() {
    for window in [Window::None, Window::Joglekar, Window::Biolek, Window::Prodromakis, Window::Team] {
        for resistance in [ResistanceLaw::Linear, ResistanceLaw::Exponential] {
            keeps(&Vteam { window, resistance, ..Vteam::default() }, 1.5);
        }
    }
}

#[test]
fn stanford_pku_keeps_the_contract() {
    keeps(&StanfordPku::default(), 1.5);
    // The state is followed without noise, the bits with it.
    keeps(&StanfordPku { dynamic: true, ..StanfordPku::default() }, 1.5);
}

#[test]
fn data_driven_models_keep_the_contract() {
    keeps(&DataDriven::default(), 1.5);
    keeps(&DataDriven2021::default(), 1.5);
}

const NONE: u8 = 0;
const TOO_MANY_FIELDS: u8 = 1;
const IGNORES_TABLE: u8 = 2;
const ACCEPTS_NAN: u8 = 3;
const LEAVES_BOUNDS: u8 = 4;
const INVERTED_WRITE: u8 = 5;
const CREEPS: u8 = 6;
const BOTH_WAYS: u8 = 7;
const NEVER_MOVES: u8 = 8;
const NOT_OHMIC: u8 = 9;
const RECTIFIED: u8 = 10;
const KICKS: u8 = 11;
const SEES_NEIGHBOURS: u8 = 12;
const NOT_A_NUMBER: u8 = 13;
const NO_SEED: u8 = 14;
const WRONG_DEFAULT: u8 = 15;
const LAGS: u8 = 16;
const BENDS: u8 = 17;
const PAUSES: u8 = 18;

device_parameters! {
    /// Parameters of a conductance that drifts with the voltage.
    pub struct BrokenParameters / BrokenLanes {
        r_on: 100.0, "ohm", f64::MIN_POSITIVE, f64::INFINITY, "resistance of the ON state";
        r_off: 1e4, "ohm", f64::MIN_POSITIVE, f64::INFINITY, "resistance of the OFF state";
        speed: 1e5, "1/(V s)", 0.0, f64::INFINITY, "speed of the state";
    }
}

/// A simple model, right but for one fault. The state is the conductance's place between its bounds.
#[derive(Clone, Debug)]
struct Broken<const FAULT: u8> {
    parameters: BrokenParameters,
    time_step: f64,
    start: Option<f64>,
}

const TIME: Field = Field::new("time_step", Kind::Real, Preset::Real(1e-7), "time step")
    .range(f64::MIN_POSITIVE, f64::INFINITY);
const START: Field =
    Field::new("start_conductance", Kind::Real, Preset::Absent, "conductance at the beginning");
const FIELDS: &[Field] =
    &[TIME, START, BrokenParameters::FIELDS[0], BrokenParameters::FIELDS[1], BrokenParameters::FIELDS[2]];
const MORE: &[Field] = &[
    TIME,
    START,
    BrokenParameters::FIELDS[0],
    BrokenParameters::FIELDS[1],
    BrokenParameters::FIELDS[2],
    Field::new("forgotten", Kind::Parameter, Preset::Real(1.0), "a parameter that the model does not have"),
];

fn wrong(parameter: &'static str, value: f64) -> DeviceError {
    DeviceError::Parameter { parameter, value, expected: "another number".to_owned() }
}

impl<const FAULT: u8> DeviceModel for Broken<FAULT> {
    const NAME: &'static str = "broken";
    const PARAMETERS: &'static [&'static str] = BrokenParameters::NAMES;
    const FIELDS: &'static [Field] = if FAULT == TOO_MANY_FIELDS { MORE } else { FIELDS };
    const OHMIC: bool = FAULT != BENDS;
    const PROPORTIONAL: bool = true;
    const MONOTONE: bool = true;
    type Prepared<L: Lane> = BrokenLanes<L>;

    fn from_table(table: &Table) -> Result<Self, DeviceError> {
        let real = |name| table.get(name).and_then(Value::as_real);
        let mut parameters = BrokenParameters::from_table(table);
        match FAULT {
            IGNORES_TABLE => parameters.speed = BrokenParameters::default().speed,
            WRONG_DEFAULT if parameters.speed == 1e5 => parameters.speed = 2e5,
            _ => {}
        }
        let model = Self {
            parameters,
            time_step: real("time_step").unwrap_or(1e-7),
            start: real("start_conductance"),
        };
        model.validate(&model.nominal())?;
        match model.start {
            Some(g) if !(g >= 1.0 / parameters.r_off && g <= 1.0 / parameters.r_on) => {
                Err(wrong("start_conductance", g))
            }
            _ => Ok(model),
        }
    }

    fn nominal(&self) -> Vec<f64> {
        self.parameters.values()
    }

    fn time_step(&self) -> f64 {
        self.time_step
    }

    fn start_conductance(&self) -> Option<f64> {
        self.start
    }

    fn validate(&self, values: &[f64]) -> Result<(), DeviceError> {
        let p = BrokenParameters::from_values(values);
        if !(p.r_on > 0.0 && p.r_on < p.r_off) {
            return Err(wrong("r_on", p.r_on));
        }
        if FAULT != ACCEPTS_NAN && !p.speed.is_finite() {
            return Err(wrong("speed", p.speed));
        }
        Ok(())
    }

    #[inline(always)]
    fn prepare<L: Lane>(&self, values: &[L]) -> BrokenLanes<L> {
        BrokenLanes::new(values)
    }

    #[inline(always)]
    fn conductance<L: Lane>(&self, p: &BrokenLanes<L>, state: L) -> L {
        let (low, high) = (L::splat(1.0) / p.r_off, L::splat(1.0) / p.r_on);
        low + (high - low) * state
    }

    #[inline(always)]
    fn state<L: Lane>(&self, p: &BrokenLanes<L>, conductance: L) -> L {
        let (zero, one) = (L::splat(0.0), L::splat(1.0));
        let (low, high) = (one / p.r_off, one / p.r_on);
        let state = ((conductance - low) / (high - low)).clamp(zero, one);
        match FAULT {
            INVERTED_WRITE => one - state,
            // A conductance that is set does not arrive.
            LAGS => L::splat(0.5),
            _ => state,
        }
    }

    #[inline(always)]
    fn current<L: Lane>(&self, p: &BrokenLanes<L>, state: L, voltage: L) -> L {
        let current = self.conductance(p, state) * voltage;
        match FAULT {
            NOT_OHMIC => current * (L::splat(1.0) + voltage * voltage),
            RECTIFIED => current.abs(),
            // The more so the better it conducts.
            BENDS => current * (L::splat(1.0) + state * voltage * voltage),
            _ => current,
        }
    }

    #[inline(always)]
    fn step<L: Lane>(&self, p: &BrokenLanes<L>, state: L, voltage: L, dt: f64, _normal: L) -> L {
        let (zero, one) = (L::splat(0.0), L::splat(1.0));
        let mut change = p.speed * voltage * (L::splat(1.5) - state) * L::splat(dt);
        match FAULT {
            CREEPS => change = change + L::splat(1e-6),
            BOTH_WAYS => change = p.speed * voltage.abs() * (L::splat(0.5) - state) * L::splat(dt),
            NEVER_MOVES => change = zero,
            PAUSES => change = L::select(voltage.abs().above(L::splat(1.0)), zero, change),
            // A kick a step, whatever its length.
            KICKS => change = voltage * L::splat(1e-3),
            SEES_NEIGHBOURS => {
                let fast = L::any(voltage.above(L::splat(1.0)));
                change = if fast { change + change } else { change };
            }
            NOT_A_NUMBER => change = L::select(voltage.above(L::splat(1.2)), L::splat(f64::NAN), change),
            NO_SEED => {
                use std::sync::atomic::{AtomicU64, Ordering};
                static CALLS: AtomicU64 = AtomicU64::new(0);
                let calls = CALLS.fetch_add(1, Ordering::Relaxed) % 1000;
                change = change * L::splat(1.0 + calls as f64 * 1e-6);
            }
            _ => {}
        }
        let moved = state + change;
        if FAULT == LEAVES_BOUNDS { moved } else { moved.clamp(zero, one) }
    }
}

#[track_caller]
fn found<const FAULT: u8>(clause: Clause) {
    // The fault's number shows where a test fails.
    let model = Broken::<FAULT> { parameters: BrokenParameters::default(), time_step: 1e-7, start: None };
    let findings = check(&model);
    assert!(findings.iter().any(|finding| finding.clause == clause), "{FAULT}: {findings:#?}");
    assert!(findings.iter().all(|finding| finding.to_string().len() > 20));
}

#[test]
fn the_model_without_a_fault_keeps_the_contract() {
    let model = Broken::<NONE> { parameters: BrokenParameters::default(), time_step: 1e-7, start: None };
    assert_eq!(check(&model), []);
}

#[test]
fn each_fault_is_found() {
    found::<TOO_MANY_FIELDS>(Clause::Declaration);
    found::<IGNORES_TABLE>(Clause::Declaration);
    found::<WRONG_DEFAULT>(Clause::Declaration);
    found::<ACCEPTS_NAN>(Clause::Validation);
    found::<LEAVES_BOUNDS>(Clause::Bounds);
    found::<INVERTED_WRITE>(Clause::RoundTrip);
    found::<LAGS>(Clause::RoundTrip);
    found::<CREEPS>(Clause::ZeroVolts);
    found::<BOTH_WAYS>(Clause::Direction);
    found::<NEVER_MOVES>(Clause::Direction);
    found::<PAUSES>(Clause::Monotone);
    found::<NOT_OHMIC>(Clause::Current);
    found::<RECTIFIED>(Clause::Current);
    found::<BENDS>(Clause::Current);
    found::<KICKS>(Clause::StepHalving);
    found::<SEES_NEIGHBOURS>(Clause::SameBits);
    found::<NOT_A_NUMBER>(Clause::Finite);
    found::<NO_SEED>(Clause::Seeds);
}

/// A model that moves by itself declares it, and then only that is let pass.
#[test]
fn what_a_model_declares_is_let_pass() {
    let contract = Contract { volatile: true, ..Contract::default() };
    let model = Broken::<CREEPS> { parameters: BrokenParameters::default(), time_step: 1e-7, start: None };
    assert!(contract.check(&model).iter().all(|finding| finding.clause != Clause::ZeroVolts));
    let model = Broken::<RECTIFIED> { parameters: BrokenParameters::default(), time_step: 1e-7, start: None };
    assert!(contract.check(&model).iter().any(|finding| finding.clause == Clause::Current));
}

/// Lanes of one device are what the contract looks at; a wider model gives the same.
#[test]
fn one_lane_is_a_device() {
    let model = Broken::<NONE> { parameters: BrokenParameters::default(), time_step: 1e-7, start: None };
    let values: Vec<Lanes<3>> = model.nominal().into_iter().map(Lane::splat).collect();
    let p = model.prepare(&values);
    assert_eq!(model.conductance(&p, Lanes([0.0, 0.5, 1.0])).0, [1e-4, 1e-4 + (1e-2 - 1e-4) * 0.5, 1e-2]);
}
