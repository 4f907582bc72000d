//! A network written in Rust: built from layers, weights by name from a safetensors file, put on crossbars,
//! saved and loaded again.
//!
//! `cargo run --release --example mlp`

use std::sync::Arc;

use memtorch::crossbar::backend::CpuBackend;
use memtorch::devices::{DeviceSpec, Stream, models};
use memtorch::map::Hardware;
use memtorch::nn::{
    Dimension, ElementType, Executable, ImportOptions, LayerChoice, NetworkBuilder, NodeDescription, Port,
    Saved, Tensor,
};
use memtorch::utils::config::{Table, Value};

/// PyTorch's `nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))`, trained on the exclusive or.
const WEIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/xor.safetensors");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = |name: &str, n: usize| {
        Port::new(name, ElementType::F32, &[Dimension::Free(None), Dimension::Fixed(n)])
    };
    let mut builder = NetworkBuilder::new(17);
    builder
        .safetensors(WEIGHTS)?
        .input(port("x", 2))
        .linear("x", "0", "a")
        .node(NodeDescription::new("Tanh", &["a"], &["b"]))
        .linear("b", "2", "y")
        .output(port("y", 1));
    let network = Arc::new(builder.build(&ImportOptions::default())?);

    let vteam = models::MODELS.iter().find(|model| model.name == "vteam").ok_or("no VTEAM model")?;
    let resistances = Table::from_iter([("r_on", Value::Real(1.4e4)), ("r_off", Value::Real(5e7))]);
    let hardware = Hardware::new(DeviceSpec::configure(vteam, &resistances)?);
    let choices = vec![LayerChoice::Memristive(Box::new(hardware)); network.layers().len()];
    let (stream, backend) = (Stream::root(0, 0), Arc::new(CpuBackend::new()));
    let digital = Executable::digital(network.clone(), backend.clone())?;
    let memristive = Executable::new(network.clone(), choices.clone(), stream, backend.clone())?;

    let file = std::env::temp_dir().join(format!("memtorch-xor-{}.npz", std::process::id()));
    Saved::new(&memristive)?.write(&file)?;
    let restored = Saved::read(&file)?.restore(network, choices, stream, backend)?;
    std::fs::remove_file(&file)?;

    let x = Tensor::new(&[4, 2], vec![0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0])?;
    let mut outputs = Vec::new();
    for (name, executable) in
        [("digital", digital), ("on crossbars", memristive), ("saved, loaded", restored)]
    {
        let found = executable.run(&[("x", x.clone())])?;
        let y = found.values[0].1.as_f32().ok_or("reals")?.to_vec();
        println!("{name:<14} {y:7.4?}");
        outputs.push(y);
    }
    assert_eq!(outputs[1], outputs[2], "a programmed network is loaded bit for bit");
    Ok(())
}
