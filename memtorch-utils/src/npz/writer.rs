use std::io::{self, Write};
use std::path::Path;

use flate2::Crc;

use super::{CENTRAL, END, END64, FULL, LOCAL, LOCATOR64, Member};
use crate::files::write_atomic;
use crate::npy::{NpyArray, NpyError};

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
