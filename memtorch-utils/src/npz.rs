//! Files of several arrays, as numpy's `savez` makes them: zip archives of `.npy` files.
//!
//! Read: members that are stored or deflated (`savez_compressed`), zip64 where they need it; what is
//! read is compared with its checksum. Written: members that are stored, with fixed dates, so that equal
//! arrays give equal bytes. Encrypted archives and those of several parts are errors.

mod directory;
mod writer;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use flate2::Crc;
use flate2::read::DeflateDecoder;

use self::directory::{data_start, directory};
pub use self::writer::NpzWriter;
use crate::files::FileError;
use crate::npy::{NpyArray, NpyError};

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END64: u32 = 0x0606_4b50;
const LOCATOR64: u32 = 0x0706_4b50;
/// In place of a number that stands in a zip64 field.
const FULL: u64 = 0xffff_ffff;

/// Bytes that deflated members which are read whole may have in all, and how many more for each byte of the file:
/// deflated, a thousand bytes can be one.
const MOST_UNPACKED: u64 = 256 << 20;
const MOST_UNPACKED_PER_BYTE: u64 = 64;

/// A member of an archive.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    name: String,
    pub(crate) deflated: bool,
    crc: u32,
    pub(crate) packed: u64,
    pub(crate) size: u64,
    /// Where its header begins.
    header: u64,
}

/// An archive that is read member by member.
#[derive(Debug)]
pub struct Npz {
    path: PathBuf,
    file: File,
    members: Vec<Member>,
    /// The place of each member by name.
    places: BTreeMap<String, usize>,
    /// Whether each deflated member was read whole.
    read: Vec<bool>,
    /// Bytes of those in all.
    unpacked: u64,
}

impl Npz {
    /// Opens a file and reads its table of contents.
    ///
    /// # Errors
    /// A file that is missing, truncated, or no such archive.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, NpyError> {
        let path = path.as_ref();
        let mut file = File::open(path).map_err(|e| FileError::new(path, e))?;
        let members = directory(&mut file).map_err(|fault| fault.at(path))?;
        let places = members.iter().enumerate().map(|(at, member)| (member.name.clone(), at)).collect();
        let read = vec![false; members.len()];
        Ok(Self { path: path.to_owned(), file, members, places, read, unpacked: 0 })
    }

    /// The names of the members in their order, arrays without `.npy`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(name_of)
    }

    /// The names of the members that begin so in their order, arrays without `.npy`.
    pub fn names_under(&self, prefix: &str) -> impl Iterator<Item = &str> {
        let from = self.places.range(prefix.to_owned()..).take_while(|(name, _)| name.starts_with(prefix));
        let mut places: Vec<usize> = from.map(|(_, place)| *place).collect();
        places.sort_unstable();
        places.into_iter().map(|place| name_of(&self.members[place]))
    }

    /// An array by name.
    ///
    /// # Errors
    /// No such array, a checksum that differs, whatever is wrong with a `.npy` file.
    pub fn array(&mut self, name: &str) -> Result<NpyArray, NpyError> {
        let bytes = self.bytes(&format!("{name}.npy"))?;
        NpyArray::from_bytes(&bytes).map_err(|what| self.wrong(format!("array {name:?}: {what}")))
    }

    /// A member that is no array, as it is.
    ///
    /// # Errors
    /// No such member, a checksum that differs, deflated members that are too large in all for their file.
    pub fn bytes(&mut self, name: &str) -> Result<Vec<u8>, NpyError> {
        let member = self.member(name)?.clone();
        self.allow(&member)?;
        let mut bytes = Vec::new();
        self.unpack(&member, &mut bytes)?;
        Ok(bytes)
    }

    /// Sees that a member and the deflated ones that were read whole before are not too large for the file.
    fn allow(&mut self, member: &Member) -> Result<(), NpyError> {
        let Some(&place) = self.places.get(&member.name) else { return Ok(()) };
        if !member.deflated || std::mem::replace(&mut self.read[place], true) {
            return Ok(());
        }
        self.unpacked = self.unpacked.saturating_add(member.size);
        let length = self.file.metadata().map_err(|error| FileError::new(&self.path, error))?.len();
        let most = MOST_UNPACKED_PER_BYTE.saturating_mul(length).saturating_add(MOST_UNPACKED);
        if self.unpacked > most {
            let what = format!("unpacked, it and those before have {} bytes", self.unpacked);
            let expected = format!("expected at most {most} from a file of {length} bytes");
            return Err(self.wrong(format!("member {:?}: {what}: {expected}", member.name)));
        }
        Ok(())
    }

    /// Reads a member once and compares its length and its checksum.
    #[cfg(feature = "datasets")]
    pub(crate) fn verify(&mut self, member: &Member) -> Result<(), NpyError> {
        self.unpack(member, &mut io::sink())
    }

    fn unpack(&mut self, member: &Member, to: &mut dyn Write) -> Result<(), NpyError> {
        let start = data_start(&mut self.file, member).map_err(|fault| fault.at(&self.path))?;
        let damaged = |what: String| self.wrong(format!("member {:?}: {what}", member.name));
        let io = |error: io::Error| damaged(format!("damaged ({error})"));
        (&self.file).seek(SeekFrom::Start(start)).map_err(io)?;
        let packed = io::BufReader::new((&self.file).take(member.packed));
        let mut checked = Checked { to, crc: Crc::new() };
        // One byte more than there should be tells a member that is too long.
        let limit = member.size.saturating_add(1);
        let found = if member.deflated {
            io::copy(&mut DeflateDecoder::new(packed).take(limit), &mut checked)
        } else {
            io::copy(&mut packed.take(limit), &mut checked)
        };
        let found = found.map_err(io)?;
        if found != member.size {
            return Err(damaged(format!("{found} bytes: expected {}", member.size)));
        }
        let sum = checked.crc.sum();
        if sum != member.crc {
            let expected = format!("expected {:08x}, so the file is damaged", member.crc);
            return Err(damaged(format!("checksum {sum:08x}: {expected}")));
        }
        Ok(())
    }

    /// Whether there is a member of this name (arrays with `.npy`).
    pub fn contains(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    pub(crate) fn member(&self, name: &str) -> Result<&Member, NpyError> {
        self.places.get(name).map(|place| &self.members[*place]).ok_or_else(|| {
            let list: Vec<&str> = self.members.iter().map(|member| member.name.as_str()).take(20).collect();
            self.wrong(format!("no member {name:?}: it has {}", list.join(", ")))
        })
    }

    /// Where the data of a member begin.
    #[cfg(feature = "datasets")]
    pub(crate) fn start(&mut self, member: &Member) -> Result<u64, NpyError> {
        data_start(&mut self.file, member).map_err(|fault| fault.at(&self.path))
    }

    fn wrong(&self, what: String) -> NpyError {
        NpyError::Format { file: self.path.display().to_string(), what }
    }
}

/// The name of a member, of an array without `.npy`.
fn name_of(member: &Member) -> &str {
    member.name.strip_suffix(".npy").unwrap_or(&member.name)
}

/// What is written, and its checksum.
struct Checked<'a> {
    to: &'a mut dyn Write,
    crc: Crc,
}

impl Write for Checked<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.crc.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests;
