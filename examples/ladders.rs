//! Accuracy of LeNet-5 on crossbars over a ladder of converter bits and a ladder of device states.
//!
//! `cargo run --release --example ladders` prints both tables; with the name of a file
//! (`-- docs/ladders.svg`) it draws them too.
//!
//! VTEAM devices between 14 kilo-ohm and 50 mega-ohm in double columns on tiles of 128 x 128, inputs
//! scaled to 0.3 V, the analytic gain, the 2,000 test images of the repository.

use std::error::Error;
use std::sync::Arc;

use memtorch::crossbar::backend::CpuBackend;
use memtorch::crossbar::{Converter, FullScale, Ideal, LinearConverter};
use memtorch::devices::{DeviceSpec, Stream, models};
use memtorch::map::{Adc, Entry, Hardware, Tuning};
use memtorch::nn::{EvaluateOptions, Executable, ImportOptions, LayerChoice, Network, Samples, evaluate};
use memtorch::nonideal::{Spacing, States};
use memtorch::utils::config::{Table, Value};
use memtorch::utils::datasets::DataSet;

struct Images(DataSet);

impl Samples for Images {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn shape(&self) -> &[usize] {
        self.0.sample_shape()
    }

    fn read(&mut self, first: usize, values: &mut [f32]) -> Result<(), Box<dyn Error + Send + Sync>> {
        let count = values.len() / self.0.sample_len();
        self.0.read(first..first + count, values)?;
        Ok(())
    }
}

fn hardware(adc_bits: Option<u32>, states: Option<u32>) -> Result<Hardware, Box<dyn Error>> {
    let vteam = models::MODELS.iter().find(|model| model.name == "vteam").ok_or("no VTEAM model")?;
    let resistances = Table::from_iter([("r_on", Value::Real(1.4e4)), ("r_off", Value::Real(5e7))]);
    let converter: Arc<dyn Converter> = match adc_bits {
        Some(bits) => Arc::new(LinearConverter::new(bits, FullScale::Dynamic { overflow_rate: 0.0 })?),
        None => Arc::new(Ideal),
    };
    let mut nonidealities = Vec::new();
    if let Some(count) = states {
        nonidealities.push(Entry::new(Arc::new(States::even(count, Spacing::Conductance)?)));
    }
    Ok(Hardware {
        adc: Adc { converter, ..Adc::default() },
        nonidealities,
        tuning: Tuning { samples: 0, ..Tuning::default() },
        ..Hardware::new(DeviceSpec::configure(vteam, &resistances)?)
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let model = root.join("models/fmnist-lenet5.onnx");
    let network = Arc::new(Network::from_onnx_file(model, &ImportOptions::default())?);
    let files = Table::from_iter([
        ("images", Value::Text("fashion-mnist-t2k-images-idx3-ubyte.gz".to_owned())),
        ("labels", Value::Text("fashion-mnist-t2k-labels-idx1-ubyte.gz".to_owned())),
    ]);
    let mut images = Images(DataSet::open(&files, &root.join("data"))?);
    let labels: Vec<usize> = images.0.labels().iter().map(|label| *label as usize).collect();
    let backend = Arc::new(CpuBackend::new());
    let mut accuracy = |hardware: Option<Hardware>| -> Result<f64, Box<dyn Error>> {
        let executable = match hardware {
            None => Executable::digital(network.clone(), backend.clone())?,
            Some(hardware) => {
                let choice = LayerChoice::Memristive(Box::new(hardware));
                let choices = vec![choice; network.layers().len()];
                Executable::new(network.clone(), choices, Stream::root(0, 0), backend.clone())?
            }
        };
        Ok(100.0 * evaluate(&executable, &mut images, &labels, &EvaluateOptions::default())?.accuracy())
    };
    let digital = accuracy(None)?;
    println!("digital: {digital:.2} %, ideal crossbars: {:.2} %\n", accuracy(Some(hardware(None, None)?))?);

    println!("| ADC bits | accuracy, % |\n|---|---|");
    let mut by_bits = Vec::new();
    for bits in 2..=10 {
        let percent = accuracy(Some(hardware(Some(bits), None)?))?;
        println!("| {bits} | {percent:.2} |");
        by_bits.push((bits, percent));
    }
    println!("\n| states | accuracy, % |\n|---|---|");
    let mut by_states = Vec::new();
    for states in 2..=16 {
        let percent = accuracy(Some(hardware(None, Some(states))?))?;
        println!("| {states} | {percent:.2} |");
        by_states.push((states, percent));
    }
    if let Some(path) = std::env::args().nth(1) {
        draw(&path, digital, &by_bits, &by_states)?;
    }
    Ok(())
}

/// Both ladders side by side.
fn draw(path: &str, digital: f64, bits: &[(u32, f64)], states: &[(u32, f64)]) -> Result<(), Box<dyn Error>> {
    use plotters::prelude::*;
    let area = SVGBackend::new(path, (860, 340)).into_drawing_area();
    area.fill(&WHITE)?;
    let colour = RGBColor(0, 90, 156);
    let panels = area.split_evenly((1, 2));
    for (panel, (points, label)) in panels.iter().zip([(bits, "ADC bits"), (states, "states of a device")]) {
        let range = points[0].0 as f64 - 0.5..points[points.len() - 1].0 as f64 + 0.5;
        let mut chart = ChartBuilder::on(panel)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(50)
            .build_cartesian_2d(range.clone(), 0.0..100.0)?;
        chart
            .configure_mesh()
            .x_desc(label)
            .y_desc("accuracy, %")
            .x_labels(points.len())
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(&|y| format!("{y:.0}"))
            .label_style(("sans-serif", 13))
            .light_line_style(TRANSPARENT)
            .draw()?;
        let dashed = [(range.start, digital), (range.end, digital)];
        chart.draw_series(DashedLineSeries::new(dashed, 6, 4, BLACK.stroke_width(1)))?;
        let points: Vec<(f64, f64)> = points.iter().map(|(x, y)| (f64::from(*x), *y)).collect();
        chart.draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))?;
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 4, colour.filled())))?;
        let at = (range.start + 0.2, digital + 6.0);
        chart.draw_series([Text::new("digital", at, ("sans-serif", 13))])?;
    }
    area.present()?;
    Ok(())
}
