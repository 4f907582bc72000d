//! The mapping schemes that `[crossbar] scheme` names.

use std::sync::Arc;

use memtorch_map::{
    BitSliced, DoubleColumn, MapError, MappingScheme, OffsetColumn, Reference, Sign, SingleColumn,
};
use memtorch_utils::config::{ConfigError, Default, Field, Kind, Table, Value};

use crate::registry::SchemeEntry;

const REFERENCE: Field = Field::new(
    "reference",
    Kind::Choice(&["mirror", "column"]),
    Default::Text("mirror"),
    "what a single column, or a slice in two's complement, is compared with: an ideal mirror current, or a column of devices on every tile",
);

/// All that come with memtorch.
pub(crate) const SCHEMES: [SchemeEntry; 4] = [
    SchemeEntry {
        name: "double-column",
        meaning: "two devices a weight, one for each sign",
        fields: &[],
        build: |_| Ok(Arc::new(DoubleColumn)),
    },
    SchemeEntry {
        name: "single-column",
        meaning: "one device a weight, a reference current subtracted",
        fields: &[REFERENCE],
        build: |table| Ok(Arc::new(SingleColumn { reference: reference(table) })),
    },
    SchemeEntry {
        name: "offset-column",
        meaning: "one device a weight, and a column on every tile that is converted and subtracted digitally",
        fields: &[],
        build: |_| Ok(Arc::new(OffsetColumn)),
    },
    SchemeEntry {
        name: "bit-sliced",
        meaning: "the digits of whole numbers on devices of their own, shifted and added digitally",
        fields: &[
            Field::new(
                "bits_per_cell",
                Kind::Integer,
                Default::Integer(2),
                "bits of a bit-sliced weight in a device",
            )
            .range(1.0, 8.0),
            Field::new(
                "slices",
                Kind::Integer,
                Default::Integer(4),
                "slices of a bit-sliced weight: devices, or pairs of devices",
            )
            .range(1.0, 25.0),
            Field::new(
                "sign",
                Kind::Choice(&["differential", "twos-complement"]),
                Default::Text("differential"),
                "how a bit-sliced weight has a sign: each slice is a pair of devices, or the last slice is a sign bit",
            ),
            REFERENCE,
        ],
        build: build_sliced,
    },
];

fn reference(table: &Table) -> Reference {
    match table.get("reference").and_then(Value::as_text) {
        Some("column") => Reference::Column,
        _ => Reference::Mirror,
    }
}

fn build_sliced(table: &Table) -> Result<Arc<dyn MappingScheme>, ConfigError> {
    let count = |key: &str| table.get(key).and_then(Value::as_count).unwrap_or(0) as u32;
    let sign = match table.get("sign").and_then(Value::as_text) {
        Some("twos-complement") => Sign::TwosComplement(reference(table)),
        _ => Sign::Differential,
    };
    match BitSliced::new(count("bits_per_cell"), count("slices"), sign) {
        Ok(scheme) => Ok(Arc::new(scheme)),
        Err(MapError::Setting { key, value, expected }) => Err(ConfigError::value(key, value, expected)),
        Err(other) => Err(ConfigError::value("scheme", "bit-sliced", other.to_string())),
    }
}
