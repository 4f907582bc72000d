//! Configuration that describes itself.
//!
//! A thing that can be configured by name (a device model, a non-ideality, a section of an
//! experiment) lists its [`Field`]s: name, kind, default, unit, range, meaning. One list drives
//! reading, checking, error messages, generated files and tables of documentation. [`check`] turns a
//! [`Table`] that a person wrote into one that is complete and right, or says which key is wrong and
//! what was expected.

use crate::distribution::{Distribution, DistributionError, Shape};

/// A value as a person writes it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A real number.
    Real(f64),
    /// Text.
    Text(String),
    /// Values in order.
    List(Vec<Value>),
    /// Named values in the order written.
    Table(Table),
}

impl Value {
    /// What kind of value it is, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "true or false",
            Self::Integer(_) => "a whole number",
            Self::Real(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }

    /// The value as a real number; a whole number is one too.
    pub fn as_real(&self) -> Option<f64> {
        match *self {
            Self::Integer(value) => Some(value as f64),
            Self::Real(value) => Some(value),
            _ => None,
        }
    }

    /// The value as a whole number that is not negative.
    pub fn as_count(&self) -> Option<usize> {
        match *self {
            Self::Integer(value) => usize::try_from(value).ok(),
            _ => None,
        }
    }

    /// The value as text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value as true or false.
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Self::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The value as a list of real numbers.
    pub fn as_reals(&self) -> Option<Vec<f64>> {
        match self {
            Self::List(values) => values.iter().map(Self::as_real).collect(),
            _ => None,
        }
    }

    /// The value as a table.
    pub fn as_table(&self) -> Option<&Table> {
        match self {
            Self::Table(table) => Some(table),
            _ => None,
        }
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            // TOML's spelling of the three that are no numbers, and Rust's shortest exact one.
            Self::Real(value) if value.is_nan() => write!(f, "nan"),
            Self::Real(value) if value.is_infinite() => {
                write!(f, "{}inf", if *value < 0.0 { "-" } else { "" })
            }
            Self::Real(value) => write!(f, "{value:?}"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::List(values) => {
                write!(f, "[")?;
                for (i, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if i > 0 { ", " } else { "" })?;
                }
                write!(f, "]")
            }
            Self::Table(table) => {
                write!(f, "{{")?;
                for (i, (key, value)) in table.iter().enumerate() {
                    write!(f, "{} {key} = {value}", if i > 0 { "," } else { "" })?;
                }
                write!(f, " }}")
            }
        }
    }
}

/// Named values in the order in which they were written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    entries: Vec<(String, Value)>,
}

impl Table {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The key and its value.
    pub fn get_key_value(&self, key: &str) -> Option<(&str, &Value)> {
        self.iter().find(|(name, _)| *name == key)
    }

    /// The value of a key, to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.entries.iter_mut().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Sets a key, in its old place if it has one; gives back what it was.
    pub fn insert(&mut self, key: impl Into<String>, value: Value) -> Option<Value> {
        let key = key.into();
        if let Some(old) = self.get_mut(&key) {
            return Some(std::mem::replace(old, value));
        }
        self.entries.push((key, value));
        None
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let at = self.entries.iter().position(|(name, _)| name == key)?;
        Some(self.entries.remove(at).1)
    }

    /// Keys and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<K: Into<String>> FromIterator<(K, Value)> for Table {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(entries: I) -> Self {
        let mut table = Self::new();
        for (key, value) in entries {
            table.insert(key, value);
        }
        table
    }
}

/// What may stand at a key.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number between [`Field::low`] and [`Field::high`].
    Integer,
    /// A real number between [`Field::low`] and [`Field::high`].
    Real,
    /// A real number, or a distribution of them: `{ normal = { mean = 1.0, std = 0.1 }, min = 0.5 }`.
    Parameter,
    /// Text.
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// One of these words, or a real number.
    ChoiceOrReal(&'static [&'static str]),
    /// A list of real numbers.
    Reals,
    /// Anything: whoever reads the field checks it.
    Any,
}

/// What a field is when nobody sets it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Default {
    /// It must be set.
    Required,
    /// It has no value, and that means something of its own, which the meaning states.
    Absent,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A real number.
    Real(f64),
    /// Text.
    Text(&'static str),
    /// Real numbers.
    Reals(&'static [f64]),
    /// Whole numbers.
    Integers(&'static [i64]),
}

impl Default {
    /// The default as a value, if it is one.
    pub fn value(self) -> Option<Value> {
        Some(match self {
            Self::Required | Self::Absent => return None,
            Self::Bool(value) => Value::Bool(value),
            Self::Integer(value) => Value::Integer(value),
            Self::Real(value) => Value::Real(value),
            Self::Text(text) => Value::Text(text.to_owned()),
            Self::Reals(values) => Value::List(values.iter().copied().map(Value::Real).collect()),
            Self::Integers(values) => Value::List(values.iter().copied().map(Value::Integer).collect()),
        })
    }
}

/// One key that can be set: everything that reading, errors, generated files and documentation need.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field {
    /// The key.
    pub name: &'static str,
    /// What may stand there.
    pub kind: Kind,
    /// What it is when nobody sets it.
    pub default: Default,
    /// SI unit; empty where there is none.
    pub unit: &'static str,
    /// Least number allowed; infinite for none.
    pub low: f64,
    /// Greatest number allowed; infinite for none.
    pub high: f64,
    /// What it means, in one sentence without a full stop.
    pub meaning: &'static str,
}

impl Field {
    /// A field of this name, kind, default and meaning, without unit and bounds.
    pub const fn new(name: &'static str, kind: Kind, default: Default, meaning: &'static str) -> Self {
        Self { name, kind, default, unit: "", low: f64::NEG_INFINITY, high: f64::INFINITY, meaning }
    }

    /// The same field with a unit.
    pub const fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    /// The same field with inclusive bounds.
    pub const fn range(mut self, low: f64, high: f64) -> Self {
        self.low = low;
        self.high = high;
        self
    }

    /// What is expected at this key, in words.
    pub fn expected(&self) -> String {
        let between = |what: &str| match (self.low.is_finite(), self.high.is_finite()) {
            (true, true) => format!("{what} from {:?} to {:?}", self.low, self.high),
            (true, false) => format!("{what} of at least {:?}", self.low),
            (false, true) => format!("{what} of at most {:?}", self.high),
            (false, false) => what.to_owned(),
        };
        let words =
            |list: &[&str]| list.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        match self.kind {
            Kind::Bool => "true or false".to_owned(),
            Kind::Integer => {
                let whole = |x: f64| format!("{x:.0}");
                match (self.low.is_finite(), self.high.is_finite()) {
                    (true, true) => {
                        format!("a whole number from {} to {}", whole(self.low), whole(self.high))
                    }
                    (true, false) => format!("a whole number of at least {}", whole(self.low)),
                    _ => "a whole number".to_owned(),
                }
            }
            Kind::Real => between("a number"),
            Kind::Parameter => format!("{} or a distribution", between("a number")),
            Kind::Text => "text".to_owned(),
            Kind::Choice(list) => format!("one of {}", words(list)),
            Kind::ChoiceOrReal(list) => format!("one of {}, or {}", words(list), between("a number")),
            Kind::Reals => "a list of numbers".to_owned(),
            Kind::Any => "a value".to_owned(),
        }
    }
}

/// What is wrong with a configuration. `key` is the dotted path below the table that was checked.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no such key.
    #[error("unknown key `{key}`{}", nearest.as_ref().map(|n| format!(": did you mean `{n}`?")).unwrap_or_default())]
    Unknown {
        /// The key.
        key: String,
        /// The valid name nearest to it, if one is near.
        nearest: Option<String>,
    },
    /// A key that must be set is not.
    #[error("missing key `{key}`: expected {expected}")]
    Missing {
        /// The key.
        key: String,
        /// What should stand there.
        expected: String,
    },
    /// A value of another type, out of range, or not among the choices.
    #[error("`{key}` = {value}: expected {expected}")]
    Value {
        /// The key.
        key: String,
        /// What stands there.
        value: String,
        /// What should stand there.
        expected: String,
    },
}

impl ConfigError {
    /// A value that is wrong.
    pub fn value(key: impl Into<String>, value: impl ToString, expected: impl Into<String>) -> Self {
        Self::Value { key: key.into(), value: value.to_string(), expected: expected.into() }
    }

    /// The dotted path of the key.
    pub fn key(&self) -> &str {
        match self {
            Self::Unknown { key, .. } | Self::Missing { key, .. } | Self::Value { key, .. } => key,
        }
    }

    /// The same error with its key below another: `bits` becomes `adc.bits`.
    pub fn under(mut self, section: &str) -> Self {
        if !section.is_empty() {
            match &mut self {
                Self::Unknown { key, .. } | Self::Missing { key, .. } | Self::Value { key, .. } => {
                    *key = format!("{section}.{key}");
                }
            }
        }
        self
    }
}

/// Checks a table against its fields and completes it with their defaults, in the fields' order.
///
/// Whole numbers are taken for reals; an absent field without a default stays absent.
///
/// # Errors
/// An unknown key with the nearest valid one, a missing key, a value of the wrong type, out of its
/// range, not finite, or no possible distribution.
pub fn check(fields: &[Field], given: &Table) -> Result<Table, ConfigError> {
    for (key, _) in given.iter() {
        if !fields.iter().any(|field| field.name == key) {
            let nearest = nearest(key, fields.iter().map(|field| field.name)).map(str::to_owned);
            return Err(ConfigError::Unknown { key: key.to_owned(), nearest });
        }
    }
    let mut checked = Table::new();
    for field in fields {
        match given.get(field.name) {
            Some(value) => {
                checked.insert(field.name, check_value(field, value)?);
            }
            None => match field.default {
                Default::Required => {
                    let (key, expected) = (field.name.to_owned(), field.expected());
                    return Err(ConfigError::Missing { key, expected });
                }
                default => {
                    if let Some(value) = default.value() {
                        checked.insert(field.name, value);
                    }
                }
            },
        }
    }
    Ok(checked)
}

/// Checks one value against its field; gives it in its canonical form.
///
/// # Errors
/// As [`check`].
pub fn check_value(field: &Field, value: &Value) -> Result<Value, ConfigError> {
    let wrong = || ConfigError::value(field.name, value, field.expected());
    let real = |value: &Value| {
        let number = value.as_real().filter(|x| *x >= field.low && *x <= field.high && x.is_finite());
        number.map(Value::Real).ok_or_else(wrong)
    };
    match field.kind {
        Kind::Bool => value.as_bool().map(Value::Bool).ok_or_else(wrong),
        Kind::Integer => match *value {
            Value::Integer(n) if n as f64 >= field.low && n as f64 <= field.high => Ok(value.clone()),
            _ => Err(wrong()),
        },
        Kind::Real => real(value),
        Kind::Parameter => match value {
            Value::Table(table) => {
                distribution(table).map_err(|error| error.under(field.name))?;
                Ok(value.clone())
            }
            _ => real(value),
        },
        Kind::Text => value.as_text().map(|_| value.clone()).ok_or_else(wrong),
        Kind::Choice(list) => match value.as_text() {
            Some(word) if list.contains(&word) => Ok(value.clone()),
            _ => Err(wrong()),
        },
        Kind::ChoiceOrReal(list) => match value.as_text() {
            Some(word) if list.contains(&word) => Ok(value.clone()),
            Some(_) => Err(wrong()),
            None => real(value),
        },
        Kind::Reals => match value.as_reals() {
            Some(list) if list.iter().all(|x| x.is_finite()) => {
                Ok(Value::List(list.into_iter().map(Value::Real).collect()))
            }
            _ => Err(wrong()),
        },
        Kind::Any => Ok(value.clone()),
    }
}

/// Reads a distribution: one shape with its parameters, and optional `min` and `max`.
///
/// # Errors
/// An unknown shape or key, a missing or impossible parameter.
pub fn distribution(table: &Table) -> Result<Distribution, ConfigError> {
    const SHAPES: [&str; 5] = ["normal", "lognormal", "uniform", "gamma", "weibull"];
    let expected =
        "a distribution: one of normal, lognormal, uniform, gamma, weibull, with optional min and max";
    for (key, _) in table.iter() {
        if !SHAPES.contains(&key) && key != "min" && key != "max" {
            let names = SHAPES.iter().copied().chain(["min", "max"]);
            let nearest = nearest(key, names).map(str::to_owned);
            return Err(ConfigError::Unknown { key: key.to_owned(), nearest });
        }
    }
    let shapes: Vec<_> = table.iter().filter(|(key, _)| SHAPES.contains(key)).collect();
    let &[(name, body)] = shapes.as_slice() else {
        let key = shapes.get(1).map_or("normal", |(key, _)| key).to_owned();
        return Err(if shapes.is_empty() {
            ConfigError::Missing { key, expected: expected.to_owned() }
        } else {
            ConfigError::value(key, Value::Table(table.clone()), expected)
        });
    };
    let names: [&'static str; 2] = match name {
        "normal" => ["mean", "std"],
        "lognormal" => ["median", "sigma_ln"],
        "uniform" => ["low", "high"],
        _ => ["shape", "scale"],
    };
    let Some(body) = body.as_table() else {
        let expected = format!("a table with {} and {}", names[0], names[1]);
        return Err(ConfigError::value(name, body, expected));
    };
    let fields = names.map(|field| Field::new(field, Kind::Real, Default::Required, ""));
    let checked = check(&fields, body).map_err(|error| error.under(name))?;
    let [a, b] = names.map(|field| checked.get(field).and_then(Value::as_real).unwrap_or(f64::NAN));
    let shape = match name {
        "normal" => Shape::Normal { mean: a, std: b },
        "lognormal" => Shape::Lognormal { median: a, sigma_ln: b },
        "uniform" => Shape::Uniform { low: a, high: b },
        "gamma" => Shape::Gamma { shape: a, scale: b },
        _ => Shape::Weibull { shape: a, scale: b },
    };
    let limit = |key: &str, none: f64| match table.get(key) {
        None => Ok(none),
        Some(value) => {
            value.as_real().filter(|x| !x.is_nan()).ok_or_else(|| ConfigError::value(key, value, "a number"))
        }
    };
    let (min, max) = (limit("min", f64::NEG_INFINITY)?, limit("max", f64::INFINITY)?);
    Distribution::new(shape, min, max).map_err(|error| match error {
        DistributionError::Parameter { parameter, value, expected, .. } => {
            ConfigError::value(format!("{name}.{parameter}"), format!("{value:?}"), expected)
        }
        DistributionError::Limits { min, .. } => {
            ConfigError::value("min", format!("{min:?}"), format!("a number of at most max = {max:?}"))
        }
    })
}

/// The name nearest to a misspelt one, if one is near enough to be meant.
pub fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase().replace('-', "_");
    names
        .into_iter()
        .map(|candidate| {
            let plain = candidate.to_lowercase().replace('-', "_");
            (strsim::damerau_levenshtein(&lower, &plain), candidate)
        })
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, candidate)| *distance <= 1 + name.len().max(candidate.len()) / 3)
        .map(|(_, candidate)| candidate)
}
