//! The loops that take the time, compiled for what the processor can do. The same operations in the
//! same order on every path: the results do not depend on it.

use memtorch_devices::Lanes;

use super::law;
use crate::passive::kernel::for_each_processor;

for_each_processor!(
    /// Solves tridiagonal systems along rows of length `n`, in place.
    solve_word, solve_word_plain, (n: usize, inverse: &[f64], share: &[f64], x: &mut [f64]) -> ()
);
for_each_processor!(
    /// Solves tridiagonal systems along columns, in place; rows have length `n`.
    solve_bit, solve_bit_plain, (n: usize, inverse: &[f64], share: &[f64], x: &mut [f64]) -> ()
);
for_each_processor!(
    /// `out = a b`, entry by entry.
    multiply, multiply_plain, (a: &[f64], b: &[f64], out: &mut [f64]) -> ()
);
for_each_processor!(
    /// `out = a - b c`, entry by entry; returns `out . d`.
    subtract_product, subtract_product_plain, (a: &[f64], b: &[f64], c: &[f64], out: &mut [f64], d: &[f64]) -> f64
);
for_each_processor!(
    /// `x += factor p`, `r -= factor q`, and the sum of |r| of each column, rows having its length.
    step, step_plain, (factor: f64, p: &[f64], q: &[f64], x: &mut [f64], r: &mut [f64], columns: &mut [f64]) -> ()
);
for_each_processor!(
    /// `p = z + factor p`, `s = r + factor s`.
    turn, turn_plain, (factor: f64, z: &[f64], r: &[f64], p: &mut [f64], s: &mut [f64]) -> ()
);
for_each_processor!(
    /// `a . b`.
    dot, dot_plain, (a: &[f64], b: &[f64]) -> f64
);
for_each_processor!(
    /// Current and slope of devices of `i = g sinh(b v) / b`.
    sinh_law, sinh_law_plain, (b: f64, g: &[f64], v: &[f64], currents: &mut [f64], slopes: &mut [f64]) -> ()
);
for_each_processor!(
    /// Inverse pivots and shares of lines along rows of length `n`, each driven by its `first` and `last`, joined by
    /// `segment`.
    factor_word, factor_word_plain,
    (n: usize, g: &[f64], first: &[f64], segment: f64, last: &[f64], inverse: &mut [f64], share: &mut [f64]) -> ()
);
for_each_processor!(
    /// The same of lines along columns.
    factor_bit, factor_bit_plain,
    (n: usize, g: &[f64], first: &[f64], segment: f64, last: &[f64], inverse: &mut [f64], share: &mut [f64]) -> ()
);

/// Rows that are solved together, so that their chains overlap in time.
const TOGETHER: usize = 8;

#[inline(always)]
fn solve_word_plain(n: usize, inverse: &[f64], share: &[f64], x: &mut [f64]) {
    let block = TOGETHER * n;
    let whole = x.len() / block * block;
    for start in (0..whole).step_by(block) {
        let end = start + block;
        rows::<TOGETHER>(n, &inverse[start..end], &share[start..end], &mut x[start..end]);
    }
    for start in (whole..x.len()).step_by(n) {
        let end = start + n;
        rows::<1>(n, &inverse[start..end], &share[start..end], &mut x[start..end]);
    }
}

#[inline(always)]
fn sinh_law_plain(b: f64, g: &[f64], v: &[f64], currents: &mut [f64], slopes: &mut [f64]) {
    const WIDTH: usize = 8;
    let outputs = currents.chunks_mut(WIDTH).zip(slopes.chunks_mut(WIDTH));
    for ((g, v), (currents, slopes)) in g.chunks(WIDTH).zip(v.chunks(WIDTH)).zip(outputs) {
        let (mut conductances, mut voltages) = (Lanes([0.0; WIDTH]), Lanes([0.0; WIDTH]));
        conductances.0[..g.len()].copy_from_slice(g);
        voltages.0[..v.len()].copy_from_slice(v);
        let (current, slope) = law::sinh(b, conductances, voltages);
        currents.copy_from_slice(&current.0[..g.len()]);
        slopes.copy_from_slice(&slope.0[..g.len()]);
    }
}

#[inline(always)]
fn factor_word_plain(
    n: usize,
    g: &[f64],
    first: &[f64],
    segment: f64,
    last: &[f64],
    inverse: &mut [f64],
    share: &mut [f64],
) {
    let block = TOGETHER * n;
    let whole = g.len() / block * block;
    for start in (0..whole).step_by(block) {
        let (end, line) = (start + block, start / n);
        let wires = (&first[line..], segment, &last[line..]);
        factor_rows::<TOGETHER>(n, &g[start..end], wires, &mut inverse[start..end], &mut share[start..end]);
    }
    for start in (whole..g.len()).step_by(n) {
        let (end, line) = (start + n, start / n);
        let wires = (&first[line..], segment, &last[line..]);
        factor_rows::<1>(n, &g[start..end], wires, &mut inverse[start..end], &mut share[start..end]);
    }
}

/// Factors `R` rows.
#[inline(always)]
fn factor_rows<const R: usize>(
    n: usize,
    g: &[f64],
    (first, segment, last): (&[f64], f64, &[f64]),
    inverse: &mut [f64],
    share: &mut [f64],
) {
    let mut leak: [f64; R] = std::array::from_fn(|r| first[r]);
    let last: [f64; R] = std::array::from_fn(|r| last[r]);
    for j in 0..n {
        for (r, leak) in leak.iter_mut().enumerate() {
            let next = if j + 1 < n { segment } else { last[r] };
            let k = r * n + j;
            let through = *leak + g[k];
            inverse[k] = 1.0 / (through + next);
            share[k] = if j + 1 < n { next * inverse[k] } else { 0.0 };
            *leak = through * share[k];
        }
    }
}

#[inline(always)]
fn factor_bit_plain(
    n: usize,
    g: &[f64],
    first: &[f64],
    segment: f64,
    last: &[f64],
    inverse: &mut [f64],
    share: &mut [f64],
) {
    let mut leak = first.to_vec();
    let rows = g.chunks_exact(n).len();
    let outputs = inverse.chunks_exact_mut(n).zip(share.chunks_exact_mut(n));
    for (i, (g, (inverse, share))) in g.chunks_exact(n).zip(outputs).enumerate() {
        let end = i + 1 == rows;
        for j in 0..n {
            let next = if end { last[j] } else { segment };
            let through = leak[j] + g[j];
            inverse[j] = 1.0 / (through + next);
            share[j] = if end { 0.0 } else { next * inverse[j] };
            leak[j] = through * share[j];
        }
    }
}

/// Solves `R` rows.
#[inline(always)]
fn rows<const R: usize>(n: usize, inverse: &[f64], share: &[f64], x: &mut [f64]) {
    let split = |s: &[f64]| -> usize { s.len() / n };
    debug_assert_eq!(split(x), R);
    let inverse: [&[f64]; R] = std::array::from_fn(|r| &inverse[r * n..(r + 1) * n]);
    let share: [&[f64]; R] = std::array::from_fn(|r| &share[r * n..(r + 1) * n]);
    let mut rest = x;
    let x: [&mut [f64]; R] = std::array::from_fn(|_| {
        let (row, others) = std::mem::take(&mut rest).split_at_mut(n);
        rest = others;
        row
    });
    let mut carried = [0.0; R];
    for j in 0..n {
        for r in 0..R {
            let y = x[r][j] + carried[r];
            x[r][j] = y;
            carried[r] = share[r][j] * y;
        }
    }
    let mut after = [0.0; R];
    for j in (0..n).rev() {
        for r in 0..R {
            after[r] = x[r][j] * inverse[r][j] + share[r][j] * after[r];
            x[r][j] = after[r];
        }
    }
}

#[inline(always)]
fn solve_bit_plain(n: usize, inverse: &[f64], share: &[f64], x: &mut [f64]) {
    let m = x.len() / n;
    for i in 1..m {
        let (before, rest) = x.split_at_mut(i * n);
        let (y, share) = (&before[(i - 1) * n..], &share[(i - 1) * n..i * n]);
        for ((x, y), share) in rest[..n].iter_mut().zip(y).zip(share) {
            *x += share * y;
        }
    }
    let last = (m - 1) * n;
    for (x, inverse) in x[last..].iter_mut().zip(&inverse[last..]) {
        *x *= inverse;
    }
    for i in (0..m - 1).rev() {
        let (rest, after) = x.split_at_mut((i + 1) * n);
        let range = i * n..(i + 1) * n;
        let coefficients = inverse[range.clone()].iter().zip(&share[range.clone()]);
        for ((x, after), (inverse, share)) in rest[range].iter_mut().zip(&after[..n]).zip(coefficients) {
            *x = *x * inverse + share * after;
        }
    }
}

#[inline(always)]
fn multiply_plain(a: &[f64], b: &[f64], out: &mut [f64]) {
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        *out = a * b;
    }
}

/// Chains of a sum: its order is fixed, whatever the processor.
const CHAINS: usize = 16;

#[inline(always)]
fn dot_plain(a: &[f64], b: &[f64]) -> f64 {
    let mut chains = [0.0; CHAINS];
    let (a_chunks, b_chunks) = (a.chunks_exact(CHAINS), b.chunks_exact(CHAINS));
    let rest: f64 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for c in 0..CHAINS {
            chains[c] += a[c] * b[c];
        }
    }
    chains.iter().sum::<f64>() + rest
}

#[inline(always)]
fn subtract_product_plain(a: &[f64], b: &[f64], c: &[f64], out: &mut [f64], d: &[f64]) -> f64 {
    for (((out, a), b), c) in out.iter_mut().zip(a).zip(b).zip(c) {
        *out = a - b * c;
    }
    dot_plain(out, d)
}

#[inline(always)]
fn step_plain(factor: f64, p: &[f64], q: &[f64], x: &mut [f64], r: &mut [f64], columns: &mut [f64]) {
    columns.fill(0.0);
    let n = columns.len();
    let rows = x.chunks_exact_mut(n).zip(r.chunks_exact_mut(n)).zip(p.chunks_exact(n).zip(q.chunks_exact(n)));
    for ((x, r), (p, q)) in rows {
        for j in 0..n {
            x[j] += factor * p[j];
            r[j] -= factor * q[j];
            columns[j] += r[j].abs();
        }
    }
}

#[inline(always)]
fn turn_plain(factor: f64, z: &[f64], r: &[f64], p: &mut [f64], s: &mut [f64]) {
    for (((p, s), z), r) in p.iter_mut().zip(s).zip(z).zip(r) {
        *p = z + factor * *p;
        *s = r + factor * *s;
    }
}
