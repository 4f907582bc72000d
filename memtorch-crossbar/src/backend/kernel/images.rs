//! Patches of images: neighbouring positions in lanes, a block of bit lines broadcast.

use std::ops::Range;

use rayon::prelude::*;

use super::patches::{Slab, Source};
use super::{Conversion, Convert, DEPTH, Dot, Kernel, Run, output::Output, parts, scratch};
use crate::{Accumulate, Conversions, Layout, PatchGeometry};

/// Products smaller than this many multiplications are not worth a second thread.
const SMALL: usize = 1 << 19;

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
    let threads = if work < SMALL { 1 } else { rayon::current_num_threads() };
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
        let layout = job.layout;
        let widest = panel_width::<K>(layout);
        let depth = layout.tile_shape()[0].min(layout.rows()).min(DEPTH);
        let panel = scratch.panel.get(depth * widest + 16);
        let len = layout.columns() * widest;
        let (sums, totals) = (scratch.sums.get(len), scratch.totals.get(len));
        let slab = Slab::new(&job.source, &vectors);
        slab.offsets(&job.source, &mut scratch.offsets);
        let positions = job.source.positions();
        let mut done = Conversions::default();
        for group in groups {
            let source = slab.fill(&job.source, group, &mut scratch.inputs);
            let mut first = vectors.start;
            while first < vectors.end {
                let used = widest.min(vectors.end - first);
                let registers = used.div_ceil(K::LANES).next_power_of_two();
                let width = registers * K::LANES;
                slab.runs(&job.source, first..first + used, &mut scratch.runs);
                let size = layout.columns() * width;
                let (sums, totals) = (&mut sums[..size], &mut totals[..size]);
                totals.fill(0.0);
                let panel = Panel {
                    source,
                    offsets: &scratch.offsets,
                    runs: &scratch.runs,
                    width,
                    used,
                    values: panel,
                };
                // SAFETY: the caller's promise; the buffers have the lengths that `through` states.
                done += unsafe { through::<K>(job, group, panel, sums, totals, &mut scratch.column) };
                // Back to [sample, column, position].
                let mut vector = first;
                while vector < first + used {
                    let (sample, position) = (vector / positions, vector % positions);
                    let count = (positions - position).min(first + used - vector);
                    for (column, totals) in totals.chunks_exact(width).enumerate() {
                        let column = (sample * layout.groups() + group) * layout.columns() + column;
                        let results = &totals[vector - first..][..count];
                        // SAFETY: no other task has these vectors and this group.
                        unsafe { job.output.put(column * positions + position, results) };
                    }
                    vector += count;
                }
                first += used;
            }
        }
        done
    })
}

/// Neighbouring vectors, and where they come from.
struct Panel<'a> {
    source: &'a [f32],
    offsets: &'a [usize],
    runs: &'a [Run],
    width: usize,
    used: usize,
    /// `[word line][width]`, 16 more than the largest number of word lines needs.
    values: &'a mut [f32],
}

/// All tiles of a group: `totals[column][width] += ...`; `sums` has the same size.
unsafe fn through<K: Kernel>(
    job: &Job<'_>,
    group: usize,
    panel: Panel<'_>,
    sums: &mut [f32],
    totals: &mut [f32],
    column: &mut Vec<f32>,
) -> Conversions {
    let (layout, width, used) = (job.layout, panel.width, panel.used);
    let registers = width / K::LANES;
    let mut done = Conversions::default();
    let first = group * layout.tile_columns() * layout.tile_rows();
    for tile_row in 0..layout.tile_rows() {
        let row_tile = layout.tile(first + tile_row);
        for depth_first in (0..row_tile.word_lines).step_by(DEPTH) {
            let depth = DEPTH.min(row_tile.word_lines - depth_first);
            let ends = depth_first + depth == row_tile.word_lines;
            let offsets = &panel.offsets[row_tile.row + depth_first..][..depth];
            // SAFETY: the caller's promise.
            unsafe { K::gather(panel.source, offsets, panel.runs, panel.values, width, used) };
            for tile_column in 0..layout.tile_columns() {
                let tile = layout.tile(first + tile_column * layout.tile_rows() + tile_row);
                let matrix = &job.matrix[tile.range()][depth_first * tile.bit_lines..];
                let range = tile.column * width..(tile.column + tile.bit_lines) * width;
                let (sums, totals) = (&mut sums[range.clone()], &mut totals[range]);
                for (bit_line, block) in parts(tile.bit_lines, K::block(registers)) {
                    let dot = Dot {
                        depth,
                        lanes: panel.values.as_ptr(),
                        lanes_step: width,
                        broadcast: matrix[bit_line..].as_ptr(),
                        broadcast_step: tile.bit_lines,
                        sums: sums[bit_line * width..].as_mut_ptr(),
                        sums_step: width,
                        fresh: depth_first == 0,
                        prefetch: matrix.as_ptr(),
                        prefetch_step: 0,
                    };
                    // SAFETY: the instructions are the caller's promise. The panel has `depth` word
                    // lines of `width` lanes; the matrix `depth` rows of which `block` bit lines
                    // from `bit_line` on are inside; `sums` a row of `width` for each bit line.
                    unsafe { K::dot(registers, block, &dot) };
                }
                if !ends {
                    continue;
                }
                match job.conversion.rule(&tile) {
                    Ok(rule) => {
                        let (rows, step) = (tile.bit_lines, width);
                        let (sums, totals) = (sums.as_ptr(), totals.as_mut_ptr());
                        let convert = Convert { rule, sums, totals, rows, width, step };
                        // SAFETY: the instructions are the caller's promise; both have `rows` rows.
                        done.clipped += unsafe { K::convert_lanes(registers, &convert) };
                    }
                    Err(converter) => {
                        for lane in 0..used {
                            column.clear();
                            column.extend(sums.chunks_exact(width).map(|row| row[lane]));
                            done.clipped += converter.quantise(column, &tile) as u64;
                            for (totals, sum) in totals.chunks_exact_mut(width).zip(&*column) {
                                totals[lane] += sum;
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
