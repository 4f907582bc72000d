//! Pooling over windows and over whole images.

use std::ops::Range;

use super::{Fault, Inputs, Made, Making, Operator, Refusal, Window, Windows};
use crate::Tensor;
use crate::kernel::{Loop, widest};
use crate::run::Run;
use crate::tensor::unfilled;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Max,
    Average {
        count_padding: bool,
    },
    /// The p-norm.
    Lp(i64),
}

#[derive(Clone, Debug)]
struct Pool {
    kind: Kind,
    window: Window,
}

#[derive(Clone, Copy, Debug)]
struct Global {
    kind: Kind,
}

pub(super) fn make(name: &str, making: &Making<'_>) -> Option<Made> {
    let a = &making.attributes;
    let made = match name {
        "MaxPool" => (|| {
            if making.outputs > 1 {
                return Err(Refusal::Unsupported("with indices".to_owned()));
            }
            // The order of indices, which are not made.
            a.ignore("storage_order");
            pool(Kind::Max, making)
        })(),
        "AveragePool" => (|| {
            let count_padding = a.flag("count_include_pad", false)?;
            pool(Kind::Average { count_padding }, making)
        })(),
        "LpPool" => (|| pool(Kind::Lp(a.whole("p", 2)?), making))(),
        "GlobalMaxPool" => Ok(Box::new(Global { kind: Kind::Max }) as Box<dyn Operator>),
        "GlobalAveragePool" => Ok(Box::new(Global { kind: Kind::Average { count_padding: false } }) as _),
        "GlobalLpPool" => (|| Ok(Box::new(Global { kind: Kind::Lp(a.whole("p", 2)?) }) as _))(),
        _ => return None,
    };
    Some(made)
}

fn pool(kind: Kind, making: &Making<'_>) -> Made {
    let window = Window::new(making)?;
    if window.kernel.is_none() {
        return Err("attribute kernel_shape is missing".into());
    }
    if let Kind::Lp(p) = kind
        && p < 1
    {
        return Err(format!("p = {p}: expected at least 1").into());
    }
    Ok(Box::new(Pool { kind, window }))
}

/// Batch and channels, and the image behind them.
fn image(tensor: &Tensor) -> Result<(usize, &[usize]), String> {
    let shape = tensor.shape();
    if shape.len() < 3 {
        return Err(format!("shape {shape:?}: expected batch, channels and an image"));
    }
    Ok((shape[0] * shape[1], &shape[2..]))
}

impl Operator for Pool {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let tensor = inputs.real(0)?;
        let (channels, size) = image(&tensor)?;
        let w = self.window.over(size, self.window.kernel.as_deref().unwrap_or(&[]))?;
        let values = tensor.as_f32().unwrap_or(&[]);
        let mut shape = tensor.shape()[..2].to_vec();
        shape.extend_from_slice(w.output_shape());
        let start = if self.kind == Kind::Max { f32::NEG_INFINITY } else { 0.0 };
        let mut result = unfilled(&shape)?;
        result.fill(start);
        let (in_len, out_len) = (w.input.iter().product::<usize>(), w.output.iter().product::<usize>());
        if channels * in_len * out_len > 0 {
            let share = divisors(self.kind, &w);
            let mut row = vec![0.0; w.input[2]];
            let taps: Vec<_> = (0..w.kernel[2]).map(|tap| w.inside(2, tap)).collect();
            for (image, out) in values.chunks_exact(in_len).zip(result.chunks_exact_mut(out_len)) {
                match self.kind {
                    Kind::Max => widest(Maxima { w: &w, taps: &taps, image, out, row: &mut row }),
                    Kind::Average { .. } => {
                        sweep(&w, image, out, |y, x| *y += x);
                        out.iter_mut().zip(&share).for_each(|(y, n)| *y /= n);
                    }
                    Kind::Lp(1) => sweep(&w, image, out, |y, x| *y += x.abs()),
                    Kind::Lp(2) => {
                        sweep(&w, image, out, |y, x| *y += x * x);
                        out.iter_mut().for_each(|y| *y = y.sqrt());
                    }
                    Kind::Lp(p) => {
                        sweep(&w, image, out, |y, x| *y += x.abs().powf(p as f32));
                        out.iter_mut().for_each(|y| *y = y.powf(1.0 / p as f32));
                    }
                }
            }
        }
        Ok(vec![Tensor::new(&shape, result)?])
    }
}

/// A NaN in a window is its maximum.
#[inline(always)]
fn maximum(y: f32, x: f32) -> f32 {
    if x > y || x.is_nan() { x } else { y }
}

/// The maxima of all windows: first down the columns of the rows that a window covers, which are
/// neighbours, then along the `row` of maxima. `out` holds negative infinity.
struct Maxima<'a> {
    w: &'a Windows,
    /// For each kernel element along a row: which windows have it inside the image, and where the first has it.
    taps: &'a [(Range<usize>, usize)],
    image: &'a [f32],
    out: &'a mut [f32],
    row: &'a mut [f32],
}

impl Loop for Maxima<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { w, taps, image, out, row } = self;
        let inside = |axis: usize, at: usize| {
            let (begin, stride, dilation) = (w.begin[axis], w.stride[axis], w.dilation[axis]);
            (0..w.kernel[axis])
                .filter_map(move |tap| (at * stride + tap * dilation).checked_sub(begin))
                .filter(move |&i| i < w.input[axis])
        };
        for d in 0..w.output[0] {
            for h in 0..w.output[1] {
                row.fill(f32::NEG_INFINITY);
                for depth in inside(0, d) {
                    for height in inside(1, h) {
                        let from = &image[(depth * w.input[1] + height) * w.input[2]..];
                        row.iter_mut().zip(from).for_each(|(y, &x)| *y = maximum(*y, x));
                    }
                }
                let out = &mut out[(d * w.output[1] + h) * w.output[2]..][..w.output[2]];
                for (widths, first) in taps.iter().filter(|(widths, _)| !widths.is_empty()) {
                    let out = &mut out[widths.clone()];
                    match w.stride[2] {
                        1 => out.iter_mut().zip(&row[*first..]).for_each(|(y, &x)| *y = maximum(*y, x)),
                        2 => {
                            // A width that the compiler knows lets it take several at once.
                            let (last, out) = out.split_last_mut().expect("some windows");
                            let pairs = row[*first..].chunks_exact(2);
                            out.iter_mut().zip(pairs).for_each(|(y, pair)| *y = maximum(*y, pair[0]));
                            *last = maximum(*last, row[first + 2 * out.len()]);
                        }
                        stride => {
                            let from = row[*first..].iter().step_by(stride);
                            out.iter_mut().zip(from).for_each(|(y, &x)| *y = maximum(*y, x));
                        }
                    }
                }
            }
        }
    }
}

/// Calls `f` with each element of the result and each input in its window, kernel element by kernel
/// element, so that the innermost loop runs along a row.
#[inline]
fn sweep(w: &Windows, image: &[f32], out: &mut [f32], f: impl Fn(&mut f32, f32)) {
    for kd in 0..w.kernel[0] {
        let (depths, d0) = w.inside(0, kd);
        for kh in 0..w.kernel[1] {
            let (heights, h0) = w.inside(1, kh);
            for kw in 0..w.kernel[2] {
                let (widths, w0) = w.inside(2, kw);
                let n = widths.len();
                if n == 0 {
                    continue;
                }
                for (i, d) in depths.clone().enumerate() {
                    for (j, h) in heights.clone().enumerate() {
                        let row = (d0 + i * w.stride[0]) * w.input[1] + h0 + j * w.stride[1];
                        let from = &image[row * w.input[2] + w0..];
                        let to = &mut out[(d * w.output[1] + h) * w.output[2] + widths.start..][..n];
                        if w.stride[2] == 1 {
                            to.iter_mut().zip(from).for_each(|(y, &x)| f(y, x));
                        } else if w.stride[2] == 2 {
                            to.iter_mut().zip(from.iter().step_by(2)).for_each(|(y, &x)| f(y, x));
                        } else {
                            to.iter_mut().zip(from.iter().step_by(w.stride[2])).for_each(|(y, &x)| f(y, x));
                        }
                    }
                }
            }
        }
    }
}

/// By what each sum of an average is divided: the elements of its window in the image, or in the padded
/// image.
fn divisors(kind: Kind, w: &Windows) -> Vec<f32> {
    let Kind::Average { count_padding } = kind else { return Vec::new() };
    let along = |axis: usize| -> Vec<usize> {
        let (low, high) = if count_padding {
            (0, w.input[axis] + w.begin[axis] + w.end[axis])
        } else {
            (w.begin[axis], w.begin[axis] + w.input[axis])
        };
        let inside = |o: usize, tap: usize| {
            let at = o * w.stride[axis] + tap * w.dilation[axis];
            at >= low && at < high
        };
        (0..w.output[axis]).map(|o| (0..w.kernel[axis]).filter(|&tap| inside(o, tap)).count()).collect()
    };
    let (depths, heights, widths) = (along(0), along(1), along(2));
    let mut counts = Vec::with_capacity(depths.len() * heights.len() * widths.len());
    for d in &depths {
        for h in &heights {
            counts.extend(widths.iter().map(|w| (d * h * w) as f32));
        }
    }
    counts
}

impl Operator for Global {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let tensor = inputs.real(0)?;
        let (_, size) = image(&tensor)?;
        let n: usize = size.iter().product();
        if n == 0 {
            return Err(format!("shape {:?}: expected an image that is not empty", tensor.shape()).into());
        }
        let one = |image: &[f32]| match self.kind {
            Kind::Max => {
                image.iter().fold(f32::NEG_INFINITY, |y, &x| if x > y || x.is_nan() { x } else { y })
            }
            Kind::Average { .. } => (image.iter().map(|&x| f64::from(x)).sum::<f64>() / n as f64) as f32,
            Kind::Lp(p) => {
                let sum: f64 = image.iter().map(|&x| f64::from(x).abs().powi(p as i32)).sum();
                sum.powf(1.0 / p as f64) as f32
            }
        };
        let result = tensor.as_f32().unwrap_or(&[]).chunks_exact(n).map(one).collect();
        let mut shape = tensor.shape()[..2].to_vec();
        shape.resize(tensor.shape().len(), 1);
        Ok(vec![Tensor::new(&shape, result)?])
    }
}
