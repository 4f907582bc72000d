//! Files and hardware that several tests use.
#![allow(dead_code)]

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use memtorch_crossbar::backend::CpuBackend;
use memtorch_crossbar::{ArrayBackend, TileShape};
use memtorch_devices::{DeviceSpec, models};
use memtorch_map::{Hardware, Tuning};
#[cfg(feature = "onnx")]
use memtorch_nn::{Executable, ImportOptions, Network};
use memtorch_nn::{Samples, Tensor};
use memtorch_utils::config::{Table, Value};

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn model(name: &str) -> PathBuf {
    root().join("../models").join(name)
}

pub(crate) fn case(name: &str) -> PathBuf {
    root().join("tests/onnx-cases").join(name)
}

pub(crate) fn backend() -> Arc<dyn ArrayBackend> {
    Arc::new(CpuBackend::default())
}

#[cfg(feature = "onnx")]
pub(crate) fn load(name: &str, fold_batch_norm: bool) -> Arc<Network> {
    Arc::new(Network::from_onnx_file(model(name), &ImportOptions { fold_batch_norm }).unwrap())
}

#[cfg(feature = "onnx")]
pub(crate) fn digital(name: &str, fold_batch_norm: bool) -> Executable {
    Executable::digital(load(name, fold_batch_norm), backend()).unwrap()
}

/// A little-endian f32 array file in C order, as NumPy writes it.
pub(crate) fn npy(name: &str) -> Tensor {
    let bytes = std::fs::read(case(name)).unwrap();
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let header_len = u16::from_le_bytes([bytes[8], bytes[9]]) as usize;
    let header = std::str::from_utf8(&bytes[10..10 + header_len]).unwrap();
    assert!(header.contains("'<f4'") && header.contains("'fortran_order': False"));
    let shape = header.split_once('(').unwrap().1.split_once(')').unwrap().0;
    let shape: Vec<usize> =
        shape.split(',').map(str::trim).filter(|s| !s.is_empty()).map(|s| s.parse().unwrap()).collect();
    let values = bytes[10 + header_len..].as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    Tensor::new(&shape, values).unwrap()
}

/// An IDX file, compressed.
fn idx(name: &str, header: usize) -> Vec<u8> {
    let file = std::fs::File::open(root().join("../data").join(name)).unwrap();
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    bytes.split_off(header)
}

pub(crate) fn labels() -> Vec<usize> {
    idx("fashion-mnist-t2k-labels-idx1-ubyte.gz", 8).into_iter().map(usize::from).collect()
}

pub(crate) struct Images {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Images {
    pub(crate) fn fashion() -> Self {
        let bytes = idx("fashion-mnist-t2k-images-idx3-ubyte.gz", 16);
        Self { shape: vec![1, 28, 28], values: bytes.into_iter().map(|b| f32::from(b) / 255.0).collect() }
    }

    pub(crate) fn new(shape: &[usize], values: Vec<f32>) -> Self {
        Self { shape: shape.to_vec(), values }
    }

    pub(crate) fn first(&self, n: usize) -> Tensor {
        let mut shape = vec![n];
        shape.extend(&self.shape);
        Tensor::new(&shape, self.values[..shape.iter().product()].to_vec()).unwrap()
    }
}

impl Samples for Images {
    fn len(&self) -> usize {
        self.values.len() / self.shape.iter().product::<usize>()
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn read(
        &mut self,
        first: usize,
        values: &mut [f32],
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let start = first * self.shape.iter().product::<usize>();
        values.copy_from_slice(&self.values[start..start + values.len()]);
        Ok(())
    }
}

/// Devices with a ratio of 1e6, no converters, no faults.
pub(crate) fn nearly_ideal(tile: usize) -> Hardware {
    let vteam = models::MODELS.iter().find(|m| m.name == "vteam").unwrap();
    let table = Table::from_iter([("r_on", Value::Real(1e3)), ("r_off", Value::Real(1e9))]);
    Hardware {
        tile: TileShape::Sized { word_lines: tile, bit_lines: tile },
        tuning: Tuning { samples: 0, ..Tuning::default() },
        ..Hardware::new(DeviceSpec::configure(vteam, &table).unwrap())
    }
}

pub(crate) fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |m, x| m.max(x.abs()))
}

/// The largest difference of two lists.
pub(crate) fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).fold(0.0, |m, (a, b)| m.max((a - b).abs()))
}
