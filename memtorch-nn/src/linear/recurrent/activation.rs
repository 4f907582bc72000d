use crate::attributes::Attributes;
use crate::kernel::each;
use crate::math;

/// A function that a recurrent node applies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Activation {
    Relu,
    Tanh,
    Sigmoid,
    Softsign,
    Softplus,
    LeakyRelu(f32),
    ThresholdedRelu(f32),
    Elu(f32),
    HardSigmoid(f32, f32),
    ScaledTanh(f32, f32),
    Affine(f32, f32),
}

impl Activation {
    /// Applies it to each element.
    pub(super) fn apply(self, values: &mut [f32]) {
        // Each arm is a loop of its own, so that the simple ones vectorise.
        match self {
            Self::Relu => each(values, |x| if x < 0.0 { 0.0 } else { x }),
            Self::Tanh => each(values, math::tanh),
            Self::Sigmoid => each(values, math::sigmoid),
            Self::Softsign => each(values, |x| x / (1.0 + x.abs())),
            Self::Softplus => each(values, |x| x.max(0.0) + math::exp(-x.abs()).ln_1p()),
            Self::LeakyRelu(alpha) => each(values, |x| if x < 0.0 { alpha * x } else { x }),
            Self::ThresholdedRelu(alpha) => each(values, |x| if x > alpha { x } else { 0.0 }),
            Self::Elu(alpha) => each(values, |x| if x < 0.0 { alpha * x.exp_m1() } else { x }),
            Self::HardSigmoid(alpha, beta) => each(values, |x| (alpha * x + beta).clamp(0.0, 1.0)),
            Self::ScaledTanh(alpha, beta) => each(values, |x| alpha * math::tanh(beta * x)),
            Self::Affine(alpha, beta) => each(values, |x| alpha * x + beta),
        }
    }

    /// The functions of a node: for each direction as many as `default` has. Names are compared without
    /// regard to case; each function that has parameters takes the next of each list.
    ///
    /// # Errors
    /// Another number of names, a name that is not known.
    pub(super) fn list(
        attributes: &Attributes<'_>,
        default: &[Self],
        directions: usize,
    ) -> Result<Vec<Self>, String> {
        let mut alphas = attributes.reals("activation_alpha")?.into_iter().flatten().copied();
        let mut betas = attributes.reals("activation_beta")?.into_iter().flatten().copied();
        let Some(names) = attributes.texts("activations")? else {
            return Ok(default.repeat(directions));
        };
        let expected = default.len() * directions;
        if names.len() != expected {
            return Err(format!("activations = {names:?}: expected {expected} names"));
        }
        let mut alpha = |default| alphas.next().unwrap_or(default);
        let mut beta = |default| betas.next().unwrap_or(default);
        names
            .iter()
            .map(|name| {
                Ok(match name.to_ascii_lowercase().as_str() {
                    "relu" => Self::Relu,
                    "tanh" => Self::Tanh,
                    "sigmoid" => Self::Sigmoid,
                    "softsign" => Self::Softsign,
                    "softplus" => Self::Softplus,
                    "leakyrelu" => Self::LeakyRelu(alpha(0.01)),
                    "thresholdedrelu" => Self::ThresholdedRelu(alpha(1.0)),
                    "elu" => Self::Elu(alpha(1.0)),
                    "hardsigmoid" => Self::HardSigmoid(alpha(0.2), beta(0.5)),
                    "scaledtanh" => Self::ScaledTanh(alpha(1.0), beta(1.0)),
                    "affine" => Self::Affine(alpha(1.0), beta(0.0)),
                    _ => return Err(format!("activation {name:?} is not known")),
                })
            })
            .collect()
    }
}
