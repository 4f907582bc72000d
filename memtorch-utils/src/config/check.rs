use super::{ConfigError, Default, Field, Kind, Table, Value, distribution};

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
