//! Logits of `memtorch infer` against an independent simulation.
//!
//! `tests/reference/simulate.py` was written from the equations alone and shares no code with memtorch. It wrote
//! `golden/NAME.npy` for each entry of `cases.json`, and in `golden/borderline.json`, for each image, how many converter
//! codes lie so near a decision that another rounding of the inputs in the last place may move them, and how far the logits
//! move when every one of those codes falls on its other side.
//!
//! An image without borderline codes has the same codes in both programs: its logits may differ by the rounding of the
//! arithmetic around the converters only, [`ROUNDING`] of the largest logit. An image with some may differ by what its
//! borderline codes can do: any of them may flip, alone or together, so [`FLIPS`] times the movement of all together is
//! allowed besides. A wrong equation is seen in either case: it moves every image.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Share of the largest logit that rounding may cost: some ten layers of f32 work around the converters, each 2^-23 of its
/// largest term, and outputs some ten times smaller than those terms.
const ROUNDING: f64 = 1e-5;

/// A part of the borderline codes can move the logits further than all of them, which partly cancel.
const FLIPS: f64 = 3.0;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn reference(name: &str) -> PathBuf {
    root().join("tests/reference").join(name)
}

fn json(name: &str) -> Value {
    let path = reference(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The header of an npy file of version 1 and its f32 values, C order. Kept apart from memtorch's own reader.
fn read_npy(path: &Path) -> (Vec<usize>, Vec<f32>) {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00", "{}", path.display());
    let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..10 + length]).unwrap();
    assert!(header.contains("'<f4'") && header.contains("'fortran_order': False"), "{header}");
    let inside = header.split('(').nth(1).and_then(|rest| rest.split(')').next()).unwrap();
    let shape: Vec<usize> = inside
        .split(',')
        .filter(|part| !part.trim().is_empty())
        .map(|part| part.trim().parse().unwrap())
        .collect();
    let values: Vec<f32> =
        bytes[10 + length..].chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    assert_eq!(values.len(), shape.iter().product::<usize>());
    (shape, values)
}

fn write_npy(path: &Path, shape: &[usize], values: &[f32]) {
    let shape: Vec<String> = shape.iter().map(|length| format!("{length},")).collect();
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", shape.join(" "));
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    std::fs::write(path, bytes).unwrap();
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case.get(key).and_then(Value::as_str).unwrap_or("")
}

/// What `memtorch infer` gives for the first images under the experiment of a case.
fn infer(case: &Value, folder: &Path) -> Result<(Vec<usize>, Vec<f32>), String> {
    let folder_of_model = if text(case, "model") == "odd" { "tests/reference" } else { "models" };
    let model = root().join(folder_of_model).join(format!("{}.onnx", text(case, "model")));
    let experiment =
        format!("[model]\nonnx = {:?}\n{}\n{}", model, text(case, "model_keys"), text(case, "experiment"));
    let experiment = experiment.replace("@DATA@", &root().join("data").display().to_string());
    let (toml, input, output) = (folder.join("e.toml"), folder.join("x.npy"), folder.join("y.npy"));
    std::fs::write(&toml, experiment).unwrap();
    let count = usize::try_from(case["images"].as_u64().unwrap()).unwrap();
    let (mut shape, images) = read_npy(&reference("images.npy"));
    shape[0] = count;
    write_npy(&input, &shape, &images[..shape.iter().product()]);
    let done = Command::new(env!("CARGO_BIN_EXE_memtorch"))
        .arg("infer")
        .arg(&model)
        .arg("--input")
        .arg(&input)
        .arg("--out")
        .arg(&output)
        .arg("--experiment")
        .arg(&toml)
        .output()
        .unwrap();
    if !done.status.success() {
        return Err(format!("{}: {}", done.status, String::from_utf8_lossy(&done.stderr)));
    }
    Ok(read_npy(&output))
}

/// Runs every case of one network; returns how many there were.
fn compare(network: &str) -> usize {
    let cases = json("cases.json");
    let borderline = json("golden/borderline.json");
    let folder = std::env::temp_dir().join(format!("memtorch-reference-{network}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut wrong = BTreeMap::new();
    let mut count = 0;
    for case in cases.as_array().unwrap().iter().filter(|case| text(case, "model") == network) {
        let name = text(case, "name");
        count += 1;
        let (shape, want) = read_npy(&reference(&format!("golden/{name}.npy")));
        let (got_shape, got) = match infer(case, &folder) {
            Ok(logits) => logits,
            Err(message) => {
                wrong.insert(name, message);
                continue;
            }
        };
        assert_eq!(got_shape, shape, "{name}");
        let largest = want.iter().fold(0.0f64, |largest, value| largest.max(f64::from(value.abs())));
        for (image, (want, got)) in want.chunks(shape[1]).zip(got.chunks(shape[1])).enumerate() {
            let moves = borderline[name]["moves"][image].as_f64().unwrap();
            let allowed = ROUNDING * largest + FLIPS * moves;
            // Written so that a NaN fails.
            let apart = want.iter().zip(got).map(|(want, got)| f64::from((want - got).abs()));
            if !apart.clone().all(|apart| apart <= allowed) {
                let worst = apart.fold(0.0, f64::max);
                let message = format!("image {image}: {worst:.2e} apart, {allowed:.2e} allowed");
                wrong.insert(name, format!("{message}\n  want {want:?}\n  got  {got:?}"));
                break;
            }
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
    let listed: Vec<String> = wrong.iter().map(|(name, message)| format!("{name}: {message}")).collect();
    assert!(
        wrong.is_empty(),
        "{} of {count} cases differ from the independent simulation:\n{}",
        wrong.len(),
        listed.join("\n")
    );
    count
}

#[test]
fn a_multilayer_perceptron_gives_the_logits_of_an_independent_simulation() {
    assert!(compare("fmnist-mlp") >= 10);
}

#[test]
fn lenet5_gives_the_logits_of_an_independent_simulation() {
    assert!(compare("fmnist-lenet5") >= 15);
}

#[test]
fn mobilenetv2_gives_the_logits_of_an_independent_simulation() {
    assert!(compare("fmnist-mobilenetv2") >= 4);
}

#[test]
fn mobilenetv2_folded_gives_the_logits_of_an_independent_simulation() {
    assert!(compare("fmnist-mobilenetv2-folded") >= 3);
}

#[test]
fn conv1d_gives_the_logits_of_an_independent_simulation() {
    assert!(compare("fmnist-conv1d") + compare("fmnist-conv1d-folded") >= 6);
}

#[test]
fn lstm_gives_the_logits_of_an_independent_simulation() {
    assert!(compare("fmnist-lstm") >= 3);
}

#[test]
fn strides_dilations_pads_and_groups_give_the_logits_of_an_independent_simulation() {
    assert!(compare("odd") >= 4);
}
