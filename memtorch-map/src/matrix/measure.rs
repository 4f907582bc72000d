//! What is measured on a matrix: input scale, full scales, gains.

use std::borrow::Cow;
use std::sync::Arc;

use memtorch_crossbar::{Accumulate, Converter, Ideal, Input, Layout, Product, TileShape};
use memtorch_devices::Stream;
use ndarray::ArrayView3;

use super::{MappedMatrix, Purpose, Usage};
use crate::calibrate::{self, Recorder};
use crate::hardware::{InputScale, PerWhat, ProbeInputs};
use crate::probe::LayerInputs;
use crate::read;
use crate::tune::{self, TileFit, TileGains};
use crate::{MapError, MatrixReport, ReadIndex, Tuning};

/// A layer, and the inputs that it was given.
pub(super) struct Layer<'a> {
    pub(super) weights: ArrayView3<'a, f32>,
    pub(super) usage: &'a Usage,
    /// What it sees in the digital network.
    pub(super) recorded: Option<&'a LayerInputs>,
}

impl Layer<'_> {
    /// So many samples of inputs.
    fn inputs(
        &self,
        (key, inputs): (&'static str, ProbeInputs),
        samples: usize,
        stream: Stream,
    ) -> Result<LayerInputs, MapError> {
        match inputs {
            ProbeInputs::Uniform => {
                let (groups, rows, _) = self.weights.dim();
                Ok(LayerInputs::uniform(self.usage, groups * rows, samples, stream))
            }
            ProbeInputs::Data => {
                let recorded = self.recorded.map(|recorded| recorded.of_samples(samples));
                recorded.filter(|recorded| !recorded.is_empty()).ok_or_else(|| MapError::Setting {
                    key,
                    value: "data".to_owned(),
                    expected: "what the layer sees in the digital network, for at least one sample"
                        .to_owned(),
                })
            }
        }
    }
}

impl MappedMatrix {
    /// Finds the scale of the inputs and the full scales of the converters, where they are calibrated.
    pub(super) fn calibrate(
        &mut self,
        layer: &Layer<'_>,
        stream: Stream,
        report: &mut MatrixReport,
    ) -> Result<(), MapError> {
        let hardware = &self.hardware;
        let (scale, range) = (hardware.input.scale == InputScale::Calibrated, hardware.adc.range);
        let converter = hardware.adc.converter.clone();
        // An ideal converter has no range.
        let range = range.filter(|_| !tune::is_ideal(&*converter));
        if !scale && range.is_none() {
            return Ok(());
        }
        let calibration = hardware.calibration;
        let inputs = layer.inputs(("calibration", calibration.inputs), calibration.samples, stream)?;
        let max_voltage = hardware.input.max_voltage;
        if scale {
            let largest = f64::from(inputs.largest());
            let scale = if largest > 0.0 { largest / max_voltage } else { 1.0 };
            Arc::make_mut(&mut self.hardware).input.scale = InputScale::Fixed(scale);
            report.input_scale = Some(scale);
        }
        let Some(range) = range else { return Ok(()) };
        let layouts = read::layouts(&self.terms);
        let recorders: Vec<Arc<Recorder>> =
            layouts.iter().map(|layout| Arc::new(Recorder::new(layout))).collect();
        let recording: Vec<Arc<dyn Converter>> =
            recorders.iter().map(|recorder| Arc::clone(recorder) as Arc<dyn Converter>).collect();
        for (index, input) in numbered(&inputs) {
            let mut output = vec![0.0; self.output_len(&input)];
            self.read(input, (index, Purpose::Calibration), &recording, &mut output)?;
        }
        drop(recording);
        let recorders = recorders.into_iter().filter_map(Arc::into_inner).collect();
        let word_lines = self.placement.physical.tile_shape()[0];
        let most = word_lines as f64 * max_voltage / self.hardware.device.model.r_on();
        let made = calibrate::full_scales(
            recorders,
            &layouts,
            (&converter, &self.converters),
            (range.per, range.fit),
            most as f32,
        )?;
        if made.silent > 0 {
            report.warnings.push(format!(
                "{} converters saw no current in calibration and took the largest range of the others",
                made.silent
            ));
        }
        report.full_scale = Some(made.full_scale);
        self.converters = Arc::new(made.converters);
        self.full_scales = Arc::new(made.full_scales);
        Ok(())
    }

    /// Fits gains (and constants) to the ideal output; gives r^2.
    pub(super) fn tune(
        &mut self,
        layer: &Layer<'_>,
        stream: Stream,
        report: &mut MatrixReport,
    ) -> Result<Option<f64>, MapError> {
        let tuning = self.hardware.tuning;
        let inputs = layer.inputs(("inputs", tuning.inputs), tuning.samples, stream)?;
        if tuning.per == PerWhat::Tile {
            return self.tune_tiles(layer, &inputs, report);
        }
        let columns = self.columns();
        let mut fit = tune::Fit::new(columns, &tuning);
        for (measured, ideal, positions) in self.measure(layer.weights, &inputs, Purpose::Tuning)? {
            fit.add(&measured, &ideal, positions);
        }
        let found = fit.finish();
        let slopes = tune::widen(&found.slopes, &self.gains);
        let gains = tune::widen(&self.gains, &found.slopes);
        self.gains = Arc::new(gains.iter().zip(slopes.iter()).map(|(gain, slope)| gain * slope).collect());
        self.intercepts = Arc::new(found.intercepts);
        Ok(found.r2)
    }

    /// A gain for every tile: the least squares weights of what the row tiles of a column of tiles give.
    fn tune_tiles(
        &mut self,
        layer: &Layer<'_>,
        inputs: &LayerInputs,
        report: &mut MatrixReport,
    ) -> Result<Option<f64>, MapError> {
        let layout = self.placement.read;
        let plain = self.converters.clone();
        // What each row of tiles gives alone.
        let mut parts = Vec::new();
        for row in 0..layout.tile_rows() {
            let one = |tile: usize| if tile % layout.tile_rows() == row { 1.0 } else { 0.0 };
            let gains: Arc<[f32]> = (0..layout.tile_count()).map(one).collect();
            self.converters = Arc::new(TileGains::wrap(&plain, &gains));
            parts.push(self.measure(layer.weights, inputs, Purpose::Tuning)?);
        }
        let mut fit = TileFit::new(layout, self.hardware.tuning.intercept);
        for at in 0..parts[0].len() {
            let (_, ideal, positions) = &parts[0][at];
            let rows: Vec<&[f32]> = parts.iter().map(|blocks| &blocks[at].0[..]).collect();
            fit.add(&rows, ideal, *positions);
        }
        let found = fit.finish();
        if found.ridges > 0 {
            report.warnings.push(format!(
                "the gains of {} columns of tiles are not determined by the inputs of tuning: a ridge holds them near the analytic gain",
                found.ridges
            ));
        }
        let gains: Arc<[f32]> = found.gains.iter().map(|gain| *gain as f32).collect();
        self.converters = Arc::new(TileGains::wrap(&plain, &gains));
        self.tile_gains = Some(found.gains.into());
        self.intercepts = Arc::new(found.intercepts);
        Ok(found.r2)
    }

    /// Measures the gain again with the inputs of tuning: one factor on the gains of all columns. `None`
    /// where the outputs say nothing.
    pub(super) fn compensate(&mut self, layer: &Layer<'_>, stream: Stream) -> Result<Option<f64>, MapError> {
        let samples = self.hardware.tuning_samples();
        let inputs = layer.inputs(("inputs", self.hardware.tuning.inputs), samples, stream)?;
        // Constants are added after the gain: they are not part of what is measured.
        let constants = std::mem::replace(&mut self.intercepts, Arc::new(vec![0.0]));
        let columns = self.columns();
        let mut fit = tune::Fit::new(columns, &Tuning { per: PerWhat::Layer, ..Tuning::default() });
        for (measured, mut ideal, positions) in self.measure(layer.weights, &inputs, Purpose::Compensation)? {
            for (run, values) in ideal.chunks_exact_mut(positions).enumerate() {
                let constant = tune::of(&constants, run % columns) as f32;
                values.iter_mut().for_each(|y| *y -= constant);
            }
            fit.add(&measured, &ideal, positions);
        }
        self.intercepts = constants;
        let found = fit.finish();
        let factor = found.slopes[0];
        Arc::make_mut(&mut self.gains).iter_mut().for_each(|gain| *gain *= factor);
        Ok(found.r2.map(|_| factor))
    }

    /// For each block of inputs what the hardware gives, what the weights themselves give, and the positions of
    /// a sample.
    #[allow(clippy::type_complexity)]
    fn measure(
        &self,
        weights: ArrayView3<'_, f32>,
        inputs: &LayerInputs,
        purpose: Purpose,
    ) -> Result<Vec<(Vec<f32>, Vec<f32>, usize)>, MapError> {
        let (groups, rows, columns) = weights.dim();
        let whole = Layout::new(groups, rows, columns, TileShape::Layer)?;
        let weights: Cow<'_, [f32]> = match weights.to_slice() {
            Some(weights) => Cow::Borrowed(weights),
            None => weights.iter().copied().collect(),
        };
        let operand = self.backend.pack(&whole, &weights)?;
        numbered(inputs)
            .map(|(index, input)| {
                let mut measured = vec![0.0; self.output_len(&input)];
                self.read(input, (index, purpose), &self.converters, &mut measured)?;
                let mut ideal = vec![0.0; measured.len()];
                let product = Product { input, converter: &Ideal, accumulate: Accumulate::Set };
                self.backend.multiply(&operand, &product, &mut ideal)?;
                let positions = match input {
                    Input::Patches { geometry, .. } => geometry.positions(),
                    _ => 1,
                };
                Ok((measured, ideal, positions))
            })
            .collect()
    }

    /// Outputs of one vector.
    fn columns(&self) -> usize {
        let [groups, _, columns] = self.placement.sizes();
        groups * columns
    }

    fn output_len(&self, input: &Input<'_>) -> usize {
        input.vectors() * self.columns()
    }
}

/// Inputs with the number of their first sample.
fn numbered(inputs: &LayerInputs) -> impl Iterator<Item = (ReadIndex, Input<'_>)> {
    inputs.inputs().scan(0, |first_sample, input| {
        let index = ReadIndex { first_sample: *first_sample, ..ReadIndex::default() };
        *first_sample += match input {
            Input::Patches { samples, .. } => samples,
            other => other.vectors(),
        };
        Some((index, input))
    })
}
