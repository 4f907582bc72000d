//! The device that the options of a command describe.

use memtorch_devices::{DeviceEntry, DeviceError, DeviceSpec};
use memtorch_utils::config::{self, ConfigError, Table, Value};

use crate::experiment::Document;
use crate::{Error, Registry};

/// The model of this name.
pub(crate) fn entry<'a>(name: &str, registry: &'a Registry) -> Result<&'a DeviceEntry, Error> {
    registry.devices().iter().find(|entry| entry.name == name).ok_or_else(|| {
        let names: Vec<&str> = registry.devices().iter().map(|entry| entry.name).collect();
        let near = config::nearest(name, names.iter().copied());
        let near = near.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
        Error::argument("device model", name, format!("one of {}{near}", names.join(", ")))
    })
}

/// What options `--set` say.
pub(super) fn options(set: &[String]) -> Result<Document, Error> {
    let mut document = Document::empty();
    for option in set {
        document.set(option)?;
    }
    Ok(document)
}

/// The nominal device with its distributions, and its complete parameters.
pub(super) fn spec(entry: &DeviceEntry, document: &Document) -> Result<(DeviceSpec, Table), Error> {
    let table = config::check(entry.fields, &document.table).map_err(|error| document.error(error))?;
    let spec =
        DeviceSpec::configure(entry, &document.table).map_err(|error| wrong(entry, document, error))?;
    Ok((spec, table))
}

/// The error of a device whose parameters stand in options.
pub(super) fn wrong(entry: &DeviceEntry, document: &Document, error: DeviceError) -> Error {
    match error {
        DeviceError::Config(error) => document.error(error),
        DeviceError::Parameter { parameter, value, expected } => {
            document.error(ConfigError::value(parameter, format!("{value:?}"), expected))
        }
        other => Error::argument("device model", entry.name, other.to_string()),
    }
}

pub(super) fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Bool(value) => serde_json::json!(value),
        Value::Integer(value) => serde_json::json!(value),
        Value::Real(value) => serde_json::json!(value),
        Value::Text(value) => serde_json::json!(value),
        Value::List(list) => list.iter().map(json).collect(),
        Value::Table(table) => table.iter().map(|(key, value)| (key.to_owned(), json(value))).collect(),
        other => serde_json::json!(other.to_string()),
    }
}
