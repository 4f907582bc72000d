//! Patches of images: neighbouring positions in lanes, a block of bit lines broadcast.

use std::ops::Range;

use memtorch_utils::threads;
use rayon::prelude::*;

use super::patches::{Panel, Slab, Source};
use super::scratch::{self, Scratch};
use super::single::Single;
use super::{
    Conversion, Convert, DEPTH, Dot, Kernel, Run, Scattered,
    output::{Output, Rows},
    parts,
};
use crate::{Accumulate, Conversions, Layout, PatchGeometry, Tile};

/// Products smaller than this many multiplications are not worth a second thread.
const SMALL: usize = 1 << 21;

struct Job<'a> {
    layout: &'a Layout,
    matrix: &'a [f32],
    source: Source<'a>,
    conversion: &'a Conversion<'a>,
    output: Output<'a>,
}

/// # Safety
/// The processor has the instructions of `K`; lengths were checked. `None`: a geometry that
/// needs far more memory than its images.
pub(super) unsafe fn multiply<K: Kernel>(
    layout: &Layout,
    matrix: &[f32],
    (values, samples, geometry): (&[f32], usize, &PatchGeometry),
    conversion: &Conversion<'_>,
    accumulate: Accumulate,
    output: &mut [f32],
) -> Option<Conversions> {
    let source = Source::new(values, samples, geometry, layout.groups())?;
    let vectors = samples * geometry.positions();
    let work = vectors.saturating_mul(layout.device_count());
    let job = Job { layout, matrix, source, conversion, output: Output::new(output, accumulate) };
    let threads = if work < SMALL || threads::is_alone() { 1 } else { rayon::current_num_threads() };
    let chunks = job.source.chunks(panel_width::<K>(layout), if threads == 1 { 1 } else { 4 * threads });
    let splits = if threads == 1 { 1 } else { (2 * threads).div_ceil(chunks.len()).min(layout.groups()) };
    let groups: Vec<_> = parts(layout.groups(), layout.groups().div_ceil(splits)).collect();
    let run = |number: usize| {
        let chunk = chunks[number % chunks.len()].clone();
        let (first, count) = groups[number / chunks.len()];
        // SAFETY: the caller's promise; no other task has these vectors and these groups.
        unsafe { task::<K>(&job, chunk, first..first + count) }
    };
    let tasks = 0..chunks.len() * groups.len();
    let add = |mut a: Conversions, b: Conversions| {
        a += b;
        a
    };
    Some(if threads == 1 {
        tasks.map(run).fold(Conversions::default(), add)
    } else {
        tasks.into_par_iter().map(run).reduce(Conversions::default, add)
    })
}

/// Positions in a panel.
fn panel_width<K: Kernel>(layout: &Layout) -> usize {
    let bit_lines = layout.tile_shape()[1].min(layout.columns());
    let [narrow, medium] = K::NARROW;
    K::LANES
        * if bit_lines <= narrow {
            8
        } else if bit_lines <= medium {
            4
        } else {
            2
        }
}

/// Some vectors through some groups.
unsafe fn task<K: Kernel>(job: &Job<'_>, vectors: Range<usize>, groups: Range<usize>) -> Conversions {
    scratch::with(|scratch| {
        let Scratch {
            inputs,
            panel,
            sums: all_sums,
            totals: all_totals,
            column,
            runs,
            results,
            tiles,
            panels,
            offsets,
            order,
            plan,
        } = scratch;
        let layout = job.layout;
        let width = panel_width::<K>(layout);
        let depth = layout.tile_shape()[0].min(layout.rows()).min(DEPTH);
        let values = panel.get(depth * width + 16);
        let len = layout.columns() * width;
        let slab = Slab::new(&job.source, &vectors);
        slab.offsets(&job.source, offsets);
        slab.order(&job.source, K::LANES, order);
        let loose = job.source.is_loose(layout.columns(), K::LANES);
        let columns = layout.groups() * layout.columns();
        let shape = (K::LANES, width / K::LANES, !loose);
        slab.panels(&job.source, vectors, columns, shape, (runs, results, panels));
        let reach = offsets.iter().max().map_or(0, |offset| offset + K::LANES);
        let positions = job.source.positions();
        let mut done = Conversions::default();
        let alone = loose && layout.columns() == 1 && layout.rows() == depth && job.output.is_set();
        if alone {
            plan.plan(panels, results, K::LANES);
        }
        for (number, group) in groups.enumerate() {
            // SAFETY: the caller's promise.
            let source = unsafe { slab.fill::<K>(&job.source, (group, number == 0), order, inputs) };
            let first = group * layout.tile_columns() * layout.tile_rows();
            let starts = panels.iter().flat_map(|panel| panel.starts);
            if alone
                && starts.max().is_none_or(|start| start + reach <= source.len())
                && let Ok(rule) = job.conversion.rule(&layout.tile(first), 0)
            {
                let matrix = &job.matrix[layout.tile(first).range()];
                let at = group * positions;
                let single = Single { matrix, source, offsets, panels, results: plan, rule, at };
                let (sums, totals) = (all_sums.get(plan.lanes()), all_totals.get(plan.lanes()));
                // SAFETY: the caller's promise; the registers were seen to end inside the source.
                done.clipped += unsafe { single.run::<K>(&job.output, sums, totals) };
                if !job.conversion.is_ideal() {
                    done.codes += panels.iter().map(|panel| panel.used as u64).sum::<u64>();
                }
                continue;
            }
            let (sums, totals) = (all_sums.get(len), all_totals.get(len));
            tiles.clear();
            for tile_row in 0..layout.tile_rows() {
                let columns = 0..layout.tile_columns();
                tiles.extend(columns.map(|c| layout.tile(first + c * layout.tile_rows() + tile_row)));
            }
            for panel in &*panels {
                let width = panel.registers * K::LANES;
                let size = layout.columns() * width;
                let (sums, totals) = (&mut sums[..size], &mut totals[..size]);
                let runs = &runs[panel.runs.clone()];
                let packed = !loose || panel.starts.iter().any(|start| start + reach > source.len());
                let vectors = Vectors { source, offsets, runs, panel, width, packed, values };
                // SAFETY: the caller's promise; the buffers have the lengths that `through` states.
                done += unsafe { through::<K>(job, tiles, vectors, sums, totals, column) };
                // Back to [sample, column, position].
                let column = group * layout.columns() * positions;
                for run in &results[panel.results.clone()] {
                    let rows = Rows { rows: layout.columns(), len: run.len, step: positions };
                    // SAFETY: the instructions are the caller's promise; no other task has these vectors and
                    // this group.
                    unsafe {
                        job.output.put_rows::<K>(run.result + column, rows, &totals[run.lane..], width)
                    };
                }
            }
        }
        done
    })
}

/// Vectors that are multiplied together, and where they come from.
struct Vectors<'a> {
    source: &'a [f32],
    offsets: &'a [usize],
    runs: &'a [Run],
    panel: &'a Panel,
    width: usize,
    /// They are packed first, and not read in place.
    packed: bool,
    /// `[word line][width]` and 16 more, for the largest number of word lines.
    values: &'a mut [f32],
}

/// All tiles of a group, one row of tiles after the other: `totals[column][width]`; `sums` has the
/// same size.
unsafe fn through<K: Kernel>(
    job: &Job<'_>,
    tiles: &[Tile],
    vectors: Vectors<'_>,
    sums: &mut [f32],
    totals: &mut [f32],
    column: &mut Vec<f32>,
) -> Conversions {
    let (layout, width) = (job.layout, vectors.width);
    let Panel { registers, used, valid, starts, .. } = *vectors.panel;
    let mut done = Conversions::default();
    for tiles in tiles.chunks_exact(layout.tile_columns()) {
        let row_tile = tiles[0];
        for depth_first in (0..row_tile.word_lines).step_by(DEPTH) {
            let depth = DEPTH.min(row_tile.word_lines - depth_first);
            let ends = depth_first + depth == row_tile.word_lines;
            let offsets = &vectors.offsets[row_tile.row + depth_first..][..depth];
            if vectors.packed {
                // SAFETY: the caller's promise.
                unsafe { K::gather(vectors.source, offsets, vectors.runs, vectors.values, width) };
            }
            for tile in tiles {
                let matrix = &job.matrix[tile.range()][depth_first * tile.bit_lines..];
                let range = tile.column * width..(tile.column + tile.bit_lines) * width;
                let (sums, totals) = (&mut sums[range.clone()], &mut totals[range]);
                for (bit_line, block) in parts(tile.bit_lines, K::block(registers)) {
                    let (broadcast, broadcast_step) = (matrix[bit_line..].as_ptr(), tile.bit_lines);
                    let (sums, sums_step) = (sums[bit_line * width..].as_mut_ptr(), width);
                    let fresh = depth_first == 0;
                    // SAFETY: the instructions are the caller's promise. The matrix has `depth` rows of
                    // which `block` bit lines from `bit_line` on are inside, `sums` a row of `width` for
                    // each bit line. The panel has `depth` word lines of `width` lanes; read in
                    // place, every register of every word line was seen to end inside the source, and
                    // registers without a run start at 0, before the others.
                    unsafe {
                        if vectors.packed {
                            let (lanes, lanes_step) = (vectors.values.as_ptr(), width);
                            let (prefetch, prefetch_step) = (broadcast, 0);
                            let dot = Dot {
                                depth,
                                lanes,
                                lanes_step,
                                broadcast,
                                broadcast_step,
                                sums,
                                sums_step,
                                fresh,
                                prefetch,
                                prefetch_step,
                            };
                            K::dot(registers, block, &dot);
                        } else {
                            let (source, offsets) = (vectors.source.as_ptr(), offsets.as_ptr());
                            let dot = Scattered {
                                depth,
                                source,
                                starts,
                                offsets,
                                broadcast,
                                broadcast_step,
                                sums,
                                sums_step,
                                fresh,
                            };
                            K::scattered(registers, block, &dot);
                        }
                    }
                }
                if !ends {
                    continue;
                }
                let fresh = tile.row == 0;
                match job.conversion.rule(tile, 0) {
                    Ok(rule) => {
                        let (rows, step) = (tile.bit_lines, width);
                        let (sums, totals) = (sums.as_ptr(), totals.as_mut_ptr());
                        let convert = Convert { rule, sums, totals, rows, width, step, fresh, valid };
                        // SAFETY: the instructions are the caller's promise; both have `rows` rows.
                        done.clipped += unsafe { K::convert_lanes(registers, &convert) };
                    }
                    Err(converter) => {
                        for lane in vectors.runs.iter().flat_map(|run| run.lane..run.lane + run.len) {
                            column.clear();
                            column.extend(sums.chunks_exact(width).map(|row| row[lane]));
                            done.clipped += converter.quantise(column, tile) as u64;
                            for (totals, sum) in totals.chunks_exact_mut(width).zip(&*column) {
                                totals[lane] = if fresh { 0.0 } else { totals[lane] } + sum;
                            }
                        }
                    }
                }
                if !job.conversion.is_ideal() {
                    done.codes += (used * tile.bit_lines) as u64;
                }
            }
        }
    }
    done
}
