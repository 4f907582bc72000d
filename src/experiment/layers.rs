//! What each layer of a network runs on.

use std::path::Path;

use memtorch_map::MapError;
use memtorch_nn::{Layer, LayerChoice, NnError};
use memtorch_utils::config::{Table, Value};

use super::document::join;
use super::resolve::{Experiment, Sections};
use super::{LayerHardware, schema};
use crate::{Error, Registry};

/// What a layer runs on.
#[derive(Clone, Debug)]
pub struct LayerPlan {
    /// Its hardware; absent for a layer that stays digital.
    pub hardware: Option<LayerHardware>,
    /// Why it stays digital; empty otherwise.
    pub reason: String,
}

impl LayerPlan {
    /// The plan as an executable takes it.
    pub fn choice(&self) -> LayerChoice {
        match &self.hardware {
            Some(hardware) => LayerChoice::Memristive(Box::new(hardware.hardware.clone())),
            None => LayerChoice::Digital { reason: self.reason.clone() },
        }
    }
}

/// What a person should know about how these layers are planned, each sentence once.
pub(crate) fn warnings(plans: &[LayerPlan]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for warning in plans.iter().filter_map(|plan| plan.hardware.as_ref()).flat_map(|made| &made.warnings) {
        if !found.contains(warning) {
            found.push(warning.clone());
        }
    }
    found
}

impl Experiment {
    /// Plans every layer: the hardware of the experiment, overridden by the tables whose pattern matches
    /// its name, in their order, key by key.
    ///
    /// # Errors
    /// A pattern that matches nothing; keys and values that are wrong for a layer.
    pub fn plan(&self, layers: &[Layer], registry: &Registry) -> Result<Vec<LayerPlan>, Error> {
        for (pattern, _) in &self.layers {
            if !layers.iter().any(|layer| layer.matches(pattern)) {
                return Err(Error::Pattern {
                    origin: self.document.origin(&join("layers", pattern)),
                    pattern: pattern.clone(),
                    layers: layers.iter().map(|layer| layer.name.clone()).collect(),
                });
            }
        }
        layers
            .iter()
            .map(|layer| {
                let (sections, patch) = self.overlaid(layer);
                // What is written for a layer that stays digital must be right too.
                let hardware = self.hardware(&sections, registry)?;
                if let Some(pattern) = patch {
                    let reason = format!("patch = false for {pattern:?}");
                    return Ok(LayerPlan { hardware: None, reason });
                }
                Ok(LayerPlan { hardware: Some(hardware), reason: String::new() })
            })
            .collect()
    }

    /// An error of putting these layers on crossbars, with the place where the non-ideality that failed
    /// was written; any other error is an error of the network's file.
    pub(crate) fn locate(&self, error: NnError, file: &Path, layers: &[Layer]) -> Error {
        match error {
            NnError::Map { layer: name, source } => {
                let found = layers.iter().find(|layer| layer.name == name);
                if let (MapError::Step { index, .. }, Some(layer)) = (&*source, found) {
                    let key = self.overlaid(layer).0.written(&format!("nonideality.{index}"));
                    return Error::Step { origin: self.document.origin(&key), key, layer: name, source };
                }
                Error::Network {
                    file: file.to_owned(),
                    source: Box::new(NnError::Map { layer: name, source }),
                }
            }
            other => Error::Network { file: file.to_owned(), source: Box::new(other) },
        }
    }

    /// The sections of a layer, and the pattern that leaves it digital.
    fn overlaid(&self, layer: &Layer) -> (Sections, Option<&str>) {
        let mut sections = self.sections.clone();
        let mut digital = None;
        for (pattern, table) in self.layers.iter().filter(|(pattern, _)| layer.matches(pattern)) {
            let path = join("layers", pattern);
            if let Some(patch) = table.get("patch").and_then(Value::as_bool) {
                digital = (!patch).then_some(pattern.as_str());
            }
            for name in schema::LAYER_SECTIONS {
                if let Some(written) = table.get(name).and_then(Value::as_table) {
                    overlay(&mut sections, name, written, &path);
                }
            }
            let steps = |key| match table.get(key) {
                Some(Value::List(list)) => Some(list.iter().filter_map(Value::as_table).cloned()),
                _ => None,
            };
            if let Some(steps) = steps("nonideality") {
                sections.non_idealities = steps.collect();
                sections.moved.retain(|key, _| !key.starts_with("nonideality"));
                sections.moved.insert("nonideality".to_owned(), format!("{path}.nonideality"));
            }
            for (index, step) in steps("nonideality_add").into_iter().flatten().enumerate() {
                let key = format!("nonideality.{}", sections.non_idealities.len());
                sections.moved.insert(key, format!("{path}.nonideality_add.{index}"));
                sections.non_idealities.push(step);
            }
        }
        (sections, digital)
    }
}

fn overlay(sections: &mut Sections, name: &'static str, written: &Table, path: &str) {
    let table = sections.tables.entry(name).or_default();
    // Another model's parameters are not this model's.
    if name == "device" && written.get("model").is_some_and(|model| table.get("model") != Some(model)) {
        *table = Table::new();
    }
    for (key, value) in written.iter() {
        table.insert(key, value.clone());
        sections.moved.insert(format!("{name}.{key}"), format!("{path}.{name}.{key}"));
    }
}
