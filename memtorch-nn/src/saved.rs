//! Programmed networks as files: an `.npz` archive, which numpy reads.
//!
//! | member | what |
//! |---|---|
//! | `header.json` | format, version, fingerprint of the network, and for each layer what it runs on |
//! | `L/gains`, `L/intercepts` | of layer `L`: one number, or one for each column of each group |
//! | `L/lines` | where lines are permuted: the row of each word line, then the column of each bit line, tile after tile |
//! | `L/tile_gains` | factor on the gain of each tile, where tiles have their own |
//! | `L/full_scale/R` | calibrated full scale of the converters of read `R`, ampere: one, or one for each tile |
//! | `L/full_scale_lines/R` | where each bit line has its own full scale: how many each tile has of them |
//! | `L/A/conductances` | of array `A` (0 positive or only, 1 negative): siemens, `[groups, rows, columns]` |
//! | `L/A/parameters/P` | parameter `P` of each device, where devices differ |
//! | `L/A/stuck` | 0 for a device that can be written, 1 stuck at its ON, 2 at its OFF resistance, 3 unformed |
//! | `L/A/unformed` | resistance of the unformed devices in ohm, in order; NaN for their own OFF resistance |
//!
//! and whatever else was attached. Numbers are f64.

mod fingerprint;
mod header;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use memtorch_crossbar::{ArrayBackend, ArrayParts, FullScale, Mask};
use memtorch_map::{MappedMatrix, MatrixParts};
use memtorch_utils::Stream;
use memtorch_utils::npy::{NpyArray, NpyData, NpyError};
use memtorch_utils::npz::{Npz, NpzWriter};
use ndarray::Array3;
use rayon::prelude::*;

use self::fingerprint::fingerprint;
use self::header::{FORMAT, Header, LayerHeader, On};
use crate::executable::digital_kernel;
use crate::run::Kernel;
use crate::{Executable, LayerChoice, Network, NnError};

const HEADER: &str = "header.json";

/// The state of a programmed network: what was drawn, written, spoiled and tuned, layer by layer.
///
/// The network itself and the description of its hardware are not in it: whoever restores gives them, and
/// may have attached them.
#[derive(Clone, Debug)]
pub struct Saved {
    path: PathBuf,
    header: Header,
    /// One for each layer; `None` for digital ones.
    layers: Vec<Option<MatrixParts>>,
    attachments: Vec<(String, Vec<u8>)>,
}

impl Saved {
    /// The state of an executable.
    ///
    /// # Errors
    /// State that cannot be kept.
    pub fn new(executable: &Executable) -> Result<Self, NnError> {
        let network = executable.network();
        let mut saved = Self {
            path: PathBuf::from("the saved network"),
            header: Header::new(fingerprint(network)),
            layers: Vec::new(),
            attachments: Vec::new(),
        };
        for (layer, kernel) in network.layers().iter().zip(executable.kernels.iter()) {
            let parts = match kernel {
                Kernel::Digital { .. } => None,
                Kernel::Memristive(matrix) => Some(matrix.to_parts().map_err(|source| NnError::Map {
                    layer: layer.name.clone(),
                    source: Box::new(source),
                })?),
            };
            let on = match kernel {
                Kernel::Digital { reason, .. } => On::Digital { reason: reason.clone() },
                Kernel::Memristive(_) => On::crossbars(parts.as_ref().unwrap_or(&MatrixParts::default())),
            };
            saved.header.layers.push(LayerHeader {
                name: layer.name.clone(),
                node: layer.node.clone(),
                size: [layer.groups, layer.rows, layer.columns],
                on,
            });
            saved.layers.push(parts);
        }
        Ok(saved)
    }

    /// Adds a file of another kind: the experiment, the network.
    pub fn attach(&mut self, name: &str, bytes: Vec<u8>) {
        self.attachments.retain(|(other, _)| other != name);
        self.attachments.push((name.to_owned(), bytes));
    }

    /// What was attached under a name.
    pub fn attachment(&self, name: &str) -> Option<&[u8]> {
        self.attachments.iter().find(|(other, _)| other == name).map(|(_, bytes)| bytes.as_slice())
    }

    /// The version of memtorch that wrote it.
    pub fn version(&self) -> &str {
        &self.header.version
    }

    /// Writes a file, whole or not at all.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), NnError> {
        let path = path.as_ref();
        let header = serde_json::to_vec_pretty(&self.header)
            .map_err(|error| NnError::Saved { path: path.to_owned(), what: error.to_string() })?;
        NpzWriter::write(path, |npz| {
            npz.bytes(HEADER, &header)?;
            for (name, bytes) in &self.attachments {
                npz.bytes(name, bytes)?;
            }
            for (layer, parts) in self.header.layers.iter().zip(&self.layers) {
                let Some(parts) = parts else { continue };
                let name = &layer.name;
                for (what, list) in [("gains", &parts.gains), ("intercepts", &parts.intercepts)] {
                    npz.array(&format!("{name}/{what}"), &NpyArray::from_f64(&[list.len()], list.clone()))?;
                }
                if let Some(list) = &parts.lines {
                    let lines = NpyData::I64(list.iter().map(|line| *line as i64).collect());
                    npz.array(&format!("{name}/lines"), &NpyArray { shape: vec![list.len()], data: lines })?;
                }
                if let Some(list) = &parts.tile_gains {
                    npz.array(
                        &format!("{name}/tile_gains"),
                        &NpyArray::from_f64(&[list.len()], list.clone()),
                    )?;
                }
                for (number, full_scale) in parts.full_scales.iter().enumerate() {
                    write_full_scale(npz, name, number, full_scale)?;
                }
                for (number, array) in parts.arrays.iter().enumerate() {
                    write_array(npz, &format!("{name}/{number}"), array)?;
                }
            }
            Ok(())
        })
        .map_err(|error| failed(path, error))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// A file that is missing, truncated, damaged, of another kind or of a later format.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, NnError> {
        let path = path.as_ref();
        let wrong = |what: String| NnError::Saved { path: path.to_owned(), what };
        let mut npz = Npz::open(path).map_err(|error| failed(path, error))?;
        if !npz.contains(HEADER) {
            return Err(wrong(format!("no {HEADER} in it: expected a programmed network")));
        }
        let bytes = npz.bytes(HEADER).map_err(|error| failed(path, error))?;
        let header = Header::parse(&bytes).map_err(|what| wrong(format!("{HEADER}: {what}")))?;
        if header.format != FORMAT {
            let (found, version) = (header.format, &header.version);
            let expected = format!("expected {FORMAT}: it was written by memtorch {version}");
            return Err(wrong(format!("format {found}: {expected}")));
        }
        let mut layers = Vec::new();
        for layer in &header.layers {
            layers.push(match &layer.on {
                On::Digital { .. } => None,
                On::Crossbars { .. } => Some(read_layer(&mut npz, path, layer)?),
            });
        }
        let names: Vec<String> =
            npz.names().filter(|name| *name != HEADER && npz.contains(name)).map(str::to_owned).collect();
        let mut attachments = Vec::new();
        for name in names {
            let bytes = npz.bytes(&name).map_err(|error| failed(path, error))?;
            attachments.push((name, bytes));
        }
        Ok(Self { path: path.to_owned(), header, layers, attachments })
    }

    /// The executable: `choices` describe the hardware that was programmed, `stream` the seed and the repeat
    /// with which it was. It gives the same outputs as the one that was saved, bit for bit.
    ///
    /// What each step of the list of non-idealities did when it was programmed is not told again by
    /// [`MappedMatrix::report`].
    ///
    /// # Errors
    /// Another network; choices that are not those with which it was programmed.
    pub fn restore(
        &self,
        network: Arc<Network>,
        choices: Vec<LayerChoice>,
        stream: Stream,
        backend: Arc<dyn ArrayBackend>,
    ) -> Result<Executable, NnError> {
        let wrong = |what: String| NnError::Saved { path: self.path.clone(), what };
        self.check(&network)?;
        if choices.len() != network.layers().len() {
            return Err(NnError::Choices { found: choices.len(), expected: network.layers().len() });
        }
        let kernels: Vec<Result<Kernel, NnError>> = network
            .layers()
            .par_iter()
            .zip(choices)
            .zip(&self.layers)
            .map(|((layer, choice), parts)| {
                let name = &layer.name;
                match (choice, parts) {
                    (LayerChoice::Digital { reason }, None) => {
                        digital_kernel(layer, reason, backend.as_ref())
                    }
                    (LayerChoice::Memristive(hardware), Some(parts)) => {
                        let size = ([layer.groups, layer.rows, layer.columns], &layer.usage);
                        MappedMatrix::from_parts(name, size, &hardware, stream, backend.clone(), parts)
                            .map(Kernel::Memristive)
                            .map_err(|source| wrong(format!("layer `{name}`: {source}")))
                    }
                    (LayerChoice::Digital { .. }, Some(_)) => {
                        Err(wrong(format!("layer `{name}` is on crossbars: expected hardware for it")))
                    }
                    (LayerChoice::Memristive(_), None) => {
                        Err(wrong(format!("layer `{name}` is digital: expected no hardware for it")))
                    }
                }
            })
            .collect();
        let kernels = kernels.into_iter().collect::<Result<_, _>>()?;
        Ok(Executable { network, kernels, backend })
    }

    /// Checks that it was programmed from this network.
    ///
    /// # Errors
    /// The first difference in words.
    pub fn check(&self, network: &Network) -> Result<(), NnError> {
        let wrong = |what: String| NnError::Saved { path: self.path.clone(), what };
        let (kept, layers) = (&self.header.layers, network.layers());
        if kept.len() != layers.len() {
            let found = format!("programmed from a network of {} layers", kept.len());
            return Err(wrong(format!("{found}: expected {}, as this network has", layers.len())));
        }
        for (kept, layer) in kept.iter().zip(layers) {
            let size = [layer.groups, layer.rows, layer.columns];
            if kept.name != layer.name || kept.size != size {
                let found = format!("programmed from a network with layer `{}` {:?}", kept.name, kept.size);
                return Err(wrong(format!("{found}: expected `{}` {size:?}", layer.name)));
            }
        }
        if self.header.network != fingerprint(network) {
            let found = format!("programmed from a network with fingerprint {}", self.header.network);
            let expected = format!("expected {}: weights or nodes differ", fingerprint(network));
            return Err(wrong(format!("{found}: {expected}")));
        }
        Ok(())
    }
}

fn failed(path: &Path, error: NpyError) -> NnError {
    match error {
        NpyError::File(error) => NnError::Io { path: error.path, source: error.source },
        NpyError::Format { what, .. } => NnError::Saved { path: path.to_owned(), what },
        other => NnError::Saved { path: path.to_owned(), what: other.to_string() },
    }
}

fn write_array(npz: &mut NpzWriter<'_>, name: &str, array: &ArrayParts) -> std::io::Result<()> {
    let matrices =
        |values: &Array3<f64>| NpyArray::from_f64(values.shape(), values.iter().copied().collect());
    npz.array(&format!("{name}/conductances"), &matrices(&array.conductances))?;
    for (parameter, values) in &array.parameters {
        npz.array(&format!("{name}/parameters/{parameter}"), &matrices(values))?;
    }
    if array.masks.is_empty() {
        return Ok(());
    }
    let mut stuck = Array3::<u8>::zeros(array.conductances.dim());
    let mut unformed = Vec::new();
    for &(device, mask) in &array.masks {
        stuck[device] = match mask {
            Mask::Lrs => 1,
            Mask::Hrs => 2,
            Mask::Unformed(resistance) => {
                unformed.push((device, resistance.unwrap_or(f64::NAN)));
                3
            }
            other => {
                let what = format!("{name}: a mask {other:?}, which cannot be kept");
                return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, what));
            }
        };
    }
    let shape = stuck.shape().to_vec();
    npz.array(&format!("{name}/stuck"), &NpyArray { shape, data: NpyData::U8(stuck.into_iter().collect()) })?;
    if unformed.is_empty() {
        return Ok(());
    }
    // In the order in which a reader comes to them.
    unformed.sort_by_key(|(device, _)| *device);
    let values: Vec<f64> = unformed.into_iter().map(|(_, resistance)| resistance).collect();
    npz.array(&format!("{name}/unformed"), &NpyArray::from_f64(&[values.len()], values))
}

fn write_full_scale(
    npz: &mut NpzWriter<'_>,
    layer: &str,
    number: usize,
    full_scale: &FullScale,
) -> std::io::Result<()> {
    let values: Vec<f32> = match full_scale {
        FullScale::Fixed(value) => vec![*value],
        FullScale::PerTile(list) => list.to_vec(),
        FullScale::PerLine(tiles) => {
            let counts = tiles.iter().map(|lines| lines.len() as i64).collect();
            let counts = NpyArray { shape: vec![tiles.len()], data: NpyData::I64(counts) };
            npz.array(&format!("{layer}/full_scale_lines/{number}"), &counts)?;
            tiles.iter().flatten().copied().collect()
        }
        other => {
            let what = format!("{layer}: a full scale {other:?}, which cannot be kept");
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, what));
        }
    };
    let mut array = NpyArray::from_f64(&[values.len()], values.into_iter().map(f64::from).collect());
    if let FullScale::Fixed(_) = full_scale {
        // A single number is one for all tiles.
        array.shape.clear();
    }
    npz.array(&format!("{layer}/full_scale/{number}"), &array)
}

fn read_full_scale(npz: &mut Npz, path: &Path, layer: &str, number: usize) -> Result<FullScale, NnError> {
    let name = format!("{layer}/full_scale/{number}");
    let wrong = |what: String| NnError::Saved { path: path.to_owned(), what: format!("{name}: {what}") };
    let found = npz.array(&name).map_err(|error| failed(path, error))?;
    let NpyData::F64(values) = found.data else {
        return Err(wrong("elements of another type: expected f8".to_owned()));
    };
    let values: Vec<f32> = values.into_iter().map(|x| x as f32).collect();
    let lines = format!("{layer}/full_scale_lines/{number}");
    if !npz.contains(&format!("{lines}.npy")) {
        return Ok(match found.shape.is_empty() {
            true => FullScale::Fixed(values[0]),
            false => FullScale::PerTile(values.into()),
        });
    }
    let NpyData::I64(counts) = npz.array(&lines).map_err(|error| failed(path, error))?.data else {
        return Err(wrong(format!("{lines} of another type: expected i8")));
    };
    let mut rest = &values[..];
    let mut tiles = Vec::new();
    for count in counts {
        let parts = usize::try_from(count).ok().and_then(|count| rest.split_at_checked(count));
        let (tile, after) =
            parts.ok_or_else(|| wrong(format!("{lines}: expected {} in all", values.len())))?;
        tiles.push(tile.into());
        rest = after;
    }
    if !rest.is_empty() {
        return Err(wrong(format!("{lines}: expected {} in all", values.len())));
    }
    Ok(FullScale::PerLine(tiles.into()))
}

fn read_layer(npz: &mut Npz, path: &Path, layer: &LayerHeader) -> Result<MatrixParts, NnError> {
    let mut parts = layer.on.parts();
    let name = &layer.name;
    parts.gains = reals(npz, path, &format!("{name}/gains"))?.into_raw_vec_and_offset().0;
    parts.intercepts = reals(npz, path, &format!("{name}/intercepts"))?.into_raw_vec_and_offset().0;
    let lines = format!("{name}/lines");
    if npz.contains(&format!("{lines}.npy")) {
        let wrong = |what: &str| NnError::Saved { path: path.to_owned(), what: format!("{lines}: {what}") };
        let NpyData::I64(list) = npz.array(&lines).map_err(|error| failed(path, error))?.data else {
            return Err(wrong("elements of another type: expected i8"));
        };
        let list: Result<Vec<usize>, _> = list.into_iter().map(usize::try_from).collect();
        parts.lines = Some(list.map_err(|_| wrong("a negative line: expected lines from 0"))?);
    }
    let tile_gains = format!("{name}/tile_gains");
    if npz.contains(&format!("{tile_gains}.npy")) {
        parts.tile_gains = Some(reals(npz, path, &tile_gains)?.into_raw_vec_and_offset().0);
    }
    for number in 0..layer.on.full_scales() {
        parts.full_scales.push(read_full_scale(npz, path, name, number)?);
    }
    for number in 0..layer.on.arrays() {
        parts.arrays.push(read_array(npz, path, &format!("{name}/{number}"))?);
    }
    Ok(parts)
}

fn read_array(npz: &mut Npz, path: &Path, name: &str) -> Result<ArrayParts, NnError> {
    let mut array = ArrayParts {
        conductances: reals(npz, path, &format!("{name}/conductances"))?,
        ..ArrayParts::default()
    };
    let prefix = format!("{name}/parameters/");
    let parameters: Vec<String> =
        npz.names_under(&prefix).map(|member| member[prefix.len()..].to_owned()).collect();
    for parameter in parameters {
        let values = reals(npz, path, &format!("{prefix}{parameter}"))?;
        array.parameters.push((parameter, values));
    }
    let stuck = format!("{name}/stuck");
    if !npz.contains(&format!("{stuck}.npy")) {
        return Ok(array);
    }
    let wrong = |what: String| NnError::Saved { path: path.to_owned(), what };
    let found = npz.array(&stuck).map_err(|error| failed(path, error))?;
    let NpyData::U8(codes) = found.data else {
        return Err(wrong(format!("{stuck}: elements of another type: expected unsigned bytes")));
    };
    let codes = Array3::from_shape_vec(array.conductances.raw_dim(), codes).ok();
    let codes = codes.filter(|codes| codes.shape() == found.shape).ok_or_else(|| {
        wrong(format!("{stuck} has shape {:?}: expected {:?}", found.shape, array.conductances.shape()))
    })?;
    let resistances = match codes.iter().any(|code| *code == 3) {
        true => reals(npz, path, &format!("{name}/unformed"))?.into_raw_vec_and_offset().0,
        false => Vec::new(),
    };
    let mut resistances = resistances.into_iter();
    for ((g, r, c), code) in codes.indexed_iter() {
        let mask = match code {
            0 => continue,
            1 => Mask::Lrs,
            2 => Mask::Hrs,
            3 => {
                let resistance = resistances.next();
                let resistance = resistance.ok_or_else(|| wrong(format!("{name}/unformed is too short")))?;
                Mask::Unformed(Some(resistance).filter(|resistance| !resistance.is_nan()))
            }
            other => return Err(wrong(format!("{stuck}: {other} at [{g}, {r}, {c}]: expected 0 to 3"))),
        };
        array.masks.push(([g, r, c], mask));
    }
    Ok(array)
}

/// An array of f64: of three axes, or a list as one of `[1, 1, n]`.
fn reals(npz: &mut Npz, path: &Path, name: &str) -> Result<Array3<f64>, NnError> {
    let found = npz.array(name).map_err(|error| failed(path, error))?;
    let wrong = |what: String| NnError::Saved { path: path.to_owned(), what: format!("{name}: {what}") };
    let NpyData::F64(values) = found.data else {
        return Err(wrong("elements of another type: expected f8".to_owned()));
    };
    let shape = match found.shape[..] {
        [n] => (1, 1, n),
        [groups, rows, columns] => (groups, rows, columns),
        _ => return Err(wrong(format!("shape {:?}: expected one or three axes", found.shape))),
    };
    Array3::from_shape_vec(shape, values).map_err(|error| wrong(error.to_string()))
}
