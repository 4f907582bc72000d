use memtorch_map::{ConverterReport, MatrixParts, MatrixReport};
use serde::{Deserialize, Serialize};

/// The format that this version writes and reads.
pub(super) const FORMAT: u32 = 1;

/// `header.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) format: u32,
    /// The version of memtorch that wrote it.
    pub(super) version: String,
    /// The fingerprint of the network.
    pub(super) network: String,
    pub(super) layers: Vec<LayerHeader>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct LayerHeader {
    pub(super) name: String,
    pub(super) node: String,
    /// Groups, rows, columns.
    pub(super) size: [usize; 3],
    #[serde(flatten)]
    pub(super) on: On,
}

/// What a layer runs on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "on", rename_all = "lowercase")]
pub(super) enum On {
    Digital {
        reason: String,
    },
    Crossbars {
        scheme: String,
        tile: [usize; 2],
        arrays: usize,
        device: String,
        /// Names and values; a value that is no JSON number is text.
        nominal: Vec<(String, Number)>,
        /// The calibrated scale of the inputs, in units of the input a volt.
        input_scale: Option<Number>,
        /// How many calibrated full scales there are.
        full_scales: usize,
        programming: Box<Programming>,
    },
}

/// What programming told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Programming {
    w_max: f64,
    weights_clipped: usize,
    devices: usize,
    devices_used: usize,
    redrawn: usize,
    write_clipped: usize,
    gain: f64,
    intercept: f64,
    r2: Option<f64>,
    compensation: Option<f64>,
    remapping: Option<[f64; 2]>,
    full_scale: Option<[f64; 2]>,
    /// Converters, conversions and cycles for one input vector.
    converters: Option<[usize; 3]>,
    warnings: Vec<String>,
}

/// A number by its shortest decimal digits, which give back its bits, infinities and NaN too.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Number(String);

impl Number {
    fn new(value: f64) -> Self {
        Self(format!("{value:e}"))
    }

    fn value(&self) -> f64 {
        self.0.parse().unwrap_or(f64::NAN)
    }
}

impl On {
    pub(super) fn crossbars(parts: &MatrixParts) -> Self {
        let report = &parts.report;
        let programming = Programming {
            w_max: report.w_max,
            weights_clipped: report.weights_clipped,
            devices: report.footprint.devices,
            devices_used: report.footprint.devices_used,
            redrawn: report.redrawn,
            write_clipped: report.write_clipped,
            gain: report.gain,
            intercept: report.intercept,
            r2: report.r2,
            compensation: report.compensation,
            remapping: report.remapping,
            full_scale: report.full_scale,
            converters: report
                .converters
                .map(|report| [report.converters, report.conversions_per_vector, report.cycles_per_vector]),
            warnings: report.warnings.clone(),
        };
        Self::Crossbars {
            scheme: parts.scheme.clone(),
            tile: parts.tile,
            arrays: parts.arrays.len(),
            device: parts.device.clone(),
            nominal: parts.nominal.iter().map(|(name, x)| (name.clone(), Number::new(*x))).collect(),
            input_scale: parts.input_scale.map(Number::new),
            full_scales: parts.full_scales.len(),
            programming: Box::new(programming),
        }
    }

    pub(super) fn full_scales(&self) -> usize {
        match self {
            Self::Digital { .. } => 0,
            Self::Crossbars { full_scales, .. } => *full_scales,
        }
    }

    pub(super) fn arrays(&self) -> usize {
        match self {
            Self::Digital { .. } => 0,
            Self::Crossbars { arrays, .. } => *arrays,
        }
    }

    /// The state, without its arrays, gains and constants.
    pub(super) fn parts(&self) -> MatrixParts {
        let Self::Crossbars { scheme, tile, device, nominal, input_scale, programming, .. } = self else {
            return MatrixParts::default();
        };
        let scale = input_scale.as_ref().map(Number::value);
        let report = MatrixReport {
            w_max: programming.w_max,
            weights_clipped: programming.weights_clipped,
            input_scale: scale,
            full_scale: programming.full_scale,
            converters: programming.converters.map(|[converters, conversions, cycles]| ConverterReport {
                converters,
                conversions_per_vector: conversions,
                cycles_per_vector: cycles,
            }),
            redrawn: programming.redrawn,
            write_clipped: programming.write_clipped,
            gain: programming.gain,
            intercept: programming.intercept,
            r2: programming.r2,
            compensation: programming.compensation,
            remapping: programming.remapping,
            warnings: programming.warnings.clone(),
            ..MatrixReport::default()
        };
        MatrixParts {
            scheme: scheme.clone(),
            tile: *tile,
            device: device.clone(),
            nominal: nominal.iter().map(|(name, value)| (name.clone(), value.value())).collect(),
            input_scale: scale,
            report,
            ..MatrixParts::default()
        }
    }
}

impl Header {
    pub(super) fn new(network: String) -> Self {
        Self { format: FORMAT, version: env!("CARGO_PKG_VERSION").to_owned(), network, layers: Vec::new() }
    }

    /// Reads the header; the format is looked at first, since another one may say other things.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
            version: String,
        }
        let error = |error: serde_json::Error| error.to_string();
        let format: Format = serde_json::from_slice(bytes).map_err(error)?;
        if format.format != FORMAT {
            let Format { format, version } = format;
            return Ok(Self { format, version, network: String::new(), layers: Vec::new() });
        }
        serde_json::from_slice(bytes).map_err(error)
    }
}
