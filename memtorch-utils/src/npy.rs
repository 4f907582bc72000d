//! Array files of numpy.
//!
//! The format is a short header and the numbers. It is read and written here because the crates that
//! do it bring a parser whose build compiles C; a Rust toolchain shall be enough.
//!
//! Read: format versions 1, 2 and 3; f4, f8, u1, i4, i8 and bool; either byte order; C and Fortran
//! order. Written: version 1, little endian, C order.

use std::path::Path;

use crate::files::{FileError, write_atomic};

/// Dimensions that an array may have: as many as numpy allows.
const MOST_DIMENSIONS: usize = 64;

/// The numbers of an array.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum NpyData {
    /// 32-bit floating point.
    F32(Vec<f32>),
    /// 64-bit floating point.
    F64(Vec<f64>),
    /// Unsigned bytes.
    U8(Vec<u8>),
    /// 32-bit whole numbers.
    I32(Vec<i32>),
    /// 64-bit whole numbers.
    I64(Vec<i64>),
    /// Truth values.
    Bool(Vec<bool>),
}

/// An array in C order: the last index runs fastest.
#[derive(Clone, Debug, PartialEq)]
pub struct NpyArray {
    /// Its shape; empty for a single number.
    pub shape: Vec<usize>,
    /// Its elements.
    pub data: NpyData,
}

/// What can be wrong with an array file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NpyError {
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is not what it should be.
    #[error("{file}: {what}")]
    Format {
        /// The file's name.
        file: String,
        /// What is wrong, and what was expected.
        what: String,
    },
}

impl NpyArray {
    /// Reads a file.
    ///
    /// # Errors
    /// A file that is missing, of another format, truncated, longer than its shape says, or of a type
    /// that is not listed above. Nothing is allocated before the size is known to be right.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, NpyError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|e| FileError::new(path, e))?;
        Self::from_bytes(&bytes).map_err(|what| NpyError::Format { file: path.display().to_string(), what })
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// As [`NpyArray::read`], in words.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let (header, length) = Header::read(bytes)?;
        let body = &bytes[length..];
        let size = header.bytes()?;
        if body.len() != size {
            let Header { shape, descriptor, .. } = &header;
            let found = body.len();
            return Err(format!(
                "{found} bytes of data: expected {size} for shape {shape:?} of {descriptor}"
            ));
        }
        let data = header.decode(body)?;
        Ok(Self { shape: header.shape, data })
    }

    /// An f32 array.
    pub fn from_f32(shape: &[usize], data: Vec<f32>) -> Self {
        Self { shape: shape.to_vec(), data: NpyData::F32(data) }
    }

    /// An f64 array.
    pub fn from_f64(shape: &[usize], data: Vec<f64>) -> Self {
        Self { shape: shape.to_vec(), data: NpyData::F64(data) }
    }

    /// Writes a file, whole or not at all.
    ///
    /// # Errors
    /// Whatever the system says; a number of elements that is not the shape's.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), NpyError> {
        let path = path.as_ref();
        let bytes =
            self.to_bytes().map_err(|what| NpyError::Format { file: path.display().to_string(), what })?;
        Ok(write_atomic(path, |file| file.write_all(&bytes))?)
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// A number of elements that is not the shape's; a shape whose header is too long.
    pub fn to_bytes(&self) -> Result<Vec<u8>, String> {
        let (descriptor, body): (_, Vec<u8>) = match &self.data {
            NpyData::F32(x) => ("<f4", x.iter().flat_map(|x| x.to_le_bytes()).collect()),
            NpyData::F64(x) => ("<f8", x.iter().flat_map(|x| x.to_le_bytes()).collect()),
            NpyData::U8(x) => ("|u1", x.clone()),
            NpyData::I32(x) => ("<i4", x.iter().flat_map(|x| x.to_le_bytes()).collect()),
            NpyData::I64(x) => ("<i8", x.iter().flat_map(|x| x.to_le_bytes()).collect()),
            NpyData::Bool(x) => ("|b1", x.iter().map(|x| u8::from(*x)).collect()),
        };
        if self.shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d)) != Some(self.data.len()) {
            return Err(format!("{} elements for the shape {:?}", self.data.len(), self.shape));
        }
        let shape = match self.shape.as_slice() {
            [one] => format!("({one},)"),
            list => format!("({})", list.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
        };
        let mut header = format!("{{'descr': '{descriptor}', 'fortran_order': False, 'shape': {shape}, }}");
        // The data begin at a multiple of 64 bytes; a newline ends the header.
        let end = (10 + header.len() + 1).next_multiple_of(64);
        header.extend(std::iter::repeat_n(' ', end - 11 - header.len()));
        header.push('\n');
        let length = u16::try_from(header.len()).map_err(|_| "a shape of too many dimensions".to_owned())?;
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend(length.to_le_bytes());
        bytes.extend(header.bytes());
        bytes.extend(body);
        Ok(bytes)
    }

    /// The elements as f32: f64 are rounded, whole numbers above 2^24 too.
    pub fn into_f32(self) -> Vec<f32> {
        match self.data {
            NpyData::F32(x) => x,
            NpyData::F64(x) => x.into_iter().map(|x| x as f32).collect(),
            NpyData::U8(x) => x.into_iter().map(f32::from).collect(),
            NpyData::I32(x) => x.into_iter().map(|x| x as f32).collect(),
            NpyData::I64(x) => x.into_iter().map(|x| x as f32).collect(),
            NpyData::Bool(x) => x.into_iter().map(|x| f32::from(u8::from(x))).collect(),
        }
    }

    /// The elements as f64: exact but for whole numbers above 2^53.
    pub fn into_f64(self) -> Vec<f64> {
        match self.data {
            NpyData::F64(x) => x,
            NpyData::F32(x) => x.into_iter().map(f64::from).collect(),
            NpyData::U8(x) => x.into_iter().map(f64::from).collect(),
            NpyData::I32(x) => x.into_iter().map(f64::from).collect(),
            NpyData::I64(x) => x.into_iter().map(|x| x as f64).collect(),
            NpyData::Bool(x) => x.into_iter().map(|x| f64::from(u8::from(x))).collect(),
        }
    }

    /// The index of the first element that is not finite, and the element.
    pub fn first_not_finite(&self) -> Option<(Vec<usize>, f64)> {
        let (at, value) = match &self.data {
            NpyData::F32(x) => {
                let at = x.iter().position(|x| !x.is_finite())?;
                (at, f64::from(x[at]))
            }
            NpyData::F64(x) => {
                let at = x.iter().position(|x| !x.is_finite())?;
                (at, x[at])
            }
            _ => return None,
        };
        let mut index = vec![0; self.shape.len()];
        let mut rest = at;
        for (slot, size) in index.iter_mut().zip(&self.shape).rev() {
            *slot = rest % size;
            rest /= size;
        }
        Some((index, value))
    }
}

impl NpyData {
    /// How many elements there are.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(x) => x.len(),
            Self::F64(x) => x.len(),
            Self::U8(x) => x.len(),
            Self::I32(x) => x.len(),
            Self::I64(x) => x.len(),
            Self::Bool(x) => x.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// From Fortran order of this shape to C order.
    fn transposed(self, shape: &[usize]) -> Self {
        match self {
            Self::F32(x) => Self::F32(to_c_order(&x, shape)),
            Self::F64(x) => Self::F64(to_c_order(&x, shape)),
            Self::U8(x) => Self::U8(to_c_order(&x, shape)),
            Self::I32(x) => Self::I32(to_c_order(&x, shape)),
            Self::I64(x) => Self::I64(to_c_order(&x, shape)),
            Self::Bool(x) => Self::Bool(to_c_order(&x, shape)),
        }
    }
}

fn to_c_order<T: Copy>(fortran: &[T], shape: &[usize]) -> Vec<T> {
    let mut strides = vec![1; shape.len()];
    for axis in 1..shape.len() {
        strides[axis] = strides[axis - 1] * shape[axis - 1];
    }
    let mut index = vec![0; shape.len()];
    let mut result = Vec::with_capacity(fortran.len());
    for _ in 0..fortran.len() {
        result.push(fortran[index.iter().zip(&strides).map(|(i, s)| i * s).sum::<usize>()]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    result
}

/// The order of the bytes of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Little,
    Big,
}

/// The type of the elements of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    F32(Order),
    F64(Order),
    U8,
    I32(Order),
    I64(Order),
    Bool,
}

impl Element {
    fn parse(descriptor: &str) -> Result<Self, String> {
        let wrong = |expected: &str| Err(format!("elements of type {descriptor}: expected {expected}"));
        let order = match descriptor.chars().next() {
            Some('>') => Order::Big,
            Some('<' | '|' | '=') => Order::Little,
            _ => return wrong("a byte order first"),
        };
        Ok(match &descriptor[1..] {
            "f4" => Self::F32(order),
            "f8" => Self::F64(order),
            "u1" => Self::U8,
            "i4" => Self::I32(order),
            "i8" => Self::I64(order),
            "b1" => Self::Bool,
            _ => return wrong("f4, f8, u1, i4, i8 or b1"),
        })
    }

    /// Bytes of an element.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::U8 | Self::Bool => 1,
            Self::F32(_) | Self::I32(_) => 4,
            Self::F64(_) | Self::I64(_) => 8,
        }
    }

    /// Elements in the order of the bytes; what is less than one at the end is left out.
    pub(crate) fn decode(self, body: &[u8]) -> Result<NpyData, String> {
        fn each<const N: usize, T>(body: &[u8], order: Order, read: impl Fn([u8; N]) -> T) -> Vec<T> {
            body.chunks_exact(N)
                .map(|chunk| {
                    let mut bytes = [0; N];
                    bytes.copy_from_slice(chunk);
                    if order == Order::Big {
                        bytes.reverse();
                    }
                    read(bytes)
                })
                .collect()
        }
        Ok(match self {
            Self::F32(order) => NpyData::F32(each(body, order, f32::from_le_bytes)),
            Self::F64(order) => NpyData::F64(each(body, order, f64::from_le_bytes)),
            Self::I32(order) => NpyData::I32(each(body, order, i32::from_le_bytes)),
            Self::I64(order) => NpyData::I64(each(body, order, i64::from_le_bytes)),
            Self::U8 => NpyData::U8(body.to_vec()),
            Self::Bool => match body.iter().find(|b| **b > 1) {
                None => NpyData::Bool(body.iter().map(|b| *b == 1).collect()),
                Some(byte) => return Err(format!("{byte} among truth values: expected 0 or 1")),
            },
        })
    }
}

/// What stands at the beginning of a file.
pub(crate) struct Header {
    descriptor: String,
    pub(crate) element: Element,
    pub(crate) fortran: bool,
    pub(crate) shape: Vec<usize>,
}

impl Header {
    /// The header of a file, of which these are the first bytes, and its length.
    pub(crate) fn read(bytes: &[u8]) -> Result<(Self, usize), String> {
        let not_npy = || "not a numpy array file: expected it to begin with \\x93NUMPY".to_owned();
        let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or_else(not_npy)?;
        let (&[major, _minor], rest) =
            rest.split_first_chunk::<2>().ok_or("truncated after the magic bytes")?;
        let (length, rest) = match major {
            1 => {
                let (length, rest) = rest.split_first_chunk::<2>().ok_or("truncated in the header")?;
                (usize::from(u16::from_le_bytes(*length)), rest)
            }
            2 | 3 => {
                let (length, rest) = rest.split_first_chunk::<4>().ok_or("truncated in the header")?;
                (u32::from_le_bytes(*length) as usize, rest)
            }
            _ => return Err(format!("format version {major}: expected 1, 2 or 3")),
        };
        let header = rest.get(..length).ok_or_else(|| {
            format!("a header of {length} bytes in a file with {} left: truncated", rest.len())
        })?;
        let header = std::str::from_utf8(header).map_err(|_| "the header is not text".to_owned())?;
        Ok((Self::parse(header)?, bytes.len() - rest.len() + length))
    }

    /// The Python literal.
    fn parse(text: &str) -> Result<Self, String> {
        let value = |key: &str| {
            let at = text.find(&format!("'{key}'")).or_else(|| text.find(&format!("\"{key}\"")))?;
            text[at + key.len() + 2..].trim_start().strip_prefix(':').map(str::trim_start)
        };
        let missing = |key: &str| format!("the header has no `{key}`: {:?}", text.trim_end());
        let descriptor = value("descr").ok_or_else(|| missing("descr"))?;
        let quote = descriptor.chars().next().filter(|c| *c == '\'' || *c == '"');
        let descriptor = quote
            .and_then(|quote| descriptor[1..].split_once(quote))
            .map(|(descriptor, _)| descriptor.to_owned())
            .ok_or("elements of a compound type: expected numbers")?;
        let element = Element::parse(&descriptor)?;
        let order = value("fortran_order").ok_or_else(|| missing("fortran_order"))?;
        let fortran = match order {
            _ if order.starts_with("True") => true,
            _ if order.starts_with("False") => false,
            _ => return Err(missing("fortran_order")),
        };
        let list = value("shape").and_then(|v| v.strip_prefix('(')).and_then(|v| v.split_once(')'));
        let (list, _) = list.ok_or_else(|| missing("shape"))?;
        let mut shape = Vec::new();
        for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let size = part.parse().map_err(|_| format!("`{part}` in the shape: expected a whole number"))?;
            if shape.len() == MOST_DIMENSIONS {
                return Err(format!("more than {MOST_DIMENSIONS} dimensions: numpy has at most so many"));
            }
            shape.push(size);
        }
        Ok(Self { descriptor, element, fortran, shape })
    }

    /// How many bytes the elements take.
    pub(crate) fn bytes(&self) -> Result<usize, String> {
        // Without the sizes that are 0, so that no product of some of them overflows.
        let sizes = self.shape.iter().map(|size| (*size).max(1));
        let most = sizes.chain([self.element.size()]).try_fold(1usize, |n, size| n.checked_mul(size));
        if most.is_none() {
            return Err(format!("shape {:?}: too large for any file", self.shape));
        }
        Ok(self.shape.iter().product::<usize>() * self.element.size())
    }

    /// The index of an element by its place in the file.
    #[cfg(feature = "datasets")]
    pub(crate) fn index(&self, mut place: usize) -> Vec<usize> {
        let mut index = vec![0; self.shape.len()];
        let mut set = |axis: usize| {
            index[axis] = place % self.shape[axis];
            place /= self.shape[axis];
        };
        if self.fortran {
            (0..self.shape.len()).for_each(&mut set);
        } else {
            (0..self.shape.len()).rev().for_each(&mut set);
        }
        index
    }

    /// All elements in C order.
    pub(crate) fn decode(&self, body: &[u8]) -> Result<NpyData, String> {
        let data = self.element.decode(body)?;
        let turned = self.fortran && self.shape.len() > 1;
        Ok(if turned { data.transposed(&self.shape) } else { data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(header: &str, body: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.bytes());
        bytes.extend(body);
        bytes
    }

    #[test]
    fn what_is_written_is_read_again() {
        for data in [
            NpyData::F32(vec![1.5, -2.0, f32::MIN_POSITIVE, 3.0, 4.0, 0.0]),
            NpyData::F64(vec![1.5, -2.0, 1e-300, 3.0, 4.0, 0.0]),
            NpyData::U8(vec![0, 1, 255, 3, 4, 5]),
            NpyData::I32(vec![i32::MIN, 1, 2, 3, 4, 5]),
            NpyData::I64(vec![i64::MIN, 1, 2, 3, 4, 5]),
            NpyData::Bool(vec![true, false, true, true, false, false]),
        ] {
            for shape in [vec![6], vec![2, 3], vec![1, 6, 1]] {
                let array = NpyArray { shape, data: data.clone() };
                let bytes = array.to_bytes().unwrap();
                assert_eq!(NpyArray::from_bytes(&bytes).unwrap(), array);
            }
        }
        let single = NpyArray::from_f64(&[], vec![7.0]);
        assert_eq!(NpyArray::from_bytes(&single.to_bytes().unwrap()).unwrap(), single);
    }

    #[test]
    fn fortran_order_and_big_endian_are_turned() {
        let body: Vec<u8> = [1f32, 4.0, 2.0, 5.0, 3.0, 6.0].iter().flat_map(|x| x.to_be_bytes()).collect();
        let header = "{'descr': '>f4', 'fortran_order': True, 'shape': (2, 3), }\n";
        let array = NpyArray::from_bytes(&bytes(header, &body)).unwrap();
        assert_eq!(array, NpyArray::from_f32(&[2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    }

    #[test]
    fn no_truncation_and_no_flipped_bit_is_a_panic() {
        let good = NpyArray::from_f32(&[2, 3], vec![0.5; 6]).to_bytes().unwrap();
        for end in 0..good.len() {
            assert!(NpyArray::from_bytes(&good[..end]).is_err(), "{end}");
        }
        for at in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[at / 8] ^= 1 << (at % 8);
            let _ = NpyArray::from_bytes(&bad);
        }
    }

    #[test]
    fn hostile_headers_are_errors_before_anything_is_allocated() {
        for (shape, word) in [
            ("(1000000000000,)", "4000000000000"),
            ("(4294967296, 4294967296, 16)", "too large"),
            ("(-1,)", "-1"),
            ("(2", "shape"),
            ("(2,)", "4 bytes of data: expected 8"),
        ] {
            let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
            let error = NpyArray::from_bytes(&bytes(&header, &[0; 4])).unwrap_err();
            assert!(error.contains(word), "{shape}: {error}");
        }
        let error = NpyArray::from_bytes(b"PK\x03\x04").unwrap_err();
        assert!(error.contains("not a numpy array file"), "{error}");
        let complex = "{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }";
        assert!(NpyArray::from_bytes(&bytes(complex, &[0; 8])).unwrap_err().contains("<c8"));
        let pickled = "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }";
        assert!(NpyArray::from_bytes(&bytes(pickled, &[0; 4])).unwrap_err().contains("compound"));
    }

    #[test]
    fn the_first_value_that_is_no_number_is_found() {
        let array = NpyArray::from_f32(&[2, 3], vec![0.0, 1.0, 2.0, 3.0, f32::NAN, f32::INFINITY]);
        let (index, value) = array.first_not_finite().unwrap();
        assert_eq!(index, [1, 1]);
        assert!(value.is_nan());
        assert_eq!(NpyArray::from_f32(&[1], vec![0.0]).first_not_finite(), None);
    }
}
