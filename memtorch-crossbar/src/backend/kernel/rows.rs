//! Vectors that are rows: bit lines in lanes, a block of vectors broadcast.

use std::ops::Range;

use memtorch_utils::threads;
use rayon::prelude::*;

use super::{Conversion, Convert, DEPTH, Dot, Kernel, output::Output, parts, scratch};
use crate::backend::packed::{Packed, Panels};
use crate::{Accumulate, Conversions, Layout};

/// Vectors of one task: more would not stay in the second-level cache.
const VECTORS: usize = 104;

/// Products smaller than this many multiplications are not worth a second thread.
const SMALL: usize = 1 << 21;

struct Job<'a> {
    layout: &'a Layout,
    panels: &'a Panels,
    values: &'a [f32],
    conversion: &'a Conversion<'a>,
    output: Output<'a>,
}

/// Part of a tile column: panels that one task takes through all row tiles.
struct Stripe {
    group: usize,
    tile_column: usize,
    bit_lines: Range<usize>,
}

/// # Safety
/// The processor has the instructions of `K`; lengths were checked.
pub(super) unsafe fn multiply<K: Kernel>(
    layout: &Layout,
    packed: &Packed,
    values: &[f32],
    rows: usize,
    conversion: &Conversion<'_>,
    accumulate: Accumulate,
    output: &mut [f32],
) -> Conversions {
    let panels = packed.panels(layout, K::LANES);
    let job = Job { layout, panels, values, conversion, output: Output::new(output, accumulate) };
    // Stripes of a tile's bit lines where the converter lets them apart.
    let widest = layout.tile_shape()[1].min(layout.columns());
    let width = if conversion.is_separable() { (8 * K::LANES).min(widest) } else { widest };
    let per_tile = widest.div_ceil(width);
    let stripes = layout.groups() * layout.tile_columns() * per_tile;
    let stripe = |number: usize| {
        let (tile_column, first) = (number / per_tile, number % per_tile * width);
        let (group, tile_column) = (tile_column / layout.tile_columns(), tile_column % layout.tile_columns());
        let used = widest.min(layout.columns() - tile_column * layout.tile_shape()[1]);
        Stripe { group, tile_column, bit_lines: first.min(used)..(first + width).min(used) }
    };

    let threads = if threads::is_alone() { 1 } else { rayon::current_num_threads() };
    let chunks = rows.div_ceil(VECTORS);
    let whole = chunks * stripes;
    if threads == 1 || whole == 1 && rows == 1 || rows * layout.device_count() < SMALL {
        let mut done = Conversions::default();
        for (first, count) in parts(rows, VECTORS) {
            // SAFETY: the caller's promise; there is no other task.
            done += unsafe { task::<K>(&job, first..first + count, (0..stripes).map(stripe)) };
        }
        return done;
    }
    let splits = (2 * threads).div_ceil(chunks).min(stripes);
    let smallest = K::block(2);
    let chunk = if chunks * splits >= threads {
        VECTORS
    } else {
        rows.div_ceil(threads.div_ceil(splits)).next_multiple_of(smallest)
    };
    let chunks: Vec<_> = parts(rows, chunk).collect();
    let columns: Vec<_> = parts(stripes, stripes.div_ceil(splits)).collect();
    (0..chunks.len() * columns.len())
        .into_par_iter()
        .map(|number| {
            let (first, count) = chunks[number % chunks.len()];
            let (stripe_first, stripe_count) = columns[number / chunks.len()];
            let mine = (stripe_first..stripe_first + stripe_count).map(stripe);
            // SAFETY: the caller's promise; no other task has these vectors and these columns.
            unsafe { task::<K>(&job, first..first + count, mine) }
        })
        .reduce(Conversions::default, |mut a, b| {
            a += b;
            a
        })
}

/// Some vectors through some stripes.
unsafe fn task<K: Kernel>(
    job: &Job<'_>,
    vectors: Range<usize>,
    stripes: impl Iterator<Item = Stripe>,
) -> Conversions {
    scratch::with(|scratch| {
        let layout = job.layout;
        let mut done = Conversions::default();
        let mut packed_group = None;
        let inputs = scratch.inputs.get(vectors.len() * layout.rows());
        for stripe in stripes.filter(|stripe| !stripe.bit_lines.is_empty()) {
            if packed_group != Some(stripe.group) {
                pack::<K>(job, &vectors, stripe.group, inputs);
                packed_group = Some(stripe.group);
            }
            let width = stripe.bit_lines.len().next_multiple_of(K::LANES);
            let len = vectors.len() * width;
            let (sums, totals) = (scratch.sums.get(len), scratch.totals.get(len));
            // SAFETY: the caller's promise; the buffers have the lengths that `through` states.
            unsafe {
                done += through::<K>(job, &stripe, vectors.len(), inputs, sums, totals);
                let columns = layout.groups() * layout.columns();
                let first = stripe.group * layout.columns()
                    + stripe.tile_column * layout.tile_shape()[1]
                    + stripe.bit_lines.start;
                for (vector, totals) in vectors.clone().zip(totals.chunks_exact(width)) {
                    job.output.put(vector * columns + first, &totals[..stripe.bit_lines.len()]);
                }
            }
        }
        done
    })
}

/// Lays a group's inputs out block after block, each `[word line][vector of the block]`.
fn pack<K: Kernel>(job: &Job<'_>, vectors: &Range<usize>, group: usize, inputs: &mut [f32]) {
    let rows = job.layout.rows();
    let step = job.layout.groups() * rows;
    for (first, block) in parts(vectors.len(), K::block(2)) {
        let target = &mut inputs[first * rows..][..block * rows];
        let source = &job.values[(vectors.start + first) * step + group * rows..];
        if block == 1 {
            target.copy_from_slice(&source[..rows]);
            continue;
        }
        // Some word lines at a time, so that their lines are written whole.
        for start in (0..rows).step_by(64) {
            let end = (start + 64).min(rows);
            let target = &mut target[start * block..end * block];
            for b in 0..block {
                let row = &source[b * step + start..b * step + end];
                for (slot, x) in target[b..].iter_mut().step_by(block).zip(row) {
                    *slot = *x;
                }
            }
        }
    }
}

/// All row tiles of a stripe: `totals[vector][width] += ...`; `sums` has the same size.
unsafe fn through<K: Kernel>(
    job: &Job<'_>,
    stripe: &Stripe,
    vectors: usize,
    inputs: &[f32],
    sums: &mut [f32],
    totals: &mut [f32],
) -> Conversions {
    let layout = job.layout;
    let mut done = Conversions::default();
    let width = stripe.bit_lines.len().next_multiple_of(K::LANES);
    let panel = 2 * K::LANES;
    let first = (stripe.group * layout.tile_columns() + stripe.tile_column) * layout.tile_rows();
    for tile in (first..first + layout.tile_rows()).map(|number| layout.tile(number)) {
        let matrix = job.panels.starting_at(layout, tile.index);
        let rule = job.conversion.rule(&tile, stripe.bit_lines.start);
        let fresh = tile.row == 0;
        for depth_first in (0..tile.word_lines).step_by(DEPTH) {
            let depth = DEPTH.min(tile.word_lines - depth_first);
            let ends = depth_first + depth == tile.word_lines;
            for (vector, block) in parts(vectors, K::block(2)) {
                let inputs = &inputs[vector * layout.rows() + (tile.row + depth_first) * block..];
                for column in (0..width).step_by(panel) {
                    let lanes = panel.min(width - column);
                    let from = (stripe.bit_lines.start + column) * tile.word_lines + depth_first * lanes;
                    // The same panel of what comes next in memory, once.
                    let next = if ends {
                        tile.bit_lines.next_multiple_of(K::LANES) * tile.word_lines - depth_first * lanes
                    } else {
                        depth * lanes
                    };
                    let matrix = &matrix[from..];
                    let (prefetch, prefetch_step) = if vector == 0 { (next, lanes) } else { (0, 0) };
                    debug_assert!(matrix.len() >= depth * lanes && inputs.len() >= depth * block);
                    let dot = Dot {
                        depth,
                        lanes: matrix.as_ptr(),
                        lanes_step: lanes,
                        broadcast: inputs.as_ptr(),
                        broadcast_step: block,
                        sums: sums[vector * width + column..].as_mut_ptr(),
                        sums_step: width,
                        fresh: depth_first == 0,
                        prefetch: matrix.as_ptr().wrapping_add(prefetch),
                        prefetch_step,
                    };
                    // SAFETY: the instructions are the caller's promise. The panel has `depth` word
                    // lines of `lanes` bit lines, the packed inputs `depth` of `block` vectors, `sums`
                    // `block` rows of `width`, of which `lanes` from `column` on are inside.
                    unsafe { K::dot(lanes / K::LANES, block, &dot) };
                }
                if !ends {
                    continue;
                }
                let range = vector * width..(vector + block) * width;
                let (sums, totals) = (&mut sums[range.clone()], &mut totals[range]);
                match rule {
                    Ok(rule) => {
                        let (rows, step) = (block, width);
                        let (sums, totals) = (sums.as_ptr(), totals.as_mut_ptr());
                        let valid = [u32::MAX; 8];
                        let convert = Convert { rule, sums, totals, rows, width, step, fresh, valid };
                        // SAFETY: the instructions are the caller's promise; both have `block` rows.
                        done.clipped += unsafe { K::convert_rows(&convert) };
                    }
                    Err(converter) => {
                        let used = stripe.bit_lines.len();
                        for (sums, totals) in sums.chunks_exact_mut(width).zip(totals.chunks_exact_mut(width))
                        {
                            done.clipped += converter.quantise(&mut sums[..used], &tile) as u64;
                            for (total, sum) in totals.iter_mut().zip(&*sums) {
                                *total = if fresh { 0.0 } else { *total } + sum;
                            }
                        }
                    }
                }
            }
        }
        if !job.conversion.is_ideal() {
            done.codes += (vectors * stripe.bit_lines.len()) as u64;
        }
    }
    done
}
