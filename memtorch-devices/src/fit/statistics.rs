use memtorch_utils::config::Value;

use super::minimise::{self, End};
use super::problem::Problem;
use super::unknown::Place;
use super::valley::{self, Valley, explore};
use super::{Correlation, Determined, Fit, FitError, Fitted};

/// How often a search goes on from a lower place that was seen around its end.
const ROUNDS: usize = 12;
/// Standard errors, in positions, up to which a number is determined, and is hardly.
const YES: f64 = 0.1;
const HARDLY: f64 = 0.5;
/// Correlations that are worth a word.
const CLOSE: f64 = 0.9;

/// What was found, and how well.
pub(super) fn describe(problem: &mut Problem<'_>, mut end: End) -> Result<Fit, FitError> {
    let impossible = || FitError::Measurement {
        what: "no parameters with which the model gives a current for every voltage".to_owned(),
        expected: "a record of such a device, or other start values (--set)".to_owned(),
    };
    if !end.sum.is_finite() {
        return Err(impossible());
    }
    let mut rounds = 0;
    let (bound, around) = loop {
        let (bound, valley) = look(problem, &end, rounds < ROUNDS);
        match valley {
            Valley::Around(around) => break (bound, around),
            Valley::Lower(lower) => end = minimise::from_each(problem, &[lower]),
        }
        rounds += 1;
        end.converged &= rounds < ROUNDS;
    };
    let currents = problem.currents(std::slice::from_ref(&end.candidate)).pop().flatten();
    let currents = currents.ok_or_else(impossible)?;
    let values = values(problem, &end);
    let parameters = problem
        .unknowns
        .iter()
        .enumerate()
        .map(|(at, unknown)| {
            let error = valley::error(&around, at);
            let determined = match () {
                () if bound[at] => Determined::AtBound,
                () if error > HARDLY => Determined::No,
                () if error > YES => Determined::Hardly,
                () => Determined::Yes,
            };
            let standard_error = matches!(determined, Determined::Yes | Determined::Hardly)
                .then_some(error * unknown.unit(values[at]));
            let correlation = valley::partner(&around, at)
                .filter(|(_, value)| value.abs() > CLOSE)
                .map(|(other, value)| Correlation { with: problem.unknowns[other].name.clone(), value });
            Fitted {
                name: unknown.name.clone(),
                start: unknown.start,
                value: values[at],
                standard_error,
                determined,
                correlation,
            }
        })
        .collect();
    let mut table = problem.table(&values);
    table.insert("time_step", Value::Real(problem.measured.time_step));
    let scale = problem.measured.scale();
    Ok(Fit {
        table,
        parameters,
        currents,
        residual: end.sum.sqrt() * scale,
        relative_residual: end.sum.sqrt(),
        converged: end.converged,
    })
}

/// The values at the end of a search; beyond its bounds a start is at its bound.
fn values(problem: &Problem<'_>, end: &End) -> Vec<f64> {
    let mut values = problem.values(&end.candidate);
    let (r_on, r_off) = problem.resistances(&values);
    for (unknown, value) in problem.unknowns.iter().zip(&mut values) {
        if unknown.place == Place::Start {
            *value = value.clamp(1.0 / r_off, 1.0 / r_on);
        }
    }
    values
}

/// What lies at a bound, and what is around all the rest.
fn look(problem: &Problem<'_>, end: &End, lower: bool) -> (Vec<bool>, Valley) {
    let values = problem.values(&end.candidate);
    let (r_on, r_off) = problem.resistances(&values);
    let bound = |(at, value): (usize, &f64)| {
        let inside = *value > (1.0 + 1e-9) / r_off && *value < (1.0 - 1e-9) / r_on;
        problem.unknowns[at].place == Place::Start && !inside
    };
    let bound: Vec<bool> = values.iter().enumerate().map(bound).collect();
    let free: Vec<usize> = (0..bound.len()).filter(|at| !bound[*at]).collect();
    let valley = explore(problem, end, &free, lower);
    (bound, valley)
}
