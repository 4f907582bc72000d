//! What must hold of a product before a kernel may compute it.

use super::packed::Packed;
use super::{Input, Product};
use crate::{ConverterSpec, CrossbarError, FullScale, Layout};

/// A product whose parts fit together: only [`Checked::new`] makes one, so that kernels need not look.
pub(super) struct Checked<'a> {
    pub(super) layout: &'a Layout,
    pub(super) packed: &'a Packed,
    pub(super) product: &'a Product<'a>,
    pub(super) output: &'a mut [f32],
    /// Keeps everybody else from making one.
    _checked: (),
}

impl<'a> Checked<'a> {
    /// Looks whether everything fits together.
    pub(super) fn new(
        layout: &'a Layout,
        packed: &'a Packed,
        product: &'a Product<'a>,
        output: &'a mut [f32],
    ) -> Result<Self, CrossbarError> {
        product.check(layout, output.len())?;
        Ok(Self { layout, packed, product, output, _checked: () })
    }
}

impl Product<'_> {
    /// Looks whether a layout, an output of this length and the parts of the product fit together; for backends, which
    /// then need not look.
    ///
    /// # Errors
    /// What does not fit, and what was expected.
    pub fn check(&self, layout: &Layout, output: usize) -> Result<(), CrossbarError> {
        let shape = |what, found: usize, expected: Option<usize>| match expected {
            Some(expected) if expected == found => Ok(()),
            _ => Err(CrossbarError::Shape {
                what,
                found: vec![found],
                expected: vec![expected.unwrap_or(usize::MAX)],
            }),
        };
        let vectors = match &self.input {
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
        if let Some(ConverterSpec::Linear { bits, full_scale }) = self.converter.descriptor() {
            if !(2..=24).contains(&bits) {
                return Err(CrossbarError::value("bits", bits, "a whole number from 2 to 24"));
            }
            match full_scale {
                FullScale::PerTile(list) => shape("full scales", list.len(), Some(layout.tile_count()))?,
                FullScale::PerLine(tiles) => {
                    shape("full scales", tiles.len(), Some(layout.tile_count()))?;
                    for (tile, lines) in layout.tiles().zip(tiles.iter()) {
                        shape("full scales of a tile", lines.len(), Some(tile.bit_lines))?;
                    }
                }
                FullScale::Dynamic { .. } | FullScale::Fixed(_) => {}
            }
        }
        Ok(())
    }
}
