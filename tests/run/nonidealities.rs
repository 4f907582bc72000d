//! The page of non-idealities against what there is.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use memtorch::Registry;
use memtorch::crossbar::backend::CpuBackend;
use memtorch::experiment::{Document, Experiment, markdown};
use memtorch::map::{MappedMatrix, Usage, ndarray::Array3};
use memtorch::utils::Stream;

use crate::common::root;

/// The section of a page in which a name stands first.
fn section<'a>(page: &'a str, name: &str) -> &'a str {
    let named = format!("`{name}`: ");
    let found = page.split("\n## ").find(|section| section.lines().any(|line| line.starts_with(&named)));
    found.unwrap_or_else(|| panic!("docs/nonidealities.md has no section of `{name}`"))
}

/// The first block of a language in a text.
fn block<'a>(text: &'a str, language: &str) -> &'a str {
    let start =
        text.split_once(&format!("```{language}\n")).unwrap_or_else(|| panic!("no {language}: {text}")).1;
    start.split_once("```").unwrap().0
}

/// Every kind has a section with an equation, its keys as the schema has them, a picture that is there, and an example;
/// the example runs, and the section names every number that it reports.
#[test]
fn the_page_of_the_non_idealities_is_complete() {
    let page = std::fs::read_to_string(root().join("docs/nonidealities.md")).unwrap();
    let registry = Registry::with_defaults();
    let keys = markdown(&registry);
    for entry in registry.non_idealities() {
        let name = entry.name;
        let section = section(&page, name);
        assert!(section.contains("\n    "), "{name} has no equation");
        let picture = format!("nonidealities/{name}.svg");
        assert!(
            section.contains(&format!("]({picture})")) && root().join("docs").join(&picture).exists(),
            "{name}"
        );
        let (_, of_kind) = keys.split_once(&format!("`[[nonideality]]` with `kind = \"{name}\"`\n")).unwrap();
        let rows = of_kind.lines().take_while(|line| !line.starts_with("## ")).filter(|l| l.starts_with('|'));
        for row in rows {
            assert!(
                section.lines().any(|line| line == row),
                "{name}: docs/nonidealities.md lacks the row\n{row}"
            );
        }
        for word in reported(block(section, "toml"), name, &registry) {
            let words = section.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(
                words.contains(&format!("`{word}`")),
                "{name} reports `{word}`, which its section does not say"
            );
        }
    }
}

/// What an example says that it did to a matrix of 16 x 16 weights.
fn reported(toml: &str, name: &str, registry: &Registry) -> BTreeSet<String> {
    let device = "[device]\nmodel = \"vteam\"\nr_on = 1e4\nr_off = 1e5\n";
    let text = if toml.contains("[device]") { toml.to_owned() } else { format!("{device}{toml}") };
    let document = Document::parse(&text, Path::new("e.toml")).unwrap();
    let experiment = Experiment::resolve(document, registry).unwrap();
    let made = experiment.hardware(&experiment.sections, registry).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert!(made.warnings.is_empty(), "{name}: {:?}", made.warnings);
    let weights = Array3::from_shape_fn((1, 16, 16), |(_, i, j)| ((7 * i + 5 * j) % 23) as f32 / 11.0 - 1.0);
    let backend = Arc::new(CpuBackend::new());
    let stream = Stream::root(0, 0);
    let matrix =
        MappedMatrix::new("page", weights.view(), &Usage::Rows, &made.hardware, stream, backend).unwrap();
    let steps = &matrix.report().steps;
    assert!(steps.iter().all(|step| step.report.warnings.is_empty()), "{name}: {steps:?}");
    let effects = steps.iter().flat_map(|step| &step.report.effects);
    let words: BTreeSet<String> = effects.map(|effect| effect.what.clone()).collect();
    assert!(!words.is_empty(), "{name}");
    words
}
