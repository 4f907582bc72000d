//! The inner loops, written once on [`Simd`]. They are inlined into functions that have the
//! instructions (see `isa!`), and correct only there.

use super::simd::Simd;
use crate::converter::{ceil_power_of_two, steps};

/// Sums of products: `sums[b][l] += broadcast[k][b] * lanes[k][l]`, one chain over ascending k.
pub(super) struct Dot {
    /// Word lines.
    pub(super) depth: usize,
    /// `[depth][lanes]`, neighbouring k `lanes_step` apart.
    pub(super) lanes: *const f32,
    pub(super) lanes_step: usize,
    /// `[depth][block]`, neighbouring k `broadcast_step` apart.
    pub(super) broadcast: *const f32,
    pub(super) broadcast_step: usize,
    /// `[block][lanes]`, neighbouring b `sums_step` apart.
    pub(super) sums: *mut f32,
    pub(super) sums_step: usize,
    /// The chain starts here, from 0, and does not go on from `sums`.
    pub(super) fresh: bool,
    /// What is needed next: two cache lines for each k, `prefetch_step` elements apart. Any address.
    pub(super) prefetch: *const f32,
    pub(super) prefetch_step: usize,
}

/// # Safety
/// The instructions of `S`; the pointers of `d` are valid for what they state, with `BLOCK` values to
/// broadcast and `VECTORS * S::LANES` lanes.
#[inline(always)]
pub(super) unsafe fn dot<S: Simd, const BLOCK: usize, const VECTORS: usize>(d: &Dot) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = [[S::splat(0.0); VECTORS]; BLOCK];
        if !d.fresh {
            for (b, row) in sums.iter_mut().enumerate() {
                for (v, sum) in row.iter_mut().enumerate() {
                    *sum = S::load(d.sums.add(b * d.sums_step + v * S::LANES));
                }
            }
        }
        let (mut lanes, mut broadcast, mut prefetch) = (d.lanes, d.broadcast, d.prefetch);
        for _ in 0..d.depth {
            S::prefetch(prefetch);
            S::prefetch(prefetch.wrapping_add(16));
            prefetch = prefetch.wrapping_add(d.prefetch_step);
            let mut operand = [S::splat(0.0); VECTORS];
            for (v, operand) in operand.iter_mut().enumerate() {
                *operand = S::load(lanes.add(v * S::LANES));
            }
            for (b, row) in sums.iter_mut().enumerate() {
                let factor = S::splat(*broadcast.add(b));
                for (sum, operand) in row.iter_mut().zip(operand) {
                    *sum = factor.mul_add(operand, *sum);
                }
            }
            lanes = lanes.wrapping_add(d.lanes_step);
            broadcast = broadcast.wrapping_add(d.broadcast_step);
        }
        for (b, row) in sums.iter().enumerate() {
            for (v, sum) in row.iter().enumerate() {
                sum.store(d.sums.add(b * d.sums_step + v * S::LANES));
            }
        }
    }
}

/// As [`Dot`], with lanes that lie apart: register v of k is at `source + starts[v] + offsets[k]`.
pub(super) struct Scattered {
    pub(super) depth: usize,
    pub(super) source: *const f32,
    pub(super) starts: [usize; 8],
    pub(super) offsets: *const usize,
    pub(super) broadcast: *const f32,
    pub(super) broadcast_step: usize,
    pub(super) sums: *mut f32,
    pub(super) sums_step: usize,
    pub(super) fresh: bool,
}

/// # Safety
/// The instructions of `S`; the pointers of `d` are valid for what they state, with `BLOCK` values to
/// broadcast and `VECTORS` whole registers of lanes.
#[inline(always)]
pub(super) unsafe fn scattered<S: Simd, const BLOCK: usize, const VECTORS: usize>(d: &Scattered) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = [[S::splat(0.0); VECTORS]; BLOCK];
        if !d.fresh {
            for (b, row) in sums.iter_mut().enumerate() {
                for (v, sum) in row.iter_mut().enumerate() {
                    *sum = S::load(d.sums.add(b * d.sums_step + v * S::LANES));
                }
            }
        }
        let mut sources = [d.source; VECTORS];
        for (source, start) in sources.iter_mut().zip(d.starts) {
            *source = d.source.add(start);
        }
        let mut broadcast = d.broadcast;
        for k in 0..d.depth {
            let offset = *d.offsets.add(k);
            let mut operand = [S::splat(0.0); VECTORS];
            for (operand, source) in operand.iter_mut().zip(sources) {
                *operand = S::load(source.add(offset));
            }
            for (b, row) in sums.iter_mut().enumerate() {
                let factor = S::splat(*broadcast.add(b));
                for (sum, operand) in row.iter_mut().zip(operand) {
                    *sum = factor.mul_add(operand, *sum);
                }
            }
            broadcast = broadcast.wrapping_add(d.broadcast_step);
        }
        for (b, row) in sums.iter().enumerate() {
            for (v, sum) in row.iter().enumerate() {
                sum.store(d.sums.add(b * d.sums_step + v * S::LANES));
            }
        }
    }
}

/// `rounds` times 12 registers of multiply-adds that do not wait for each other, and nothing else.
/// Returns something that depends on all of them.
///
/// # Safety
/// The instructions of `S`.
#[inline(always)]
pub(super) unsafe fn spin<S: Simd>(rounds: usize, factor: f32) -> f32 {
    // SAFETY: the caller's promise.
    unsafe {
        let (factor, term) = (S::splat(factor), S::splat(1.0));
        let mut chains = [S::splat(0.0); SPIN];
        for _ in 0..rounds {
            for chain in &mut chains {
                *chain = factor.mul_add(*chain, term);
            }
        }
        chains.into_iter().reduce(|a, b| a.add(b)).map_or(0.0, |sum| sum.largest())
    }
}

/// Chains of [`spin`].
pub(super) const SPIN: usize = 12;

/// The linear rule, prepared.
#[derive(Clone, Copy)]
pub(super) struct Linear {
    pub(super) bits: u32,
    pub(super) low: f32,
    pub(super) high: f32,
}

/// What happens to finished partial sums.
#[derive(Clone, Copy)]
pub(super) enum Rule<'a> {
    /// Nothing.
    Ideal,
    /// One full scale for all.
    Fixed { linear: Linear, full_scale: f32 },
    /// A step for each bit line, and one over it, with a register's worth of zeros behind them.
    Lines { linear: Linear, inverses: &'a [f32], sizes: &'a [f32] },
    /// The largest magnitude of a vector gives its full scale.
    Dynamic { linear: Linear },
}

/// `totals[i][j] += converted(sums[i][j])`.
pub(super) struct Convert<'a> {
    pub(super) rule: Rule<'a>,
    /// `[rows][width]`, neighbouring rows `step` elements apart in both.
    pub(super) sums: *const f32,
    pub(super) totals: *mut f32,
    pub(super) rows: usize,
    pub(super) width: usize,
    pub(super) step: usize,
    /// The totals start here, from 0.
    pub(super) fresh: bool,
    /// For vectors in lanes: which lanes of each register hold one. Only there codes are counted.
    pub(super) valid: [u32; 8],
}

#[inline(always)]
unsafe fn add_to<S: Simd>(total: *mut f32, fresh: bool, y: S) {
    // SAFETY: the caller's promise.
    unsafe {
        let old = if fresh { S::splat(0.0) } else { S::load(total) };
        old.add(y).store(total);
    }
}

/// The rule for a register of sums, and in which lanes it clipped.
#[inline(always)]
unsafe fn quantise<S: Simd>(sum: S, inverse: S, step: S, low: S, high: S) -> (S, u32) {
    // SAFETY: the caller's promise.
    unsafe {
        let code = sum.mul(inverse).add(S::splat(0.5)).floor();
        // NaN stays NaN: it is the second operand.
        let within = high.min(low.max(code));
        (within.mul(step), code.differing(within))
    }
}

/// One vector in each row, bit lines in lanes. Lanes past the last bit line hold 0 (or NaN).
///
/// # Safety
/// The instructions of `S`; the pointers are valid for what they state, `width` being a multiple of
/// `S::LANES`, and there are at most 16 rows.
#[inline(always)]
pub(super) unsafe fn convert_rows<S: Simd>(c: &Convert) -> u64 {
    let mut clipped = 0;
    // SAFETY: the caller's promise.
    unsafe {
        // Full scales, then 1 / step; and step.
        let (mut inverses, mut sizes) = ([0.0f32; 16], [0.0f32; 16]);
        let linear = match c.rule {
            Rule::Ideal => {
                for row in 0..c.rows {
                    let (sums, totals) = (c.sums.add(row * c.step), c.totals.add(row * c.step));
                    for j in (0..c.width).step_by(S::LANES) {
                        add_to(totals.add(j), c.fresh, S::load(sums.add(j)));
                    }
                }
                return 0;
            }
            Rule::Fixed { linear, full_scale } => {
                sizes = [full_scale; 16];
                linear
            }
            Rule::Lines { linear, inverses, sizes } => {
                let (low, high) = (S::splat(linear.low), S::splat(linear.high));
                let (inverses, sizes) = (&inverses[..c.width], &sizes[..c.width]);
                for row in 0..c.rows {
                    let (sums, totals) = (c.sums.add(row * c.step), c.totals.add(row * c.step));
                    for j in (0..c.width).step_by(S::LANES) {
                        let (inverse, step) =
                            (S::load(inverses.as_ptr().add(j)), S::load(sizes.as_ptr().add(j)));
                        let (y, ends) = quantise(S::load(sums.add(j)), inverse, step, low, high);
                        clipped += u64::from(ends.count_ones());
                        add_to(totals.add(j), c.fresh, y);
                    }
                }
                return clipped;
            }
            Rule::Dynamic { linear } => {
                for (row, size) in sizes.iter_mut().enumerate().take(c.rows) {
                    let sums = c.sums.add(row * c.step);
                    let mut largest = [S::splat(0.0); 2];
                    let mut j = 0;
                    while j + 2 * S::LANES <= c.width {
                        largest[0] = S::load(sums.add(j)).abs().max(largest[0]);
                        largest[1] = S::load(sums.add(j + S::LANES)).abs().max(largest[1]);
                        j += 2 * S::LANES;
                    }
                    if j < c.width {
                        largest[0] = S::load(sums.add(j)).abs().max(largest[0]);
                    }
                    *size = largest[0].max(largest[1]).largest();
                }
                for size in &mut sizes {
                    *size = ceil_power_of_two(*size);
                }
                linear
            }
        };
        for (inverse, size) in inverses.iter_mut().zip(&mut sizes) {
            (*inverse, *size) = steps(*size, linear.bits);
        }
        let (low, high) = (S::splat(linear.low), S::splat(linear.high));
        for row in 0..c.rows {
            let (sums, totals) = (c.sums.add(row * c.step), c.totals.add(row * c.step));
            let (inverse, step) = (S::splat(inverses[row & 15]), S::splat(sizes[row & 15]));
            for j in (0..c.width).step_by(S::LANES) {
                let (y, ends) = quantise(S::load(sums.add(j)), inverse, step, low, high);
                clipped += u64::from(ends.count_ones());
                add_to(totals.add(j), c.fresh, y);
            }
        }
    }
    clipped
}

/// One bit line in each row, vectors in lanes.
///
/// # Safety
/// The instructions of `S`; the pointers are valid for what they state, `width` being
/// `VECTORS * S::LANES`.
#[inline(always)]
pub(super) unsafe fn convert_lanes<S: Simd, const VECTORS: usize>(c: &Convert) -> u64 {
    let mut clipped = 0;
    // SAFETY: the caller's promise.
    unsafe {
        let (linear, inverse, step) = match c.rule {
            Rule::Ideal => {
                for row in 0..c.rows {
                    for v in 0..VECTORS {
                        let at = row * c.step + v * S::LANES;
                        add_to(c.totals.add(at), c.fresh, S::load(c.sums.add(at)));
                    }
                }
                return 0;
            }
            Rule::Fixed { linear, full_scale } => {
                let (inverse, step) = steps(full_scale, linear.bits);
                (linear, [S::splat(inverse); VECTORS], [S::splat(step); VECTORS])
            }
            Rule::Lines { linear, inverses, sizes } => {
                let (low, high) = (S::splat(linear.low), S::splat(linear.high));
                for (row, (inverse, step)) in inverses.iter().zip(sizes).enumerate().take(c.rows) {
                    let (inverse, step) = (S::splat(*inverse), S::splat(*step));
                    for v in 0..VECTORS {
                        let at = row * c.step + v * S::LANES;
                        let (y, ends) = quantise(S::load(c.sums.add(at)), inverse, step, low, high);
                        clipped += u64::from((ends & c.valid[v]).count_ones());
                        add_to(c.totals.add(at), c.fresh, y);
                    }
                }
                return clipped;
            }
            Rule::Dynamic { linear } => {
                let mut largest = [S::splat(0.0); VECTORS];
                for row in 0..c.rows {
                    for (v, largest) in largest.iter_mut().enumerate() {
                        *largest = S::load(c.sums.add(row * c.step + v * S::LANES)).abs().max(*largest);
                    }
                }
                let (mut inverse, mut step) = (largest, largest);
                let (mut inverses, mut sizes) = ([0.0f32; 16], [0.0f32; 16]);
                for v in 0..VECTORS {
                    largest[v].store(sizes.as_mut_ptr());
                    for (inverse, size) in inverses.iter_mut().zip(&mut sizes) {
                        (*inverse, *size) = steps(ceil_power_of_two(*size), linear.bits);
                    }
                    inverse[v] = S::load(inverses.as_ptr());
                    step[v] = S::load(sizes.as_ptr());
                }
                (linear, inverse, step)
            }
        };
        let (low, high) = (S::splat(linear.low), S::splat(linear.high));
        for row in 0..c.rows {
            for v in 0..VECTORS {
                let at = row * c.step + v * S::LANES;
                let (y, ends) = quantise(S::load(c.sums.add(at)), inverse[v], step[v], low, high);
                clipped += u64::from((ends & c.valid[v]).count_ones());
                add_to(c.totals.add(at), c.fresh, y);
            }
        }
    }
    clipped
}
