//! Weights by name, as PyTorch's state dicts have them, from safetensors files.

use std::path::Path;

use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::half::{brain, half};
use crate::{NetworkBuilder, NnError, Tensor};

impl NetworkBuilder {
    /// Adds all tensors of a safetensors file as values that never change, under their names.
    ///
    /// Real numbers become f32 (f64 is rounded), whole numbers i64. A file says nothing about how its tensors
    /// are used: that is what the nodes are for. A name that a node takes and the file does not have is an
    /// error of [`NetworkBuilder::build`].
    ///
    /// # Errors
    /// A file that cannot be read, is truncated or no such file; elements of a type that is not known, or
    /// beyond f32.
    pub fn safetensors(&mut self, path: impl AsRef<Path>) -> Result<&mut Self, NnError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| NnError::Io { path: path.to_owned(), source })?;
        let wrong = |what: String| NnError::Weights { path: path.to_owned(), what };
        let file = SafeTensors::deserialize(&bytes).map_err(|error| wrong(error.to_string()))?;
        let mut tensors = file.tensors();
        tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (name, view) in tensors {
            let tensor = tensor(&view).map_err(|what| wrong(format!("tensor `{name}`: {what}")))?;
            self.constant(&name, tensor);
        }
        Ok(self)
    }
}

fn tensor(view: &TensorView<'_>) -> Result<Tensor, String> {
    fn each<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
        bytes.as_chunks().0.iter().map(|chunk| read(*chunk)).collect()
    }
    let (shape, bytes) = (view.shape(), view.data());
    match view.dtype() {
        Dtype::F32 => Tensor::new(shape, each(bytes, f32::from_le_bytes)),
        Dtype::F16 => Tensor::new(shape, each(bytes, |b| half(u16::from_le_bytes(b)))),
        Dtype::BF16 => Tensor::new(shape, each(bytes, |b| brain(u16::from_le_bytes(b)))),
        Dtype::F64 => {
            let exact = each(bytes, f64::from_le_bytes);
            if let Some(value) = exact.iter().find(|x| x.is_finite() && !(**x as f32).is_finite()) {
                return Err(format!("{value:e} in it: expected numbers up to {:e}", f32::MAX));
            }
            Tensor::new(shape, exact.into_iter().map(|x| x as f32).collect())
        }
        Dtype::I64 => Tensor::whole(shape, each(bytes, i64::from_le_bytes)),
        Dtype::I32 => Tensor::whole(shape, each(bytes, |b| i64::from(i32::from_le_bytes(b)))),
        Dtype::U8 => Tensor::whole(shape, bytes.iter().map(|b| i64::from(*b)).collect()),
        Dtype::BOOL => Tensor::truth(shape, bytes.iter().map(|b| *b != 0).collect()),
        other => {
            Err(format!("elements of type {other:?}: expected F64, F32, F16, BF16, I64, I32, U8 or BOOL"))
        }
    }
}
