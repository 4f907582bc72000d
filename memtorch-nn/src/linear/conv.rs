use memtorch_crossbar::{Input, PatchGeometry};
use memtorch_map::Usage;
use ndarray::Array3;

use super::{Linear, Parts};
use crate::Tensor;
use crate::build::Found;
use crate::kernel::wide;
use crate::ops::{Fault, Inputs, Operator, Refusal, Window, Windows};
use crate::run::Run;
use crate::tensor::unfilled;

/// A convolution of one to three axes with constant weights.
#[derive(Clone, Debug)]
struct Conv {
    layer: usize,
    window: Window,
    kernel: Vec<usize>,
    channels: usize,
    outputs: usize,
}

pub(super) fn make<'a>(parts: &Parts<'a>, found: &mut Vec<Found<'a>>) -> Result<Linear, Refusal> {
    let a = &parts.attributes;
    let groups = parts.groups()?;
    let window = Window::from_attributes(a)?;
    let (tensor, values) = parts.weights(1)?;
    let shape = tensor.shape();
    let rank = shape.len().saturating_sub(2);
    if rank == 0 {
        return Err(format!("weights of shape {shape:?}: expected outputs, channels and a kernel").into());
    }
    if rank > 3 {
        return Err(Refusal::Unsupported(format!("of {rank} axes")));
    }
    let (outputs, per_group, kernel) = (shape[0], shape[1], shape[2..].to_vec());
    if let Some(stated) = &window.kernel
        && *stated != kernel
    {
        return Err(format!("kernel_shape = {stated:?}: expected {kernel:?}, as the weights have").into());
    }
    if outputs % groups != 0 {
        return Err(format!("{outputs} outputs in {groups} groups: expected a multiple").into());
    }
    let channels = per_group.checked_mul(groups).ok_or_else(|| "too many channels".to_owned())?;
    // A word line is an element of a patch, a bit line an output of the group.
    let (rows, columns) = (per_group * kernel.iter().product::<usize>(), outputs / groups);
    let weights =
        Array3::from_shape_fn((groups, rows, columns), |(g, r, c)| values[(g * columns + c) * rows + r]);
    // Automatic padding depends on the image; tuning has one of 32 (of three axes 8) elements a side.
    let side = if rank == 3 { 8 } else { 32 };
    let sides: Vec<usize> = kernel.iter().map(|&k| side.max(k)).collect();
    let at = match window.over(&sides, &kernel) {
        Ok(windows) => windows,
        // Large dilations do not fit there: explicit padding is the same for every image.
        Err(_) => window.over(&vec![1 << 24; rank], &kernel)?,
    };
    let usage = Usage::Patches { geometry: geometry(channels, &at), dimensions: rank };
    found.push(Found {
        value: parts.value(1),
        named_after: parts.value(1),
        part: "",
        weights,
        bias: parts.list(2, outputs),
        usage,
    });
    Ok(Linear::Layers(Box::new(move |layers| {
        Box::new(Conv { layer: layers[0], window, kernel, channels, outputs })
    })))
}

fn geometry(channels: usize, windows: &Windows) -> PatchGeometry {
    PatchGeometry {
        channels,
        input: windows.input,
        kernel: windows.kernel,
        stride: windows.stride,
        dilation: windows.dilation,
        padding: windows.begin,
        output: windows.output,
    }
}

impl Operator for Conv {
    fn run(&self, mut inputs: Inputs, run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let x = inputs.real(0)?;
        let shape = x.shape();
        if shape.len() != self.kernel.len() + 2 || shape[1] != self.channels {
            let expected = format!("batch, {} channels and {} axes", self.channels, self.kernel.len());
            return Err(format!("an input of shape {shape:?}: expected {expected}").into());
        }
        let windows = self.window.over(&shape[2..], &self.kernel)?;
        let geometry = geometry(self.channels, &windows);
        let mut result = vec![shape[0], self.outputs];
        result.extend_from_slice(windows.output_shape());
        let mut y = unfilled(&result)?;
        let input =
            Input::Patches { values: x.as_f32().unwrap_or(&[]), samples: shape[0], geometry: &geometry };
        run.multiply(self.layer, input, &mut y)?;
        if let Some(bias) = inputs.maybe(2) {
            let bias = bias.as_f32().filter(|b| b.len() == self.outputs);
            let bias = bias.ok_or_else(|| format!("the bias: expected {} real numbers", self.outputs))?;
            let positions = geometry.positions();
            if positions > 0 {
                let channels = y.chunks_exact_mut(positions).zip(bias.iter().cycle());
                wide(|| channels.for_each(|(channel, &b)| channel.iter_mut().for_each(|y| *y += b)));
            }
        }
        Ok(vec![Tensor::new(&result, y)?])
    }
}
