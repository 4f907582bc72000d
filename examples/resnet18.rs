//! A network of the size of ResNet-18 on 128 x 128 tiles: how long it takes to put it there, how much memory,
//! and what a clone for a sweep costs.
//!
//! `cargo run --release --example resnet18`
//!
//! Weights are random (He's initialisation, residual branches scaled by 1/2), so that activations keep their
//! size from layer to layer; there is no BatchNorm, which would be digital.

use std::sync::Arc;
use std::time::Instant;

use memtorch::crossbar::backend::CpuBackend;
use memtorch::crossbar::{FullScale, LinearConverter};
use memtorch::devices::{DeviceSpec, Stream, models};
use memtorch::map::{Adc, Hardware, Tuning};
use memtorch::nn::{
    Attribute, Dimension, ElementType, Executable, ImportOptions, LayerChoice, NetworkBuilder, NnError,
    NodeDescription, Port, Tensor,
};
use memtorch::utils::config::{Table, Value};

/// A network that grows node by node.
struct Growing {
    builder: NetworkBuilder,
    parameters: usize,
    values: usize,
}

impl Growing {
    fn fresh(&mut self) -> String {
        self.values += 1;
        format!("v{}", self.values)
    }

    fn node(&mut self, operator: &str, inputs: &[&str], attributes: &[(&str, Attribute)]) -> String {
        let y = self.fresh();
        let mut node = NodeDescription::new(operator, inputs, &[&y]);
        for (name, value) in attributes {
            node = node.attribute(name, value.clone());
        }
        self.builder.node(node);
        y
    }

    /// Weights of this shape whose outputs have `gain` times the size of their inputs.
    fn weights(&mut self, name: &str, shape: &[usize], gain: f64) -> Result<String, String> {
        let name = format!("{name}.weight");
        let inputs: usize = shape[1..].iter().product();
        let (count, stream) = (shape.iter().product::<usize>(), Stream::root(1, 0).named(&name));
        // Uniform numbers of variance 2 / inputs.
        let width = gain * (6.0 / inputs as f64).sqrt();
        let mut values = Vec::with_capacity(count);
        for block in 0..count.div_ceil(4) {
            let words = stream.words([block as u32, 0, 0], 0);
            values.extend(words.map(|w| (width * (f64::from(w) / 2f64.powi(31) - 1.0)) as f32));
        }
        values.truncate(count);
        self.parameters += count;
        self.builder.constant(&name, Tensor::new(shape, values)?);
        Ok(name)
    }

    fn conv(
        &mut self,
        x: &str,
        name: &str,
        shape: [usize; 4],
        stride: i64,
        gain: f64,
    ) -> Result<String, String> {
        let weights = self.weights(name, &shape, gain)?;
        let padding = (shape[2] / 2) as i64;
        let attributes =
            [("strides", Attribute::Wholes(vec![stride; 2])), ("pads", Attribute::Wholes(vec![padding; 4]))];
        Ok(self.node("Conv", &[x, &weights], &attributes))
    }
}

fn network() -> Result<(NetworkBuilder, usize), String> {
    let mut net = Growing { builder: NetworkBuilder::new(17), parameters: 0, values: 0 };
    let image = [Dimension::Free(None), Dimension::Fixed(3), Dimension::Fixed(224), Dimension::Fixed(224)];
    net.builder.input(Port::new("image", ElementType::F32, &image));
    let x = net.conv("image", "conv1", [64, 3, 7, 7], 2, 1.0)?;
    let x = net.node("Relu", &[&x], &[]);
    let window = [
        ("kernel_shape", Attribute::Wholes(vec![3, 3])),
        ("strides", Attribute::Wholes(vec![2, 2])),
        ("pads", Attribute::Wholes(vec![1; 4])),
    ];
    let mut x = net.node("MaxPool", &[&x], &window);
    let mut channels = 64;
    for (stage, outputs) in [64, 128, 256, 512].into_iter().enumerate() {
        for block in 0..2 {
            let name = format!("layer{}.{block}", stage + 1);
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let y = net.conv(&x, &format!("{name}.conv1"), [outputs, channels, 3, 3], stride, 1.0)?;
            let y = net.node("Relu", &[&y], &[]);
            let y = net.conv(&y, &format!("{name}.conv2"), [outputs, outputs, 3, 3], 1, 0.5)?;
            let skip = if stride == 2 {
                net.conv(&x, &format!("{name}.downsample"), [outputs, channels, 1, 1], 2, 0.7)?
            } else {
                x
            };
            let sum = net.node("Add", &[&y, &skip], &[]);
            x = net.node("Relu", &[&sum], &[]);
            channels = outputs;
        }
    }
    let x = net.node("GlobalAveragePool", &[&x], &[]);
    let x = net.node("Flatten", &[&x], &[]);
    let weights = net.weights("fc", &[1000, 512], 1.0)?;
    net.builder.node(
        NodeDescription::new("Gemm", &[&x, &weights], &["logits"]).attribute("transB", Attribute::Whole(1)),
    );
    net.builder.output(Port::new(
        "logits",
        ElementType::F32,
        &[Dimension::Free(None), Dimension::Fixed(1000)],
    ));
    Ok((net.builder, net.parameters))
}

/// The largest resident memory so far in MiB, where the system tells it.
fn peak() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (builder, parameters) = network()?;
    let network = Arc::new(builder.build(&ImportOptions::default())?);
    println!("{} layers, {:.2} million weights", network.layers().len(), parameters as f64 / 1e6);
    let vteam = models::MODELS.iter().find(|model| model.name == "vteam").ok_or("no VTEAM model")?;
    let resistances = Table::from_iter([("r_on", Value::Real(1.4e4)), ("r_off", Value::Real(5e7))]);
    let converter = Arc::new(LinearConverter::new(8, FullScale::Dynamic { overflow_rate: 0.0 })?);
    let hardware = Hardware {
        adc: Adc { converter, ..Adc::default() },
        // The analytic gain: a fit runs random images through every layer, which takes longer.
        tuning: Tuning { samples: 0, ..Tuning::default() },
        ..Hardware::new(DeviceSpec::configure(vteam, &resistances)?)
    };
    let choices = || vec![LayerChoice::Memristive(Box::new(hardware.clone())); network.layers().len()];
    let patch = || -> Result<Executable, NnError> {
        Executable::new(network.clone(), choices(), Stream::root(0, 0), Arc::new(CpuBackend::new()))
    };
    let mut patched = None;
    let best = (0..3).map(|_| {
        let clock = Instant::now();
        patched = None;
        patched = Some(patch());
        clock.elapsed().as_secs_f64()
    });
    let best = best.fold(f64::INFINITY, f64::min);
    let patched = patched.ok_or("nothing was patched")??;
    let (tiles, devices) = (0..network.layers().len()).filter_map(|i| patched.mapped(i)).fold(
        (0, 0),
        |(tiles, devices), matrix| {
            let footprint = matrix.report().footprint;
            (tiles + 2 * footprint.tiles, devices + footprint.devices_used)
        },
    );
    println!("{:.2} million devices in use on {tiles} tiles of 128 x 128", devices as f64 / 1e6);
    println!("patching: {best:.2} s, the best of 3");
    let clone = (0..20).map(|_| {
        let clock = Instant::now();
        let copy = std::hint::black_box(patched.clone());
        let time = clock.elapsed().as_secs_f64();
        drop(copy);
        time
    });
    println!("clone: {:.4} ms, the best of 20", 1e3 * clone.fold(f64::INFINITY, f64::min));
    let image = Tensor::new(
        &[1, 3, 224, 224],
        (0..3 * 224 * 224).map(|i| ((i * 7919 % 1000) as f32 / 500.0) - 1.0).collect(),
    )?;
    let digital = Executable::digital(network.clone(), Arc::new(CpuBackend::new()))?;
    let mut outputs = Vec::new();
    for (name, executable) in [("digital", &digital), ("on crossbars", &patched)] {
        let clock = Instant::now();
        let found = executable.run(&[("image", image.clone())])?;
        println!("one image of 224 x 224, {name}: {:.2} s", clock.elapsed().as_secs_f64());
        outputs.push(found.values[0].1.as_f32().ok_or("reals")?.to_vec());
    }
    let square = |values: &mut dyn Iterator<Item = f32>| values.map(|x| f64::from(x).powi(2)).sum::<f64>();
    let error = square(&mut outputs[1].iter().zip(&outputs[0]).map(|(a, b)| a - b));
    println!("relative error of the logits: {:.3}", (error / square(&mut outputs[0].iter().copied())).sqrt());
    if let Some(peak) = peak() {
        println!("peak of resident memory: {peak:.0} MiB");
    }
    Ok(())
}
