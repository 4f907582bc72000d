//! LeNet-5 on crossbars of VTEAM devices with 4-bit converters, all but its last layer:
//!
//! ```sh
//! cargo run --release -p memtorch-nn --example lenet5
//! ```

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use memtorch_crossbar::backend::CpuBackend;
use memtorch_crossbar::{FullScale, LinearConverter};
use memtorch_devices::{DeviceSpec, models};
use memtorch_map::{Adc, Hardware};
use memtorch_nn::{
    EvaluateOptions, Executable, ImportOptions, LayerChoice, Network, Samples, evaluate, relative_errors,
};
use memtorch_utils::Stream;
use memtorch_utils::config::{Table, Value};
use memtorch_utils::datasets::DataSet;

/// Images from a file, as the network takes them.
struct Images(DataSet);

impl Samples for Images {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn shape(&self) -> &[usize] {
        self.0.sample_shape()
    }

    fn read(&mut self, first: usize, values: &mut [f32]) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.0.read(first..first + values.len() / self.0.sample_len(), values)?;
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = |text: &str| Value::Text(text.to_owned());
    let data = Table::from_iter([
        ("kind", text("idx")),
        ("images", text("data/fashion-mnist-t2k-images-idx3-ubyte.gz")),
        ("labels", text("data/fashion-mnist-t2k-labels-idx1-ubyte.gz")),
        ("scale", Value::Real(1.0 / 255.0)),
    ]);
    let mut images = Images(DataSet::open(&data, &root)?);
    let labels: Vec<usize> = images.0.labels().iter().map(|&label| label as usize).collect();
    let model = root.join("models/fmnist-lenet5.onnx");
    let network = Arc::new(Network::from_onnx_file(model, &ImportOptions::default())?);

    let vteam = models::MODELS.iter().find(|model| model.name == "vteam").ok_or("no VTEAM model")?;
    let resistances = Table::from_iter([("r_on", Value::Real(1.4e4)), ("r_off", Value::Real(5e7))]);
    let hardware = Hardware {
        adc: Adc {
            converter: Arc::new(LinearConverter::new(4, FullScale::Dynamic { overflow_rate: 0.0 })?),
            ..Adc::default()
        },
        ..Hardware::new(DeviceSpec::configure(vteam, &resistances)?)
    };
    let choose = |name: &str| match name {
        "fc3" => LayerChoice::Digital { reason: "the logits are wanted exact".to_owned() },
        _ => LayerChoice::Memristive(Box::new(hardware.clone())),
    };
    let choices = network.layers().iter().map(|layer| choose(&layer.name)).collect();
    let backend = Arc::new(CpuBackend::default());
    let digital = Executable::digital(network.clone(), backend.clone())?;
    let memristive = Executable::new(network.clone(), choices, Stream::root(0, 0), backend)?;

    let options = EvaluateOptions::default();
    let ideal = evaluate(&digital, &mut images, &labels, &options)?;
    let real = evaluate(&memristive, &mut images, &labels, &options)?;
    println!("right: {} digitally, {} on crossbars, of {}", ideal.correct, real.correct, real.samples);
    println!("both predict the same for {:.1} %", 100.0 * ideal.agreement(&real));
    let errors = relative_errors(&digital, &memristive, &mut images, 32)?;
    for (layer, error) in network.layers().iter().zip(errors) {
        match error {
            Some(error) => println!("{}: relative error of the output {error:.3}", layer.name),
            None => println!("{}: digital", layer.name),
        }
    }
    Ok(())
}
