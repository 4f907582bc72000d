//! The first of several values of a key that keeps the accuracy.
//!
//! Values are given from the one that a person would like most to the safest, and it is taken that what
//! follows a value that keeps the accuracy keeps it too. Bisection then needs about log2 of them. Each is
//! tried on blocks of samples, every block on hardware of its own (repeat number = block number), so that
//! the block's losses are independent and carry both the spread of samples and that of devices. After 5,
//! 10, 20 ... blocks, Student's interval of the mean loss decides (or that of no loss in so many samples, if it is
//! wider), or more blocks are taken. The stated
//! confidence holds for all these decisions together (Bonferroni).

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use memtorch_crossbar::ArrayBackend;
use memtorch_utils::config::Value;

use crate::evaluation::{Digital, Workload};
use crate::experiment::{Document, Experiment, Origin, segments};
use crate::report::left_to_cpu;
use crate::sweep::student;
use crate::{Error, Registry};

/// Blocks after which it is looked for the first time whether a value is decided.
const FIRST_LOOK: usize = 5;

/// What is searched.
#[derive(Clone, Debug)]
pub struct Search {
    /// The key.
    pub key: String,
    /// Its values, the most wished for first, the safest last; at least one.
    pub values: Vec<Value>,
    /// Accuracy that may be lost, 0 to 1.
    pub drop: f64,
    /// Confidence of all decisions together, 0 to 1.
    pub confidence: f64,
    /// Blocks of samples for each value at most; at least 5.
    pub blocks: usize,
}

/// What is known of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It loses no more than it may.
    Within,
    /// It loses more.
    Beyond,
    /// The samples do not tell; it is not taken.
    Undecided,
}

/// A value that was tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Tried {
    /// Its place among the values.
    pub index: usize,
    /// What was found.
    pub verdict: Verdict,
    /// The mean loss of accuracy.
    pub loss: f64,
    /// Half the width of its confidence interval.
    pub half: f64,
    /// Blocks that it took.
    pub blocks: usize,
    /// Samples on crossbars that it took.
    pub samples: usize,
}

/// What a search found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The first value that keeps the accuracy, by its place; none where even the last does not.
    pub first: Option<usize>,
    /// What was tried, in the order of the trials.
    pub tried: Vec<Tried>,
    /// Digital accuracy on all samples.
    pub digital: f64,
    /// Samples that there are.
    pub samples: usize,
    /// What the backend left to the CPU, layer by layer.
    pub left_to_cpu: Vec<String>,
    /// Seconds.
    pub seconds: f64,
}

impl Search {
    /// Searches.
    ///
    /// # Errors
    /// A value that the experiment cannot have; fewer samples than blocks; whatever fails in a run.
    pub fn run(
        &self,
        document: &Document,
        limit: Option<u64>,
        registry: &Registry,
        backend: &Arc<dyn ArrayBackend>,
        tell: &(dyn Fn(&str) + Sync),
    ) -> Result<Found, Error> {
        let started = Instant::now();
        let experiments: Vec<Experiment> = (0..self.values.len())
            .map(|index| self.experiment(document, index, limit, registry))
            .collect::<Result<_, _>>()?;
        let workload = Workload::open(&experiments[0], backend.clone())?;
        workload.check_classes("a search")?;
        for experiment in &experiments {
            experiment.plan(workload.layers(), registry)?;
        }
        if workload.samples() < self.blocks {
            let expected = format!("at most {}, the number of samples", workload.samples());
            return Err(Error::argument("--blocks", self.blocks, expected));
        }
        let digital = workload.digital(&|_, _, _| {})?;
        let (mut tried, mut left) = (Vec::new(), Vec::new());
        let mut within = |index: usize| -> Result<bool, Error> {
            tell(&format!("{} = {}", self.key, self.values[index]));
            let found =
                self.attempt(index, &experiments[index], (&workload, &digital), registry, &mut left)?;
            let is_within = found.verdict == Verdict::Within;
            tried.push(found);
            Ok(is_within)
        };
        // The first that keeps it is after `low` and at most `high`.
        let mut high = self.values.len() - 1;
        let mut first = None;
        if within(high)? {
            let mut low = 0;
            while low < high {
                let middle = low + (high - low) / 2;
                if within(middle)? { high = middle } else { low = middle + 1 }
            }
            first = Some(high);
        }
        Ok(Found {
            first,
            tried,
            digital: digital.accuracy(),
            samples: workload.samples(),
            left_to_cpu: left,
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    fn experiment(
        &self,
        document: &Document,
        index: usize,
        limit: Option<u64>,
        registry: &Registry,
    ) -> Result<Experiment, Error> {
        let mut document = document.clone();
        let value = &self.values[index];
        let option = format!("{}={value}", self.key);
        let Some(names) = segments(&self.key) else {
            return Err(Error::argument("--key", &self.key, "a key of the experiment, as adc.bits"));
        };
        let origin = Origin::Set(option);
        document
            .place(&names, value.clone(), origin.clone())
            .map_err(|source| Error::Config { origin, source: Box::new(source) })?;
        let mut experiment = Experiment::resolve(document, registry)?;
        if let Some(limit) = limit {
            experiment.set_limit(limit);
        }
        Ok(experiment)
    }

    /// How many decisions there are at most.
    fn decisions(&self) -> usize {
        let trials = 1 + self.values.len().next_power_of_two().ilog2() as usize;
        trials * looks(self.blocks).len()
    }

    fn attempt(
        &self,
        index: usize,
        experiment: &Experiment,
        (workload, digital): (&Workload, &Digital),
        registry: &Registry,
        left: &mut Vec<String>,
    ) -> Result<Tried, Error> {
        let outside = (1.0 - self.confidence) / self.decisions() as f64;
        let plans = experiment.plan(workload.layers(), registry)?;
        let mut losses: Vec<f64> = Vec::new();
        let mut samples = 0;
        let mut tried = None;
        for look in looks(self.blocks) {
            for block in losses.len()..look {
                let range = part(block, self.blocks, workload.samples());
                let mut experiment = experiment.clone();
                experiment.repeat = block as u64;
                let programmed = workload.program(&experiment, &plans)?;
                let more = left_to_cpu(programmed.executable());
                left.extend(more.into_iter().filter(|line| !left.contains(line)).collect::<Vec<_>>());
                let right = workload.correct(&programmed, range.clone())?;
                let lost = workload.correct_digitally(digital, range.clone()) as f64 - right as f64;
                losses.push(lost / range.len() as f64);
                samples += range.len();
            }
            let (loss, half) = interval(&losses, samples, outside);
            let verdict = match () {
                () if loss + half <= self.drop => Verdict::Within,
                () if loss - half > self.drop => Verdict::Beyond,
                () => Verdict::Undecided,
            };
            tried = Some(Tried { index, verdict, loss, half, blocks: losses.len(), samples });
            if verdict != Verdict::Undecided {
                break;
            }
        }
        Ok(tried.expect("there is at least one look"))
    }
}

/// The mean loss of some blocks, and how far the true one may lie from it with probability `1 - outside`: Student's
/// interval, and never less than what it says of so many samples that none of them is lost. Blocks that happen to
/// lose the same would else promise certainty.
fn interval(losses: &[f64], samples: usize, outside: f64) -> (f64, f64) {
    let count = losses.len() as f64;
    let loss = losses.iter().sum::<f64>() / count;
    let squares: f64 = losses.iter().map(|x| (x - loss) * (x - loss)).sum();
    let half = student(losses.len() - 1, outside) * (squares / (count - 1.0) / count).sqrt();
    (loss, half.max(1.0 - outside.powf(1.0 / samples as f64)))
}

/// The numbers of blocks after which it is decided.
fn looks(blocks: usize) -> Vec<usize> {
    let mut looks = Vec::new();
    let mut next = FIRST_LOOK;
    while next < blocks {
        looks.push(next);
        next *= 2;
    }
    looks.push(blocks);
    looks
}

/// The samples of a block.
fn part(block: usize, blocks: usize, samples: usize) -> Range<usize> {
    block * samples / blocks..(block + 1) * samples / blocks
}

#[cfg(test)]
mod tests {
    use memtorch_utils::Stream;

    use super::*;

    /// A value that loses just more than it may is taken by mistake in fewer searches than the confidence says, and one
    /// that is far from the bound is decided.
    #[test]
    fn decisions_hold_with_the_stated_confidence() {
        let taken = |lost: f64, gained: f64, size: usize| {
            let mut taken = 0;
            for search in 0..2000u64 {
                let mut draws = Stream::root(search, 0).named("search").at([0; 3]);
                let mut losses = Vec::new();
                for look in looks(20) {
                    while losses.len() < look {
                        let sum: f64 = (0..size)
                            .map(|_| match draws.uniform() {
                                u if u < lost => 1.0,
                                u if u < lost + gained => -1.0,
                                _ => 0.0,
                            })
                            .sum();
                        losses.push(sum / size as f64);
                    }
                    // One value, three looks: each may err with a third of 5 %.
                    let (loss, half) = interval(&losses, losses.len() * size, 0.05 / 3.0);
                    if loss + half <= 0.02 {
                        taken += 1;
                        break;
                    }
                    if loss - half > 0.02 {
                        break;
                    }
                }
            }
            f64::from(taken) / 2000.0
        };
        // Blocks of 100 samples; of 5, most of which lose nothing; with samples that win too.
        for (lost, gained, size) in [(0.0201, 0.0, 100), (0.0201, 0.0, 5), (0.0401, 0.02, 20)] {
            let wrong = taken(lost, gained, size);
            assert!(wrong <= 0.05, "{lost}, {gained}, {size}: {wrong}");
        }
        assert!(taken(0.005, 0.0, 100) > 0.95);
    }

    #[test]
    fn blocks_share_all_samples_and_looks_end_with_all_blocks() {
        assert_eq!(looks(20), [5, 10, 20]);
        assert_eq!(looks(12), [5, 10, 12]);
        assert_eq!(looks(5), [5]);
        let parts: Vec<_> = (0..7).map(|block| part(block, 7, 100)).collect();
        assert_eq!((parts[0].start, parts[6].end), (0, 100));
        assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start && !pair[0].is_empty()));
    }
}
