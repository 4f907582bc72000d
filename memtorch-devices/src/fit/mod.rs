//! Parameters of a model from a measured record of voltage and current, by least squares.
//!
//! The sum of the squared differences between the measured currents and those of a [`trace`](crate::trace) is made
//! as small as can be: many candidates are tried side by side as one population, and the method of Levenberg and
//! Marquardt goes on from the best of them. A walk through all that the record allows then gives the errors, and says
//! which parameters it does not tell from each other. Numbers keep the sign that they start with and are looked for by
//! their logarithm. Nothing is random but candidates and walk, whose streams are fixed: equal records give equal fits.
//!
//! ```
//! use memtorch_devices::fit::{FitOptions, Measurement, fit};
//! use memtorch_devices::{DeviceEntry, Stream, Table, models::Vteam, sine, trace};
//!
//! // The record of a device whose parameters are known.
//! let mut device = Vteam::default();
//! device.parameters.r_on = 70.0;
//! device.parameters.k_off = 8e-4;
//! let voltages = sine(1.0, 50e6, 20e-9, 1e-10);
//! let currents = trace(std::sync::Arc::new(device), &voltages, 1e-10, Stream::root(0, 0))?.currents;
//!
//! let measured = Measurement { time_step: 1e-10, voltages, currents };
//! let options = FitOptions { parameters: Some(vec!["r_on".into(), "k_off".into()]), ..FitOptions::default() };
//! let fitted = fit(&DeviceEntry::of::<Vteam>(), &Table::new(), &measured, &options)?;
//! assert!((fitted.parameters[0].value / 70.0 - 1.0).abs() < 1e-6);
//! assert!((fitted.parameters[1].value / 8e-4 - 1.0).abs() < 1e-6);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod measurement;
mod minimise;
mod problem;
mod starts;
mod statistics;
mod unknown;
mod valley;

pub use error::FitError;
pub use measurement::Measurement;

use memtorch_utils::config::{self, Table};

use crate::{DeviceEntry, DeviceError};
use problem::Problem;

/// What a fit looks for, and how hard.
#[derive(Clone, Debug, PartialEq)]
pub struct FitOptions {
    /// The parameters by name, `start_conductance` and lists as `r_p` (all of their numbers) among them; `None` for
    /// those that the model itself names ([`DeviceModel::FITTED`](crate::DeviceModel::FITTED)) and
    /// `start_conductance`, as far as the table does not set them.
    pub parameters: Option<Vec<String>>,
    /// How many candidates are tried before the search goes on from the best: the values of the table, and others
    /// around them.
    pub tries: usize,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self { parameters: None, tries: 4096 }
    }
}

/// A number that was looked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// Its name; a number of a list as `r_p[1]`.
    pub name: String,
    /// Where the search began.
    pub start: f64,
    /// What was found.
    pub value: f64,
    /// One standard deviation of it, from the sum of squares around it and the residual; `None` where it has no
    /// meaning.
    pub standard_error: Option<f64>,
    /// Whether the record determines it.
    pub determined: Determined,
    /// The parameter that makes up most for a change of this one, where it makes up for nearly all of it: the record
    /// then tells a combination of both, and one is only known as well as the other.
    pub correlation: Option<Correlation>,
}

/// How the errors of two parameters go together.
#[derive(Clone, Debug, PartialEq)]
pub struct Correlation {
    /// The other parameter.
    pub with: String,
    /// From -1 to 1, of the logarithms of numbers that are looked for by their logarithm.
    pub value: f64,
}

/// Whether a record determines a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Determined {
    /// It does: its standard error is at most a tenth of it.
    Yes,
    /// Its standard error is between a tenth and half of it.
    Hardly,
    /// Its standard error is more, or the currents do not change when it changes, alone or together with others.
    No,
    /// It lies at a bound of what is possible: `start_conductance` at `1 / r_on` or `1 / r_off`.
    AtBound,
}

/// The end of a fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// All that can be set, complete, with what was found.
    pub table: Table,
    /// What was looked for.
    pub parameters: Vec<Fitted>,
    /// The currents of the model with what was found, in A.
    pub currents: Vec<f64>,
    /// Root of the mean squared difference of the currents, in A.
    pub residual: f64,
    /// The same as a share of the root mean square of the measured currents.
    pub relative_residual: f64,
    /// Whether the search came to an end by itself, and not by the number of its steps.
    pub converged: bool,
}

/// Fits a model to a record. `table` has what a person sets: start values, and what is not looked for.
///
/// # Errors
/// A record that cannot be fitted, a parameter that cannot be looked for, whatever is wrong with the table.
pub fn fit(
    entry: &DeviceEntry,
    table: &Table,
    measured: &Measurement,
    options: &FitOptions,
) -> Result<Fit, FitError> {
    measured.check()?;
    let complete = config::check(entry.fields, table).map_err(DeviceError::from)?;
    let mut problem = Problem::new(entry, table, complete, measured, options)?;
    let starts = starts::best(&problem, options.tries);
    let best = minimise::from_each(&mut problem, &starts);
    statistics::describe(&mut problem, best)
}
