use levenberg_marquardt::{LeastSquaresProblem, LevenbergMarquardt, MinimizationReport};
use nalgebra::{DMatrix, DVector, Dyn, Owned};

use super::problem::Problem;

/// Distances in positions over which slopes are taken, one search after another: a wide one sees over the steps that
/// sudden switching makes in the sum, a small one leaves half of the digits to the difference.
const STEPS: [f64; 2] = [3e-2, 1e-4];

/// Where a search ended.
pub(super) struct End {
    pub(super) candidate: Vec<f64>,
    pub(super) sum: f64,
    pub(super) converged: bool,
}

/// Goes on from each start and gives the best end.
pub(super) fn from_each(problem: &mut Problem<'_>, starts: &[Vec<f64>]) -> End {
    let search = LevenbergMarquardt::new().with_tol(1e-10).with_patience(20);
    let mut best: Option<End> = None;
    for start in starts {
        let mut position = DVector::from_vec(start.clone());
        let mut converged = false;
        for step in STEPS {
            let (at, report): (At<'_, '_>, MinimizationReport<f64>) =
                search.minimize(At { problem, position, step });
            position = at.position;
            converged = report.termination.was_successful();
        }
        let candidate: Vec<f64> = position.iter().copied().collect();
        let sum = problem.sums(std::slice::from_ref(&candidate))[0];
        if best.as_ref().is_none_or(|best| sum < best.sum) {
            best = Some(End { candidate, sum, converged });
        }
    }
    best.expect("at least the given start")
}

/// Differences from the record as shares of its root mean square; of a candidate that is not possible, so large that
/// no search goes there.
fn differences(problem: &Problem<'_>, currents: Option<&Vec<f64>>) -> DVector<f64> {
    let scale = problem.measured.scale();
    let measured = &problem.measured.currents;
    match currents {
        Some(currents) => DVector::from_iterator(
            measured.len(),
            currents.iter().zip(measured).map(|(i, m)| (i - m) / scale),
        ),
        None => DVector::from_element(measured.len(), 1e6),
    }
}

/// The slopes of the differences over a distance, `[samples, unknowns]`.
pub(super) fn slopes(problem: &Problem<'_>, position: &[f64], step: f64) -> DMatrix<f64> {
    let unknowns = position.len();
    let moved = |at: usize, by: f64| {
        let mut moved = position.to_vec();
        moved[at] += by;
        moved
    };
    let candidates: Vec<Vec<f64>> =
        (0..unknowns).flat_map(|at| [moved(at, step), moved(at, -step)]).chain([position.to_vec()]).collect();
    let mut currents = problem.currents(&candidates);
    let middle = currents.pop().flatten();
    let scale = problem.measured.scale();
    let mut slopes = DMatrix::zeros(problem.measured.currents.len(), unknowns);
    for (at, pair) in currents.chunks(2).enumerate() {
        // At the edge of what is possible there is one side only.
        let (above, below, over) = match (&pair[0], &pair[1], &middle) {
            (Some(above), Some(below), _) => (above, below, 2.0 * step),
            (Some(above), None, Some(middle)) => (above, middle, step),
            (None, Some(below), Some(middle)) => (middle, below, step),
            _ => continue,
        };
        for (slope, (a, b)) in slopes.column_mut(at).iter_mut().zip(above.iter().zip(below)) {
            *slope = (a - b) / (over * scale);
        }
    }
    slopes
}

/// A place of the search.
struct At<'p, 'a> {
    problem: &'p Problem<'a>,
    position: DVector<f64>,
    step: f64,
}

impl LeastSquaresProblem<f64, Dyn, Dyn> for At<'_, '_> {
    type ResidualStorage = Owned<f64, Dyn>;
    type JacobianStorage = Owned<f64, Dyn, Dyn>;
    type ParameterStorage = Owned<f64, Dyn>;

    fn set_params(&mut self, position: &DVector<f64>) {
        self.position.copy_from(position);
    }

    fn params(&self) -> DVector<f64> {
        self.position.clone()
    }

    fn residuals(&self) -> Option<DVector<f64>> {
        let candidate: Vec<f64> = self.position.iter().copied().collect();
        let currents = self.problem.currents(std::slice::from_ref(&candidate)).pop().flatten();
        Some(differences(self.problem, currents.as_ref()))
    }

    fn jacobian(&self) -> Option<DMatrix<f64>> {
        Some(slopes(self.problem, self.position.as_slice(), self.step))
    }
}
