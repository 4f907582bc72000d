//! What may be said to `memtorch crossbar`.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Subcommand, ValueEnum};

#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Crossbar {
    #[command(subcommand)]
    pub(crate) command: CrossbarCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CrossbarCommand {
    /// Solve a passive crossbar for one or many inputs
    Solve(Solve),
    /// Reduce a passive crossbar to its effective conductances
    Effective(Effective),
    /// Write a passive crossbar as a deck for ngspice
    Netlist(Netlist),
    /// Draw conductances, node voltages and losses
    Map(Map),
}

/// The circuit.
#[derive(Debug, Args)]
pub(crate) struct Circuit {
    /// Conductances in siemens, [word lines, bit lines]; 0 is an open cell
    #[arg(long, value_name = "G.npy")]
    pub(crate) conductance: PathBuf,
    /// Resistance between a line's driven end and its source, in ohm
    #[arg(long, value_name = "OHM", allow_negative_numbers = true)]
    pub(crate) source_resistance: f64,
    /// Resistance of a line between two cells, in ohm
    #[arg(long, value_name = "OHM", allow_negative_numbers = true)]
    pub(crate) line_resistance: f64,
    /// The same of bit lines, where it differs
    #[arg(long, value_name = "OHM", allow_negative_numbers = true)]
    pub(crate) bit_line_resistance: Option<f64>,
    /// Ends at which word lines are driven
    #[arg(long, value_name = "ENDS", value_enum, default_value = "left")]
    pub(crate) word_line_ends: WordLineEnds,
    /// Ends at which bit lines are read
    #[arg(long, value_name = "ENDS", value_enum, default_value = "bottom")]
    pub(crate) bit_line_ends: BitLineEnds,
    /// Threads; results do not depend on them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
}

/// How the circuit is operated, besides its word lines.
#[derive(Debug, Args)]
pub(crate) struct Operation {
    /// Voltages of the bit lines, [N] (solve: or [batch, N]), instead of 0
    #[arg(long, value_name = "V.npy")]
    pub(crate) bit_line: Option<PathBuf>,
    /// Devices of i = g sinh(B v) / B, B in 1/V, instead of i = g v
    #[arg(long, value_name = "B", allow_negative_numbers = true)]
    pub(crate) nonlinear: Option<f64>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum WordLineEnds {
    Left,
    Right,
    Both,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum BitLineEnds {
    Top,
    Bottom,
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Method {
    /// The faster of reduce and cg
    Auto,
    /// Star-mesh reduction
    Reduce,
    /// Conjugate gradients
    Cg,
    /// Sparse LU
    Lu,
}

#[derive(Debug, Args)]
pub(crate) struct Solve {
    #[command(flatten)]
    pub(crate) circuit: Circuit,
    /// Voltages of the word lines, [M] or [batch, M]
    #[arg(long, value_name = "V.npy")]
    pub(crate) word_line: PathBuf,
    #[command(flatten)]
    pub(crate) operation: Operation,
    /// How to solve
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) method: Method,
    /// Column currents to write, in ampere into the sinks, [N] or [batch, N]
    #[arg(long, value_name = "I.npy")]
    pub(crate) out: PathBuf,
    /// Node voltages to write, [2, M, N] or [batch, 2, M, N], word lines first
    #[arg(long, value_name = "F.npy")]
    pub(crate) node_voltages: Option<PathBuf>,
    /// Print JSON instead of a summary
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Effective {
    #[command(flatten)]
    pub(crate) circuit: Circuit,
    /// Effective conductances to write, [M, N]
    #[arg(long, value_name = "GEFF.npy")]
    pub(crate) out: PathBuf,
    /// What the bit lines' voltages add to the currents, to write, [N, N]
    #[arg(long, value_name = "H.npy")]
    pub(crate) bit_line_out: Option<PathBuf>,
    /// Where the circuit is reduced: cpu or cuda; what bit lines add is the CPU's
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    pub(crate) backend: String,
    /// Print JSON instead of a summary
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Netlist {
    #[command(flatten)]
    pub(crate) circuit: Circuit,
    /// Voltages of the word lines, [M]
    #[arg(long, value_name = "V.npy")]
    pub(crate) word_line: PathBuf,
    #[command(flatten)]
    pub(crate) operation: Operation,
    /// Deck to write
    #[arg(long, value_name = "F.cir")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Map {
    #[command(flatten)]
    pub(crate) circuit: Circuit,
    /// Voltages of the word lines, [M], instead of 1 V on all
    #[arg(long, value_name = "V.npy")]
    pub(crate) word_line: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) operation: Operation,
    /// Drawing to write, as its name says
    #[arg(long, value_name = "F.svg|F.png")]
    pub(crate) plot: PathBuf,
}

/// What clap cannot know: options that do not go together.
pub(crate) fn check(arguments: &Crossbar) -> Result<(), clap::Error> {
    if let CrossbarCommand::Solve(Solve { method: Method::Reduce | Method::Lu, operation, .. }) =
        &arguments.command
        && operation.nonlinear.is_some()
    {
        let what = "--nonlinear needs --method auto or cg: reduce and lu solve ohmic devices only";
        let mut command = crate::cli::arguments::Arguments::command();
        return Err(command.error(ErrorKind::ArgumentConflict, what));
    }
    Ok(())
}
