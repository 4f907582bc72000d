#![doc = include_str!("../README.md")]

mod array;
pub mod backend;
mod converter;
mod converter_errors;
mod error;
mod layout;
mod log_converter;
mod nonideality;
pub mod passive;
pub mod programming;
mod read_effect;

pub use array::{Array, ArrayParts, Mask, Programmed};
pub use backend::{Accumulate, ArrayBackend, Conversions, Input, Operand, PatchGeometry, Product};
pub use converter::{Converter, ConverterSpec, FullScale, Ideal, LinearConverter};
pub use converter_errors::{ConverterErrors, ConverterSpread};
pub use error::CrossbarError;
pub use layout::{Layout, Tile, TileShape};
pub use log_converter::LogConverter;
pub use nonideality::{Change, Effect, NonIdeality, OverArrays, Phase, Report};
pub use read_effect::{AttachedNoise, DeviceNoise, ReadEffects, ReadLaw, Telegraph};

pub use memtorch_devices as devices;
pub use ndarray;
