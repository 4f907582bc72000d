//! Layers whose weights have the names and shapes that PyTorch gives them.

use crate::{Attribute, Data, NetworkBuilder, NnError, NodeDescription, Tensor};

/// Where the kernel of a convolution goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Distance of its places along each axis; empty for 1.
    pub stride: Vec<usize>,
    /// Zeros before and after each axis; empty for none.
    pub padding: Vec<usize>,
    /// Distance of its elements along each axis; empty for 1.
    pub dilation: Vec<usize>,
    /// Parts that the channels fall into, each with weights of its own.
    pub groups: usize,
}

impl Default for Convolution {
    /// Every place within the image, one group.
    fn default() -> Self {
        Self { stride: Vec::new(), padding: Vec::new(), dilation: Vec::new(), groups: 1 }
    }
}

/// A recurrent layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recurrence {
    /// `nn.RNN` with its hyperbolic tangent.
    Rnn,
    /// `nn.LSTM`.
    Lstm,
    /// `nn.GRU`.
    Gru,
}

impl Recurrence {
    /// The operator, and where each of its gates stands among PyTorch's.
    fn gates(self) -> (&'static str, &'static [usize]) {
        match self {
            Self::Rnn => ("RNN", &[0]),
            // i, o, f, c of i, f, g, o.
            Self::Lstm => ("LSTM", &[0, 3, 1, 2]),
            // z, r, h of r, z, n.
            Self::Gru => ("GRU", &[1, 0, 2]),
        }
    }
}

/// Layers of PyTorch: their weights must be there before, as [`NetworkBuilder::constant`] or
/// `NetworkBuilder::safetensors` puts them.
impl NetworkBuilder {
    /// Adds `nn.Linear`: `y = x W' + b` for an `x` of any leading shape, with `LAYER.weight` `[outputs, inputs]` and,
    /// if it is there, `LAYER.bias`.
    pub fn linear(&mut self, x: &str, layer: &str, y: &str) -> &mut Self {
        let (weight, bias) = (format!("{layer}.weight"), format!("{layer}.bias"));
        let (turned, product) = (format!("{y}.weight"), format!("{y}.product"));
        let to = if self.find(&bias).is_some() { product.as_str() } else { y };
        self.node(NodeDescription::new("Transpose", &[&weight], &[&turned]));
        self.node(NodeDescription::new("MatMul", &[x, &turned], &[to]));
        if to != y {
            self.node(NodeDescription::new("Add", &[to, &bias], &[y]));
        }
        self
    }

    /// Adds `nn.Conv1d`, `nn.Conv2d` or `nn.Conv3d`, with `LAYER.weight` `[outputs, channels / groups, kernel...]`
    /// and, if it is there, `LAYER.bias`.
    pub fn conv(&mut self, x: &str, layer: &str, y: &str, places: &Convolution) -> &mut Self {
        let (weight, bias) = (format!("{layer}.weight"), format!("{layer}.bias"));
        let mut inputs = vec![x, &weight];
        if self.find(&bias).is_some() {
            inputs.push(&bias);
        }
        let mut node = NodeDescription::new("Conv", &inputs, &[y])
            .attribute("group", Attribute::Whole(places.groups as i64));
        let pads = [&places.padding[..], &places.padding].concat();
        for (name, list) in [("strides", &places.stride), ("pads", &pads), ("dilations", &places.dilation)] {
            if !list.is_empty() {
                node = node.attribute(name, Attribute::Wholes(list.iter().map(|&n| n as i64).collect()));
            }
        }
        self.node(node)
    }

    /// Adds layer `number` of `nn.RNN`, `nn.LSTM` or `nn.GRU`, in both directions where there are weights for the
    /// other one, `LAYER.weight_ih_lNUMBER` and so on. `x` is `[steps, batch, inputs]` and `y`
    /// `[steps, batch, directions * hidden]`; it begins with a state of zeros.
    ///
    /// # Errors
    /// Weights that are missing or do not fit each other.
    pub fn recurrent(
        &mut self,
        kind: Recurrence,
        x: &str,
        layer: &str,
        number: usize,
        y: &str,
    ) -> Result<&mut Self, NnError> {
        let (operator, gates) = kind.gates();
        let name = |part: &str, end: &str| format!("{layer}.{part}_l{number}{end}");
        let both = self.find(&name("weight_ih", "_reverse")).is_some();
        let ends: &[&str] = if both { &["", "_reverse"] } else { &[""] };
        let mut parts = [const { Vec::new() }; 3];
        let (mut inputs, mut hidden) = (0, 0);
        for end in ends {
            let (w, r) = (self.real(&name("weight_ih", end))?, self.real(&name("weight_hh", end))?);
            let (&[rows, i], &[rows_r, h]) = (w.0, r.0) else {
                let shapes = format!("{layer} has weights of shapes {:?} and {:?}", w.0, r.0);
                return Err(NnError::Format(format!("{shapes}: expected two axes each")));
            };
            let first = hidden == 0;
            if rows != gates.len() * h || rows_r != rows || !(first || (inputs, hidden) == (i, h)) {
                let shapes = format!("{layer} has weights of shapes {:?} and {:?}", w.0, r.0);
                let expected = format!("{} gates of one hidden size", gates.len());
                return Err(NnError::Format(format!("{shapes}: expected {expected}")));
            }
            (inputs, hidden) = (i, h);
            let mut add = |part: usize, values: &[f32]| {
                let gate = values.len() / gates.len();
                gates.iter().for_each(|g| parts[part].extend_from_slice(&values[g * gate..][..gate]));
            };
            add(0, w.1);
            add(1, r.1);
            for bias in ["bias_ih", "bias_hh"] {
                let bias = name(bias, end);
                match self.find(&bias) {
                    None => add(2, &vec![0.0; rows]),
                    Some(_) => match self.real(&bias)? {
                        ([n], values) if *n == rows => add(2, values),
                        (shape, _) => {
                            let what = format!("{bias} has shape {shape:?}: expected [{rows}]");
                            return Err(NnError::Format(what));
                        }
                    },
                }
            }
        }
        let [w, r, b] = parts;
        let (directions, rows) = (ends.len(), gates.len() * hidden);
        let names = ["weight", "recurrent", "bias"].map(|part| format!("{layer}_l{number}.{part}"));
        let shapes =
            [vec![directions, rows, inputs], vec![directions, rows, hidden], vec![directions, 2 * rows]];
        for ((name, shape), values) in names.iter().zip(shapes).zip([w, r, b]) {
            self.constant(name, Tensor::new(&shape, values).map_err(NnError::Format)?);
        }
        let [apart, turned, shape] = ["directions", "steps", "shape"].map(|what| format!("{y}.{what}"));
        let mut node = NodeDescription::new(operator, &[x, &names[0], &names[1], &names[2]], &[&apart])
            .attribute("hidden_size", Attribute::Whole(hidden as i64));
        if both {
            node = node.attribute("direction", Attribute::Text("bidirectional".to_owned()));
        }
        if kind == Recurrence::Gru {
            node = node.attribute("linear_before_reset", Attribute::Whole(1));
        }
        let order = Attribute::Wholes(vec![0, 2, 1, 3]);
        self.node(node).constant(&shape, Tensor::whole(&[3], vec![0, 0, -1]).map_err(NnError::Format)?);
        self.node(NodeDescription::new("Transpose", &[&apart], &[&turned]).attribute("perm", order));
        Ok(self.node(NodeDescription::new("Reshape", &[&turned, &shape], &[y])))
    }

    fn find(&self, name: &str) -> Option<&Tensor> {
        self.constants.iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    /// The shape and the real numbers of a constant.
    fn real(&self, name: &str) -> Result<(&[usize], &[f32]), NnError> {
        let missing = || NnError::Format(format!("no constant `{name}`: expected it before its layer"));
        let tensor = self.find(name).ok_or_else(missing)?;
        match tensor.data() {
            Data::F32(values) => Ok((tensor.shape(), values)),
            other => Err(NnError::Format(format!("`{name}` holds {}: expected real numbers", other.kind()))),
        }
    }
}
