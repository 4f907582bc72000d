/// The largest weights of a layer, output by output.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WeightSpread {
    /// The largest magnitude of all.
    pub largest: f64,
    /// The median over outputs of each one's largest magnitude.
    pub median: f64,
}

impl WeightSpread {
    /// Of weights in any order; `output` says to which output one belongs.
    pub(crate) fn new(weights: &[f32], outputs: usize, output: impl Fn(usize) -> usize) -> Self {
        let mut largest = vec![0.0f64; outputs];
        for (i, w) in weights.iter().enumerate() {
            let of_output = &mut largest[output(i)];
            *of_output = of_output.max(f64::from(w.abs()));
        }
        largest.sort_by(f64::total_cmp);
        let last = largest.last().copied().unwrap_or(0.0);
        Self { largest: last, median: largest.get(outputs / 2).copied().unwrap_or(0.0) }
    }

    /// The share of the range of conductances that a typical output uses, if one largest weight serves all.
    fn used(&self) -> f64 {
        if self.largest > 0.0 { self.median / self.largest } else { 1.0 }
    }
}

/// What merging a BatchNormalization did to the weights of the layer before it.
///
/// Each output's weights are scaled by its own factor. Where one largest weight a layer is mapped to the
/// largest conductance, outputs with small factors keep only a part of the conductances.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Folding {
    /// The full name of the BatchNormalization.
    pub node: String,
    /// The full name of the node with the weights.
    pub layer: String,
    /// The weights as they were.
    pub before: WeightSpread,
    /// The weights as they are.
    pub after: WeightSpread,
}

impl Folding {
    /// A sentence to warn with, where a typical output has less than half the range of conductances that it
    /// had before.
    pub fn warning(&self) -> Option<String> {
        let (before, after) = (self.before.used(), self.after.used());
        (after < 0.5 * before).then(|| {
            format!(
                "merging {} into {} leaves a typical output {:.0} % of the range of weights, where it had {:.0} % \
                 (largest weight {:.3} to {:.3}): one weight range a column keeps all of it",
                self.node,
                self.layer,
                100.0 * after,
                100.0 * before,
                self.before.largest,
                self.after.largest,
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_that_lose_most_of_the_range_are_told() {
        let weights = [0.5f32, -1.0, 0.9, 0.1, -0.2, 0.8];
        let spread = |weights: &[f32]| WeightSpread::new(weights, 3, |i| i / 2);
        let before = spread(&weights);
        assert_eq!((before.largest, before.median), (1.0, f64::from(0.9f32)));
        let folding = |factors: [f32; 3]| Folding {
            node: "bn".to_owned(),
            layer: "conv".to_owned(),
            before,
            after: spread(&std::array::from_fn::<f32, 6, _>(|i| weights[i] * factors[i / 2])),
        };
        assert_eq!(folding([2.0, 2.0, 2.0]).warning(), None);
        let warning = folding([8.0, 1.0, 1.0]).warning().unwrap();
        assert!(warning.contains("11 %") && warning.contains("90 %"), "{warning}");
    }
}
