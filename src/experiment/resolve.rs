//! From what was written to a complete experiment.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use memtorch_utils::Stream;
use memtorch_utils::config::{self, ConfigError, Default as Preset, Field, Table, Value};
use memtorch_utils::datasets;

use super::document::{Document, join};
use super::schema;
use crate::{Error, Registry};

/// The sections that make the hardware of a layer, as they were written or overridden.
#[derive(Clone, Debug, Default)]
pub struct Sections {
    pub(crate) tables: HashMap<&'static str, Table>,
    pub(crate) non_idealities: Vec<Table>,
    /// Where a key came from, if not from its own section: `adc.bits` -> `layers."conv*".adc.bits`.
    pub(crate) moved: HashMap<String, String>,
}

impl Sections {
    /// The path under which a key was written.
    pub(crate) fn written(&self, key: &str) -> String {
        let mut above = key;
        loop {
            if let Some(path) = self.moved.get(above) {
                return format!("{path}{}", &key[above.len()..]);
            }
            match above.rfind('.') {
                Some(at) => above = &above[..at],
                None => return key.to_owned(),
            }
        }
    }

    /// The table of a section; empty if nothing was written.
    pub(crate) fn table(&self, section: &str) -> Table {
        self.tables.get(section).cloned().unwrap_or_default()
    }
}

/// A checked experiment.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// The seed.
    pub seed: u64,
    /// The repeat: with the seed it decides everything that is random.
    pub repeat: u64,
    /// Whether the causes of each layer's error are told apart.
    pub explain: bool,
    /// `[model]`, complete; absent for hardware alone.
    pub model: Option<Table>,
    /// `[data]`, complete; absent where nothing is evaluated.
    pub data: Option<Table>,
    /// The hardware of layers without an override.
    pub sections: Sections,
    /// Patterns of layer names, and what is written for them, in order.
    pub layers: Vec<(String, Table)>,
    /// The folder to which paths are relative.
    pub folder: PathBuf,
    pub(crate) document: Document,
}

impl Experiment {
    /// Checks a document against the schema. What concerns single layers is checked when the layers are
    /// known.
    ///
    /// # Errors
    /// The key, where it was written, its value and what was expected.
    pub fn resolve(document: Document, registry: &Registry) -> Result<Self, Error> {
        let table = &document.table.clone();
        for (name, value) in table.iter() {
            if !schema::TOP_NAMES.contains(&name) {
                let nearest = config::nearest(name, schema::TOP_NAMES.iter().copied()).map(str::to_owned);
                return Err(document.error(ConfigError::Unknown { key: join("", name), nearest }));
            }
            let expected = match name {
                "seed" | "repeat" | "explain" => continue,
                "nonideality" => "tables: [[nonideality]]",
                _ => "a table",
            };
            let right = match value {
                Value::Table(_) => name != "nonideality",
                Value::List(list) => name == "nonideality" && list.iter().all(|v| v.as_table().is_some()),
                _ => false,
            };
            if !right {
                return Err(document.error(ConfigError::value(name, value, expected)));
            }
        }
        let section = |name: &str| table.get(name).and_then(Value::as_table);
        let top = table
            .iter()
            .filter(|(name, _)| schema::TOP.iter().any(|field| field.name == *name))
            .map(|(k, v)| (k, v.clone()))
            .collect();
        let top = config::check(schema::TOP, &top).map_err(|e| document.error(e))?;
        let whole = |key| match top.get(key) {
            Some(Value::Integer(number)) => u64::try_from(*number).unwrap_or(0),
            _ => 0,
        };
        let (seed, repeat) = (whole("seed"), whole("repeat"));
        let explain = top.get("explain") == Some(&Value::Bool(true));
        let checked = |name: &str, fields: &[Field]| match section(name) {
            Some(written) => {
                config::check(fields, written).map(Some).map_err(|e| document.error(e.under(name)))
            }
            None => Ok(None),
        };
        let model = checked("model", schema::MODEL)?;
        let data = checked("data", datasets::FIELDS)?;
        for (name, table, key) in
            [("model", &model, "onnx"), ("data", &data, "images"), ("data", &data, "labels")]
        {
            let path = table.as_ref().and_then(|table| table.get(key)).and_then(Value::as_text);
            if path == Some("") {
                let key = format!("{name}.{key}");
                return Err(document.error(ConfigError::value(key, "\"\"", "the path of a file")));
            }
        }
        let mut sections = Sections::default();
        for name in schema::LAYER_SECTIONS {
            if let Some(written) = section(name) {
                sections.tables.insert(name, written.clone());
            }
        }
        if let Some(Value::List(list)) = table.get("nonideality") {
            sections.non_idealities = list.iter().filter_map(Value::as_table).cloned().collect();
        }
        let mut layers = Vec::new();
        if let Some(patterns) = section("layers") {
            for (pattern, value) in patterns.iter() {
                let path = join("layers", pattern);
                let Some(written) = value.as_table() else {
                    return Err(document.error(ConfigError::value(path, value, "a table")));
                };
                check_names(written).map_err(|e| document.error(e.under(&path)))?;
                layers.push((pattern.to_owned(), written.clone()));
            }
        }
        let folder = document.folder();
        sections.non_idealities.iter_mut().for_each(|step| place_file(step, &folder));
        for (_, table) in &mut layers {
            for key in ["nonideality", "nonideality_add"] {
                let Some(Value::List(list)) = table.get_mut(key) else { continue };
                for step in list {
                    if let Value::Table(step) = step {
                        place_file(step, &folder);
                    }
                }
            }
        }
        let experiment = Self { seed, repeat, explain, model, data, sections, layers, folder, document };
        // What holds for all layers is checked now, before anything is loaded.
        experiment.hardware(&experiment.sections, registry)?;
        Ok(experiment)
    }

    /// The root of everything random.
    pub fn stream(&self) -> Stream {
        Stream::root(self.seed, self.repeat)
    }

    /// The network's file, and whether batch normalisation is folded.
    ///
    /// # Errors
    /// There is no `[model]`.
    pub fn network(&self) -> Result<(PathBuf, bool), Error> {
        let Some(model) = &self.model else { return Err(self.missing_section("model")) };
        let onnx = model.get("onnx").and_then(Value::as_text).unwrap_or_default();
        Ok((self.folder.join(onnx), model.get("fold_batch_norm") == Some(&Value::Bool(true))))
    }

    /// The output that is compared with the labels; none for the only one.
    pub fn output(&self) -> Option<&str> {
        self.model.as_ref()?.get("output")?.as_text()
    }

    /// The data set that the network is tested with.
    ///
    /// # Errors
    /// There is no `[data]`.
    pub fn data(&self) -> Result<&Table, Error> {
        self.data.as_ref().ok_or_else(|| self.missing_section("data"))
    }

    /// How many samples are looked at, if not all.
    pub fn limit(&self) -> Option<usize> {
        self.data.as_ref()?.get("limit")?.as_count()
    }

    /// Looks at so many samples at most.
    pub fn set_limit(&mut self, limit: u64) {
        if let Some(data) = &mut self.data {
            let limit = data.get("limit").and_then(Value::as_count).map_or(limit, |n| limit.min(n as u64));
            data.insert("limit", Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX)));
        }
    }

    fn missing_section(&self, name: &str) -> Error {
        let expected = format!("a section [{name}]");
        self.document.error(ConfigError::Missing { key: name.to_owned(), expected })
    }

    /// Completes the sections of a layer with their defaults and checks them.
    ///
    /// # Errors
    /// As [`Experiment::resolve`].
    pub fn complete(&self, sections: &Sections, registry: &Registry) -> Result<Complete, Error> {
        let fail = |e: ConfigError| self.wrong(sections, e);
        let device = sections.table("device");
        let Some(model) = device.get("model") else {
            let names: Vec<_> = registry.devices().iter().map(|entry| entry.name).collect();
            let expected = format!("one of {}", names.join(", "));
            return Err(fail(ConfigError::Missing { key: "device.model".to_owned(), expected }));
        };
        let names = registry.devices().iter().map(|entry| entry.name);
        let entry = choose("device.model", model, names).map_err(fail)?;
        let entry = &registry.devices()[entry];
        let mut fields = vec![schema::DEVICE_MODEL];
        fields.extend(entry.fields);
        let device = config::check(&fields, &device).map_err(|e| fail(e.under("device")))?;
        let mut complete = Complete { tables: HashMap::new(), non_idealities: Vec::new() };
        complete.tables.insert("device", device);
        for section in schema::sections(registry) {
            if !schema::LAYER_SECTIONS.contains(&section.name) {
                continue;
            }
            let mut written = sections.table(section.name);
            if section.name == "adc" && !sections.tables.contains_key("adc") {
                // A missing section means an ideal converter.
                written.insert("bits", Value::Integer(0));
            }
            let table = config::check(&section.fields, &written).map_err(|e| fail(e.under(section.name)))?;
            complete.tables.insert(section.name, table);
        }
        self.check_choices(sections, &complete, registry)?;
        for (index, written) in sections.non_idealities.iter().enumerate() {
            complete.non_idealities.push(self.complete_step(sections, index, written, registry)?);
        }
        Ok(complete)
    }

    /// Names that the registry knows, and values that depend on each other.
    fn check_choices(
        &self,
        sections: &Sections,
        complete: &Complete,
        registry: &Registry,
    ) -> Result<(), Error> {
        let fail = |e: ConfigError| self.wrong(sections, e);
        let scheme = complete.value("crossbar", "scheme");
        choose("crossbar.scheme", &scheme, registry.schemes().iter().map(|e| e.name)).map_err(fail)?;
        let method = complete.value("adc", "method");
        choose("adc.method", &method, registry.converters().iter().map(|e| e.name)).map_err(fail)?;
        for section in ["input", "adc"] {
            if complete.value(section, "bits") == Value::Integer(1) {
                let expected = "0 for an ideal converter, or a whole number from 2 to 24";
                return Err(fail(ConfigError::value(format!("{section}.bits"), 1, expected)));
            }
        }
        if complete.value("input", "serial") == Value::Bool(true)
            && complete.value("input", "bits").as_count() == Some(0)
        {
            let expected = "false, or input.bits of at least 2: the bits that go out one by one";
            return Err(fail(ConfigError::value("input.serial", true, expected)));
        }
        for (section, key) in [("crossbar", "exclude_largest"), ("adc", "overflow_rate")] {
            if complete.value(section, key).as_real() == Some(1.0) {
                let expected = "a number from 0 to below 1";
                return Err(fail(ConfigError::value(format!("{section}.{key}"), 1.0, expected)));
            }
        }
        let transistor = complete.value("crossbar", "transistor_resistance");
        if transistor != Value::Real(0.0) && complete.value("crossbar", "cell").as_text() == Some("0t1r") {
            let expected = "0: the cell 0t1r has no transistor";
            return Err(fail(ConfigError::value("crossbar.transistor_resistance", &transistor, expected)));
        }
        let tile = complete.value("crossbar", "tile");
        let sizes = match &tile {
            Value::Text(word) => word == "layer",
            Value::List(list) => {
                list.len() == 2
                    && list.iter().all(|v| v.as_count().is_some_and(|n| (1..=1 << 20).contains(&n)))
            }
            _ => false,
        };
        if !sizes {
            let expected = "[word lines, bit lines], whole numbers from 1 to 1048576, or \"layer\"";
            return Err(fail(ConfigError::value("crossbar.tile", &tile, expected)));
        }
        Ok(())
    }

    fn complete_step(
        &self,
        sections: &Sections,
        index: usize,
        written: &Table,
        registry: &Registry,
    ) -> Result<Table, Error> {
        let path = format!("nonideality.{index}");
        let fail = |e: ConfigError| self.wrong(sections, e);
        let key = format!("{path}.kind");
        let names: Vec<&str> = registry.non_idealities().iter().map(|entry| entry.name).collect();
        let Some(kind) = written.get("kind") else {
            let expected = format!("one of {}", names.join(", "));
            return Err(fail(ConfigError::Missing { key, expected }));
        };
        let entry = choose(&key, kind, names.iter().copied()).map_err(fail)?;
        let entry = &registry.non_idealities()[entry];
        let mut fields = schema::NON_IDEALITY.to_vec();
        if let Some(field) = fields.iter_mut().find(|field| field.name == "after_tuning") {
            field.default = Preset::Bool(entry.after_tuning);
        }
        fields.extend(entry.fields);
        config::check(&fields, written).map_err(|e| fail(e.under(&path)))
    }

    /// An error of a key of some sections, with the place where it was written.
    pub(crate) fn wrong(&self, sections: &Sections, mut source: ConfigError) -> Error {
        let path = sections.written(source.key());
        if let ConfigError::Unknown { key, .. }
        | ConfigError::Missing { key, .. }
        | ConfigError::Value { key, .. } = &mut source
        {
            *key = path;
        }
        self.document.error(source)
    }
}

/// The sections of a layer, checked and complete.
#[derive(Clone, Debug)]
pub struct Complete {
    pub(crate) tables: HashMap<&'static str, Table>,
    pub(crate) non_idealities: Vec<Table>,
}

impl Complete {
    /// A value that the schema guarantees; false where it does not.
    pub(crate) fn value(&self, section: &str, key: &str) -> Value {
        self.tables.get(section).and_then(|table| table.get(key)).cloned().unwrap_or(Value::Bool(false))
    }
}

/// The index of a name among those that there are.
fn choose<'a>(key: &str, value: &Value, names: impl Iterator<Item = &'a str>) -> Result<usize, ConfigError> {
    let names: Vec<&str> = names.collect();
    let found = value.as_text().and_then(|name| names.iter().position(|known| *known == name));
    found.ok_or_else(|| {
        let near = value.as_text().and_then(|name| config::nearest(name, names.iter().copied()));
        let near = near.map(|name| format!(" (did you mean {name:?}?)")).unwrap_or_default();
        let list: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
        ConfigError::value(key, value, format!("one of {}{near}", list.join(", ")))
    })
}

/// The names that may stand under a pattern of layers.
fn check_names(table: &Table) -> Result<(), ConfigError> {
    let lists = ["nonideality", "nonideality_add"];
    for (name, value) in table.iter() {
        let known = schema::LAYER_SECTIONS.iter().copied().chain(lists).chain(["patch"]);
        if !known.clone().any(|other| other == name) {
            let nearest = config::nearest(name, known).map(str::to_owned);
            return Err(ConfigError::Unknown { key: join("", name), nearest });
        }
        let (right, expected) = match name {
            "patch" => (value.as_bool().is_some(), "true or false"),
            _ if lists.contains(&name) => {
                let tables =
                    |v: &Value| matches!(v, Value::List(l) if l.iter().all(|t| t.as_table().is_some()));
                (tables(value), "tables")
            }
            _ => (value.as_table().is_some(), "a table"),
        };
        if !right {
            return Err(ConfigError::value(name, value, expected));
        }
    }
    Ok(())
}

/// Makes the path of a step's file right from anywhere.
fn place_file(step: &mut Table, folder: &Path) {
    if let Some(Value::Text(file)) = step.get_mut("file") {
        let path = folder.join(&*file);
        *file = std::path::absolute(&path).unwrap_or(path).display().to_string();
    }
}
