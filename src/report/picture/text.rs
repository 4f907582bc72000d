use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{BackendCoord, BackendTextStyle, FontTransform};
use tiny_skia::{Path, PathBuilder, Transform};
use ttf_parser::{Face, GlyphId, OutlineBuilder};

/// DejaVu Sans without what drawings do not need: Latin, Greek and some signs (licence: `DejaVuSans.LICENSE`).
const FONT: &[u8] = include_bytes!("DejaVuSans.ttf");

/// Plotters' sizes are those of a line; its SVG divides by this for the size of the font.
const LINE: f64 = 1.24;

fn face() -> Face<'static> {
    Face::parse(FONT, 0).expect("the font that was built in")
}

/// The letters; one that the font does not have is its empty box.
fn glyphs<'a>(face: &'a Face<'_>, text: &'a str) -> impl Iterator<Item = GlyphId> + 'a {
    text.chars().map(|letter| face.glyph_index(letter).unwrap_or(GlyphId(0)))
}

/// In units of the font.
fn width(face: &Face<'_>, text: &str) -> f32 {
    glyphs(face, text).map(|glyph| f32::from(face.glyph_hor_advance(glyph).unwrap_or(0))).sum()
}

/// The font does not state it: the height of an H.
fn capital_height(face: &Face<'_>) -> i16 {
    let letter = face.glyph_index('H').and_then(|glyph| face.glyph_bounding_box(glyph));
    letter.map_or(0, |bounds| bounds.y_max)
}

/// Width and height of a text.
pub(super) fn size(text: &str, size: f64) -> (u32, u32) {
    let (face, em) = (face(), size / LINE);
    let scale = em / f64::from(face.units_per_em());
    ((f64::from(width(&face, text)) * scale).ceil() as u32, em.ceil() as u32)
}

/// The outline of a text at its place: about where SVG puts it.
pub(super) fn outline(text: &str, style: &impl BackendTextStyle, (x, y): BackendCoord) -> Option<Path> {
    let face = face();
    let em = (style.size() / LINE) as f32;
    let scale = em / f32::from(face.units_per_em());
    let width = width(&face, text) * scale;
    let left = match style.anchor().h_pos {
        HPos::Left => 0.0,
        HPos::Center => -width / 2.0,
        HPos::Right => -width,
    };
    let middle = f32::from(capital_height(&face)) * scale / 2.0;
    let base = match style.anchor().v_pos {
        VPos::Top => 0.76 * em,
        VPos::Center => middle,
        VPos::Bottom => -0.27 * em,
    };
    let mut letters = Letters { builder: PathBuilder::new(), left: 0.0 };
    for glyph in glyphs(&face, text) {
        // A space has no outline.
        let _ = face.outline_glyph(glyph, &mut letters);
        letters.left += f32::from(face.glyph_hor_advance(glyph).unwrap_or(0));
    }
    let turn = match style.transform() {
        FontTransform::None => 0.0,
        FontTransform::Rotate90 => 90.0,
        FontTransform::Rotate180 => 180.0,
        FontTransform::Rotate270 => 270.0,
    };
    let place = Transform::from_scale(scale, scale)
        .post_translate(left, base)
        .post_concat(Transform::from_rotate(turn))
        .post_translate(x as f32, y as f32);
    letters.builder.finish()?.transform(place)
}

/// Outlines side by side, y downwards.
struct Letters {
    builder: PathBuilder,
    left: f32,
}

impl OutlineBuilder for Letters {
    fn move_to(&mut self, x: f32, y: f32) {
        self.builder.move_to(self.left + x, -y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.builder.line_to(self.left + x, -y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        self.builder.quad_to(self.left + x1, -y1, self.left + x, -y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        self.builder.cubic_to(self.left + x1, -y1, self.left + x2, -y2, self.left + x, -y);
    }

    fn close(&mut self) {
        self.builder.close();
    }
}
