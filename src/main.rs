//! The command, with everything that comes with memtorch.

use std::process::ExitCode;

fn main() -> ExitCode {
    memtorch::cli::main(memtorch::Registry::with_defaults())
}
