//! Passive crossbars: time on one thread, and the error beside it, from 16 x 16 to 1024 x 1024.
//!
//! `cargo bench --bench passive`. The table gives the best of a few runs in milliseconds, beside sparse LU
//! (rsparse) up to 256 x 256. Errors are the largest of a column current, relative to the reduction's for
//! the iterations and to the sum of the sources' for the reduction.

mod support;

use std::hint::black_box;
use std::time::Instant;

use criterion::Criterion;
use memtorch_crossbar::ndarray::{Array2, Axis};
use memtorch_crossbar::passive::{
    ConjugateGradients, Detail, Newton, PassiveCircuit, PassiveSolver, Reduce, Sinh, SparseLu, Wiring, reduce,
};

/// Devices of 1e-6 to 1e-4 S, sources of 20 ohm, segments of 2 ohm.
fn circuit(n: usize) -> PassiveCircuit {
    let exponent = |i: usize, j: usize| ((i * 7919 + j * 6007) % 997) as f64 / 997.0;
    let g = Array2::from_shape_fn((n, n), |(i, j)| 1e-6 * 100f64.powf(exponent(i, j)));
    PassiveCircuit::new(g, Wiring::new(20.0, 2.0)).expect("a circuit")
}

fn inputs(n: usize) -> (Array2<f64>, Array2<f64>) {
    (Array2::from_shape_fn((1, n), |(_, i)| 0.3 * (i % 17 + 1) as f64 / 17.0), Array2::zeros((1, n)))
}

/// The least time of so many runs, in milliseconds.
fn best(runs: usize, mut run: impl FnMut()) -> f64 {
    let time = |_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64() * 1e3
    };
    (0..runs).map(time).fold(f64::INFINITY, f64::min)
}

fn table() {
    println!(
        "|    n | reduction ms | balance | CG ms | iterations |   error | Newton ms | iterations | LU ms |   error |"
    );
    println!(
        "|------|--------------|---------|-------|------------|---------|-----------|------------|-------|---------|"
    );
    let law = Sinh::new(4.0).expect("a law");
    for n in [16, 32, 64, 128, 256, 512, 1024] {
        let (circuit, (word, bit)) = (circuit(n), inputs(n));
        let runs = (2048 / n).clamp(2, 40);
        let solve = |solver: &dyn PassiveSolver| {
            solver.solve(&circuit, word.view(), bit.view(), Detail::Currents).expect("a solution")
        };
        let newton = || {
            Newton::default()
                .solve(&circuit, &law, word.view(), bit.view(), Detail::Currents)
                .expect("a solution")
        };
        let exact = solve(&Reduce::default());
        let balance = (exact.source_currents.sum() / exact.column_currents.sum() - 1.0).abs();
        let error = |currents: &Array2<f64>| {
            let pairs = currents.iter().zip(&exact.column_currents);
            pairs.fold(0.0f64, |worst, (a, b)| worst.max((a / b - 1.0).abs()))
        };
        let cg = solve(&ConjugateGradients::default());
        print!(
            "| {n:>4} | {:>12.3} | {balance:>7.0e} | {:>5.3} | {:>10} | {:>7.0e} | {:>9.3} | {:>10} |",
            best(runs, || drop(black_box(reduce(&circuit)))),
            best(runs, || drop(black_box(solve(&ConjugateGradients::default())))),
            cg.iterations,
            error(&cg.column_currents),
            best(runs.div_ceil(4), || drop(black_box(newton()))),
            newton().iterations,
        );
        if n <= 256 {
            let lu = error(&solve(&SparseLu).column_currents);
            println!(
                " {:>5.0} | {lu:>7.0e} |",
                best(if n > 128 { 1 } else { 2 }, || drop(black_box(solve(&SparseLu))))
            );
        } else {
            println!("     - |       - |");
        }
    }
}

fn main() {
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().expect("the first pool");
    // `cargo test` runs benches too, to see that they work: a table takes too long for that.
    if std::env::args().any(|argument| argument == "--bench") {
        table();
    }
    let mut criterion = Criterion::default().configure_from_args().sample_size(10);
    support::peak(&mut criterion);
    for n in [64, 128] {
        let (circuit, (word, bit)) = (circuit(n), inputs(n));
        let mut group = criterion.benchmark_group(format!("passive/{n}"));
        group.bench_function("reduction", |b| b.iter(|| reduce(&circuit)));
        group.bench_function("conjugate gradients", |b| {
            b.iter(|| {
                ConjugateGradients::default().solve(&circuit, word.view(), bit.view(), Detail::Currents)
            })
        });
        let effective = reduce(&circuit);
        group.bench_function("product with effective conductances", |b| {
            b.iter(|| effective.column_currents(word.view(), bit.view()).sum_axis(Axis(0)))
        });
    }
    criterion.final_summary();
}
