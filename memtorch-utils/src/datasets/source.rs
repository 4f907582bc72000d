//! Where the values of samples come from.

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use flate2::read::{DeflateDecoder, MultiGzDecoder};

use super::DataError;
use crate::files::FileError;
use crate::npy::{Element, NpyArray, NpyData};

/// Values as files have them.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Raw {
    Bytes(Vec<u8>),
    Reals(Vec<f32>),
}

/// The samples of a data set, read from files when they are asked for.
pub(super) trait Source: Debug + Send {
    /// Samples one after another. Asked for in ascending order, each is read once.
    fn read(&mut self, samples: Range<usize>) -> Result<Raw, DataError>;

    /// The same samples, to be read independently.
    fn again(&self) -> Box<dyn Source>;
}

/// How the bytes of a file are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    /// As they are, from this offset on.
    Plain(u64),
    /// All of the file by gzip.
    Gzip,
    /// So many bytes from an offset on, by deflate.
    Deflate { start: u64, packed: u64 },
}

/// Some bytes of a file, read from front to back; going back begins anew.
#[derive(Debug)]
pub(super) struct Stream {
    path: PathBuf,
    packing: Packing,
    /// Unpacked bytes before the ones that are meant.
    skipped: u64,
    /// Unpacked bytes up to their end, where more follow.
    end: Option<u64>,
    reader: Option<Reader>,
    /// How far the reader is, from the first byte that is meant.
    at: u64,
}

#[derive(Debug)]
enum Reader {
    Plain(BufReader<File>),
    Gzip(Box<MultiGzDecoder<BufReader<File>>>),
    Deflate(Box<DeflateDecoder<io::Take<BufReader<File>>>>),
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(reader) => reader.read(buffer),
            Self::Gzip(reader) => reader.read(buffer),
            Self::Deflate(reader) => reader.read(buffer),
        }
    }
}

impl Stream {
    /// The bytes of a file, unpacked if they begin as gzip does.
    pub(super) fn open(path: &Path) -> Result<Self, DataError> {
        let fail = |error| FileError::new(path, error);
        let mut magic = Vec::new();
        File::open(path).map_err(fail)?.take(2).read_to_end(&mut magic).map_err(fail)?;
        let packing = if magic == [0x1f, 0x8b] { Packing::Gzip } else { Packing::Plain(0) };
        Ok(Self::packed(path, packing))
    }

    pub(super) fn packed(path: &Path, packing: Packing) -> Self {
        Self { path: path.to_owned(), packing, skipped: 0, end: None, reader: None, at: 0 }
    }

    /// The same bytes without the first ones.
    pub(super) fn after(&self, skipped: u64) -> Self {
        Self { skipped: self.skipped + skipped, end: self.end, ..Self::packed(&self.path, self.packing) }
    }

    /// The first bytes of these, so many.
    pub(super) fn limited(self, length: u64) -> Self {
        Self { end: Some(self.skipped + length), ..self }
    }

    /// The same bytes, from the front.
    pub(super) fn again(&self) -> Self {
        self.after(0)
    }

    /// An error of the file.
    pub(super) fn wrong(&self, what: impl Into<String>) -> DataError {
        DataError::Format { file: self.path.clone(), what: what.into() }
    }

    fn fail(&self, error: io::Error) -> DataError {
        match (self.packing, error.kind()) {
            (_, io::ErrorKind::UnexpectedEof) => self.wrong("truncated: expected more bytes"),
            (Packing::Plain(_), _) => FileError::new(&self.path, error).into(),
            (Packing::Gzip, _) => self.wrong(format!("damaged gzip data ({error})")),
            (Packing::Deflate { .. }, _) => self.wrong(format!("damaged data ({error})")),
        }
    }

    fn start(&mut self) -> io::Result<()> {
        let mut file = File::open(&self.path)?;
        let mut reader = match self.packing {
            Packing::Plain(start) => {
                file.seek(SeekFrom::Start(start + self.skipped))?;
                self.at = 0;
                self.reader = Some(Reader::Plain(BufReader::new(file)));
                return Ok(());
            }
            Packing::Gzip => Reader::Gzip(Box::new(MultiGzDecoder::new(BufReader::new(file)))),
            Packing::Deflate { start, packed } => {
                file.seek(SeekFrom::Start(start))?;
                Reader::Deflate(Box::new(DeflateDecoder::new(BufReader::new(file).take(packed))))
            }
        };
        pass(&mut reader, self.skipped)?;
        (self.reader, self.at) = (Some(reader), 0);
        Ok(())
    }

    fn fill(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if self.reader.is_none() || offset < self.at {
            self.start()?;
        }
        let Some(reader) = &mut self.reader else { return Ok(()) };
        match reader {
            Reader::Plain(plain) => plain.seek_relative((offset - self.at) as i64)?,
            _ => pass(reader, offset - self.at)?,
        }
        // Until all is read, nothing is known of the place.
        self.at = u64::MAX;
        reader.read_exact(buffer)?;
        self.at = offset + buffer.len() as u64;
        Ok(())
    }

    /// Fills a buffer with the bytes from an offset on.
    pub(super) fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), DataError> {
        self.fill(offset, buffer).map_err(|error| self.fail(error))
    }

    /// The first bytes, at most so many.
    pub(super) fn head(&self, most: usize) -> Result<Vec<u8>, DataError> {
        let mut head = Vec::new();
        self.reader()?.take(most as u64).read_to_end(&mut head).map_err(|error| self.fail(error))?;
        Ok(head)
    }

    /// A reader of all bytes.
    pub(super) fn reader(&self) -> Result<impl Read, DataError> {
        let mut stream = self.again();
        stream.start().map_err(|error| stream.fail(error))?;
        let length = self.end.map_or(u64::MAX, |end| end.saturating_sub(self.skipped));
        stream.reader.map(|reader| reader.take(length)).ok_or_else(|| self.wrong("no bytes"))
    }

    /// Looks at bytes once, a part at a time: all that there are, but not more than `most` and a part of it.
    /// Gives how many there were.
    fn pass_by(
        &self,
        most: u64,
        visit: &mut dyn FnMut(&[u8]) -> Result<(), DataError>,
    ) -> Result<u64, DataError> {
        let mut reader = self.reader()?.take(most.saturating_add(1));
        let mut buffer = vec![0; 1 << 20];
        let mut seen = 0;
        loop {
            // As much as there is room for, so that elements are not torn.
            let mut filled = 0;
            while filled < buffer.len() {
                match reader.read(&mut buffer[filled..]).map_err(|error| self.fail(error))? {
                    0 => break,
                    n => filled += n,
                }
            }
            seen += filled as u64;
            if filled == 0 || seen > most {
                return Ok(seen);
            }
            visit(&buffer[..filled])?;
        }
    }

    /// Looks at all bytes once, which must be so many, a part at a time.
    pub(super) fn scan(
        &self,
        length: u64,
        visit: &mut dyn FnMut(&[u8]) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let seen = self.pass_by(length, visit)?;
        if seen != length {
            let found = if seen > length { "more".to_owned() } else { seen.to_string() };
            return Err(self.wrong(format!("{found} bytes of data: expected {length}")));
        }
        Ok(())
    }

    /// Looks at all bytes once, or at so many, a part at a time.
    pub(super) fn walk(
        &self,
        length: Option<u64>,
        visit: &mut dyn FnMut(&[u8]) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let Some(length) = length else { return self.pass_by(u64::MAX, visit).map(drop) };
        let mut left = length;
        let mut stream = self.again();
        let mut buffer = vec![0; 1 << 20];
        while left > 0 {
            let part = &mut buffer[..left.min(1 << 20) as usize];
            stream.read_at(length - left, part)?;
            visit(part)?;
            left -= part.len() as u64;
        }
        Ok(())
    }
}

/// Reads and forgets so many bytes.
fn pass(reader: &mut Reader, bytes: u64) -> io::Result<()> {
    let passed = io::copy(&mut reader.take(bytes), &mut io::sink())?;
    if passed < bytes { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

/// Samples of a fixed size, one after another in one or several files.
#[derive(Debug)]
pub(super) struct Records {
    /// Files, and how many samples each has.
    pub(super) parts: Vec<(Stream, usize)>,
    /// Bytes of a record.
    pub(super) size: usize,
    /// Bytes before the values of a record.
    pub(super) skipped: usize,
    pub(super) element: Element,
}

impl Source for Records {
    fn read(&mut self, samples: Range<usize>) -> Result<Raw, DataError> {
        let used = self.size - self.skipped;
        let mut bytes = Vec::with_capacity(samples.len() * used);
        let mut first = 0;
        let mut buffer = Vec::new();
        for (stream, count) in &mut self.parts {
            let part = first..first + *count;
            let (from, to) = (samples.start.max(part.start), samples.end.min(part.end));
            if from < to {
                buffer.resize((to - from) * self.size, 0);
                stream.read_at(((from - first) * self.size) as u64, &mut buffer)?;
                for record in buffer.chunks_exact(self.size) {
                    bytes.extend_from_slice(&record[self.skipped..]);
                }
            }
            first = part.end;
        }
        if let Element::U8 = self.element {
            return Ok(Raw::Bytes(bytes));
        }
        let file = self.parts.first().map(|(stream, _)| stream.path.clone()).unwrap_or_default();
        let data = self.element.decode(&bytes).map_err(|what| DataError::Format { file, what })?;
        Ok(Raw::Reals(NpyArray { shape: Vec::new(), data }.into_f32()))
    }

    fn again(&self) -> Box<dyn Source> {
        Box::new(Self {
            parts: self.parts.iter().map(|(stream, count)| (stream.again(), *count)).collect(),
            ..*self
        })
    }
}

/// Samples in memory, for what cannot be read in order.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    pub(super) values: std::sync::Arc<Vec<f32>>,
    pub(super) sample: usize,
}

impl Source for Memory {
    fn read(&mut self, samples: Range<usize>) -> Result<Raw, DataError> {
        let part = samples.start * self.sample..samples.end * self.sample;
        Ok(Raw::Reals(self.values[part].to_vec()))
    }

    fn again(&self) -> Box<dyn Source> {
        Box::new(self.clone())
    }
}

/// The first element that a network cannot take: not finite, or beyond the largest f32.
pub(super) fn first_unfit(data: &NpyData) -> Option<(usize, f64)> {
    let unfit = |x: f64| !(x.abs() <= f64::from(f32::MAX));
    match data {
        NpyData::F32(list) => list.iter().position(|x| !x.is_finite()).map(|i| (i, f64::from(list[i]))),
        NpyData::F64(list) => list.iter().position(|x| unfit(*x)).map(|i| (i, list[i])),
        _ => None,
    }
}
