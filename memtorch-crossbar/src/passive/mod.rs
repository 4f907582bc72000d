//! Arrays whose wires have resistance, solved exactly: passive (0T1R) crossbars, and transistor
//! cells read through resistive lines.

mod circuit;
mod reduce;
mod tile;
mod wiring;

pub use circuit::PassiveCircuit;
pub use reduce::{Effective, reduce};
pub use tile::{TileCircuit, Unused, effective_block};
pub use wiring::Wiring;
