//! One wide table of everything that is known of each point and repeat.

use std::collections::BTreeMap;
use std::path::Path;

use memtorch_utils::config::{Table, Value};

use super::values::shown;
use super::{Points, Row};
use crate::experiment::{Document, join};
use crate::report::quoted;
use crate::{Error, Registry};

/// A column of a table: a value, or none, for each of its rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its values.
    pub cells: Cells,
}

/// The values of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Cells {
    /// Whole numbers.
    Integers(Vec<Option<i64>>),
    /// Real numbers.
    Reals(Vec<Option<f64>>),
    /// True or false.
    Truths(Vec<Option<bool>>),
    /// Text.
    Texts(Vec<Option<String>>),
}

impl Cells {
    /// The narrowest column that holds these values.
    fn of(values: Vec<Option<Value>>) -> Self {
        let all = |is: fn(&Value) -> bool| values.iter().flatten().all(is);
        let whole = |value: &Value| if let Value::Integer(n) = value { Some(*n) } else { None };
        if all(|value| matches!(value, Value::Integer(_))) {
            Self::Integers(values.iter().map(|value| value.as_ref().and_then(whole)).collect())
        } else if all(|value| value.as_real().is_some()) {
            Self::Reals(values.iter().map(|value| value.as_ref().and_then(Value::as_real)).collect())
        } else if all(|value| value.as_bool().is_some()) {
            Self::Truths(values.iter().map(|value| value.as_ref().and_then(Value::as_bool)).collect())
        } else {
            Self::Texts(values.iter().map(|value| value.as_ref().map(shown)).collect())
        }
    }

    /// A cell as CSV has it, empty where there is no value.
    fn text(&self, row: usize) -> String {
        match self {
            Self::Integers(cells) => cells[row].map(|x| x.to_string()),
            Self::Reals(cells) => cells[row].map(|x| format!("{x:?}")),
            Self::Truths(cells) => cells[row].map(|x| x.to_string()),
            Self::Texts(cells) => cells[row].as_deref().map(quoted),
        }
        .unwrap_or_default()
    }
}

/// Everything of each point and repeat, in their order: where it is, the swept keys, what was found and how long it
/// took, then every other key of its experiment, complete. A key that not all points have is empty at the others.
///
/// # Errors
/// A point that is wrong.
pub fn runs(
    points: &Points,
    rows: &BTreeMap<(usize, usize), Row>,
    registry: &Registry,
) -> Result<Vec<Column>, Error> {
    let swept: Vec<&str> = points.sweep.keys().collect();
    let mut columns: Vec<Column> = Vec::new();
    let mut put = |name: &str, values: Vec<Option<Value>>| {
        columns.push(Column { name: name.to_owned(), cells: Cells::of(values) });
    };
    let each = |value: &dyn Fn(&Row) -> Option<Value>| rows.values().map(value).collect::<Vec<_>>();
    let count = |n: usize| Some(Value::Integer(i64::try_from(n).unwrap_or(i64::MAX)));
    let real = |x: f64| (!x.is_nan()).then_some(Value::Real(x));
    put("point", each(&|row| count(row.point)));
    put("repeat", each(&|row| count(row.repeat)));
    for (at, key) in swept.iter().enumerate() {
        put(key, each(&|row| points.sweep.values(row.point).get(at).cloned()));
    }
    put("samples", each(&|row| count(row.results.samples)));
    put("digital_correct", each(&|row| count(row.results.digital.correct)));
    put("digital_accuracy", each(&|row| real(row.results.digital.accuracy)));
    put("memristive_correct", each(&|row| count(row.results.memristive.correct)));
    put("memristive_accuracy", each(&|row| real(row.results.memristive.accuracy)));
    put("agreement", each(&|row| row.results.agreement.map(Value::Real)));
    put("program_seconds", each(&|row| real(row.seconds.program)));
    put("memristive_seconds", each(&|row| real(row.seconds.memristive)));
    put("all_seconds", each(&|row| real(row.seconds.all)));
    put("version", each(&|row| Some(Value::Text(row.results.version.clone()))));
    let mut experiments: BTreeMap<usize, Vec<(String, Value)>> = BTreeMap::new();
    let mut keys: Vec<String> = Vec::new();
    for &(point, _) in rows.keys() {
        if experiments.contains_key(&point) {
            continue;
        }
        let text = points.experiment(point, 0, registry)?.to_toml(registry)?;
        let document = Document::parse(&text, Path::new("experiment.toml"))?;
        let mut leaves = Vec::new();
        flatten("", &document.table, &mut leaves);
        leaves.retain(|(key, _)| key != "repeat" && !swept.contains(&key.as_str()));
        keys.extend(
            leaves.iter().map(|(key, _)| key.clone()).filter(|key| !keys.contains(key)).collect::<Vec<_>>(),
        );
        experiments.insert(point, leaves);
    }
    for key in &keys {
        let find = |row: &Row| {
            let leaves = experiments.get(&row.point)?;
            leaves.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone())
        };
        put(key, each(&find));
    }
    Ok(columns)
}

/// `runs.csv`: the table as text.
pub fn runs_csv(columns: &[Column], rows: usize) -> String {
    let line = |cells: Vec<String>| cells.join(",") + "\n";
    let mut text = line(columns.iter().map(|column| quoted(&column.name)).collect());
    for row in 0..rows {
        text.push_str(&line(columns.iter().map(|column| column.cells.text(row)).collect()));
    }
    text
}

/// The values of a table and of those in it, under their whole keys as `[sweep]` names them.
fn flatten(above: &str, table: &Table, leaves: &mut Vec<(String, Value)>) {
    for (name, value) in table.iter() {
        let key = join(above, name);
        match value {
            Value::Table(inner) => flatten(&key, inner, leaves),
            Value::List(list) if !list.is_empty() && list.iter().all(|entry| entry.as_table().is_some()) => {
                for (index, inner) in list.iter().filter_map(Value::as_table).enumerate() {
                    flatten(&join(&key, &index.to_string()), inner, leaves);
                }
            }
            value => leaves.push((key, value.clone())),
        }
    }
}
