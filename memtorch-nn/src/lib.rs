//! Trained networks, imported from ONNX, run digitally or with their layers on memristive crossbars.

mod attributes;
mod build;
mod builder;
mod error;
mod evaluate;
mod executable;
mod layer;
mod linear;
mod network;
#[cfg(feature = "onnx")]
mod onnx;
mod ops;
mod run;
mod tensor;

pub use builder::{Attribute, NetworkBuilder, NodeDescription};
pub use error::NnError;
pub use evaluate::{EvaluateOptions, Evaluation, Samples, evaluate};
pub use executable::{Executable, LayerChoice, Outputs, relative_errors};
pub use layer::Layer;
pub use network::{Dimension, ElementType, ImportOptions, Inspection, Network, Port, Unsupported};
pub use tensor::{Data, Tensor};

pub use memtorch_map::ndarray;
