//! What may be said to `memtorch program`.

use std::path::PathBuf;

use clap::Args;

use crate::experiment::pulses::{BIASES, ORDERS, SCHEMES};

/// Targets, a device, pulses, files.
#[derive(Debug, Args)]
pub(crate) struct Program {
    /// Conductances to reach in S, [word lines, bit lines]
    #[arg(long, value_name = "G.npy")]
    pub(crate) target: PathBuf,
    /// Name of the device model: `memtorch device list` shows them
    #[arg(long, value_name = "MODEL")]
    pub(crate) device: String,
    /// Set a parameter of the model, as r_on=100; a bare word is text
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
    /// With a transistor in each cell, or without: then other cells see a part of each pulse
    #[arg(long, value_name = "CELL", value_parser = ["1t1r", "0t1r"], default_value = "1t1r")]
    pub(crate) cell: String,
    /// What other cells of a 0t1r array see: half, third, or floating lines [default: half]
    #[arg(long, value_name = "BIAS", value_parser = clap::builder::PossibleValuesParser::new(BIASES))]
    pub(crate) bias: Option<String>,
    /// Which cell of a 0t1r array is next: row by row, random, worst-first [default: row]
    #[arg(long, value_name = "ORDER", value_parser = clap::builder::PossibleValuesParser::new(ORDERS))]
    pub(crate) order: Option<String>,
    /// Resistance at the driven end of a word line and at the sink of a bit line, in ohm
    #[arg(long, value_name = "OHM", default_value_t = 0.0, allow_negative_numbers = true)]
    pub(crate) source_resistance: f64,
    /// Resistance of a wire between neighbouring cells, in ohm
    #[arg(long, value_name = "OHM", default_value_t = 0.0, allow_negative_numbers = true)]
    pub(crate) line_resistance: f64,
    /// How pulses follow what they do: all alike, each higher than the last, each as long as it takes, or, without
    /// reads between them, as many as a calibration curve of the nominal device says
    /// [default: adaptive; fixed with --pulse-width]
    #[arg(long, value_name = "SCHEME", value_parser = clap::builder::PossibleValuesParser::new(SCHEMES))]
    pub(crate) scheme: Option<String>,
    /// Voltage that raises the conductance, instead of the model's own
    #[arg(long, value_name = "V", allow_negative_numbers = true)]
    pub(crate) set_voltage: Option<f64>,
    /// Voltage that lowers the conductance, instead of the model's own
    #[arg(long, value_name = "V", allow_negative_numbers = true)]
    pub(crate) reset_voltage: Option<f64>,
    /// Length of a pulse (of the shortest, where they differ), a multiple of the time step
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    pub(crate) pulse_width: Option<f64>,
    /// Rise from pulse to pulse as a share of the first voltage, with --scheme incremental [default: 0.05]
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    pub(crate) voltage_step: Option<f64>,
    /// Largest voltage as a multiple of the first, with --scheme incremental [default: 2]
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    pub(crate) voltage_limit: Option<f64>,
    /// Longest pulse in widths, with --scheme adaptive [default: 1024]
    #[arg(long, value_name = "N")]
    pub(crate) longest_pulse: Option<u32>,
    /// Pulses for a device at each visit, at most [default: 1000]
    #[arg(long, value_name = "N")]
    pub(crate) max_pulses: Option<u32>,
    /// Error that is good enough, as a share of the range g_on - g_off [default: 0.01]
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    pub(crate) tolerance: Option<f64>,
    /// Error that is good enough in S, instead of --tolerance
    #[arg(long, value_name = "S", allow_negative_numbers = true, conflicts_with = "tolerance")]
    pub(crate) tolerance_siemens: Option<f64>,
    /// How often all devices are visited [default: 1]
    #[arg(long, value_name = "N")]
    pub(crate) passes: Option<u32>,
    /// Voltage of the reads between pulses: they last one time step and act on the devices [default: ideal reads]
    #[arg(long, value_name = "V", allow_negative_numbers = true)]
    pub(crate) read_voltage: Option<f64>,
    /// Standard deviation of a read, as a share of the range [default: 0]
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    pub(crate) read_noise: Option<f64>,
    /// How far the voltages of a 0t1r array with wires may be off, as a share of the pulse's, before the network
    /// is solved anew; 0: at every pulse [default: 0.001]
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    pub(crate) voltage_error: Option<f64>,
    /// Seed of all that is random
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Threads; results do not depend on them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Conductances that were reached in S, to write, f64
    #[arg(long, value_name = "G.npy")]
    pub(crate) out: Option<PathBuf>,
    /// Report to write, JSON
    #[arg(long, value_name = "R.json")]
    pub(crate) report: Option<PathBuf>,
    /// Table of all pulses to write: pulse,pass,row,column,applied,voltage,steps,before,after
    #[arg(long, value_name = "F.csv")]
    pub(crate) record: Option<PathBuf>,
    /// Drawing to write: reached over target, and a map of the errors
    #[arg(long, value_name = "F.svg|F.png")]
    pub(crate) plot: Option<PathBuf>,
    /// Print the report instead of a summary
    #[arg(long)]
    pub(crate) json: bool,
}
