use memtorch_crossbar::{Input, PatchGeometry};
use memtorch_map::Usage;
use ndarray::Array3;

use super::{Linear, Parts};
use crate::Tensor;
use crate::build::Found;
use crate::ops::{Fault, Inputs, Operator, Refusal, Windows};
use crate::run::Run;
use crate::tensor::filled;

/// Where a transposed convolution is cut.
#[derive(Clone, Debug)]
enum Edges {
    /// So much before and after each axis.
    Pads(Vec<usize>),
    /// To a size, what is too much being cut evenly; an odd one before (or after) the result.
    Size { sizes: Option<Vec<usize>>, odd_after: bool },
}

/// A transposed convolution with constant weights: each pixel is multiplied with the matrix
/// `[channels, outputs * kernel]` of its group, and the results are added digitally where they overlap.
#[derive(Clone, Debug)]
struct Transposed {
    layer: usize,
    channels: usize,
    outputs: usize,
    kernel: Vec<usize>,
    strides: Vec<usize>,
    dilations: Vec<usize>,
    extra: Vec<usize>,
    edges: Edges,
}

pub(super) fn make<'a>(parts: &Parts<'a>, found: &mut Vec<Found<'a>>) -> Result<Linear, Refusal> {
    let a = &parts.attributes;
    let groups = parts.groups()?;
    let (tensor, values) = parts.weights(1)?;
    let shape = tensor.shape();
    let rank = shape.len().saturating_sub(2);
    if rank == 0 {
        return Err(format!("weights of shape {shape:?}: expected channels, outputs and a kernel").into());
    }
    if rank > 3 {
        return Err(Refusal::Unsupported(format!("of {rank} axes")));
    }
    let (channels, kernel) = (shape[0], shape[2..].to_vec());
    if channels % groups != 0 {
        return Err(format!("{channels} channels in {groups} groups: expected a multiple").into());
    }
    let outputs = shape[1].checked_mul(groups).ok_or_else(|| "too many outputs".to_owned())?;
    let list = |name: &str, low: usize, n: usize| -> Result<Option<Vec<usize>>, String> {
        match a.sizes(name, low)? {
            Some(list) if list.len() != n => Err(format!("{name} = {list:?}: expected {n} numbers")),
            other => Ok(other),
        }
    };
    if let Some(stated) = list("kernel_shape", 1, rank)?
        && stated != kernel
    {
        return Err(format!("kernel_shape = {stated:?}: expected {kernel:?}, as the weights have").into());
    }
    let strides = list("strides", 1, rank)?.unwrap_or_else(|| vec![1; rank]);
    let dilations = list("dilations", 1, rank)?.unwrap_or_else(|| vec![1; rank]);
    let extra = list("output_padding", 0, rank)?.unwrap_or_else(|| vec![0; rank]);
    let pads = list("pads", 0, 2 * rank)?.unwrap_or_else(|| vec![0; 2 * rank]);
    let sizes = list("output_shape", 1, rank)?;
    let edges = match (a.text("auto_pad", "NOTSET")?, sizes) {
        ("SAME_UPPER", sizes) => Edges::Size { sizes, odd_after: true },
        ("SAME_LOWER", sizes) => Edges::Size { sizes, odd_after: false },
        ("NOTSET" | "" | "VALID", sizes @ Some(_)) => Edges::Size { sizes, odd_after: false },
        ("NOTSET" | "", None) => Edges::Pads(pads),
        ("VALID", None) => Edges::Pads(vec![0; 2 * rank]),
        (other, _) => {
            return Err(
                format!("auto_pad = {other:?}: expected NOTSET, VALID, SAME_UPPER or SAME_LOWER").into()
            );
        }
    };
    let (rows, columns) = (channels / groups, shape[1] * kernel.iter().product::<usize>());
    // The weights are stored as [group, channel, output and kernel element]: this very matrix.
    let weights =
        Array3::from_shape_vec((groups, rows, columns), values.to_vec()).map_err(|e| e.to_string())?;
    let side = if rank == 3 { 8 } else { 32 };
    let geometry = pixels(channels, &vec![side; rank]);
    found.push(Found {
        value: parts.value(1),
        named_after: parts.value(1),
        part: "",
        weights,
        bias: parts.list(2, outputs),
        usage: Usage::Patches { geometry, dimensions: rank },
    });
    Ok(Linear::Layers(Box::new(move |layers| {
        Box::new(Transposed { layer: layers[0], channels, outputs, kernel, strides, dilations, extra, edges })
    })))
}

/// Every pixel of an image of these sizes.
fn pixels(channels: usize, sizes: &[usize]) -> PatchGeometry {
    let mut image = [1; 3];
    image[3 - sizes.len()..].copy_from_slice(sizes);
    PatchGeometry {
        channels,
        input: image,
        kernel: [1; 3],
        stride: [1; 3],
        dilation: [1; 3],
        padding: [0; 3],
        output: image,
    }
}

impl Transposed {
    /// The convolution of which this is the transposed one: windows over the result, one for each pixel of
    /// the input.
    fn windows(&self, image: &[usize]) -> Result<Windows, String> {
        let rank = image.len();
        let mut windows = Windows::unit(rank);
        for i in 0..rank {
            let at = 3 - rank + i;
            let too_large = || format!("a result for an image of shape {image:?} is too large");
            let spread = image[i].saturating_sub(1).checked_mul(self.strides[i]);
            let extent = (self.kernel[i].saturating_sub(1)).checked_mul(self.dilations[i]);
            let whole =
                spread.zip(extent).and_then(|(a, b)| a.checked_add(b)?.checked_add(1 + self.extra[i]));
            let whole = whole.filter(|&n| n <= u32::MAX as usize).ok_or_else(too_large)?;
            let (begin, size) = match &self.edges {
                Edges::Pads(pads) => {
                    let (begin, end) = (pads[i], pads[rank + i]);
                    let size = whole.checked_sub(begin + end).filter(|&n| n > 0);
                    let expected = || format!("pads {begin} and {end} leave nothing of {whole} elements");
                    (begin, size.ok_or_else(expected)?)
                }
                Edges::Size { sizes, odd_after } => {
                    let size = sizes.as_ref().map_or(image[i] * self.strides[i], |sizes| sizes[i]);
                    let cut = whole.saturating_sub(size);
                    (if *odd_after { cut / 2 } else { cut - cut / 2 }, size)
                }
            };
            windows.input[at] = size;
            windows.kernel[at] = self.kernel[i];
            windows.stride[at] = self.strides[i];
            windows.dilation[at] = self.dilations[i];
            windows.begin[at] = begin;
            windows.output[at] = image[i];
        }
        Ok(windows)
    }

    /// Adds the products of one output channel `[kernel, pixels]` to its image.
    fn spread(w: &Windows, products: &[f32], image: &mut [f32]) {
        let pixels: usize = w.output.iter().product();
        let mut taps = products.chunks_exact(pixels);
        for kd in 0..w.kernel[0] {
            let (depths, d0) = w.inside(0, kd);
            for kh in 0..w.kernel[1] {
                let (heights, h0) = w.inside(1, kh);
                for kw in 0..w.kernel[2] {
                    let (widths, w0) = w.inside(2, kw);
                    let Some(tap) = taps.next() else { return };
                    if widths.is_empty() {
                        continue;
                    }
                    for (i, d) in depths.clone().enumerate() {
                        for (j, h) in heights.clone().enumerate() {
                            let row = (d0 + i * w.stride[0]) * w.input[1] + h0 + j * w.stride[1];
                            let to = image[row * w.input[2] + w0..].iter_mut().step_by(w.stride[2]);
                            let from = &tap[(d * w.output[1] + h) * w.output[2]..][widths.clone()];
                            to.zip(from).for_each(|(y, x)| *y += x);
                        }
                    }
                }
            }
        }
    }
}

impl Operator for Transposed {
    fn run(&self, mut inputs: Inputs, run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let x = inputs.real(0)?;
        let shape = x.shape();
        if shape.len() != self.kernel.len() + 2 || shape[1] != self.channels {
            let expected = format!("batch, {} channels and {} axes", self.channels, self.kernel.len());
            return Err(format!("an input of shape {shape:?}: expected {expected}").into());
        }
        let (samples, size) = (shape[0], &shape[2..]);
        let windows = self.windows(size)?;
        let geometry = pixels(self.channels, size);
        let positions = geometry.positions();
        let taps: usize = self.kernel.iter().product();
        let mut products = filled(&[samples, self.outputs, taps, positions], 0.0f32)?;
        let values = x.as_f32().unwrap_or(&[]);
        run.multiply(self.layer, Input::Patches { values, samples, geometry: &geometry }, &mut products)?;
        let mut result = vec![samples, self.outputs];
        result.extend_from_slice(&windows.input[3 - size.len()..]);
        let mut y = filled(&result, 0.0f32)?;
        let bias = inputs.maybe(2);
        let bias = match &bias {
            Some(bias) => {
                let list = bias.as_f32().filter(|b| b.len() == self.outputs);
                Some(list.ok_or_else(|| format!("the bias: expected {} real numbers", self.outputs))?)
            }
            None => None,
        };
        let (image, product) = (windows.input.iter().product::<usize>(), taps * positions);
        if image > 0 && product > 0 {
            let pairs = y.chunks_exact_mut(image).zip(products.chunks_exact(product));
            for (i, (image, products)) in pairs.enumerate() {
                Self::spread(&windows, products, image);
                if let Some(bias) = bias {
                    let b = bias[i % self.outputs];
                    image.iter_mut().for_each(|y| *y += b);
                }
            }
        }
        Ok(vec![Tensor::new(&result, y)?])
    }
}
