#![doc = include_str!("../README.md")]

use std::sync::Arc;

use memtorch_crossbar::{ArrayBackend, CrossbarError};

/// Opens the first GPU of the machine as a backend.
///
/// # Errors
/// Always, in this version: the GPU kernels are not there yet. The error says so and names the way out.
pub fn open() -> Result<Arc<dyn ArrayBackend>, CrossbarError> {
    Err(CrossbarError::Backend {
        backend: "cuda".to_owned(),
        why: "the GPU kernels are not available in this version: use the backend cpu".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_missing_kernels_are_said_with_the_way_out() {
        let error = super::open().unwrap_err().to_string();
        assert!(error.contains("cuda") && error.contains("use the backend cpu"), "{error}");
    }
}
