use memtorch_utils::config::{Field, Kind, Table, Value};

use super::FitError;
use crate::Device;

/// The name of the conductance at the beginning.
const START: &str = "start_conductance";

/// A number that is looked for.
#[derive(Clone, Debug)]
pub(super) struct Unknown {
    pub(super) name: String,
    pub(super) place: Place,
    /// Its value in the table, or what stands for it there.
    pub(super) start: f64,
    scale: Scale,
}

/// Where the number belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A parameter that may differ from device to device: its place in the model's list.
    Parameter(usize),
    /// The conductance at the beginning.
    Start,
    /// A number of a list, which all devices of a model share.
    List { name: &'static str, at: usize },
}

/// How a number is looked for.
#[derive(Clone, Copy, Debug)]
enum Scale {
    /// By the logarithm of its size, with this sign.
    Logarithmic { sign: f64 },
    /// As it is, in multiples of this size.
    Linear { size: f64 },
}

impl Unknown {
    /// The value at a place of the search, which is 0 at the start.
    pub(super) fn value(&self, position: f64) -> f64 {
        match self.scale {
            Scale::Logarithmic { sign } => sign * (self.start.abs().ln() + position).exp(),
            Scale::Linear { size } => self.start + size * position,
        }
    }

    /// The place of a value; nothing for one that the search cannot reach.
    pub(super) fn position(&self, value: f64) -> Option<f64> {
        let position = match self.scale {
            Scale::Logarithmic { sign } => (sign * value).ln() - self.start.abs().ln(),
            Scale::Linear { size } => (value - self.start) / size,
        };
        position.is_finite().then_some(position)
    }

    /// What one unit of the search is at a value.
    pub(super) fn unit(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Logarithmic { .. } => value.abs(),
            Scale::Linear { size } => size,
        }
    }
}

/// The numbers of a list of names, or of the model's own.
pub(super) fn unknowns(
    device: &dyn Device,
    given: &Table,
    complete: &Table,
    names: Option<&[String]>,
) -> Result<Vec<Unknown>, FitError> {
    let own: Vec<String>;
    let names = match names {
        Some(names) => names,
        None => {
            let fitted = device.fitted().iter().copied().chain([START]);
            own = fitted.filter(|name| given.get(name).is_none()).map(str::to_owned).collect();
            &own
        }
    };
    let mut found: Vec<Unknown> = Vec::new();
    for name in names {
        let refused = |why: String| FitError::Parameter { name: name.clone(), why };
        let Some(field) = device.fields().iter().find(|field| field.name == name) else {
            let all = device.fields().iter().map(|field| field.name);
            let near = memtorch_utils::config::nearest(name, all);
            let near = near.map(|near| format!(": did you mean {near}?")).unwrap_or_default();
            return Err(refused(format!("{} has no such parameter{near}", device.name())));
        };
        if found.iter().any(|unknown| unknown.field() == name) {
            return Err(refused("named twice".to_owned()));
        }
        found.extend(of_field(device, field, complete).map_err(refused)?);
    }
    if found.is_empty() {
        let why = "all that the model names are set: expected some that are not".to_owned();
        return Err(FitError::Parameter { name: "anything".to_owned(), why });
    }
    Ok(found)
}

fn of_field(device: &dyn Device, field: &'static Field, complete: &Table) -> Result<Vec<Unknown>, String> {
    let unknown = |name: String, place, start: f64, scale| Unknown { name, place, start, scale };
    let logarithmic = |start: f64| Scale::Logarithmic { sign: start.signum() };
    let value = complete.get(field.name);
    if field.name == START {
        let start = device.start_conductance();
        return Ok(vec![unknown(START.to_owned(), Place::Start, start, logarithmic(start))]);
    }
    if let (Kind::Reals, Some(Value::List(list))) = (field.kind, value) {
        let list: Vec<f64> = list.iter().filter_map(Value::as_real).collect();
        let size = list.iter().fold(0.0f64, |size, x| size.max(x.abs()));
        if size == 0.0 {
            return Err(
                "a list of zeros says nothing about its size: expected a start value (--set)".to_owned()
            );
        }
        let number = |(at, start): (usize, &f64)| {
            let name = format!("{}[{at}]", field.name);
            unknown(name, Place::List { name: field.name, at }, *start, Scale::Linear { size })
        };
        return Ok(list.iter().enumerate().map(number).collect());
    }
    let Some(at) = device.parameter_names().iter().position(|name| *name == field.name) else {
        return Err("it is an option, no quantity that a fit can change".to_owned());
    };
    let start = device.values()[at];
    if start == 0.0 {
        return Err("it is 0, which says nothing about its size: expected a start value (--set)".to_owned());
    }
    Ok(vec![unknown(field.name.to_owned(), Place::Parameter(at), start, logarithmic(start))])
}

impl Unknown {
    /// The key under which it is set.
    pub(super) fn field(&self) -> &str {
        match self.place {
            Place::List { name, .. } => name,
            _ => &self.name,
        }
    }
}
