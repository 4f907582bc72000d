//! Drawings in files, as SVG or PNG by the name of the file.

mod canvas;
mod text;

use std::path::{Path, PathBuf};

pub use canvas::Canvas;
pub use plotters;

use memtorch_utils::files::{FileError, write_atomic};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::style::WHITE;

use crate::Error;

/// Where something is drawn, with plotters.
pub type Area<'a> = DrawingArea<Canvas<'a>, Shift>;

/// What went wrong while something was drawn.
pub type Failed = Box<dyn std::error::Error>;

/// Plotters knows whole places only: a drawing has so many of them on each unit of its size. Widths of lines and
/// sizes of text are multiples of it.
pub const FINE: u32 = 4;

/// A file for a drawing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    path: PathBuf,
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Svg,
    Png,
}

impl Picture {
    /// The picture that a person asked for, by an option as `--plot`: made before the work begins, so that
    /// nobody waits for a drawing that cannot be.
    ///
    /// # Errors
    /// A name that does not end in .svg or .png.
    pub fn at(option: &str, path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let named =
            |name: &str| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(name));
        let format = match () {
            () if named("svg") => Format::Svg,
            () if named("png") => Format::Png,
            () => {
                let expected = "a file name that ends in .svg or .png";
                return Err(Error::argument(option, path.display(), expected));
            }
        };
        Ok(Self { path, format })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Draws on white: `size` is the width and height of the SVG in pixels, half those of the PNG; the area has
    /// [`FINE`] times as many places. Text is `sans-serif`.
    ///
    /// # Errors
    /// A file that cannot be written; a drawing that has no place in its size. The file is then as it was.
    pub fn draw(
        &self,
        size: (u32, u32),
        draw: impl FnOnce(&Area<'_>) -> Result<(), Failed>,
    ) -> Result<(), Error> {
        let fine = (size.0 * FINE, size.1 * FINE);
        let on = |canvas| {
            let area = Canvas::into_drawing_area(canvas);
            area.fill(&WHITE)?;
            draw(&area)?;
            area.present()?;
            Ok(())
        };
        let drawn: Result<Vec<u8>, Failed> = match self.format {
            Format::Svg => {
                let mut text = String::new();
                on(Canvas::svg(&mut text, fine)).map(|()| {
                    // The first that is found is the picture's own size; its view box stays.
                    let large = format!("width=\"{}\" height=\"{}\"", fine.0, fine.1);
                    text.replacen(&large, &format!("width=\"{}\" height=\"{}\"", size.0, size.1), 1)
                        .into_bytes()
                })
            }
            Format::Png => {
                let mut bytes = Vec::new();
                on(Canvas::png(&mut bytes, fine)).map(|()| bytes)
            }
        };
        let drawn =
            drawn.map_err(|error| FileError::new(&self.path, std::io::Error::other(error.to_string())))?;
        Ok(write_atomic(&self.path, |file| file.write_all(&drawn))?)
    }
}

#[cfg(test)]
mod tests {
    use plotters::prelude::*;

    use super::*;

    fn drawn(name: &str) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let picture = Picture::at("--plot", folder.path().join(name)).unwrap();
        picture
            .draw((60, 40), |area| {
                let blue = RGBColor(0, 0, 255);
                area.draw(&Rectangle::new([(40, 40), (80, 80)], blue.filled()))?;
                area.draw(&PathElement::new([(0, 120), (240, 120)], RED.stroke_width(2 * FINE)))?;
                area.draw(&Text::new("MMMM", (100, 16), ("sans-serif", 20 * FINE)))?;
                Ok(())
            })
            .unwrap();
        std::fs::read(picture.path()).unwrap()
    }

    #[test]
    fn a_drawing_is_the_same_picture_as_svg_and_as_png() {
        let svg = String::from_utf8(drawn("a.SVG")).unwrap();
        assert!(svg.starts_with("<svg width=\"60\" height=\"40\" viewBox=\"0 0 240 160\""), "{svg}");
        assert!(svg.contains("MMMM") && svg.ends_with("</svg>\n"), "{svg}");
        let png = drawn("a.png");
        let image = tiny_skia::Pixmap::decode_png(&png).unwrap();
        assert_eq!((image.width(), image.height()), (120, 80));
        let colour = |x, y| {
            let c = image.pixel(x, y).unwrap();
            [c.red(), c.green(), c.blue(), c.alpha()]
        };
        // Places of the drawing are halved: four to a unit become two pixels.
        assert_eq!(colour(30, 30), [0, 0, 255, 255]);
        assert_eq!(colour(41, 41), [255; 4]);
        assert_eq!(colour(80, 60), [255, 0, 0, 255]);
        assert_eq!(colour(80, 50), [255; 4]);
        let ink =
            (50..118).flat_map(|x| (8..40).map(move |y| (x, y))).filter(|(x, y)| colour(*x, *y)[0] < 128);
        let ink = ink.count();
        assert!((300..1200).contains(&ink), "{ink} dark pixels of four letters");
        assert_eq!(drawn("b.png"), png, "equal drawings, equal bytes");
    }

    #[test]
    fn a_name_that_is_no_picture_is_refused_with_those_that_are() {
        for name in ["a.bmp", "a", "svg", "a.png.gz"] {
            let error = Picture::at("--plot", name).unwrap_err().to_string();
            assert!(error.contains("--plot") && error.contains(name), "{error}");
            assert!(error.contains(".svg") && error.contains(".png"), "{error}");
        }
    }
}
