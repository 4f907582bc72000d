//! Tensors of an ONNX file: typed, raw, or in a file beside it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path};

use super::proto::{Entry, TensorData};
use crate::Tensor;
use crate::half::{brain, half};
use crate::tensor::count;

/// A type of elements of the ONNX specification that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    F32,
    F64,
    F16,
    Bf16,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    Bool,
}

impl Type {
    pub(super) fn new(number: i32) -> Result<Self, String> {
        Ok(match number {
            1 => Self::F32,
            2 => Self::U8,
            3 => Self::I8,
            4 => Self::U16,
            5 => Self::I16,
            6 => Self::I32,
            7 => Self::I64,
            9 => Self::Bool,
            10 => Self::F16,
            11 => Self::F64,
            12 => Self::U32,
            13 => Self::U64,
            16 => Self::Bf16,
            8 => return Err("elements are strings: expected numbers".to_owned()),
            other => {
                return Err(format!(
                    "element type {other}: expected float, double, float16, bfloat16, a whole number or bool"
                ));
            }
        })
    }

    fn bytes(self) -> usize {
        match self {
            Self::I8 | Self::U8 | Self::Bool => 1,
            Self::F16 | Self::Bf16 | Self::I16 | Self::U16 => 2,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F64 | Self::I64 | Self::U64 => 8,
        }
    }
}

/// Reads a tensor; `folder` is where external data may lie.
///
/// # Errors
/// A type that is not known, another number of values than the shape has elements, external data that
/// leaves the folder or is too short.
pub(super) fn tensor(data: &TensorData, folder: Option<&Path>) -> Result<Tensor, String> {
    if data.segment.is_some() {
        return Err("is one of several segments: expected a whole tensor".to_owned());
    }
    let kind = Type::new(data.data_type)?;
    let shape: Vec<usize> = data
        .dims
        .iter()
        .map(|&n| usize::try_from(n).map_err(|_| format!("has a dimension of {n}: expected at least 0")))
        .collect::<Result<_, _>>()?;
    let expected = count(&shape)?;
    match data.data_location {
        0 => {}
        1 => {
            let bytes = external(&data.external_data, expected * kind.bytes(), folder)?;
            return raw(kind, &shape, &bytes);
        }
        other => return Err(format!("data location {other}: expected 0 (here) or 1 (external)")),
    }
    if !data.raw_data.is_empty() {
        return raw(kind, &shape, &data.raw_data);
    }
    match kind {
        Type::F32 => Tensor::new(&shape, data.float_data.clone()),
        Type::F64 => Tensor::new(&shape, data.double_data.iter().map(|&x| x as f32).collect()),
        Type::F16 => Tensor::new(&shape, data.int32_data.iter().map(|&x| half(x as u16)).collect()),
        Type::Bf16 => Tensor::new(&shape, data.int32_data.iter().map(|&x| brain(x as u16)).collect()),
        Type::I64 => Tensor::whole(&shape, data.int64_data.clone()),
        Type::U32 | Type::U64 => {
            let values = data.uint64_data.iter().map(|&x| unsigned(x)).collect::<Result<_, _>>()?;
            Tensor::whole(&shape, values)
        }
        Type::Bool => Tensor::truth(&shape, data.int32_data.iter().map(|&x| x != 0).collect()),
        Type::I8 | Type::I16 | Type::I32 | Type::U8 | Type::U16 => {
            Tensor::whole(&shape, data.int32_data.iter().map(|&x| i64::from(x)).collect())
        }
    }
}

fn unsigned(value: u64) -> Result<i64, String> {
    i64::try_from(value).map_err(|_| format!("holds {value}: expected at most {}", i64::MAX))
}

/// A tensor from its bytes, little-endian.
fn raw(kind: Type, shape: &[usize], bytes: &[u8]) -> Result<Tensor, String> {
    let expected = count(shape)? * kind.bytes();
    if bytes.len() != expected {
        return Err(format!("of shape {shape:?} has {} bytes of data: expected {expected}", bytes.len()));
    }
    fn each<const N: usize, T>(bytes: &[u8], f: impl Fn([u8; N]) -> T) -> Vec<T> {
        let (chunks, _) = bytes.as_chunks::<N>();
        chunks.iter().map(|chunk| f(*chunk)).collect()
    }
    match kind {
        Type::F32 => Tensor::new(shape, each(bytes, f32::from_le_bytes)),
        Type::F64 => Tensor::new(shape, each(bytes, |b| f64::from_le_bytes(b) as f32)),
        Type::F16 => Tensor::new(shape, each(bytes, |b| half(u16::from_le_bytes(b)))),
        Type::Bf16 => Tensor::new(shape, each(bytes, |b| brain(u16::from_le_bytes(b)))),
        Type::I8 => Tensor::whole(shape, each(bytes, |b| i64::from(i8::from_le_bytes(b)))),
        Type::I16 => Tensor::whole(shape, each(bytes, |b| i64::from(i16::from_le_bytes(b)))),
        Type::I32 => Tensor::whole(shape, each(bytes, |b| i64::from(i32::from_le_bytes(b)))),
        Type::I64 => Tensor::whole(shape, each(bytes, i64::from_le_bytes)),
        Type::U8 => Tensor::whole(shape, each(bytes, |b: [u8; 1]| i64::from(b[0]))),
        Type::U16 => Tensor::whole(shape, each(bytes, |b| i64::from(u16::from_le_bytes(b)))),
        Type::U32 => Tensor::whole(shape, each(bytes, |b| i64::from(u32::from_le_bytes(b)))),
        Type::U64 => {
            let values: Vec<u64> = each(bytes, u64::from_le_bytes);
            Tensor::whole(shape, values.into_iter().map(unsigned).collect::<Result<_, _>>()?)
        }
        Type::Bool => Tensor::truth(shape, each(bytes, |b: [u8; 1]| b[0] != 0)),
    }
}

/// The bytes of a tensor in a file beside the model. The file must lie in the model's folder or below.
fn external(entries: &[Entry], expected: usize, folder: Option<&Path>) -> Result<Vec<u8>, String> {
    let folder = folder.ok_or("has external data: expected a model file, beside which they lie")?;
    let entry = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str());
    let number = |key: &str| match entry(key) {
        None => Ok(None),
        Some(text) => text
            .parse::<u64>()
            .map(Some)
            .map_err(|_| format!("has external data with {key} = {text:?}: expected a whole number")),
    };
    let location = entry("location").ok_or("has external data without a location")?;
    let path = Path::new(location);
    let inside = path.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    let outside = || format!("has external data at {location:?}: expected a file in the folder of the model");
    if !inside || location.is_empty() {
        return Err(outside());
    }
    let whole = folder.join(path);
    let io = |error: std::io::Error| format!("has external data at {location:?}: {error}");
    // A link may lead out of the folder although the path does not.
    let (real, root) = (whole.canonicalize().map_err(io)?, folder.canonicalize().map_err(io)?);
    if !real.starts_with(&root) {
        return Err(outside());
    }
    let mut file = File::open(&real).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    let offset = number("offset")?.unwrap_or(0);
    let length = number("length")?.unwrap_or(size.saturating_sub(offset));
    if length != expected as u64 {
        return Err(format!("has {length} bytes of external data at {location:?}: expected {expected}"));
    }
    if offset.checked_add(length).is_none_or(|end| end > size) {
        let wanted = format!("{length} bytes from byte {offset} on");
        return Err(format!("has external data at {location:?}, a file of {size} bytes: expected {wanted}"));
    }
    let mut bytes = vec![0; expected];
    file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut bytes)).map_err(io)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bit_numbers_have_their_values() {
        for (bits, value) in [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0400, 2.0f32.powi(-14)),
            (0x0001, 2.0f32.powi(-24)),
            (0x83ff, -1023.0 * 2.0f32.powi(-24)),
            (0x3555, 0.333_251_95),
            (0x7c00, f32::INFINITY),
        ] {
            assert_eq!(half(bits), value, "{bits:x}");
        }
        assert!(half(0x7e00).is_nan());
        assert_eq!(half(0x8000).to_bits(), (-0.0f32).to_bits());
        assert_eq!(brain(0x3f80), 1.0);
        assert_eq!(brain(0xc049), -3.140_625);
    }
}
