//! Programming by pulses, from the words of a configuration.

use memtorch_crossbar::CrossbarError;
use memtorch_crossbar::programming::{
    Bias, Cell, Order, Programmer, PulseScheme, Resistances, Tolerance, Verify,
};
use memtorch_devices::Device;

/// Words of `bias`.
pub(crate) const BIASES: &[&str] = &["half", "third", "floating"];
/// Words of `order`.
pub(crate) const ORDERS: &[&str] = &["row", "random", "worst-first"];
/// Words of `scheme`.
pub(crate) const SCHEMES: &[&str] = &["fixed", "incremental", "adaptive", "open-loop"];

/// What a person may say about pulses; what they leave out is the model's or everybody's default.
#[derive(Clone, Debug, Default)]
pub(crate) struct PulseOptions {
    pub(crate) passive: bool,
    pub(crate) bias: Option<String>,
    pub(crate) order: Option<String>,
    pub(crate) resistances: Resistances,
    pub(crate) scheme: Option<String>,
    pub(crate) set_voltage: Option<f64>,
    pub(crate) reset_voltage: Option<f64>,
    pub(crate) pulse_width: Option<f64>,
    pub(crate) voltage_step: Option<f64>,
    pub(crate) voltage_limit: Option<f64>,
    pub(crate) longest_pulse: Option<u32>,
    pub(crate) voltage_error: Option<f64>,
    pub(crate) read_voltage: Option<f64>,
    pub(crate) read_noise: Option<f64>,
    pub(crate) max_pulses: Option<u32>,
    pub(crate) tolerance: Option<f64>,
    pub(crate) tolerance_siemens: Option<f64>,
    pub(crate) passes: Option<u32>,
}

impl PulseOptions {
    /// What was said and changes nothing, with the reason.
    pub(crate) fn idle(&self) -> Vec<(&'static str, &'static str)> {
        let solved = self.bias.as_deref() == Some("floating") || !self.resistances.is_ideal();
        let unread = self.scheme.as_deref() == Some("open-loop");
        let cell = |given: bool| given && !self.passive;
        [
            (cell(self.bias.is_some()), "bias", "a cell with a transistor keeps pulses from other cells"),
            (cell(self.order.is_some()), "order", "cells with transistors are written apart from each other"),
            (
                cell(self.voltage_error.is_some()),
                "voltage_error",
                "no network of cells with transistors is solved",
            ),
            (
                self.voltage_error.is_some() && self.passive && !solved,
                "voltage_error",
                "lines without resistance need no network",
            ),
            (unread && self.read_voltage.is_some(), "read_voltage", "open-loop pulses are not read"),
            (unread && self.read_noise.is_some(), "read_noise", "open-loop pulses are not read"),
            (
                self.tolerance.is_some() && self.tolerance_siemens.is_some(),
                "tolerance",
                "tolerance_siemens stands in its place",
            ),
        ]
        .into_iter()
        .filter_map(|(idle, what, why)| idle.then_some((what, why)))
        .collect()
    }

    /// The programmer for a model.
    ///
    /// A pulse width that is given makes all pulses alike; without one, and without a scheme, widths adapt from
    /// one time step. `incremental` rises by a twentieth of the first voltage, up to twice that voltage.
    pub(crate) fn programmer(&self, device: &dyn Device) -> Result<Programmer, CrossbarError> {
        let own = device.pulses();
        let voltage = |what: &str, given: Option<f64>, own: Option<f64>| {
            given.or(own).ok_or_else(|| {
                let expected = format!("a voltage: {} has no pulses of its own", device.name());
                CrossbarError::value(what, "not given", expected)
            })
        };
        let set = voltage("set_voltage", self.set_voltage, own.map(|own| own.set_voltage))?;
        let reset = voltage("reset_voltage", self.reset_voltage, own.map(|own| own.reset_voltage))?;
        let word = match (self.scheme.as_deref(), self.pulse_width) {
            (Some(word), _) => word,
            (None, Some(_)) => "fixed",
            (None, None) => "adaptive",
        };
        let steps = own.filter(|_| ["fixed", "open-loop"].contains(&word)).map_or(1, |own| own.steps);
        let width = self.pulse_width.unwrap_or(f64::from(steps) * device.time_step());
        let adaptive = word == "adaptive";
        for (what, given, scheme) in [
            ("voltage_step", self.voltage_step.is_some(), "incremental"),
            ("voltage_limit", self.voltage_limit.is_some(), "incremental"),
            ("longest_pulse", self.longest_pulse.is_some(), "adaptive"),
        ] {
            if given && word != scheme {
                return Err(CrossbarError::value(what, "given", format!("none, or the scheme {scheme}")));
            }
        }
        let scheme = match word {
            "incremental" => PulseScheme::Incremental {
                step: self.voltage_step.unwrap_or(0.05),
                limit: self.voltage_limit.unwrap_or(2.0),
            },
            _ if adaptive => match self.longest_pulse {
                Some(longest) => PulseScheme::Adaptive { longest },
                None => PulseScheme::ADAPTIVE,
            },
            "open-loop" => PulseScheme::OpenLoop,
            _ => PulseScheme::Fixed,
        };
        let mut programmer = Programmer::new(set, reset, width);
        programmer.scheme = scheme;
        programmer.resistances = self.resistances;
        programmer.verify = Verify { read_voltage: self.read_voltage, noise: self.read_noise.unwrap_or(0.0) };
        if let Some(error) = self.voltage_error {
            programmer.voltage_error = error;
        }
        match (self.tolerance, self.tolerance_siemens) {
            (_, Some(error)) if error > 0.0 && error.is_finite() => {
                programmer.tolerance = Tolerance::Siemens(error);
            }
            (_, Some(error)) => {
                let expected = "a positive number of siemens";
                return Err(CrossbarError::value("tolerance_siemens", error, expected));
            }
            (Some(share), None) => programmer.tolerance = Tolerance::Range(share),
            (None, None) => {}
        }
        programmer.max_pulses = self.max_pulses.unwrap_or(programmer.max_pulses);
        programmer.passes = self.passes.unwrap_or(programmer.passes);
        if self.passive {
            let bias = match self.bias.as_deref() {
                Some("third") => Bias::Third,
                Some("floating") => Bias::Floating,
                _ => Bias::Half,
            };
            let order = match self.order.as_deref() {
                Some("random") => Order::Random,
                Some("worst-first") => Order::WorstFirst,
                _ => Order::RowMajor,
            };
            programmer.cell = Cell::Passive { bias, order };
        }
        programmer.check(device)?;
        Ok(programmer)
    }
}
