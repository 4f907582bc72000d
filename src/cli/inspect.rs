//! `memtorch inspect`

use memtorch_crossbar::TileShape;
use memtorch_map::{Footprint, GroupPacking};
use memtorch_nn::{ImportOptions, Network};

use super::arguments::Inspect;
use super::{context, print};
use crate::{Error, Registry};

#[derive(serde::Serialize)]
struct Inspected {
    layers: Vec<LayerRow>,
    unsupported: Vec<UnsupportedRow>,
}

#[derive(serde::Serialize)]
struct LayerRow {
    name: String,
    node: String,
    operator: String,
    rows: usize,
    columns: usize,
    groups: usize,
    tiles: usize,
    devices: usize,
    utilisation: f64,
}

#[derive(serde::Serialize)]
struct UnsupportedRow {
    node: String,
    operator: String,
}

pub(crate) fn execute(arguments: &Inspect, registry: &Registry) -> Result<(), Error> {
    let tile = tile(&arguments.tile)?;
    let scheme = context::scheme(&arguments.scheme, registry)?;
    let fields = memtorch_utils::config::check(scheme.fields, &Default::default());
    let scheme = fields
        .and_then(|table| (scheme.build)(&table))
        .map_err(|error| Error::argument("--scheme", &arguments.scheme, error.to_string()))?;
    let inspection = Network::inspect_onnx_file(&arguments.model, &ImportOptions::default())
        .map_err(|source| context::network(&arguments.model, source))?;
    let mut layers = Vec::new();
    for layer in &inspection.layers {
        let sizes = [layer.groups, layer.rows, layer.columns];
        let cost = Footprint::new(sizes, tile, GroupPacking::Separate, &*scheme)
            .map_err(|error| Error::argument("--tile", &arguments.tile, error.to_string()))?;
        layers.push(LayerRow {
            name: layer.name.clone(),
            node: layer.node.clone(),
            operator: layer.operator.clone(),
            rows: layer.rows,
            columns: layer.columns,
            groups: layer.groups,
            tiles: cost.tiles,
            devices: cost.devices,
            utilisation: cost.utilisation,
        });
    }
    let unsupported = inspection
        .unsupported
        .iter()
        .map(|node| UnsupportedRow { node: node.node.clone(), operator: node.operator.clone() });
    let inspected = Inspected { layers, unsupported: unsupported.collect() };
    if arguments.json {
        let text = serde_json::to_string_pretty(&inspected).expect("names and numbers are JSON");
        return print(&format!("{text}\n"));
    }
    print(&human(&inspected, &inspection, arguments))
}

fn human(inspected: &Inspected, inspection: &memtorch_nn::Inspection, arguments: &Inspect) -> String {
    let mut text = String::new();
    for (what, ports) in [("input", &inspection.inputs), ("output", &inspection.outputs)] {
        for port in ports {
            text.push_str(&format!("{what} {}: {} {}\n", port.name, port.element, port.shape_text()));
        }
    }
    text.push_str(&format!("\nOn tiles of {}, {}:\n", arguments.tile, arguments.scheme));
    let mut rows =
        vec![["layer", "node", "operator", "matrix", "tiles", "devices", "used"].map(str::to_owned)];
    for layer in &inspected.layers {
        let groups = if layer.groups > 1 { format!("{} x ", layer.groups) } else { String::new() };
        rows.push([
            layer.name.clone(),
            layer.node.clone(),
            layer.operator.clone(),
            format!("{groups}{} x {}", layer.rows, layer.columns),
            layer.tiles.to_string(),
            layer.devices.to_string(),
            format!("{:.1} %", 100.0 * layer.utilisation),
        ]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..7).map(width).collect();
    for row in &rows {
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            text.push_str(&match column {
                0 => format!("{cell:<width$}"),
                1 | 2 => format!("  {cell:<width$}"),
                _ => format!("  {cell:>width$}"),
            });
        }
        text.push('\n');
    }
    let (tiles, devices) = inspected.layers.iter().fold((0usize, 0usize), |(tiles, devices), layer| {
        (tiles.saturating_add(layer.tiles), devices.saturating_add(layer.devices))
    });
    text.push_str(&format!(
        "{} layers, {tiles} tiles for each array, {devices} devices\n",
        inspected.layers.len()
    ));
    if !inspected.unsupported.is_empty() {
        text.push_str("\nOperators that are not supported, so that the network cannot be run:\n");
        for node in &inspected.unsupported {
            text.push_str(&format!("  {} (node {})\n", node.operator, node.node));
        }
    }
    text
}

fn tile(text: &str) -> Result<TileShape, Error> {
    if text == "layer" {
        return Ok(TileShape::Layer);
    }
    let sizes = text.split_once(['x', 'X']).and_then(|(rows, columns)| {
        let size = |part: &str| part.parse::<usize>().ok().filter(|n| (1..=1 << 20).contains(n));
        Some(TileShape::Sized { word_lines: size(rows)?, bit_lines: size(columns)? })
    });
    sizes.ok_or_else(|| Error::argument("--tile", text, "WORD_LINESxBIT_LINES, as 128x128, or layer"))
}
