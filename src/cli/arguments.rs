//! What may be said on the command line.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand};

use super::crossbar::arguments::Crossbar;
use super::program::arguments::Program;
use crate::sweep::Shard;

/// Says what accuracy remains when a trained network is put on simulated memristive crossbars, and why.
#[derive(Debug, Parser)]
#[command(name = "memtorch", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Evaluate a network digitally and on crossbars, and report layer by layer
    Run(Run),
    /// Run a network on inputs of your own
    Infer(Infer),
    /// Show the layers of a network and the tiles that they need
    Inspect(Inspect),
    /// Write a commented experiment file for a network
    Init(Init),
    /// Device models
    Device(Device),
    /// Passive crossbars: currents, effective conductances, netlists, maps
    Crossbar(Crossbar),
    /// Run an experiment over the settings of its [sweep], with repeats
    Sweep(Sweep),
    /// Put the parts of a sweep together that several machines computed
    Merge(Merge),
    /// Draw the figures of a sweep or a run, and write its report.html
    Plot(Plot),
    /// Find the first value of a key that keeps the accuracy, with a stated confidence
    Search(Search),
    /// Write conductances by pulses, with the physics of the devices
    Program(Box<Program>),
}

/// What says how to compute, for every command that computes.
#[derive(Debug, Args)]
pub(crate) struct Compute {
    /// Set a key of the experiment, as adc.bits=8; a bare word is text
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Seed, instead of the experiment's
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Threads; results do not depend on them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Where products are computed: cpu or cuda
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    pub(crate) backend: String,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Experiment file (.toml), or a network (.onnx) with --images and --labels
    pub(crate) input: PathBuf,
    /// Test images, where the input is a network: IDX (.gz or not), .npy, .npz, .csv, or CIFAR-10 (.bin, .tar.gz)
    #[arg(long, value_name = "FILE")]
    pub(crate) images: Option<PathBuf>,
    /// Labels of the test images, where those do not carry them
    #[arg(long, value_name = "FILE")]
    pub(crate) labels: Option<PathBuf>,
    /// Folder for results.json, layers.csv, experiment.toml and run.json
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// File for the programmed network (.npz), for infer --load
    #[arg(long, value_name = "F.npz")]
    pub(crate) save: Option<PathBuf>,
    /// Only the first N samples
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: Option<u64>,
    /// Measure how much of each layer's error each cause makes, alone and missing (explain = true)
    #[arg(long)]
    pub(crate) explain: bool,
    /// Print results.json instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) compute: Compute,
}

#[derive(Debug, Args)]
pub(crate) struct Sweep {
    /// Experiment file with a section [sweep]
    pub(crate) input: PathBuf,
    /// Folder for the log of what was computed, results.csv, summary.csv and figures
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Go on with the sweep that is in the folder
    #[arg(long)]
    pub(crate) resume: bool,
    /// Only the points of machine I of N, from 1; `memtorch merge` puts the parts together
    #[arg(long, value_name = "I/N", default_value = "1/1", hide_default_value = true)]
    pub(crate) shard: Shard,
    /// Only this point, from 0, with the files that `memtorch run` writes
    #[arg(long, value_name = "N", conflicts_with_all = ["resume", "shard", "at_once"])]
    pub(crate) point: Option<usize>,
    /// The repeat of --point, from 0
    #[arg(long, value_name = "N", requires = "point")]
    pub(crate) repeat: Option<usize>,
    /// Only the first N samples
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: Option<u64>,
    /// Points computed at once, each on one thread, instead of as many as there are threads; fewer need
    /// less memory
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) at_once: Option<u16>,
    /// Print the summary as JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) compute: Compute,
}

#[derive(Debug, Args)]
pub(crate) struct Merge {
    /// Folders of the parts
    #[arg(value_name = "DIR", required = true)]
    pub(crate) parts: Vec<PathBuf>,
    /// Folder for the whole sweep
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Print the summary as JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Plot {
    /// Folder that `memtorch sweep` or `memtorch run` has written
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Search {
    /// Experiment file
    pub(crate) input: PathBuf,
    /// Key to search, as adc.bits
    #[arg(long, value_name = "KEY")]
    pub(crate) key: String,
    /// Its values, the most wished for first, the safest last: [4, 6, 8] or { from = 2, to = 12, step = 1 }
    #[arg(long, value_name = "LIST")]
    pub(crate) values: String,
    /// Accuracy that may be lost against the digital network: 0.01 is one point
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub(crate) drop: f64,
    /// Confidence of all decisions together
    #[arg(long, value_name = "SHARE", default_value_t = 0.95, allow_negative_numbers = true)]
    pub(crate) confidence: f64,
    /// Parts of the samples, each on hardware with random draws of its own; a value is decided after 5, 10,
    /// 20 ... of them, or after all
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(5..))]
    pub(crate) blocks: u16,
    /// Only the first N samples
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: Option<u64>,
    /// What was found, to write
    #[arg(long, value_name = "F.json")]
    pub(crate) out: Option<PathBuf>,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) compute: Compute,
}

#[derive(Debug, Args)]
pub(crate) struct Infer {
    /// Network (.onnx); with --load it may be left out
    #[arg(required_unless_present = "load")]
    pub(crate) model: Option<PathBuf>,
    /// Input array, with the input's name where there are several
    #[arg(long, value_name = "[NAME=]X.npy", required = true)]
    pub(crate) input: Vec<String>,
    /// Output array, with the output's name where there are several
    #[arg(long, value_name = "[NAME=]Y.npy", required = true)]
    pub(crate) out: Vec<String>,
    /// Experiment whose hardware the layers run on; without it they run digitally
    #[arg(long, value_name = "E.toml")]
    pub(crate) experiment: Option<PathBuf>,
    /// Programmed network that run --save wrote
    #[arg(long, value_name = "F.npz", conflicts_with_all = ["experiment", "set", "seed"])]
    pub(crate) load: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) compute: Compute,
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// Network (.onnx); with --experiment it may be left out
    #[arg(required_unless_present = "experiment")]
    pub(crate) model: Option<PathBuf>,
    /// Experiment whose plan is shown: where each layer will be, and what stays digital and why
    #[arg(long, value_name = "E.toml", conflicts_with_all = ["tile", "scheme"])]
    pub(crate) experiment: Option<PathBuf>,
    /// Size of a tile, as 128x128, or layer
    #[arg(long, value_name = "ROWSxCOLUMNS", default_value = "128x128")]
    pub(crate) tile: String,
    /// Mapping scheme
    #[arg(long, value_name = "NAME", default_value = "double-column")]
    pub(crate) scheme: String,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Network (.onnx)
    pub(crate) model: PathBuf,
    /// Experiment file to write
    #[arg(long, value_name = "E.toml")]
    pub(crate) out: PathBuf,
    /// Device model of the experiment
    #[arg(long, value_name = "NAME", default_value = "vteam")]
    pub(crate) device: String,
    /// Overwrite the file if it is there
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Device {
    #[command(subcommand)]
    pub(crate) command: DeviceCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    /// List the device models with their parameters, defaults, units and ranges
    List {
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Record a device, or many, under a voltage that changes over time
    Trace(Box<Trace>),
    /// Find the parameters of a model that explain a measured record of voltage and current
    Fit(Box<Fit>),
}

/// A record, and what becomes of the fit.
#[derive(Debug, Args)]
pub(crate) struct Fit {
    /// Name of the device model: `memtorch device list` shows them
    pub(crate) model: String,
    /// The record: columns time,voltage,current in s, V, A, or voltage,current with --dt
    #[arg(long, value_name = "IV.csv")]
    pub(crate) data: PathBuf,
    /// Time between samples in s, of a record without times
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    pub(crate) dt: Option<f64>,
    /// Parameters to find, instead of the model's own choice and start_conductance, as r_on,r_off
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub(crate) fit: Vec<String>,
    /// Set a parameter: where the search for it begins if it is in --fit, else what it stays, as r_on=100
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
    /// File to write: a [device] section for experiments
    #[arg(long, value_name = "FIT.toml")]
    pub(crate) out: Option<PathBuf>,
    /// Drawing to write: measured and fitted currents, and their difference
    #[arg(long, value_name = "F.svg|F.png")]
    pub(crate) plot: Option<PathBuf>,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// One voltage, and what becomes of the record.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("waveform").required(true).args(["voltage", "hysteresis", "switching"])))]
pub(crate) struct Trace {
    /// Name of the device model: `memtorch device list` shows them
    pub(crate) model: String,
    /// Set a parameter of the model, as r_on=100; a bare word is text; with --devices also to a distribution, as
    /// r_on={normal={mean=50,std=5}}
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
    /// Record so many devices, with parameters drawn for each
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) devices: Option<u32>,
    /// Read each device at the nearest of so many conductances, evenly spaced between its own bounds
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..16_777_217))]
    pub(crate) states: Option<u32>,
    /// Voltage of each sample in V, a list
    #[arg(long, value_name = "V.npy")]
    pub(crate) voltage: Option<PathBuf>,
    /// A sine, for the loop of current over voltage
    #[arg(long)]
    pub(crate) hysteresis: bool,
    /// A triangle 0, A, 0, -A, 0, for the logarithm of the current over voltage
    #[arg(long)]
    pub(crate) switching: bool,
    /// Time between samples in s, instead of the model's time_step
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    pub(crate) dt: Option<f64>,
    /// Amplitude in V, instead of the model's own
    #[arg(long, value_name = "V", allow_negative_numbers = true, conflicts_with = "voltage")]
    pub(crate) amplitude: Option<f64>,
    /// Frequency in Hz, instead of the model's own
    #[arg(long, value_name = "HZ", allow_negative_numbers = true, conflicts_with = "voltage")]
    pub(crate) frequency: Option<f64>,
    /// Periods: the duration is N / frequency, instead of the model's own (of a triangle: 1)
    #[arg(long, value_name = "N", allow_negative_numbers = true, conflicts_with = "voltage")]
    pub(crate) cycles: Option<f64>,
    /// Seed of distributions and of models with noise
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Where devices are stepped: cpu or cuda
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    pub(crate) backend: String,
    /// Current of each sample in A, to write, f64; with --devices [devices, samples]
    #[arg(long, value_name = "I.npy")]
    pub(crate) out: Option<PathBuf>,
    /// Table to write: time,voltage,current,state,conductance; with --devices device before these
    #[arg(long, value_name = "F.csv")]
    pub(crate) csv: Option<PathBuf>,
    /// Drawing to write: current over voltage, current and state over time
    #[arg(long, value_name = "F.svg|F.png")]
    pub(crate) plot: Option<PathBuf>,
    /// Print JSON instead of a summary
    #[arg(long)]
    pub(crate) json: bool,
}
