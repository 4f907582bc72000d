//! `memtorch inspect`

use std::path::Path;

use memtorch_crossbar::TileShape;
use memtorch_map::{Footprint, GroupPacking};
use memtorch_nn::{ImportOptions, Inspection, Layer, Network, Place, Plan, PlannedLayer};
use memtorch_utils::config::{Table, Value};

use super::arguments::Inspect;
use super::{context, print};
use crate::experiment::{Document, Experiment};
use crate::{Error, Registry};

#[derive(serde::Serialize)]
struct Inspected {
    layers: Vec<LayerRow>,
    /// Products that are no layers.
    digital_products: Vec<ProductRow>,
    unsupported: Vec<NodeRow>,
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
    /// What only an experiment says.
    #[serde(flatten)]
    plan: Option<PlanRow>,
}

#[derive(serde::Serialize)]
struct PlanRow {
    patched: bool,
    reason: String,
    scheme: Option<String>,
    tile: Option<[usize; 2]>,
    group_packing: Option<&'static str>,
    arrays: usize,
    devices_used: usize,
}

#[derive(serde::Serialize)]
struct ProductRow {
    node: String,
    operator: String,
    reason: &'static str,
}

#[derive(serde::Serialize)]
struct NodeRow {
    node: String,
    operator: String,
}

pub(crate) fn execute(arguments: &Inspect, registry: &Registry) -> Result<(), Error> {
    let experiment = experiment(arguments, registry)?;
    let (file, fold_batch_norm) = match (&arguments.model, &experiment) {
        (_, Some(experiment)) => experiment.network()?,
        (model, None) => (model.clone().unwrap_or_default(), false),
    };
    let inspection = Network::inspect_onnx_file(&file, &ImportOptions { fold_batch_norm })
        .map_err(|source| context::network(&file, source))?;
    let layers = match &experiment {
        Some(experiment) => planned(experiment, &file, &inspection, registry)?,
        None => uniform(arguments, &inspection, registry)?,
    };
    let products = inspection.products.iter();
    let products =
        products.map(|p| ProductRow { node: p.node.clone(), operator: p.operator.clone(), reason: p.reason });
    let unsupported = inspection.unsupported.iter();
    let unsupported = unsupported.map(|n| NodeRow { node: n.node.clone(), operator: n.operator.clone() });
    let inspected =
        Inspected { layers, digital_products: products.collect(), unsupported: unsupported.collect() };
    if arguments.json {
        let text = serde_json::to_string_pretty(&inspected).expect("names and numbers are JSON");
        return print(&format!("{text}\n"));
    }
    print(&human(&inspected, &inspection, arguments))
}

/// The experiment, if one is given; a network on the command line takes the place of its own.
fn experiment(arguments: &Inspect, registry: &Registry) -> Result<Option<Experiment>, Error> {
    let Some(path) = &arguments.experiment else { return Ok(None) };
    let mut document = Document::read(path)?;
    if let Some(model) = &arguments.model {
        let mut table = match document.table.get("model") {
            Some(Value::Table(table)) => table.clone(),
            _ => Table::new(),
        };
        let file = std::path::absolute(model).unwrap_or_else(|_| model.clone());
        table.insert("onnx", Value::Text(file.display().to_string()));
        document.table.insert("model", Value::Table(table));
    }
    Experiment::resolve(document, registry).map(Some)
}

fn row(layer: &Layer, cost: &Footprint, plan: Option<PlanRow>) -> LayerRow {
    LayerRow {
        name: layer.name.clone(),
        node: layer.node.clone(),
        operator: layer.operator.clone(),
        rows: layer.rows,
        columns: layer.columns,
        groups: layer.groups,
        tiles: cost.tiles,
        devices: cost.devices,
        utilisation: cost.utilisation,
        plan,
    }
}

/// All layers on the tiles of the command line.
fn uniform(
    arguments: &Inspect,
    inspection: &Inspection,
    registry: &Registry,
) -> Result<Vec<LayerRow>, Error> {
    let tile = tile(&arguments.tile)?;
    let scheme = context::scheme(&arguments.scheme, registry)?;
    let fields = memtorch_utils::config::check(scheme.fields, &Default::default());
    let scheme = fields
        .and_then(|table| (scheme.build)(&table))
        .map_err(|error| Error::argument("--scheme", &arguments.scheme, error.to_string()))?;
    let cost = |layer: &Layer| {
        let sizes = [layer.groups, layer.rows, layer.columns];
        let cost = Footprint::new(sizes, tile, GroupPacking::Separate, &*scheme)
            .map_err(|error| Error::argument("--tile", &arguments.tile, error.to_string()))?;
        Ok(row(layer, &cost, None))
    };
    inspection.layers.iter().map(cost).collect()
}

/// The layers as an experiment puts them on crossbars.
fn planned(
    experiment: &Experiment,
    file: &Path,
    inspection: &Inspection,
    registry: &Registry,
) -> Result<Vec<LayerRow>, Error> {
    let choices: Vec<_> =
        experiment.plan(&inspection.layers, registry)?.iter().map(|plan| plan.choice()).collect();
    let plan = Plan::new(&inspection.layers, &choices)
        .map_err(|error| experiment.locate(error, file, &inspection.layers))?;
    let planned = |(layer, planned): (&Layer, PlannedLayer)| match planned.place {
        Place::Crossbars { scheme, tile, packing, arrays, footprint } => {
            let shape = match tile {
                TileShape::Sized { word_lines, bit_lines } => Some([word_lines, bit_lines]),
                _ => None,
            };
            let packing = match packing {
                GroupPacking::Separate => "separate",
                _ => "block-diagonal",
            };
            let plan = PlanRow {
                patched: true,
                reason: String::new(),
                scheme: Some(scheme),
                tile: shape,
                group_packing: (layer.groups > 1).then_some(packing),
                arrays,
                devices_used: footprint.devices_used,
            };
            row(layer, &footprint, Some(plan))
        }
        other => {
            let reason = if let Place::Digital { reason } = other { reason } else { String::new() };
            let plan = PlanRow {
                patched: false,
                reason,
                scheme: None,
                tile: None,
                group_packing: None,
                arrays: 0,
                devices_used: 0,
            };
            row(layer, &Footprint::default(), Some(plan))
        }
    };
    Ok(inspection.layers.iter().zip(plan.layers).map(planned).collect())
}

fn human(inspected: &Inspected, inspection: &Inspection, arguments: &Inspect) -> String {
    let mut text = String::new();
    for (what, ports) in [("input", &inspection.inputs), ("output", &inspection.outputs)] {
        for port in ports {
            text.push_str(&format!("{what} {}: {} {}\n", port.name, port.element, port.shape_text()));
        }
    }
    text.push_str(&match &arguments.experiment {
        Some(file) => format!("\nAs {} plans it:\n", file.display()),
        None => format!("\nOn tiles of {}, {}:\n", arguments.tile, arguments.scheme),
    });
    let mut rows =
        vec![["layer", "node", "operator", "matrix", "tiles", "devices", "used"].map(str::to_owned).to_vec()];
    if arguments.experiment.is_some() {
        rows[0].push("where".to_owned());
    }
    for layer in &inspected.layers {
        let groups = if layer.groups > 1 { format!("{} x ", layer.groups) } else { String::new() };
        let mut row = vec![
            layer.name.clone(),
            layer.node.clone(),
            layer.operator.clone(),
            format!("{groups}{} x {}", layer.rows, layer.columns),
            layer.tiles.to_string(),
            layer.devices.to_string(),
            format!("{:.1} %", 100.0 * layer.utilisation),
        ];
        row.extend(layer.plan.as_ref().map(place));
        rows.push(row);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    for row in &rows {
        let mut line = String::new();
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            line.push_str(&match column {
                0 => format!("{cell:<width$}"),
                1 | 2 | 7 => format!("  {cell:<width$}"),
                _ => format!("  {cell:>width$}"),
            });
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    let (tiles, devices) = inspected.layers.iter().fold((0usize, 0usize), |(tiles, devices), layer| {
        (tiles.saturating_add(layer.tiles), devices.saturating_add(layer.devices))
    });
    text.push_str(&format!(
        "{} layers, {tiles} tiles for each array, {devices} devices\n",
        inspected.layers.len()
    ));
    if !inspected.digital_products.is_empty() {
        text.push_str("\nProducts which stay digital:\n");
    }
    for ProductRow { node, operator, reason } in &inspected.digital_products {
        text.push_str(&format!("  {operator} (node {node}): {reason}\n"));
    }
    if !inspected.unsupported.is_empty() {
        text.push_str("\nOperators that are not supported, so that the network cannot be run:\n");
    }
    for NodeRow { node, operator } in &inspected.unsupported {
        text.push_str(&format!("  {operator} (node {node})\n"));
    }
    text
}

/// Where a layer will be, in words.
fn place(plan: &PlanRow) -> String {
    if !plan.patched {
        return format!("digital: {}", plan.reason);
    }
    let tile =
        plan.tile.map_or("one array a layer".to_owned(), |[rows, columns]| format!("{rows}x{columns}"));
    let packing = plan.group_packing.map(|packing| format!(", groups {packing}")).unwrap_or_default();
    format!("{} x {tile}, {}{packing}", plan.arrays, plan.scheme.as_deref().unwrap_or(""))
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
