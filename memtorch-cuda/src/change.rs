//! Steps of the list of non-idealities that change each device by itself.

use cust::error::CudaResult;
use memtorch_crossbar::{Array, Change};
use memtorch_devices::{Parameter, Stream};

use crate::arguments::arguments;
use crate::backend::CudaBackend;
use crate::gpu::Buffer;

const THREADS: u32 = 256;

/// `Change` of `change.cu`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Given {
    devices: u64,
    first: f64,
    second: f64,
    kind: u32,
    count: u32,
    each_on: u32,
    each_off: u32,
    key: [u32; 2],
    rows: u32,
    columns: u32,
    word_lines: u32,
    bit_lines: u32,
}

/// The number of a change in `change.cu`, its numbers, and its levels; `None` for one without a kernel.
type Numbers<'a> = (u32, [f64; 2], u32, &'a [f64]);

fn numbers<'a>(change: &Change<'a>) -> Option<Numbers<'a>> {
    Some(match *change {
        Change::Scaled(factor) => (0, [factor, 0.0], 0, &[]),
        Change::EvenConductances(count) => (1, [0.0; 2], count, &[]),
        Change::EvenResistances(count) => (2, [0.0; 2], count, &[]),
        Change::Levels(levels) => (3, [0.0; 2], levels.len() as u32, levels),
        Change::Missed { relative, absolute } => (4, [relative, absolute], 0, &[]),
        _ => return None,
    })
}

/// Whether a kernel knows it.
pub(crate) fn has_kernel(change: &Change<'_>) -> bool {
    numbers(change).is_some()
}

impl CudaBackend {
    /// What becomes of each device; `None` where no kernel knows the change.
    pub(crate) fn changed(
        &self,
        change: &Change<'_>,
        array: &Array,
        stream: Stream,
    ) -> CudaResult<Option<Vec<f64>>> {
        let Some((kind, [first, second], count, levels)) = numbers(change) else { return Ok(None) };
        let layout = array.layout();
        let line = |tile: usize, matrix: usize| tile.min(matrix) as u32;
        let [word_lines, bit_lines] = layout.tile_shape();
        let (r_on, r_off) = (array.devices().r_on(), array.devices().r_off());
        let each = |parameter: &Parameter| u32::from(matches!(parameter, Parameter::Each(_)));
        let given = Given {
            devices: layout.device_count() as u64,
            first,
            second,
            kind,
            count,
            each_on: each(r_on),
            each_off: each(r_off),
            key: stream.key(),
            rows: layout.rows() as u32,
            columns: layout.columns() as u32,
            word_lines: line(word_lines, layout.rows()),
            bit_lines: line(bit_lines, layout.columns()),
        };
        let _turn = self.scratch();
        self.gpu.enter()?;
        let list = |parameter: &Parameter| match parameter {
            Parameter::Uniform(value) => Buffer::of(&[*value]),
            Parameter::Each(values) => Buffer::of(values),
        };
        let moved = Buffer::of(array.conductances())?;
        let (r_on, r_off, levels) = (list(r_on)?, list(r_off)?, Buffer::of(levels)?);
        let (conductances, levels) = (moved.address(), levels.address());
        let (on, off) = (r_on.address(), r_off.address());
        let arguments = arguments![conductances, on, off, levels, given];
        let blocks = layout.device_count().div_ceil(THREADS as usize) as u32;
        // SAFETY: as `change` is declared; all are as long as the devices and the structure say.
        unsafe { self.gpu.launch(&self.change, "change", (blocks, 1), THREADS, arguments)? };
        self.gpu.finish()?;
        let mut found = vec![0.0; layout.device_count()];
        moved.download(&mut found)?;
        Ok(Some(found))
    }
}
