//! A complete experiment as a file.

use std::path::{Path, PathBuf};

use memtorch_utils::config::{Field, Table, Value};
use memtorch_utils::datasets;

use super::document::{Document, join};
use super::resolve::Experiment;
use super::schema;
use crate::{Error, Registry};

impl Experiment {
    /// The experiment with every default and override, as TOML. Running it gives the same results.
    ///
    /// Paths are written so that they are right from anywhere.
    ///
    /// # Errors
    /// None that [`Experiment::resolve`] has not found before.
    pub fn to_toml(&self, registry: &Registry) -> Result<String, Error> {
        self.text(registry, &|path| absolute(path).display().to_string())
    }

    /// The experiment as [`Experiment::to_toml`] writes it, with something of one's own for each file.
    ///
    /// # Errors
    /// As [`Experiment::to_toml`].
    pub(crate) fn text(&self, registry: &Registry, file: &dyn Fn(&Path) -> String) -> Result<String, Error> {
        let mut text =
            format!("seed = {}\nrepeat = {}\nexplain = {}\n", self.seed, self.repeat, self.explain);
        let files = |table: &Table, keys: &[&str]| {
            let mut table = table.clone();
            for key in keys {
                if let Some(Value::Text(path)) = table.get(key) {
                    let path = file(&self.folder.join(path));
                    table.insert(*key, Value::Text(path));
                }
            }
            table
        };
        if let Some(model) = &self.model {
            section(&mut text, "[model]", &files(model, &["onnx"]), schema::MODEL);
        }
        if let Some(data) = &self.data {
            section(&mut text, "[data]", &files(data, &["images", "labels"]), datasets::FIELDS);
        }
        let complete = self.complete(&self.sections, registry)?;
        // A section [adc] that only some layers have brings them its defaults, which an ideal [adc] for all
        // would take from them.
        let none = !self.sections.tables.contains_key("adc");
        let only_layers = none && self.layers.iter().any(|(_, table)| table.get("adc").is_some());
        for name in schema::LAYER_SECTIONS {
            if *name == "adc" && only_layers {
                text.push_str("\n# no [adc] but that of layers below: currents are read exactly elsewhere\n");
            } else if let Some(table) = complete.tables.get(name) {
                section(&mut text, &format!("[{name}]"), table, &[]);
            }
        }
        for table in &complete.non_idealities {
            section(&mut text, "[[nonideality]]", table, &[]);
        }
        for (pattern, table) in &self.layers {
            let path = join("layers", pattern);
            let mut own = Table::new();
            for (key, value) in table.iter().filter(|(_, value)| !matches!(value, Value::Table(_))) {
                own.insert(key, value.clone());
            }
            section(&mut text, &format!("[{path}]"), &own, &[]);
            for (key, value) in table.iter() {
                if let Value::Table(inner) = value {
                    section(&mut text, &format!("[{path}.{key}]"), inner, &[]);
                }
            }
        }
        Ok(text)
    }
}

impl Document {
    /// What was written, as TOML: a file that means the same from anywhere.
    pub fn to_toml(&self) -> String {
        let folder = self.folder();
        let file = |key: &str, value: &Value| match value {
            Value::Text(path) if FILES.contains(&key) => {
                Value::Text(absolute(&folder.join(path)).display().to_string())
            }
            other => other.clone(),
        };
        let mut text = String::new();
        let tables = |value: &Value| match value {
            Value::List(list) => !list.is_empty() && list.iter().all(|entry| entry.as_table().is_some()),
            value => value.as_table().is_some(),
        };
        for (key, value) in self.table.iter().filter(|(_, value)| !tables(value)) {
            text.push_str(&format!("{} = {}\n", join("", key), as_toml(value)));
        }
        for (name, value) in self.table.iter().filter(|(_, value)| tables(value)) {
            if let Value::List(list) = value {
                for table in list.iter().filter_map(Value::as_table) {
                    section(&mut text, &format!("[[{}]]", join("", name)), table, &[]);
                }
            }
            let Value::Table(table) = value else { continue };
            let inside = |key: &str, value: &Value| match value {
                Value::List(list) if name == "sweep" => {
                    Value::List(list.iter().map(|value| file(key, value)).collect())
                }
                value => file(&format!("{name}.{key}"), value),
            };
            let table = table.iter().map(|(key, value)| (key, inside(key, value))).collect();
            section(&mut text, &format!("[{}]", join("", name)), &table, &[]);
        }
        text
    }
}

/// Keys that are the path of a file.
const FILES: [&str; 3] = ["model.onnx", "data.images", "data.labels"];

/// One table: the keys in the order of the fields first, then the others.
fn section(text: &mut String, heading: &str, table: &Table, fields: &[Field]) {
    text.push_str(&format!("\n{heading}\n"));
    let ordered = fields.iter().filter_map(|field| table.get_key_value(field.name));
    let others = table.iter().filter(|(key, _)| !fields.iter().any(|field| field.name == *key));
    for (key, value) in ordered.chain(others) {
        text.push_str(&format!("{} = {}\n", join("", key), as_toml(value)));
    }
}

/// A value as TOML writes it.
pub(crate) fn as_toml(value: &Value) -> String {
    match value {
        // TOML's own escapes, which are not those of Rust's debug form.
        Value::Text(text) => toml::Value::String(text.clone()).to_string(),
        Value::List(list) => format!("[{}]", list.iter().map(as_toml).collect::<Vec<_>>().join(", ")),
        Value::Table(table) => {
            let entries: Vec<String> =
                table.iter().map(|(key, value)| format!("{} = {}", join("", key), as_toml(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

/// The path from the root of the file system; as it is where the system does not say.
fn absolute(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned())
}
