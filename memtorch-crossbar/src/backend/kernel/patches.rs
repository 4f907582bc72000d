//! Where the elements under a convolution's kernel are, so that a panel of patches is made of a few
//! runs of neighbours.
//!
//! A group's channels are copied once into a slab with the padding around them, and with the columns
//! in the order of their remainder by the stride. So the elements that one kernel element sees along
//! a row of the result are always neighbours, and none lies outside.

use std::ops::Range;

use super::{Arrange, Kernel, Order, Run, Spread, scratch::Buffer};
use crate::PatchGeometry;

/// Elements of a slab that stay in the second-level cache.
const SLAB: usize = 1 << 17;

/// Planes of at most so many elements are arranged register by register, and not row by row.
const SMALL_PLANE: usize = 2048;

/// Images, and how the kernel goes over them.
pub(super) struct Source<'a> {
    values: &'a [f32],
    samples: usize,
    /// Channels of a group.
    channels: usize,
    /// Elements of an image.
    image: usize,
    geometry: PatchGeometry,
    /// Elements that the kernel reaches along each axis, padding included.
    reach: [usize; 3],
    /// Columns of one remainder.
    phase: usize,
    /// The images can be read as they are.
    direct: bool,
}

impl<'a> Source<'a> {
    /// `None` where the slab would be far larger than the images.
    pub(super) fn new(
        values: &'a [f32],
        samples: usize,
        geometry: &PatchGeometry,
        groups: usize,
    ) -> Option<Self> {
        let mut geometry = *geometry;
        let PatchGeometry { input, kernel, stride, padding, output, .. } = geometry;
        let direct = kernel == [1; 3] && stride == [1; 3] && padding == [0; 3] && input == output;
        if direct {
            geometry.input = [1, 1, input.iter().product()];
            geometry.output = geometry.input;
        }
        let mut reach = [0; 3];
        for (axis, reach) in reach.iter_mut().enumerate() {
            let last = (geometry.output[axis] - 1).checked_mul(stride[axis])?;
            let kernel = (kernel[axis] - 1).checked_mul(geometry.dilation[axis])?;
            *reach = last.checked_add(kernel)?.checked_add(1)?;
        }
        let (channels, image) = (geometry.channels / groups, geometry.image_len());
        let phase = reach[2].div_ceil(stride[2]);
        let row = phase.checked_mul(stride[2])?;
        let slab = channels.checked_mul(reach[0])?.checked_mul(reach[1])?.checked_mul(row)?;
        if slab > (image / groups).saturating_mul(64).saturating_add(1 << 20) {
            return None;
        }
        Some(Self { values, samples, channels, image, geometry, reach, phase, direct })
    }

    /// Lying vectors out with gaps (see `Slab::panels`) costs less than packing them.
    pub(super) fn is_loose(&self, columns: usize, lanes: usize) -> bool {
        let channel = self.geometry.input.iter().product::<usize>();
        if self.direct && channel.is_multiple_of(256) && columns > 16 {
            // Word lines that lie a multiple of 1 KiB apart would crowd each other out of the cache.
            return false;
        }
        // Cycles for a vector and word line: in vain for the gaps, and for packing a run.
        let width = self.geometry.output[2];
        let held = match lanes.checked_sub(width) {
            Some(room) => width * (room / (self.geometry.stride[1] * self.row()) + 1),
            None => width,
        };
        let gaps = (held.next_multiple_of(lanes) - held) as f64 / held as f64;
        gaps * columns as f64 / (2 * lanes) as f64 <= 6.0 / width.min(2 * lanes) as f64
    }

    /// Elements of a slab's row.
    fn row(&self) -> usize {
        self.phase * self.geometry.stride[2]
    }

    /// Vectors of one image.
    pub(super) fn positions(&self) -> usize {
        self.geometry.positions()
    }

    /// Divides all vectors into ranges for tasks: about `wanted`, of slabs that stay in a cache.
    pub(super) fn chunks(&self, panel: usize, wanted: usize) -> Vec<Range<usize>> {
        let positions = self.positions();
        let all = self.samples * positions;
        if self.direct {
            let size = all.div_ceil(wanted).next_multiple_of(panel);
            return (0..all).step_by(size).map(|first| first..(first + size).min(all)).collect();
        }
        let slab = self.channels * self.reach[0] * self.reach[1] * self.row();
        let [depth, height, width] = self.geometry.output;
        let pieces = wanted.div_ceil(self.samples).max(slab.div_ceil(SLAB));
        if depth == 1 && pieces > 1 && positions >= 4 * panel {
            // Rows of one image, at least a panel of them.
            let rows = height.div_ceil(pieces).max(panel.div_ceil(width));
            let rows: Vec<_> = (0..height).step_by(rows).map(|r| r..(r + rows).min(height)).collect();
            let of_image = |sample: usize| {
                let at = sample * positions;
                rows.iter().map(move |rows| at + rows.start * width..at + rows.end * width)
            };
            return (0..self.samples).flat_map(of_image).collect();
        }
        // Whole images: few enough for the cache, enough to fill some panels.
        let most = (SLAB / slab).min(self.samples.div_ceil(wanted));
        let images = most.max((4 * panel / positions).min(SLAB / slab)).max(1);
        (0..self.samples)
            .step_by(images)
            .map(|s| s * positions..(s + images).min(self.samples) * positions)
            .collect()
    }
}

/// Vectors that are multiplied together.
pub(super) struct Panel {
    /// Where they come from.
    pub(super) runs: Range<usize>,
    /// Where they go to: neighbours in both the panel and the output.
    pub(super) results: Range<usize>,
    /// Registers for a word line.
    pub(super) registers: usize,
    /// How many vectors.
    pub(super) used: usize,
    /// Which lanes of each register hold one.
    pub(super) valid: [u32; 8],
    /// Where each register's lanes start in the source, if they are not packed.
    pub(super) starts: [usize; 8],
}

impl Panel {
    fn new(
        all: &[Run],
        runs: Range<usize>,
        (lanes, registers): (usize, usize),
        merged: &mut Vec<Run>,
    ) -> Self {
        let start = merged.len();
        let (mut valid, mut starts, mut used) = ([0; 8], [0; 8], 0);
        for run in &all[runs.clone()] {
            used += run.len;
            if run.lane.is_multiple_of(lanes) {
                starts[run.lane / lanes] = run.base;
            }
            let (mut lane, end) = (run.lane, run.lane + run.len);
            while lane < end {
                let next = (lane / lanes + 1) * lanes;
                let bits = (1u32 << (next.min(end) - lane)) - 1;
                valid[lane / lanes] |= bits << (lane % lanes);
                lane = next;
            }
            match merged[start..].last_mut() {
                Some(last) if last.lane + last.len == run.lane && last.result + last.len == run.result => {
                    last.len += run.len;
                }
                _ => merged.push(*run),
            }
        }
        Self { runs, results: start..merged.len(), registers, used, valid, starts }
    }
}

/// The part of the images that some vectors see, for one group at a time.
pub(super) struct Slab {
    samples: Range<usize>,
    /// Rows, the padding counted.
    rows: Range<usize>,
    plane: usize,
    channel: usize,
    sample: usize,
}

impl Slab {
    pub(super) fn new(source: &Source<'_>, vectors: &Range<usize>) -> Self {
        let PatchGeometry { kernel, stride, dilation, output, .. } = source.geometry;
        if source.direct {
            let (channel, sample) = (output[2], source.image);
            return Self { samples: 0..source.samples, rows: 0..1, plane: channel, channel, sample };
        }
        let positions = source.positions();
        let (first, last) = (vectors.start, vectors.end - 1);
        let samples = first / positions..last / positions + 1;
        let rows = if samples.len() == 1 && output[0] == 1 {
            let row = |vector: usize| vector % positions / output[2] * stride[1];
            row(first)..row(last) + (kernel[1] - 1) * dilation[1] + 1
        } else {
            0..source.reach[1]
        };
        let plane = rows.len() * source.row();
        let channel = source.reach[0] * plane;
        Self { samples, rows, plane, channel, sample: source.channels * channel }
    }

    /// Where each kernel element's values start, in the order of word lines.
    pub(super) fn offsets(&self, source: &Source<'_>, offsets: &mut Vec<usize>) {
        let PatchGeometry { kernel, stride, dilation, .. } = source.geometry;
        let row = source.row();
        offsets.clear();
        for channel in 0..source.channels {
            for d in 0..kernel[0] {
                for h in 0..kernel[1] {
                    let at = channel * self.channel + d * dilation[0] * self.plane + h * dilation[1] * row;
                    for x in (0..kernel[2]).map(|w| w * dilation[2]) {
                        offsets.push(at + x % stride[2] * source.phase + x / stride[2]);
                    }
                }
            }
        }
    }

    /// Lays vectors out in panels of at most `registers`. `packed`: one after the other; else each
    /// register holds the vectors that start somewhere in a stretch of the slab: those of one row, or of
    /// several with gaps between them.
    pub(super) fn panels(
        &self,
        source: &Source<'_>,
        vectors: Range<usize>,
        columns: usize,
        (lanes, registers, packed): (usize, usize, bool),
        (runs, results, panels): (&mut Vec<Run>, &mut Vec<Run>, &mut Vec<Panel>),
    ) {
        let PatchGeometry { stride, output, .. } = source.geometry;
        let positions = source.positions();
        let most = lanes * registers;
        runs.clear();
        results.clear();
        panels.clear();
        // The lane of the next vector; not packed, that of the register in use, which starts at `start`.
        let (mut vector, mut lane, mut first) = (vectors.start, 0, 0);
        let mut start = None;
        while vector < vectors.end {
            let (sample, position) = (vector / positions, vector % positions);
            let x = position % output[2];
            let y = position / output[2] % output[1];
            let z = position / (output[1] * output[2]);
            let mut base = (sample - self.samples.start) * self.sample
                + z * stride[0] * self.plane
                + (y * stride[1] - self.rows.start) * source.row()
                + x;
            let mut result = sample * columns * positions + position;
            // To the end of the row, over as many panels as that takes.
            let mut left = (output[2] - x).min(vectors.end - vector);
            vector += left;
            while left > 0 {
                let mut gap = 0;
                if !packed {
                    match start {
                        Some(start) if (start..start + lanes).contains(&base) => gap = base - start,
                        Some(_) => lane += lanes,
                        None => {}
                    }
                }
                if lane == most {
                    panels.push(Panel::new(runs, first..runs.len(), (lanes, registers), results));
                    (lane, first) = (0, runs.len());
                }
                if gap == 0 {
                    start = Some(base);
                }
                let len = left.min(if packed { most - lane } else { lanes - gap });
                runs.push(Run { lane: lane + gap, len, base, result });
                if packed {
                    lane += len;
                }
                (base, result, left) = (base + len, result + len, left - len);
            }
        }
        if first < runs.len() {
            let lane = if packed { lane } else { lane + lanes };
            let registers = lane.div_ceil(lanes).next_power_of_two();
            panels.push(Panel::new(runs, first..runs.len(), (lanes, registers), results));
        }
    }

    /// Where the elements of a plane come from, if it is small and a register's worth of it comes from
    /// two registers' worth of the image.
    pub(super) fn order(&self, source: &Source<'_>, lanes: usize, order: &mut Order) {
        order.starts.clear();
        order.lanes.clear();
        order.narrow = true;
        if source.direct || self.plane > SMALL_PLANE || source.row() > 4 * lanes {
            return;
        }
        let PatchGeometry { input, padding, stride, .. } = source.geometry;
        let row = source.row();
        // Of an element of the plane: where it is in a plane of the image.
        let origin = |at: usize| {
            let (y, slot) = (at / row + self.rows.start, at % row);
            let x = slot % source.phase * stride[2] + slot / source.phase;
            let (y, x) = (y.checked_sub(padding[1])?, x.checked_sub(padding[2])?);
            (at < self.plane && y < input[1] && x < input[2]).then_some(y * input[2] + x)
        };
        for first in (0..self.plane).step_by(lanes) {
            let origins = (first..first + lanes).map(origin);
            let start = origins.clone().flatten().min().unwrap_or(0);
            order.starts.push(start);
            for origin in origins {
                let lane = origin.map_or(-1, |origin| (origin - start) as i32);
                if lane >= 2 * lanes as i32 {
                    order.starts.clear();
                    return;
                }
                order.narrow &= lane < lanes as i32;
                order.lanes.push(lane);
            }
        }
    }

    /// The slab of a group. It ends with enough elements for a whole register to be read anywhere.
    /// What is around the images is cleared for the `first` group only, and stays. `order` is of this slab.
    ///
    /// # Safety
    /// The processor has the instructions of `K`.
    pub(super) unsafe fn fill<'a, K: Kernel>(
        &self,
        source: &Source<'a>,
        (group, first): (usize, bool),
        order: &Order,
        buffer: &'a mut Buffer,
    ) -> &'a [f32] {
        let PatchGeometry { input, padding, stride, .. } = source.geometry;
        let area: usize = input.iter().product();
        if source.direct {
            return &source.values[group * source.channels * area..];
        }
        let slab = buffer.get(self.samples.len() * self.sample + 16);
        if first {
            slab.fill(0.0);
        }
        let row_len = source.row();
        let inside = |axis: usize, range: Range<usize>| {
            range.start.max(padding[axis])..range.end.min(padding[axis].saturating_add(input[axis]))
        };
        let (depths, rows) = (inside(0, 0..source.reach[0]), inside(1, self.rows.clone()));
        if !order.starts.is_empty() {
            let (plane, channels, samples) = (input[1] * input[2], source.channels, self.samples.len());
            let before = depths.start.saturating_sub(padding[0]);
            // Planes that follow each other by one step: those of a sample's channels, of a channel, or, where
            // there is one channel, of the samples.
            let (times, planes, source_step, target_step) = match (channels, source.reach[0]) {
                (1, 1) => (1, samples, source.image, self.sample),
                (_, 1) => (samples, channels, area, self.channel),
                _ => (samples * channels, depths.len(), plane, self.plane),
            };
            for number in (0..times).filter(|_| !depths.is_empty()) {
                let (sample, channel) =
                    if times > samples { (number / channels, number % channels) } else { (number, 0) };
                let image = (self.samples.start + sample) * source.image;
                let from = image + (group * channels + channel) * area + before * plane;
                let at = sample * self.sample + channel * self.channel + depths.start * self.plane;
                let arrange = Arrange {
                    order,
                    source: source.values[from..].as_ptr(),
                    len: source.values.len() - from,
                    source_step,
                    target: slab[at..].as_mut_ptr(),
                    target_step,
                    planes,
                };
                // SAFETY: the instructions are the caller's promise. As many planes are inside both, and every
                // element of the order is inside an image's plane; what is written ends less than a register
                // behind the last plane.
                unsafe { K::arrange(&arrange) };
            }
            return slab;
        }
        let columns = source.reach[2].saturating_sub(padding[2]).min(input[2]);
        let (first_row, row_count) = (rows.start.saturating_sub(self.rows.start), rows.len());
        let mut start = 0;
        for sample in self.samples.clone() {
            let image = &source.values[sample * source.image + group * source.channels * area..];
            for channel in 0..source.channels {
                for z in depths.clone().filter(|_| row_count > 0 && columns > 0) {
                    let from = (channel * input[0] + z - padding[0]) * input[1] + rows.start - padding[1];
                    let plane = &image[from * input[2]..][..(row_count - 1) * input[2] + columns];
                    let at = start + z * self.plane + first_row * row_len;
                    let target = &mut slab[at..at + row_count * row_len];
                    if stride[2] > 2 {
                        let pairs = plane.chunks(input[2]).zip(target.chunks_exact_mut(row_len));
                        pairs
                            .for_each(|(row, target)| spread(&row[..columns], padding[2], stride[2], target));
                        continue;
                    }
                    // Column x goes to x + padding; by stride 2, half of that in the half of its remainder.
                    let start = target.as_mut_ptr();
                    let place = |x: usize| {
                        let x = x + padding[2];
                        start.wrapping_add(x % stride[2] * source.phase + x / stride[2])
                    };
                    let spread = Spread {
                        source: plane.as_ptr(),
                        source_step: input[2],
                        targets: [place(0), place(1)],
                        target_step: row_len,
                        rows: row_count,
                        len: columns,
                        pairs: stride[2] == 2,
                    };
                    // SAFETY: the instructions are the caller's promise. The plane has `row_count` rows, of which
                    // the first `columns` elements are read; with the padding before them they fit into the
                    // rows of the target.
                    unsafe { K::spread(&spread) };
                }
                start += self.channel;
            }
        }
        slab
    }
}

/// Puts a row after `padding` elements into one that is ordered by remainder.
fn spread(row: &[f32], padding: usize, stride: usize, target: &mut [f32]) {
    let phase = target.len() / stride;
    for (x, value) in row.iter().enumerate() {
        let x = x + padding;
        target[x % stride * phase + x / stride] = *value;
    }
}
