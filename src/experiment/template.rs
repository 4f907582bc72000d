//! Experiment files and tables of keys, made from the schema.

use memtorch_utils::config::{Default, Field, Kind};

use super::schema;
use super::write::as_toml;
use crate::Registry;

/// A commented experiment file for a network, with every key, its default, unit and range.
///
/// What may be left out is commented out; the file runs once its paths are right.
pub fn template(onnx: &str, device: &str, registry: &Registry) -> String {
    let quoted = as_toml(&memtorch_utils::config::Value::Text(onnx.to_owned()));
    let mut text = String::from(
        "# An experiment: memtorch run FILE\n# Lines that begin with `#` and a key show the default.\n\n",
    );
    for field in schema::TOP {
        comment(&mut text, field);
        text.push_str(&format!("#{}\n", line(field)));
    }
    for section in schema::sections(registry) {
        heading(&mut text, &format!("[{}]", section.name), section.meaning, section.name == "adc");
        for field in &section.fields {
            comment(&mut text, field);
            match (section.name, field.name) {
                ("model", "onnx") => text.push_str(&format!("onnx = {quoted}\n")),
                ("data", "kind") => text.push_str("kind = \"idx\"\n"),
                ("data", "images") => text.push_str("images = \"images-idx3-ubyte.gz\"\n"),
                ("data", "labels") => text.push_str("labels = \"labels-idx1-ubyte.gz\"\n"),
                _ => text.push_str(&format!("#{}\n", line(field))),
            }
        }
        if section.name == "data" {
            let chosen = registry.devices().iter().find(|entry| entry.name == device);
            heading(&mut text, "[device]", "the devices; any number may be a distribution", false);
            comment(&mut text, &schema::DEVICE_MODEL);
            text.push_str(&format!("model = \"{device}\"\n"));
            for field in chosen.map_or(&[][..], |entry| entry.fields) {
                comment(&mut text, field);
                text.push_str(&format!("#{}\n", line(field)));
            }
        }
    }
    text.push_str("\n# What is not ideal, in order: as many of these as you like.\n");
    for entry in registry.non_idealities() {
        text.push_str(&format!("\n# {}.\n#[[nonideality]]\n#kind = \"{}\"\n", entry.meaning, entry.name));
        for field in entry.fields.iter().chain(&schema::NON_IDEALITY[1..]) {
            comment(&mut text, field);
            text.push_str(&format!("#{}\n", line(field)));
        }
    }
    text.push_str(
        "\n# Any section for some layers only (names: memtorch inspect), and layers that stay digital.\n\
         #[layers.\"conv*\".adc]\n#bits = 6\n#[layers.\"fc2\"]\n#patch = false\n",
    );
    text
}

/// The keys of experiment files as Markdown tables.
pub fn markdown(registry: &Registry) -> String {
    let mut text = String::from(
        "# Keys of an experiment file\n\n\
         Made from the schema that reads the files; `memtorch init` writes a commented file with the same keys.\n\
         Numbers are SI. Paths are relative to the file.\n",
    );
    let mut table = |title: String, meaning: &str, fields: &[&Field]| {
        text.push_str(&format!("\n## {title}\n\n{meaning}.\n"));
        if !fields.is_empty() {
            text.push_str("\n| key | default | unit | expected | meaning |\n|---|---|---|---|---|\n");
        }
        for field in fields {
            let default = match field.default {
                Default::Required => "required".to_owned(),
                _ => field.default.value().map_or("absent".to_owned(), |v| format!("`{}`", as_toml(&v))),
            };
            let (name, unit, expected) = (field.name, field.unit, field.expected());
            text.push_str(&format!("| `{name}` | {default} | {unit} | {expected} | {} |\n", field.meaning));
        }
    };
    let list = |fields: &'static [Field]| fields.iter().collect::<Vec<_>>();
    table("Top".to_owned(), "Outside all sections", &list(schema::TOP));
    for section in schema::sections(registry) {
        table(
            format!("`[{}]`", section.name),
            &capital(section.meaning),
            &section.fields.iter().collect::<Vec<_>>(),
        );
    }
    for entry in registry.devices() {
        let fields: Vec<&Field> = entry.fields.iter().collect();
        let meaning = "The parameters of this device model; a number may be a distribution";
        table(format!("`[device]` with `model = \"{}\"`", entry.name), meaning, &fields);
    }
    table("`[[nonideality]]`".to_owned(), "Keys that every kind has", &list(schema::NON_IDEALITY));
    for entry in registry.non_idealities() {
        let fields: Vec<&Field> = entry.fields.iter().collect();
        table(format!("`[[nonideality]]` with `kind = \"{}\"`", entry.name), entry.meaning, &fields);
    }
    text
}

fn heading(text: &mut String, name: &str, meaning: &str, optional: bool) {
    let hash = if optional { "#" } else { "" };
    text.push_str(&format!("\n# {}.\n{hash}{name}\n", capital(meaning)));
}

fn comment(text: &mut String, field: &Field) {
    let unit = if field.unit.is_empty() { String::new() } else { format!(" [{}]", field.unit) };
    let free = matches!(field.kind, Kind::Any | Kind::Text | Kind::Bool);
    let expected = if free { String::new() } else { format!(": {}", field.expected()) };
    text.push_str(&format!("# {}{unit}{expected}\n", capital(field.meaning)));
}

/// A key with its default, or with what must be filled in.
fn line(field: &Field) -> String {
    match field.default.value() {
        Some(value) => format!("{} = {}", field.name, as_toml(&value)),
        None => format!("{} = ", field.name),
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().collect::<String>() + chars.as_str()).unwrap_or_default()
}
