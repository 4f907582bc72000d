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

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::{Error, Registry};
use arguments::{Arguments, Command};

/// Reads the arguments of the process, does what they say, and gives the exit code: 0 done, 1 failed
/// (with one line on stderr), 2 wrong usage.
pub fn main(registry: Registry) -> ExitCode {
    main_from(std::env::args_os(), &registry)
}

/// As [`main`], with these arguments, of which the first is the name of the program.
pub fn main_from(arguments: impl IntoIterator<Item = OsString>, registry: &Registry) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments).and_then(checked) {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            // A reader that has gone away needs no help.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    match execute(arguments.command, registry) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {}", line(&error.to_string()));
            if matches!(error, Error::Usage { .. }) { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// A text as one line; it may hold names from any file.
pub(crate) fn line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    printable(&line)
}

/// A text without what moves the cursor or sets a colour, but for its own lines.
fn printable(text: &str) -> String {
    let strange = |c: char| c.is_control() && c != '\n' && c != '\t';
    text.chars().map(|c| if strange(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
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

/// Writes text to stdout, which may hold names from any file; a reader that has gone away is no error.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(printable(text).as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(memtorch_utils::files::FileError::new("standard output", error).into())
        }
        _ => Ok(()),
    }
}
