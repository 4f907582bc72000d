//! Files of numpy and of PyTorch's weights.

use std::path::{Path, PathBuf};

use memtorch::nn::NetworkBuilder;
use memtorch::nonideal::FaultMap;
use memtorch::utils::npy::{NpyArray, NpyData};

use crate::bytes::{changed, render};
use crate::harness::{Format, Outcome, fuzz};

pub const NPY: Format = Format { name: "npy", multiple: 16, free: 8 << 20 };
pub const SAFETENSORS: Format = Format { name: "safetensors", multiple: 32, free: 8 << 20 };

/// A folder for inputs that are read from files, in memory where the system has such a place.
pub fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let builder = tempfile::Builder::new();
    if memory.is_dir() { builder.tempdir_in(memory) } else { builder.tempdir() }.unwrap()
}

/// An array in format version 1, of this header.
pub fn with_header(version: u8, header: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY".to_vec();
    bytes.extend([version, 0]);
    match version {
        1 => bytes.extend((header.len() as u16).to_le_bytes()),
        _ => bytes.extend((header.len() as u32).to_le_bytes()),
    }
    bytes.extend(header.bytes());
    bytes.extend(body);
    bytes
}

/// Good arrays of every type, order and version.
pub fn good() -> Vec<Vec<u8>> {
    let mut good = Vec::new();
    for data in [
        NpyData::F32((0..24).map(|i| i as f32 / 7.0).collect()),
        NpyData::F64((0..24).map(|i| 1e-5 * f64::from(i)).collect()),
        NpyData::U8((0..24).map(|i| i % 4).collect()),
        NpyData::I32((0..24).collect()),
        NpyData::I64((0..24).map(|i| i % 10).collect()),
        NpyData::Bool(vec![true; 24]),
    ] {
        for shape in [vec![24], vec![4, 6], vec![2, 3, 4]] {
            good.push(NpyArray { shape, data: data.clone() }.to_bytes().unwrap());
        }
    }
    for (version, descriptor, fortran) in [(1, "<f4", "True"), (2, ">f8", "False"), (3, ">i4", "True")] {
        let header =
            format!("{{'descr': '{descriptor}', 'fortran_order': {fortran}, 'shape': (3, 4), }}   \n");
        let size = if descriptor.ends_with('8') { 8 } else { 4 };
        good.push(with_header(version, &header, &vec![1; 12 * size]));
    }
    good
}

#[test]
fn npy() {
    let good = good();
    let folder = folder();
    let path = folder.path().join("faults.npy");
    let read = |bytes: &[u8]| -> Outcome {
        let array = NpyArray::from_bytes(bytes)?;
        // What is read is written, and read again.
        let again = NpyArray::from_bytes(&array.to_bytes()?)?;
        assert_eq!(again.shape, array.shape);
        let _ = (array.first_not_finite(), again.into_f64(), array.clone().into_f32());
        // As the faults of devices.
        std::fs::write(&path, bytes).unwrap();
        let shape = array.shape.clone();
        if let Ok(map) = FaultMap::read(&path) {
            assert!(matches!(shape.len(), 2 | 3), "{map:?}");
        }
        Ok(())
    };
    fuzz(&NPY, 10.0, changed(&good), |drawn| render(&good, drawn), read);
}

/// A file of tensors as PyTorch's users have them.
fn tensors() -> Vec<u8> {
    let header = r#"{"__metadata__":{"format":"pt"},"fc.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"fc.bias":{"dtype":"F64","shape":[2],"data_offsets":[24,40]},"count":{"dtype":"I64","shape":[],"data_offsets":[40,48]},"half":{"dtype":"F16","shape":[4],"data_offsets":[48,56]},"mask":{"dtype":"BOOL","shape":[8],"data_offsets":[56,64]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes());
    bytes.extend([0; 56]);
    bytes.extend([1; 8]);
    bytes
}

pub fn read_tensors(path: &Path, bytes: &[u8]) -> Outcome {
    std::fs::write(path, bytes).unwrap();
    NetworkBuilder::new(17).safetensors(path).map(drop).map_err(|error| {
        let text = error.to_string();
        assert!(text.contains(&path.display().to_string()), "{text}: expected the name of the file");
        text
    })
}

#[test]
fn safetensors() {
    let good = vec![tensors()];
    let folder = folder();
    let path: PathBuf = folder.path().join("w.safetensors");
    let read = |bytes: &[u8]| read_tensors(&path, bytes);
    fuzz(&SAFETENSORS, 5.0, changed(&good), |drawn| render(&good, drawn), read);
}
