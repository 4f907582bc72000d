//! Functions of two or more elements, with broadcasting.

use super::broadcast::{Broadcast, zip, zip_in_place};
use super::{Fault, Inputs, Made, Making, Operator};
use crate::Tensor;
use crate::run::Run;
use crate::tensor::Data;

#[derive(Clone, Copy, Debug)]
enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Min,
    Max,
    Mod { fmod: bool },
    PRelu,
}

#[derive(Clone, Copy, Debug)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug)]
enum Logic {
    And,
    Or,
    Xor,
}

#[derive(Clone, Copy, Debug)]
struct Where;

/// Sum or mean of any number of tensors.
#[derive(Clone, Copy, Debug)]
struct Sum {
    mean: bool,
}

pub(super) fn make(name: &str, making: &Making<'_>) -> Option<Made> {
    let made: Box<dyn Operator> = match name {
        "Add" => Box::new(Arithmetic::Add),
        "Sub" => Box::new(Arithmetic::Sub),
        "Mul" => Box::new(Arithmetic::Mul),
        "Div" => Box::new(Arithmetic::Div),
        "Pow" => Box::new(Arithmetic::Pow),
        "Min" => Box::new(Arithmetic::Min),
        "Max" => Box::new(Arithmetic::Max),
        "Mod" => match making.attributes.flag("fmod", false) {
            Ok(fmod) => Box::new(Arithmetic::Mod { fmod }),
            Err(why) => return Some(Err(why.into())),
        },
        "PRelu" => Box::new(Arithmetic::PRelu),
        "Sum" => Box::new(Sum { mean: false }),
        "Mean" => Box::new(Sum { mean: true }),
        "Equal" => Box::new(Comparison::Equal),
        "Less" => Box::new(Comparison::Less),
        "LessOrEqual" => Box::new(Comparison::LessOrEqual),
        "Greater" => Box::new(Comparison::Greater),
        "GreaterOrEqual" => Box::new(Comparison::GreaterOrEqual),
        "And" => Box::new(Logic::And),
        "Or" => Box::new(Logic::Or),
        "Xor" => Box::new(Logic::Xor),
        "Where" => Box::new(Where),
        _ => return None,
    };
    Some(Ok(made))
}

impl Operator for Arithmetic {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let mut result = inputs.take(0)?;
        // Min and Max take any number of tensors, the others two.
        let rest = inputs.rest();
        if rest.is_empty() && !matches!(self, Self::Min | Self::Max) {
            return Err("input 1 is missing".into());
        }
        for other in rest {
            result = self.pair(result, other)?;
        }
        Ok(vec![result])
    }
}

impl Arithmetic {
    fn pair(self, a: Tensor, b: Tensor) -> Result<Tensor, String> {
        match (a.data(), b.data()) {
            (Data::F32(_), Data::F32(_)) => self.real(a, b),
            (Data::F32(_), Data::I64(exponents)) if matches!(self, Self::Pow) => {
                let exponents = exponents.iter().map(|&x| x as f32).collect();
                let b = Tensor::new(b.shape(), exponents)?;
                self.real(a, b)
            }
            (Data::I64(x), Data::I64(y)) => self.whole((a.shape(), x), (b.shape(), y)),
            (x, y) => Err(format!("inputs hold {} and {}: expected two of one kind", x.kind(), y.kind())),
        }
    }

    fn real(self, a: Tensor, b: Tensor) -> Result<Tensor, String> {
        match self {
            Self::Add => real(a, b, |a, b| a + b),
            Self::Sub => real(a, b, |a, b| a - b),
            Self::Mul => real(a, b, |a, b| a * b),
            Self::Div => real(a, b, |a, b| a / b),
            Self::Pow if b.len() == 1 && b.as_f32().is_some_and(|b| b[0] == 2.0) => real(a, b, |a, _| a * a),
            Self::Pow => real(a, b, f32::powf),
            // A NaN in either operand is one in the result.
            Self::Min => real(a, b, |a, b| if a.is_nan() || a < b { a } else { b }),
            Self::Max => real(a, b, |a, b| if a.is_nan() || a > b { a } else { b }),
            Self::Mod { fmod: true } => real(a, b, |a, b| a % b),
            Self::Mod { fmod: false } => Err("Mod of real numbers: expected fmod = 1".to_owned()),
            Self::PRelu => real(a, b, |a, b| if a < 0.0 { a * b } else { a }),
        }
    }

    fn whole(self, a: (&[usize], &[i64]), b: (&[usize], &[i64])) -> Result<Tensor, String> {
        let divides = matches!(self, Self::Div | Self::Mod { .. });
        if divides && b.1.contains(&0) {
            return Err("division of whole numbers by 0".to_owned());
        }
        let (shape, values) = match self {
            Self::Add => zip(a, b, i64::wrapping_add)?,
            Self::Sub => zip(a, b, i64::wrapping_sub)?,
            Self::Mul => zip(a, b, i64::wrapping_mul)?,
            Self::Div => zip(a, b, i64::wrapping_div)?,
            Self::Pow => zip(a, b, |a: i64, b: i64| match u32::try_from(b) {
                Ok(b) => a.wrapping_pow(b),
                Err(_) => (a as f64).powf(b as f64) as i64,
            })?,
            Self::Min => zip(a, b, i64::min)?,
            Self::Max => zip(a, b, i64::max)?,
            Self::Mod { fmod: true } => zip(a, b, i64::wrapping_rem)?,
            // The sign is that of the divisor.
            Self::Mod { fmod: false } => zip(a, b, |a: i64, b: i64| {
                let r = a.wrapping_rem(b);
                if r != 0 && (r < 0) != (b < 0) { r + b } else { r }
            })?,
            Self::PRelu => zip(a, b, |a: i64, b: i64| if a < 0 { a.wrapping_mul(b) } else { a })?,
        };
        Tensor::whole(&shape, values)
    }
}

/// Two tensors of real numbers; in place where one of them has the shape of the result.
fn real(a: Tensor, b: Tensor, f: impl Fn(f32, f32) -> f32) -> Result<Tensor, String> {
    let broadcast = Broadcast::new([a.shape(), b.shape()])?;
    let shape = broadcast.shape;
    if a.shape() == shape {
        let mut values = a.into_f32()?;
        zip_in_place((&shape, &mut values), (b.shape(), b.as_f32().unwrap_or(&[])), f)?;
        return Tensor::new(&shape, values);
    }
    if b.shape() == shape {
        let mut values = b.into_f32()?;
        zip_in_place((&shape, &mut values), (a.shape(), a.as_f32().unwrap_or(&[])), |b, a| f(a, b))?;
        return Tensor::new(&shape, values);
    }
    let (shape, values) =
        zip((a.shape(), a.as_f32().unwrap_or(&[])), (b.shape(), b.as_f32().unwrap_or(&[])), f)?;
    Tensor::new(&shape, values)
}

impl Operator for Sum {
    fn run(&self, inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let list = inputs.rest();
        let n = list.len();
        let sum = list.into_iter().map(Ok).reduce(|a, b| Arithmetic::Add.pair(a?, b?));
        let sum = sum.ok_or("input 0 is missing")??;
        if !self.mean {
            return Ok(vec![sum]);
        }
        let n = Tensor::new(&[], vec![n as f32])?;
        Ok(vec![Arithmetic::Div.pair(sum, n)?])
    }
}

impl Operator for Comparison {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        fn compare<T: Copy + PartialOrd>(
            how: Comparison,
            a: (&[usize], &[T]),
            b: (&[usize], &[T]),
        ) -> Result<(Vec<usize>, Vec<bool>), String> {
            match how {
                Comparison::Equal => zip(a, b, |a, b| a == b),
                Comparison::Less => zip(a, b, |a, b| a < b),
                Comparison::LessOrEqual => zip(a, b, |a, b| a <= b),
                Comparison::Greater => zip(a, b, |a, b| a > b),
                Comparison::GreaterOrEqual => zip(a, b, |a, b| a >= b),
            }
        }
        let (a, b) = (inputs.take(0)?, inputs.take(1)?);
        let (shape, values) = match (a.data(), b.data()) {
            (Data::F32(x), Data::F32(y)) => compare(*self, (a.shape(), x), (b.shape(), y))?,
            (Data::I64(x), Data::I64(y)) => compare(*self, (a.shape(), x), (b.shape(), y))?,
            (Data::Bool(x), Data::Bool(y)) => compare(*self, (a.shape(), x), (b.shape(), y))?,
            (x, y) => {
                return Err(
                    format!("inputs hold {} and {}: expected two of one kind", x.kind(), y.kind()).into()
                );
            }
        };
        Ok(vec![Tensor::truth(&shape, values)?])
    }
}

impl Operator for Logic {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let (a, b) = (inputs.take(0)?, inputs.take(1)?);
        let (Some(x), Some(y)) = (a.as_bool(), b.as_bool()) else {
            return Err("expected truth values".into());
        };
        let (x, y) = ((a.shape(), x), (b.shape(), y));
        let (shape, values) = match self {
            Self::And => zip(x, y, |a, b| a & b)?,
            Self::Or => zip(x, y, |a, b| a | b)?,
            Self::Xor => zip(x, y, |a, b| a ^ b)?,
        };
        Ok(vec![Tensor::truth(&shape, values)?])
    }
}

impl Operator for Where {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        fn choose<T: Copy + Default>(
            condition: &Tensor,
            a: (&[usize], &[T]),
            b: (&[usize], &[T]),
        ) -> Result<(Vec<usize>, Vec<T>), String> {
            let truth = condition.as_bool().ok_or("the condition: expected truth values")?;
            let broadcast = Broadcast::new([condition.shape(), a.0, b.0])?;
            let mut result = crate::tensor::filled(&broadcast.shape, T::default())?;
            broadcast.stretches(|s| {
                for i in 0..s.length {
                    let at = |k: usize| s.from[k] + i * s.step[k];
                    result[s.start + i] = if truth[at(0)] { a.1[at(1)] } else { b.1[at(2)] };
                }
            });
            Ok((broadcast.shape, result))
        }
        let (condition, a, b) = (inputs.take(0)?, inputs.take(1)?, inputs.take(2)?);
        Ok(vec![match (a.data(), b.data()) {
            (Data::F32(x), Data::F32(y)) => {
                let (shape, values) = choose(&condition, (a.shape(), x), (b.shape(), y))?;
                Tensor::new(&shape, values)?
            }
            (Data::I64(x), Data::I64(y)) => {
                let (shape, values) = choose(&condition, (a.shape(), x), (b.shape(), y))?;
                Tensor::whole(&shape, values)?
            }
            (Data::Bool(x), Data::Bool(y)) => {
                let (shape, values) = choose(&condition, (a.shape(), x), (b.shape(), y))?;
                Tensor::truth(&shape, values)?
            }
            (x, y) => {
                return Err(
                    format!("inputs hold {} and {}: expected two of one kind", x.kind(), y.kind()).into()
                );
            }
        }])
    }
}
