//! The keys of an experiment file.

use memtorch_utils::config::{Default, Field, Kind};
use memtorch_utils::datasets;

use super::pulses;
use crate::Registry;

/// A section: a table with keys.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its name.
    pub name: &'static str,
    /// What it is about, in one sentence without a full stop.
    pub meaning: &'static str,
    /// Its keys.
    pub fields: Vec<Field>,
}

/// The keys outside all sections.
pub const TOP: &[Field] = &[
    Field::new("seed", Kind::Integer, Default::Integer(0), "decides everything that is random")
        .range(0.0, f64::INFINITY),
    Field::new(
        "repeat",
        Kind::Integer,
        Default::Integer(0),
        "other random draws of the same seed, by their number",
    )
    .range(0.0, f64::INFINITY),
    Field::new(
        "explain",
        Kind::Bool,
        Default::Bool(false),
        "measure how much of each layer's error each cause makes, alone and missing; programs the network twice more for each",
    ),
];

/// `[model]`.
pub const MODEL: &[Field] = &[
    Field::new("onnx", Kind::Text, Default::Required, "file of the trained network"),
    Field::new(
        "fold_batch_norm",
        Kind::Bool,
        Default::Bool(false),
        "merge batch normalisation into the layer before it, which widens the range of weights",
    ),
    Field::new(
        "output",
        Kind::Text,
        Default::Absent,
        "output that is compared with the labels; absent: the only one",
    ),
];

/// The key of `[device]` that is not a parameter of the model.
pub const DEVICE_MODEL: Field =
    Field::new("model", Kind::Text, Default::Required, "name of the device model (memtorch device list)");

/// `[crossbar]`, without the keys of the mapping scheme.
pub const CROSSBAR: &[Field] = &[
    Field::new(
        "tile",
        Kind::Any,
        Default::Integers(&[128, 128]),
        "[word lines, bit lines] of a tile, or \"layer\": one array a layer",
    ),
    Field::new(
        "cell",
        Kind::Choice(&["1t1r", "0t1r"]),
        Default::Text("1t1r"),
        "with or without a transistor a device",
    ),
    ohm("source_resistance", "resistance at the driven end of a word line and at the sink of a bit line"),
    ohm("line_resistance", "resistance of a wire between neighbouring devices"),
    ohm("transistor_resistance", "resistance of the transistor in series with each 1t1r device"),
    Field::new("scheme", Kind::Text, Default::Text("double-column"), "how weights lie on devices"),
    Field::new(
        "weight_range",
        Kind::Choice(&["layer", "column"]),
        Default::Text("layer"),
        "what shares a largest weight",
    ),
    Field::new(
        "exclude_largest",
        Kind::Real,
        Default::Real(0.0),
        "share of the largest weights that is clipped (p_L)",
    )
    .range(0.0, 1.0),
    Field::new(
        "weight_floor",
        Kind::Choice(&["zero", "ratio"]),
        Default::Text("zero"),
        "smallest weight that is mapped: zero, or the largest times r_on / r_off (a dead zone)",
    ),
    Field::new(
        "group_packing",
        Kind::Choice(&["separate", "block-diagonal"]),
        Default::Text("separate"),
        "tiles of a grouped convolution: of their own for each group, or shared",
    ),
    Field::new(
        "remapping",
        Kind::Choice(&["none", "rows", "columns", "both"]),
        Default::Text("none"),
        "lines of a tile that are permuted so that stuck devices fall where they hurt least; undone digitally",
    ),
    Field::new(
        "unused",
        Kind::Choice(&["full", "absent"]),
        Default::Text("full"),
        "the unused part of a tile with wires: devices at r_off on grounded lines, or not there",
    ),
];

const fn ohm(name: &'static str, meaning: &'static str) -> Field {
    Field::new(name, Kind::Real, Default::Real(0.0), meaning).unit("ohm").range(0.0, f64::INFINITY)
}

/// `[input]`.
pub const INPUT: &[Field] = &[
    Field::new("max_voltage", Kind::Real, Default::Real(0.3), "largest voltage on a word line")
        .unit("V")
        .range(f64::MIN_POSITIVE, 1e6),
    Field::new(
        "scale",
        Kind::ChoiceOrReal(&["always", "exceeds", "calibrated"]),
        Default::Text("always"),
        "units of the input a volt: each sample's largest to max_voltage, only where it exceeds it, calibrated once, or a number",
    )
    .range(f64::MIN_POSITIVE, f64::INFINITY),
    Field::new("bits", Kind::Integer, Default::Integer(0), "bits of the DAC; 0: ideal, else from 2").range(0.0, 24.0),
    Field::new(
        "serial",
        Kind::Bool,
        Default::Bool(false),
        "the bits of the DAC's code, in two's complement, one a cycle, each cycle converted",
    ),
];

/// `[adc]`, without the keys of the converter.
pub const ADC: &[Field] = &[
    Field::new("bits", Kind::Integer, Default::Integer(8), "bits of the converter; 0: ideal, else from 2")
        .range(0.0, 24.0),
    Field::new("method", Kind::Text, Default::Text("linear"), "kind of converter"),
    Field::new(
        "read",
        Kind::Choice(&["difference", "each"]),
        Default::Text("difference"),
        "whether the two currents of a weight are subtracted before conversion, or each is converted",
    ),
    Field::new(
        "columns_per_adc",
        Kind::Integer,
        Default::Integer(1),
        "columns of a tile that take turns at one converter: more cycles, the same numbers",
    )
    .range(1.0, 1e6),
    Field::new(
        "granularity",
        Kind::Choice(&["layer", "tile", "column"]),
        Default::Text("layer"),
        "what shares a calibrated range: a layer, a tile, a bit line of a tile",
    ),
    Field::new(
        "range_fit",
        Kind::Choice(&["percentile", "least-squares"]),
        Default::Text("percentile"),
        "how a calibrated range is found: a percentile of the currents, or the least squared error of their codes",
    ),
    Field::new(
        "percentile",
        Kind::Real,
        Default::Real(100.0),
        "percentile of the currents' magnitudes that is the calibrated range; 100: the largest",
    )
    .unit("%")
    .range(f64::MIN_POSITIVE, 100.0),
    Field::new(
        "calibration",
        Kind::Choice(&["data", "random"]),
        Default::Text("data"),
        "inputs with which ranges and the scale of inputs are calibrated: what layers see in the digital network for the first images of [data], or random",
    ),
    Field::new("calibration_samples", Kind::Integer, Default::Integer(8), "how many such images or inputs")
        .range(1.0, 1e9),
];

/// `[program]`. All but the method say how pulses write.
pub const PROGRAM: &[Field] = &[
    Field::new(
        "method",
        Kind::Choice(&["direct", "pulses"]),
        Default::Text("direct"),
        "conductances are set as they are, or reached by pulses from the OFF state",
    ),
    Field::new(
        "bias",
        Kind::Choice(pulses::BIASES),
        Default::Text("half"),
        "what other cells of a 0t1r array see of a pulse: a half, a third, what open lines come to",
    ),
    Field::new(
        "order",
        Kind::Choice(pulses::ORDERS),
        Default::Text("row"),
        "which cell of a 0t1r array is next: row by row, at random, the one with the largest error",
    ),
    Field::new(
        "scheme",
        Kind::Choice(pulses::SCHEMES),
        Default::Absent,
        "pulses that are all alike, each higher than the last, each as long as it takes, or as many as a calibration curve says, unread; absent: adaptive, or fixed with a pulse_width",
    ),
    Field::new(
        "set_voltage",
        Kind::Real,
        Default::Absent,
        "voltage of a pulse that raises the conductance; absent: the model's own",
    )
    .unit("V"),
    Field::new(
        "reset_voltage",
        Kind::Real,
        Default::Absent,
        "voltage of a pulse that lowers the conductance; absent: the model's own",
    )
    .unit("V"),
    Field::new(
        "pulse_width",
        Kind::Real,
        Default::Absent,
        "length of a pulse, or of the shortest, a multiple of the time step; absent: one time step, or the model's own with fixed and open-loop",
    )
    .unit("s")
    .range(f64::MIN_POSITIVE, f64::INFINITY),
    Field::new(
        "voltage_step",
        Kind::Real,
        Default::Absent,
        "rise from pulse to pulse of scheme incremental, as a share of the first voltage; absent: 0.05",
    )
    .range(f64::MIN_POSITIVE, f64::INFINITY),
    Field::new(
        "voltage_limit",
        Kind::Real,
        Default::Absent,
        "largest voltage of scheme incremental, as a multiple of the first; absent: 2",
    )
    .range(1.0, f64::INFINITY),
    Field::new(
        "longest_pulse",
        Kind::Integer,
        Default::Absent,
        "longest pulse of scheme adaptive, in widths; absent: 1024",
    )
    .range(1.0, 1e6),
    Field::new("max_pulses", Kind::Integer, Default::Integer(1000), "pulses for a device at each visit, at most")
        .range(1.0, 1e9),
    Field::new(
        "tolerance",
        Kind::Real,
        Default::Real(0.01),
        "error that is good enough, as a share of the range g_on - g_off",
    )
    .range(f64::MIN_POSITIVE, 1.0),
    Field::new(
        "tolerance_siemens",
        Kind::Real,
        Default::Absent,
        "error that is good enough as a conductance, instead of tolerance",
    )
    .unit("S")
    .range(f64::MIN_POSITIVE, f64::INFINITY),
    Field::new("passes", Kind::Integer, Default::Integer(1), "how often all devices are visited")
        .range(1.0, 1e6),
    Field::new(
        "read_voltage",
        Kind::Real,
        Default::Absent,
        "voltage of the reads between pulses, one time step long, which acts on devices; absent: reads that do not",
    )
    .unit("V"),
    Field::new(
        "read_noise",
        Kind::Real,
        Default::Real(0.0),
        "standard deviation of a read between pulses, as a share of the range",
    )
    .range(0.0, 1.0),
    Field::new(
        "voltage_error",
        Kind::Real,
        Default::Real(1e-3),
        "how far the voltages of a 0t1r array with wires may be off, as a share of the pulse's, before the network is solved anew; 0: at every pulse",
    )
    .range(0.0, 0.5),
];

/// `[tune]`.
pub const TUNE: &[Field] = &[
    Field::new(
        "samples",
        Kind::Integer,
        Default::Integer(8),
        "inputs or images of the fit of a layer's gain; 0: analytic",
    )
    .range(0.0, 1e6),
    Field::new(
        "per",
        Kind::Choice(&["layer", "column", "tile"]),
        Default::Text("layer"),
        "what shares a gain",
    ),
    Field::new("intercept", Kind::Bool, Default::Bool(false), "fit a constant too"),
    Field::new(
        "inputs",
        Kind::Choice(&["uniform", "data"]),
        Default::Text("uniform"),
        "random inputs, or what the layer sees in the digital network for the first images of [data]",
    ),
];

/// The keys that every `[[nonideality]]` has besides those of its kind.
pub const NON_IDEALITY: &[Field] = &[
    Field::new("kind", Kind::Text, Default::Required, "which non-ideality"),
    Field::new(
        "arrays",
        Kind::Choice(&["all", "positive", "negative"]),
        Default::Text("all"),
        "which arrays of a layer it acts on",
    ),
    Field::new(
        "after_tuning",
        Kind::Bool,
        Default::Absent,
        "whether it acts after tuning; absent: as its kind does",
    ),
];

/// Names of the sections that may be set for some layers only.
pub const LAYER_SECTIONS: &[&str] = &["device", "crossbar", "input", "adc", "program", "tune"];

/// All names on the top level.
pub const TOP_NAMES: &[&str] = &[
    "seed",
    "repeat",
    "explain",
    "model",
    "data",
    "device",
    "crossbar",
    "input",
    "adc",
    "program",
    "tune",
    "nonideality",
    "layers",
    "sweep",
];

/// The sections with a fixed set of keys, in the order of a file. `[device]` has those of its model.
pub fn sections(registry: &Registry) -> Vec<Section> {
    let section = |name, meaning, fields: &[Field]| Section { name, meaning, fields: fields.to_vec() };
    vec![
        section("model", "the trained network", MODEL),
        section("data", "what it is tested with; files relative to this one", datasets::FIELDS),
        section("crossbar", "arrays of devices", &crossbar_fields(registry)),
        section("input", "from numbers to volts on the word lines", INPUT),
        section(
            "adc",
            "from column currents to numbers; without this section, currents are read exactly",
            &adc_fields(registry),
        ),
        section("program", "how conductances are written", PROGRAM),
        section("tune", "how a layer's gain is found", TUNE),
    ]
}

/// `[crossbar]` with the keys of all mapping schemes.
pub fn crossbar_fields(registry: &Registry) -> Vec<Field> {
    union(CROSSBAR, registry.schemes().iter().map(|entry| entry.fields))
}

/// `[adc]` with the keys of all converters.
pub fn adc_fields(registry: &Registry) -> Vec<Field> {
    union(ADC, registry.converters().iter().map(|entry| entry.fields))
}

fn union<'a>(own: &[Field], others: impl Iterator<Item = &'a [Field]>) -> Vec<Field> {
    let mut fields = own.to_vec();
    for field in others.flatten() {
        if !fields.iter().any(|known| known.name == field.name) {
            fields.push(*field);
        }
    }
    fields
}
