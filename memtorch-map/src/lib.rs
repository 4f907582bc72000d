#![doc = include_str!("../README.md")]

mod calibrate;
mod cause;
mod error;
mod explicit;
mod feature;
mod hardware;
mod input;
mod matrix;
mod on_cpu;
mod parts;
mod placement;
mod probe;
mod program;
mod range;
mod read;
mod read_index;
mod remap;
mod report;
mod scheme;
mod sliced;
mod stacked;
mod tune;

pub use cause::Cause;
pub use error::MapError;
pub use hardware::{
    Adc, Arrays, CalibratedRange, Calibration, Entry, GroupPacking, Hardware, InputScale, InputStage,
    PerWhat, ProbeInputs, RangeFit, ReadMode, Remapping, Tuning, WeightFloor, WeightRange, Wires, Writer,
};
pub use matrix::{MappedMatrix, Usage};
pub use parts::MatrixParts;
pub use placement::Footprint;
pub use probe::LayerInputs;
pub use read_index::ReadIndex;
pub use report::{ConverterReport, MatrixReport, ReadReport, StepReport};
pub use scheme::{DoubleColumn, MappingScheme, Minus, OffsetColumn, Reference, SingleColumn, Term};
pub use sliced::{BitSliced, Sign};

pub use memtorch_crossbar::passive::Unused;
pub use memtorch_crossbar::programming::{Programmer, ProgrammingReport};
pub use memtorch_crossbar::{self as crossbar, devices};
pub use ndarray;
