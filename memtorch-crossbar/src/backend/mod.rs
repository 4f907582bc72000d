//! Where products are computed.
//!
//! [`ArrayBackend`] is the small door behind which the CPU path and a GPU stand. An [`Operand`] is a
//! matrix on tiles that a backend has packed for itself; [`ArrayBackend::multiply`] reads inputs
//! either row by row or as the patches of a convolution, sums each tile along its word lines,
//! converts, and sums over tiles.
//!
//! The order of arithmetic is part of the interface: each output element of a tile is one chain of
//! f32 fused multiply-adds over the tile's word lines in ascending order, from 0; then the converter;
//! then the row tiles are added in ascending order. So all backends agree bit for bit up to and
//! including a linear converter.

mod check;
pub mod contract;
mod cpu;
mod definition;
mod kernel;
mod noise;
mod packed;
mod work;

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use memtorch_devices::Stream;
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

use crate::passive::{TileCircuit, effective_block};
use crate::{Array, Change, Converter, CrossbarError, Layout};

pub use cpu::CpuBackend;
pub use noise::{SumNoise, Switching, Variance};
pub use work::Work;

/// A matrix on tiles as a backend has packed it. It clones cheaply.
#[derive(Clone)]
pub struct Operand {
    layout: Layout,
    backend: &'static str,
    packed: Arc<dyn Any + Send + Sync>,
}

impl Operand {
    /// Wraps what a backend has packed.
    pub fn new(layout: Layout, backend: &'static str, packed: Arc<dyn Any + Send + Sync>) -> Self {
        Self { layout, backend, packed }
    }

    /// How the matrix lies on tiles.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What the backend of this name has packed.
    ///
    /// # Errors
    /// Another backend has packed it.
    pub fn downcast<T: 'static>(&self, backend: &'static str) -> Result<&T, CrossbarError> {
        self.packed.downcast_ref().ok_or_else(|| CrossbarError::Backend {
            backend: backend.to_owned(),
            why: format!("this operand was packed by the backend {}", self.backend),
        })
    }
}

impl Debug for Operand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operand").field("layout", &self.layout).field("backend", &self.backend).finish()
    }
}

/// Which elements of an image lie under the kernel of a convolution. One and two dimensions are
/// three with leading ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PatchGeometry {
    /// Channels of the whole image; each group has `channels / groups` of them.
    pub channels: usize,
    /// Depth, height, width of the image.
    pub input: [usize; 3],
    /// Depth, height, width of the kernel.
    pub kernel: [usize; 3],
    /// Step of the kernel along each axis.
    pub stride: [usize; 3],
    /// Distance of neighbouring kernel elements along each axis.
    pub dilation: [usize; 3],
    /// Zeros before the first element along each axis.
    pub padding: [usize; 3],
    /// Depth, height, width of the result; what lies past the image is zero.
    pub output: [usize; 3],
}

impl PatchGeometry {
    /// Positions of the kernel: the vectors of one image.
    pub fn positions(&self) -> usize {
        self.output.iter().product()
    }

    /// Elements of one image.
    pub fn image_len(&self) -> usize {
        self.channels * self.input.iter().product::<usize>()
    }

    /// Gathers the elements of an image under the kernel at one position, all groups in order; zeros outside.
    pub fn patch<T: Copy + Default>(&self, image: &[T], position: usize, vector: &mut [T]) {
        let [_, oh, ow] = self.output;
        let at = [position / (oh * ow), position / ow % oh, position % ow];
        let [id, ih, iw] = self.input;
        let [kd, kh, kw] = self.kernel;
        let source = |axis: usize, k: usize| {
            (at[axis] * self.stride[axis] + k * self.dilation[axis])
                .checked_sub(self.padding[axis])
                .filter(|i| *i < self.input[axis])
        };
        let mut slots = vector.iter_mut();
        for channel in 0..self.channels {
            for d in 0..kd {
                for h in 0..kh {
                    for w in 0..kw {
                        let value = match (source(0, d), source(1, h), source(2, w)) {
                            (Some(z), Some(y), Some(x)) => image[((channel * id + z) * ih + y) * iw + x],
                            _ => T::default(),
                        };
                        if let Some(slot) = slots.next() {
                            *slot = value;
                        }
                    }
                }
            }
        }
    }
}

/// What is multiplied with the matrix: volts on the word lines.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Input<'a> {
    /// Vectors `[rows, groups * word lines]`, row-major. The result is `[rows, groups * bit lines]`.
    Rows {
        /// The vectors.
        values: &'a [f32],
        /// How many there are.
        rows: usize,
    },
    /// Images `[samples, channels, depth, height, width]`; each position of the kernel is a vector in
    /// the order (channel, depth, height, width). The result is `[samples, groups * bit lines, positions]`.
    Patches {
        /// The images.
        values: &'a [f32],
        /// How many there are.
        samples: usize,
        /// Where the kernel lies.
        geometry: &'a PatchGeometry,
    },
}

impl Input<'_> {
    /// How many vectors there are.
    pub fn vectors(&self) -> usize {
        match self {
            Self::Rows { rows, .. } => *rows,
            Self::Patches { samples, geometry, .. } => samples * geometry.positions(),
        }
    }
}

/// What becomes of what already stands in the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accumulate {
    /// It is overwritten.
    Set,
    /// The result is added to it.
    Add,
    /// The result is subtracted from it.
    Subtract,
}

/// One product.
#[derive(Clone, Copy, Debug)]
pub struct Product<'a> {
    /// The vectors.
    pub input: Input<'a>,
    /// What converts the partial sums of a tile.
    pub converter: &'a dyn Converter,
    /// What becomes of the output's old values.
    pub accumulate: Accumulate,
}

/// What the converters did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conversions {
    /// Codes made; 0 for an ideal converter.
    pub codes: u64,
    /// Codes that were clipped at an end of the range.
    pub clipped: u64,
}

impl std::ops::AddAssign for Conversions {
    fn add_assign(&mut self, other: Self) {
        self.codes += other.codes;
        self.clipped += other.clipped;
    }
}

/// Computes products of vectors and matrices on tiles.
pub trait ArrayBackend: Debug + Send + Sync {
    /// The name in configurations and reports.
    fn name(&self) -> &'static str;

    /// Packs a matrix: `values` are the devices of `layout` in its order.
    ///
    /// # Errors
    /// Another number of values than devices; whatever the backend lacks.
    fn pack(&self, layout: &Layout, values: &[f32]) -> Result<Operand, CrossbarError>;

    /// Computes a product into `output`, whose shape [`Input`] states.
    ///
    /// # Errors
    /// Lengths that do not fit; an operand of another backend; whatever the backend lacks.
    fn multiply(
        &self,
        operand: &Operand,
        product: &Product<'_>,
        output: &mut [f32],
    ) -> Result<Conversions, CrossbarError>;

    /// Adds noise to the partial sums `[vector, column]` of a row of tiles, one after the other.
    ///
    /// The bits are those of the CPU: random words, and the normal numbers that
    /// [`normals_at`](memtorch_devices::normals_at) makes of them.
    ///
    /// # Errors
    /// Lengths that do not fit; whatever the backend lacks.
    fn add_noise(&self, noises: &[SumNoise<'_>], sums: &mut [f32]) -> Result<(), CrossbarError> {
        noises.iter().try_for_each(|noise| noise.add(self, sums))
    }

    /// The effective conductances of blocks in use, each on a tile of its own ([`effective_block`]). Backends agree to
    /// a relative 1e-12 of every conductance.
    ///
    /// # Errors
    /// Those of the first block that has one; whatever the backend lacks.
    fn effective_blocks(
        &self,
        used: &[ArrayView2<'_, f64>],
        tile: &TileCircuit,
    ) -> Result<Vec<Array2<f64>>, CrossbarError> {
        let blocks: Vec<_> = used.par_iter().map(|used| effective_block(*used, tile)).collect();
        blocks.into_iter().collect()
    }

    /// What a step of the list of non-idealities makes of each device of an array, in siemens and in the order of the
    /// layout, before bounds are looked at. `None`: it has no kernel, and the step computes it.
    ///
    /// The bits are those of the step, but where normal numbers are drawn, which agree to 1e-14 of the deviation.
    ///
    /// # Errors
    /// Whatever the backend lacks.
    fn change(
        &self,
        _change: &Change<'_>,
        _array: &Array,
        _stream: Stream,
    ) -> Result<Option<Vec<f64>>, CrossbarError> {
        Ok(None)
    }

    /// Whether the backend leaves such work to the CPU, to which what it needs is then moved. Results are the same;
    /// reports say it.
    fn leaves_to_cpu(&self, _work: &Work<'_>) -> bool {
        false
    }
}
