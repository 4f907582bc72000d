use std::collections::HashSet;

use crate::Error;
use crate::experiment::{Document, as_toml};
use memtorch_utils::config::{ConfigError, Default, Field, Kind, Table, Value, check};

/// Values of one key at most.
const MOST: usize = 1_000_000;

/// What a range may say.
const RANGE: &[Field] = &[
    Field::new("from", Kind::Real, Default::Required, "first value"),
    Field::new("to", Kind::Real, Default::Required, "last value"),
    Field::new("step", Kind::Real, Default::Absent, "distance of two values; instead of `count`"),
    Field::new("count", Kind::Integer, Default::Absent, "how many values, evenly spaced")
        .range(2.0, MOST as f64),
    Field::new(
        "spacing",
        Kind::Choice(&["linear", "log"]),
        Default::Text("linear"),
        "even in the values or in their logarithms",
    ),
];

/// The values of a key: a list, or a range `{ from, to, step }`, `{ from, to, count }`,
/// `{ from, to, count, spacing = "log" }`.
///
/// # Errors
/// Neither of these, no value, a value twice; the key of the error is empty where all of it is wrong.
pub(crate) fn values(written: &Value) -> Result<Vec<Value>, ConfigError> {
    let wrong = |found: String, expected: String| ConfigError::value("", found, expected);
    let list = match written {
        Value::List(list) => list.clone(),
        Value::Table(table) => range(table)?,
        _ => Vec::new(),
    };
    if list.is_empty() {
        let expected = "a list of values, or a range { from, to, step or count, spacing }";
        return Err(wrong(written.to_string(), expected.to_owned()));
    }
    if list.len() > MOST {
        return Err(wrong(format!("{} values", list.len()), format!("at most {MOST}")));
    }
    let mut seen = HashSet::new();
    // 4 and 4.0 are the same number, and so are 0 and -0.
    let name = |value: &Value| value.as_real().map_or_else(|| as_toml(value), |x| format!("{:?}", x + 0.0));
    match list.iter().find(|value| !seen.insert(name(value))) {
        Some(value) => Err(wrong(value.to_string(), "each value once".to_owned())),
        None => Ok(list),
    }
}

fn range(table: &Table) -> Result<Vec<Value>, ConfigError> {
    let checked = check(RANGE, table)?;
    let real = |key: &str| checked.get(key).and_then(Value::as_real);
    let (from, to) = (real("from").unwrap_or(0.0), real("to").unwrap_or(0.0));
    let log = checked.get("spacing").and_then(Value::as_text) == Some("log");
    let whole = |key: &str| matches!(table.get(key), Some(Value::Integer(_)));
    match (real("step"), checked.get("count").and_then(Value::as_count)) {
        (Some(step), None) => {
            if log {
                return Err(ConfigError::value("step", step, "`count`, with spacing = \"log\""));
            }
            let span = (to - from) / step;
            if !(span >= 0.0 && span.is_finite()) {
                return Err(ConfigError::value("step", step, "a distance that leads from `from` to `to`"));
            }
            // The last value counts where rounding just misses it.
            let count = (span + 1e-9).floor() + 1.0;
            if count > MOST as f64 {
                return Err(ConfigError::value("step", step, format!("at most {MOST} values")));
            }
            let all_whole = whole("from") && whole("step");
            Ok((0..count as usize).map(|i| number(plain(from + step * i as f64), all_whole)).collect())
        }
        (None, Some(count)) => {
            if log && !(from > 0.0 && to > 0.0) {
                return Err(ConfigError::value("from", from, "positive ends, with spacing = \"log\""));
            }
            let at = |i: usize| {
                let t = i as f64 / (count - 1) as f64;
                match (i, log) {
                    (0, _) => from,
                    (i, _) if i == count - 1 => to,
                    (_, false) => plain(from + (to - from) * t),
                    (_, true) => 10f64.powf(from.log10() + (to.log10() - from.log10()) * t),
                }
            };
            let values: Vec<f64> = (0..count).map(at).collect();
            let all_whole = whole("from") && whole("to") && values.iter().all(|x| x.fract() == 0.0);
            Ok(values.into_iter().map(|x| number(x, all_whole)).collect())
        }
        _ => {
            let expected = "either `step` or `count`".to_owned();
            Err(ConfigError::Missing { key: "step".to_owned(), expected })
        }
    }
}

/// The number with twelve digits: 0.3 and not 0.30000000000000004.
fn plain(x: f64) -> f64 {
    format!("{x:.11e}").parse().unwrap_or(x)
}

fn number(x: f64, whole: bool) -> Value {
    if whole { Value::Integer(x as i64) } else { Value::Real(x) }
}

/// A value as tables and headings show it: text without quotes, the rest as in a file.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        other => as_toml(other),
    }
}

/// A value as JSON; what JSON does not have, as text.
pub(crate) fn json_value(value: &Value) -> serde_json::Value {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::Integer(value) => (*value).into(),
        Value::Real(value) => (*value).into(),
        Value::List(list) => list.iter().map(json_value).collect(),
        other => shown(other).into(),
    }
}

/// The values that an option names as `[sweep]` does.
///
/// # Errors
/// As [`values`].
pub(crate) fn read_values(option: &str, text: &str) -> Result<Vec<Value>, Error> {
    let mut document = Document::empty();
    document.set(&format!("values={text}")).map_err(|error| {
        Error::argument(option, text, format!("a list as [4, 6, 8], or a range ({error})"))
    })?;
    let value = document.table.get("values").cloned().unwrap_or(Value::Bool(false));
    values(&value).map_err(|error| match error {
        ConfigError::Value { key, value, expected } if key.is_empty() => {
            Error::argument(option, value, expected)
        }
        other => Error::argument(option, text, format!("a range that makes sense ({other})")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        let document =
            crate::experiment::Document::parse(&format!("v = {text}"), std::path::Path::new("e.toml"))
                .unwrap();
        let values = values(document.table.get("v").unwrap()).unwrap();
        Value::List(values).to_string()
    }

    #[test]
    fn ranges_have_both_ends() {
        assert_eq!(of("{ from = 2, to = 10, step = 2 }"), "[2, 4, 6, 8, 10]");
        assert_eq!(of("{ from = 10, to = 2, step = -4 }"), "[10, 6, 2]");
        assert_eq!(of("{ from = 0, to = 0.3, step = 0.1 }"), "[0.0, 0.1, 0.2, 0.3]");
        assert_eq!(of("{ from = 0, to = 0.25, count = 5 }"), "[0.0, 0.0625, 0.125, 0.1875, 0.25]");
        assert_eq!(of("{ from = 2, to = 10, count = 5 }"), "[2, 4, 6, 8, 10]");
        assert_eq!(
            of("{ from = 1e6, to = 1e8, count = 3, spacing = \"log\" }"),
            "[1000000.0, 10000000.0, 100000000.0]"
        );
    }
}
