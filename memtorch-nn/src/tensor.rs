use std::sync::Arc;

use memtorch_utils::buffers;

/// The elements of a [`Tensor`], row-major. They are shared, and copied only when a shared one is written.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Data {
    /// Real numbers; f16, bf16 and f64 are converted.
    F32(Arc<Vec<f32>>),
    /// Whole numbers of any width.
    I64(Arc<Vec<i64>>),
    /// Truth values.
    Bool(Arc<Vec<bool>>),
}

/// A dense array of any shape, row-major. It clones cheaply. The last of its clones gives its memory back to
/// the thread's buffers.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: Data,
}

/// A tensor cannot have more elements than this: 1 GiB of f32.
pub(crate) const MOST_ELEMENTS: usize = 1 << 28;

/// How many elements a shape has.
///
/// # Errors
/// More than [`MOST_ELEMENTS`], or more along the axes that are not 0: no product of sizes overflows.
pub(crate) fn count(shape: &[usize]) -> Result<usize, String> {
    let product = shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n.max(1)));
    if product.is_none_or(|n| n > MOST_ELEMENTS) {
        let expected = format!("expected at most {MOST_ELEMENTS} elements");
        return Err(format!("a tensor of shape {shape:?} is too large: {expected}"));
    }
    Ok(shape.iter().product())
}

/// A vector of so many copies of a value, or an error where there is no memory for it.
///
/// # Errors
/// A shape that is too large, memory that is not there.
pub(crate) fn filled<T: Clone>(shape: &[usize], value: T) -> Result<Vec<T>, String> {
    let n = count(shape)?;
    let mut values = Vec::new();
    values.try_reserve_exact(n).map_err(|_| format!("no memory for a tensor of shape {shape:?}"))?;
    values.resize(n, value);
    Ok(values)
}

/// A vector of so many elements of any value, for results of which every element is written.
///
/// # Errors
/// As [`filled`].
pub(crate) fn unfilled(shape: &[usize]) -> Result<Vec<f32>, String> {
    // Where memory could run out, the allocation is one that can fail.
    if count(shape)? > 1 << 24 { filled(shape, 0.0) } else { Ok(buffers::take(count(shape)?)) }
}

impl Drop for Tensor {
    fn drop(&mut self) {
        if let Data::F32(values) = &mut self.data
            && let Some(values) = Arc::get_mut(values)
        {
            buffers::give(std::mem::take(values));
        }
    }
}

impl Tensor {
    /// A tensor of real numbers.
    ///
    /// # Errors
    /// Another number of values than the shape has elements.
    pub fn new(shape: &[usize], values: Vec<f32>) -> Result<Self, String> {
        Self::from_data(shape, Data::F32(Arc::new(values)))
    }

    /// A tensor of whole numbers.
    ///
    /// # Errors
    /// As [`Tensor::new`].
    pub fn whole(shape: &[usize], values: Vec<i64>) -> Result<Self, String> {
        Self::from_data(shape, Data::I64(Arc::new(values)))
    }

    /// A tensor of truth values.
    ///
    /// # Errors
    /// As [`Tensor::new`].
    pub fn truth(shape: &[usize], values: Vec<bool>) -> Result<Self, String> {
        Self::from_data(shape, Data::Bool(Arc::new(values)))
    }

    /// A tensor of these elements.
    ///
    /// # Errors
    /// As [`Tensor::new`].
    pub fn from_data(shape: &[usize], data: Data) -> Result<Self, String> {
        let (expected, found) = (count(shape)?, data.len());
        if expected != found {
            return Err(format!("{found} values for the shape {shape:?}: expected {expected}"));
        }
        Ok(Self { shape: shape.to_vec(), data })
    }

    /// The shape; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements as real numbers, if they are.
    pub fn as_f32(&self) -> Option<&[f32]> {
        match &self.data {
            Data::F32(values) => Some(values),
            _ => None,
        }
    }

    /// The elements as whole numbers, if they are.
    pub fn as_i64(&self) -> Option<&[i64]> {
        match &self.data {
            Data::I64(values) => Some(values),
            _ => None,
        }
    }

    /// The elements as truth values, if they are.
    pub fn as_bool(&self) -> Option<&[bool]> {
        match &self.data {
            Data::Bool(values) => Some(values),
            _ => None,
        }
    }

    /// The elements as real numbers; an unshared tensor gives its own.
    pub(crate) fn into_f32(self) -> Result<Vec<f32>, String> {
        match self.into_data() {
            Data::F32(values) => Ok(Arc::try_unwrap(values).unwrap_or_else(|shared| shared.to_vec())),
            other => Err(format!("found {}: expected real numbers", other.kind())),
        }
    }

    /// The elements without the shape.
    pub(crate) fn into_data(mut self) -> Data {
        std::mem::replace(&mut self.data, Data::Bool(Arc::default()))
    }

    /// The same elements in another shape.
    pub(crate) fn reshaped(self, shape: &[usize]) -> Result<Self, String> {
        Self::from_data(shape, self.into_data())
    }
}

impl Data {
    /// How many elements there are.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::Bool(values) => values.len(),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What kind of elements they are, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::F32(_) => "real numbers",
            Self::I64(_) => "whole numbers",
            Self::Bool(_) => "truth values",
        }
    }
}
