//! The range of weights that is mapped to the range of a device.

use ndarray::ArrayView3;

use crate::hardware::{PerWhat, WeightFloor, WeightRange};
use crate::placement::{Placement, Role};
use crate::{Hardware, MapError};

/// The largest weights, and the weights relative to them.
#[derive(Debug)]
pub(crate) struct Relative {
    /// What each device of the physical layout means.
    pub(crate) devices: Vec<Meaning>,
    /// `w_max`: one, or one a column of all groups.
    pub(crate) w_max: Vec<f64>,
    /// Weights beyond their `w_max`.
    pub(crate) clipped: usize,
}

/// What a device stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Meaning {
    /// `w / w_max` clipped to [-1, 1].
    Weight(f64),
    /// A weight without a range: all are zero.
    Nothing,
    /// A reference column.
    Reference,
}

impl WeightRange {
    /// `w_min / w_max`: the smallest magnitude that is mapped.
    pub(crate) fn floor_ratio(&self, hardware: &Hardware) -> f64 {
        match self.floor {
            WeightFloor::Zero => 0.0,
            WeightFloor::Ratio => hardware.device.model.r_on() / hardware.device.model.r_off(),
        }
    }
}

/// Puts weights `[groups, rows, columns]` in the order of the devices, relative to their range.
pub(crate) fn relative(
    weights: ArrayView3<'_, f32>,
    placement: &Placement,
    range: &WeightRange,
) -> Result<Relative, MapError> {
    for ((group, row, column), value) in weights.indexed_iter() {
        if !value.is_finite() {
            return Err(MapError::Weight { group, row, column, value: *value });
        }
    }
    let columns = weights.dim().2;
    let largest = |values: &mut dyn Iterator<Item = &f32>| -> f64 {
        let mut magnitudes: Vec<f32> = values.map(|w| w.abs()).collect();
        let skip = (range.exclude_largest * magnitudes.len() as f64).floor() as usize;
        f64::from(*magnitudes.select_nth_unstable_by(skip, |a, b| b.total_cmp(a)).1)
    };
    let w_max: Vec<f64> = match range.per {
        PerWhat::Layer | PerWhat::Tile => vec![largest(&mut weights.iter())],
        PerWhat::Column => weights
            .outer_iter()
            .flat_map(|group| (0..columns).map(|c| largest(&mut group.column(c).iter())).collect::<Vec<_>>())
            .collect(),
    };
    let devices = Vec::with_capacity(placement.physical.device_count());
    let mut result = Relative { devices, w_max, clipped: 0 };
    for role in placement.physical.tiles().flat_map(|tile| placement.roles(tile)) {
        result.devices.push(match role {
            Role::Reference => Meaning::Reference,
            Role::BetweenGroups => Meaning::Weight(0.0),
            Role::Weight { group, row, column } => {
                let w_max = match range.per {
                    PerWhat::Layer | PerWhat::Tile => result.w_max[0],
                    PerWhat::Column => result.w_max[group * columns + column],
                };
                let weight = f64::from(weights[[group, row, column]]);
                result.clipped += usize::from(weight.abs() > w_max);
                if w_max > 0.0 {
                    Meaning::Weight((weight / w_max).clamp(-1.0, 1.0))
                } else {
                    Meaning::Nothing
                }
            }
        });
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use memtorch_crossbar::TileShape;
    use ndarray::Array3;

    use super::*;
    use crate::GroupPacking;

    fn placed(tile: TileShape) -> Placement {
        Placement::new([1, 2, 3], tile, GroupPacking::Separate, false).unwrap()
    }

    fn weights() -> Array3<f32> {
        Array3::from_shape_vec((1, 2, 3), vec![1.0, -4.0, 0.0, 2.0, 0.5, 0.0]).unwrap()
    }

    #[test]
    fn the_largest_weight_of_layer_or_column_is_one() {
        let layout = placed(TileShape::Sized { word_lines: 1, bit_lines: 2 });
        let layer = relative(weights().view(), &layout, &WeightRange::default()).unwrap();
        assert_eq!(layer.w_max, [4.0]);
        // Tiles in order: (row 0, columns 0-1), (row 1, columns 0-1), (row 0, column 2), (row 1, column 2).
        assert_eq!(layer.devices, [0.25, -1.0, 0.5, 0.125, 0.0, 0.0].map(Meaning::Weight));
        let range = WeightRange { per: PerWhat::Column, ..WeightRange::default() };
        let column = relative(weights().view(), &layout, &range).unwrap();
        assert_eq!(column.w_max, [2.0, 4.0, 0.0]);
        let mut expected = [0.5, -1.0, 1.0, 0.125, 0.0, 0.0].map(Meaning::Weight);
        expected[4..].fill(Meaning::Nothing);
        assert_eq!(column.devices, expected);
    }

    #[test]
    fn a_share_of_the_largest_is_clipped() {
        let layout = placed(TileShape::Layer);
        // floor(0.34 * 6) = 2: the third largest magnitude is 1.
        let range = WeightRange { exclude_largest: 0.34, ..WeightRange::default() };
        let layer = relative(weights().view(), &layout, &range).unwrap();
        assert_eq!((layer.w_max[0], layer.clipped), (1.0, 2));
        assert_eq!(layer.devices, [1.0, -1.0, 0.0, 1.0, 0.5, 0.0].map(Meaning::Weight));
    }
}
