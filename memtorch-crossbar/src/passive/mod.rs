//! Arrays whose wires have resistance, solved exactly: passive (0T1R) crossbars, and transistor
//! cells read through resistive lines.

mod analysis;
mod auto;
mod cg;
mod circuit;
mod kernel;
mod lu;
mod netlist;
mod nodal;
mod nonlinear_tile;
mod reduce;
mod solver;
mod tile;
mod wiring;

pub use analysis::{OperatingPoint, Power, WorstDrop, sensitivity};
pub use auto::Auto;
pub use cg::{ConjugateGradients, DeviceLaw, Newton, Ohmic, Sinh};
pub use circuit::PassiveCircuit;
pub use lu::SparseLu;
pub use netlist::netlist;
pub use nonlinear_tile::NonlinearTile;
pub use reduce::{Effective, Reduce, reduce};
pub use solver::{Detail, PassiveSolver, Solution};
pub use tile::{TileCircuit, Unused, effective_block};
pub use wiring::Wiring;
