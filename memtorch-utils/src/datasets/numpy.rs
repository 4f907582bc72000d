//! Samples and labels as numpy arrays.

use std::path::Path;

use super::{DataError, Raw, Samples};
use crate::npy::{NpyArray, NpyData, NpyError};

pub(super) fn read(images: &Path, labels: &Path) -> Result<Samples, DataError> {
    let load = |path: &Path| {
        NpyArray::read(path).map_err(|error| match error {
            NpyError::File(error) => DataError::File(error),
            NpyError::Format { what, .. } => DataError::Format { file: path.to_owned(), what },
        })
    };
    let wrong = |file: &Path, what: String| Err(DataError::Format { file: file.to_owned(), what });
    let (samples, classes) = (load(images)?, load(labels)?);
    let [count, shape @ ..] = samples.shape.as_slice() else {
        return wrong(images, "a single number: expected an array [N, ...]".to_owned());
    };
    if classes.shape != [*count] {
        return wrong(
            labels,
            format!("shape {:?}: expected [{count}], one label for each sample", classes.shape),
        );
    }
    if let Some((index, value)) = samples.first_not_finite() {
        return wrong(images, format!("the value at {index:?} is {value}: expected a finite number"));
    }
    let shape = match shape {
        [] => vec![1],
        [height, width] if matches!(samples.data, NpyData::U8(_)) => vec![1, *height, *width],
        list => list.to_vec(),
    };
    let whole: Vec<i64> = match classes.data {
        NpyData::U8(list) => list.into_iter().map(i64::from).collect(),
        NpyData::I32(list) => list.into_iter().map(i64::from).collect(),
        NpyData::I64(list) => list,
        _ => return wrong(labels, "labels that are not whole numbers: expected u1, i4 or i8".to_owned()),
    };
    let mut numbers = Vec::with_capacity(whole.len());
    for (index, value) in whole.into_iter().enumerate() {
        match u32::try_from(value) {
            Ok(class) => numbers.push(class),
            Err(_) => return wrong(labels, format!("label {index} is {value}: expected a class from 0")),
        }
    }
    let raw = match samples.data {
        NpyData::U8(bytes) => Raw::Bytes(bytes),
        data => Raw::Reals(NpyArray { shape: Vec::new(), data }.into_f32()),
    };
    Ok(Samples { raw, shape, labels: numbers })
}
