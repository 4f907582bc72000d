use memtorch_utils::{Stream, StreamRng};

use super::problem::{Problem, TOGETHER};
use super::unknown::{Place, Unknown};

/// Populations that know nothing of each other: each may end in another valley.
const ISLANDS: usize = 4;
/// How many starts of each the search goes on from.
const KEPT: usize = 2;
/// The first candidates lie within this factor of the values that were given.
const SPREAD: f64 = 5.0;
/// Candidates of a generation.
const GENERATION: usize = TOGETHER;

/// The best of many candidates, the best first, by differential evolution (Storn and Price, J. Global Optimization 11,
/// 1997): of each candidate and of a mixture of others the better one stays. It crosses the plateaus of sudden
/// switching, where slopes say nothing.
pub(super) fn best(problem: &Problem<'_>, count: usize) -> Vec<Vec<f64>> {
    // What a person gave is always tried.
    let given = vec![0.0; problem.unknowns.len()];
    let mut starts = vec![given.clone()];
    for island in 0..ISLANDS {
        let stream = Stream::root(0, 0).named("fit").child(island as u64);
        for start in settled(problem, &given, count / ISLANDS, stream) {
            if !starts.contains(&start) {
                starts.push(start);
            }
        }
    }
    starts
}

/// The best of one population after so many tries.
fn settled(problem: &Problem<'_>, given: &[f64], count: usize, stream: Stream) -> Vec<Vec<f64>> {
    let mut members = first(problem, given, stream);
    let mut sums = problem.sums(&members);
    let leader = |sums: &[f64]| (0..sums.len()).min_by(|a, b| sums[*a].total_cmp(&sums[*b])).unwrap_or(0);
    for generation in 1..count.div_ceil(GENERATION) {
        let best = leader(&sums);
        let mixed: Vec<Vec<f64>> = (0..members.len())
            .map(|index| mixture(&members, index, best, stream.at([generation as u32, index as u32, 0])))
            .collect();
        for (index, (candidate, sum)) in mixed.iter().zip(problem.sums(&mixed)).enumerate() {
            if sum < sums[index] {
                members[index].clone_from(candidate);
                sums[index] = sum;
            }
        }
    }
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by(|a, b| sums[*a].total_cmp(&sums[*b]).then(a.cmp(b)));
    order.into_iter().take(KEPT).map(|index| members[index].clone()).collect()
}

/// What was given, what the record shows, and others around these.
fn first(problem: &Problem<'_>, given: &[f64], stream: Stream) -> Vec<Vec<f64>> {
    let mut members = vec![given.to_vec()];
    members.extend(seen(problem));
    let centres = members.clone();
    for index in members.len()..GENERATION {
        let mut random = stream.at([0, index as u32, 0]);
        let spread = |position: &f64| position + SPREAD.ln() * (2.0 * random.uniform() - 1.0);
        let mut member: Vec<f64> = centres[index % centres.len()].iter().map(spread).collect();
        // A device may begin anywhere between its bounds.
        if let Some(at) = problem.unknowns.iter().position(|unknown| unknown.place == Place::Start) {
            let (r_on, r_off) = problem.resistances(&problem.values(&member));
            let conductance = (r_off / r_on).powf(random.uniform()) / r_off;
            member[at] = problem.unknowns[at].position(conductance).unwrap_or(0.0);
        }
        members.push(member);
    }
    members
}

/// Between a member and the best, and along the way from one member to another.
fn mixture(members: &[Vec<f64>], index: usize, best: usize, mut random: StreamRng) -> Vec<f64> {
    let mut pick = || ((random.uniform() * members.len() as f64) as usize).min(members.len() - 1);
    let (from, to) = (pick(), pick());
    let factor = 0.4 + 0.5 * random.uniform();
    let kept = (random.uniform() * members[index].len() as f64) as usize;
    let own = &members[index];
    (0..own.len())
        .map(|at| {
            if at != kept && random.uniform() > 0.8 {
                return own[at];
            }
            own[at] + factor * (members[best][at] - own[at]) + factor * (members[to][at] - members[from][at])
        })
        .collect()
}

/// The start that the record itself shows: the resistances of an ohmic device lie between the least and the greatest
/// ratio of voltage and current.
fn seen(problem: &Problem<'_>) -> Option<Vec<f64>> {
    if !problem.device().is_ohmic() {
        return None;
    }
    let measured = problem.measured;
    let largest = measured.voltages.iter().fold(0.0f64, |largest, v| largest.max(v.abs()));
    let ratios = || {
        let pairs = measured.voltages.iter().zip(&measured.currents);
        pairs
            .filter(|(v, _)| v.abs() > 0.2 * largest)
            .map(|(v, i)| v / i)
            .filter(|r| *r > 0.0 && r.is_finite())
    };
    let (low, high) = (ratios().fold(f64::INFINITY, f64::min), ratios().fold(0.0, f64::max));
    let first = ratios().next()?;
    let place = |unknown: &Unknown| match (&unknown.name[..], unknown.place) {
        ("r_on", _) => unknown.position(low),
        ("r_off", _) => unknown.position(high),
        (_, Place::Start) => unknown.position(1.0 / first),
        _ => Some(0.0),
    };
    problem.unknowns.iter().map(place).collect()
}
