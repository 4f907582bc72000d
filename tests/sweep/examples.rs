//! The experiments of the paper's Figure 1.

use super::{common, says};

#[test]
fn every_experiment_of_figure_1_can_be_computed() {
    let folder = tempfile::tempdir().unwrap();
    for (number, panels) in PANELS.iter().enumerate() {
        let (point, path) = (format!("{}", 99 - 31 * number), format!("examples/figure1/{panels}.toml"));
        let out = folder.path().join(&point).display().to_string();
        common::memtorch(&["sweep", &path, "--limit", "2", "--point", &point, "--out", &out]).done();
    }
}

const PANELS: [&str; 4] = ["device-to-device", "states", "stuck-on", "stuck-off"];

/// The experiments on CIFAR-10, with a network and images of one's own: as many points as those on Fashion-MNIST.
#[test]
fn every_experiment_on_cifar_10_can_be_computed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // A label, then 3 x 32 x 32 bytes.
    let records = (0..6u32).flat_map(|n| {
        let pixels = (0..3072u32).map(move |i| (i.wrapping_mul(2_654_435_761).rotate_left(n) >> 24) as u8);
        std::iter::once((n % 10) as u8).chain(pixels)
    });
    std::fs::write(folder.join("test_batch.bin"), records.collect::<Vec<u8>>()).unwrap();
    let images = format!("data.images={}", folder.join("test_batch.bin").display());
    let network = format!("model.onnx={}", common::file("tests/networks/cifar10.onnx"));
    let own = ["--set", &network, "--set", &images];
    for (number, panels) in PANELS.iter().enumerate() {
        let (point, path) = (format!("{}", 99 - 31 * number), format!("examples/cifar10/{panels}.toml"));
        let out = folder.join(panels).display().to_string();
        let start = ["sweep", &path, "--point", &point, "--out", &out, "--json"];
        let ran = common::memtorch(&[&start[..], &own].concat()).done();
        let results: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!((&results["samples"], results["layers"].as_array().unwrap().len()), (&6.into(), 3));
        assert!(
            results["layers"].as_array().unwrap().iter().all(|layer| layer["patched"] == true),
            "{results}"
        );
        // The same points as those of the figure, but for the network and its images.
        let [here, there] = ["cifar10", "figure1"].map(|of| {
            let text =
                std::fs::read_to_string(common::file(&format!("examples/{of}/{panels}.toml"))).unwrap();
            text[text.find("[device]").unwrap()..].to_owned()
        });
        assert_eq!(here, there, "{panels}");
    }
    let ran =
        common::memtorch(&[&["run", "examples/cifar10/vgg16.toml", "--json"][..], &own].concat()).done();
    assert!(ran.stdout.contains("\"samples\": 6"), "{}", ran.stdout);
    // Without them it is said what is missing.
    says(&common::memtorch(&["run", "examples/cifar10/vgg16.toml"]), &["vgg16.onnx"]);
}
