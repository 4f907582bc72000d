//! Where the members of an archive are.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::{CENTRAL, END, END64, FULL, LOCAL, LOCATOR64, Member};
use crate::files::FileError;
use crate::npy::NpyError;

/// What is wrong with an archive.
pub(super) enum Fault {
    Io(io::Error),
    What(String),
}

impl Fault {
    pub(super) fn at(self, path: &Path) -> NpyError {
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
pub(super) fn directory(file: &mut File) -> Result<Vec<Member>, Fault> {
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
    let mut names = HashSet::new();
    for _ in 0..count {
        let member = member(&mut fields)?;
        if !names.insert(member.name.clone()) {
            return Err(Fault::What(format!("two members {:?}: expected one", member.name)));
        }
        members.push(member);
    }
    let packed = members.iter().fold(0u64, |all, member| all.saturating_add(member.packed));
    if packed > length {
        let what =
            format!("members of {packed} bytes in a file of {length}: expected members that do not overlap");
        return Err(Fault::What(what));
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
pub(super) fn data_start(file: &mut File, member: &Member) -> Result<u64, Fault> {
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
