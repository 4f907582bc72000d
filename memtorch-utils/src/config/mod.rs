//! Configuration that describes itself.
//!
//! A thing that can be configured by name (a device model, a non-ideality, a section of an
//! experiment) lists its [`Field`]s: name, kind, default, unit, range, meaning. One list drives
//! reading, checking, error messages, generated files and tables of documentation. [`check`] turns a
//! [`Table`] that a person wrote into one that is complete and right, or says which key is wrong and
//! what was expected.

mod check;
mod distribution;
mod error;
mod field;
mod value;

pub use check::{check, check_value, nearest};
pub use distribution::distribution;
pub use error::ConfigError;
pub use field::{Default, Field, Kind};
pub use value::{Table, Value};
