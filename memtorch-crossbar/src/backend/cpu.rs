//! The backend on the CPU.

use std::sync::Arc;

use super::check::Checked;
use super::kernel::Isa;
use super::packed::Packed;
use super::{ArrayBackend, Conversions, Operand, Product, definition};
use crate::{CrossbarError, Layout};

/// Products on the CPU: tiles and vectors shared out among rayon's threads, with kernels for
/// AVX-512, for AVX2 with FMA, and for any other processor, chosen at run time.
///
/// All of them, on any number of threads, give the bits of [`CpuBackend::portable`], which computes
/// each element as the interface defines it and nothing faster.
///
/// ```
/// use memtorch_crossbar::backend::CpuBackend;
/// use memtorch_crossbar::{Accumulate, ArrayBackend, Ideal, Input, Layout, Product, TileShape};
///
/// let layout = Layout::new(1, 3, 2, TileShape::Sized { word_lines: 2, bit_lines: 2 })?;
/// // Tile after tile, each `[word line, bit line]`, siemens.
/// let backend = CpuBackend::new();
/// let operand = backend.pack(&layout, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
/// let input = Input::Rows { values: &[0.1, 0.2, 0.3], rows: 1 };
/// let mut currents = [0.0; 2];
/// let product = Product { input, converter: &Ideal, accumulate: Accumulate::Set };
/// backend.multiply(&operand, &product, &mut currents)?;
/// assert!((currents[0] - 2.2).abs() < 1e-6 && (currents[1] - 2.8).abs() < 1e-6);
/// # Ok::<(), memtorch_crossbar::CrossbarError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuBackend {
    isa: Option<Isa>,
}

const NAME: &str = "cpu";

impl CpuBackend {
    /// The fastest kernels that this machine has.
    pub fn new() -> Self {
        Self { isa: Isa::available().last().copied() }
    }

    /// No kernels: each element as the interface defines it, on one thread. The executable
    /// definition of the right answer, and slow.
    pub fn portable() -> Self {
        Self { isa: None }
    }

    /// One backend for each instruction set that this machine has kernels for, and the portable one.
    pub fn all() -> Vec<Self> {
        let fast = Isa::available().into_iter().map(|isa| Self { isa: Some(isa) });
        std::iter::once(Self::portable()).chain(fast).collect()
    }

    /// [`CpuBackend::new`] as whoever takes a backend wants it.
    pub fn shared() -> Arc<dyn ArrayBackend> {
        Arc::new(Self::new())
    }

    /// The instruction set: `portable`, `lanes`, `avx2` or `avx512`.
    pub fn instructions(&self) -> &'static str {
        self.isa.map_or("portable", Isa::name)
    }
}

impl CpuBackend {
    /// The machine's own limit, in FLOP/s: what one thread makes of multiply-adds that need no memory,
    /// with the same instructions, the best of some 20 ms. A product's FLOP/s stand beside it in the
    /// benches.
    pub fn measure_peak(&self) -> f64 {
        let isa = self.isa.unwrap_or(Isa::LANES);
        let mut best = 0.0f64;
        for _ in 0..20 {
            let start = std::time::Instant::now();
            let flop = isa.spin(if self.isa.is_some() { 100_000 } else { 1_000 });
            best = best.max(flop as f64 / start.elapsed().as_secs_f64());
        }
        best
    }
}

impl Default for CpuBackend {
    fn default() -> Self {
        Self::new()
    }
}

impl ArrayBackend for CpuBackend {
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
        Ok(Operand::new(*layout, NAME, Arc::new(Packed::new(values.to_vec()))))
    }

    fn multiply(
        &self,
        operand: &Operand,
        product: &Product<'_>,
        output: &mut [f32],
    ) -> Result<Conversions, CrossbarError> {
        let packed: &Packed = operand.downcast(NAME)?;
        let mut checked = Checked::new(operand.layout(), packed, product, output)?;
        if checked.output.is_empty() {
            return Ok(Conversions::default());
        }
        if let Some(done) = self.isa.and_then(|isa| isa.multiply(&mut checked)) {
            return Ok(done);
        }
        let Checked { layout, packed, product, output, .. } = checked;
        Ok(definition::multiply(layout, packed.values(), product, output))
    }
}
