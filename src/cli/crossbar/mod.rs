//! `memtorch crossbar`

pub(crate) mod arguments;
mod arrays;
mod heat_map;

use std::io::Write;

use memtorch_crossbar::backend::Work;
use memtorch_crossbar::ndarray::{Array2, Axis, s};
use memtorch_crossbar::passive::{
    Auto, ConjugateGradients, Detail, DeviceLaw, Newton, Ohmic, OperatingPoint, PassiveCircuit,
    PassiveSolver, Reduce, Sinh, Solution, SparseLu, TileCircuit, Unused, netlist, reduce,
};
use memtorch_utils::files::write_atomic;

use super::{context, print};
use crate::report::picture::Picture;
use crate::{Error, Registry};
use arguments::{Crossbar, CrossbarCommand, Effective, Map, Method, Netlist, Solve};
use heat_map::{Panel, Scale};

pub(crate) fn execute(arguments: &Crossbar, registry: &Registry) -> Result<(), Error> {
    match &arguments.command {
        CrossbarCommand::Solve(arguments) => solve(arguments),
        CrossbarCommand::Effective(arguments) => effective(arguments, registry),
        CrossbarCommand::Netlist(arguments) => write_netlist(arguments),
        CrossbarCommand::Map(arguments) => map(arguments),
    }
}

/// Solves with the method that was asked for.
fn solution(
    circuit: &PassiveCircuit,
    method: Method,
    law: Option<Sinh>,
    word: &Array2<f64>,
    bit: &Array2<f64>,
    detail: Detail,
) -> Result<Solution, Error> {
    let (word, bit) = (word.view(), bit.view());
    if let Some(law) = law {
        return Ok(Newton::default().solve(circuit, &law, word, bit, detail)?);
    }
    let solver: &dyn PassiveSolver = match method {
        Method::Auto => &Auto::default(),
        Method::Reduce => &Reduce::default(),
        Method::Cg => &ConjugateGradients::default(),
        Method::Lu => &SparseLu,
    };
    Ok(solver.solve(circuit, word, bit, detail)?)
}

fn solve(arguments: &Solve) -> Result<(), Error> {
    let circuit = arrays::circuit(&arguments.circuit)?;
    let law = arrays::law(arguments.operation.nonlinear)?;
    let (word, bit) =
        arrays::inputs(&circuit, Some(&arguments.word_line), arguments.operation.bit_line.as_deref())?;
    let (batched, word) = (word.batched, word.values);
    let detail = if arguments.node_voltages.is_some() { Detail::Nodes } else { Detail::Currents };
    let solution = context::with_threads(arguments.circuit.threads, || {
        solution(&circuit, arguments.method, law, &word, &bit, detail)
    })?;
    arrays::write(&arguments.out, &solution.column_currents, batched)?;
    if let (Some(path), Some(nodes)) = (&arguments.node_voltages, &solution.node_voltages) {
        arrays::write(path, nodes, batched)?;
    }
    let delivered = (&solution.source_currents * &word).sum_axis(Axis(1))
        - (&solution.column_currents * &bit).sum_axis(Axis(1));
    let device_law: &dyn DeviceLaw = law.as_ref().map_or(&Ohmic, |law| law);
    // The worst cell over all inputs, where the nodes are known.
    let mut worst: Option<(usize, OperatingPoint)> = None;
    if solution.node_voltages.is_some() {
        for input in 0..word.nrows() {
            let point =
                OperatingPoint::new(&circuit, device_law, &solution, input, word.row(input), bit.row(input))?;
            let lost = |point: &OperatingPoint| point.worst_drop.lost.abs();
            if worst.as_ref().is_none_or(|(_, worst)| lost(&point) > lost(worst)) {
                worst = Some((input, point));
            }
        }
    }
    if arguments.json {
        let mut report = serde_json::json!({
            "method": solution.method,
            "word_lines": circuit.word_lines(),
            "bit_lines": circuit.bit_lines(),
            "inputs": word.nrows(),
            "iterations": solution.iterations,
            "residual": solution.residual,
            "power": delivered.to_vec(),
        });
        if let Some((input, point)) = &worst {
            let drop = point.worst_drop;
            report["worst_drop"] = serde_json::json!({
                "input": input, "word_line": drop.word_line, "bit_line": drop.bit_line,
                "lost": drop.lost, "applied": drop.applied,
            });
        }
        return print(&format!("{report:#}\n"));
    }
    let mut text = format!(
        "{} word lines, {} bit lines, {} input(s)\nmethod: {}\n",
        circuit.word_lines(),
        circuit.bit_lines(),
        word.nrows(),
        solution.method
    );
    if solution.iterations > 0 {
        text += &format!("iterations: {}, residual: {:.1e}\n", solution.iterations, solution.residual);
    }
    let largest = delivered.iter().fold(0.0f64, |largest, p| largest.max(*p));
    text += &format!("largest power of an input: {largest:.4e} W\n");
    if let Some((input, point)) = &worst {
        let drop = point.worst_drop;
        text += &format!(
            "worst drop: {:.4e} V of {:.4e} V at word line {}, bit line {} (input {input})\n",
            drop.lost, drop.applied, drop.word_line, drop.bit_line
        );
    }
    print(&text)
}

fn effective(arguments: &Effective, registry: &Registry) -> Result<(), Error> {
    let backend = context::backend(&arguments.backend, registry)?;
    let circuit = arrays::circuit(&arguments.circuit)?;
    if backend.leaves_to_cpu(&Work::Reduction(circuit.wiring())) {
        // Nobody is told that a warning could not be told.
        let why = "lines that are driven at both ends";
        let _ =
            writeln!(std::io::stderr(), "warning: the backend {} leaves to the CPU: {why}", backend.name());
    }
    let (conductances, bit_lines) = context::with_threads(arguments.circuit.threads, || {
        let on_cpu = backend.name() == "cpu";
        let reduced = (on_cpu || arguments.bit_line_out.is_some()).then(|| reduce(&circuit));
        let (conductances, bit_lines) = reduced.map(|r| (r.conductances, r.bit_lines)).unzip();
        if let (Some(conductances), true) = (conductances, on_cpu) {
            return Ok((conductances, bit_lines));
        }
        let tile = TileCircuit {
            shape: [circuit.word_lines(), circuit.bit_lines()],
            unused_conductance: 0.0,
            unused: Unused::Full,
            wiring: *circuit.wiring(),
            transistor_resistance: 0.0,
        };
        let mut blocks = backend.effective_blocks(&[circuit.conductances()], &tile)?;
        Ok((blocks.swap_remove(0), bit_lines))
    })?;
    arrays::write_matrix(&arguments.out, &conductances)?;
    if let (Some(path), Some(bit_lines)) = (&arguments.bit_line_out, &bit_lines) {
        arrays::write_matrix(path, bit_lines)?;
    }
    let (mut worst, mut at, mut sum) = (0.0f64, (0, 0), 0.0);
    for (place, g) in circuit.conductances().indexed_iter().filter(|(_, g)| **g > 0.0) {
        let loss = 1.0 - conductances[place] / g;
        sum += loss;
        if loss.abs() > worst.abs() {
            (worst, at) = (loss, place);
        }
    }
    let mean = sum / circuit.conductances().iter().filter(|g| **g > 0.0).count().max(1) as f64;
    if arguments.json {
        let report = serde_json::json!({
            "method": "star-mesh reduction",
            "backend": backend.name(),
            "word_lines": circuit.word_lines(),
            "bit_lines": circuit.bit_lines(),
            "mean_loss": mean,
            "worst_loss": { "loss": worst, "word_line": at.0, "bit_line": at.1 },
        });
        return print(&format!("{report:#}\n"));
    }
    print(&format!(
        "{} word lines, {} bit lines\nmethod: star-mesh reduction\nmean loss of conductance: {:.3} %\nlargest change: {:.3} % at word line {}, bit line {}\n",
        circuit.word_lines(),
        circuit.bit_lines(),
        100.0 * mean,
        100.0 * worst,
        at.0,
        at.1
    ))
}

fn write_netlist(arguments: &Netlist) -> Result<(), Error> {
    let circuit = arrays::circuit(&arguments.circuit)?;
    let law = arrays::law(arguments.operation.nonlinear)?;
    let (word, bit) =
        arrays::inputs(&circuit, Some(&arguments.word_line), arguments.operation.bit_line.as_deref())?;
    arrays::single("a netlist", &word.values)?;
    let deck = netlist(&circuit, word.values.row(0), bit.row(0), law)?;
    Ok(write_atomic(&arguments.out, |file| file.write_all(deck.as_bytes()))?)
}

fn map(arguments: &Map) -> Result<(), Error> {
    let picture = Picture::at("--plot", &arguments.plot)?;
    let circuit = arrays::circuit(&arguments.circuit)?;
    let law = arrays::law(arguments.operation.nonlinear)?;
    let (word, bit) =
        arrays::inputs(&circuit, arguments.word_line.as_deref(), arguments.operation.bit_line.as_deref())?;
    arrays::single("a map", &word.values)?;
    let solution = context::with_threads(arguments.circuit.threads, || {
        solution(&circuit, Method::Auto, law, &word.values, &bit, Detail::Nodes)
    })?;
    let device_law: &dyn DeviceLaw = law.as_ref().map_or(&Ohmic, |law| law);
    let point = OperatingPoint::new(&circuit, device_law, &solution, 0, word.values.row(0), bit.row(0))?;
    let conductances = circuit.conductances().to_owned();
    let loss = Array2::from_shape_fn(point.lost.dim(), |(i, j)| {
        let applied = word.values[(0, i)] - bit[(0, j)];
        // Where nothing is applied, nothing can be lost: drawn as no value.
        if applied == 0.0 { f64::NAN } else { 100.0 * point.lost[(i, j)] / applied }
    });
    let panels = [
        Panel { title: "Conductance", unit: "S", values: conductances, scale: Scale::Logarithmic },
        Panel {
            title: "Word-line nodes",
            unit: "V",
            values: point.node_voltages.slice(s![0, .., ..]).to_owned(),
            scale: Scale::Linear,
        },
        Panel {
            title: "Bit-line nodes",
            unit: "V",
            values: point.node_voltages.slice(s![1, .., ..]).to_owned(),
            scale: Scale::Linear,
        },
        Panel { title: "Voltage lost to the wires", unit: "%", values: loss, scale: Scale::Linear },
    ];
    heat_map::draw(&picture, &panels)
}
