//! What was found. Small inputs are kept in `corpus/`; what is only large is made here.

use std::path::Path;

use memtorch::nn::{Attribute, ElementType, ImportOptions, NetworkBuilder, NodeDescription, Port, Tensor};
use memtorch::utils::npy::NpyArray;
use memtorch::utils::npz::Npz;

use crate::arrays::folder;
use crate::data_sets::{self, idx, open};
use crate::experiments::{self, Reader};
use crate::harness::{Format, judge};
use crate::saved::archive;
use crate::{arrays, networks, saved};

/// The bytes of an input that was kept.
fn kept(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The error of an input, whose outcome is otherwise as it must be.
#[track_caller]
fn refused(format: &Format, size: usize, read: impl FnOnce() -> Result<(), String>) -> String {
    let mut said = String::new();
    let outcome = judge(format, size, || {
        let outcome = read();
        said = outcome.clone().err().unwrap_or_default();
        outcome
    });
    assert_eq!(outcome, Ok(false), "{said}");
    said
}

#[track_caller]
fn says(error: &str, words: &[&str]) {
    assert!(words.iter().all(|word| error.contains(word)), "{words:?}: {error}");
}

/// A data set of one file.
#[track_caller]
fn set(format: &Format, bytes: &[u8], entries: &[(&str, &str)]) -> String {
    let place = folder();
    std::fs::write(place.path().join("x"), bytes).unwrap();
    std::fs::write(place.path().join("labels"), idx(&[0], &[])).unwrap();
    std::fs::write(place.path().join("y.npy"), NpyArray::from_f32(&[0], vec![]).to_bytes().unwrap()).unwrap();
    refused(format, bytes.len(), || open(place.path(), entries))
}

/// The size of an image was a product that overflowed, with no image to contradict it.
#[test]
fn no_images_of_a_size_that_overflows() {
    let error = set(&data_sets::IDX, &kept("no-images.idx"), &[("images", "x"), ("labels", "labels")]);
    says(&error, &["4294967295", "at most 268435456 values"]);
    let entries = [("kind", "npy"), ("images", "x"), ("labels", "y.npy")];
    let error = set(&data_sets::ARRAYS, &kept("no-samples.npy"), &entries);
    says(&error, &["1099511627776", "too large for any file"]);
}

/// Each element of an array in Fortran order took time for each dimension.
#[test]
fn arrays_of_a_hundred_dimensions() {
    let bytes = kept("dimensions.npy");
    let error = refused(&arrays::NPY, bytes.len(), || NpyArray::from_bytes(&bytes).map(drop));
    says(&error, &["more than 64 dimensions"]);
}

/// Each batch is looked for from the beginning of a packed archive.
#[test]
fn archives_of_many_batches() {
    let error = set(&data_sets::CIFAR, &kept("batches.tar.gz"), &[("kind", "cifar10"), ("images", "x")]);
    says(&error, &["more than 16 batches"]);
}

/// Members that were unpacked into memory whatever their size.
#[test]
fn archives_that_grow() {
    let place = folder();
    let path = place.path().join("x.npz");
    for (name, words) in [
        ("claims-4-GiB.npz", ["\"header.json\"", "4294967294 bytes", "expected at most"]),
        ("overlap.npz", ["members of", "expected members that", "do not overlap"]),
    ] {
        let bytes = kept(name);
        std::fs::write(&path, &bytes).unwrap();
        let read = || memtorch::nn::Saved::read(&path).map(drop).map_err(|error| error.to_string());
        says(&refused(&saved::FORMAT, bytes.len(), read), &words);
    }
}

/// Every member was compared with every other, and every array of a network with every member.
#[test]
fn archives_of_many_members() {
    let members: Vec<_> = (0..60_000).map(|i| (format!("{i}.npy"), Vec::new())).collect();
    let bytes = archive(&members, false);
    let place = folder();
    let path = place.path().join("x.npz");
    std::fs::write(&path, &bytes).unwrap();
    let read = || {
        let npz = Npz::open(&path).map_err(|error| error.to_string())?;
        let found = (0..60_000).filter(|i| npz.contains(&format!("{i}.npy"))).count();
        let under = (0..60_000).map(|i| npz.names_under(&format!("{i}.")).count()).sum::<usize>();
        assert_eq!((found, under), (60_000, 60_000));
        Ok(())
    };
    assert_eq!(judge(&saved::FORMAT, bytes.len(), read), Ok(true));
}

/// Names of keys grew with their depth, and so did the stack.
#[test]
fn tables_that_lie_deep() {
    let bytes = kept("deep.toml");
    let text = String::from_utf8(bytes).unwrap();
    let error = refused(&experiments::FORMAT, text.len(), || Reader::new().read(&text));
    says(&error, &["e.toml:1", "at most 32 deep"]);
}

/// The line of every key was counted from the first, every key of a table compared with every other, every swept key
/// read anew for every other.
#[test]
fn experiments_of_many_keys() {
    let reader = Reader::new();
    let mut text = String::from("[device]\nmodel = \"vteam\"\n[layers]\n");
    for i in 0..40_000 {
        text += &format!("\"fc{i}*\" = {{}}\n");
    }
    let error = refused(&experiments::FORMAT, text.len(), || reader.read(&text));
    says(&error, &["matches no layer"]);
    let mut text = String::from("[device]\nmodel = \"vteam\"\n[sweep]\n");
    for i in 0..20_000 {
        text += &format!("\"layers.a{i}.adc.bits\" = [4]\n");
    }
    let error = refused(&experiments::FORMAT, text.len(), || reader.read(&text));
    says(&error, &["e.toml:1004", "at most 1000 keys"]);
    // A thousand ranges of a million values each.
    let mut text = String::from("[device]\nmodel = \"vteam\"\n[sweep]\n");
    for i in 0..1000 {
        text += &format!("\"layers.a{i}.adc.bits\" = {{ from = 1, to = 1000000, step = 1 }}\n");
    }
    let error = refused(&experiments::FORMAT, text.len(), || reader.read(&text));
    says(&error, &["e.toml:6", "at most 2000000 values"]);
    let list: Vec<String> = (0..100_000).map(|i| i.to_string()).collect();
    let text = format!("[device]\nmodel = \"vteam\"\n[sweep]\n\"adc.bits\" = [{}, 7.0]\n", list.join(","));
    let error = refused(&experiments::FORMAT, text.len(), || reader.read(&text));
    says(&error, &["adc.bits", "each value once"]);
}

/// Every node was compared with every node that is not known, every batch normalisation with every node before it,
/// every layer's name with every other.
#[test]
fn networks_of_many_nodes() {
    let nodes = 60_000;
    let node = |operator: &str, i: usize, more: &[&str]| {
        let input = format!("v{i}");
        let inputs: Vec<&str> = [&[input.as_str()], more].concat();
        NodeDescription::new(operator, &inputs, &[format!("v{}", i + 1)])
    };
    let builder = || {
        let port = |name: &str| {
            let mut port = Port::new(name, ElementType::F32, &[]);
            port.shape = None;
            port
        };
        let mut builder = NetworkBuilder::new(17);
        builder.input(port("v0")).output(port(&format!("v{nodes}")));
        builder
    };
    let build = |builder: NetworkBuilder| {
        let options = ImportOptions { fold_batch_norm: true };
        builder.build(&options).map(|network| drop(network.products())).map_err(|error| error.to_string())
    };
    // Each node takes some 50 bytes of a file.
    let size = 50 * nodes;
    let mut unknown = builder();
    for i in 0..nodes {
        unknown.node(node("Nonsense", i, &[]));
    }
    let error = refused(&networks::FORMAT, size, || build(unknown));
    says(&error, &["Nonsense (node `v1`)"]);
    let mut norms = builder();
    for name in ["a", "b", "c", "d"] {
        norms.constant(name, Tensor::new(&[2], vec![1.0; 2]).unwrap());
    }
    for i in 0..nodes {
        norms.node(node("BatchNormalization", i, &["a", "b", "c", "d"]));
    }
    assert_eq!(judge(&networks::FORMAT, size, || build(norms)), Ok(true));
    let mut layers = builder();
    for i in 0..nodes {
        let weights = Tensor::new(&[2, 2], vec![i as f32; 4]).unwrap();
        let value = NodeDescription::new("Constant", &[] as &[&str], &[format!("w{i}")]);
        layers.node(value.attribute("value", Attribute::Tensor(weights)));
        layers.node(node("MatMul", i, &[&format!("w{i}")]).named("path/same"));
    }
    assert_eq!(judge(&networks::FORMAT, 3 * size, || build(layers)), Ok(true));
}
