use std::sync::Arc;

use memtorch_map::Usage;
use ndarray::Array3;

/// A linear layer of a network: one weight matrix, or of a grouped convolution several.
///
/// Weights that several nodes use are one layer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Layer {
    /// The short name, unique in the network: the weight's name without `.weight`, else the module path
    /// of the node, else the node's name; equal names get `_1`, `_2`.
    pub name: String,
    /// The full name of the first node that uses the weights.
    pub node: String,
    /// The full names of all nodes that use them.
    pub nodes: Vec<String>,
    /// The ONNX operator: `Conv`, `Gemm`, `MatMul`.
    pub operator: String,
    /// Matrices: the groups of a convolution, else 1.
    pub groups: usize,
    /// Inputs of one matrix; of a convolution, elements of a patch in the order channel, depth, height,
    /// width.
    pub rows: usize,
    /// Outputs of one matrix.
    pub columns: usize,
    /// The weights `[groups, rows, columns]`.
    pub weights: Arc<Array3<f32>>,
    /// What the first node adds to its outputs digitally, one for each output of each group.
    pub bias: Option<Arc<[f32]>>,
    /// How the matrix is used.
    pub usage: Usage,
}

impl Layer {
    /// Whether a pattern matches the short name or the full name of a node.
    ///
    /// In a pattern `*` stands for any characters, `?` for one; all else stands for itself.
    pub fn matches(&self, pattern: &str) -> bool {
        glob(pattern, &self.name) || self.nodes.iter().any(|node| glob(pattern, node))
    }
}

/// Whether a pattern with `*` and `?` matches the whole of a text, in time proportional to the product of
/// their lengths.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where to go on if what follows the last star does not match: the star may take one more character.
    let mut retry = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((star, taken)) => {
                    retry = Some((star, taken + 1));
                    p = star + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, text, expected) in [
            ("conv*", "conv1", true),
            ("conv*", "features.conv1", false),
            ("*conv*", "features.conv1", true),
            ("fc?", "fc2", true),
            ("fc?", "fc", false),
            ("*.1.*.0", "a.1.b.1.0", true),
            ("*.1.*.0", "a.1.0", false),
            ("", "", true),
            ("*", "", true),
            ("**a", "bba", true),
            ("[a]", "a", false),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }
}
