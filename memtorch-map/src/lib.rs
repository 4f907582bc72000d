#![doc = include_str!("../README.md")]

mod error;
mod hardware;
mod input;
mod matrix;
mod program;
mod range;
mod read;
mod report;
mod scheme;
mod tune;

pub use error::MapError;
pub use hardware::{
    Adc, Arrays, Entry, Hardware, InputScale, InputStage, PerWhat, ReadMode, Tuning, WeightFloor,
    WeightRange, Wires, Writer,
};
pub use matrix::{MappedMatrix, Usage};
pub use report::{MatrixReport, ReadReport, StepReport};
pub use scheme::{DoubleColumn, MappingScheme, Minus, SingleColumn, Term};

pub use memtorch_crossbar::passive::Unused;
pub use memtorch_crossbar::programming::{Programmer, ProgrammingReport};
pub use ndarray;
