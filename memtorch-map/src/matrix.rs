mod measure;

use std::sync::Arc;

use memtorch_crossbar::{
    Accumulate, Array, ArrayBackend, Conversions, Converter, FullScale, Input, Layout, PatchGeometry, Product,
};
use memtorch_devices::Stream;
use memtorch_utils::buffers;
use memtorch_utils::kernel::wide;
use ndarray::ArrayView3;

use crate::hardware::{Entry, Hardware};
use crate::placement::Placement;
use crate::read::{self, Currents, WeighedReads};
use crate::remap::Arrangement;
use crate::report::ConverterReport;
use crate::{LayerInputs, MapError, MatrixReport, ReadIndex, ReadReport, on_cpu, program, range, tune};
use measure::Layer;

/// How a layer uses its matrix: what tuning feeds it with.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Usage {
    /// Vectors.
    Rows,
    /// The patches of images of this many dimensions (1 to 3).
    Patches {
        /// Where the kernel lies; the size of the image is not looked at.
        geometry: PatchGeometry,
        /// Dimensions of the image.
        dimensions: usize,
    },
}

impl Usage {
    /// Word lines that belong to one channel of an image; 1 for vectors.
    pub(crate) fn channel(&self) -> usize {
        match self {
            Self::Rows => 1,
            Self::Patches { geometry, .. } => geometry.kernel.iter().product(),
        }
    }
}

/// A weight matrix (or, of a grouped convolution, several) on crossbars. It clones cheaply.
///
/// The output is `y = K (s * sum over row tiles of ADC(I)) + c`: `s` undoes the scaling of the inputs,
/// `K` turns volts times siemens into units of the weights, `c` is the constant of tuning.
#[derive(Clone, Debug)]
pub struct MappedMatrix {
    pub(crate) placement: Placement,
    /// Where the weights lie, if not in their own order.
    pub(crate) arrangement: Option<Arc<Arrangement>>,
    pub(crate) arrays: Arc<Vec<Array>>,
    pub(crate) terms: Arc<Vec<WeighedReads>>,
    pub(crate) hardware: Arc<Hardware>,
    /// One for each read, in the order of the terms.
    pub(crate) converters: Arc<Vec<Arc<dyn Converter>>>,
    /// Those that were calibrated, one for each read; none where none was.
    pub(crate) full_scales: Arc<Vec<FullScale>>,
    pub(crate) gains: Arc<Vec<f64>>,
    /// Factors on the gain, which the converters know.
    pub(crate) tile_gains: Option<Arc<[f64]>>,
    pub(crate) intercepts: Arc<Vec<f64>>,
    pub(crate) backend: Arc<dyn ArrayBackend>,
    pub(crate) report: Arc<MatrixReport>,
}

impl MappedMatrix {
    /// Fabricates arrays, programs `weights` `[groups, inputs, outputs]`, applies the non-idealities
    /// and finds the gain, as the hardware says.
    ///
    /// `stream` is the root of the seed and the repeat; the layer's `name` goes into it here.
    ///
    /// # Errors
    /// Settings that are not possible, weights that are not finite, steps that fail; hardware that is tuned or
    /// calibrated with what the layer sees (see [`MappedMatrix::with_inputs`]).
    pub fn new(
        name: &str,
        weights: ArrayView3<'_, f32>,
        usage: &Usage,
        hardware: &Hardware,
        stream: Stream,
        backend: Arc<dyn ArrayBackend>,
    ) -> Result<Self, MapError> {
        Self::make(name, (weights, usage, None), hardware, stream, backend)
    }

    /// As [`MappedMatrix::new`], with what the layer sees in the digital network for at least
    /// [`Hardware::data_samples`] samples.
    ///
    /// # Errors
    /// As there; no inputs where some are needed.
    pub fn with_inputs(
        name: &str,
        weights: ArrayView3<'_, f32>,
        usage: &Usage,
        inputs: &LayerInputs,
        hardware: &Hardware,
        stream: Stream,
        backend: Arc<dyn ArrayBackend>,
    ) -> Result<Self, MapError> {
        Self::make(name, (weights, usage, Some(inputs)), hardware, stream, backend)
    }

    fn make(
        name: &str,
        (weights, usage, recorded): (ArrayView3<'_, f32>, &Usage, Option<&LayerInputs>),
        hardware: &Hardware,
        stream: Stream,
        backend: Arc<dyn ArrayBackend>,
    ) -> Result<Self, MapError> {
        hardware.check()?;
        let (groups, rows, columns) = weights.dim();
        let reference = hardware.scheme.reference().is_some();
        let placement = Placement::new([groups, rows, columns], hardware.tile, hardware.packing, reference)?;
        let layout = placement.physical;
        let stream = stream.named(name);
        let relative = range::relative(weights, &placement, &hardware.weight_range)?;
        let mut report = MatrixReport {
            w_max: relative.w_max.iter().copied().fold(0.0, f64::max),
            weights_clipped: relative.clipped,
            footprint: placement.footprint(hardware.scheme.arrays()),
            ..MatrixReport::default()
        };
        let floor = hardware.weight_range.floor_ratio(hardware);
        if floor > 0.0 && hardware.scheme.gain(floor) == hardware.scheme.gain(0.0) {
            let name = hardware.scheme.name();
            report
                .warnings
                .push(format!("the weight floor `ratio` changes nothing: {name} has no dead zone"));
        } else if floor > 0.1 {
            report.warnings.push(format!(
                "weights below {:.0} % of the largest are all mapped to the OFF state (r_on / r_off = {floor:.3})",
                100.0 * floor
            ));
        }
        let (mut arrays, arrangement) =
            program::fabricate_and_write(&layout, &relative, hardware, (stream, &*backend), &mut report)?;
        let model = &hardware.device.model;
        let gain = hardware.scheme.gain(floor) / (1.0 / model.r_on() - 1.0 / model.r_off());
        let gains: Vec<f64> = relative.w_max.iter().map(|w_max| w_max * gain).collect();
        drop(relative);
        use memtorch_crossbar::Phase;
        let at = (stream, &*backend);
        program::apply(&mut arrays, hardware, at, &mut report, |entry| {
            !matches!(entry.step.phase(), Phase::Fabrication | Phase::Read) && !entry.after_tuning
        })?;
        program::attach(&mut arrays, hardware, at, &mut report, |entry| !entry.after_tuning)?;
        let arrangement = arrangement.map(Arc::new);
        let terms = read::pack(&arrays, (&placement, arrangement.as_deref(), usage), hardware, &*backend)?;
        let converters = hardware.adc.fabricate(&read::layouts(&terms), stream);
        let mut matrix = Self {
            placement,
            arrangement,
            terms: Arc::new(terms),
            converters: Arc::new(converters),
            full_scales: Arc::default(),
            arrays: Arc::new(arrays),
            hardware: Arc::new(hardware.clone()),
            gains: Arc::new(gains),
            tile_gains: None,
            intercepts: Arc::new(vec![0.0]),
            backend,
            report: Arc::default(),
        };
        let layer = Layer { weights, usage, recorded };
        matrix.calibrate(&layer, stream.named("calibrate"), &mut report)?;
        if hardware.tuning.samples > 0 {
            report.r2 = matrix.tune(&layer, stream.named("tune"), &mut report)?;
        }
        if hardware.nonidealities.iter().any(|entry| entry.after_tuning) {
            let arrays = Arc::make_mut(&mut matrix.arrays);
            let at = (stream, &*matrix.backend);
            program::apply(arrays, hardware, at, &mut report, |entry| {
                entry.step.phase() != Phase::Read && entry.after_tuning
            })?;
            program::attach(arrays, hardware, at, &mut report, |_| true)?;
            let order = matrix.arrangement.as_deref();
            matrix.terms =
                Arc::new(read::pack(arrays, (&placement, order, usage), hardware, &*matrix.backend)?);
        }
        let aged = |entry: &Entry| entry.after_tuning || hardware.tuning.samples == 0;
        if hardware.nonidealities.iter().any(|entry| entry.step.remeasures_gain() && aged(entry)) {
            report.compensation = matrix.compensate(&layer, stream.named("tune"))?;
        }
        report.converters = matrix.converter_report();
        report.stuck = matrix.arrays.iter().map(|array| array.masks().len()).sum();
        report.gain = mean(&matrix.gains) * matrix.tile_gains.as_deref().map_or(1.0, mean);
        report.intercept = mean(&matrix.intercepts);
        report.warnings.extend(read::cautions(&matrix.arrays, hardware));
        report.on_cpu = matrix.on_cpu(true);
        matrix.report = Arc::new(report);
        Ok(matrix)
    }

    /// The layer's output without its digital bias, in the shape that [`Input`] states.
    ///
    /// A sample, which shares an input scale, is a row or an image; the first is sample 0 (see
    /// [`MappedMatrix::multiply_at`]).
    ///
    /// # Errors
    /// Lengths that do not fit.
    pub fn multiply(&self, input: Input<'_>, output: &mut [f32]) -> Result<ReadReport, MapError> {
        self.multiply_at(input, ReadIndex::default(), output)
    }

    /// As [`MappedMatrix::multiply`], for samples that `index` says: what is random at a read depends on that, and
    /// not on the batch.
    ///
    /// # Errors
    /// Lengths that do not fit.
    pub fn multiply_at(
        &self,
        input: Input<'_>,
        index: ReadIndex,
        output: &mut [f32],
    ) -> Result<ReadReport, MapError> {
        self.read(input, (index, Purpose::Evaluation), &self.converters, output)
    }

    /// As [`MappedMatrix::multiply_at`], with other converters, one for each read.
    fn read(
        &self,
        input: Input<'_>,
        (index, purpose): (ReadIndex, Purpose),
        converters: &[Arc<dyn Converter>],
        output: &mut [f32],
    ) -> Result<ReadReport, MapError> {
        let [groups, _, columns] = self.placement.sizes();
        let columns = groups * columns;
        let (values, samples, positions) = match input {
            Input::Rows { values, rows } => (values, rows, 1),
            Input::Patches { values, samples, geometry } => (values, samples, geometry.positions()),
            _ => {
                return Err(MapError::Setting {
                    key: "input",
                    value: format!("{input:?}"),
                    expected: "rows or patches".to_owned(),
                });
            }
        };
        if samples == 0 && output.is_empty() {
            return Ok(ReadReport::default());
        }
        let stage = &self.hardware.input;
        let driven = stage.drive(values, values.len().checked_div(samples).unwrap_or(0));
        let mut report = ReadReport { inputs_clipped: driven.clipped, ..ReadReport::default() };
        if stage.serial {
            let mut part = vec![0.0; output.len()];
            for (number, (weight, volts)) in stage.cycles(&driven.volts).enumerate() {
                let at = (index, purpose.salt(number));
                report.conversions +=
                    self.read_terms(with_values(&input, &volts), at, converters, &mut part)?;
                add_weighed(output, weight, &part, number == 0);
            }
        } else {
            let (volts, at) = (with_values(&input, &driven.volts), (index, purpose.salt(0)));
            report.conversions = self.read_terms(volts, at, converters, output)?;
        }
        if tune::is_ideal(&*self.hardware.adc.converter) {
            report.conversions = Conversions::default();
        }
        let narrow = |list: &[f64]| (0..columns).map(|at| tune::of(list, at) as f32).collect::<Vec<f32>>();
        let (gains, constants) = (narrow(&self.gains), narrow(&self.intercepts));
        for (sample, scale) in output.chunks_exact_mut(columns * positions).zip(&driven.scales) {
            let lines = gains.iter().zip(&constants);
            if positions == 1 {
                sample.iter_mut().zip(lines).for_each(|(y, (gain, c))| *y = gain * (scale * *y) + c);
                continue;
            }
            wide(|| {
                for (values, (gain, constant)) in sample.chunks_exact_mut(positions).zip(lines) {
                    values.iter_mut().for_each(|y| *y = gain * (scale * *y) + constant);
                }
            });
        }
        buffers::give(driven.volts);
        Ok(report)
    }

    /// The weighed sum of all terms for some voltages, in volts times siemens.
    fn read_terms(
        &self,
        volts: Input<'_>,
        at: (ReadIndex, u64),
        converters: &[Arc<dyn Converter>],
        output: &mut [f32],
    ) -> Result<Conversions, MapError> {
        let mut done = Conversions::default();
        let mut converters = converters.iter();
        let (mut partial, mut currents) = (Vec::new(), Vec::new());
        for (number, term) in self.terms.iter().enumerate() {
            // The first term of weight 1, which is all that most schemes have, needs no buffer.
            let direct = number == 0 && term.weight == 1.0;
            let target = if direct {
                &mut *output
            } else {
                partial.resize(output.len(), 0.0);
                &mut partial[..]
            };
            for (read, converter) in term.reads.iter().zip(&mut converters) {
                let converter = &**converter;
                let convert = |accumulate, target: &mut [f32]| match &read.currents {
                    Currents::Product(feature, operand) => {
                        let bent = (!feature.is_voltage()).then(|| feature.of(values(&volts)));
                        let input = bent.as_ref().map_or(volts, |values| with_values(&volts, values));
                        let product = Product { input, converter, accumulate };
                        self.backend.multiply(operand, &product, target).map_err(MapError::from)
                    }
                    Currents::Stacked(stacked) => {
                        stacked.read(volts, converter, accumulate, &*self.backend, target)
                    }
                    Currents::Explicit(explicit) => {
                        explicit.read(volts, at, converter, accumulate, &*self.backend, target)
                    }
                };
                if read.with_reference {
                    let layout = &self.placement.physical;
                    currents.resize(volts.vectors() * layout.groups() * layout.columns(), 0.0);
                    done += convert(Accumulate::Set, &mut currents)?;
                    let positions = positions(&volts);
                    self.placement.subtract_references(&currents, positions, target);
                    continue;
                }
                done += convert(read.accumulate, target)?;
            }
            if !direct {
                add_weighed(output, term.weight, &partial, number == 0);
            }
        }
        Ok(done)
    }

    /// What the converters of the layer cost; `None` for ideal ones.
    fn converter_report(&self) -> Option<ConverterReport> {
        let adc = &self.hardware.adc;
        if tune::is_ideal(&*adc.converter) {
            return None;
        }
        let lines = |read: &read::Read| {
            let layout = read.layout;
            (0..layout.tile_count()).map(move |tile| layout.tile(tile).bit_lines)
        };
        let reads = || self.terms.iter().flat_map(|term| &term.reads).flat_map(lines);
        let turns = reads().map(|lines| lines.min(adc.columns_per_adc)).max().unwrap_or(0);
        Some(ConverterReport {
            converters: reads().map(|lines| lines.div_ceil(adc.columns_per_adc)).sum(),
            conversions_per_vector: reads().sum::<usize>() * self.hardware.input.cycle_count(),
            cycles_per_vector: turns * self.hardware.input.cycle_count(),
        })
    }

    /// What the backend leaves to the CPU of a matrix that was written here, or not.
    pub(crate) fn on_cpu(&self, written: bool) -> Vec<String> {
        let converters = self.converters.iter().map(|converter| &**converter);
        on_cpu::left(&self.arrays, &self.terms, converters, &self.hardware, written, &*self.backend)
    }

    /// How the devices of each array lie on tiles: with the groups that share a tile as one matrix, and with
    /// reference columns.
    pub fn layout(&self) -> &Layout {
        &self.placement.physical
    }

    /// The arrays as they are now, in the scheme's order: of a double column the positive, then the negative
    /// one.
    pub fn arrays(&self) -> &[Array] {
        &self.arrays
    }

    /// The gains K: one for all columns, or one for each column of each group.
    pub fn gains(&self) -> &[f64] {
        &self.gains
    }

    /// The factor on the gain for each tile of [`MappedMatrix::layout`]; `None` where tiles have none.
    pub fn tile_gains(&self) -> Option<&[f64]> {
        self.tile_gains.as_deref()
    }

    /// The constants c, likewise.
    pub fn intercepts(&self) -> &[f64] {
        &self.intercepts
    }

    /// Where products are computed.
    pub fn backend(&self) -> &dyn ArrayBackend {
        &*self.backend
    }

    /// What programming gave.
    pub fn report(&self) -> &MatrixReport {
        &self.report
    }
}

/// The same input of other numbers.
fn with_values<'a>(input: &Input<'a>, values: &'a [f32]) -> Input<'a> {
    match *input {
        Input::Patches { samples, geometry, .. } => Input::Patches { values, samples, geometry },
        _ => Input::Rows { values, rows: input.vectors() },
    }
}

/// The voltages of an input.
fn values<'a>(input: &Input<'a>) -> &'a [f32] {
    match *input {
        Input::Rows { values, .. } | Input::Patches { values, .. } => values,
        _ => &[],
    }
}

/// What a matrix is read for. Each purpose draws noise of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Evaluation,
    Calibration,
    Tuning,
    Compensation,
}

impl Purpose {
    /// What tells the noise of a cycle of bit-serial inputs from that of others.
    fn salt(self, cycle: usize) -> u64 {
        self as u64 + 4 * cycle as u64
    }
}

/// Vectors of one sample.
fn positions(input: &Input<'_>) -> usize {
    match input {
        Input::Patches { geometry, .. } => geometry.positions(),
        _ => 1,
    }
}

/// Adds a part with its weight, or sets the sum to it.
fn add_weighed(sum: &mut [f32], weight: f32, part: &[f32], first: bool) {
    let pairs = sum.iter_mut().zip(part);
    wide(|| {
        if first {
            pairs.for_each(|(sum, part)| *sum = weight.mul_add(*part, 0.0));
        } else {
            pairs.for_each(|(sum, part)| *sum = weight.mul_add(*part, *sum));
        }
    });
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
