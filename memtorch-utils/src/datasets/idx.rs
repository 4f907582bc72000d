//! The IDX format of MNIST: big-endian sizes, then bytes.

use std::path::Path;

use super::{DataError, Raw, Samples, read_maybe_gzip};

/// No data set of bytes that is meant for a test is larger.
const LIMIT: u64 = 4 << 30;

pub(super) fn read(images: &Path, labels: &Path) -> Result<Samples, DataError> {
    let (image_shape, bytes) = read_bytes(images)?;
    let (label_shape, classes) = read_bytes(labels)?;
    let wrong = |file: &Path, what: String| Err(DataError::Format { file: file.to_owned(), what });
    let [count, sizes @ ..] = image_shape.as_slice() else {
        return wrong(images, "an IDX file without dimensions: expected [N, H, W]".to_owned());
    };
    if sizes.is_empty() {
        return wrong(
            images,
            format!("shape {image_shape:?}: expected [N, H, W] (is it the file of labels?)"),
        );
    }
    if label_shape.len() != 1 {
        return wrong(labels, format!("shape {label_shape:?}: expected [N] (is it the file of images?)"));
    }
    if label_shape[0] != *count {
        return wrong(labels, format!("{} labels: expected {count}, one for each image", label_shape[0]));
    }
    // A grey image has one channel.
    let shape = if sizes.len() == 2 { vec![1, sizes[0], sizes[1]] } else { sizes.to_vec() };
    Ok(Samples { raw: Raw::Bytes(bytes), shape, labels: classes.into_iter().map(u32::from).collect() })
}

/// Shape and bytes of an IDX file of unsigned bytes.
fn read_bytes(path: &Path) -> Result<(Vec<usize>, Vec<u8>), DataError> {
    let bytes = read_maybe_gzip(path, LIMIT)?;
    parse(&bytes).map_err(|what| DataError::Format { file: path.to_owned(), what })
}

pub(super) fn parse(bytes: &[u8]) -> Result<(Vec<usize>, Vec<u8>), String> {
    let Some((&[zero0, zero1, kind, dimensions], rest)) = bytes.split_first_chunk::<4>() else {
        return Err(format!("{} bytes: expected an IDX file", bytes.len()));
    };
    if [zero0, zero1] != [0, 0] {
        return Err("not an IDX file: expected it to begin with two zero bytes".to_owned());
    }
    if kind != 8 {
        return Err(format!("elements of type {kind:#04x}: expected 0x08, unsigned bytes"));
    }
    let sizes = rest.get(..4 * usize::from(dimensions)).ok_or("truncated in the header")?;
    let shape: Vec<usize> =
        sizes.chunks_exact(4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]) as usize).collect();
    let body = &rest[sizes.len()..];
    let count = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
    if count != Some(body.len()) {
        let expected = count.map_or("more than any file has".to_owned(), |n| n.to_string());
        return Err(format!("{} bytes of data: expected {expected} for shape {shape:?}", body.len()));
    }
    Ok((shape, body.to_vec()))
}
