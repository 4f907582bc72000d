//! Files of several arrays, as numpy's `savez` makes them: zip archives of `.npy` files.
//!
//! Read: members that are stored or deflated (`savez_compressed`), zip64 where they need it; what is
//! read is compared with its checksum. Written: members that are stored, with fixed dates, so that equal
//! arrays give equal bytes. Encrypted archives and those of several parts are errors.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use flate2::Crc;
use flate2::read::DeflateDecoder;

use crate::files::{FileError, write_atomic};
use crate::npy::{NpyArray, NpyError};

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END64: u32 = 0x0606_4b50;
const LOCATOR64: u32 = 0x0706_4b50;
/// In place of a number that stands in a zip64 field.
const FULL: u64 = 0xffff_ffff;

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
        Ok(Self { path: path.to_owned(), file, members })
    }

    /// The names of the members in their order, arrays without `.npy`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| member.name.strip_suffix(".npy").unwrap_or(&member.name))
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
    /// No such member, a checksum that differs.
    pub fn bytes(&mut self, name: &str) -> Result<Vec<u8>, NpyError> {
        let member = self.member(name)?.clone();
        let mut bytes = Vec::new();
        self.unpack(&member, &mut bytes)?;
        Ok(bytes)
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
        self.members.iter().any(|member| member.name == name)
    }

    pub(crate) fn member(&self, name: &str) -> Result<&Member, NpyError> {
        self.members.iter().find(|member| member.name == name).ok_or_else(|| {
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

/// What is wrong with an archive.
enum Fault {
    Io(io::Error),
    What(String),
}

impl Fault {
    fn at(self, path: &Path) -> NpyError {
        match self {
            Self::Io(error) => FileError::new(path, error).into(),
            Self::What(what) => NpyError::Format { file: path.display().to_string(), what },
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return Self::What("a truncated archive: expected a whole .npz file".to_owned());
        }
        Self::Io(error)
    }
}

/// Little-endian numbers of a header, one after the other.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn next(&mut self, bytes: usize) -> Result<u64, Fault> {
        let (head, rest) = self.0.split_at_checked(bytes).ok_or_else(|| truncated("a header"))?;
        self.0 = rest;
        Ok(head.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte)))
    }

    fn skip(&mut self, bytes: usize) -> Result<(), Fault> {
        self.0 = self.0.get(bytes..).ok_or_else(|| truncated("a header"))?;
        Ok(())
    }
}

fn truncated(what: &str) -> Fault {
    Fault::What(format!("{what} is truncated: expected a whole .npz file"))
}

/// The members of an archive.
fn directory(file: &mut File) -> Result<Vec<Member>, Fault> {
    let length = file.seek(SeekFrom::End(0))?;
    let not_zip =
        || Fault::What("not an .npz file, or a truncated one: it has no end of a zip archive".into());
    // The end record is followed by a comment of at most 65535 bytes.
    let tail_length = length.min(22 + 0xffff);
    file.seek(SeekFrom::Start(length - tail_length))?;
    let mut tail = vec![0; tail_length as usize];
    file.read_exact(&mut tail)?;
    let at = (0..(tail.len() + 1).saturating_sub(22))
        .rev()
        .find(|&at| {
            let comment = usize::from(u16::from_le_bytes([tail[at + 20], tail[at + 21]]));
            tail[at..at + 4] == END.to_le_bytes() && at + 22 + comment == tail.len()
        })
        .ok_or_else(not_zip)?;
    let mut end = Fields(&tail[at + 4..]);
    let (disk, first_disk) = (end.next(2)?, end.next(2)?);
    let (_, mut count) = (end.next(2)?, end.next(2)?);
    let (mut size, mut start) = (end.next(4)?, end.next(4)?);
    let end_at = length - tail_length + at as u64;
    if (count == 0xffff || size == FULL || start == FULL) && end_at >= 20 {
        let mut locator = [0; 20];
        file.seek(SeekFrom::Start(end_at - 20))?;
        file.read_exact(&mut locator)?;
        let mut fields = Fields(&locator);
        if fields.next(4)? == u64::from(LOCATOR64) {
            fields.skip(4)?;
            let mut record = [0; 56];
            file.seek(SeekFrom::Start(fields.next(8)?))?;
            file.read_exact(&mut record)?;
            let mut fields = Fields(&record);
            if fields.next(4)? != u64::from(END64) {
                return Err(not_zip());
            }
            fields.skip(28)?;
            (count, size, start) = (fields.next(8)?, fields.next(8)?, fields.next(8)?);
        }
    }
    if disk != 0 || first_disk != 0 {
        return Err(Fault::What("an archive of several parts: expected one file".to_owned()));
    }
    if start.checked_add(size).is_none_or(|past| past > end_at) {
        return Err(truncated("the table of contents"));
    }
    let mut table = vec![0; size as usize];
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(&mut table)?;
    let mut fields = Fields(&table);
    let mut members: Vec<Member> = Vec::new();
    for _ in 0..count {
        let member = member(&mut fields)?;
        if members.iter().any(|other| other.name == member.name) {
            return Err(Fault::What(format!("two members {:?}: expected one", member.name)));
        }
        members.push(member);
    }
    Ok(members)
}

/// One line of the table of contents.
fn member(fields: &mut Fields<'_>) -> Result<Member, Fault> {
    if fields.next(4)? != u64::from(CENTRAL) {
        return Err(Fault::What("a damaged table of contents: expected a zip archive".to_owned()));
    }
    fields.skip(4)?;
    let (flags, method) = (fields.next(2)?, fields.next(2)?);
    fields.skip(4)?;
    let crc = fields.next(4)? as u32;
    let (mut packed, mut size) = (fields.next(4)?, fields.next(4)?);
    let (name, extra, comment) =
        (fields.next(2)? as usize, fields.next(2)? as usize, fields.next(2)? as usize);
    fields.skip(8)?;
    let mut header = fields.next(4)?;
    let text = fields.0.get(..name).ok_or_else(|| truncated("a name"))?;
    let name = String::from_utf8_lossy(text).into_owned();
    fields.skip(text.len())?;
    let mut extras = Fields(fields.0.get(..extra).ok_or_else(|| truncated("a header"))?);
    fields.skip(extra + comment)?;
    while extras.0.len() >= 4 {
        let (kind, length) = (extras.next(2)?, extras.next(2)? as usize);
        let mut body = Fields(extras.0.get(..length).ok_or_else(|| truncated("a header"))?);
        extras.skip(length)?;
        if kind == 1 {
            for value in [&mut size, &mut packed, &mut header] {
                if *value == FULL {
                    *value = body.next(8)?;
                }
            }
        }
    }
    if flags & 1 != 0 {
        return Err(Fault::What(format!("member {name:?} is encrypted: expected it to be readable")));
    }
    let deflated = match method {
        0 => false,
        8 => true,
        _ => {
            let expected = "expected 0 (stored) or 8 (deflated)";
            return Err(Fault::What(format!("member {name:?} is packed by method {method}: {expected}")));
        }
    };
    if !deflated && packed != size {
        return Err(Fault::What(format!("member {name:?} has {packed} bytes: expected {size}")));
    }
    Ok(Member { name, deflated, crc, packed, size, header })
}

/// Where the data of a member begin: after a header of its own.
fn data_start(file: &mut File, member: &Member) -> Result<u64, Fault> {
    let mut header = [0; 30];
    file.seek(SeekFrom::Start(member.header))?;
    file.read_exact(&mut header)?;
    let mut fields = Fields(&header);
    if fields.next(4)? != u64::from(LOCAL) {
        return Err(Fault::What(format!("member {:?} is not where it should be", member.name)));
    }
    fields.skip(22)?;
    let start = member.header + 30 + fields.next(2)? + fields.next(2)?;
    let length = file.seek(SeekFrom::End(0))?;
    if start.checked_add(member.packed).is_none_or(|past| past > length) {
        return Err(truncated(&format!("member {:?}", member.name)));
    }
    Ok(start)
}

/// Writes an archive member by member.
pub struct NpzWriter<'a> {
    out: &'a mut dyn Write,
    members: Vec<Member>,
    at: u64,
}

impl std::fmt::Debug for NpzWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NpzWriter").field("members", &self.members).finish_non_exhaustive()
    }
}

impl NpzWriter<'_> {
    /// Writes a file, whole or not at all; `fill` writes its members.
    ///
    /// # Errors
    /// Whatever the system or `fill` says.
    pub fn write(
        path: impl AsRef<Path>,
        fill: impl FnOnce(&mut NpzWriter<'_>) -> io::Result<()>,
    ) -> Result<(), NpyError> {
        Ok(write_atomic(path, |out| {
            let mut writer = NpzWriter { out, members: Vec::new(), at: 0 };
            fill(&mut writer)?;
            writer.finish()
        })?)
    }

    /// Adds an array.
    ///
    /// # Errors
    /// Whatever the system says; elements that do not fit the shape; a name that is there already.
    pub fn array(&mut self, name: &str, array: &NpyArray) -> io::Result<()> {
        let bytes = array.to_bytes().map_err(|what| invalid(format!("array {name:?}: {what}")))?;
        self.bytes(&format!("{name}.npy"), &bytes)
    }

    /// Adds a member that is no array.
    ///
    /// # Errors
    /// Whatever the system says; a name that is there already or too long.
    pub fn bytes(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        if self.members.iter().any(|member| member.name == name) {
            return Err(invalid(format!("two members {name:?}: expected one")));
        }
        let mut crc = Crc::new();
        crc.update(bytes);
        let size = bytes.len() as u64;
        let member = Member {
            name: name.to_owned(),
            deflated: false,
            crc: crc.sum(),
            packed: size,
            size,
            header: self.at,
        };
        let large = size >= FULL;
        let mut header = Vec::with_capacity(64);
        header.extend(LOCAL.to_le_bytes());
        shared(&mut header, &member, large)?;
        let extra: u16 = if large { 20 } else { 0 };
        header.extend(extra.to_le_bytes());
        header.extend(name.bytes());
        if large {
            header.extend([1, 0, 16, 0]);
            header.extend(size.to_le_bytes());
            header.extend(size.to_le_bytes());
        }
        self.out.write_all(&header)?;
        self.out.write_all(bytes)?;
        self.at += header.len() as u64 + size;
        self.members.push(member);
        Ok(())
    }

    /// Writes the table of contents.
    fn finish(self) -> io::Result<()> {
        let mut table = Vec::new();
        for member in &self.members {
            let large = member.size >= FULL || member.header >= FULL;
            table.extend(CENTRAL.to_le_bytes());
            // Made by version 4.5 for no system in particular.
            table.extend(45u16.to_le_bytes());
            shared(&mut table, member, large)?;
            let extra: u16 = if large { 28 } else { 0 };
            table.extend(extra.to_le_bytes());
            // No comment, the first part, no attributes.
            table.extend([0; 10]);
            table.extend((if large { FULL } else { member.header } as u32).to_le_bytes());
            table.extend(member.name.bytes());
            if large {
                table.extend([1, 0, 24, 0]);
                for number in [member.size, member.packed, member.header] {
                    table.extend(number.to_le_bytes());
                }
            }
        }
        let (count, size, start) = (self.members.len() as u64, table.len() as u64, self.at);
        if count >= 0xffff || start + size >= FULL {
            let end64 = start + size;
            table.extend(END64.to_le_bytes());
            table.extend(44u64.to_le_bytes());
            table.extend([45, 0, 45, 0]);
            table.extend([0; 8]);
            for number in [count, count, size, start] {
                table.extend(number.to_le_bytes());
            }
            table.extend(LOCATOR64.to_le_bytes());
            table.extend([0; 4]);
            table.extend(end64.to_le_bytes());
            table.extend(1u32.to_le_bytes());
        }
        table.extend(END.to_le_bytes());
        table.extend([0; 4]);
        let short = count.min(0xffff) as u16;
        table.extend(short.to_le_bytes());
        table.extend(short.to_le_bytes());
        table.extend((size.min(FULL) as u32).to_le_bytes());
        table.extend((start.min(FULL) as u32).to_le_bytes());
        table.extend([0; 2]);
        self.out.write_all(&table)
    }
}

/// What both headers of a member say, up to the length of its name.
fn shared(header: &mut Vec<u8>, member: &Member, large: bool) -> io::Result<()> {
    let name = u16::try_from(member.name.len());
    let name = name.map_err(|_| invalid(format!("a name of {} bytes: too long", member.name.len())))?;
    // Version 4.5 (zip64), names in UTF-8, stored, 1980-01-01.
    header.extend([45, 0, 0, 8, 0, 0, 0, 0, 0x21, 0]);
    header.extend(member.crc.to_le_bytes());
    let size = (if large { FULL } else { member.size }) as u32;
    header.extend(size.to_le_bytes());
    header.extend(size.to_le_bytes());
    header.extend(name.to_le_bytes());
    Ok(())
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("memtorch-npz-{}-{name}", std::process::id()))
    }

    fn example(path: &Path) -> NpyArray {
        let array = NpyArray::from_f64(&[2, 2], vec![1.0, -2.0, 1e-300, f64::MAX]);
        NpzWriter::write(path, |npz| {
            npz.array("layer/gains", &array)?;
            npz.bytes("header.json", b"{}")?;
            npz.array("empty", &NpyArray::from_f32(&[0], Vec::new()))
        })
        .unwrap();
        array
    }

    #[test]
    fn what_is_written_is_read_again_and_equal_archives_have_equal_bytes() {
        let (path, again) = (file("a.npz"), file("b.npz"));
        let array = example(&path);
        let mut npz = Npz::open(&path).unwrap();
        assert_eq!(npz.names().collect::<Vec<_>>(), ["layer/gains", "header.json", "empty"]);
        assert_eq!(npz.array("layer/gains").unwrap(), array);
        assert_eq!(npz.bytes("header.json").unwrap(), b"{}");
        assert_eq!(npz.array("empty").unwrap().shape, [0]);
        let error = npz.array("other").unwrap_err().to_string();
        assert!(error.contains("other") && error.contains("layer/gains"), "{error}");
        example(&again);
        assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(&again).unwrap());
        std::fs::remove_file(path).unwrap();
        std::fs::remove_file(again).unwrap();
    }

    #[test]
    fn a_name_is_there_once() {
        let path = file("twice.npz");
        let error = NpzWriter::write(&path, |npz| {
            npz.bytes("a", b"1")?;
            npz.bytes("a", b"2")
        });
        assert!(error.unwrap_err().to_string().contains("two members"));
        assert!(!path.exists());
    }

    #[test]
    fn truncated_and_changed_files_are_errors_and_no_panics() {
        let path = file("bad.npz");
        example(&path);
        let good = std::fs::read(&path).unwrap();
        let all = |path: &Path| -> Result<Vec<NpyArray>, NpyError> {
            let mut npz = Npz::open(path)?;
            let names: Vec<String> = npz.names().map(str::to_owned).collect();
            names.iter().filter(|name| !name.ends_with(".json")).map(|name| npz.array(name)).collect()
        };
        for end in 0..good.len() {
            std::fs::write(&path, &good[..end]).unwrap();
            assert!(all(&path).is_err(), "{end}");
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x55;
            std::fs::write(&path, &bad).unwrap();
            let _ = all(&path);
        }
        // A number of the first array is changed: only the checksum tells.
        let at = good.windows(8).position(|w| w == 1e-300f64.to_le_bytes()).unwrap();
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        assert!(all(&path).unwrap_err().to_string().contains("checksum"));
        std::fs::remove_file(path).unwrap();
    }
}
