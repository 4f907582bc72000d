use super::{ConfigError, Default, Field, Kind, Table, Value, check, nearest};
use crate::distribution::{Distribution, DistributionError, Shape};

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
