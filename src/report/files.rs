use super::{Confusion, LayerReport, RunReport};

/// `results.json`: equal runs give equal bytes.
pub fn results_json(report: &RunReport) -> String {
    // Structs of numbers, text and lists: nothing in them that JSON does not have.
    let mut text = serde_json::to_string_pretty(report).expect("a report is JSON");
    text.push('\n');
    text
}

/// `layers.csv`: one row a layer; what a layer does not have is empty. Where a layer is written by pulses, four
/// more columns say what that did.
pub fn layers_csv(layers: &[LayerReport]) -> String {
    let mut text = String::from(
        "name,operator,patched,reason,rows,columns,groups,tiles,devices,devices_used,utilisation,w_max,\
         gain,intercept,r2,adc_clipped,write_clipped,stuck,relative_error",
    );
    let pulsed = layers.iter().any(|layer| layer.programming.is_some());
    text.push_str(if pulsed { ",missed_share,pulses,program_time,program_energy\n" } else { "\n" });
    let real = |value: Option<f64>| value.map_or(String::new(), |x| format!("{x:?}"));
    for layer in layers {
        let cells = [
            quoted(&layer.name),
            quoted(&layer.operator),
            layer.patched.to_string(),
            quoted(&layer.reason),
            layer.rows.to_string(),
            layer.columns.to_string(),
            layer.groups.to_string(),
            layer.tiles.to_string(),
            layer.devices.to_string(),
            layer.devices_used.to_string(),
            real(layer.utilisation),
            real(layer.w_max),
            real(layer.gain),
            real(layer.intercept),
            real(layer.r2),
            real(layer.adc_clipped),
            real(layer.write_clipped),
            layer.stuck.map_or(String::new(), |n| n.to_string()),
            real(layer.relative_error),
        ];
        text.push_str(&cells.join(","));
        if pulsed {
            let done = layer.programming.as_ref();
            let pulses = done.map_or(String::new(), |done| done.pulses.to_string());
            let [missed, time, energy] = [
                done.map(|done| done.missed_share),
                done.map(|done| done.time),
                done.map(|done| done.energy),
            ]
            .map(real);
            text.push_str(&format!(",{missed},{pulses},{time},{energy}"));
        }
        text.push('\n');
    }
    text
}

/// `confusion.csv`: how many samples of each label were taken for each class; pairs without any are left out.
pub fn confusion_csv(rows: &[Confusion]) -> String {
    let mut text = String::from("path,label,predicted,samples\n");
    for Confusion { path, label, predicted, samples } in rows {
        text.push_str(&format!("{path},{label},{predicted},{samples}\n"));
    }
    text
}

/// A cell of a CSV file (RFC 4180).
pub(crate) fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
