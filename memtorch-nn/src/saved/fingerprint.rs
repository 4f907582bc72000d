//! What tells one network from another.

use crate::{Attribute, Data, Network, Tensor};

/// 64-bit FNV-1a, over words.
struct Hash(u64);

impl Hash {
    fn word(&mut self, word: u64) {
        for byte in word.to_le_bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn text(&mut self, text: &str) {
        self.word(text.len() as u64);
        text.bytes().for_each(|byte| self.word(u64::from(byte)));
    }

    fn tensor(&mut self, value: &Tensor) {
        value.shape().iter().for_each(|&n| self.word(n as u64));
        match value.data() {
            Data::F32(list) => list.iter().for_each(|x| self.word(u64::from(x.to_bits()))),
            Data::I64(list) => list.iter().for_each(|&x| self.word(x as u64)),
            Data::Bool(list) => list.iter().for_each(|&x| self.word(u64::from(x))),
        }
    }

    fn attribute(&mut self, value: &Attribute) {
        match value {
            Attribute::Real(x) => self.word(u64::from(x.to_bits())),
            Attribute::Whole(x) => self.word(*x as u64),
            Attribute::Text(text) => self.text(text),
            Attribute::Tensor(tensor) => self.tensor(tensor),
            Attribute::Reals(list) => list.iter().for_each(|x| self.word(u64::from(x.to_bits()))),
            Attribute::Wholes(list) => list.iter().for_each(|x| self.word(*x as u64)),
            Attribute::Texts(list) => list.iter().for_each(|text| self.text(text)),
            Attribute::Other(what) => self.text(what),
        }
    }
}

/// A number of a network's nodes with their attributes, weights and constants, in hexadecimal digits: equal
/// networks have equal ones.
pub(super) fn fingerprint(network: &Network) -> String {
    let mut hash = Hash(0xcbf2_9ce4_8422_2325);
    hash.word(network.opset as u64);
    for port in network.inputs().iter().chain(network.outputs()) {
        hash.text(&port.name);
    }
    for step in &network.steps {
        hash.text(&step.node);
        hash.text(&step.operator_name);
        for (name, value) in &step.attributes {
            hash.text(name);
            hash.attribute(value);
        }
        step.inputs
            .iter()
            .chain(&step.outputs)
            .for_each(|value| hash.word(value.map_or(0, |v| v as u64 + 1)));
    }
    for layer in network.layers() {
        hash.text(&layer.name);
        layer.weights.iter().for_each(|w| hash.word(u64::from(w.to_bits())));
    }
    network.constants.iter().flatten().for_each(|value| hash.tensor(value));
    format!("{:016x}", hash.0)
}
