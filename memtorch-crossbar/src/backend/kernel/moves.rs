//! Moving elements into slabs and panels and results out of them, written once on [`Simd`]. They are inlined into
//! functions that have the instructions (see `isa!`), and correct only there.

use super::simd::Simd;

/// Neighbouring vectors of a panel whose elements are neighbours in the source too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// First lane.
    pub(super) lane: usize,
    /// How many lanes.
    pub(super) len: usize,
    /// Where the first vector's elements start in the source.
    pub(super) base: usize,
    /// Where the first vector's result for a layer's first column is in the output.
    pub(super) result: usize,
}

/// Fills `panel[k][lane]` with `source[offsets[k] + base + lane]`.
///
/// `panel` has 16 elements more than `offsets.len() * width`, for whole registers are copied. What is
/// in lanes that no run has is anything.
#[inline(always)]
pub(super) fn gather<S: Simd>(
    source: &[f32],
    offsets: &[usize],
    runs: &[Run],
    panel: &mut [f32],
    width: usize,
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
    }
}

/// Rows of an image on their way into a slab, by stride 1, or by stride 2 with the columns ordered by their
/// remainder.
pub(super) struct Spread {
    pub(super) source: *const f32,
    /// From row to row.
    pub(super) source_step: usize,
    /// Where the first row's elements go to: those of even number and those of odd number, or, by stride 1,
    /// all to the first.
    pub(super) targets: [*mut f32; 2],
    /// From row to row.
    pub(super) target_step: usize,
    pub(super) rows: usize,
    /// Elements of a row.
    pub(super) len: usize,
    /// By stride 2.
    pub(super) pairs: bool,
}

/// # Safety
/// The instructions of `S`; the pointers of `s` are valid for what they state.
#[inline(always)]
pub(super) unsafe fn spread<S: Simd>(s: &Spread) {
    let Spread { mut source, targets: [mut first, mut second], len, .. } = *s;
    for _ in 0..s.rows {
        // SAFETY: the caller's promise.
        unsafe {
            if s.pairs {
                for j in (0..len.div_ceil(2)).step_by(S::LANES) {
                    let from = source.add(2 * j);
                    let low = S::load_first(from, len - 2 * j);
                    let high =
                        S::load_first(from.wrapping_add(S::LANES), (len - 2 * j).saturating_sub(S::LANES));
                    let (even, odd) = low.split(high);
                    even.store_first(first.wrapping_add(j), len.div_ceil(2) - j);
                    odd.store_first(second.wrapping_add(j), (len / 2).saturating_sub(j));
                }
            } else {
                for j in (0..len).step_by(S::LANES) {
                    S::load_first(source.add(j), len - j).store_first(first.wrapping_add(j), len - j);
                }
            }
        }
        source = source.wrapping_add(s.source_step);
        first = first.wrapping_add(s.target_step);
        second = second.wrapping_add(s.target_step);
    }
}

/// Where the elements of a plane of a slab come from: a register's worth after the other.
#[derive(Default)]
pub(super) struct Order {
    /// For each register, where in a plane of the image its first element is.
    pub(super) starts: Vec<usize>,
    /// For each lane of each register, how far behind the register's first its element is, below twice the
    /// lanes; negative where it is 0.
    pub(super) lanes: Vec<i32>,
    /// All are below the number of lanes.
    pub(super) narrow: bool,
}

/// Planes of images on their way into a slab.
pub(super) struct Arrange<'a> {
    pub(super) order: &'a Order,
    /// The first plane, and how many elements there are from there on, in all planes and behind them.
    pub(super) source: *const f32,
    pub(super) len: usize,
    /// From plane to plane.
    pub(super) source_step: usize,
    /// Written in whole registers, the last of which ends in what comes after the plane.
    pub(super) target: *mut f32,
    pub(super) target_step: usize,
    pub(super) planes: usize,
}

/// # Safety
/// The instructions of `S`; the pointers of `a` are valid for what they state, and each start plus the largest of its
/// lanes is inside every plane.
#[inline(always)]
pub(super) unsafe fn arrange<S: Simd>(a: &Arrange) {
    for plane in 0..a.planes {
        let from = plane * a.source_step;
        let mut target = a.target.wrapping_add(plane * a.target_step);
        for (&start, order) in a.order.starts.iter().zip(a.order.lanes.chunks_exact(S::LANES)) {
            let at = from + start;
            // SAFETY: the caller's promise; near the end of the source no more is read than is there.
            unsafe {
                let (source, order) = (a.source.wrapping_add(at), order.as_ptr());
                let (low, high) = if at + 2 * S::LANES <= a.len {
                    let low = S::load(source);
                    (low, if a.order.narrow { low } else { S::load(source.add(S::LANES)) })
                } else {
                    let left = a.len.saturating_sub(at);
                    let high = source.wrapping_add(S::LANES);
                    (S::load_first(source, left), S::load_first(high, left.saturating_sub(S::LANES)))
                };
                low.pick(high, order).store(target);
            }
            target = target.wrapping_add(S::LANES);
        }
    }
}

/// Neighbouring results whose lanes lie within two registers' worth.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// The first lane.
    pub(super) lane: usize,
    /// Where the first result goes.
    pub(super) result: usize,
    /// How many may be written from there on: what is no result of this piece will be of the next one.
    pub(super) room: usize,
}

/// Puts results together: result i of a piece is `lanes[i]` lanes behind the piece's first one.
///
/// # Safety
/// The instructions of `S`; `lanes` has a register's worth for each piece; from the lane of each piece on two
/// registers' worth can be read, and what `target` has from its result on is valid for its room.
#[inline(always)]
pub(super) unsafe fn collect<S: Simd>(pieces: &[Piece], lanes: &[i32], source: *const f32, target: *mut f32) {
    for (piece, order) in pieces.iter().zip(lanes.chunks_exact(S::LANES)) {
        // SAFETY: the caller's promise.
        unsafe {
            let source = source.add(piece.lane);
            let results = S::load(source).pick(S::load(source.add(S::LANES)), order.as_ptr());
            let target = target.add(piece.result);
            if piece.room < S::LANES {
                results.store_first(target, piece.room);
            } else {
                results.store(target);
            }
        }
    }
}
