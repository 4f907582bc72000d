//! `memtorch device`

mod fit;
mod model;
mod plot;
mod record;
mod trace;

pub(crate) use model::entry;

use memtorch_utils::config::{Default, Field};

use super::arguments::{Device, DeviceCommand};
use super::print;
use crate::{Error, Registry};

pub(crate) fn execute(arguments: &Device, registry: &Registry) -> Result<(), Error> {
    match &arguments.command {
        DeviceCommand::List { json: true } => print(&json(registry)),
        DeviceCommand::List { json: false } => print(&human(registry)),
        DeviceCommand::Trace(arguments) => trace::execute(arguments, registry),
        DeviceCommand::Fit(arguments) => fit::execute(arguments, registry),
    }
}

fn json(registry: &Registry) -> String {
    // JSON has no infinity: a bound that is not there is null.
    let bound = |x: f64| if x.is_finite() { serde_json::json!(x) } else { serde_json::Value::Null };
    let parameter = |field: &Field| {
        let default = match field.default {
            Default::Bool(value) => serde_json::json!(value),
            Default::Integer(value) => serde_json::json!(value),
            Default::Real(value) => serde_json::json!(value),
            Default::Text(value) => serde_json::json!(value),
            Default::Reals(values) => serde_json::json!(values),
            _ => serde_json::Value::Null,
        };
        serde_json::json!({
            "name": field.name,
            "default": default,
            "unit": field.unit,
            "low": bound(field.low),
            "high": bound(field.high),
            "meaning": field.meaning,
        })
    };
    let models: Vec<_> = registry
        .devices()
        .iter()
        .map(|entry| {
            let parameters: Vec<_> = entry.fields.iter().map(parameter).collect();
            serde_json::json!({ "name": entry.name, "parameters": parameters })
        })
        .collect();
    format!("{:#}\n", serde_json::Value::from(models))
}

fn human(registry: &Registry) -> String {
    let mut text = String::new();
    for (index, entry) in registry.devices().iter().enumerate() {
        text.push_str(&format!("{}{}\n", if index > 0 { "\n" } else { "" }, entry.name));
        let name = entry.fields.iter().map(|field| field.name.len()).max().unwrap_or(0);
        let default = |field: &Field| field.default.value().map_or("-".to_owned(), |value| value.to_string());
        let width = entry.fields.iter().map(|field| default(field).len()).max().unwrap_or(0).min(24);
        for field in entry.fields {
            text.push_str(&format!(
                "  {:<name$}  {:>width$}  {:<10}  {}\n",
                field.name,
                default(field),
                field.unit,
                field.meaning
            ));
        }
    }
    text
}
