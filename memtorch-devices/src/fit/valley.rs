use memtorch_utils::Stream;
use nalgebra::{DMatrix, SymmetricEigen};

use super::minimise::{End, slopes};
use super::problem::{Problem, TOGETHER};

/// Distance in positions over which slopes are taken: so short that the steps which sudden switching makes in the
/// currents are not taken for a rise.
const STEP: f64 = 1e-4;
/// Nobody goes farther from the end of a search than this: a factor of seven.
const FARTHEST: f64 = 2.0;
/// The mean square of differences that are rounding alone, as a share of that of the record.
const ROUNDING: f64 = 1e-30;
/// Generations before those that count, and all, for each number that is looked for.
const BEFORE: usize = 50;
const ALL: usize = 150;
/// A place whose sum is lower by this share of a sample's variance is worth another search.
const WORTH: f64 = 0.1;

/// How far parameters may be from the end of a search without the record contradicting.
pub(super) enum Valley {
    /// Mean products of the distances in positions of places that the record allows.
    Around(DMatrix<f64>),
    /// A place that is lower than the end.
    Lower(Vec<f64>),
}

/// Walks around the end of a search; what is not free stays where it is. Whoever wants no `lower` place gets a valley.
///
/// Places are visited as often as they are likely, given normal differences with the variance that is left: the
/// differential evolution Markov chain of ter Braak (Statistics and Computing 16, 2006). Slopes alone would not do:
/// valleys bend, and sudden switching makes steps in the sum.
pub(super) fn explore(problem: &Problem<'_>, end: &End, free: &[usize], lower: bool) -> Valley {
    let samples = problem.measured.currents.len() as f64;
    let variance = (end.sum * samples / (samples - free.len() as f64).max(1.0)).max(ROUNDING);
    let unknowns = end.candidate.len();
    let mut products = DMatrix::zeros(unknowns, unknowns);
    if free.is_empty() {
        return Valley::Around(products);
    }
    let (before, all) = (BEFORE * free.len(), ALL * free.len());
    // In units of twice the variance.
    let cost = |sum: f64| (sum - end.sum) * samples / (2.0 * variance);
    let mut members = first(problem, end, free, variance);
    let mut sums = problem.sums(&members);
    let mut lowest = (end.sum, end.candidate.clone());
    for generation in 0..all {
        if generation == before / 2 {
            // Nobody finds back from where the record has contradicted long ago.
            for (member, sum) in members.iter_mut().zip(&mut sums) {
                if !(cost(*sum) < 10.0 + 3.0 * unknowns as f64) {
                    (*member, *sum) = (end.candidate.clone(), end.sum);
                }
            }
        }
        let next: Vec<Vec<f64>> =
            (0..members.len()).map(|index| proposal(&members, index, free, generation)).collect();
        for (index, (candidate, sum)) in next.iter().zip(problem.sums(&next)).enumerate() {
            if sum < lowest.0 {
                lowest = (sum, candidate.clone());
            }
            let chance = random(generation, index + members.len()).uniform();
            let near = candidate.iter().zip(&end.candidate).all(|(a, b)| (a - b).abs() <= FARTHEST);
            if near && chance < (cost(sums[index]) - cost(sum)).exp() {
                members[index].clone_from(candidate);
                sums[index] = sum;
            }
        }
        if lower && generation + 1 >= before && cost(lowest.0) < -WORTH {
            return Valley::Lower(lowest.1);
        }
        if generation >= before {
            for member in &members {
                for (i, j) in pairs(free) {
                    products[(i, j)] += (member[i] - end.candidate[i]) * (member[j] - end.candidate[j]);
                }
            }
        }
    }
    Valley::Around(products / (members.len() * (all - before)) as f64)
}

fn pairs(free: &[usize]) -> impl Iterator<Item = (usize, usize)> {
    free.iter().flat_map(move |i| free.iter().map(move |j| (*i, *j)))
}

fn random(generation: usize, index: usize) -> memtorch_utils::StreamRng {
    Stream::root(0, 0).named("errors of a fit").at([generation as u32, index as u32, 0])
}

/// Close to the end, by what the slopes say there; the walk finds the rest.
fn first(problem: &Problem<'_>, end: &End, free: &[usize], variance: f64) -> Vec<Vec<f64>> {
    let slopes = slopes(problem, &end.candidate, STEP).select_columns(free);
    let curvature = SymmetricEigen::new(slopes.transpose() * &slopes);
    (0..TOGETHER)
        .map(|index| {
            let mut random = random(usize::MAX, index);
            let mut member = end.candidate.clone();
            for (value, axis) in curvature.eigenvalues.iter().zip(curvature.eigenvectors.column_iter()) {
                let reach = (variance / value.max(f64::MIN_POSITIVE)).sqrt().min(FARTHEST);
                let distance = 0.1 * reach * (2.0 * random.uniform() - 1.0);
                for (at, part) in free.iter().zip(axis.iter()) {
                    member[*at] += distance * part;
                }
            }
            member
        })
        .collect()
}

/// From a member along the way from one of the others to another.
fn proposal(members: &[Vec<f64>], index: usize, free: &[usize], generation: usize) -> Vec<f64> {
    let mut random = random(generation, index);
    let mut other = || {
        let at = (random.uniform() * (members.len() - 1) as f64) as usize;
        if at < index { at } else { at + 1 }
    };
    let (from, to) = (other(), other());
    // Now and then as far as the others are apart, which leads from one valley to the next.
    let factor = if generation % 10 == 9 { 1.0 } else { 2.38 / (2.0 * free.len() as f64).sqrt() };
    let mut member = members[index].clone();
    for at in free {
        let blur = 1.0 + 0.1 * (2.0 * random.uniform() - 1.0);
        member[*at] += factor * blur * (members[to][*at] - members[from][*at]);
    }
    member
}

/// The standard error of a position.
pub(super) fn error(around: &DMatrix<f64>, at: usize) -> f64 {
    around[(at, at)].sqrt()
}

/// The other position that makes up most for a change of this one, and their correlation.
pub(super) fn partner(around: &DMatrix<f64>, at: usize) -> Option<(usize, f64)> {
    let correlation = |other: usize| around[(at, other)] / (error(around, at) * error(around, other));
    (0..around.nrows())
        .filter(|other| *other != at)
        .map(|other| (other, correlation(other)))
        .filter(|(_, correlation)| correlation.is_finite())
        .max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))
}
