//! What devices do under voltage.

use memtorch_utils::Stream;

use super::single::{Single, draw, voltages};
use super::{Clause, Contract, Report};
use crate::DeviceModel;

/// Conductances are compared to this share: a state may hold them with a loss of `1e-16 r_off / r_on`.
const NEAR: f64 = 1e-9;

pub(super) fn check<M: DeviceModel>(contract: &Contract, model: &M, report: &mut Report) {
    let stream = Stream::root(contract.seed, 0).named("contract");
    let mut moved = false;
    for device in 0..contract.devices.max(1) {
        // The nominal device first; then near ones, and now and then one that is far away.
        let values = match device {
            0 => model.nominal(),
            _ if device % 3 == 2 => draw(model, stream, device, 100.0),
            _ => draw(model, stream, device, 2.0),
        };
        let single = Single::new(model, &values);
        round_trip(&single, report);
        zero(contract, model, &single, report);
        monotone(contract, model, &single, report);
        current::<M>(contract, &single, report);
        waveform(contract, model, &single, stream, device, report);
        moved |= direction(contract, model, &single, report);
    }
    report.expect(Clause::Direction, moved, || {
        format!("no voltage up to {} V moves any device in {} steps", contract.voltage, contract.steps)
    });
    halving(contract, model, report);
}

fn near(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= NEAR * expected.abs()
}

fn round_trip<M: DeviceModel>(single: &Single<'_, M>, report: &mut Report) {
    let (low, high) = (single.g_min, single.g_max);
    let outside = [(0.5 * low, low), (2.0 * high, high)];
    for (given, expected) in single.range(17).map(|g| (g, g)).chain(outside) {
        let found = single.conductance(single.state(given));
        report.expect(Clause::RoundTrip, near(found, expected), || {
            format!("set to {given:e} S, reads {found:e} S: expected {expected:e} S")
        });
    }
}

fn zero<M: DeviceModel>(contract: &Contract, model: &M, single: &Single<'_, M>, report: &mut Report) {
    for g in single.range(9) {
        let state = single.state(g);
        let after = single.step(state, 0.0, model.time_step());
        report.expect(Clause::ZeroVolts, contract.volatile || after == state, || {
            format!("a step at 0 V moves the state from {state:e} to {after:e}")
        });
        let current = single.current(state, 0.0);
        report.expect(Clause::ZeroVolts, current == 0.0, || format!("{current:e} A flow at 0 V"));
    }
}

fn monotone<M: DeviceModel>(contract: &Contract, model: &M, single: &Single<'_, M>, report: &mut Report) {
    const VOLTAGES: u32 = 12;
    for (g, sign) in single.range(9).flat_map(|g| [(g, -1.0), (g, 1.0)]) {
        let state = single.state(g);
        let voltage = |k| sign * contract.voltage * f64::from(k) / f64::from(VOLTAGES);
        let moves = |k: &u32| single.step(state, voltage(*k), model.time_step()) != state;
        // The highest voltage that leaves it, and the lowest that moves it.
        let still = (1..=VOLTAGES).rev().find(|k| !moves(k)).unwrap_or(0);
        let moved = (1..still).find(moves);
        report.expect(Clause::Monotone, !M::MONOTONE || moved.is_none(), || {
            let (still, moved) = (voltage(still), voltage(moved.unwrap_or(0)));
            format!("{moved} V move a state that {still} V leave where it is, {state:e}")
        });
    }
}

fn current<M: DeviceModel>(contract: &Contract, single: &Single<'_, M>, report: &mut Report) {
    // Current over conductance at each voltage, in the first state.
    let mut shape = [None; 17];
    for g in single.range(5) {
        let state = single.state(g);
        let conductance = single.conductance(state);
        let mut before = f64::NEG_INFINITY;
        for k in -8..=8 {
            let voltage = contract.voltage * f64::from(k) / 8.0;
            let current = single.current(state, voltage);
            report.expect(Clause::Finite, !current.is_nan(), || {
                format!("the current at {voltage} V is not a number")
            });
            let signs = current == 0.0 || (current > 0.0) == (voltage > 0.0) || current.is_nan();
            report.expect(Clause::Current, signs, || format!("{current:e} A flow at {voltage} V"));
            report.expect(Clause::Current, !(current < before), || {
                format!("{current:e} A flow at {voltage} V, more at a lower voltage: {before:e} A")
            });
            before = current;
            let product = conductance * voltage;
            let ohmic = !M::OHMIC || (current - product).abs() <= 1e-12 * product.abs();
            report.expect(Clause::Current, ohmic, || {
                format!(
                    "{current:e} A flow at {voltage} V, expected conductance times voltage: {product:e} A"
                )
            });
            let first = *shape[(k + 8) as usize].get_or_insert(current / conductance);
            let product = conductance * first;
            let same = (current - product).abs() <= NEAR * product.abs() || product.is_nan();
            report.expect(Clause::Current, !M::PROPORTIONAL || same, || {
                format!(
                    "{current:e} A flow at {voltage} V, expected the share of another state: {product:e} A"
                )
            });
        }
    }
}

/// Bounds, and no number that is none, under random voltages.
fn waveform<M: DeviceModel>(
    contract: &Contract,
    model: &M,
    single: &Single<'_, M>,
    stream: Stream,
    device: usize,
    report: &mut Report,
) {
    let mut state = single.state((single.g_min * single.g_max).sqrt());
    for voltage in voltages(contract.voltage, contract.steps, stream, device) {
        state = single.step(state, voltage, model.time_step());
        let g = single.conductance(state);
        report.expect(Clause::Finite, state.is_finite() && g.is_finite(), || {
            format!("device {device} after {voltage} V: state {state}, conductance {g}")
        });
        let within = g.is_nan() || (g >= single.g_min * (1.0 - NEAR) && g <= single.g_max * (1.0 + NEAR));
        report.expect(Clause::Bounds, within, || {
            format!("{g:e} S after {voltage} V: expected {:e} to {:e}", single.g_min, single.g_max)
        });
    }
}

/// Whether anything moved.
fn direction<M: DeviceModel>(
    contract: &Contract,
    model: &M,
    single: &Single<'_, M>,
    report: &mut Report,
) -> bool {
    // Most rise and fall seen at negative and at positive voltage.
    let (mut rise, mut fall) = ([0.0f64; 2], [0.0f64; 2]);
    for g in single.range(9) {
        for k in 1..=6 {
            for (at, sign) in [-1.0, 1.0].into_iter().enumerate() {
                let voltage = sign * contract.voltage * f64::from(k) / 6.0;
                let mut state = single.state(g);
                let before = single.conductance(state);
                for _ in 0..contract.steps {
                    state = single.step(state, voltage, model.time_step());
                }
                let change = (single.conductance(state) - before) / before;
                if change > NEAR {
                    rise[at] = rise[at].max(change);
                } else if change < -NEAR {
                    fall[at] = fall[at].max(-change);
                }
            }
        }
    }
    let moves = |side: [f64; 2]| side.map(|change| change > 0.0);
    let (up, down) = (moves(rise), moves(fall));
    for (at, sign) in ["negative", "positive"].into_iter().enumerate() {
        report.expect(
            Clause::Direction,
            contract.unipolar || contract.volatile || !(up[at] && down[at]),
            || format!("a {sign} voltage raises some conductances and lowers others"),
        );
    }
    for (both, what) in [(up, "raise"), (down, "lower")] {
        report.expect(
            Clause::Direction,
            contract.unipolar || contract.volatile || both != [true, true],
            || format!("both polarities {what} the conductance"),
        );
    }
    up != [false, false] || down != [false, false]
}

/// The same held voltages in ever smaller steps, without noise.
fn halving<M: DeviceModel>(contract: &Contract, model: &M, report: &mut Report) {
    let single = Single::new(model, &model.nominal());
    let stream = Stream::root(contract.seed, 1).named("contract");
    // From steps that are small already: the order of a method shows in the limit.
    let dt = model.time_step() / 4.0;
    let levels = 5;
    let mut differences = vec![0.0; levels - 1];
    let mut scale = 0.0f64;
    for (place, start) in single.range(5).enumerate() {
        let waveform = voltages(contract.voltage, contract.steps.min(100), stream, place);
        let ends: Vec<f64> = (0..levels)
            .map(|level| {
                let parts = 1 << level;
                let mut state = single.state(start);
                for voltage in &waveform {
                    for _ in 0..parts {
                        state = single.step(state, *voltage, dt / f64::from(parts));
                    }
                }
                single.conductance(state)
            })
            .collect();
        for (sum, pair) in differences.iter_mut().zip(ends.windows(2)) {
            *sum += (pair[0] - pair[1]).abs();
        }
        scale = scale.max(ends[levels - 1]);
    }
    // A method of first order leaves an eighth after three halvings.
    let (first, last) = (differences[0], differences[levels - 2]);
    report.expect(Clause::StepHalving, last <= 0.5 * first || last <= NEAR * scale, || {
        format!(
            "conductances differ by {differences:?} S from one halved time step to the next: expected a fall"
        )
    });
}
