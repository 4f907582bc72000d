//! From TOML text to a table that knows where each key was written.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use memtorch_utils::config::{ConfigError, Table, Value};
use memtorch_utils::files::FileError;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::Error;

/// How deep tables and lists may lie in one another: no key of an experiment is half as deep.
const DEEPEST: usize = 32;

/// Where something was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// On a line of a file, from 1.
    Line(PathBuf, usize),
    /// In a file that does not have it.
    File(PathBuf),
    /// In an option `--set`.
    Set(String),
    /// Nowhere: a default, or the command line.
    Defaults,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(file, line) => write!(f, "{}:{line}", file.display()),
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Set(option) => write!(f, "--set {option}"),
            Self::Defaults => write!(f, "the experiment"),
        }
    }
}

/// An experiment as it was written: a table, and where each of its keys stands.
#[derive(Clone, Debug)]
pub struct Document {
    /// What was written.
    pub table: Table,
    file: Option<PathBuf>,
    origins: HashMap<String, Origin>,
}

impl Document {
    /// A document without keys, to be filled by [`Document::set`].
    pub fn empty() -> Self {
        Self { table: Table::new(), file: None, origins: HashMap::new() }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// A file that cannot be read or is not TOML.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|e| FileError::new(path, e))?;
        let text = String::from_utf8(bytes).map_err(|e| {
            FileError::new(path, std::io::Error::new(std::io::ErrorKind::InvalidData, e.utf8_error()))
        })?;
        Self::parse(&text, path)
    }

    /// Reads a text that stands in a file.
    ///
    /// # Errors
    /// It is not TOML.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        let parsed =
            DeTable::parse(text).map_err(|error| syntax(&error, text, path.display().to_string()))?;
        let mut origins = HashMap::new();
        let ends: Vec<usize> =
            text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at).collect();
        let locate = |at: usize| Origin::Line(path.to_owned(), ends.partition_point(|end| *end < at) + 1);
        let table = convert_table(parsed.get_ref(), "", 0, &mut |key, at| {
            origins.insert(key, locate(at));
        })
        .map_err(|(at, source)| Error::Config { origin: locate(at), source: Box::new(source) })?;
        Ok(Self { table, file: Some(path.to_owned()), origins })
    }

    /// The folder to which paths are relative.
    pub fn folder(&self) -> PathBuf {
        self.file.as_deref().and_then(Path::parent).map(Path::to_owned).unwrap_or_default()
    }

    /// Sets a key from an option `KEY=VALUE`: the value is read as TOML, or else as text.
    ///
    /// # Errors
    /// An option without `=`, a key that is none, a list without such an entry.
    pub fn set(&mut self, option: &str) -> Result<(), Error> {
        let origin = Origin::Set(option.to_owned());
        let Some((key, value)) = option.split_once('=') else {
            return Err(Error::argument("--set", option, "KEY=VALUE"));
        };
        let (key, value) = (key.trim(), value.trim());
        let as_toml = format!("{key} = {value}");
        let as_text = format!("{key} = {}", toml_text(value));
        let parsed = DeTable::parse(&as_toml)
            .or_else(|_| DeTable::parse(&as_text))
            .map_err(|error| syntax(&error, &as_text, format!("--set {option}")))?;
        let fail = |source| Error::Config { origin: origin.clone(), source: Box::new(source) };
        let table =
            convert_table(parsed.get_ref(), "", 0, &mut |_, _| {}).map_err(|(_, source)| fail(source))?;
        // One key a level down to the value.
        let mut segments = Vec::new();
        let mut value = Value::Table(table);
        let mut depth = DeTable::parse(&format!("{key} = 0"))
            .ok()
            .and_then(|t| convert_table(t.get_ref(), "", 0, &mut |_, _| {}).ok())
            .map_or(1, |t| depth(&t));
        while depth > 0 {
            let Value::Table(inner) = &value else { break };
            let Some((name, next)) = inner.iter().next().map(|(n, v)| (n.to_owned(), v.clone())) else {
                break;
            };
            if inner.len() > 1 {
                return Err(Error::argument("--set", option, "one KEY=VALUE; give the option several times"));
            }
            segments.push(name);
            value = next;
            depth -= 1;
        }
        self.place(&segments, value, origin.clone()).map_err(fail)
    }

    /// Looks at so many samples at most, whatever `data.limit` says.
    ///
    /// # Errors
    /// A section `[data]` that is none.
    pub fn set_limit(&mut self, limit: u64) -> Result<(), Error> {
        let written = self.table.get("data").and_then(Value::as_table).and_then(|data| data.get("limit"));
        let limit = written.and_then(Value::as_count).map_or(limit, |n| limit.min(n as u64));
        self.set(&format!("data.limit={limit}"))
    }

    /// Puts a value at a path of names, as if it were written at `origin`.
    ///
    /// # Errors
    /// A list without such an entry, a value that has no keys.
    pub(crate) fn place(
        &mut self,
        segments: &[String],
        value: Value,
        origin: Origin,
    ) -> Result<(), ConfigError> {
        let existing = existing(&self.table, segments);
        insert(&mut self.table, segments, value)?;
        // The tables that this makes are its own, and what stood below the key is gone.
        let mut path = String::new();
        for (index, segment) in segments.iter().enumerate() {
            path = join(&path, segment);
            if index >= existing {
                self.origins.insert(path.clone(), origin.clone());
            }
        }
        let below = format!("{path}.");
        self.origins.retain(|key, _| !key.starts_with(&below));
        self.origins.insert(path, origin);
        Ok(())
    }

    /// Where a key, or the nearest table above it, was written.
    pub fn origin(&self, key: &str) -> Origin {
        let mut key = key;
        loop {
            if let Some(origin) = self.origins.get(key) {
                return origin.clone();
            }
            match key.rfind('.') {
                Some(at) => key = &key[..at],
                None => break,
            }
        }
        self.file.clone().map_or(Origin::Defaults, Origin::File)
    }

    /// An error of a key, with the place where it was written.
    pub fn error(&self, source: ConfigError) -> Error {
        Error::Config { origin: self.origin(source.key()), source: Box::new(source) }
    }
}

/// The names of a key as TOML reads it: `layers."conv*".adc.bits` has four.
pub(crate) fn segments(key: &str) -> Option<Vec<String>> {
    let text = format!("{key} = 0");
    let parsed = DeTable::parse(&text).ok().filter(|_| !key.contains('\n'))?;
    let mut table = convert_table(parsed.get_ref(), "", 0, &mut |_, _| {}).ok()?;
    let mut names = Vec::new();
    loop {
        let (name, value) = table.iter().next().map(|(name, value)| (name.to_owned(), value.clone()))?;
        names.push(name);
        match value {
            Value::Table(inner) => table = inner,
            _ => return Some(names),
        }
    }
}

/// How many tables lie above the value of a table with one key a level.
fn depth(table: &Table) -> usize {
    1 + table.iter().next().and_then(|(_, v)| v.as_table()).map_or(0, depth)
}

/// A key below a path; names that are not bare are quoted.
pub(crate) fn join(path: &str, name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let name = if bare { name.to_owned() } else { format!("{name:?}") };
    if path.is_empty() { name } else { format!("{path}.{name}") }
}

fn toml_text(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// How many names of a path are there already.
fn existing(table: &Table, path: &[String]) -> usize {
    let [first, rest @ ..] = path else { return 0 };
    let mut count = 1;
    let mut value = match table.get(first) {
        Some(value) => value,
        None => return 0,
    };
    for name in rest {
        let next = match value {
            Value::Table(table) => table.get(name),
            Value::List(list) => name.parse::<usize>().ok().and_then(|index| list.get(index)),
            _ => None,
        };
        let Some(next) = next else { break };
        value = next;
        count += 1;
    }
    count
}

fn insert(table: &mut Table, path: &[String], value: Value) -> Result<(), ConfigError> {
    let [first, rest @ ..] = path else { return Ok(()) };
    if rest.is_empty() {
        table.insert(first.clone(), value);
        return Ok(());
    }
    if table.get(first).is_none() {
        table.insert(first.clone(), Value::Table(Table::new()));
    }
    match table.get_mut(first) {
        Some(Value::Table(inner)) => insert(inner, rest, value).map_err(|e| e.under(first)),
        Some(Value::List(list)) => {
            let length = list.len();
            let entry = rest[0].parse::<usize>().ok().filter(|i| *i < length).and_then(|i| list.get_mut(i));
            let Some(entry) = entry else {
                let expected = match length {
                    0 => "no entry: the list is empty".to_owned(),
                    n => format!("an entry from 0 to {}", n - 1),
                };
                return Err(ConfigError::value(first.clone(), &rest[0], expected));
            };
            match (entry, &rest[1..]) {
                (entry, []) => {
                    *entry = value;
                    Ok(())
                }
                (Value::Table(inner), rest) => insert(inner, rest, value).map_err(|e| e.under(first)),
                (other, _) => Err(ConfigError::value(first.clone(), &*other, "a table")),
            }
        }
        Some(other) => {
            let expected = "a table, to set a key in it";
            Err(ConfigError::value(first.clone(), &*other, expected))
        }
        None => Ok(()),
    }
}

type Found<'a> = &'a mut dyn FnMut(String, usize);

fn convert_table(
    table: &DeTable<'_>,
    path: &str,
    depth: usize,
    found: Found<'_>,
) -> Result<Table, (usize, ConfigError)> {
    let mut entries = Vec::with_capacity(table.len());
    for (name, value) in table.iter() {
        let key = join(path, name.get_ref());
        found(key.clone(), name.span().start);
        entries.push((name.get_ref().as_ref().to_owned(), convert(value, &key, depth + 1, found)?));
    }
    // TOML has each key once.
    Ok(Table::from_unique(entries))
}

fn convert(
    value: &Spanned<DeValue<'_>>,
    path: &str,
    depth: usize,
    found: Found<'_>,
) -> Result<Value, (usize, ConfigError)> {
    if depth > DEEPEST {
        let key = path.split('.').next().unwrap_or_default();
        let expected = format!("tables and lists in one another at most {DEEPEST} deep");
        return Err((value.span().start, ConfigError::value(key, "more", expected)));
    }
    let wrong = |expected: &str| {
        let shown = match value.get_ref() {
            DeValue::Integer(number) => number.as_str().to_owned(),
            DeValue::Float(number) => number.as_str().to_owned(),
            DeValue::Datetime(time) => time.to_string(),
            _ => String::new(),
        };
        (value.span().start, ConfigError::value(path, shown, expected))
    };
    Ok(match value.get_ref() {
        DeValue::String(text) => Value::Text(text.as_ref().to_owned()),
        DeValue::Integer(number) => Value::Integer(
            i64::from_str_radix(number.as_str(), number.radix())
                .map_err(|_| wrong("a whole number of at most 64 bits"))?,
        ),
        DeValue::Float(number) => Value::Real(number.as_str().parse().map_err(|_| wrong("a number"))?),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(_) => return Err(wrong("a number, text, a list or a table")),
        DeValue::Array(list) => {
            let mut values = Vec::with_capacity(list.len());
            for (index, value) in list.iter().enumerate() {
                let key = join(path, &index.to_string());
                found(key.clone(), value.span().start);
                values.push(convert(value, &key, depth + 1, found)?);
            }
            Value::List(values)
        }
        DeValue::Table(table) => Value::Table(convert_table(table, path, depth, found)?),
    })
}

fn syntax(error: &toml::de::Error, text: &str, file: String) -> Error {
    let (line, column) = position(text, error.span().map_or(0, |span| span.start));
    let mut what = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some(key) = error.span().and_then(|span| text.get(span)).filter(|_| what == "duplicate key") {
        what = format!("duplicate key `{key}`: expected each key once");
    }
    Error::Syntax { file, line, column, what }
}

/// Line and column of a byte, from 1.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..at.min(text.len())];
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|b| **b != b'\n').count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        Document::parse(text, Path::new("a.toml")).unwrap()
    }

    #[test]
    fn keys_know_their_lines() {
        let d = document(
            "seed = 1\n[adc]\nbits = 8\n\n[[nonideality]]\nkind = \"stuck\"\nlrs = 0.1\n[layers.\"conv*\".adc]\nbits = 6\n",
        );
        for (key, line) in [
            ("seed", 1),
            ("adc.bits", 3),
            ("adc.gone", 2),
            ("nonideality.0.lrs", 7),
            ("layers.\"conv*\".adc.bits", 9),
        ] {
            assert_eq!(d.origin(key), Origin::Line("a.toml".into(), line), "{key}");
        }
        assert_eq!(d.origin("device"), Origin::File("a.toml".into()));
    }

    #[test]
    fn broken_toml_is_located() {
        let error = Document::parse("[adc]\nbits = = 3\n", Path::new("a.toml")).unwrap_err().to_string();
        assert!(error.starts_with("a.toml:2:"), "{error}");
        assert_eq!(error.lines().count(), 1);
        let error =
            Document::parse("[adc]\nbits = 3\nbits = 4\n", Path::new("a.toml")).unwrap_err().to_string();
        assert!(error.starts_with("a.toml:3:1: duplicate key `bits`"), "{error}");
    }

    #[test]
    fn options_set_values_of_every_kind() {
        let mut d = document("[[nonideality]]\nkind = \"stuck\"\nlrs = 0.1\n");
        for option in [
            "adc.bits=8",
            "crossbar.scheme=single-column",
            "crossbar.tile=[64, 32]",
            "nonideality.0.lrs=0.2",
            "layers.\"conv*\".adc.bits=6",
            "device.r_on={ normal = { mean = 1.0, std = 0.1 } }",
            "data.images=/a b/c=d.gz",
        ] {
            d.set(option).unwrap();
        }
        let get = |path: &[&str]| {
            path.iter().try_fold(Value::Table(d.table.clone()), |value, key| match value {
                Value::Table(table) => table.get(key).cloned(),
                Value::List(list) => list.get(key.parse::<usize>().ok()?).cloned(),
                _ => None,
            })
        };
        assert_eq!(get(&["adc", "bits"]), Some(Value::Integer(8)));
        assert_eq!(get(&["crossbar", "scheme"]), Some(Value::Text("single-column".to_owned())));
        assert_eq!(get(&["nonideality", "0", "lrs"]), Some(Value::Real(0.2)));
        assert_eq!(get(&["nonideality", "0", "kind"]), Some(Value::Text("stuck".to_owned())));
        assert_eq!(get(&["layers", "conv*", "adc", "bits"]), Some(Value::Integer(6)));
        assert_eq!(get(&["device", "r_on", "normal", "std"]), Some(Value::Real(0.1)));
        assert_eq!(get(&["data", "images"]), Some(Value::Text("/a b/c=d.gz".to_owned())));
        assert_eq!(d.origin("adc.bits"), Origin::Set("adc.bits=8".to_owned()));
        // A table that the option made is the option's; one of the file stays the file's.
        assert_eq!(d.origin("adc"), Origin::Set("adc.bits=8".to_owned()));
        assert_eq!(d.origin("layers.\"conv*\""), Origin::Set("layers.\"conv*\".adc.bits=6".to_owned()));
        assert_eq!(d.origin("nonideality.0"), Origin::Line("a.toml".into(), 1));
    }

    #[test]
    fn options_that_make_no_sense_are_errors() {
        let mut d = document("seed = 1\n[[nonideality]]\nkind = \"stuck\"\n");
        for (option, word) in [
            ("adc.bits", "KEY=VALUE"),
            ("=3", "--set"),
            ("a b=3", "--set"),
            ("seed=1\nadc.bits=8", "one KEY=VALUE"),
            ("adc.bits=8\nadc.read=\"each\"", "one KEY=VALUE"),
            ("seed.x=3", "a table"),
            ("nonideality.1.lrs=0.1", "an entry from 0 to 0"),
            ("nonideality.x.lrs=0.1", "an entry from 0 to 0"),
        ] {
            let error = d.set(option).unwrap_err().to_string();
            assert!(error.contains(word), "{option}: {error}");
        }
    }
}
