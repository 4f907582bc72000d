use std::sync::Arc;

use memtorch_devices::{DeviceParameters, DeviceSpec, Parameter};
use ndarray::Array3;

use super::{Array, Mask};
use crate::{CrossbarError, Layout};

/// The state of an [`Array`] as plain numbers, to be kept and restored.
///
/// Matrices are `[groups, rows, columns]`, without regard to tiles.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ArrayParts {
    /// What each device conducts, in siemens.
    pub conductances: Array3<f64>,
    /// The parameters of which every device has its own value, by name.
    pub parameters: Vec<(String, Array3<f64>)>,
    /// The devices that cannot be written: `[group, row, column]`.
    pub masks: Vec<([usize; 3], Mask)>,
}

impl Array {
    /// The state of the array: what was drawn, written and spoiled.
    ///
    /// What a read sees besides comes from the hardware and is not in it.
    pub fn to_parts(&self) -> ArrayParts {
        let names = self.devices.model().parameter_names();
        let drawn = names.iter().zip(self.devices.values()).filter_map(|(name, values)| match values {
            Parameter::Each(values) => Some(((*name).to_owned(), self.layout.to_matrices(values))),
            Parameter::Uniform(_) => None,
        });
        let devices = if self.masks.is_empty() { Vec::new() } else { places(&self.layout) };
        ArrayParts {
            conductances: self.layout.to_matrices(&self.conductances),
            parameters: drawn.collect(),
            masks: self.masks.iter().map(|&(device, mask)| (devices[device], mask)).collect(),
        }
    }

    /// The array of such a state; `spec` says what its devices have in common.
    ///
    /// # Errors
    /// Matrices of another size than the layout's, numbers that are not possible, a parameter that the
    /// model does not have or that `spec` draws and the state lacks.
    pub fn from_parts(layout: Layout, spec: &DeviceSpec, parts: &ArrayParts) -> Result<Self, CrossbarError> {
        let size = [layout.groups(), layout.rows(), layout.columns()];
        let check = |what: &'static str, matrices: &Array3<f64>| {
            if matrices.shape() == size {
                return Ok(());
            }
            Err(CrossbarError::Shape { what, found: matrices.shape().to_vec(), expected: size.to_vec() })
        };
        check("conductances", &parts.conductances)?;
        if let Some((at, value)) =
            parts.conductances.indexed_iter().find(|(_, g)| !(**g >= 0.0 && g.is_finite()))
        {
            let what = format!("conductance of device {at:?}");
            return Err(CrossbarError::value(what, value, "a finite number of siemens, at least 0"));
        }
        if let Some((name, _)) =
            spec.distributions.iter().find(|(name, _)| parts.parameters.iter().all(|(kept, _)| kept != name))
        {
            return Err(CrossbarError::value("parameters", "kept", format!("values of {name} too")));
        }
        let mut devices = DeviceParameters::new(spec.model.clone(), layout.device_count());
        for (name, values) in &parts.parameters {
            check("a parameter", values)?;
            devices.set_each(name, layout.from_matrices(values.view()))?;
        }
        let mut masks = Vec::with_capacity(parts.masks.len());
        for &([group, row, column], mask) in &parts.masks {
            if group >= size[0] || row >= size[1] || column >= size[2] {
                let what = format!("{:?}", [group, row, column]);
                return Err(CrossbarError::value("stuck device", what, format!("a device of {size:?}")));
            }
            masks.push((layout.device(group, row, column), mask));
        }
        let conductances = layout.from_matrices(parts.conductances.view());
        let mut array = Self {
            layout,
            devices: Arc::new(devices),
            conductances,
            masks: Vec::new(),
            programmed: true,
            reads: crate::ReadEffects::default(),
        };
        array.add_masks(&masks)?;
        // What a device that cannot be written conducts may have aged since.
        array.conductances = layout.from_matrices(parts.conductances.view());
        Ok(array)
    }
}

/// `[group, row, column]` of every device in the order of storage.
fn places(layout: &Layout) -> Vec<[usize; 3]> {
    let size = (layout.groups(), layout.rows(), layout.columns());
    layout.from_matrices(Array3::from_shape_fn(size, |(g, r, c)| [g, r, c]).view())
}
