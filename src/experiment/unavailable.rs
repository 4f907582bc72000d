//! Keys that are part of the schema and whose feature is not there yet.

use memtorch_utils::config::{Table, Value};

/// Values of a key that need a feature which is missing.
struct Missing {
    section: &'static str,
    key: &'static str,
    needs: fn(&Value) -> bool,
    feature: &'static str,
}

const fn missing(
    section: &'static str,
    key: &'static str,
    needs: fn(&Value) -> bool,
    feature: &'static str,
) -> Missing {
    Missing { section, key, needs, feature }
}

fn is_text(value: &Value, text: &str) -> bool {
    value.as_text() == Some(text)
}

const MISSING: &[Missing] = &[missing("data", "kind", |v| is_text(v, "folder"), "a folder of pictures")];

/// The first key of a section, as a person wrote it, that needs a missing feature: key, value, feature.
pub(crate) fn find(section: &str, written: &Table) -> Option<(&'static str, Value, &'static str)> {
    MISSING.iter().filter(|m| m.section == section).find_map(|m| {
        let value = written.get(m.key)?;
        (m.needs)(value).then(|| (m.key, value.clone(), m.feature))
    })
}
