use std::sync::Arc;

use memtorch_crossbar::{Array, CrossbarError, Layout, Mask, NonIdeality, Phase, Report};
use memtorch_devices::Stream;
use memtorch_utils::config::{ConfigError, Default, Field, Kind, Table, Value};

use crate::NonIdealityEntry;
use crate::fault_map::FaultMap;
use crate::places::Places;

pub(crate) const ENTRY: NonIdealityEntry = NonIdealityEntry {
    name: "stuck",
    meaning: "A share of the devices cannot be written",
    fields: &[
        Field::new(
            "lrs",
            Kind::Real,
            Default::Real(0.0),
            "share of the devices stuck at their own ON resistance",
        )
        .range(0.0, 1.0),
        Field::new(
            "hrs",
            Kind::Real,
            Default::Real(0.0),
            "share of the devices stuck at their own OFF resistance",
        )
        .range(0.0, 1.0),
        Field::new("unformed", Kind::Real, Default::Real(0.0), "share of the devices that were never formed")
            .range(0.0, 1.0),
        Field::new(
            "unformed_resistance",
            Kind::Real,
            Default::Absent,
            "resistance of a device that was never formed; absent: its own OFF resistance",
        )
        .unit("ohm")
        .range(f64::MIN_POSITIVE, f64::INFINITY),
        Field::new(
            "clustering",
            Kind::Choice(&["none", "word-lines", "bit-lines"]),
            Default::Text("none"),
            "stuck devices alone, or in runs of neighbours along the lines of a tile",
        ),
        Field::new(
            "cluster_length",
            Kind::Integer,
            Default::Absent,
            "devices of a run; absent: the whole line of the tile",
        )
        .range(1.0, 1e9),
        Field::new(
            "file",
            Kind::Text,
            Default::Absent,
            "npy file with a fault for each weight, [rows, columns] or [groups, rows, columns]: 0 none, 1 ON, 2 OFF, \
             3 unformed; instead of shares",
        ),
    ],
    build,
    after_tuning: false,
};

/// Devices that cannot be written: stuck at their own ON or OFF resistance, or never formed.
///
/// Of the `n` devices in use of an array, `floor(share n + 1/2)` are chosen for each kind, in the order
/// ON, OFF, unformed, each cut to what is left. Every device has a random key of its place; by
/// ascending key the first are stuck ON, the last OFF, those before the last are unformed. So the
/// kinds are disjoint, and a larger share contains the devices of a smaller one.
///
/// Clustered, the devices of a run along a line share a key and follow each other in it: whole runs are stuck, but
/// for the last of a kind, which may be cut. The counts are the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Stuck {
    which: Which,
    unformed_resistance: Option<f64>,
}

/// Which devices are stuck.
#[derive(Clone, Debug, PartialEq)]
enum Which {
    /// Shares that are ON, OFF and unformed.
    Shares([f64; 3], Clustering),
    /// Those of a file.
    Map(FaultMap),
}

/// How stuck devices lie together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Clustering {
    /// Each alone.
    #[default]
    None,
    /// In runs along the word lines of a tile, of so many devices; `None`: the whole line.
    WordLines(Option<usize>),
    /// In runs along the bit lines of a tile.
    BitLines(Option<usize>),
}

impl Clustering {
    /// The place of the run of a device, and where in it the device is.
    fn run(self, layout: &Layout, [tile, word_line, bit_line]: [u32; 3]) -> ([u32; 3], u32) {
        let [word_lines, bit_lines] = layout.tile_shape();
        let length = |own: Option<usize>, line: usize| own.unwrap_or(line).min(line).max(1) as u32;
        match self {
            Self::None => ([tile, word_line, bit_line], 0),
            Self::WordLines(own) => {
                let length = length(own, bit_lines);
                ([tile, word_line, bit_line / length], bit_line % length)
            }
            Self::BitLines(own) => {
                let length = length(own, word_lines);
                ([tile, word_line / length, bit_line], word_line % length)
            }
        }
    }
}

impl Stuck {
    /// Shares of the devices stuck at the ON resistance, at the OFF resistance, and never formed.
    ///
    /// # Errors
    /// A share outside [0, 1], a sum above 1.
    pub fn new(lrs: f64, hrs: f64, unformed: f64) -> Result<Self, ConfigError> {
        for (key, share) in [("lrs", lrs), ("hrs", hrs), ("unformed", unformed)] {
            if !(0.0..=1.0).contains(&share) {
                return Err(ConfigError::value(key, share, "a number from 0 to 1"));
            }
        }
        let sum = lrs + hrs + unformed;
        if sum > 1.0 + 1e-12 {
            return Err(ConfigError::value("lrs + hrs + unformed", sum, "a sum of at most 1"));
        }
        let which = Which::Shares([lrs, hrs, unformed], Clustering::None);
        Ok(Self { which, unformed_resistance: None })
    }

    /// The devices of a map.
    pub fn map(map: FaultMap) -> Self {
        Self { which: Which::Map(map), unformed_resistance: None }
    }

    /// Devices that lie together, if they are shares.
    ///
    /// # Errors
    /// Runs of no device.
    pub fn with_clustering(mut self, clustering: Clustering) -> Result<Self, ConfigError> {
        if let Clustering::WordLines(Some(0)) | Clustering::BitLines(Some(0)) = clustering {
            return Err(ConfigError::value("cluster_length", 0, "at least 1"));
        }
        if let Which::Shares(_, own) = &mut self.which {
            *own = clustering;
        }
        Ok(self)
    }

    /// The resistance of devices that were never formed, in ohm, instead of their own OFF resistance.
    ///
    /// # Errors
    /// A resistance that is not positive and finite.
    pub fn with_unformed_resistance(mut self, resistance: f64) -> Result<Self, ConfigError> {
        if !(resistance > 0.0 && resistance.is_finite()) {
            return Err(ConfigError::value("unformed_resistance", resistance, "a positive number of ohm"));
        }
        self.unformed_resistance = Some(resistance);
        Ok(self)
    }
}

fn build(table: &Table) -> Result<Arc<dyn NonIdeality>, ConfigError> {
    let real = |key| table.get(key).and_then(Value::as_real);
    let share = |key| real(key).unwrap_or(0.0);
    let length = table.get("cluster_length").and_then(Value::as_count);
    let clustering = match table.get("clustering").and_then(Value::as_text) {
        Some("word-lines") => Clustering::WordLines(length),
        Some("bit-lines") => Clustering::BitLines(length),
        _ => match length {
            Some(length) => {
                let expected = "none without clustering along word-lines or bit-lines";
                return Err(ConfigError::value("cluster_length", length, expected));
            }
            None => Clustering::None,
        },
    };
    let stuck = match table.get("file").and_then(Value::as_text) {
        None => Stuck::new(share("lrs"), share("hrs"), share("unformed"))?.with_clustering(clustering)?,
        Some(file) => {
            if clustering != Clustering::None
                || ["lrs", "hrs", "unformed"].iter().any(|key| share(key) != 0.0)
            {
                return Err(ConfigError::value("file", file, "no file beside shares or clustering"));
            }
            Stuck::map(FaultMap::read(file)?)
        }
    };
    Ok(Arc::new(match real("unformed_resistance") {
        Some(resistance) => stuck.with_unformed_resistance(resistance)?,
        None => stuck,
    }))
}

impl NonIdeality for Stuck {
    fn name(&self) -> &str {
        ENTRY.name
    }

    fn phase(&self) -> Phase {
        Phase::Fabrication
    }

    fn apply(&self, array: &mut Array, stream: Stream) -> Result<Report, CrossbarError> {
        let layout = *array.layout();
        let (shares, clustering) = match &self.which {
            Which::Map(map) => return self.apply_map(map, array),
            Which::Shares(shares, clustering) => (*shares, *clustering),
        };
        let count = layout.device_count();
        let mut left = count;
        let [lrs, hrs, unformed] = shares.map(|share| {
            let wanted = (share * count as f64 + 0.5).floor() as usize;
            let taken = wanted.min(left);
            left -= taken;
            taken
        });
        let mut places = Places::new(layout);
        let mut order: Vec<(u64, u32, usize)> = if lrs + hrs + unformed == 0 {
            Vec::new()
        } else {
            let place = |device| {
                let (run, within) = clustering.run(&layout, places.at(device));
                (key(stream, run), within, device)
            };
            (0..count).map(place).collect()
        };
        let mut masks = Vec::with_capacity(lrs + hrs + unformed);
        let mut take = |devices: &[(u64, u32, usize)], mask| {
            masks.extend(devices.iter().map(|(.., device)| (*device, mask)));
        };
        // Only the borders between the kinds matter, not the order inside one.
        take(least(&mut order, lrs), Mask::Lrs);
        let rest = &mut order[lrs..];
        let first_off = rest.len() - hrs;
        least(rest, first_off);
        take(&rest[first_off..], Mask::Hrs);
        let rest = &mut rest[..first_off];
        let first_unformed = rest.len() - unformed;
        least(rest, first_unformed);
        take(&rest[first_unformed..], Mask::Unformed(self.unformed_resistance));
        array.add_masks(&masks)?;
        let report = counted([lrs, hrs, unformed]);
        Ok(match self.unformed_resistance {
            Some(_) if shares[2] == 0.0 => report.warn("unformed_resistance changes nothing: unformed is 0"),
            _ => report,
        })
    }
}

impl Stuck {
    fn apply_map(&self, map: &FaultMap, array: &mut Array) -> Result<Report, CrossbarError> {
        let kinds = [Mask::Lrs, Mask::Hrs, Mask::Unformed(self.unformed_resistance)];
        let mut counts = [0; 3];
        let mut masks = Vec::new();
        for (device, kind) in map.devices(array.layout())? {
            counts[kind] += 1;
            masks.push((device, kinds[kind]));
        }
        array.add_masks(&masks)?;
        Ok(counted(counts))
    }
}

fn counted([lrs, hrs, unformed]: [usize; 3]) -> Report {
    Report::default()
        .count("devices stuck at their ON resistance", lrs)
        .count("devices stuck at their OFF resistance", hrs)
        .count("devices never formed", unformed)
}

/// The random key of a device, by which devices are ordered.
fn key(stream: Stream, place: [u32; 3]) -> u64 {
    let [a, b, ..] = stream.words(place, 0);
    u64::from(a) << 32 | u64::from(b)
}

/// Brings the `count` least to the front and returns them.
fn least<T: Ord>(items: &mut [T], count: usize) -> &[T] {
    if count > 0 && count < items.len() {
        items.select_nth_unstable(count);
    }
    &items[..count]
}
