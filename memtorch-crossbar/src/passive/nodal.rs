//! The circuit as a list of elements between numbered nodes, wires without resistance merged.

use super::PassiveCircuit;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// Unknown, with its number.
    Free(usize),
    /// The voltage of a word line's source.
    Word(usize),
    /// The voltage of a bit line's sink.
    Bit(usize),
}

/// A circuit with its nodes numbered for assembly.
pub(super) struct Nodal {
    /// `[word line, bit line]` row-major: the nodes of word lines.
    pub(super) word: Vec<Node>,
    /// The same of bit lines.
    pub(super) bit: Vec<Node>,
    /// How many unknowns there are.
    pub(super) unknowns: usize,
    /// The terminal of each unknown's line: unknowns are kept as voltages above it, so that small
    /// drops along a line keep their digits.
    pub(super) terminals: Vec<Node>,
    /// Nodes and siemens.
    pub(super) elements: Vec<(Node, Node, f64)>,
}

impl Nodal {
    pub(super) fn new(circuit: &PassiveCircuit) -> Self {
        let (m, n) = (circuit.word_lines(), circuit.bit_lines());
        let wiring = circuit.wiring();
        let at = |i: usize, j: usize| i * n + j;
        let mut terminals = Vec::new();
        let mut line =
            |length: usize, first: Option<f64>, last: Option<f64>, segment: f64, terminal: Node| {
                let mut nodes = Vec::with_capacity(length);
                for k in 0..length {
                    let node = if k == 0 && first == Some(0.0) {
                        terminal
                    } else if k > 0 && segment == 0.0 {
                        nodes[0]
                    } else if (k + 1 == length || segment == 0.0) && last == Some(0.0) {
                        terminal
                    } else {
                        terminals.push(terminal);
                        Node::Free(terminals.len() - 1)
                    };
                    nodes.push(node);
                }
                nodes
            };
        let mut word = vec![Node::Word(0); m * n];
        let mut bit = vec![Node::Bit(0); m * n];
        for i in 0..m {
            let nodes = line(n, wiring.word_left, wiring.word_right, wiring.word_line, Node::Word(i));
            word[at(i, 0)..at(i, 0) + n].copy_from_slice(&nodes);
        }
        for j in 0..n {
            let nodes = line(m, wiring.bit_top, wiring.bit_bottom, wiring.bit_line, Node::Bit(j));
            for (i, node) in nodes.into_iter().enumerate() {
                bit[at(i, j)] = node;
            }
        }
        let mut elements = Vec::with_capacity(3 * m * n + 2 * (m + n));
        let mut wire = |a: Node, b: Node, resistance: Option<f64>| {
            if let Some(resistance) = resistance
                && a != b
            {
                elements.push((a, b, 1.0 / resistance));
            }
        };
        for i in 0..m {
            wire(Node::Word(i), word[at(i, 0)], wiring.word_left);
            wire(Node::Word(i), word[at(i, n - 1)], wiring.word_right);
            for j in 1..n {
                wire(word[at(i, j - 1)], word[at(i, j)], Some(wiring.word_line));
            }
        }
        for j in 0..n {
            wire(Node::Bit(j), bit[at(0, j)], wiring.bit_top);
            wire(Node::Bit(j), bit[at(m - 1, j)], wiring.bit_bottom);
            for i in 1..m {
                wire(bit[at(i - 1, j)], bit[at(i, j)], Some(wiring.bit_line));
            }
        }
        for ((i, j), g) in circuit.conductances().indexed_iter() {
            if *g > 0.0 {
                elements.push((word[at(i, j)], bit[at(i, j)], *g));
            }
        }
        Self { word, bit, unknowns: terminals.len(), terminals, elements }
    }
}
