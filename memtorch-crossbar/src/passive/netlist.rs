use std::fmt::Write;

use ndarray::ArrayView1;

use super::nodal::{Nodal, Node};
use super::solver::check_voltages;
use super::{PassiveCircuit, Sinh};
use crate::CrossbarError;

/// The circuit as a deck that ngspice runs in batch mode (`ngspice -b`) as it is, printing each column
/// current as `i(vb_COLUMN)`, in ampere into the bit line's sink.
///
/// Nodes are `w_ROW_COLUMN` and `b_ROW_COLUMN`, sources `vw_ROW` and `vb_COLUMN`, devices
/// `rd_ROW_COLUMN` (with a law `bd_ROW_COLUMN`), all counted from 0. Nodes joined by a wire without
/// resistance are one node, with the name of its first cell; open cells are left out.
///
/// # Errors
/// Voltages of another number or not finite.
pub fn netlist(
    circuit: &PassiveCircuit,
    word_lines: ArrayView1<f64>,
    bit_lines: ArrayView1<f64>,
    law: Option<Sinh>,
) -> Result<String, CrossbarError> {
    let one = |v: ArrayView1<f64>| v.to_owned().insert_axis(ndarray::Axis(0));
    check_voltages(circuit, one(word_lines).view(), one(bit_lines).view())?;
    let (m, n) = (circuit.word_lines(), circuit.bit_lines());
    let nodal = Nodal::new(circuit);
    let mut names = vec![String::new(); nodal.unknowns];
    for (letter, nodes) in [("w", &nodal.word), ("b", &nodal.bit)] {
        for (k, node) in nodes.iter().enumerate() {
            if let Node::Free(x) = node
                && names[*x].is_empty()
            {
                names[*x] = format!("{letter}_{}_{}", k / n, k % n);
            }
        }
    }
    let name = |node: Node| match node {
        Node::Free(x) => names[x].clone(),
        Node::Word(i) => format!("source_{i}"),
        Node::Bit(j) => format!("sink_{j}"),
    };
    let mut deck = format!("* Passive crossbar: {m} word lines, {n} bit lines\n");
    let mut line = |text: std::fmt::Arguments| {
        deck.write_fmt(text).and_then(|()| deck.write_char('\n')).expect("a string takes everything");
    };
    for (i, v) in word_lines.iter().enumerate() {
        line(format_args!("vw_{i} source_{i} 0 dc {v:e}"));
    }
    for (j, v) in bit_lines.iter().enumerate() {
        line(format_args!("vb_{j} sink_{j} 0 dc {v:e}"));
    }
    let wiring = circuit.wiring();
    let mut wire = |text: String, a: Node, b: Node, resistance: Option<f64>| {
        if let Some(resistance) = resistance
            && a != b
        {
            line(format_args!("{text} {} {} {resistance:e}", name(a), name(b)));
        }
    };
    for i in 0..m {
        let at = |j: usize| nodal.word[i * n + j];
        wire(format!("rwl_{i}"), Node::Word(i), at(0), wiring.word_left);
        for j in 1..n {
            wire(format!("rw_{i}_{j}"), at(j - 1), at(j), Some(wiring.word_line));
        }
        wire(format!("rwr_{i}"), at(n - 1), Node::Word(i), wiring.word_right);
    }
    for j in 0..n {
        let at = |i: usize| nodal.bit[i * n + j];
        wire(format!("rbt_{j}"), Node::Bit(j), at(0), wiring.bit_top);
        for i in 1..m {
            wire(format!("rb_{i}_{j}"), at(i - 1), at(i), Some(wiring.bit_line));
        }
        wire(format!("rbb_{j}"), at(m - 1), Node::Bit(j), wiring.bit_bottom);
    }
    for ((i, j), g) in circuit.conductances().indexed_iter() {
        if *g == 0.0 {
            continue;
        }
        let (word, bit) = (name(nodal.word[i * n + j]), name(nodal.bit[i * n + j]));
        match law {
            None => line(format_args!("rd_{i}_{j} {word} {bit} {:e}", 1.0 / g)),
            Some(law) => {
                let b = law.b();
                line(format_args!("bd_{i}_{j} {word} {bit} i={g:e}*sinh({b:e}*v({word},{bit}))/{b:e}"));
            }
        }
    }
    line(format_args!(".options reltol=1e-9 abstol=1e-18 vntol=1e-12 itl1=500"));
    line(format_args!(".control\nset numdgt=15\nop"));
    for j in 0..n {
        line(format_args!("print i(vb_{j})"));
    }
    line(format_args!("quit\n.endc\n.end"));
    Ok(deck)
}
