//! The device models.

mod vteam;

use crate::DeviceEntry;

/// The models that come with the crate.
pub const MODELS: &[DeviceEntry] = &[vteam::ENTRY];
