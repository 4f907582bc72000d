//! Networks of several inputs and outputs, by name.

use std::path::Path;

use memtorch::utils::npy::{NpyArray, NpyData};
use memtorch::utils::npz::NpzWriter;

use crate::common::{file, memtorch_in};

const SAMPLES: usize = 12;

fn model() -> String {
    file("memtorch-nn/tests/networks/two_tower.ts.onnx")
}

/// `infer` with both inputs and both outputs; the outputs.
fn infer(folder: &Path, more: &[&str]) -> [Vec<u8>; 2] {
    let inputs = ["--input", "table=table.npy", "--input", "image=image.npy"];
    let outputs = ["--out", "value=value.npy", "--out", "scores=scores.npy"];
    memtorch_in(folder, &[&["infer"], more, &inputs, &outputs].concat()).done();
    ["scores.npy", "value.npy"].map(|name| std::fs::read(folder.join(name)).unwrap())
}

#[test]
fn a_network_of_several_inputs_and_outputs_is_run_kept_and_loaded() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let ramp = |shape: &[usize], step: usize| {
        let n: usize = shape.iter().product();
        NpyArray::from_f32(shape, (0..n).map(|i| (i * step % 101) as f32 / 50.0 - 1.0).collect())
    };
    let (image, table) = (ramp(&[SAMPLES, 1, 8, 8], 37), ramp(&[SAMPLES, 5], 29));
    image.write(folder.join("image.npy")).unwrap();
    table.write(folder.join("table.npy")).unwrap();
    let digital = infer(folder, &[&model()]);
    let scores = NpyArray::read(folder.join("scores.npy")).unwrap();
    let value = NpyArray::read(folder.join("value.npy")).unwrap();
    let classes = scores.shape[1];
    // What the digital network finds; the last label is another one.
    let largest = |y: &[f32]| (1..classes).fold(0, |best, i| if y[i] > y[best] { i } else { best }) as i64;
    let mut labels: Vec<i64> = scores.into_f32().chunks_exact(classes).map(largest).collect();
    labels[SAMPLES - 1] = (labels[SAMPLES - 1] + 1) % classes as i64;
    NpzWriter::write(folder.join("d.npz"), |npz| {
        npz.array("pictures", &image)?;
        npz.array("rows", &table)?;
        npz.array("few", &ramp(&[SAMPLES - 1, 5], 29))?;
        npz.array("label", &NpyArray { shape: vec![SAMPLES], data: NpyData::I64(labels) })?;
        npz.array("value", &value)
    })
    .unwrap();
    let run = |more: &[&str]| {
        let (onnx, hardware) =
            (model(), "[device]\nmodel = \"vteam\"\nr_on = 1.4e4\nr_off = 5e7\n[adc]\nbits = 5\n");
        let text = format!(
            "[model]\nonnx = {onnx:?}\noutput = \"scores\"\n[data]\nkind = \"npz\"\nimages = \"d.npz\"\n\
             images_name = \"pictures\"\nlabels_name = \"label\"\ninputs = {{ table = \"rows\" }}\n{hardware}\
             [tune]\ninputs = \"data\"\n"
        );
        std::fs::write(folder.join("e.toml"), text).unwrap();
        memtorch_in(folder, &[&["run", "e.toml"], more].concat())
    };
    let one = run(&["--json", "--threads", "1", "--save", "n.npz", "--out", "out"]).done().stdout;
    let json: serde_json::Value = serde_json::from_str(&one).unwrap();
    assert_eq!((&json["samples"], &json["digital"]["correct"]), (&SAMPLES.into(), &(SAMPLES - 1).into()));
    assert!(
        json["layers"]
            .as_array()
            .unwrap()
            .iter()
            .all(|layer| layer["relative_error"].as_f64().unwrap() > 0.0)
    );
    assert_eq!(run(&["--json", "--threads", "2"]).done().stdout, one);
    assert_eq!(memtorch_in(folder, &["run", "out/experiment.toml", "--json"]).done().stdout, one);
    // Both outputs of what was kept are those of what was programmed.
    let programmed = infer(folder, &[&model(), "--experiment", "e.toml"]);
    assert!(programmed[0] != digital[0] && programmed[1] != digital[1]);
    assert_eq!(infer(folder, &["--load", "n.npz"]), programmed);
    // The other output, as a regression.
    let value =
        run(&["--json", "--set", "model.output=value", "--set", "data.labels_name=value"]).done().stdout;
    let value: serde_json::Value = serde_json::from_str(&value).unwrap();
    assert!(value["digital"]["mean_squared_error"].as_f64().unwrap() < 1e-12);
    assert!(value["memristive"]["mean_squared_error"].as_f64().unwrap() > 1e-9);

    for (setting, words) in [
        ("model.output=logits", &["`logits`", "scores"][..]),
        ("data.inputs={table=\"rowz\"}", &["d.npz", "rowz"]),
        ("data.inputs={table=\"few\"}", &["`table`", "11 samples", "expected 12"]),
        ("data.inputs={other=\"rows\"}", &["no input `other`", "image", "table"]),
        ("data.inputs={}", &["[\"image\", \"table\"]", "expected samples for each"]),
        ("data.inputs=3", &["inputs", "expected { name"]),
        ("data.kind=npy", &["no such key", "npz"]),
    ] {
        let ran = run(&["--set", setting]);
        assert_eq!(ran.code, 1, "{setting}");
        assert!(words.iter().all(|word| ran.stderr.contains(word)), "{setting}: {}", ran.stderr);
    }
    let ambiguous =
        std::fs::read_to_string(folder.join("e.toml")).unwrap().replace("output = \"scores\"\n", "");
    std::fs::write(folder.join("e.toml"), ambiguous).unwrap();
    let ran = memtorch_in(folder, &["run", "e.toml"]);
    assert!(ran.code == 1 && ran.stderr.contains("[\"scores\", \"value\"]"), "{}", ran.stderr);
}
