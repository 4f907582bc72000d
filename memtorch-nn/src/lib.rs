#![doc = include_str!("../README.md")]

mod attributes;
mod build;
mod builder;
mod error;
mod evaluate;
mod executable;
mod feed;
mod folding;
#[cfg(any(feature = "onnx", feature = "safetensors"))]
mod half;
mod kernel;
mod layer;
mod linear;
mod math;
mod network;
#[cfg(feature = "onnx")]
mod onnx;
mod ops;
mod plan;
mod regression;
mod run;
#[cfg(feature = "save")]
mod saved;
#[cfg(feature = "safetensors")]
mod state_dict;
mod tensor;
mod torch;

pub use builder::{Attribute, NetworkBuilder, NodeDescription};
pub use error::NnError;
pub use evaluate::{EvaluateOptions, Evaluation, evaluate};
pub use executable::{Executable, LayerChoice, Outputs, record_inputs, relative_errors};
pub use feed::Samples;
pub use folding::{Folding, WeightSpread};
pub use layer::Layer;
pub use network::{Dimension, ElementType, ImportOptions, Inspection, Network, Port, Product, Unsupported};
pub use plan::{Place, Plan, PlannedLayer};
pub use regression::{Regression, regression};
#[cfg(feature = "save")]
pub use saved::Saved;
pub use tensor::{Data, Tensor};
pub use torch::{Convolution, Recurrence};

pub use memtorch_map::{self as map, crossbar, devices, ndarray};
