//! What any device model must keep, checked with one call.
//!
//! ```
//! use memtorch_devices::{contract, models::Vteam};
//! assert_eq!(contract::check(&Vteam::default()), []);
//! ```
//!
//! [`check`] needs no test framework: it returns what it found. A model that moves by itself, such as one with
//! drift, or that switches both ways at one polarity says so in [`Contract`].

mod behaviour;
mod bits;
mod declaration;
mod single;

use std::fmt;

use crate::DeviceModel;

/// The clauses of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Clause {
    /// `NAME`, `PARAMETERS`, `FIELDS`, `nominal` and `from_table` agree.
    Declaration,
    /// Impossible parameters are turned away: not a number, `r_on` of `r_off` or more, a time step of 0, a start outside
    /// the bounds.
    Validation,
    /// Conductances stay within `1 / r_off` and `1 / r_on`.
    Bounds,
    /// A state set from a conductance reads as that conductance; one from outside reads as the nearer bound.
    RoundTrip,
    /// Nothing moves and no current flows at 0 V.
    ZeroVolts,
    /// One polarity raises the conductance or leaves it, the other lowers it or leaves it, and some voltage moves it.
    Direction,
    /// Where the model says so, a state that a voltage leaves where it is stays at all lower voltages of the same sign.
    Monotone,
    /// The current has the sign of the voltage, does not fall as the voltage rises, and is the conductance times the voltage
    /// where the model says so.
    Current,
    /// Halved time steps come closer and closer together.
    StepHalving,
    /// A device gives the same bits alone, in any population and with any instruction set.
    SameBits,
    /// No number is not one, whatever the parameters, and no state or conductance is infinite.
    Finite,
    /// The same seed gives the same bits.
    Seeds,
}

/// Something that a model does not keep.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The clause.
    pub clause: Clause,
    /// What was seen, with its numbers.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.clause, self.what)
    }
}

/// What is tried on a model, and what it declares about itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contract {
    /// Voltages between minus this and this are applied, in V.
    pub voltage: f64,
    /// Devices with random parameters.
    pub devices: usize,
    /// Steps of each waveform, of the model's own time step.
    pub steps: usize,
    /// The seed of parameters, waveforms and noise.
    pub seed: u64,
    /// Whether devices move without voltage.
    pub volatile: bool,
    /// Whether a device may switch both ways at the same polarity.
    pub unipolar: bool,
}

impl Default for Contract {
    fn default() -> Self {
        Self { voltage: 1.5, devices: 37, steps: 200, seed: 0, volatile: false, unipolar: false }
    }
}

impl Contract {
    /// Everything that the model does not keep, each clause at most a few times; empty for a right model.
    pub fn check<M: DeviceModel>(&self, model: &M) -> Vec<Finding> {
        let mut report = Report::default();
        declaration::check(model, &mut report);
        // The rest indexes parameters by their names.
        if !report.findings.iter().any(|finding| finding.clause == Clause::Declaration) {
            behaviour::check(self, model, &mut report);
            bits::check(self, model, &mut report);
        }
        report.findings
    }
}

/// [`Contract::check`] with the defaults: 1.5 V, nothing moves by itself, a polarity switches one way.
pub fn check<M: DeviceModel>(model: &M) -> Vec<Finding> {
    Contract::default().check(model)
}

/// Findings, a few of each clause.
#[derive(Debug, Default)]
struct Report {
    findings: Vec<Finding>,
}

impl Report {
    /// Notes a finding unless `right` holds.
    fn expect(&mut self, clause: Clause, right: bool, what: impl FnOnce() -> String) {
        const MOST: usize = 3;
        if !right && self.findings.iter().filter(|finding| finding.clause == clause).count() < MOST {
            self.findings.push(Finding { clause, what: what() });
        }
    }
}
