use memtorch_utils::config::Value;
use nalgebra::{DMatrix, SymmetricEigen};

use super::minimise::{End, slopes};
use super::problem::Problem;
use super::unknown::Place;
use super::{Determined, Fit, FitError, Fitted};

/// Directions of the search along which the currents change by less than this share of the direction that changes
/// them most cannot be told from rounding.
const FLAT: f64 = 1e-6;
/// Distance in positions over which slopes are taken: as wide as a standard error that matters.
const STEP: f64 = 1e-2;

/// What was found, and how well.
pub(super) fn describe(problem: &Problem<'_>, end: &End) -> Result<Fit, FitError> {
    let mut values = problem.values(&end.candidate);
    let (r_on, r_off) = problem.resistances(&values);
    let mut bound = vec![false; values.len()];
    for ((unknown, value), bound) in problem.unknowns.iter().zip(&mut values).zip(&mut bound) {
        if unknown.place == Place::Start {
            // Beyond its bounds a start is at its bound.
            *bound = !(*value > (1.0 + 1e-9) / r_off && *value < (1.0 - 1e-9) / r_on);
            *value = value.clamp(1.0 / r_off, 1.0 / r_on);
        }
    }
    let Some(currents) = problem.currents(std::slice::from_ref(&end.candidate)).pop().flatten() else {
        let what = "no parameters with which the model gives a current for every voltage".to_owned();
        let expected = "a record of such a device, or other start values (--set)".to_owned();
        return Err(FitError::Measurement { what, expected });
    };
    let (errors, flat) = uncertainty(&slopes(problem, &end.candidate, STEP), &bound, end.sum);
    let parameters = problem
        .unknowns
        .iter()
        .enumerate()
        .map(|(at, unknown)| {
            let error = errors[at];
            let determined = match () {
                () if bound[at] => Determined::AtBound,
                () if flat[at] => Determined::No,
                () if error > 0.5 => Determined::Hardly,
                () => Determined::Yes,
            };
            let standard_error = matches!(determined, Determined::Yes | Determined::Hardly)
                .then_some(error * unknown.unit(values[at]));
            Fitted {
                name: unknown.name.clone(),
                start: unknown.start,
                value: values[at],
                standard_error,
                determined,
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

/// Standard errors in positions, and what is flat. What lies at a bound is left out. `sum` is the mean square of the
/// differences.
fn uncertainty(slopes: &DMatrix<f64>, bound: &[bool], sum: f64) -> (Vec<f64>, Vec<bool>) {
    let free: Vec<usize> = (0..bound.len()).filter(|at| !bound[*at]).collect();
    let (mut errors, mut flat) = (vec![0.0; bound.len()], vec![false; bound.len()]);
    if free.is_empty() {
        return (errors, flat);
    }
    let slopes = slopes.select_columns(&free);
    let samples = slopes.nrows() as f64;
    let variance = sum * samples / (samples - free.len() as f64).max(1.0);
    let curvature = SymmetricEigen::new(slopes.transpose() * &slopes);
    let steepest = curvature.eigenvalues.max();
    for (value, direction) in curvature.eigenvalues.iter().zip(curvature.eigenvectors.column_iter()) {
        let is_flat = !(*value > FLAT * FLAT * steepest);
        for (part, at) in direction.iter().zip(&free) {
            if !is_flat {
                errors[*at] += part * part * variance / value;
            } else if part.abs() > 0.1 {
                flat[*at] = true;
            }
        }
    }
    for error in &mut errors {
        *error = error.sqrt();
    }
    (errors, flat)
}
