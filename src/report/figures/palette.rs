use plotters::style::RGBColor;

/// Colours that people with any colour vision tell apart (Okabe and Ito, 2008), without the light ones.
const DISTINCT: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(60, 60, 60),
];

/// From dark blue over teal to yellow, rising in lightness: it keeps its order in grey.
const STOPS: [[f64; 3]; 5] = [
    [34.0, 22.0, 86.0],
    [48.0, 84.0, 140.0],
    [38.0, 146.0, 140.0],
    [116.0, 200.0, 90.0],
    [250.0, 230.0, 60.0],
];

/// The colour of a share from 0 to 1.
pub(super) fn ramp(share: f64) -> RGBColor {
    let x = share.clamp(0.0, 1.0) * (STOPS.len() - 1) as f64;
    let stop = (x as usize).min(STOPS.len() - 2);
    let mix = |c: usize| (STOPS[stop][c] + (x - stop as f64) * (STOPS[stop + 1][c] - STOPS[stop][c])) as u8;
    RGBColor(mix(0), mix(1), mix(2))
}

/// Whether black is read better than white on a colour.
pub(super) fn is_light(RGBColor(r, g, b): RGBColor) -> bool {
    0.299 * f64::from(r) + 0.587 * f64::from(g) + 0.114 * f64::from(b) > 140.0
}

/// The colour of one of several lines: a ramp where they have an order, else colours that differ.
pub(super) fn line(index: usize, count: usize, ordered: bool) -> RGBColor {
    if (ordered && count > 2) || count > DISTINCT.len() {
        // Yellow is not seen on white.
        ramp(0.8 * index as f64 / (count - 1) as f64)
    } else {
        DISTINCT[index % DISTINCT.len()]
    }
}
