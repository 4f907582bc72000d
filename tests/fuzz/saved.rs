//! Archives: programmed networks as `run --save` writes them, and data sets.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use memtorch::Registry;
use memtorch::crossbar::backend::CpuBackend;
use memtorch::experiment::{Document, Experiment};
use memtorch::nn::{Executable, ImportOptions, LayerChoice, Network, Saved};
use memtorch::utils::npz::Npz;
use proptest::prelude::*;

use crate::arrays::folder;
use crate::bytes::{self, Edit};
use crate::common::file;
use crate::harness::{Format, Outcome, fuzz};
use crate::text::{self, TextEdit};

/// Deflated members may be 64 times as large as they are in the file: what is larger is refused.
pub const FORMAT: Format = Format { name: "saved", multiple: 80, free: 8 << 20 };

/// The members of an archive by name.
pub type Members = Vec<(String, Vec<u8>)>;

/// An archive of members that are stored or deflated, with the right checksums.
pub fn archive(members: &[(String, Vec<u8>)], deflated: bool) -> Vec<u8> {
    let (mut bytes, mut table) = (Vec::new(), Vec::new());
    for (name, body) in members {
        let mut crc = Crc::new();
        crc.update(body);
        let packed = if deflated {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(body).unwrap();
            encoder.finish().unwrap()
        } else {
            body.clone()
        };
        let start = bytes.len() as u32;
        let mut common = vec![20, 0, 0, 0, if deflated { 8 } else { 0 }, 0, 0, 0, 0x21, 0];
        common.extend(crc.sum().to_le_bytes());
        common.extend((packed.len() as u32).to_le_bytes());
        common.extend((body.len() as u32).to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&common);
        bytes.extend(name.bytes());
        bytes.extend(packed);
        table.extend(b"PK\x01\x02\x14\x00");
        table.extend(&common);
        table.extend([0; 10]);
        table.extend(start.to_le_bytes());
        table.extend(name.bytes());
    }
    let start = bytes.len() as u32;
    bytes.extend(&table);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    for _ in 0..2 {
        bytes.extend((members.len() as u16).to_le_bytes());
    }
    bytes.extend((table.len() as u32).to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

/// A programmed network, what it was programmed from, and the members of its file.
struct Kept {
    network: Arc<Network>,
    experiment: Experiment,
    members: Members,
}

/// Programs a small network.
fn kept(registry: &Registry, folder: &Path, hardware: &str) -> Kept {
    let model = file("memtorch-nn/tests/onnx-cases/conv1d.ts.onnx");
    let text = format!("[model]\nonnx = {model:?}\n[device]\nmodel = \"vteam\"\n{hardware}");
    let document = Document::parse(&text, Path::new("e.toml")).unwrap();
    let experiment = Experiment::resolve(document, registry).unwrap();
    let network = Arc::new(Network::from_onnx_file(&model, &ImportOptions::default()).unwrap());
    let choices = choices(&experiment, &network, registry);
    let stream = experiment.stream();
    let programmed = Executable::new(network.clone(), choices, stream, Arc::new(CpuBackend::new())).unwrap();
    let mut saved = Saved::new(&programmed).unwrap();
    saved.attach("experiment.toml", text.into_bytes());
    let path = folder.join("kept.npz");
    saved.write(&path).unwrap();
    let mut npz = Npz::open(&path).unwrap();
    let names: Vec<String> = npz.names().map(str::to_owned).collect();
    let name = |npz: &Npz, name: &str| {
        if npz.contains(name) { name.to_owned() } else { format!("{name}.npy") }
    };
    let members = names
        .iter()
        .map(|short| {
            let name = name(&npz, short);
            let bytes = npz.bytes(&name).unwrap();
            (name, bytes)
        })
        .collect();
    Kept { network, experiment, members }
}

fn choices(experiment: &Experiment, network: &Network, registry: &Registry) -> Vec<LayerChoice> {
    experiment.plan(network.layers(), registry).unwrap().iter().map(|plan| plan.choice()).collect()
}

#[derive(Clone, Debug)]
enum Change {
    /// Of the bytes of a member.
    Bytes(u32, Vec<Edit>),
    /// Of the text of `header.json`.
    Header(Vec<TextEdit>),
    Name(u32, u32),
    Drop(u32),
    Double(u32),
}

const WORDS: &[&str] =
    &["on", "crossbars", "digital", "layers", "arrays", "format", "size", "full_scales", "null"];

#[test]
fn saved() {
    let registry = Registry::with_defaults();
    let place = folder();
    let kept = [
        "",
        "[adc]\nbits = 6\nrange = 1e-5\n[[nonideality]]\nkind = \"stuck\"\nlrs = 0.01\nunformed = 0.01\nunformed_resistance = 1e6\n",
        "[crossbar]\ntile = [8, 8]\nscheme = \"bit-sliced\"\nbits_per_cell = 2\nslices = 3\n[[nonideality]]\nkind = \"device-to-device\"\nsigma = 20.0\n",
        "[crossbar]\ntile = [8, 8]\nremapping = \"both\"\n[[nonideality]]\nkind = \"stuck\"\nhrs = 0.05\n[tune]\nper = \"tile\"\n[layers.\"*2\"]\npatch = false\n",
    ]
    .map(|hardware| {
        let hardware = hardware.replace("[layers.\"*2\"]\npatch = false\n", "");
        kept(&registry, place.path(), &hardware)
    });
    let path = place.path().join("n.npz");
    let change = prop_oneof![
        4 => (any::<u32>(), bytes::edits()).prop_map(|(at, edits)| Change::Bytes(at, edits)),
        4 => text::edits(WORDS).prop_map(Change::Header),
        1 => (any::<u32>(), any::<u32>()).prop_map(|(a, b)| Change::Name(a, b)),
        1 => any::<u32>().prop_map(Change::Drop),
        1 => any::<u32>().prop_map(Change::Double),
    ];
    let drawn = (
        0..kept.len(),
        prop::collection::vec(change, 0..3),
        any::<bool>(),
        prop_oneof![4 => Just(Vec::new()), 1 => bytes::edits()],
    );
    let render = |(which, changes, deflated, edits): &(usize, Vec<Change>, bool, Vec<Edit>)| {
        let mut members = kept[*which].members.clone();
        for change in changes {
            let count = members.len();
            if count == 0 {
                break;
            }
            match change {
                Change::Bytes(at, edits) => {
                    let body = &mut members[*at as usize % count].1;
                    edits.iter().for_each(|edit| edit.apply(body));
                }
                Change::Header(edits) => {
                    if let Some((_, body)) = members.iter_mut().find(|(name, _)| name == "header.json") {
                        let mut parts = text::split(&String::from_utf8_lossy(body));
                        text::apply(edits, &mut parts);
                        *body = parts.concat().into_bytes();
                    }
                }
                Change::Name(a, b) => {
                    let name = members[*a as usize % count].0.clone();
                    members[*b as usize % count].0 = name;
                }
                Change::Drop(at) => drop(members.remove(*at as usize % count)),
                Change::Double(at) => {
                    let (name, body) = members[*at as usize % count].clone();
                    members.push((format!("{name}x"), body));
                }
            }
        }
        let mut bytes = archive(&members, *deflated);
        edits.iter().for_each(|edit| edit.apply(&mut bytes));
        bytes
    };
    let read = |bytes: &[u8]| -> Outcome {
        std::fs::write(&path, bytes).unwrap();
        let saved = Saved::read(&path).map_err(|error| error.to_string())?;
        let mut last = Ok(());
        for kept in &kept {
            let choices = choices(&kept.experiment, &kept.network, &registry);
            let stream = kept.experiment.stream();
            let restored = saved.restore(kept.network.clone(), choices, stream, Arc::new(CpuBackend::new()));
            last = restored.map(drop).map_err(|error| error.to_string());
            if last.is_ok() {
                break;
            }
        }
        last
    };
    fuzz(&FORMAT, 5.0, drawn, render, read);
}
