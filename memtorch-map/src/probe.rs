//! Inputs that a layer is tuned and calibrated with.

use memtorch_crossbar::{Input, PatchGeometry};
use memtorch_devices::Stream;

use crate::matrix::Usage;

/// What a layer sees in the digital network, sample after sample: recorded there, and given to
/// [`MappedMatrix::with_inputs`](crate::MappedMatrix::with_inputs).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayerInputs {
    blocks: Vec<Block>,
}

/// What a layer saw at once.
#[derive(Clone, Debug, PartialEq)]
struct Block {
    sample: usize,
    values: Vec<f32>,
    /// Rows or images.
    count: usize,
    geometry: Option<PatchGeometry>,
}

impl LayerInputs {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what the layer sees of a sample of the network; a layer may see several inputs of one sample.
    pub fn push(&mut self, sample: usize, input: Input<'_>) {
        self.blocks.extend(match input {
            Input::Rows { values, rows } => {
                Some(Block { sample, values: values.to_vec(), count: rows, geometry: None })
            }
            Input::Patches { values, samples, geometry } => {
                Some(Block { sample, values: values.to_vec(), count: samples, geometry: Some(*geometry) })
            }
            // Nothing else can be multiplied with.
            _ => None,
        });
    }

    /// Of the samples below this number.
    pub(crate) fn of_samples(&self, samples: usize) -> Self {
        Self { blocks: self.blocks.iter().filter(|block| block.sample < samples).cloned().collect() }
    }

    /// Uniform numbers in [-1, 1): `samples` vectors of `features`, or `samples` images of 32, 32 x 32 or
    /// 8 x 8 x 8 elements a channel, enlarged where the kernel does not fit.
    pub(crate) fn uniform(usage: &Usage, features: usize, samples: usize, stream: Stream) -> Self {
        let (len, geometry) = match usage {
            Usage::Rows => (features, None),
            Usage::Patches { geometry, dimensions } => {
                let geometry = resized(geometry, *dimensions);
                (geometry.image_len(), Some(geometry))
            }
        };
        let mut values = Vec::with_capacity(samples * len);
        for sample in 0..samples {
            for block in 0..len.div_ceil(4) {
                let words = stream.words([block as u32, sample as u32, 0], 0);
                let left = (len - block * 4).min(4);
                // 24 bits, which an f32 holds exactly.
                values.extend(words[..left].iter().map(|w| (w >> 8) as f32 * (1.0 / 8_388_608.0) - 1.0));
            }
        }
        Self { blocks: vec![Block { sample: 0, values, count: samples, geometry }] }
    }

    /// The inputs as products take them.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = Input<'_>> {
        self.blocks.iter().map(|block| match &block.geometry {
            None => Input::Rows { values: &block.values, rows: block.count },
            Some(geometry) => Input::Patches { values: &block.values, samples: block.count, geometry },
        })
    }

    /// The largest magnitude.
    pub(crate) fn largest(&self) -> f32 {
        self.blocks.iter().flat_map(|block| &block.values).fold(0.0, |m, x| m.max(x.abs()))
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.blocks.iter().all(|block| block.values.is_empty())
    }
}

/// The same kernel on the image that tuning uses.
fn resized(geometry: &PatchGeometry, dimensions: usize) -> PatchGeometry {
    let side = if dimensions == 3 { 8 } else { 32 };
    let mut resized = *geometry;
    for axis in 0..3 {
        let extent = geometry.dilation[axis] * (geometry.kernel[axis] - 1) + 1;
        let size = if axis < 3 - dimensions { 1 } else { side.max(extent) };
        resized.input[axis] = size;
        // The zeros before the image are the layer's own; as many are put after it.
        let padded = size + 2 * geometry.padding[axis];
        resized.output[axis] = (padded - extent) / geometry.stride[axis] + 1;
    }
    resized
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_for_tuning_grow_with_the_kernel() {
        let geometry = PatchGeometry {
            channels: 2,
            input: [1, 1, 100],
            kernel: [1, 1, 9],
            stride: [1, 1, 3],
            dilation: [1, 1, 5],
            padding: [0, 0, 2],
            output: [1, 1, 22],
        };
        let usage = Usage::Patches { geometry, dimensions: 1 };
        let probe = LayerInputs::uniform(&usage, 18, 3, Stream::root(0, 0));
        let Some(Input::Patches { values, samples, geometry }) = probe.inputs().next() else {
            panic!("patches")
        };
        // The kernel covers 41 elements; 41 + 2 * 2 leave two positions at stride 3.
        assert_eq!((geometry.input, geometry.output, samples), ([1, 1, 41], [1, 1, 2], 3));
        assert_eq!(values.len(), 3 * 2 * 41);
        assert!(values.iter().all(|x| (-1.0..1.0).contains(x)));
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        assert!(mean.abs() < 5.0 / (3.0 * values.len() as f32).sqrt());
    }

    #[test]
    fn the_first_samples_are_taken() {
        let mut recorded = LayerInputs::new();
        for sample in 0..3 {
            // Two steps of each sample.
            for step in 0..2 {
                let value = (10 * sample + step) as f32;
                recorded.push(sample, Input::Rows { values: &[value, -value], rows: 1 });
            }
        }
        let two = recorded.of_samples(2);
        assert_eq!((two.inputs().count(), two.largest()), (4, 11.0));
        assert!(recorded.of_samples(0).is_empty());
    }
}
