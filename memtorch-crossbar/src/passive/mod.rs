//! Arrays whose wires have resistance, solved exactly: passive (0T1R) crossbars, and transistor
//! cells read through resistive lines.
//!
//! A [`PassiveCircuit`] is conductances and [`Wiring`]. Which way to solve it:
//!
//! | wanted | use | cost for n x n devices |
//! |---|---|---|
//! | currents for many inputs | [`reduce`], then an ordinary product | about 34 n^3 operations, once |
//! | currents or node voltages for a few inputs | [`ConjugateGradients`] | some n^2 an iteration, a few to some hundred |
//! | whichever of these is faster | [`Auto`], which says what it chose | |
//! | a second, independent method | [`SparseLu`] | slow from 128 x 128 on |
//! | devices whose current is not proportional to the voltage | [`Newton`] with a [`DeviceLaw`] | a few linear networks an input |
//! | the tile of a layer, partly used | [`effective_block`], [`NonlinearTile`] | as above |
//! | powers, the worst drop, sensitivities | [`OperatingPoint`], [`sensitivity`] | one or two solutions |
//! | the same circuit in ngspice | [`netlist`] | |

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
mod tile_network;
mod wiring;

pub use analysis::{OperatingPoint, Power, WorstDrop, sensitivity};
pub use auto::Auto;
pub use cg::{ConjugateGradients, DeviceLaw, Newton, Ohmic, Sinh};
pub(crate) use cg::{Drive, Kept};
pub use circuit::PassiveCircuit;
pub use lu::SparseLu;
pub use netlist::netlist;
pub use nonlinear_tile::NonlinearTile;
pub use reduce::{Effective, Reduce, reduce};
pub use solver::{Detail, PassiveSolver, Solution};
pub use tile::{TileCircuit, Unused, effective_block};
pub use tile_network::TileNetwork;
pub use wiring::Wiring;
