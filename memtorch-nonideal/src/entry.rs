use std::sync::Arc;

use memtorch_crossbar::NonIdeality;
use memtorch_utils::config::{ConfigError, Field, Table};

use crate::{
    cycle_to_cycle, device_to_device, drift, nonlinear, programming_error, read_noise, states, stuck, wear,
};

/// How a configuration makes a non-ideality: one row of a registry.
#[derive(Clone, Copy, Debug)]
pub struct NonIdealityEntry {
    /// The `kind` in configurations.
    pub name: &'static str,
    /// What it is, in one sentence without a full stop.
    pub meaning: &'static str,
    /// Everything that can be set.
    pub fields: &'static [Field],
    /// Makes it from a table that [`memtorch_utils::config::check`] has completed.
    pub build: fn(&Table) -> Result<Arc<dyn NonIdeality>, ConfigError>,
    /// Whether it acts after tuning unless the configuration says otherwise.
    pub after_tuning: bool,
}

/// The non-idealities of this crate.
pub const ENTRIES: &[NonIdealityEntry] = &[
    device_to_device::ENTRY,
    cycle_to_cycle::ENTRY,
    states::ENTRY,
    stuck::ENTRY,
    programming_error::ENTRY,
    drift::ENTRY,
    wear::RETENTION,
    wear::ENDURANCE,
    nonlinear::ENTRY,
    read_noise::ENTRY,
];
