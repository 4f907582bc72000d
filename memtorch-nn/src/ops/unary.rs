//! Functions of one element.

use std::sync::Arc;

use super::{Fault, Inputs, Made, Making, Operator, Refusal};
use crate::Tensor;
use crate::kernel::each;
use crate::math;
use crate::run::Run;
use crate::tensor::Data;

#[derive(Clone, Copy, Debug)]
enum Function {
    Relu,
    LeakyRelu(f32),
    ThresholdedRelu(f32),
    Elu(f32),
    Celu(f32),
    Selu(f32, f32),
    Sigmoid,
    HardSigmoid(f32, f32),
    HardSwish,
    Tanh,
    Softplus,
    Softsign,
    Mish,
    Gelu,
    GeluTanh,
    Erf,
    Exp,
    Log,
    Sqrt,
    Reciprocal,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Swish(f32),
    Neg,
    Abs,
    Sign,
    Floor,
    Ceil,
    Round,
}

pub(super) fn make(name: &str, making: &Making<'_>) -> Option<Made> {
    let real = |name, default| making.attributes.real(name, default);
    let function = match name {
        "Relu" => Ok(Function::Relu),
        "LeakyRelu" => real("alpha", 0.01).map(Function::LeakyRelu),
        "ThresholdedRelu" => real("alpha", 1.0).map(Function::ThresholdedRelu),
        "Elu" => real("alpha", 1.0).map(Function::Elu),
        "Celu" => real("alpha", 1.0).map(Function::Celu),
        "Selu" => {
            real("alpha", 1.673_263_2).and_then(|alpha| Ok(Function::Selu(alpha, real("gamma", 1.050_701)?)))
        }
        "Sigmoid" => Ok(Function::Sigmoid),
        "HardSigmoid" => {
            real("alpha", 0.2).and_then(|alpha| Ok(Function::HardSigmoid(alpha, real("beta", 0.5)?)))
        }
        "HardSwish" => Ok(Function::HardSwish),
        "Tanh" => Ok(Function::Tanh),
        "Softplus" => Ok(Function::Softplus),
        "Softsign" => Ok(Function::Softsign),
        "Mish" => Ok(Function::Mish),
        "Gelu" => match making.attributes.text("approximate", "none") {
            Ok("none") => Ok(Function::Gelu),
            Ok("tanh") => Ok(Function::GeluTanh),
            Ok(other) => Err(format!("approximate = {other:?}: expected \"none\" or \"tanh\"")),
            Err(why) => Err(why),
        },
        "Erf" => Ok(Function::Erf),
        "Exp" => Ok(Function::Exp),
        "Log" => Ok(Function::Log),
        "Sqrt" => Ok(Function::Sqrt),
        "Reciprocal" => Ok(Function::Reciprocal),
        "Sin" => Ok(Function::Sin),
        "Cos" => Ok(Function::Cos),
        "Tan" => Ok(Function::Tan),
        "Asin" => Ok(Function::Asin),
        "Acos" => Ok(Function::Acos),
        "Atan" => Ok(Function::Atan),
        "Sinh" => Ok(Function::Sinh),
        "Cosh" => Ok(Function::Cosh),
        "Swish" => real("alpha", 1.0).map(Function::Swish),
        "Neg" => Ok(Function::Neg),
        "Abs" => Ok(Function::Abs),
        "Sign" => Ok(Function::Sign),
        "Floor" => Ok(Function::Floor),
        "Ceil" => Ok(Function::Ceil),
        "Round" => Ok(Function::Round),
        "Clip" => return Some(clip(making)),
        "Not" => return Some(Ok(Box::new(Not))),
        "IsNaN" => return Some(Ok(Box::new(Test { nan: true, positive: false, negative: false }))),
        "IsInf" => {
            let flag = |name| making.attributes.flag(name, true);
            let both = flag("detect_positive").and_then(|p| Ok((p, flag("detect_negative")?)));
            return Some(match both {
                Ok((positive, negative)) => Ok(Box::new(Test { nan: false, positive, negative })),
                Err(why) => Err(why.into()),
            });
        }
        _ => return None,
    };
    Some(function.map(|f| Box::new(f) as Box<dyn Operator>).map_err(Refusal::from))
}

impl Operator for Function {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let tensor = inputs.take(0)?;
        let shape = tensor.shape().to_vec();
        if let Some(values) = tensor.as_i64() {
            let f = match self {
                Self::Neg => |x: i64| x.wrapping_neg(),
                Self::Abs => |x: i64| x.wrapping_abs(),
                Self::Sign => |x: i64| x.signum(),
                Self::Relu => |x: i64| x.max(0),
                _ => return Err("input 0 holds whole numbers: expected real numbers".into()),
            };
            return Ok(vec![Tensor::whole(&shape, values.iter().map(|&x| f(x)).collect())?]);
        }
        let mut values = tensor.into_f32()?;
        self.apply(&mut values);
        Ok(vec![Tensor::new(&shape, values)?])
    }
}

impl Function {
    /// Each arm is a loop of its own, so that the simple ones vectorise.
    fn apply(self, values: &mut [f32]) {
        match self {
            // A NaN stays one.
            Self::Relu => each(values, |x| if x < 0.0 { 0.0 } else { x }),
            Self::LeakyRelu(alpha) => each(values, |x| if x < 0.0 { alpha * x } else { x }),
            Self::ThresholdedRelu(alpha) => each(values, |x| if x <= alpha { 0.0 } else { x }),
            Self::Elu(alpha) => each(values, |x| if x < 0.0 { alpha * x.exp_m1() } else { x }),
            Self::Celu(alpha) => {
                each(values, |x| if x < 0.0 { alpha * (x / alpha).exp_m1() } else { x });
            }
            Self::Selu(alpha, gamma) => {
                each(values, |x| if x <= 0.0 { gamma * alpha * x.exp_m1() } else { gamma * x });
            }
            Self::Sigmoid => each(values, math::sigmoid),
            Self::HardSigmoid(alpha, beta) => each(values, |x| (alpha * x + beta).clamp(0.0, 1.0)),
            Self::HardSwish => each(values, |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
            Self::Tanh => each(values, math::tanh),
            Self::Softplus => each(values, softplus),
            Self::Softsign => each(values, |x| x / (1.0 + x.abs())),
            Self::Mish => each(values, |x| x * math::tanh(softplus(x))),
            Self::Gelu => each(values, |x| {
                (0.5 * f64::from(x) * (1.0 + erf(f64::from(x) * std::f64::consts::FRAC_1_SQRT_2))) as f32
            }),
            Self::GeluTanh => each(values, |x| {
                let inner = (2.0 / std::f32::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
                0.5 * x * (1.0 + math::tanh(inner))
            }),
            Self::Erf => each(values, |x| erf(f64::from(x)) as f32),
            Self::Exp => each(values, math::exp),
            Self::Log => each(values, f32::ln),
            Self::Sqrt => each(values, f32::sqrt),
            Self::Reciprocal => each(values, f32::recip),
            Self::Sin => each(values, f32::sin),
            Self::Cos => each(values, f32::cos),
            Self::Tan => each(values, f32::tan),
            Self::Asin => each(values, f32::asin),
            Self::Acos => each(values, f32::acos),
            Self::Atan => each(values, f32::atan),
            Self::Sinh => each(values, f32::sinh),
            Self::Cosh => each(values, f32::cosh),
            Self::Swish(alpha) => each(values, |x| x * math::sigmoid(alpha * x)),
            Self::Neg => each(values, |x| -x),
            Self::Abs => each(values, f32::abs),
            Self::Sign => each(values, |x| if x == 0.0 || x.is_nan() { x } else { x.signum() }),
            Self::Floor => each(values, f32::floor),
            Self::Ceil => each(values, f32::ceil),
            Self::Round => each(values, f32::round_ties_even),
        }
    }
}

/// `ln(1 + e^x)` without overflow.
fn softplus(x: f32) -> f32 {
    x.max(0.0) + math::exp(-x.abs()).ln_1p()
}

/// The error function, by the series `2/sqrt(pi) e^(-x^2) sum 2^n x^(2n+1) / (2n+1)!!`, whose terms all
/// have one sign; correct to the last digits of an f32.
fn erf(x: f64) -> f64 {
    if !(x.abs() < 5.0) {
        return if x.is_nan() { x } else { x.signum() };
    }
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while term.abs() > 1e-12 * sum.abs() {
        n += 1.0;
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
    }
    2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp() * sum
}

/// Limits, from attributes (before version 11) or inputs.
#[derive(Clone, Copy, Debug)]
struct Clip {
    low: f32,
    high: f32,
}

fn clip(making: &Making<'_>) -> Made {
    let low = making.attributes.real("min", f32::NEG_INFINITY)?;
    let high = making.attributes.real("max", f32::INFINITY)?;
    Ok(Box::new(Clip { low, high }))
}

impl Operator for Clip {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let tensor = inputs.take(0)?;
        let shape = tensor.shape().to_vec();
        let (low, high) = (inputs.maybe(1), inputs.maybe(2));
        let one = |limit: Option<Tensor>| match limit {
            Some(limit) if limit.len() != 1 => {
                Err(format!("a limit has shape {:?}: expected one number", limit.shape()))
            }
            other => Ok(other),
        };
        let (low, high) = (one(low)?, one(high)?);
        match tensor.data() {
            Data::I64(values) => {
                let get = |t: &Option<Tensor>, default| {
                    t.as_ref().and_then(Tensor::as_i64).map_or(default, |values| values[0])
                };
                let (low, high) = (get(&low, i64::MIN), get(&high, i64::MAX));
                let clipped = values.iter().map(|&x| x.max(low).min(high)).collect();
                Ok(vec![Tensor::from_data(&shape, Data::I64(Arc::new(clipped)))?])
            }
            _ => {
                let get = |t: &Option<Tensor>, default| {
                    t.as_ref().and_then(Tensor::as_f32).map_or(default, |values| values[0])
                };
                let (low, high) = (get(&low, self.low), get(&high, self.high));
                let mut values = tensor.into_f32()?;
                // A NaN stays one, and the upper limit wins, as the specification says.
                each(&mut values, |x| {
                    let above = if x < low { low } else { x };
                    if above > high { high } else { above }
                });
                Ok(vec![Tensor::new(&shape, values)?])
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Not;

impl Operator for Not {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let tensor = inputs.take(0)?;
        let values = tensor.as_bool().ok_or("input 0: expected truth values")?;
        Ok(vec![Tensor::truth(tensor.shape(), values.iter().map(|x| !x).collect())?])
    }
}

/// Which of the numbers that are not finite.
#[derive(Clone, Copy, Debug)]
struct Test {
    nan: bool,
    positive: bool,
    negative: bool,
}

impl Operator for Test {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let tensor = inputs.real(0)?;
        let is = |x: &f32| {
            (self.nan && x.is_nan())
                || (self.positive && *x == f32::INFINITY)
                || (self.negative && *x == f32::NEG_INFINITY)
        };
        let values = tensor.as_f32().unwrap_or(&[]).iter().map(is).collect();
        Ok(vec![Tensor::truth(tensor.shape(), values)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_function_has_its_known_values() {
        // Abramowitz and Stegun, table 7.1.
        for (x, y) in [
            (0.0, 0.0),
            (0.1, 0.112_462_916),
            (0.5, 0.520_499_878),
            (1.0, 0.842_700_793),
            (2.0, 0.995_322_265),
            (3.0, 0.999_977_910),
            (6.0, 1.0),
        ] {
            // Nine digits are in the table.
            assert!((erf(x) - y).abs() < 1e-9, "{x}");
            assert_eq!(erf(-x), -erf(x));
        }
    }

    #[test]
    fn functions_have_the_values_of_their_definitions() {
        let at = |f: Function, x: f32| {
            let mut values = [x];
            f.apply(&mut values);
            values[0]
        };
        assert_eq!(at(Function::Relu, -1.0), 0.0);
        assert!(at(Function::Relu, f32::NAN).is_nan());
        assert_eq!(at(Function::HardSwish, 3.0), 3.0);
        assert_eq!(at(Function::HardSwish, -3.0), 0.0);
        assert_eq!(at(Function::HardSigmoid(0.2, 0.5), 1.0), 0.7);
        assert_eq!(at(Function::Round, 2.5), 2.0);
        assert_eq!(at(Function::Sign, -3.0), -1.0);
        assert_eq!(at(Function::Sign, 0.0), 0.0);
        // Known to all digits of an f32.
        assert!((at(Function::Gelu, 1.0) - 0.841_344_7).abs() < 1e-6);
        assert!((at(Function::GeluTanh, 1.0) - 0.841_192).abs() < 1e-6);
        assert!((at(Function::Softplus, 100.0) - 100.0).abs() < 1e-5);
        assert!((at(Function::Mish, 1.0) - 0.865_098_4).abs() < 1e-6);
        assert!((at(Function::Elu(1.0), -1.0) - (-0.632_120_56)).abs() < 1e-6);
    }
}
