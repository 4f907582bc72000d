//! Heat maps of arrays, side by side, as SVG.

use std::fmt::Write;

use memtorch_crossbar::ndarray::Array2;

/// How values become colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    Linear,
    /// Of positive values; 0 has no colour.
    Logarithmic,
}

/// One heat map: `[word line, bit line]`, word line 0 at the top.
pub(crate) struct Panel {
    pub(crate) title: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) values: Array2<f64>,
    pub(crate) scale: Scale,
}

const SIDE: f64 = 360.0;
const MARGIN: f64 = 60.0;
const BAR: f64 = 14.0;
/// Colours that an eye tells apart.
const LEVELS: usize = 64;

/// From dark blue over teal to yellow, rising in lightness.
const STOPS: [[f64; 3]; 5] = [
    [34.0, 22.0, 86.0],
    [48.0, 84.0, 140.0],
    [38.0, 146.0, 140.0],
    [116.0, 200.0, 90.0],
    [250.0, 230.0, 60.0],
];

fn colour(level: usize) -> String {
    let x = level as f64 / (LEVELS - 1) as f64 * (STOPS.len() - 1) as f64;
    let stop = (x as usize).min(STOPS.len() - 2);
    let mix = |c: usize| STOPS[stop][c] + (x - stop as f64) * (STOPS[stop + 1][c] - STOPS[stop][c]);
    format!("#{:02x}{:02x}{:02x}", mix(0).round() as u8, mix(1).round() as u8, mix(2).round() as u8)
}

/// Draws the panels, two in a row.
pub(crate) fn svg(panels: &[Panel]) -> String {
    let (cell, rows) = (SIDE + 2.2 * MARGIN, panels.len().div_ceil(2));
    let (width, height) = (2.0 * cell, rows as f64 * (SIDE + 1.7 * MARGIN));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (k, panel) in panels.iter().enumerate() {
        let (x, y) = ((k % 2) as f64 * cell + MARGIN, (k / 2) as f64 * (SIDE + 1.7 * MARGIN) + 0.7 * MARGIN);
        writeln!(out, "<g transform=\"translate({x} {y})\">").expect("a string takes everything");
        draw(&mut out, panel).expect("a string takes everything");
        out.push_str("</g>\n");
    }
    out.push_str("</svg>\n");
    out
}

fn draw(out: &mut String, panel: &Panel) -> std::fmt::Result {
    let (m, n) = panel.values.dim();
    let place = |v: f64| match panel.scale {
        Scale::Linear => v,
        Scale::Logarithmic => {
            if v > 0.0 {
                v.log10()
            } else {
                f64::NAN
            }
        }
    };
    let finite = || panel.values.iter().map(|v| place(*v)).filter(|v| v.is_finite());
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    let level = |v: f64| {
        let v = place(v);
        v.is_finite().then(|| {
            let share = if high > low { (v - low) / (high - low) } else { 0.5 };
            ((share * LEVELS as f64) as usize).min(LEVELS - 1)
        })
    };
    // Cells are square where that fits.
    let scale = SIDE / m.max(n) as f64;
    let (width, height) = (n as f64 * scale, m as f64 * scale);
    let middle = width / 2.0;
    writeln!(
        out,
        "<text x=\"{middle}\" y=\"-10\" text-anchor=\"middle\" font-size=\"14\">{} ({})</text>",
        panel.title, panel.unit
    )?;
    writeln!(
        out,
        "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">bit line 0 to {}</text>",
        height + 18.0,
        n - 1
    )?;
    let half = height / 2.0;
    writeln!(
        out,
        "<text x=\"-10\" y=\"{half}\" text-anchor=\"middle\" transform=\"rotate(-90 -10 {half})\">word line 0 to {}</text>",
        m - 1
    )?;
    writeln!(out, "<rect width=\"{width}\" height=\"{height}\" fill=\"#dddddd\"/>")?;
    writeln!(out, "<g transform=\"scale({scale})\" shape-rendering=\"crispEdges\">")?;
    for (i, row) in panel.values.rows().into_iter().enumerate() {
        let levels: Vec<Option<usize>> = row.iter().map(|v| level(*v)).collect();
        let mut j = 0;
        // Neighbours of one colour are one rectangle.
        for run in levels.chunk_by(|a, b| a == b) {
            if let Some(level) = run[0] {
                let (width, fill) = (run.len(), colour(level));
                writeln!(out, "<rect x=\"{j}\" y=\"{i}\" width=\"{width}\" height=\"1\" fill=\"{fill}\"/>")?;
            }
            j += run.len();
        }
    }
    out.push_str("</g>\n");
    let x = width + 12.0;
    if !(low.is_finite() && high.is_finite()) {
        return Ok(());
    }
    let step = height / LEVELS as f64;
    for level in 0..LEVELS {
        let y = height - (level + 1) as f64 * step;
        writeln!(
            out,
            "<rect x=\"{x}\" y=\"{y:.2}\" width=\"{BAR}\" height=\"{:.2}\" fill=\"{}\"/>",
            step + 0.5,
            colour(level)
        )?;
    }
    let back = |v: f64| match panel.scale {
        Scale::Linear => v,
        Scale::Logarithmic => 10f64.powf(v),
    };
    for (share, v) in [(0.0, low), (0.5, (low + high) / 2.0), (1.0, high)] {
        let y = height * (1.0 - share) + 4.0;
        writeln!(out, "<text x=\"{}\" y=\"{y:.1}\">{:.3e}</text>", x + BAR + 4.0, back(v))?;
    }
    Ok(())
}
