//! Samples and labels as numpy arrays: two files, or two arrays of one `.npz` file.

use std::path::Path;
use std::sync::Arc;

use super::source::{Memory, Packing, Records, Source, Stream, first_unfit};
use super::{DataError, Samples, Targets, sample_len};
use crate::npy::{Element, Header, NpyArray, NpyData, NpyError};
use crate::npz::Npz;

/// No header is as long.
const MOST_HEADER: usize = 1 << 17;

pub(super) fn read(images: &Path, labels: &Path) -> Result<Samples, DataError> {
    let (samples, classes) = (Stream::packed(images, Packing::Plain(0)), NpyArray::read(labels));
    samples_of(samples, labels, classes.map_err(|error| failed(labels, error))?)
}

/// An array of an archive, whose first axis is the sample.
pub(super) fn read_array(path: &Path, name: &str) -> Result<Values, DataError> {
    let fail = |error| failed(path, error);
    let mut npz = Npz::open(path).map_err(fail)?;
    values_of(&member(&mut npz, path, name).map_err(fail)?)
}

/// The bytes of an array of an archive.
fn member(npz: &mut Npz, path: &Path, name: &str) -> Result<Stream, NpyError> {
    let member = npz.member(&format!("{name}.npy"))?.clone();
    let start = npz.start(&member)?;
    // Once from front to back, so that a damaged member is known now.
    npz.verify(&member)?;
    let packing = if member.deflated {
        Packing::Deflate { start, packed: member.packed }
    } else {
        Packing::Plain(start)
    };
    Ok(Stream::packed(path, packing).limited(member.size))
}

/// Names that the arrays of a file commonly have.
const NAMES: [(&str, &str); 6] = [
    ("images", "labels"),
    ("x_test", "y_test"),
    ("test_images", "test_labels"),
    ("x", "y"),
    ("X", "y"),
    ("data", "labels"),
];

/// The arrays of these names; without names, those of the first pair of [`NAMES`] that is there.
pub(super) fn read_archive(
    path: &Path,
    images: Option<&str>,
    labels: Option<&str>,
) -> Result<Samples, DataError> {
    let fail = |error| failed(path, error);
    let mut npz = Npz::open(path).map_err(fail)?;
    let has = |name: &str| npz.contains(&format!("{name}.npy"));
    let found = NAMES.iter().find(|(x, y)| has(images.unwrap_or(x)) && has(labels.unwrap_or(y)));
    let (images, labels) = match (images, labels, found) {
        (Some(images), Some(labels), _) => (images, labels),
        (_, _, Some((x, y))) => (images.unwrap_or(x), labels.unwrap_or(y)),
        _ => {
            let names: Vec<&str> = npz.names().collect();
            let what =
                format!("arrays {}: expected images_name and labels_name to say which", names.join(", "));
            return Err(DataError::Format { file: path.to_owned(), what });
        }
    };
    let classes = npz.array(labels).map_err(fail)?;
    let stream = member(&mut npz, path, images).map_err(fail)?;
    samples_of(stream, path, classes)
}

fn failed(path: &Path, error: NpyError) -> DataError {
    match error {
        NpyError::File(error) => DataError::File(error),
        NpyError::Format { what, .. } => DataError::Format { file: path.to_owned(), what },
    }
}

fn samples_of(stream: Stream, labels: &Path, classes: NpyArray) -> Result<Samples, DataError> {
    let Values { source, reals, shape, count } = values_of(&stream)?;
    let targets = targets(labels, classes, count)?;
    Ok(Samples { source, reals, shape, targets })
}

/// The values of an array, sample by sample.
pub(super) struct Values {
    pub(super) source: Box<dyn Source>,
    /// Whether they are real numbers rather than bytes.
    reals: bool,
    /// Shape of one sample.
    pub(super) shape: Vec<usize>,
    pub(super) count: usize,
}

fn values_of(stream: &Stream) -> Result<Values, DataError> {
    let head = stream.head(MOST_HEADER)?;
    let (header, length) = Header::read(&head).map_err(|what| stream.wrong(what))?;
    let Header { shape, element, .. } = &header;
    let [count, sizes @ ..] = shape.as_slice() else {
        return Err(stream.wrong("a single number: expected an array [N, ...]"));
    };
    let size = header.bytes().map_err(|what| stream.wrong(what))?;
    let body = stream.after(length as u64);
    let mut seen = 0;
    body.scan(size as u64, &mut |bytes| {
        let data = element.decode(bytes).map_err(|what| body.wrong(what))?;
        if let Some((at, value)) = first_unfit(&data) {
            let index = header.index(seen + at);
            let expected = format!("expected a finite number up to {:e}", f32::MAX);
            return Err(body.wrong(format!("the value at {index:?} is {value:?}: {expected}")));
        }
        seen += data.len();
        Ok(())
    })?;
    let bytes = *element == Element::U8;
    let sample = match sizes {
        [] => vec![1],
        [height, width] if bytes => vec![1, *height, *width],
        list => list.to_vec(),
    };
    let elements = sample_len(&sample).map_err(|what| stream.wrong(what))?;
    let source: Box<dyn Source> = if header.fortran && shape.len() > 1 {
        // The values of a sample lie far apart.
        let mut all = vec![0; size];
        stream.after(length as u64).read_at(0, &mut all)?;
        let data = header.decode(&all).map_err(|what| stream.wrong(what))?;
        let values = NpyArray { shape: Vec::new(), data }.into_f32();
        Box::new(Memory { values: Arc::new(values), sample: elements })
    } else {
        let size = elements * element.size();
        Box::new(Records { parts: vec![(body, *count)], size, skipped: 0, element: *element })
    };
    Ok(Values { source, reals: !bytes, shape: sample, count: *count })
}

/// Whole numbers are classes, real numbers are what a network's output is compared with.
fn targets(file: &Path, array: NpyArray, count: usize) -> Result<Targets, DataError> {
    let wrong = |what: String| Err(DataError::Format { file: file.to_owned(), what });
    if array.shape.first() != Some(&count) {
        return wrong(format!("shape {:?}: expected [{count}], one label for each sample", array.shape));
    }
    let whole: Vec<i64> = match array.data {
        NpyData::U8(list) => list.into_iter().map(i64::from).collect(),
        NpyData::I32(list) => list.into_iter().map(i64::from).collect(),
        NpyData::I64(list) => list,
        NpyData::Bool(_) => return wrong("truth values: expected whole or real numbers".to_owned()),
        _ => {
            if let Some((index, value)) = array.first_not_finite() {
                return wrong(format!("the value at {index:?} is {value}: expected a finite number"));
            }
            let each = array.shape[1..].iter().product();
            return Ok(Targets::Reals { values: array.into_f32(), each });
        }
    };
    if array.shape.len() != 1 {
        return wrong(format!("shape {:?}: expected [{count}], one class for each sample", array.shape));
    }
    let mut numbers = Vec::with_capacity(whole.len());
    for (index, value) in whole.into_iter().enumerate() {
        match u32::try_from(value) {
            Ok(class) => numbers.push(class),
            Err(_) => return wrong(format!("label {index} is {value}: expected a class from 0")),
        }
    }
    Ok(Targets::Classes(numbers))
}
