//! Experiment files: what they may say, what they mean, and how they are written back.
//!
//! [`Document`] is what a person wrote, with the line of every key. [`Experiment`] is the same checked and
//! complete. [`schema`] is the one list of keys that reading, errors, [`template`] and the documentation
//! are made from.

mod build;
pub(crate) mod converters;
mod document;
mod idle;
mod layers;
pub(crate) mod pulses;
mod resolve;
pub mod schema;
pub(crate) mod schemes;
mod template;
mod write;

pub use build::LayerHardware;
pub use document::{Document, Origin};
pub(crate) use document::{join, segments};
pub use layers::LayerPlan;
pub(crate) use layers::warnings;
pub use resolve::{Experiment, Sections};
pub use template::{markdown, template};
pub(crate) use write::as_toml;
