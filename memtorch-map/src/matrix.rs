use std::sync::Arc;

use memtorch_crossbar::{
    Accumulate, Array, ArrayBackend, Ideal, Input, Layout, PatchGeometry, Product, TileShape,
};
use memtorch_devices::Stream;
use ndarray::ArrayView3;

use crate::hardware::{Entry, Hardware, PerWhat};
use crate::read::{self, WeighedReads};
use crate::tune::{self, Probe};
use crate::{MapError, MatrixReport, ReadReport, Tuning, program, range};

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

/// A weight matrix (or, of a grouped convolution, several) on crossbars. It clones cheaply.
///
/// The output is `y = K (s * sum over row tiles of ADC(I)) + c`: `s` undoes the scaling of the inputs,
/// `K` turns volts times siemens into units of the weights, `c` is the constant of tuning.
#[derive(Clone, Debug)]
pub struct MappedMatrix {
    layout: Layout,
    arrays: Arc<Vec<Array>>,
    terms: Arc<Vec<WeighedReads>>,
    hardware: Arc<Hardware>,
    gains: Arc<Vec<f64>>,
    intercepts: Arc<Vec<f64>>,
    backend: Arc<dyn ArrayBackend>,
    report: Arc<MatrixReport>,
}

impl MappedMatrix {
    /// Fabricates arrays, programs `weights` `[groups, inputs, outputs]`, applies the non-idealities
    /// and finds the gain, as the hardware says.
    ///
    /// `stream` is the root of the seed and the repeat; the layer's `name` goes into it here.
    ///
    /// # Errors
    /// Settings that are not possible, weights that are not finite, steps that fail.
    pub fn new(
        name: &str,
        weights: ArrayView3<'_, f32>,
        usage: &Usage,
        hardware: &Hardware,
        stream: Stream,
        backend: Arc<dyn ArrayBackend>,
    ) -> Result<Self, MapError> {
        hardware.check()?;
        let (groups, rows, columns) = weights.dim();
        let layout = Layout::new(groups, rows, columns, hardware.tile)?;
        let stream = stream.named(name);
        let relative = range::relative(weights, &layout, &hardware.weight_range)?;
        let tile_devices = layout.tile_shape()[0].saturating_mul(layout.tile_shape()[1]);
        let mut report = MatrixReport {
            w_max: relative.w_max.iter().copied().fold(0.0, f64::max),
            weights_clipped: relative.clipped,
            devices: layout
                .tile_count()
                .saturating_mul(tile_devices)
                .saturating_mul(hardware.scheme.arrays()),
            devices_used: layout.device_count() * hardware.scheme.arrays(),
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
        let mut arrays = program::fabricate_and_write(&layout, &relative, hardware, stream, &mut report)?;
        let model = &hardware.device.model;
        let gain = hardware.scheme.gain(floor) / (1.0 / model.r_on() - 1.0 / model.r_off());
        let gains: Vec<f64> = relative.w_max.iter().map(|w_max| w_max * gain).collect();
        drop(relative);
        use memtorch_crossbar::Phase;
        program::apply(&mut arrays, hardware, stream, &mut report, |entry| {
            entry.step.phase() != Phase::Fabrication && !entry.after_tuning
        })?;
        let mut matrix = Self {
            layout,
            terms: Arc::new(read::pack(&arrays, &layout, hardware, &*backend)?),
            arrays: Arc::new(arrays),
            hardware: Arc::new(hardware.clone()),
            gains: Arc::new(gains),
            intercepts: Arc::new(vec![0.0]),
            backend,
            report: Arc::default(),
        };
        if hardware.tuning.samples > 0 {
            report.r2 = matrix.tune(weights, usage, stream.named("tune"))?;
        }
        if hardware.nonidealities.iter().any(|entry| entry.after_tuning) {
            let arrays = Arc::make_mut(&mut matrix.arrays);
            program::apply(arrays, hardware, stream, &mut report, |entry| entry.after_tuning)?;
            matrix.terms = Arc::new(read::pack(arrays, &layout, hardware, &*matrix.backend)?);
        }
        let aged = |entry: &Entry| entry.after_tuning || hardware.tuning.samples == 0;
        if hardware.nonidealities.iter().any(|entry| entry.step.remeasures_gain() && aged(entry)) {
            report.compensation = matrix.compensate(weights, usage, stream.named("tune"))?;
        }
        report.stuck = matrix.arrays.iter().map(|array| array.masks().len()).sum();
        report.gain = mean(&matrix.gains);
        report.intercept = mean(&matrix.intercepts);
        matrix.report = Arc::new(report);
        Ok(matrix)
    }

    /// Fits gains (and constants) to the ideal output of random inputs; gives r^2.
    fn tune(
        &mut self,
        weights: ArrayView3<'_, f32>,
        usage: &Usage,
        stream: Stream,
    ) -> Result<Option<f64>, MapError> {
        let (groups, rows, columns) = weights.dim();
        let tuning = self.hardware.tuning;
        let probe = Probe::uniform(usage, groups * rows, tuning.samples, stream);
        let (measured, ideal) = self.probe(weights, &probe)?;
        let fit = tune::fit(&measured, &ideal, groups * columns, &probe.input(), &tuning);
        let (gains, slopes) = (tune::widen(&self.gains, &fit.slopes), tune::widen(&fit.slopes, &self.gains));
        self.gains = Arc::new(gains.iter().zip(slopes.iter()).map(|(gain, slope)| gain * slope).collect());
        self.intercepts = Arc::new(fit.intercepts);
        Ok(fit.r2)
    }

    /// Measures the gain again with the inputs of tuning: one factor on the gains of all columns. `None`
    /// where the outputs say nothing.
    fn compensate(
        &mut self,
        weights: ArrayView3<'_, f32>,
        usage: &Usage,
        stream: Stream,
    ) -> Result<Option<f64>, MapError> {
        /// As many as an experiment tunes with unless it says otherwise.
        const SAMPLES: usize = 8;
        let (groups, rows, columns) = weights.dim();
        let samples = match self.hardware.tuning.samples {
            0 => SAMPLES,
            samples => samples,
        };
        let probe = Probe::uniform(usage, groups * rows, samples, stream);
        // Constants are added after the gain: they are not part of what is measured.
        let constants = std::mem::replace(&mut self.intercepts, Arc::new(vec![0.0]));
        let (measured, mut ideal) = self.probe(weights, &probe)?;
        let positions = ideal.len() / (samples * groups * columns);
        for (run, values) in ideal.chunks_exact_mut(positions).enumerate() {
            let constant = tune::of(&constants, run % (groups * columns)) as f32;
            values.iter_mut().for_each(|y| *y -= constant);
        }
        self.intercepts = constants;
        let one = Tuning { samples, per: PerWhat::Layer, intercept: false };
        let fit = tune::fit(&measured, &ideal, groups * columns, &probe.input(), &one);
        let factor = fit.slopes[0];
        Arc::make_mut(&mut self.gains).iter_mut().for_each(|gain| *gain *= factor);
        Ok(fit.r2.map(|_| factor))
    }

    /// What the hardware and what the weights themselves give for a probe.
    fn probe(&self, weights: ArrayView3<'_, f32>, probe: &Probe) -> Result<(Vec<f32>, Vec<f32>), MapError> {
        let (groups, rows, columns) = weights.dim();
        let input = probe.input();
        let mut measured = vec![0.0; input.vectors() * groups * columns];
        self.multiply(input, &mut measured)?;
        let whole = Layout::new(groups, rows, columns, TileShape::Layer)?;
        let weights: Vec<f32> = weights.iter().copied().collect();
        let operand = self.backend.pack(&whole, &weights)?;
        let mut ideal = vec![0.0; measured.len()];
        let product = Product { input, converter: &Ideal, accumulate: Accumulate::Set };
        self.backend.multiply(&operand, &product, &mut ideal)?;
        Ok((measured, ideal))
    }

    /// The layer's output without its digital bias, in the shape that [`Input`] states.
    ///
    /// A sample, which shares an input scale, is a row or an image.
    ///
    /// # Errors
    /// Lengths that do not fit.
    pub fn multiply(&self, input: Input<'_>, output: &mut [f32]) -> Result<ReadReport, MapError> {
        let columns = self.layout.groups() * self.layout.columns();
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
        let driven = self.hardware.input.drive(values, values.len().checked_div(samples).unwrap_or(0));
        let volts = match input {
            Input::Patches { samples, geometry, .. } => {
                Input::Patches { values: &driven.volts, samples, geometry }
            }
            _ => Input::Rows { values: &driven.volts, rows: samples },
        };
        let mut report = ReadReport { inputs_clipped: driven.clipped, ..ReadReport::default() };
        let converter = &*self.hardware.adc.converter;
        let mut partial = Vec::new();
        for (number, term) in self.terms.iter().enumerate() {
            // The first term of weight 1, which is all that most schemes have, needs no buffer.
            let direct = number == 0 && term.weight == 1.0;
            let target = if direct {
                &mut *output
            } else {
                partial.resize(output.len(), 0.0);
                &mut partial[..]
            };
            for read in &term.reads {
                let product = Product { input: volts, converter, accumulate: read.accumulate };
                report.conversions += self.backend.multiply(&read.operand, &product, target)?;
            }
            if !direct {
                for (sum, part) in output.iter_mut().zip(&partial) {
                    *sum = term.weight.mul_add(*part, if number == 0 { 0.0 } else { *sum });
                }
            }
        }
        for (sample, scale) in output.chunks_exact_mut(columns * positions).zip(&driven.scales) {
            for (column, values) in sample.chunks_exact_mut(positions).enumerate() {
                let gain = tune::of(&self.gains, column) as f32;
                let constant = tune::of(&self.intercepts, column) as f32;
                values.iter_mut().for_each(|y| *y = gain * (scale * *y) + constant);
            }
        }
        Ok(report)
    }

    /// How the matrix lies on tiles.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The arrays as they are now: of a double column the positive, then the negative one.
    pub fn arrays(&self) -> &[Array] {
        &self.arrays
    }

    /// The gains K: one for all columns, or one for each column of each group.
    pub fn gains(&self) -> &[f64] {
        &self.gains
    }

    /// The constants c, likewise.
    pub fn intercepts(&self) -> &[f64] {
        &self.intercepts
    }

    /// What programming gave.
    pub fn report(&self) -> &MatrixReport {
        &self.report
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
