//! Crossbars of memristive devices: how a matrix lies on tiles, what its devices conduct, what
//! converters make of the column currents, and the products computed with all that.

mod array;
pub mod backend;
mod converter;
mod error;
mod layout;
mod nonideality;
pub mod passive;

pub use array::{Array, Mask, Programmed};
pub use backend::{Accumulate, ArrayBackend, Conversions, Input, Operand, PatchGeometry, Product};
pub use converter::{Converter, ConverterSpec, FullScale, Ideal, LinearConverter};
pub use error::CrossbarError;
pub use layout::{Layout, Tile, TileShape};
pub use nonideality::{Effect, NonIdeality, Phase, Report};

pub use ndarray;
