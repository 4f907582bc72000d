//! `memtorch device fit`

use std::fmt::Write as _;
use std::io::Write as _;

use memtorch_devices::fit::{Determined, Fit, FitError, FitOptions, Fitted, Measurement, fit};
use memtorch_utils::config::Value;
use memtorch_utils::files::write_atomic;

use super::{model, plot, record};
use crate::cli::arguments;
use crate::cli::print;
use crate::report::picture::Picture;
use crate::{Error, Registry};

pub(crate) fn execute(arguments: &arguments::Fit, registry: &Registry) -> Result<(), Error> {
    let picture = arguments.plot.as_ref().map(|path| Picture::at("--plot", path)).transpose()?;
    let entry = model::entry(&arguments.model, registry)?;
    let document = model::options(&arguments.set)?;
    let (spec, table) = model::spec(entry, &document)?;
    if let Some((name, _)) = spec.distributions.first() {
        let found = table.get(name).map_or(String::new(), Value::to_string);
        return Err(Error::argument(*name, found, "a number: a fit starts from one device"));
    }
    let measured = record::read(&arguments.data, arguments.dt)?;
    let mut options = FitOptions::default();
    if !arguments.fit.is_empty() {
        options.parameters = Some(arguments.fit.clone());
    }
    let found = fit(entry, &document.table, &measured, &options).map_err(|error| match error {
        FitError::Measurement { what, expected } => {
            Error::argument(arguments.data.display().to_string(), what, expected)
        }
        FitError::Parameter { name, why } => Error::argument("--fit", name, format!("another one: {why}")),
        FitError::Device(error) => model::wrong(entry, &document, error),
        other => Error::argument("device model", entry.name, other.to_string()),
    })?;
    if let Some(path) = &arguments.out {
        let text = toml(entry.name, &found, &measured);
        write_atomic(path, |file| file.write_all(text.as_bytes()))?;
    }
    if let Some(picture) = picture {
        plot::fit(&picture, &measured, &found, entry.name)?;
    }
    let mut cautions = Vec::new();
    for one in &found.parameters {
        let known = match one.determined {
            Determined::Hardly => "hardly determines",
            Determined::No => "does not determine",
            _ => continue,
        };
        let with = match &one.correlation {
            Some(other) => format!(" apart from {} (correlation {:.3})", other.with, other.value),
            None => String::new(),
        };
        cautions.push(format!(
            "the record {known} {}{with}: leave it at what is known (--set), or measure where it matters",
            one.name
        ));
    }
    if !found.converged {
        cautions.push("the search stopped before its end: start nearer (--set)".to_owned());
    }
    for caution in cautions {
        // Nobody is told that a warning could not be told.
        let _ = writeln!(std::io::stderr(), "warning: {caution}");
    }
    print(&if arguments.json {
        format!("{:#}\n", json(entry.name, &found, &measured))
    } else {
        human(entry.name, &found, &measured)
    })
}

fn word(determined: Determined) -> &'static str {
    match determined {
        Determined::Yes => "yes",
        Determined::Hardly => "hardly",
        Determined::AtBound => "at bound",
        _ => "no",
    }
}

fn json(model: &str, fit: &Fit, measured: &Measurement) -> serde_json::Value {
    let parameters: Vec<_> = fit
        .parameters
        .iter()
        .map(|one| {
            serde_json::json!({
                "name": one.name,
                "start": one.start,
                "value": one.value,
                "standard_error": one.standard_error,
                "determined": word(one.determined),
                "correlated_with": one.correlation.as_ref().map(|other| &other.with),
                "correlation": one.correlation.as_ref().map(|other| other.value),
            })
        })
        .collect();
    serde_json::json!({
        "model": model,
        "samples": measured.voltages.len(),
        "time_step": measured.time_step,
        "residual": fit.residual,
        "relative_residual": fit.relative_residual,
        "converged": fit.converged,
        "fitted": parameters,
        "parameters": model::json(&Value::Table(fit.table.clone())),
    })
}

fn human(model: &str, fit: &Fit, measured: &Measurement) -> String {
    let mut text = format!(
        "{model}: {} samples, one every {:e} s\n\
         residual {:.4e} A (root mean square), {:.3} % of the current's\n\n\
         {:<18}  {:>14}  {:>14}  {:>10}  determined  tied to\n",
        measured.voltages.len(),
        measured.time_step,
        fit.residual,
        100.0 * fit.relative_residual,
        "parameter",
        "start",
        "fitted",
        "+-",
    );
    for one in &fit.parameters {
        let error = one.standard_error.map_or("-".to_owned(), |error| format!("{error:.1e}"));
        let line = format!(
            "{:<18}  {:>14.6e}  {:>14.6e}  {error:>10}  {:<10}  {}\n",
            one.name,
            one.start,
            one.value,
            word(one.determined),
            one.correlation.as_ref().map_or("-", |other| &other.with),
        );
        text.push_str(&line);
    }
    text
}

/// A section of an experiment file.
fn toml(model: &str, fit: &Fit, measured: &Measurement) -> String {
    let mut text = format!(
        "# Fitted to {} samples, one every {:e} s: residual {:e} A (root mean square), {:.3} % of the current's.\n\
         [device]\nmodel = {model:?}\n",
        measured.voltages.len(),
        measured.time_step,
        fit.residual,
        100.0 * fit.relative_residual,
    );
    for (key, value) in fit.table.iter() {
        let note = |one: &Fitted| match one.standard_error {
            Some(error) if one.determined == Determined::Yes => format!("{} +- {error:.1e}", one.name),
            _ => format!("{} determined: {}", one.name, word(one.determined)),
        };
        let belongs =
            |one: &&Fitted| one.name == key || one.name.strip_prefix(key).is_some_and(|x| x.starts_with('['));
        let notes: Vec<String> = fit.parameters.iter().filter(belongs).map(note).collect();
        let notes =
            if notes.is_empty() { String::new() } else { format!("  # fitted: {}", notes.join(", ")) };
        writeln!(text, "{key} = {value}{notes}").expect("a string takes everything");
    }
    text
}
