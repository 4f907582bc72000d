//! Files of labelled samples.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use memtorch::utils::config::{Table, Value};
use memtorch::utils::datasets::DataSet;
use memtorch::utils::npy::NpyArray;
use proptest::prelude::*;

use crate::arrays::folder;
use crate::bytes::{self, Edit};
use crate::common::file;
use crate::harness::{Format, Outcome, fuzz};
use crate::saved::archive;
use crate::text;

/// Packed files may be 64 times as large as they are on the disk where they must be held: what is larger is refused.
pub const IDX: Format = Format { name: "idx", multiple: 400, free: 8 << 20 };
pub const CIFAR: Format = Format { name: "cifar", multiple: 400, free: 8 << 20 };
pub const CSV: Format = Format { name: "csv", multiple: 64, free: 8 << 20 };
pub const ARRAYS: Format = Format { name: "array_sets", multiple: 400, free: 8 << 20 };
pub const PICTURES: Format = Format { name: "pictures", multiple: 1 << 14, free: 8 << 20 };

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn idx(shape: &[u32], body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, shape.len() as u8];
    shape.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
    bytes.extend(body);
    bytes
}

/// Opens a data set and reads its first and last samples.
pub fn open(folder: &Path, entries: &[(&str, &str)]) -> Outcome {
    let table = Table::from_iter(entries.iter().map(|(key, value)| {
        let value = value.parse().map_or_else(|_| Value::Text((*value).to_owned()), Value::Integer);
        (*key, value)
    }));
    let set = DataSet::open(&table, folder).map_err(|error| error.to_string())?;
    let length = set.sample_len();
    let mut values = vec![0.0; length];
    for first in [0, set.len() - 1] {
        set.read(first..first + 1, &mut values).map_err(|error| error.to_string())?;
        assert!(values.iter().all(|x| x.is_finite()), "sample {first} is not finite");
    }
    set.check_labels(10, set.len()).map_err(|error| error.to_string())
}

/// Changes before and after packing, and whether it is packed.
fn packed(good: usize) -> impl Strategy<Value = (usize, Vec<Edit>, Option<Vec<Edit>>)> {
    let after = prop_oneof![2 => Just(None), 1 => Just(Some(Vec::new())), 1 => bytes::edits().prop_map(Some)];
    (0..good, bytes::edits(), after)
}

fn render(good: &[Vec<u8>], (which, edits, after): &(usize, Vec<Edit>, Option<Vec<Edit>>)) -> Vec<u8> {
    let mut bytes = good[*which].clone();
    edits.iter().for_each(|edit| edit.apply(&mut bytes));
    if let Some(edits) = after {
        bytes = gzip(&bytes);
        edits.iter().for_each(|edit| edit.apply(&mut bytes));
    }
    bytes
}

#[test]
fn idx_files() {
    let body: Vec<u8> = (0..7 * 12).map(|i: u8| i.wrapping_mul(37)).collect();
    let good = [idx(&[7, 3, 4], &body), idx(&[7, 1, 3, 4], &body), idx(&[7], &[0, 1, 2, 3, 4, 5, 6])];
    let place = folder();
    std::fs::write(place.path().join("images"), &good[0]).unwrap();
    std::fs::write(place.path().join("labels"), &good[2]).unwrap();
    let read = |bytes: &[u8]| {
        std::fs::write(place.path().join("x"), bytes).unwrap();
        let names = if bytes.get(3) == Some(&1) { ("images", "x") } else { ("x", "labels") };
        open(place.path(), &[("images", names.0), ("labels", names.1)])
    };
    fuzz(&IDX, 5.0, packed(good.len()), |drawn| render(&good, drawn), read);
}

/// An archive of batches, as CIFAR-10 comes.
fn tar(batches: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, body) in batches {
        let mut header = [0; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..107].copy_from_slice(b"0000644");
        header[124..135].copy_from_slice(format!("{:011o}", body.len()).as_bytes());
        header[136..147].copy_from_slice(b"00000000000");
        header[156] = b'0';
        header[257..265].copy_from_slice(b"ustar\x0000");
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bytes.extend(header);
        bytes.extend(*body);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.extend([0; 1024]);
    bytes
}

#[test]
fn cifar_files() {
    let record = |label: u8| [vec![label], (0..3072).map(|i| i as u8 ^ label).collect()].concat();
    let two = [record(1), record(9)].concat();
    let names = ["cifar-10-batches-bin/data_batch_1.bin", "cifar-10-batches-bin/data_batch_2.bin"];
    let good = [two.clone(), tar(&[(names[0], &two), (names[1], &two)]), tar(&[("test_batch.bin", &two)])];
    let place = folder();
    let read = |bytes: &[u8]| {
        std::fs::write(place.path().join("x"), bytes).unwrap();
        open(place.path(), &[("kind", "cifar10"), ("images", "x")])
    };
    fuzz(&CIFAR, 5.0, packed(good.len()), |drawn| render(&good, drawn), read);
}

#[test]
fn csv_files() {
    let good = [
        "label,a,b,c\n1,255,0,3\n0, 51 ,102,7\n9,1,2,3\n",
        "0,1\n1,2\n\n2,3\r\n\"3\",\"4\"\n",
        "u,v,a,b,c\n-1.5,2,10,20,30\n0,1e-3,40,50,60\n",
    ];
    let good = good.map(text::split);
    let place = folder();
    let read = |bytes: &[u8]| {
        std::fs::write(place.path().join("x"), bytes).unwrap();
        let plain = open(place.path(), &[("kind", "csv"), ("images", "x")]);
        let targets = open(place.path(), &[("kind", "csv"), ("images", "x"), ("targets", "2")]);
        plain.or(targets)
    };
    let words = &["label", "3.4e38", "1e39", "\"1\"", "\n0,", "\n\n"];
    let render = |drawn: &_| text::render(&good, drawn).into_bytes();
    fuzz(&CSV, 5.0, text::changed(good.len(), words), render, read);
}

/// As arrays of their own, and in an archive.
#[test]
fn array_sets() {
    let images = |shape: &[usize]| NpyArray::from_f32(shape, (0..42).map(|i| i as f32 / 8.0).collect());
    let labels = NpyArray { shape: vec![7], data: memtorch::utils::npy::NpyData::I64((0..7).collect()) };
    let labels = labels.to_bytes().unwrap();
    let mut good = vec![images(&[7, 2, 3]).to_bytes().unwrap(), images(&[7, 6]).to_bytes().unwrap()];
    let header = "{'descr': '<f8', 'fortran_order': True, 'shape': (7, 2), }\n";
    good.push(crate::arrays::with_header(1, header, &[0; 7 * 2 * 8]));
    let place = folder();
    std::fs::write(place.path().join("y.npy"), &labels).unwrap();
    let drawn = (bytes::changed(&good), 0..3u8, prop_oneof![3 => Just(Vec::new()), 1 => bytes::edits()]);
    let render = |(drawn, kind, after): &((usize, Vec<Edit>), u8, Vec<Edit>)| {
        let array = bytes::render(&good, drawn);
        let mut bytes = match kind {
            0 => return array,
            _ => archive(&[("y.npy".to_owned(), labels.clone()), ("x.npy".to_owned(), array)], *kind == 2),
        };
        after.iter().for_each(|edit| edit.apply(&mut bytes));
        bytes
    };
    let read = |bytes: &[u8]| {
        std::fs::write(place.path().join("x"), bytes).unwrap();
        if bytes.starts_with(b"PK") {
            return open(place.path(), &[("kind", "npz"), ("images", "x")]);
        }
        open(place.path(), &[("kind", "npy"), ("images", "x"), ("labels", "y.npy")])
    };
    fuzz(&ARRAYS, 5.0, drawn, render, read);
}

#[test]
fn pictures() {
    let names = ["cat/grey.png", "cat/palette.png", "dog/opaque.png", "dog/photo.jpg", "dog/rgb.png"];
    let read_file =
        |name: &str| std::fs::read(file(&format!("memtorch-utils/tests/data/pictures/{name}"))).unwrap();
    let good = names.map(read_file);
    let place = folder();
    std::fs::create_dir(place.path().join("a")).unwrap();
    let files = ["a/x.png", "a/x.jpg"].map(|name| place.path().join(name));
    let read = |bytes: &[u8]| {
        let [png, jpeg] = &files;
        let (to, other) = if bytes.starts_with(&[0xff]) { (jpeg, png) } else { (png, jpeg) };
        let _ = std::fs::remove_file(other);
        std::fs::write(to, bytes).unwrap();
        open(place.path(), &[("kind", "folder"), ("images", ".")])
    };
    fuzz(&PICTURES, 1.0, bytes::changed(&good), |drawn| bytes::render(&good, drawn), read);
}
