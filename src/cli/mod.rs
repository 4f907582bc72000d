//! The command.
//!
//! [`main`] is all of it: a binary with models of its own registers them and calls it.

mod arguments;
mod context;
mod crossbar;
mod device;
mod infer;
mod init;
mod inspect;
mod plot;
mod program;
mod run;
mod saved;
mod search;
mod sweep;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::{Error, Registry};
use arguments::{Arguments, Command};

/// Reads the arguments of the process, does what they say, and gives the exit code: 0 done, 1 failed
/// (with one line on stderr), 2 wrong usage.
pub fn main(registry: Registry) -> ExitCode {
    let arguments = match Arguments::try_parse().and_then(checked) {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            // A reader that has gone away needs no help.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    match execute(arguments.command, &registry) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let line = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
            let _ = writeln!(std::io::stderr(), "error: {line}");
            if matches!(error, Error::Usage { .. }) { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// What clap cannot know about options is wrong usage too.
fn checked(arguments: Arguments) -> Result<Arguments, clap::Error> {
    if let Command::Crossbar(crossbar) = &arguments.command {
        crossbar::arguments::check(crossbar)?;
    }
    Ok(arguments)
}

fn execute(command: Command, registry: &Registry) -> Result<(), Error> {
    match command {
        Command::Run(arguments) => run::execute(&arguments, registry),
        Command::Infer(arguments) => infer::execute(&arguments, registry),
        Command::Inspect(arguments) => inspect::execute(&arguments, registry),
        Command::Init(arguments) => init::execute(&arguments, registry),
        Command::Device(arguments) => device::execute(&arguments, registry),
        Command::Crossbar(arguments) => crossbar::execute(&arguments, registry),
        Command::Sweep(arguments) => sweep::execute(&arguments, registry),
        Command::Merge(arguments) => sweep::merge(&arguments, registry),
        Command::Search(arguments) => search::execute(&arguments, registry),
        Command::Plot(arguments) => plot::execute(&arguments, registry),
        Command::Program(arguments) => program::execute(&arguments, registry),
    }
}

/// Writes to stdout; a reader that has gone away is no error.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(memtorch_utils::files::FileError::new("standard output", error).into())
        }
        _ => Ok(()),
    }
}
