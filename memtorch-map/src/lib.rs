//! One weight matrix on a crossbar: weights to conductances, inputs to voltages, currents to outputs.

mod error;
mod hardware;
mod matrix;
mod scheme;

pub use error::MapError;
pub use hardware::{
    Adc, Arrays, Entry, Hardware, InputScale, InputStage, PerWhat, ReadMode, Tuning, WeightFloor, WeightRange,
};
pub use matrix::{MappedMatrix, MatrixReport, ReadReport, StepReport, Usage};
pub use scheme::{DoubleColumn, MappingScheme, Minus, SingleColumn, Term};

pub use ndarray;
