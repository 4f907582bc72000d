//! Running the built command.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What a run of the command gave.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Fails the test unless the command succeeded.
    #[track_caller]
    pub fn done(self) -> Self {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }
}

/// Runs `memtorch` with these arguments in a folder.
pub fn memtorch_in(folder: &Path, arguments: &[&str]) -> Ran {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_memtorch")).args(arguments).current_dir(folder).output().unwrap();
    Ran {
        code: status.code().unwrap_or(-1),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

/// Runs `memtorch` in the root of the repository.
pub fn memtorch(arguments: &[&str]) -> Ran {
    memtorch_in(&root(), arguments)
}

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The path of a file of the repository.
pub fn file(path: &str) -> String {
    root().join(path).display().to_string()
}

/// An experiment with this network, and these lines after `[model]` and `[data]`.
pub fn experiment(network: &str, rest: &str) -> String {
    format!(
        "[model]\nonnx = {:?}\n[data]\nimages = {:?}\nlabels = {:?}\n{rest}",
        file(&format!("models/fmnist-{network}.onnx")),
        file("data/fashion-mnist-t2k-images-idx3-ubyte.gz"),
        file("data/fashion-mnist-t2k-labels-idx1-ubyte.gz"),
    )
}
