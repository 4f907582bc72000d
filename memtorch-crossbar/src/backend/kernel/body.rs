//! The inner loops, written once on [`Simd`]. They are inlined into functions that have the
//! instructions (see `isa!`), and correct only there.

use super::simd::Simd;
use crate::converter::steps;

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

/// The linear rule, prepared.
#[derive(Clone, Copy)]
pub(super) struct Linear {
    pub(super) bits: u32,
    pub(super) low: f32,
    pub(super) high: f32,
}

/// What happens to finished partial sums.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    /// Nothing.
    Ideal,
    /// One full scale for all.
    Fixed { linear: Linear, full_scale: f32 },
    /// The largest magnitude of a vector gives its full scale.
    Dynamic { linear: Linear },
}

/// `totals[i][j] += converted(sums[i][j])`.
pub(super) struct Convert {
    pub(super) rule: Rule,
    /// `[rows][width]`, neighbouring rows `step` elements apart in both.
    pub(super) sums: *const f32,
    pub(super) totals: *mut f32,
    pub(super) rows: usize,
    pub(super) width: usize,
    pub(super) step: usize,
}

#[inline(always)]
unsafe fn quantise<S: Simd>(sum: S, inverse: S, step: S, low: S, high: S, clipped: &mut u64) -> S {
    // SAFETY: the caller's promise.
    unsafe {
        let code = sum.mul(inverse).add(S::splat(0.5)).floor();
        // NaN stays NaN: it is the second operand.
        let within = high.min(low.max(code));
        *clipped += u64::from(code.differing(within));
        within.mul(step)
    }
}

/// One vector in each row, bit lines in lanes. Lanes past the last bit line hold 0 (or NaN).
///
/// # Safety
/// The instructions of `S`; the pointers are valid for what they state, `width` being a multiple of
/// `S::LANES`.
#[inline(always)]
pub(super) unsafe fn convert_rows<S: Simd>(c: &Convert) -> u64 {
    let mut clipped = 0;
    // SAFETY: the caller's promise.
    unsafe {
        for row in 0..c.rows {
            let (sums, totals) = (c.sums.add(row * c.step), c.totals.add(row * c.step));
            let (linear, full_scale) = match c.rule {
                Rule::Ideal => {
                    for j in (0..c.width).step_by(S::LANES) {
                        S::load(totals.add(j)).add(S::load(sums.add(j))).store(totals.add(j));
                    }
                    continue;
                }
                Rule::Fixed { linear, full_scale } => (linear, full_scale),
                Rule::Dynamic { linear } => {
                    let mut largest = S::splat(0.0);
                    for j in (0..c.width).step_by(S::LANES) {
                        largest = S::load(sums.add(j)).abs().max(largest);
                    }
                    (linear, crate::converter::ceil_power_of_two(largest.largest()))
                }
            };
            let (inverse, step) = steps(full_scale, linear.bits);
            let (inverse, step) = (S::splat(inverse), S::splat(step));
            let (low, high) = (S::splat(linear.low), S::splat(linear.high));
            for j in (0..c.width).step_by(S::LANES) {
                let y = quantise(S::load(sums.add(j)), inverse, step, low, high, &mut clipped);
                S::load(totals.add(j)).add(y).store(totals.add(j));
            }
        }
    }
    clipped
}

/// One bit line in each row, vectors in lanes. Lanes past the last vector hold 0.
///
/// # Safety
/// The instructions of `S`; the pointers are valid for what they state, `width` being
/// `VECTORS * S::LANES` and at most 128.
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
                        S::load(c.totals.add(at)).add(S::load(c.sums.add(at))).store(c.totals.add(at));
                    }
                }
                return 0;
            }
            Rule::Fixed { linear, full_scale } => {
                let (inverse, step) = steps(full_scale, linear.bits);
                (linear, [S::splat(inverse); VECTORS], [S::splat(step); VECTORS])
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
                        (*inverse, *size) = steps(crate::converter::ceil_power_of_two(*size), linear.bits);
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
                let y = quantise(S::load(c.sums.add(at)), inverse[v], step[v], low, high, &mut clipped);
                S::load(c.totals.add(at)).add(y).store(c.totals.add(at));
            }
        }
    }
    clipped
}

/// Neighbouring vectors of a panel whose elements are neighbours in the source too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// First lane.
    pub(super) lane: usize,
    /// How many lanes.
    pub(super) len: usize,
    /// Where the first vector's elements start in the source.
    pub(super) base: usize,
}

/// Fills `panel[k][lane]` with `source[offsets[k] + base + lane]`; lanes from `used` on with 0.
///
/// `panel` has 16 elements more than `offsets.len() * width`, for whole vectors are copied.
#[inline(always)]
pub(super) fn gather<S: Simd>(
    source: &[f32],
    offsets: &[usize],
    runs: &[Run],
    panel: &mut [f32],
    width: usize,
    used: usize,
) {
    let last = runs.iter().map(|run| run.base + run.len.next_multiple_of(S::LANES)).max().unwrap_or(0);
    for (k, offset) in offsets.iter().enumerate() {
        let panel = &mut panel[k * width..];
        if offset + last <= source.len() {
            for run in runs {
                let source = &source[offset + run.base..];
                for j in (0..run.len).step_by(S::LANES) {
                    let from = &source[j..j + S::LANES];
                    panel[run.lane + j..run.lane + j + S::LANES].copy_from_slice(from);
                }
            }
        } else {
            for run in runs {
                let from = &source[offset + run.base..][..run.len];
                panel[run.lane..run.lane + run.len].copy_from_slice(from);
            }
        }
        if used < width {
            panel[used..width].fill(0.0);
        }
    }
}
