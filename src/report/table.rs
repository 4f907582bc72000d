//! What a person reads first.

use super::{LayerReport, RunReport, Score};

/// The report as text of at most about 110 columns.
pub fn table(report: &RunReport) -> String {
    let mut text = scores([&report.digital, &report.memristive], report.samples, report.agreement);
    text.push('\n');
    text.push_str(&layers(&report.layers));
    text.push_str(&programming(&report.layers));
    text.push_str(&super::causes::tables(&report.layers));
    let steps = steps(&report.layers);
    if !steps.is_empty() {
        text.push_str("\nWhat each non-ideality did, over all layers:\n");
        text.push_str(&steps);
    }
    for warning in &report.warnings {
        text.push_str(&format!("\nwarning: {warning}"));
    }
    if !report.warnings.is_empty() {
        text.push('\n');
    }
    text
}

/// How good the digital and the memristive path are.
pub(crate) fn scores([digital, memristive]: [&Score; 2], samples: usize, agreement: Option<f64>) -> String {
    let mut text = score("digital", digital, samples) + &score("memristive", memristive, samples);
    if let Some(agreement) = agreement {
        let change = 100.0 * (memristive.accuracy - digital.accuracy);
        let same = format!("both predict the same for {:.2} %", 100.0 * agreement);
        text.push_str(&format!("{:<12}{change:>+7.2} points, {same}\n", "change"));
    }
    text
}

/// How good one path is.
fn score(name: &str, score: &Score, samples: usize) -> String {
    if let Some(error) = score.error {
        let r2 = error.r2.map_or(String::new(), |r2| format!(", r2 {r2:.5}"));
        let (root, absolute) = (error.mean_squared.sqrt(), error.mean_absolute);
        return format!(
            "{name:<12}root mean square error {root:.4e}, mean absolute error {absolute:.4e}{r2} over {samples}\n"
        );
    }
    let top5 = score.top5_accuracy.map_or(String::new(), |share| format!(", top 5 {:.2} %", 100.0 * share));
    format!("{name:<12}{:>7.2} %   {} of {samples} right{top5}\n", 100.0 * score.accuracy, score.correct)
}

fn layers(layers: &[LayerReport]) -> String {
    let head = [
        "layer",
        "matrix",
        "tiles",
        "used",
        "devices",
        "gain",
        "r2",
        "error",
        "ADC clip",
        "bad writes",
        "stuck",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    for layer in layers {
        let groups = if layer.groups > 1 { format!("{} x ", layer.groups) } else { String::new() };
        let matrix = format!("{groups}{} x {}", layer.rows, layer.columns);
        let percent = |share: Option<f64>, digits: usize| {
            share.map_or("-".to_owned(), |x| format!("{:.digits$} %", 100.0 * x))
        };
        rows.push([
            layer.name.clone(),
            matrix,
            if layer.patched { layer.tiles.to_string() } else { "digital".to_owned() },
            percent(layer.utilisation, 1),
            if layer.patched { layer.devices_used.to_string() } else { "-".to_owned() },
            layer.gain.map_or("-".to_owned(), |k| format!("{k:.4e}")),
            layer.r2.map_or("-".to_owned(), |r2| format!("{r2:.5}")),
            percent(layer.relative_error, 3),
            percent(layer.adc_clipped, 3),
            percent(layer.write_clipped, 2),
            layer.stuck.map_or("-".to_owned(), |n| n.to_string()),
        ]);
    }
    let mut text = align(&rows);
    let digital: Vec<_> = layers.iter().filter(|layer| !layer.patched).collect();
    for layer in digital {
        text.push_str(&format!("{} stays digital: {}\n", layer.name, layer.reason));
    }
    text.push_str(
        "used: share of the tiles' devices; error: of the layer's output, for the inputs of the digital network\n",
    );
    text
}

/// What writing by pulses did, one line a layer.
fn programming(layers: &[LayerReport]) -> String {
    let mut text = String::new();
    for layer in layers {
        let Some(done) = &layer.programming else { continue };
        let reasons: Vec<String> =
            done.reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        let reasons = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
        text.push_str(&format!(
            "  {}: {} devices missed, {:.3} %{reasons}; error {:.4} of the range; {} pulses, {:.3e} s, {:.3e} J\n",
            layer.name,
            done.missed,
            100.0 * done.missed_share,
            done.error_rms,
            done.pulses,
            done.time,
            done.energy,
        ));
    }
    if text.is_empty() { text } else { format!("\nWritten by pulses:\n{text}") }
}

/// Columns as wide as their widest cell, the first to the left, the others to the right.
pub(crate) fn align(rows: &[impl AsRef<[String]>]) -> String {
    let mut text = String::new();
    let columns = rows.first().map_or(0, |row| row.as_ref().len());
    let width =
        |column: usize| rows.iter().map(|row| row.as_ref()[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let row = row.as_ref();
        let mut line = format!("{:<1$}", row[0], widths[0]);
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            line.push_str(&format!("  {cell:>width$}"));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The numbers of one step over all layers.
struct Sum<'a> {
    index: usize,
    kind: &'a str,
    what: &'a str,
    unit: &'static str,
    is_sum: bool,
    sum: f64,
    count: usize,
}

/// One line for each number of each step: the sum of counts, the mean of all else. Layers may have lists
/// of their own, so a place in the list may have several kinds.
fn steps(layers: &[LayerReport]) -> String {
    let mut sums: Vec<Sum<'_>> = Vec::new();
    for step in layers.iter().flat_map(|layer| &layer.nonidealities) {
        for effect in &step.effects {
            let same = |sum: &&mut Sum<'_>| {
                (sum.index, sum.kind, sum.what) == (step.index, step.kind.as_str(), effect.what.as_str())
            };
            if let Some(sum) = sums.iter_mut().find(same) {
                sum.sum += effect.value;
                sum.count += 1;
            } else {
                sums.push(Sum {
                    index: step.index,
                    kind: &step.kind,
                    what: &effect.what,
                    unit: effect.unit,
                    is_sum: effect.is_sum,
                    sum: effect.value,
                    count: 1,
                });
            }
        }
    }
    sums.sort_by_key(|sum| (sum.index, sum.kind));
    let mut text = String::new();
    for Sum { index, kind, what, unit, is_sum, sum, count } in sums {
        let number = if is_sum { format!("{sum}") } else { format!("{:.4e}", sum / count as f64) };
        let over = if is_sum { "" } else { " (mean over arrays)" };
        let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
        text.push_str(&format!("  {index} {kind}: {what}: {number}{unit}{over}\n"));
    }
    text
}
