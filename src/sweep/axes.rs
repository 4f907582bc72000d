use memtorch_utils::config::{ConfigError, Value};

use super::values::values;
use crate::Error;
use crate::experiment::{Document, Origin, join, segments};

/// Keys of `[sweep]` that are not keys of the experiment.
const OWN: [&str; 2] = ["repeats", "zip"];

/// Points that a sweep may have: a mistyped range is not to fill the memory.
const MOST: usize = 1_000_000;

/// What the section `[sweep]` says.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    /// How often each point is computed, with other random draws.
    pub repeats: usize,
    /// The axes of the grid in the order of the file; the last changes fastest.
    pub axes: Vec<Axis>,
}

/// Keys that change together.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// The keys as they were written.
    pub keys: Vec<String>,
    /// For each step, one value for each key.
    pub steps: Vec<Vec<Value>>,
    /// Where the value of each key was written, for each step.
    pub(crate) origins: Vec<Vec<Origin>>,
}

/// Keys that may be swept: each is compared with each.
const MOST_KEYS: usize = 1000;

/// One key of the section with all its values.
struct Written {
    key: String,
    /// Its names.
    names: Vec<String>,
    values: Vec<Value>,
    origins: Vec<Origin>,
}

impl Sweep {
    /// Reads the section `[sweep]` of a document, if there is one.
    ///
    /// # Errors
    /// A key without values, a range that makes no sense, keys that are coupled and have different numbers
    /// of values, a key that an option sets too.
    pub fn find(document: &Document) -> Result<Option<Self>, Error> {
        let Some(section) = document.table.get("sweep") else { return Ok(None) };
        let fail = |error: ConfigError| document.error(error.under("sweep"));
        let Value::Table(table) = section else {
            return Err(document.error(ConfigError::value("sweep", section, "a table")));
        };
        let mut written = Vec::new();
        let mut repeats = 1;
        let mut coupled = Vec::new();
        for (name, value) in table.iter() {
            match name {
                "repeats" => {
                    repeats = value.as_count().filter(|n| (1..=MOST).contains(n)).ok_or_else(|| {
                        let expected = format!("a whole number from 1 to {MOST}");
                        fail(ConfigError::value("repeats", value, expected))
                    })?;
                }
                "zip" => coupled = groups(value).map_err(fail)?,
                _ => collect(document, &[name.to_owned()], "", value, &mut written)?,
            }
        }
        let mut axes: Vec<Axis> = Vec::new();
        let mut used = vec![false; written.len()];
        for index in 0..written.len() {
            if used[index] {
                continue;
            }
            let group = coupled.iter().find(|group| group.contains(&written[index].key));
            let members: Vec<usize> = match group {
                None => vec![index],
                Some(group) => group
                    .iter()
                    .map(|key| {
                        written.iter().position(|other| other.key == *key).ok_or_else(|| {
                            fail(ConfigError::value("zip", format!("{key:?}"), "keys of this section"))
                        })
                    })
                    .collect::<Result<_, _>>()?,
            };
            let length = written[index].values.len();
            for &member in &members {
                let other = &written[member];
                if used[member] {
                    let expected = "each key in one list only";
                    return Err(fail(ConfigError::value("zip", format!("{:?}", other.key), expected)));
                }
                used[member] = true;
                if other.values.len() != length {
                    let expected =
                        format!("{length}, as {:?} has, with which it is coupled", written[index].key);
                    let found = format!("{} values", other.values.len());
                    return Err(fail(ConfigError::value(join("", &other.key), found, expected)));
                }
            }
            // In the order of the file, however the list names them.
            let mut members = members;
            members.sort_unstable();
            axes.push(Axis {
                keys: members.iter().map(|&m| written[m].key.clone()).collect(),
                steps: (0..length)
                    .map(|i| members.iter().map(|&m| written[m].values[i].clone()).collect())
                    .collect(),
                origins: (0..length)
                    .map(|i| members.iter().map(|&m| written[m].origins[i].clone()).collect())
                    .collect(),
            });
        }
        for key in coupled.iter().flatten() {
            if !written.iter().any(|other| other.key == *key) {
                return Err(fail(ConfigError::value("zip", format!("{key:?}"), "keys of this section")));
            }
        }
        let points = axes.iter().try_fold(1usize, |n, axis| n.checked_mul(axis.steps.len()));
        let all = points.and_then(|n| n.checked_mul(repeats)).filter(|n| *n <= MOST);
        if all.is_none() {
            let expected = format!("at most {MOST} points and repeats in all");
            return Err(document.error(ConfigError::value("sweep", "more", expected)));
        }
        Ok(Some(Self { repeats, axes }))
    }

    /// All swept keys in the order of the axes.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.axes.iter().flat_map(|axis| axis.keys.iter().map(String::as_str))
    }

    /// How many points there are.
    pub fn points(&self) -> usize {
        self.axes.iter().map(|axis| axis.steps.len()).product()
    }

    /// The step of each axis at a point.
    pub fn steps(&self, point: usize) -> Vec<usize> {
        let mut rest = point;
        let mut steps: Vec<usize> = self
            .axes
            .iter()
            .rev()
            .map(|axis| {
                let step = rest % axis.steps.len();
                rest /= axis.steps.len();
                step
            })
            .collect();
        steps.reverse();
        steps
    }

    /// The values of all keys at a point.
    pub fn values(&self, point: usize) -> Vec<Value> {
        let steps = self.steps(point);
        self.axes.iter().zip(steps).flat_map(|(axis, step)| axis.steps[step].clone()).collect()
    }
}

/// The lists of `zip`.
fn groups(value: &Value) -> Result<Vec<Vec<String>>, ConfigError> {
    let wrong = || ConfigError::value("zip", value, "lists of at least two keys: [[\"a\", \"b\"]]");
    let Value::List(groups) = value else { return Err(wrong()) };
    groups
        .iter()
        .map(|group| {
            let Value::List(keys) = group else { return Err(wrong()) };
            let keys: Option<Vec<String>> = keys.iter().map(|key| key.as_text().map(str::to_owned)).collect();
            keys.filter(|keys| keys.len() > 1).ok_or_else(wrong)
        })
        .collect()
}

/// The keys under a name of the section: one with a list or a range, or a table of them (`adc.bits = [4, 6]`
/// without quotes).
fn collect(
    document: &Document,
    path: &[String],
    above: &str,
    value: &Value,
    written: &mut Vec<Written>,
) -> Result<(), Error> {
    let fail = |error: ConfigError| document.error(error.under("sweep"));
    let name = &path[path.len() - 1];
    let place = join(above, name);
    if let Value::Table(table) = value
        && !table.iter().any(|(key, _)| key == "from" || key == "to")
    {
        if table.is_empty() {
            return Err(fail(ConfigError::value(place, value, "a list of values, or a range")));
        }
        for (inner, value) in table.iter() {
            let path = [path, &[inner.to_owned()]].concat();
            collect(document, &path, &place, value, written)?;
        }
        return Ok(());
    }
    // The first name may be a whole key in quotes.
    let key = path[1..].iter().fold(path[0].clone(), |key, name| join(&key, name));
    let Some(names) = segments(&key) else {
        let expected = "a key of the experiment, as \"adc.bits\"";
        return Err(fail(ConfigError::value(place, format!("{key:?}"), expected)));
    };
    if OWN.contains(&key.as_str()) || ["sweep", "repeat"].contains(&names[0].as_str()) {
        let expected = "a key of the experiment (repeats of a point are `repeats`)";
        return Err(fail(ConfigError::value(place, format!("{key:?}"), expected)));
    }
    let clash = |other: &Written| {
        let shorter = names.len().min(other.names.len());
        names[..shorter] == other.names[..shorter]
    };
    // Coupled keys have more values than there are points.
    let most = 2 * MOST - written.iter().map(|other| other.values.len()).sum::<usize>();
    if written.len() == MOST_KEYS {
        return Err(fail(ConfigError::value(place, "one more", format!("at most {MOST_KEYS} keys"))));
    }
    if let Some(other) = written.iter().find(|other| clash(other)) {
        let expected = format!("no other key that sets the same as {:?}", other.key);
        return Err(fail(ConfigError::value(place, format!("{key:?}"), expected)));
    }
    let values = values(value).map_err(|error| match error {
        // A list or a range that is none as a whole has no key below it.
        ConfigError::Value { key: below, value, expected } if below.is_empty() => {
            fail(ConfigError::value(place.clone(), value, expected))
        }
        other => fail(other.under(&place)),
    })?;
    if values.len() > most {
        let expected = format!("at most {} values of all keys", 2 * MOST);
        return Err(fail(ConfigError::value(place, format!("{} values", values.len()), expected)));
    }
    let whole = format!("sweep.{place}");
    let origins = (0..values.len()).map(|index| document.origin(&format!("{whole}.{index}"))).collect();
    written.push(Written { key, names, values, origins });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn sweep(text: &str) -> Result<Sweep, String> {
        let document = Document::parse(&format!("[sweep]\n{text}"), Path::new("e.toml")).unwrap();
        Sweep::find(&document).map(Option::unwrap).map_err(|error| error.to_string())
    }

    #[test]
    fn a_grid_goes_in_the_order_of_the_file_with_the_last_key_fastest() {
        let s = sweep("repeats = 3\n\"nonideality.0.hrs\" = [0, 0.5]\nadc.bits = [4, 6, 8]\n").unwrap();
        assert_eq!(s.keys().collect::<Vec<_>>(), ["nonideality.0.hrs", "adc.bits"]);
        assert_eq!((s.repeats, s.points()), (3, 6));
        let at = |point| s.values(point).iter().map(Value::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!((0..6).map(at).collect::<Vec<_>>(), ["0 4", "0 6", "0 8", "0.5 4", "0.5 6", "0.5 8"]);
    }

    #[test]
    fn coupled_keys_change_together() {
        let s = sweep(
            "\"adc.bits\" = [4, 6]\n\"input.bits\" = [2, 3, 4]\n\"device.r_on\" = [1, 2]\nzip = [[\"device.r_on\", \"adc.bits\"]]\n",
        )
        .unwrap();
        assert_eq!(s.keys().collect::<Vec<_>>(), ["adc.bits", "device.r_on", "input.bits"]);
        let at = |point| s.values(point).iter().map(Value::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!(
            (0..6).map(at).collect::<Vec<_>>(),
            ["4 1 2", "4 1 3", "4 1 4", "6 2 2", "6 2 3", "6 2 4"]
        );
    }

    #[test]
    fn sections_that_make_no_sense_are_errors_with_their_line() {
        for (text, words) in [
            ("repeats = 0\n", &["e.toml:2", "sweep.repeats", "from 1"][..]),
            ("\"adc.bits\" = 4\n", &["e.toml:2", "adc.bits", "a list"]),
            ("\"adc.bits\" = []\n", &["e.toml:2", "adc.bits", "a list"]),
            ("\"adc.bits\" = [4, 4]\n", &["e.toml:2", "adc.bits", "each value once"]),
            ("\"adc bits\" = [4]\n", &["e.toml:2", "adc bits", "a key of the experiment"]),
            ("\"repeat\" = [4]\n", &["e.toml:2", "repeats"]),
            ("\"adc.bits\" = [4]\nadc.bits = [5]\n", &["e.toml:3", "adc.bits", "sets the same"]),
            ("\"adc\" = [{}]\n\"adc.bits\" = [5]\n", &["adc.bits", "sets the same as \"adc\""]),
            ("\"adc.bits\" = [4]\nzip = [[\"adc.bits\", \"adc.bit\"]]\n", &["zip", "adc.bit\""]),
            (
                "\"adc.bits\" = [4, 5]\n\"seed\" = [1]\nzip = [[\"adc.bits\", \"seed\"]]\n",
                &["seed", "1 values", "expected 2"],
            ),
            ("\"adc.bits\" = [4]\nzip = [[\"adc.bits\"]]\n", &["zip", "two keys"]),
            ("\"adc.bits\" = { from = 2, to = 8 }\n", &["adc.bits", "step"]),
            ("\"adc.bits\" = { from = 2, too = 8, step = 1 }\n", &["too", "did you mean `to`"]),
            ("\"adc.bits\" = { from = 2, to = 2000000, step = 1 }\n", &["adc.bits", "1000000"]),
            ("\"seed\" = { from = 0, to = 2000, step = 1 }\nrepeats = 1000\n", &["sweep", "at most 1000000"]),
        ] {
            let error = sweep(text).unwrap_err();
            assert!(words.iter().all(|word| error.contains(word)), "{text}: {error}");
        }
    }
}
