//! The IDX format of MNIST: big-endian sizes, then bytes.

use std::path::Path;

use super::source::{Records, Stream};
use super::{DataError, Samples, Targets, sample_len};
use crate::npy::Element;

/// A file of labels is read whole: no set has more of them.
const MOST_LABELS: usize = 1 << 26;

pub(super) fn read(images: &Path, labels: &Path) -> Result<Samples, DataError> {
    let (image_shape, body) = open(images)?;
    let (label_shape, mut classes) = open(labels)?;
    let [count, sizes @ ..] = image_shape.as_slice() else {
        return Err(body.wrong("an IDX file without dimensions: expected [N, H, W]"));
    };
    if sizes.is_empty() {
        let what = format!("shape {image_shape:?}: expected [N, H, W] (is it the file of labels?)");
        return Err(body.wrong(what));
    }
    if label_shape.len() != 1 {
        let what = format!("shape {label_shape:?}: expected [N] (is it the file of images?)");
        return Err(classes.wrong(what));
    }
    if label_shape[0] != *count {
        let what = format!("{} labels: expected {count}, one for each image", label_shape[0]);
        return Err(classes.wrong(what));
    }
    if *count > MOST_LABELS {
        return Err(classes.wrong(format!("{count} labels: expected at most {MOST_LABELS}")));
    }
    let mut list = vec![0; *count];
    classes.read_at(0, &mut list)?;
    // A grey image has one channel.
    let shape = if sizes.len() == 2 { vec![1, sizes[0], sizes[1]] } else { sizes.to_vec() };
    let size = sample_len(&shape).map_err(|what| body.wrong(what))?;
    let source = Records { parts: vec![(body, *count)], size, skipped: 0, element: Element::U8 };
    let targets = Targets::Classes(list.into_iter().map(u32::from).collect());
    Ok(Samples { source: Box::new(source), reals: false, shape, targets })
}

/// The shape of an IDX file of unsigned bytes, and its bytes, of which there are so many.
fn open(path: &Path) -> Result<(Vec<usize>, Stream), DataError> {
    let stream = Stream::open(path)?;
    let head = stream.head(4 + 4 * 255)?;
    let (shape, header) = header(&head).map_err(|what| stream.wrong(what))?;
    let count = shape.iter().try_fold(1u64, |n, d| n.checked_mul(*d as u64));
    let count = count.filter(|n| *n < 1 << 62).ok_or_else(|| {
        stream.wrong(format!("shape {shape:?}: expected a shape; this is more than any file has"))
    })?;
    let body = stream.after(header as u64);
    body.scan(count, &mut |_| Ok(()))?;
    Ok((shape, body))
}

/// The shape, and the length of the header.
pub(super) fn header(bytes: &[u8]) -> Result<(Vec<usize>, usize), String> {
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
    let shape =
        sizes.chunks_exact(4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]) as usize).collect();
    Ok((shape, 4 + sizes.len()))
}
