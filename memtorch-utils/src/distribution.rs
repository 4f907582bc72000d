//! Distributions of a physical parameter over devices.

use rand_distr::Distribution as _;
use rand_distr::{Gamma, StandardNormal, Weibull};

use crate::random::StreamRng;

/// The shape of a distribution, before limits.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase", deny_unknown_fields))]
#[non_exhaustive]
pub enum Shape {
    /// Gaussian with this mean and standard deviation.
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation, not negative.
        std: f64,
    },
    /// `median * exp(sigma_ln z)`, z standard normal.
    Lognormal {
        /// Median, positive.
        median: f64,
        /// Standard deviation of the natural logarithm, not negative.
        sigma_ln: f64,
    },
    /// Even between two bounds.
    Uniform {
        /// Lower bound.
        low: f64,
        /// Upper bound, not below the lower one.
        high: f64,
    },
    /// Gamma with this shape and scale.
    Gamma {
        /// Shape, positive.
        shape: f64,
        /// Scale, positive.
        scale: f64,
    },
    /// Weibull with this shape and scale.
    Weibull {
        /// Shape, positive.
        shape: f64,
        /// Scale, positive.
        scale: f64,
    },
}

/// A distribution whose parameters were checked, with optional limits to which draws are clamped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distribution {
    shape: Shape,
    min: f64,
    max: f64,
}

/// Why a distribution is not possible.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DistributionError {
    /// A parameter of the shape is out of its range.
    #[error("{parameter} = {value} of a {shape} distribution: expected {expected}")]
    Parameter {
        /// The shape's name.
        shape: &'static str,
        /// The parameter's name.
        parameter: &'static str,
        /// What was given.
        value: f64,
        /// What would have been right.
        expected: &'static str,
    },
    /// The lower limit is above the upper one, or one is not a number.
    #[error("limits min = {min}, max = {max}: expected numbers with min <= max")]
    Limits {
        /// Lower limit.
        min: f64,
        /// Upper limit.
        max: f64,
    },
}

impl Distribution {
    /// A distribution with these limits (infinite for none).
    ///
    /// # Errors
    /// A parameter that is not finite or out of its range; `min > max`.
    pub fn new(shape: Shape, min: f64, max: f64) -> Result<Self, DistributionError> {
        check(shape)?;
        if !(min <= max) {
            return Err(DistributionError::Limits { min, max });
        }
        Ok(Self { shape, min, max })
    }

    /// Gaussian without limits.
    ///
    /// # Errors
    /// A mean that is not finite, a negative standard deviation.
    pub fn normal(mean: f64, std: f64) -> Result<Self, DistributionError> {
        Self::new(Shape::Normal { mean, std }, f64::NEG_INFINITY, f64::INFINITY)
    }

    /// Lognormal without limits.
    ///
    /// # Errors
    /// A median that is not positive, a negative `sigma_ln`.
    pub fn lognormal(median: f64, sigma_ln: f64) -> Result<Self, DistributionError> {
        Self::new(Shape::Lognormal { median, sigma_ln }, f64::NEG_INFINITY, f64::INFINITY)
    }

    /// The shape without limits.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Lower and upper limit.
    pub fn limits(&self) -> (f64, f64) {
        (self.min, self.max)
    }

    /// The nominal value: the mean of the unlimited distribution, clamped to the limits.
    pub fn nominal(&self) -> f64 {
        let mean = match self.shape {
            Shape::Normal { mean, .. } => mean,
            Shape::Lognormal { median, sigma_ln } => median * (0.5 * sigma_ln * sigma_ln).exp(),
            Shape::Uniform { low, high } => 0.5 * (low + high),
            Shape::Gamma { shape, scale } => shape * scale,
            Shape::Weibull { shape, scale } => scale * gamma(1.0 + 1.0 / shape),
        };
        mean.clamp(self.min, self.max)
    }

    /// One draw, clamped to the limits.
    #[inline]
    pub fn sample(&self, rng: &mut StreamRng) -> f64 {
        let draw = match self.shape {
            Shape::Normal { mean, std } => mean + std * normal(rng),
            Shape::Lognormal { median, sigma_ln } => median * (sigma_ln * normal(rng)).exp(),
            Shape::Uniform { low, high } => low + (high - low) * rng.uniform(),
            // The parameters were checked when the distribution was made.
            Shape::Gamma { shape, scale } => Gamma::new(shape, scale).map_or(f64::NAN, |d| d.sample(rng)),
            Shape::Weibull { shape, scale } => Weibull::new(scale, shape).map_or(f64::NAN, |d| d.sample(rng)),
        };
        draw.clamp(self.min, self.max)
    }
}

#[inline]
fn normal(rng: &mut StreamRng) -> f64 {
    StandardNormal.sample(rng)
}

fn check(shape: Shape) -> Result<(), DistributionError> {
    let (name, rules): (_, [(&'static str, f64, bool, &'static str); 2]) = match shape {
        Shape::Normal { mean, std } => (
            "normal",
            [("mean", mean, true, "a finite number"), ("std", std, std >= 0.0, "a number of at least 0")],
        ),
        Shape::Lognormal { median, sigma_ln } => (
            "lognormal",
            [
                ("median", median, median > 0.0, "a positive number"),
                ("sigma_ln", sigma_ln, sigma_ln >= 0.0, "a number of at least 0"),
            ],
        ),
        Shape::Uniform { low, high } => (
            "uniform",
            [("low", low, true, "a finite number"), ("high", high, high >= low, "a number of at least low")],
        ),
        Shape::Gamma { shape, scale } => ("gamma", positive(shape, scale)),
        Shape::Weibull { shape, scale } => ("weibull", positive(shape, scale)),
    };
    for (parameter, value, right, expected) in rules {
        if !value.is_finite() || !right {
            return Err(DistributionError::Parameter { shape: name, parameter, value, expected });
        }
    }
    Ok(())
}

fn positive(shape: f64, scale: f64) -> [(&'static str, f64, bool, &'static str); 2] {
    [("shape", shape, shape > 0.0, "a positive number"), ("scale", scale, scale > 0.0, "a positive number")]
}

/// The gamma function for x > 0 by Lanczos' approximation (g = 7, 9 terms; relative error below 1e-13).
fn gamma(x: f64) -> f64 {
    const TERMS: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    let x = x - 1.0;
    let sum = (1..9).fold(TERMS[0], |sum, i| sum + TERMS[i] / (x + i as f64));
    let t = x + 7.5;
    (2.0 * std::f64::consts::PI).sqrt() * t.powf(x + 0.5) * (-t).exp() * sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stream;

    #[test]
    fn means_agree_with_the_nominal_value() {
        let shapes = [
            Shape::Normal { mean: 3.0, std: 2.0 },
            Shape::Lognormal { median: 2.0, sigma_ln: 0.5 },
            Shape::Uniform { low: -1.0, high: 4.0 },
            Shape::Gamma { shape: 2.5, scale: 3.0 },
            Shape::Weibull { shape: 1.7, scale: 2.0 },
        ];
        let n = 100_000u32;
        for shape in shapes {
            let d = Distribution::new(shape, f64::NEG_INFINITY, f64::INFINITY).unwrap();
            let draws: Vec<f64> = (0..n).map(|i| d.sample(&mut Stream::root(1, 0).at([i, 0, 0]))).collect();
            let mean = draws.iter().sum::<f64>() / f64::from(n);
            let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / f64::from(n);
            // Five standard errors.
            let bound = 5.0 * (variance / f64::from(n)).sqrt();
            assert!((mean - d.nominal()).abs() < bound, "{shape:?} {mean} {}", d.nominal());
        }
    }

    #[test]
    fn limits_clamp_draws_and_the_nominal_value() {
        let d = Distribution::new(Shape::Normal { mean: 0.0, std: 1.0 }, 0.5, 0.6).unwrap();
        assert_eq!(d.nominal(), 0.5);
        let x = d.sample(&mut Stream::root(0, 0).at([0, 0, 0]));
        assert!((0.5..=0.6).contains(&x));
    }

    #[test]
    fn impossible_parameters_are_named() {
        let e = Distribution::normal(0.0, -1.0).unwrap_err();
        assert!(e.to_string().contains("std = -1"), "{e}");
        assert!(Distribution::normal(f64::NAN, 1.0).is_err());
        assert!(Distribution::new(Shape::Uniform { low: 0.0, high: 1.0 }, 2.0, 1.0).is_err());
        assert!(Distribution::new(Shape::Uniform { low: 0.0, high: 1.0 }, f64::NAN, 1.0).is_err());
    }
}
