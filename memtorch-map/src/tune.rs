//! Finding the gain of a layer by least squares.

use std::borrow::Cow;

use memtorch_crossbar::{Input, PatchGeometry};
use memtorch_devices::Stream;

use crate::Tuning;
use crate::hardware::PerWhat;
use crate::matrix::Usage;

/// Inputs that a layer is tuned with.
#[derive(Debug)]
pub(crate) struct Probe {
    values: Vec<f32>,
    samples: usize,
    geometry: Option<PatchGeometry>,
}

impl Probe {
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
        Self { values, samples, geometry }
    }

    /// The inputs as a product takes them.
    pub(crate) fn input(&self) -> Input<'_> {
        match &self.geometry {
            None => Input::Rows { values: &self.values, rows: self.samples },
            Some(geometry) => Input::Patches { values: &self.values, samples: self.samples, geometry },
        }
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

/// What a fit gave: factors on the analytic gains, and constants.
#[derive(Debug)]
pub(crate) struct Fit {
    /// One, or one a column.
    pub(crate) slopes: Vec<f64>,
    /// One, or one a column.
    pub(crate) intercepts: Vec<f64>,
    /// Share of the variance explained, all columns together.
    pub(crate) r2: Option<f64>,
}

/// Sums of a regression of y on x.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    n: f64,
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
    yy: f64,
}

impl Sums {
    fn add(&mut self, x: f32, y: f32) {
        let (x, y) = (f64::from(x), f64::from(y));
        self.n += 1.0;
        self.x += x;
        self.y += y;
        self.xx += x * x;
        self.xy += x * y;
        self.yy += y * y;
    }

    /// Slope and constant, `None` where x tells nothing.
    fn fit(&self, intercept: bool) -> Option<(f64, f64)> {
        if !intercept {
            return (self.xx > 0.0).then(|| (self.xy / self.xx, 0.0));
        }
        let variance = self.xx - self.x * self.x / self.n;
        // Below this, what is left of the variance is rounding.
        (variance > 1e-12 * self.xx).then(|| {
            let slope = (self.xy - self.x * self.y / self.n) / variance;
            (slope, (self.y - slope * self.x) / self.n)
        })
    }

    /// Sum of squared errors of a fit.
    fn error(&self, slope: f64, constant: f64) -> f64 {
        let quadratic = self.yy + slope * slope * self.xx + self.n * constant * constant;
        (quadratic + 2.0 * (slope * constant * self.x - slope * self.xy - constant * self.y)).max(0.0)
    }

    /// Sum of squares of y about its mean.
    fn total(&self) -> f64 {
        (self.yy - self.y * self.y / self.n).max(0.0)
    }
}

/// Regresses the ideal output on what the hardware gives with the analytic gain. Both are laid out as
/// [`Input`] states, with `columns` outputs; sums are in f64 and in the order of the output.
pub(crate) fn fit(
    hardware: &[f32],
    ideal: &[f32],
    columns: usize,
    input: &Input<'_>,
    tuning: &Tuning,
) -> Fit {
    let positions = match input {
        Input::Patches { geometry, .. } => geometry.positions(),
        _ => 1,
    };
    let groups = match tuning.per {
        PerWhat::Layer => 1,
        PerWhat::Column => columns,
    };
    let mut sums = vec![Sums::default(); groups];
    for (run, (x, y)) in hardware.chunks_exact(positions).zip(ideal.chunks_exact(positions)).enumerate() {
        let group = if groups == 1 { 0 } else { run % columns };
        for (x, y) in x.iter().zip(y) {
            sums[group].add(*x, *y);
        }
    }
    let mut fit = Fit { slopes: Vec::new(), intercepts: Vec::new(), r2: None };
    let (mut error, mut total) = (0.0, 0.0);
    for sums in &sums {
        let found = sums.fit(tuning.intercept);
        let (slope, constant) = found.unwrap_or((1.0, 0.0));
        if found.is_some() {
            error += sums.error(slope, constant);
            total += sums.total();
        }
        fit.slopes.push(slope);
        fit.intercepts.push(constant);
    }
    fit.r2 = (total > 0.0).then(|| 1.0 - error / total);
    fit
}

/// Element `at` of a list that has one value for all or one for each.
pub(crate) fn of<T: Copy>(list: &[T], at: usize) -> T {
    if list.len() == 1 { list[0] } else { list[at] }
}

/// A list with one value for all or one for each, as the other list has it.
pub(crate) fn widen<'a>(list: &'a [f64], like: &[f64]) -> Cow<'a, [f64]> {
    if list.len() == 1 && like.len() > 1 {
        Cow::Owned(vec![list[0]; like.len()])
    } else {
        Cow::Borrowed(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PER_LAYER: Tuning = Tuning { samples: 4, per: PerWhat::Layer, intercept: false };

    #[test]
    fn a_line_is_found_exactly() {
        let x: Vec<f32> = (0..32).map(|i| i as f32 - 11.0).collect();
        let y: Vec<f32> = x.iter().map(|x| 3.0 * x + 2.0).collect();
        let input = Input::Rows { values: &[], rows: 16 };
        let found = fit(&x, &y, 2, &input, &Tuning { intercept: true, ..PER_LAYER });
        assert!((found.slopes[0] - 3.0).abs() < 1e-12 && (found.intercepts[0] - 2.0).abs() < 1e-12);
        assert!((found.r2.unwrap() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn columns_are_fitted_alone_in_both_shapes_of_output() {
        // Column 0 doubles, column 1 halves, column 2 says nothing and keeps the analytic gain.
        let rows: Vec<f32> = vec![1.0, 4.0, 0.0, 3.0, 8.0, 0.0];
        let ideal: Vec<f32> = vec![2.0, 2.0, 5.0, 6.0, 4.0, 7.0];
        let per_column = Tuning { per: PerWhat::Column, ..PER_LAYER };
        let input = Input::Rows { values: &[], rows: 2 };
        assert_eq!(fit(&rows, &ideal, 3, &input, &per_column).slopes, [2.0, 0.5, 1.0]);
        let geometry = PatchGeometry {
            channels: 1,
            input: [1, 1, 2],
            kernel: [1; 3],
            stride: [1; 3],
            dilation: [1; 3],
            padding: [0; 3],
            output: [1, 1, 2],
        };
        let (patches, ideal) = ([1.0, 3.0, 4.0, 8.0, 0.0, 0.0], [2.0, 6.0, 2.0, 4.0, 5.0, 7.0]);
        let input = Input::Patches { values: &[], samples: 1, geometry: &geometry };
        assert_eq!(fit(&patches, &ideal, 3, &input, &per_column).slopes, [2.0, 0.5, 1.0]);
    }

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
        let probe = Probe::uniform(&Usage::Patches { geometry, dimensions: 1 }, 18, 3, Stream::root(0, 0));
        let Input::Patches { values, samples, geometry } = probe.input() else { panic!("patches") };
        // The kernel covers 41 elements; 41 + 2 * 2 leave two positions at stride 3.
        assert_eq!((geometry.input, geometry.output, samples), ([1, 1, 41], [1, 1, 2], 3));
        assert_eq!(values.len(), 3 * 2 * 41);
        assert!(values.iter().all(|x| (-1.0..1.0).contains(x)));
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        assert!(mean.abs() < 5.0 / (3.0 * values.len() as f32).sqrt());
    }
}
