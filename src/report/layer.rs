use std::collections::BTreeMap;

use memtorch_crossbar::OverArrays;
use memtorch_crossbar::programming::{Miss, ProgrammingReport};
use memtorch_map::{MappedMatrix, MatrixReport, ReadReport};
use memtorch_nn::Executable;

use super::Explanation;

/// What a step of the list of non-idealities did to one layer.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct StepSummary {
    /// Its place in the list.
    pub index: usize,
    /// Its kind.
    pub kind: String,
    /// The array, in the order of the scheme: of a double column 0 the positive one, 1 the negative one.
    pub array: usize,
    /// What it did, in numbers.
    pub effects: Vec<EffectSummary>,
}

/// One number of a [`StepSummary`].
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct EffectSummary {
    /// What it is.
    pub what: String,
    /// The number.
    pub value: f64,
    /// Its unit; empty for counts and shares.
    pub unit: &'static str,
    /// Whether the number of several arrays is their sum, or their mean.
    #[serde(skip)]
    pub is_sum: bool,
}

/// What writing a layer by pulses did.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct ProgrammingSummary {
    /// Devices of all arrays that are not within the tolerance.
    pub missed: usize,
    /// Their share.
    pub missed_share: f64,
    /// How many of them for each reason.
    pub reasons: BTreeMap<&'static str, usize>,
    /// Pulses.
    pub pulses: u64,
    /// Seconds, one pulse after another.
    pub time: f64,
    /// Joule.
    pub energy: f64,
    /// Root mean square of the errors, as a share of the range.
    pub error_rms: f64,
    /// Mean change of a device after its own last pulse, as a share of the range.
    pub disturbance: f64,
}

impl From<&ProgrammingReport> for ProgrammingSummary {
    fn from(report: &ProgrammingReport) -> Self {
        let counts = Miss::ALL.into_iter().map(|miss| (miss.name(), report.count(miss)));
        Self {
            missed: report.missed.len(),
            missed_share: report.missed.len() as f64 / report.devices.max(1) as f64,
            reasons: counts.filter(|(_, count)| *count > 0).collect(),
            pulses: report.pulses,
            time: report.time,
            energy: report.energy,
            error_rms: report.error_rms,
            disturbance: report.disturbance.mean,
        }
    }
}

/// One layer: a row of `layers.csv`. Numbers that only a layer on crossbars has are absent for a digital
/// one.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct LayerReport {
    /// Short name.
    pub name: String,
    /// The operator.
    pub operator: String,
    /// Whether it is on crossbars.
    pub patched: bool,
    /// Why not, if not.
    pub reason: String,
    /// Inputs of one matrix.
    pub rows: usize,
    /// Outputs of one matrix.
    pub columns: usize,
    /// Matrices: more than one for grouped convolutions.
    pub groups: usize,
    /// Tiles of one array.
    pub tiles: usize,
    /// Devices on all tiles of all arrays.
    pub devices: usize,
    /// Devices in use: those that hold a weight or are a reference.
    pub devices_used: usize,
    /// Share of the tiles' devices that hold a weight, 0 to 1.
    pub utilisation: Option<f64>,
    /// Largest weight of the range.
    pub w_max: Option<f64>,
    /// Gain K.
    pub gain: Option<f64>,
    /// Constant c.
    pub intercept: Option<f64>,
    /// Share of the variance that tuning explains.
    pub r2: Option<f64>,
    /// Share of the converters' codes that were clipped; absent for ideal ones.
    pub adc_clipped: Option<f64>,
    /// Share of the devices in use whose target lay outside their own bounds.
    pub write_clipped: Option<f64>,
    /// Devices that cannot be written.
    pub stuck: Option<usize>,
    /// Norm of the output's error over the norm of the digital layer's output, for the same inputs.
    pub relative_error: Option<f64>,
    /// Full name of its node.
    pub node: String,
    /// Devices in use for each weight.
    pub devices_per_weight: Option<f64>,
    /// Converters: one for so many columns of every tile as take turns.
    pub converters: Option<usize>,
    /// Codes that they make for one input vector.
    pub conversions_per_vector: Option<usize>,
    /// Conversions one after the other for one input vector.
    pub cycles_per_vector: Option<usize>,
    /// Codes made over all samples.
    pub conversions: Option<u64>,
    /// Sum over the weights of the squared error that stuck devices cause, relative to the largest weight, before
    /// and after lines were permuted.
    pub remapping: Option<[f64; 2]>,
    /// The least and the largest calibrated full scale, in ampere.
    pub full_scale: Option<[f64; 2]>,
    /// The calibrated scale of the inputs, in units of the input a volt.
    pub input_scale: Option<f64>,
    /// The factor on the gain that was measured again after the array aged; absent where none was.
    pub compensation: Option<f64>,
    /// Size of the tiles.
    pub tile: Option<[usize; 2]>,
    /// Devices drawn again at fabrication because no such device is possible.
    pub devices_redrawn: Option<usize>,
    /// Weights beyond the largest of their range.
    pub weights_clipped: Option<usize>,
    /// Inputs beyond the largest voltage.
    pub inputs_clipped: Option<u64>,
    /// What writing by pulses did; absent where conductances are set as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub programming: Option<ProgrammingSummary>,
    /// What each non-ideality did.
    pub nonidealities: Vec<StepSummary>,
    /// How much of the error each cause makes; absent where nobody asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causes: Option<Explanation>,
}

/// The layers of a network on crossbars, and what a person should know of them.
///
/// `reads` and `errors` have one entry for each layer.
pub fn layer_reports(
    memristive: &Executable,
    reads: &[ReadReport],
    errors: &[Option<f64>],
) -> (Vec<LayerReport>, Vec<String>) {
    let mut warnings = Vec::new();
    let mut reports = Vec::new();
    for (index, layer) in memristive.network().layers().iter().enumerate() {
        let mut report = LayerReport {
            name: layer.name.clone(),
            operator: layer.operator.clone(),
            patched: false,
            reason: memristive.reason(index).unwrap_or("").to_owned(),
            rows: layer.rows,
            columns: layer.columns,
            groups: layer.groups,
            tiles: 0,
            devices: 0,
            devices_used: 0,
            utilisation: None,
            w_max: None,
            gain: None,
            intercept: None,
            r2: None,
            adc_clipped: None,
            write_clipped: None,
            stuck: None,
            relative_error: None,
            node: layer.node.clone(),
            devices_per_weight: None,
            converters: None,
            conversions_per_vector: None,
            cycles_per_vector: None,
            conversions: None,
            remapping: None,
            full_scale: None,
            input_scale: None,
            compensation: None,
            tile: None,
            devices_redrawn: None,
            weights_clipped: None,
            inputs_clipped: None,
            programming: None,
            nonidealities: Vec::new(),
            causes: None,
        };
        if let Some(matrix) = memristive.mapped(index) {
            let found = matrix.report();
            let read = reads.get(index).copied().unwrap_or_default();
            fill(&mut report, found, read);
            report.tile = Some(matrix.layout().tile_shape());
            report.relative_error = errors.get(index).copied().flatten();
            let name = &layer.name;
            warnings.extend(found.warnings.iter().map(|warning| format!("layer {name}: {warning}")));
            warnings.extend(left(name, matrix));
            if read.inputs_clipped > 0 {
                let count = read.inputs_clipped;
                warnings
                    .push(format!("layer {name}: {count} inputs beyond the largest voltage were clipped"));
            }
        }
        reports.push(report);
    }
    (reports, warnings)
}

/// What the backend leaves to the CPU of the layers on crossbars: one sentence for each layer with such work.
pub fn left_to_cpu(memristive: &Executable) -> Vec<String> {
    let layers = memristive.network().layers().iter().enumerate();
    layers.filter_map(|(index, layer)| left(&layer.name, memristive.mapped(index)?)).collect()
}

fn left(name: &str, matrix: &MappedMatrix) -> Option<String> {
    let (what, backend) = (matrix.report().on_cpu.join(", "), matrix.backend().name());
    (!what.is_empty()).then(|| format!("layer {name}: the backend {backend} leaves to the CPU: {what}"))
}

fn fill(report: &mut LayerReport, found: &MatrixReport, read: ReadReport) {
    report.patched = true;
    let cost = &found.footprint;
    report.tiles = cost.tiles;
    report.devices = cost.devices;
    report.devices_used = cost.devices_used;
    report.devices_per_weight = Some(cost.devices_per_weight);
    report.utilisation = Some(cost.utilisation);
    report.w_max = Some(found.w_max);
    report.gain = Some(found.gain);
    report.intercept = Some(found.intercept);
    report.r2 = found.r2;
    let codes = read.conversions;
    report.adc_clipped = (codes.codes > 0).then(|| codes.clipped as f64 / codes.codes as f64);
    report.write_clipped = Some(found.write_clipped as f64 / cost.devices_used.max(1) as f64);
    report.stuck = Some(found.stuck);
    report.devices_redrawn = Some(found.redrawn);
    if let Some(cost) = found.converters {
        report.converters = Some(cost.converters);
        report.conversions_per_vector = Some(cost.conversions_per_vector);
        report.cycles_per_vector = Some(cost.cycles_per_vector);
        report.conversions = Some(codes.codes);
    }
    report.remapping = found.remapping;
    report.full_scale = found.full_scale;
    report.input_scale = found.input_scale;
    report.compensation = found.compensation;
    report.weights_clipped = Some(found.weights_clipped);
    report.inputs_clipped = Some(read.inputs_clipped);
    report.programming = found.programming.as_ref().map(ProgrammingSummary::from);
    report.nonidealities = found
        .steps
        .iter()
        .map(|step| StepSummary {
            index: step.index,
            kind: step.name.clone(),
            array: step.array,
            effects: step
                .report
                .effects
                .iter()
                .map(|effect| EffectSummary {
                    what: effect.what.clone(),
                    value: effect.value,
                    unit: effect.unit,
                    is_sum: effect.over_arrays == OverArrays::Sum,
                })
                .collect(),
        })
        .collect();
}
