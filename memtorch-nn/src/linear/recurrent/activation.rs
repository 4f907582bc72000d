use crate::attributes::Attributes;
use crate::ops::unary::sigmoid;

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
    pub(super) fn apply(self, x: f32) -> f32 {
        match self {
            Self::Relu => x.max(0.0),
            Self::Tanh => x.tanh(),
            Self::Sigmoid => sigmoid(x),
            Self::Softsign => x / (1.0 + x.abs()),
            Self::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
            Self::LeakyRelu(alpha) => {
                if x < 0.0 {
                    alpha * x
                } else {
                    x
                }
            }
            Self::ThresholdedRelu(alpha) => {
                if x > alpha {
                    x
                } else {
                    0.0
                }
            }
            Self::Elu(alpha) => {
                if x < 0.0 {
                    alpha * x.exp_m1()
                } else {
                    x
                }
            }
            Self::HardSigmoid(alpha, beta) => (alpha * x + beta).clamp(0.0, 1.0),
            Self::ScaledTanh(alpha, beta) => alpha * (beta * x).tanh(),
            Self::Affine(alpha, beta) => alpha * x + beta,
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
