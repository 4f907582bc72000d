//! What the benchmarks share.

#![allow(dead_code, reason = "not every benchmark needs all of it")]

use criterion::{Criterion, Throughput};
use memtorch_crossbar::backend::CpuBackend;

/// Options of criterion that a value follows, which is no filter.
const WITH_VALUE: [&str; 16] = [
    "--baseline",
    "--baseline-lenient",
    "--color",
    "--confidence-level",
    "--format",
    "--load-baseline",
    "--measurement-time",
    "--noise-threshold",
    "--nresamples",
    "--output-format",
    "--plotting-backend",
    "--profile-time",
    "--sample-size",
    "--save-baseline",
    "--significance-level",
    "--warm-up-time",
];

/// Whether a case of this name is wanted: it contains the filters of the command line. What a case needs, and
/// what is printed beside criterion's figures, is made for wanted ones only.
pub(crate) fn is_wanted(name: &str) -> bool {
    let mut value = false;
    std::env::args().skip(1).all(|argument| {
        let is_value = std::mem::replace(&mut value, WITH_VALUE.contains(&argument.as_str()));
        is_value || argument.starts_with('-') || name.contains(&argument)
    })
}

/// Measures what one thread makes of multiply-adds that need no memory, as the case `machine/peak`: the yardstick
/// of the table of all benchmarks. Gives it in FLOP/s.
pub(crate) fn peak(criterion: &mut Criterion) -> f64 {
    let backend = CpuBackend::new();
    let peak = backend.measure_peak();
    println!("machine: {:.1} GFLOP/s on one thread ({})", peak * 1e-9, backend.instructions());
    let mut group = criterion.benchmark_group("machine");
    group.sample_size(10).throughput(Throughput::Elements(1_000_000_000));
    group.bench_function("peak", |bencher| {
        // The best of twenty runs, as the time of a billion FLOP.
        bencher.iter_custom(|rounds| {
            std::time::Duration::from_secs_f64(rounds as f64 * 1e9 / backend.measure_peak())
        });
    });
    group.finish();
    peak
}
