//! The backend on the CPU.

use std::sync::Arc;

use super::kernel::Isa;
use super::packed::Packed;
use super::{ArrayBackend, Conversions, Input, Operand, Product, definition};
use crate::{ConverterSpec, CrossbarError, FullScale, Layout};

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
        let isa = self.isa.unwrap_or(Isa::Lanes);
        let mut best = 0.0f64;
        for _ in 0..20 {
            let start = std::time::Instant::now();
            // SAFETY: only `Isa::available` makes one, of what the processor has; any has `Lanes`.
            let flop = unsafe { isa.spin(if self.isa.is_some() { 100_000 } else { 1_000 }) };
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
        let layout = operand.layout();
        let packed: &Packed = operand.downcast(NAME)?;
        check(layout, product, output.len())?;
        if output.is_empty() {
            return Ok(Conversions::default());
        }
        if let Some(isa) = self.isa {
            // SAFETY: only `Isa::available` makes one, of what the processor has; lengths were checked.
            if let Some(done) = unsafe { isa.multiply(layout, packed, product, output) } {
                return Ok(done);
            }
        }
        Ok(definition::multiply(layout, packed.values(), product, output))
    }
}

/// Everything fits together.
fn check(layout: &Layout, product: &Product<'_>, output: usize) -> Result<(), CrossbarError> {
    let shape = |what, found: usize, expected: Option<usize>| match expected {
        Some(expected) if expected == found => Ok(()),
        _ => Err(CrossbarError::Shape {
            what,
            found: vec![found],
            expected: vec![expected.unwrap_or(usize::MAX)],
        }),
    };
    let vectors = match &product.input {
        Input::Rows { values, rows } => {
            shape("input", values.len(), rows.checked_mul(layout.groups() * layout.rows()))?;
            Some(*rows)
        }
        Input::Patches { values, samples, geometry } => {
            let product = |sizes: [usize; 3]| sizes.into_iter().try_fold(1usize, usize::checked_mul);
            let (groups, kernel) = (layout.groups(), product(geometry.kernel));
            let rows = kernel.and_then(|kernel| kernel.checked_mul(geometry.channels / groups));
            if geometry.channels % groups != 0 || rows != Some(layout.rows()) {
                return Err(CrossbarError::Shape {
                    what: "patch",
                    found: vec![geometry.channels, kernel.unwrap_or(usize::MAX)],
                    expected: vec![groups * layout.rows()],
                });
            }
            for (axis, stride) in geometry.stride.into_iter().enumerate() {
                if stride == 0 {
                    return Err(CrossbarError::value(format!("stride of axis {axis}"), 0, "at least 1"));
                }
                // So that a place under the kernel can be computed.
                let last = geometry.output[axis].saturating_sub(1).checked_mul(stride);
                let reach = (geometry.kernel[axis] - 1).checked_mul(geometry.dilation[axis]);
                if last.zip(reach).and_then(|(a, b)| a.checked_add(b)).is_none_or(|n| n == usize::MAX) {
                    let value = geometry.dilation[axis];
                    return Err(CrossbarError::value(format!("dilation of axis {axis}"), value, "less"));
                }
            }
            let image = product(geometry.input).and_then(|area| area.checked_mul(geometry.channels));
            shape("input", values.len(), image.and_then(|image| image.checked_mul(*samples)))?;
            product(geometry.output).and_then(|positions| positions.checked_mul(*samples))
        }
    };
    let columns = layout.groups() * layout.columns();
    shape("output", output, vectors.and_then(|vectors| vectors.checked_mul(columns)))?;
    if let Some(ConverterSpec::Linear { bits, full_scale }) = product.converter.descriptor() {
        if !(2..=24).contains(&bits) {
            return Err(CrossbarError::value("bits", bits, "a whole number from 2 to 24"));
        }
        if let FullScale::PerTile(list) = full_scale {
            shape("full scales", list.len(), Some(layout.tile_count()))?;
        }
    }
    Ok(())
}
