//! Products on the GPU.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cust::error::{CudaError, CudaResult};
use cust::module::Module;
use memtorch_crossbar::backend::{SumNoise, Work};
use memtorch_crossbar::ndarray::{Array2, ArrayView2};
use memtorch_crossbar::passive::{TileCircuit, TileNetwork, effective_block};
use memtorch_crossbar::{
    Accumulate, Array, ArrayBackend, Change, Conversions, Converter, CrossbarError, Input, Layout, Operand,
    PatchGeometry, Product,
};
use memtorch_devices::Stream;

use crate::arguments::{Geometry, Rule, Shape, arguments};
use crate::gpu::{Buffer, Gpu};
use crate::noise::NoiseMemory;
use crate::reduction::Reduction;
use crate::{NAME, change};

/// Products of vectors and matrices on tiles. Matrices stay on the GPU; vectors and results move.
#[derive(Debug)]
pub(crate) struct CudaBackend {
    pub(crate) gpu: Arc<Gpu>,
    product: Module,
    convert: Module,
    gather: Module,
    pub(crate) noise: Module,
    pub(crate) change: Module,
    reduction: Reduction,
    /// One product at a time: the stream and these are shared.
    scratch: Mutex<Scratch>,
}

/// Memory that products use one after the other.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    inputs: Buffer<f32>,
    vectors: Buffer<f32>,
    sums: Buffer<f32>,
    output: Buffer<f32>,
    scales: Buffer<f32>,
    clipped: Buffer<u64>,
    pub(crate) noise: NoiseMemory,
}

impl Scratch {
    /// Where kernels find full scales and count clipped codes.
    fn converter(&self) -> [u64; 2] {
        [self.scales.address(), self.clipped.address()]
    }
}

/// Elements of a buffer that scratch should not exceed much: 256 MiB.
const LIMIT: usize = 64 << 20;
/// Bit lines of a block of `product.cu`.
const WIDTH: u32 = 128;
const THREADS: u32 = 256;
/// Vectors of one launch: rows of a grid, each of the fewest vectors.
const MOST_VECTORS: usize = 65535;

impl CudaBackend {
    pub(crate) fn new(gpu: Arc<Gpu>) -> CudaResult<Self> {
        Ok(Self {
            product: gpu.load(include_str!("../kernels/product.ptx"))?,
            convert: gpu.load(include_str!("../kernels/convert.ptx"))?,
            gather: gpu.load(include_str!("../kernels/gather.ptx"))?,
            noise: gpu.load(include_str!("../kernels/noise.ptx"))?,
            change: gpu.load(include_str!("../kernels/change.ptx"))?,
            reduction: Reduction::new(&gpu)?,
            scratch: Mutex::new(Scratch::default()),
            gpu,
        })
    }

    /// The turn of this thread.
    pub(crate) fn scratch(&self) -> MutexGuard<'_, Scratch> {
        // A panic of another thread leaves nothing but memory to be written again.
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a product without converter; the vectors and the sums, `[vector, column]`, are on the GPU.
    pub(crate) fn plain(
        &self,
        matrix: &Resident,
        layout: &Layout,
        inputs: u64,
        vectors: usize,
        sums: u64,
    ) -> CudaResult<()> {
        let piece =
            Piece { backend: self, matrix: &matrix.values, layout, geometry: None, vectors, positions: 1 };
        let (rows, columns) = (layout.groups() * layout.rows(), piece.columns());
        for first in (0..vectors).step_by(MOST_VECTORS) {
            let count = MOST_VECTORS.min(vectors - first);
            let shape = Shape { vectors: count as u32, ..Shape::new(layout) };
            let at = |start: u64, length: usize| start + (first * length * size_of::<f32>()) as u64;
            piece.product(at(inputs, rows), at(sums, columns), shape, Rule::IDEAL, [0, 0])?;
        }
        Ok(())
    }

    /// One product whose parts fit together, in pieces that fit the scratch memory.
    fn compute(
        &self,
        matrix: &Buffer<f32>,
        layout: &Layout,
        product: &Product<'_>,
        output: &mut [f32],
    ) -> CudaResult<Conversions> {
        let (rows, columns) = (layout.groups() * layout.rows(), layout.groups() * layout.columns());
        let (values, samples, length, geometry) = match product.input {
            Input::Rows { values, rows: samples } => (values, samples, rows, None),
            Input::Patches { values, samples, geometry } => {
                (values, samples, geometry.image_len(), Some(geometry))
            }
            // Shapes were checked, so that this input was known there.
            _ => return Err(CudaError::InvalidValue),
        };
        let positions = geometry.map_or(1, PatchGeometry::positions);
        let mut scratch = self.scratch();
        self.gpu.enter()?;
        let descriptor = product.converter.descriptor();
        let known =
            descriptor.as_ref().and_then(|known| Some((Rule::new(known)?, Rule::scales(known, layout))));
        let mut done = Conversions::default();
        let whole = (LIMIT / length.max(columns * positions).max(1)).clamp(1, samples.max(1));
        for first in (0..samples).step_by(whole) {
            let count = whole.min(samples - first);
            scratch.inputs.upload(&values[first * length..(first + count) * length])?;
            let piece =
                Piece { backend: self, matrix, layout, geometry, vectors: count * positions, positions };
            let target = &mut output[first * columns * positions..(first + count) * columns * positions];
            done += match &known {
                Some((rule, scales)) => {
                    piece.fused(&mut scratch, *rule, scales, product.accumulate, target)?
                }
                None => piece.on_cpu(&mut scratch, product.converter, product.accumulate, target)?,
            };
        }
        Ok(done)
    }
}

/// Whole images, or rows, whose values are in the scratch memory.
struct Piece<'a> {
    backend: &'a CudaBackend,
    matrix: &'a Buffer<f32>,
    layout: &'a Layout,
    geometry: Option<&'a PatchGeometry>,
    vectors: usize,
    positions: usize,
}

impl Piece<'_> {
    fn columns(&self) -> usize {
        self.layout.groups() * self.layout.columns()
    }

    /// The converter is part of the kernels.
    fn fused(
        &self,
        scratch: &mut Scratch,
        rule: Rule,
        scales: &[f32],
        accumulate: Accumulate,
        output: &mut [f32],
    ) -> CudaResult<Conversions> {
        scratch.scales.upload(scales)?;
        scratch.clipped.upload(&[0])?;
        scratch.output.reserve(output.len())?;
        let target = scratch.output.address();
        let shape = Shape { positions: self.positions as u32, ..Shape::new(self.layout) };
        let wide =
            rule.is_dynamic() && self.layout.tile_shape()[1].min(self.layout.columns()) > WIDTH as usize;
        self.in_turn(scratch, |first, vectors, inputs, scratch| {
            let shape = Shape { first_vector: first as u32, vectors: vectors as u32, ..shape };
            if !wide {
                return self.product(inputs, target, shape, rule, scratch.converter());
            }
            // No block sees all of a tile's sums for a vector: they go through memory, tile row by tile row.
            scratch.sums.reserve(vectors * self.columns())?;
            let sums = scratch.sums.address();
            for tile_row in 0..self.layout.tile_rows() as u32 {
                let row = Shape { first_tile_row: tile_row, tile_rows: 1, ..shape };
                let plain = Shape { first_vector: 0, positions: 1, ..row };
                self.product(inputs, sums, plain, Rule::IDEAL, [0, 0])?;
                let grid = ((self.layout.groups() * self.layout.tile_columns()) as u32, vectors as u32);
                let clipped = scratch.clipped.address();
                let arguments = arguments![sums, target, clipped, row, rule];
                // SAFETY: as `convert` is declared; sums and output have an element a vector and column.
                unsafe {
                    self.backend.gpu.launch(&self.backend.convert, "convert", grid, THREADS, arguments)?
                };
            }
            Ok(())
        })?;
        self.backend.gpu.finish()?;
        let mut clipped = [0];
        scratch.clipped.download(&mut clipped)?;
        if accumulate == Accumulate::Set {
            scratch.output.download(output)?;
        } else {
            let mut result = vec![0.0; output.len()];
            scratch.output.download(&mut result)?;
            add(accumulate, &result, output);
        }
        let codes = if rule.is_ideal() { 0 } else { self.vectors * self.columns() * self.layout.tile_rows() };
        Ok(Conversions { codes: codes as u64, clipped: clipped[0] })
    }

    /// No kernel knows the converter: its partial sums come back, tile row by tile row.
    fn on_cpu(
        &self,
        scratch: &mut Scratch,
        converter: &dyn Converter,
        accumulate: Accumulate,
        output: &mut [f32],
    ) -> CudaResult<Conversions> {
        let (layout, columns, positions) = (self.layout, self.columns(), self.positions);
        let mut done = Conversions::default();
        self.in_turn(scratch, |first, vectors, inputs, scratch| {
            scratch.sums.reserve(vectors * columns)?;
            let (mut sums, mut total) = (vec![0.0; vectors * columns], vec![0.0f32; vectors * columns]);
            for tile_row in 0..layout.tile_rows() {
                let (first_tile_row, vectors) = (tile_row as u32, vectors as u32);
                let shape = Shape { first_tile_row, tile_rows: 1, vectors, ..Shape::new(layout) };
                self.product(inputs, scratch.sums.address(), shape, Rule::IDEAL, [0, 0])?;
                self.backend.gpu.finish()?;
                scratch.sums.download(&mut sums)?;
                for (sums, total) in sums.chunks_exact_mut(columns).zip(total.chunks_exact_mut(columns)) {
                    for tile in (tile_row..layout.tile_count()).step_by(layout.tile_rows()) {
                        let tile = layout.tile(tile);
                        let at = tile.group * layout.columns() + tile.column;
                        let range = at..at + tile.bit_lines;
                        done.codes += tile.bit_lines as u64;
                        done.clipped += converter.quantise(&mut sums[range.clone()], &tile) as u64;
                        total[range.clone()].iter_mut().zip(&sums[range]).for_each(|(sum, x)| *sum += x);
                    }
                }
            }
            for (vector, total) in total.chunks_exact(columns).enumerate() {
                let (image, position) = ((first + vector) / positions, (first + vector) % positions);
                let slots = output[image * columns * positions + position..].iter_mut().step_by(positions);
                slots.zip(total).for_each(|(slot, x)| accumulated(accumulate, slot, *x));
            }
            Ok(())
        })?;
        Ok(done)
    }

    /// Calls `launch(first vector, how many, their address, scratch)` for ranges of vectors.
    fn in_turn(
        &self,
        scratch: &mut Scratch,
        mut launch: impl FnMut(usize, usize, u64, &mut Scratch) -> CudaResult<()>,
    ) -> CudaResult<()> {
        let rows = self.layout.groups() * self.layout.rows();
        let most = (LIMIT / rows.max(self.columns())).clamp(1, MOST_VECTORS);
        for first in (0..self.vectors).step_by(most) {
            let count = most.min(self.vectors - first);
            let inputs = match self.geometry {
                None => scratch.inputs.address() + (first * rows * size_of::<f32>()) as u64,
                Some(geometry) => {
                    scratch.vectors.reserve(count * rows)?;
                    self.gather(scratch, geometry, first, count)?;
                    scratch.vectors.address()
                }
            };
            launch(first, count, inputs, scratch)?;
        }
        Ok(())
    }

    fn gather(
        &self,
        scratch: &Scratch,
        geometry: &PatchGeometry,
        first: usize,
        count: usize,
    ) -> CudaResult<()> {
        let elements = count * self.layout.groups() * self.layout.rows();
        let (first, count, geometry) = (first as u64, count as u64, Geometry::new(geometry));
        let blocks = elements.div_ceil(THREADS as usize).min(1 << 16) as u32;
        let (images, vectors) = (scratch.inputs.address(), scratch.vectors.address());
        let arguments = arguments![images, vectors, first, count, geometry];
        // SAFETY: as `gather` is declared; the images of these vectors are in `inputs`, and `vectors` has room.
        unsafe { self.backend.gpu.launch(&self.backend.gather, "gather", (blocks, 1), THREADS, arguments) }
    }

    /// Starts a product; a converter has full scales, and a counter of clipped codes.
    fn product(
        &self,
        inputs: u64,
        output: u64,
        shape: Shape,
        rule: Rule,
        [scales, clipped]: [u64; 2],
    ) -> CudaResult<()> {
        let layout = self.layout;
        let parts = (layout.tile_shape()[1].min(layout.columns())).div_ceil(WIDTH as usize);
        let (kernel, each) = if shape.vectors <= 16 { ("product_few", 8) } else { ("product_many", 64) };
        let grid = ((layout.groups() * layout.tile_columns() * parts) as u32, shape.vectors.div_ceil(each));
        let matrix = self.matrix.address();
        let arguments = arguments![matrix, inputs, scales, output, clipped, shape, rule];
        // SAFETY: as both are declared; the matrix, the vectors and the output are as long as the shape says.
        unsafe { self.backend.gpu.launch(&self.backend.product, kernel, grid, THREADS, arguments) }
    }
}

fn accumulated(accumulate: Accumulate, slot: &mut f32, value: f32) {
    match accumulate {
        Accumulate::Set => *slot = value,
        Accumulate::Add => *slot += value,
        Accumulate::Subtract => *slot -= value,
    }
}

fn add(accumulate: Accumulate, result: &[f32], output: &mut [f32]) {
    output.iter_mut().zip(result).for_each(|(slot, x)| accumulated(accumulate, slot, *x));
}

impl Drop for CudaBackend {
    fn drop(&mut self) {
        // What follows is freed in the context that is entered here; if that fails, cust leaves it be.
        let _ = self.gpu.enter();
    }
}

/// A matrix in the GPU's memory.
#[derive(Debug)]
pub(crate) struct Resident {
    values: Buffer<f32>,
    gpu: Arc<Gpu>,
}

impl Drop for Resident {
    fn drop(&mut self) {
        // As above.
        let _ = self.gpu.enter();
    }
}

impl ArrayBackend for CudaBackend {
    fn name(&self) -> &'static str {
        NAME
    }

    fn pack(&self, layout: &Layout, values: &[f32]) -> Result<Operand, CrossbarError> {
        if values.len() != layout.device_count() {
            return Err(CrossbarError::Shape {
                what: "matrix",
                found: vec![values.len()],
                expected: vec![layout.device_count()],
            });
        }
        let gpu = Arc::clone(&self.gpu);
        let values = gpu.enter().and_then(|()| Buffer::of(values)).map_err(failed)?;
        Ok(Operand::new(*layout, NAME, Arc::new(Resident { values, gpu })))
    }

    fn multiply(
        &self,
        operand: &Operand,
        product: &Product<'_>,
        output: &mut [f32],
    ) -> Result<Conversions, CrossbarError> {
        let resident: &Resident = operand.downcast(NAME)?;
        product.check(operand.layout(), output.len())?;
        if output.is_empty() {
            return Ok(Conversions::default());
        }
        self.compute(&resident.values, operand.layout(), product, output).map_err(failed)
    }

    fn add_noise(&self, noises: &[SumNoise<'_>], sums: &mut [f32]) -> Result<(), CrossbarError> {
        let mut operands = Vec::new();
        for noise in noises {
            noise.check(sums.len())?;
            for variance in &noise.variances {
                operands.push(variance.operand.downcast::<Resident>(NAME)?);
            }
        }
        if noises.is_empty() || sums.is_empty() {
            return Ok(());
        }
        self.add(noises, &operands, sums).map_err(failed)
    }

    fn effective_blocks(
        &self,
        used: &[ArrayView2<'_, f64>],
        tile: &TileCircuit,
    ) -> Result<Vec<Array2<f64>>, CrossbarError> {
        let networks = used.iter().map(|used| TileNetwork::new(*used, tile));
        let Some(networks) = networks.collect::<Result<Option<Vec<_>>, _>>()? else {
            // Lines that are driven at both ends; or nothing to do.
            return used.iter().map(|used| effective_block(*used, tile)).collect();
        };
        let _turn = self.scratch();
        self.gpu.enter().map_err(failed)?;
        // Tiles that are cut to their blocks have several sizes.
        let mut found = Vec::with_capacity(used.len());
        for same in networks.chunk_by(|a, b| a.devices.dim() == b.devices.dim()) {
            found.extend(self.reduction.reduce(&self.gpu, same).map_err(failed)?);
        }
        Ok(found)
    }

    fn change(
        &self,
        change: &Change<'_>,
        array: &Array,
        stream: Stream,
    ) -> Result<Option<Vec<f64>>, CrossbarError> {
        self.changed(change, array, stream).map_err(failed)
    }

    fn leaves_to_cpu(&self, work: &Work<'_>) -> bool {
        match work {
            Work::Converter(converter) => {
                converter.descriptor().as_ref().is_none_or(|known| Rule::new(known).is_none())
            }
            Work::Step(step) => !step.change().is_some_and(|change| change::has_kernel(&change)),
            Work::Reduction(wiring) => !TileNetwork::is_of(wiring),
            _ => true,
        }
    }
}

/// What the driver said, as an error of the crossbar's crate.
pub(crate) fn failed(error: CudaError) -> CrossbarError {
    CrossbarError::Backend { backend: NAME.to_owned(), why: format!("the NVIDIA driver said: {error}") }
}
