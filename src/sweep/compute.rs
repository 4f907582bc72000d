use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memtorch_crossbar::ArrayBackend;
use memtorch_utils::config::Table;

use super::{Log, Points};
use crate::evaluation::{Digital, Seconds, Workload};
use crate::report::RunReport;
use crate::{Error, Registry};

/// How a sweep is computed. Results do not depend on it.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Points that are computed at once, each on one thread; 1: one after the other, each on all threads.
    pub at_once: usize,
    /// Which points: all, or those of one machine.
    pub shard: super::Shard,
    /// Is told how much was computed, and of how much.
    pub progress: &'a (dyn Fn(usize, usize) + Sync),
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("at_once", &self.at_once).field("shard", &self.shard).finish()
    }
}

/// A network and data that points share, with the digital run.
struct Shared {
    model: Option<Table>,
    data: Option<Table>,
    workload: Workload,
    digital: Digital,
}

/// One point and repeat to compute.
type Job = (usize, usize);

/// Computes every point and repeat that a log does not have yet, and writes each to the log as soon as it
/// is known.
///
/// Networks and data are loaded once, and run digitally once. While there are at least as many points left
/// as may be computed at once, each has a thread; the rest have all threads, one after the other.
///
/// # Errors
/// A point that is wrong, before anything is computed; a log that cannot be written. A point that fails
/// does not stop the others: its error comes when they are done.
pub fn compute(
    points: &Points,
    registry: &Registry,
    backend: &Arc<dyn ArrayBackend>,
    log: &mut Log,
    options: &Options<'_>,
) -> Result<(), Error> {
    let mut jobs = Vec::new();
    for point in (0..points.sweep.points()).filter(|point| options.shard.has(*point)) {
        for repeat in 0..points.sweep.repeats {
            if !log.rows().contains_key(&(point, repeat)) {
                jobs.push((point, repeat));
            }
        }
    }
    let shared = prepare(points, registry, backend, &jobs)?;
    let one = |(point, repeat): Job| -> Result<(RunReport, Seconds), Error> {
        let experiment = points.experiment(point, repeat, registry)?;
        let shared = shared.iter().find(|s| s.model == experiment.model && s.data == experiment.data);
        let shared = shared.expect("every point was prepared");
        let plans = experiment.plan(shared.workload.layers(), registry)?;
        let programmed = shared.workload.program(&experiment, &plans)?;
        shared.workload.memristive(&programmed, &shared.digital, &|_, _, _| {})
    };
    let total = jobs.len();
    (options.progress)(0, total);
    let done = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let log = Mutex::new(log);
    let failed: Mutex<Vec<(Job, Error)>> = Mutex::new(Vec::new());
    let finish = |job: Job| {
        let (point, repeat) = job;
        match one(job) {
            Ok((report, seconds)) => {
                let written = lock(&log).append(point, repeat, seconds, &report);
                if let Err(error) = written {
                    stop.store(true, Ordering::Relaxed);
                    lock(&failed).insert(0, (job, error));
                }
            }
            Err(source) => {
                let setting = points.setting(point);
                let error = Error::Point { point, repeat, setting, others: 0, source: Box::new(source) };
                lock(&failed).push((job, error));
            }
        }
        (options.progress)(done.fetch_add(1, Ordering::Relaxed) + 1, total);
    };
    let at_once = options.at_once.max(1);
    let alone = if at_once > 1 { total - total % at_once } else { 0 };
    let queue = Mutex::new(jobs.drain(..alone).collect::<VecDeque<Job>>());
    let next = || if stop.load(Ordering::Relaxed) { None } else { lock(&queue).pop_front() };
    if alone > 0 {
        let pools: Vec<rayon::ThreadPool> = (0..at_once)
            .map(|_| rayon::ThreadPoolBuilder::new().num_threads(1).build())
            .collect::<Result<_, _>>()
            .map_err(|error| Error::argument("--at-once", at_once, format!("fewer ({error})")))?;
        std::thread::scope(|scope| {
            for pool in &pools {
                scope.spawn(|| {
                    while let Some(job) = next() {
                        pool.install(|| finish(job));
                    }
                });
            }
        });
    }
    for job in jobs {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        finish(job);
    }
    let mut failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !stop.into_inner() {
        failed.sort_by_key(|(job, _)| *job);
    }
    let count = failed.len();
    match failed.into_iter().next() {
        None => Ok(()),
        Some((_, Error::Point { point, repeat, setting, source, .. })) => {
            Err(Error::Point { point, repeat, setting, others: count - 1, source })
        }
        Some((_, error)) => Err(error),
    }
}

/// Loads what the jobs need, checks all of them, and runs each network digitally.
fn prepare(
    points: &Points,
    registry: &Registry,
    backend: &Arc<dyn ArrayBackend>,
    jobs: &[Job],
) -> Result<Vec<Shared>, Error> {
    let mut loaded: Vec<(Option<Table>, Option<Table>, Workload)> = Vec::new();
    let mut last = None;
    for &(point, _) in jobs {
        if last == Some(point) {
            continue;
        }
        last = Some(point);
        let experiment = points.experiment(point, 0, registry)?;
        let same = |(model, data, _): &&(Option<Table>, Option<Table>, Workload)| {
            *model == experiment.model && *data == experiment.data
        };
        if let Some((_, _, workload)) = loaded.iter().find(same) {
            experiment.plan(workload.layers(), registry)?;
        } else {
            let workload = Workload::open(&experiment, backend.clone())?;
            workload.check_classes("a sweep")?;
            experiment.plan(workload.layers(), registry)?;
            loaded.push((experiment.model, experiment.data, workload));
        }
    }
    loaded
        .into_iter()
        .map(|(model, data, workload)| {
            let digital = workload.digital(&|_, _, _| {})?;
            Ok(Shared { model, data, workload, digital })
        })
        .collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
