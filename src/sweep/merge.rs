use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Log, Manifest};
use crate::Error;

/// A part of a sweep, for one of several machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which part, from 1.
    pub index: usize,
    /// How many parts there are.
    pub count: usize,
}

impl Shard {
    /// All of it.
    pub const ALL: Self = Self { index: 1, count: 1 };

    /// Whether a point belongs to this part.
    pub fn has(self, point: usize) -> bool {
        point % self.count == self.index - 1
    }
}

impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/');
        let numbers = parts.and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        match numbers {
            Some((index, count)) if (1..=count).contains(&index) => Ok(Self { index, count }),
            _ => Err("expected I/N with I from 1 to N, as 1/4".to_owned()),
        }
    }
}

/// Puts the parts of one sweep together in a new folder, and gives its log: as if one machine had computed all of it.
///
/// # Errors
/// Folders of different sweeps, with what differs; points that no folder has; a point that two folders
/// have with different results; a folder that has a sweep already.
pub fn merge(parts: &[PathBuf], out: &Path) -> Result<Log, Error> {
    let mut found: Option<(&Path, Manifest)> = None;
    let mut rows: BTreeMap<(usize, usize), (usize, String)> = BTreeMap::new();
    for (index, folder) in parts.iter().enumerate() {
        let manifest = Manifest::read(folder)?;
        let manifest = manifest.ok_or_else(|| {
            Error::argument("merge", folder.display(), "the folder of a sweep (sweep.json)")
        })?;
        match &found {
            None => found = Some((folder, manifest)),
            Some((first, other)) => {
                if let Some(what) = other.difference(&manifest) {
                    let pair = format!("{} and {}", first.display(), folder.display());
                    let expected = format!("parts of one experiment, but {what}");
                    return Err(Error::argument("merge", pair, expected));
                }
            }
        }
        for (place, row) in Log::read_rows(folder)? {
            if let Some((other, known)) = rows.get(&place) {
                if results(known) != results(&row) {
                    let pair = format!("{} and {}", parts[*other].display(), folder.display());
                    let (point, repeat) = place;
                    let expected = format!("the same results for point {point}, repeat {repeat}");
                    return Err(Error::argument("merge", pair, expected));
                }
                continue;
            }
            rows.insert(place, (index, row));
        }
    }
    let Some((first, manifest)) = found else {
        return Err(Error::argument("merge", "no folder", "those of the parts"));
    };
    let missing = missing(&manifest, |place| rows.contains_key(&place));
    if !missing.is_empty() {
        let expected = format!("folders with all points; missing: {missing}");
        return Err(Error::argument("merge", format!("{} folders", parts.len()), expected));
    }
    let mut log = super::begin(out, &manifest, false, &super::written(first)?)?;
    for (_, row) in rows.into_values() {
        log.append_row(&row)?;
    }
    Ok(log)
}

/// The part of a row that equal runs share.
fn results(row: &str) -> &str {
    row.find("\"results\":").map_or(row, |at| &row[at..])
}

/// The points and repeats of a sweep that are not there, in words; empty if all are.
pub fn missing(manifest: &Manifest, has: impl Fn((usize, usize)) -> bool) -> String {
    /// More are counted.
    const SHOWN: usize = 20;
    let mut list = Vec::new();
    let mut more = 0;
    for point in 0..manifest.points {
        let lacks: Vec<usize> = (0..manifest.repeats).filter(|repeat| !has((point, *repeat))).collect();
        if lacks.is_empty() {
            continue;
        }
        if list.len() == SHOWN {
            more += 1;
        } else if lacks.len() == manifest.repeats {
            list.push(format!("point {point}"));
        } else {
            let repeats = lacks.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
            list.push(format!("point {point} (repeat {repeats})"));
        }
    }
    let mut text = list.join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more points"));
    }
    text
}
