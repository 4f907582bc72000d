use std::io;

use plotters::backend::SVGBackend;
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
};
use tiny_skia::{Color, FillRule, LineJoin, Paint, Path, PathBuilder, Pixmap, Rect, Stroke, Transform};

use super::{FINE, text};

/// Pixels of a PNG on each unit of the drawing's size.
const DENSITY: u32 = 2;

/// What plotters draws on.
pub struct Canvas<'a>(Kind<'a>);

enum Kind<'a> {
    Svg(SVGBackend<'a>),
    Png { pixels: Pixmap, size: (u32, u32), bytes: &'a mut Vec<u8> },
}

type Drawn = Result<(), DrawingErrorKind<io::Error>>;

impl<'a> Canvas<'a> {
    pub(super) fn svg(text: &'a mut String, size: (u32, u32)) -> Self {
        Self(Kind::Svg(SVGBackend::with_string(text, size)))
    }

    pub(super) fn png(bytes: &'a mut Vec<u8>, size: (u32, u32)) -> Self {
        let pixels = |places: u32| (places * DENSITY / FINE).max(1);
        // None only of sides that are 0 or beyond what an address reaches.
        let pixels = Pixmap::new(pixels(size.0), pixels(size.1)).expect("a size that pictures have");
        Self(Kind::Png { pixels, size, bytes })
    }
}

fn paint(colour: BackendColor) -> Paint<'static> {
    let mut paint = Paint::default();
    let (r, g, b) = colour.rgb;
    paint.set_color(Color::from_rgba8(r, g, b, (colour.alpha * 255.0).round() as u8));
    paint
}

fn scale() -> Transform {
    let scale = DENSITY as f32 / FINE as f32;
    Transform::from_scale(scale, scale)
}

fn stroke(pixels: &mut Pixmap, path: Option<Path>, style: &impl BackendStyle) {
    // A path without points is no path.
    let Some(path) = path else { return };
    let stroke =
        Stroke { width: style.stroke_width() as f32, line_join: LineJoin::Round, ..Stroke::default() };
    pixels.stroke_path(&path, &paint(style.color()), &stroke, scale(), None);
}

fn fill(pixels: &mut Pixmap, path: Option<Path>, colour: BackendColor) {
    let Some(path) = path else { return };
    pixels.fill_path(&path, &paint(colour), FillRule::Winding, scale(), None);
}

fn along(path: impl IntoIterator<Item = BackendCoord>, close: bool) -> Option<Path> {
    let mut builder = PathBuilder::new();
    for (x, y) in path {
        if builder.is_empty() {
            builder.move_to(x as f32, y as f32);
        } else {
            builder.line_to(x as f32, y as f32);
        }
    }
    if close {
        builder.close();
    }
    builder.finish()
}

impl DrawingBackend for Canvas<'_> {
    type ErrorType = io::Error;

    fn get_size(&self) -> (u32, u32) {
        match &self.0 {
            Kind::Svg(svg) => svg.get_size(),
            Kind::Png { size, .. } => *size,
        }
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        match &mut self.0 {
            Kind::Svg(svg) => svg.present(),
            Kind::Png { pixels, bytes, .. } => {
                let encoded = pixels.encode_png().map_err(io::Error::other);
                **bytes = encoded.map_err(DrawingErrorKind::DrawingError)?;
                Ok(())
            }
        }
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, colour: BackendColor) -> Drawn {
        self.draw_rect((x, y), (x + 1, y + 1), &colour, true)
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn {
        match &mut self.0 {
            Kind::Svg(svg) => svg.draw_line(from, to, style),
            Kind::Png { pixels, .. } => {
                stroke(pixels, along([from, to], false), style);
                Ok(())
            }
        }
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
        filled: bool,
    ) -> Drawn {
        match &mut self.0 {
            Kind::Svg(svg) => svg.draw_rect(from, to, style, filled),
            Kind::Png { pixels, .. } => {
                let (left, right) = (from.0.min(to.0) as f32, from.0.max(to.0) as f32);
                let (top, bottom) = (from.1.min(to.1) as f32, from.1.max(to.1) as f32);
                let Some(rect) = Rect::from_ltrb(left, top, right, bottom) else { return Ok(()) };
                if filled {
                    // Neighbours touch without a seam.
                    let paint = Paint { anti_alias: false, ..paint(style.color()) };
                    pixels.fill_rect(rect, &paint, scale(), None);
                } else {
                    stroke(pixels, Some(PathBuilder::from_rect(rect)), style);
                }
                Ok(())
            }
        }
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        match &mut self.0 {
            Kind::Svg(svg) => svg.draw_path(path, style),
            Kind::Png { pixels, .. } => {
                stroke(pixels, along(path, false), style);
                Ok(())
            }
        }
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        (x, y): BackendCoord,
        radius: u32,
        style: &S,
        filled: bool,
    ) -> Drawn {
        match &mut self.0 {
            Kind::Svg(svg) => svg.draw_circle((x, y), radius, style, filled),
            Kind::Png { pixels, .. } => {
                let circle = PathBuilder::from_circle(x as f32, y as f32, radius as f32);
                if filled {
                    fill(pixels, circle, style.color());
                } else {
                    stroke(pixels, circle, style);
                }
                Ok(())
            }
        }
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        match &mut self.0 {
            Kind::Svg(svg) => svg.fill_polygon(path, style),
            Kind::Png { pixels, .. } => {
                fill(pixels, along(path, true), style.color());
                Ok(())
            }
        }
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, place: BackendCoord) -> Drawn {
        match &mut self.0 {
            Kind::Svg(svg) => svg.draw_text(text, style, place),
            Kind::Png { pixels, .. } => {
                fill(pixels, text::outline(text, style, place), style.color());
                Ok(())
            }
        }
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        style: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<io::Error>> {
        Ok(text::size(text, style.size()))
    }
}
