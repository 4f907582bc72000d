//! Arrays to act on, and distances between draws and a distribution.

#![allow(dead_code, reason = "not every test file uses all of it")]

use memtorch_crossbar::{Array, Layout, TileShape};
use memtorch_devices::{DeviceSpec, Stream, models};
use memtorch_utils::config::{Table, Value};

pub(crate) const R_ON: f64 = 1.4e4;
pub(crate) const R_OFF: f64 = 5e5;

pub(crate) fn spec() -> DeviceSpec {
    let vteam = models::MODELS.iter().find(|m| m.name == "vteam").unwrap();
    let table = Table::from_iter([("r_on", Value::Real(R_ON)), ("r_off", Value::Real(R_OFF))]);
    DeviceSpec::configure(vteam, &table).unwrap()
}

/// An array of odd tiles, programmed to these conductances.
pub(crate) fn programmed(rows: usize, columns: usize, targets: impl Fn(usize) -> f64) -> Array {
    let tile = TileShape::Sized { word_lines: 60, bit_lines: 17 };
    let layout = Layout::new(1, rows, columns, tile).unwrap();
    let mut array = Array::fabricate(layout, &spec(), Stream::root(0, 0)).unwrap().0;
    array.settle();
    let targets: Vec<f64> = (0..rows * columns).map(targets).collect();
    array.program(&targets).unwrap();
    array
}

/// The error function of Abramowitz and Stegun 7.1.26: within 1.5e-7.
pub(crate) fn normal_cdf(x: f64) -> f64 {
    let z = x.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let terms = [1.061_405_429, -1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592];
    let erf = 1.0 - t * terms.iter().fold(0.0, |sum, c| sum * t + c) * (-z * z).exp();
    0.5 * (1.0 + erf.copysign(x))
}

/// The statistic of Kolmogorov and Smirnov: the largest distance to a distribution function.
pub(crate) fn distance(mut draws: Vec<f64>, cdf: impl Fn(f64) -> f64) -> f64 {
    draws.sort_by(f64::total_cmp);
    let n = draws.len() as f64;
    let both = |(i, x): (usize, &f64)| {
        let p = cdf(*x);
        (p - i as f64 / n).max((i + 1) as f64 / n - p)
    };
    draws.iter().enumerate().map(both).fold(0.0, f64::max)
}

/// Draws from the distribution itself are this near with probability 1 - 1e-6:
/// `2 exp(-2 n d^2) = 1e-6`.
pub(crate) fn bound(n: usize) -> f64 {
    (2e6f64.ln() / (2.0 * n as f64)).sqrt()
}

/// Draws must follow a distribution.
pub(crate) fn follows(draws: Vec<f64>, cdf: impl Fn(f64) -> f64) {
    let n = draws.len();
    let d = distance(draws, cdf);
    assert!(d < bound(n), "distance {d} of {n} draws, at most {}", bound(n));
}

/// The number that a report gives for something.
pub(crate) fn effect(report: &memtorch_crossbar::Report, what: &str) -> f64 {
    let found = report.effects.iter().find(|e| e.what.contains(what));
    found.unwrap_or_else(|| panic!("{what} in {report:?}")).value
}
