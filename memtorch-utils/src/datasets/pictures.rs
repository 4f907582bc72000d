//! Folders of pictures: each sub-folder is a class.

use std::fs::File;
use std::io::BufReader;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::source::{Raw, Source};
use super::{DataError, Samples, Targets, sample_len};
use crate::files::FileError;

/// The size of a picture, and whether it has colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    height: usize,
    width: usize,
    colours: bool,
}

#[derive(Clone, Debug)]
struct Pictures {
    files: Arc<Vec<PathBuf>>,
    look: Look,
}

impl Source for Pictures {
    fn read(&mut self, samples: Range<usize>) -> Result<Raw, DataError> {
        let plane = self.look.height * self.look.width;
        let channels = if self.look.colours { 3 } else { 1 };
        let mut values = Vec::with_capacity(samples.len() * channels * plane);
        for file in &self.files[samples] {
            let (look, pixels) = decode(file)?;
            check(file, look, self.look)?;
            let per_pixel = if look.colours { 3 } else { 1 };
            if pixels.len() != per_pixel * plane {
                return Err(wrong(file, format!("{} values: expected {}", pixels.len(), per_pixel * plane)));
            }
            // Channels first; a grey picture among coloured ones has three equal channels.
            for channel in 0..channels {
                values.extend(pixels.iter().skip(channel.min(per_pixel - 1)).step_by(per_pixel));
            }
        }
        Ok(Raw::Bytes(values))
    }

    fn again(&self) -> Box<dyn Source> {
        Box::new(self.clone())
    }
}

pub(super) fn read(folder: &Path) -> Result<Samples, DataError> {
    let (mut files, mut labels) = (Vec::new(), Vec::new());
    let classes = entries(folder)?;
    for (class, place) in classes.iter().enumerate() {
        if !place.is_dir() {
            return Err(wrong(place, "not a folder: expected one sub-folder for each class".to_owned()));
        }
        let before = files.len();
        for file in entries(place)? {
            if !is_png(&file) && !is_jpeg(&file) {
                return Err(wrong(&file, "expected a picture (.png, .jpg, .jpeg)".to_owned()));
            }
            files.push(file);
            labels.push(class as u32);
        }
        if files.len() == before {
            return Err(wrong(place, "no pictures: expected some of this class".to_owned()));
        }
    }
    let mut all: Option<Look> = None;
    for file in &files {
        let look = look(file)?;
        let all = all.get_or_insert(look);
        check(file, look, *all)?;
        all.colours |= look.colours;
    }
    let Some(look) = all else {
        return Err(wrong(folder, "no sub-folders: expected one for each class".to_owned()));
    };
    let shape = vec![if look.colours { 3 } else { 1 }, look.height, look.width];
    sample_len(&shape).map_err(|what| wrong(folder, what))?;
    let source = Box::new(Pictures { files: Arc::new(files), look });
    Ok(Samples { source, reals: false, shape, targets: Targets::Classes(labels) })
}

/// What is in a folder by name, without hidden files.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let fail = |error| FileError::new(folder, error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn wrong(file: &Path, what: String) -> DataError {
    DataError::Format { file: file.to_owned(), what }
}

fn has_extension(file: &Path, list: &[&str]) -> bool {
    let extension = file.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    list.contains(&extension.as_str())
}

fn is_png(file: &Path) -> bool {
    has_extension(file, &["png"])
}

fn is_jpeg(file: &Path) -> bool {
    has_extension(file, &["jpg", "jpeg"])
}

fn check(file: &Path, found: Look, expected: Look) -> Result<(), DataError> {
    if (found.height, found.width) == (expected.height, expected.width) {
        return Ok(());
    }
    let Look { height, width, .. } = expected;
    Err(wrong(
        file,
        format!(
            "{} x {} pixels: expected {width} x {height}, as the first picture has",
            found.width, found.height
        ),
    ))
}

/// The look of a picture, from its header.
fn look(file: &Path) -> Result<Look, DataError> {
    if is_png(file) {
        Ok(png(file)?.0)
    } else {
        Ok(jpeg(file, &std::fs::read(file).map_err(|e| FileError::new(file, e))?)?.0)
    }
}

/// A picture, pixel after pixel.
fn decode(file: &Path) -> Result<(Look, Vec<u8>), DataError> {
    if !is_png(file) {
        let bytes = std::fs::read(file).map_err(|e| FileError::new(file, e))?;
        let (look, mut decoder) = jpeg(file, &bytes)?;
        let pixels = decoder.decode().map_err(|e| wrong(file, format!("damaged picture ({e})")))?;
        return Ok((look, pixels));
    }
    let (look, mut reader) = png(file)?;
    let damaged = |what: String| wrong(file, format!("damaged picture ({what})"));
    let size = reader.output_buffer_size().ok_or_else(|| damaged("too large".to_owned()))?;
    let mut pixels = vec![0; size];
    let frame = reader.next_frame(&mut pixels).map_err(|e| damaged(e.to_string()))?;
    reader.finish().map_err(|e| damaged(e.to_string()))?;
    pixels.truncate(frame.buffer_size());
    if matches!(frame.color_type, ::png::ColorType::GrayscaleAlpha | ::png::ColorType::Rgba) {
        let per_pixel = frame.color_type.samples();
        if pixels.chunks_exact(per_pixel).any(|pixel| pixel[per_pixel - 1] != u8::MAX) {
            return Err(wrong(file, "transparent pixels: expected none".to_owned()));
        }
        pixels = pixels.chunks_exact(per_pixel).flat_map(|pixel| &pixel[..per_pixel - 1]).copied().collect();
    }
    Ok((look, pixels))
}

fn png(file: &Path) -> Result<(Look, ::png::Reader<BufReader<File>>), DataError> {
    let open = File::open(file).map_err(|e| FileError::new(file, e))?;
    let mut decoder = ::png::Decoder::new(BufReader::new(open));
    // Palettes and few bits a pixel become bytes.
    decoder.set_transformations(::png::Transformations::EXPAND);
    let reader = decoder.read_info().map_err(|e| wrong(file, format!("not a PNG picture ({e})")))?;
    let (colour, depth) = reader.output_color_type();
    if depth != ::png::BitDepth::Eight {
        return Err(wrong(file, format!("{} bits a channel: expected 8", depth as u8)));
    }
    let (width, height) = reader.info().size();
    let colours = matches!(colour, ::png::ColorType::Rgb | ::png::ColorType::Rgba);
    Ok((Look { height: height as usize, width: width as usize, colours }, reader))
}

/// Of a JPEG file in memory.
type Jpeg<'a> = JpegDecoder<ZCursor<&'a [u8]>>;

fn jpeg<'a>(file: &Path, bytes: &'a [u8]) -> Result<(Look, Jpeg<'a>), DataError> {
    let strict = DecoderOptions::default().set_strict_mode(true);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), strict);
    decoder.decode_headers().map_err(|e| wrong(file, format!("not a JPEG picture ({e})")))?;
    let missing = || wrong(file, "a JPEG picture without a header".to_owned());
    let info = decoder.info().ok_or_else(missing)?;
    let colours = decoder.input_colorspace().ok_or_else(missing)? != ColorSpace::Luma;
    let space = if colours { ColorSpace::RGB } else { ColorSpace::Luma };
    decoder.set_options(strict.jpeg_set_out_colorspace(space));
    Ok((Look { height: usize::from(info.height), width: usize::from(info.width), colours }, decoder))
}
