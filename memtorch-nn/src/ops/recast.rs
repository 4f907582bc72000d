//! Other kinds of elements.

use super::{Fault, Inputs, Made, Making, Operator, Refusal};
use crate::Tensor;
use crate::run::Run;
use crate::tensor::Data;

/// To a type of the ONNX specification. Real numbers of any width stay f32; whole numbers wrap at their
/// width.
#[derive(Clone, Copy, Debug)]
enum To {
    Real,
    Whole(fn(i64) -> i64),
    Truth,
    /// As input 1.
    Like,
}

pub(super) fn make(name: &str, making: &Making<'_>) -> Option<Made> {
    let a = &making.attributes;
    match name {
        "Cast" => Some((|| {
            let to = a.whole_maybe("to")?.ok_or("attribute to is missing")?;
            a.ignore("saturate");
            let to = match to {
                1 | 10 | 11 | 16 => To::Real,
                2 => To::Whole(|x| i64::from(x as u8)),
                3 => To::Whole(|x| i64::from(x as i8)),
                4 => To::Whole(|x| i64::from(x as u16)),
                5 => To::Whole(|x| i64::from(x as i16)),
                6 => To::Whole(|x| i64::from(x as i32)),
                12 => To::Whole(|x| i64::from(x as u32)),
                7 | 13 => To::Whole(|x| x),
                9 => To::Truth,
                other => return Err(Refusal::Unsupported(format!("to element type {other}"))),
            };
            Ok(Box::new(to) as Box<dyn Operator>)
        })()),
        "CastLike" => {
            a.ignore("saturate");
            Some(Ok(Box::new(To::Like)))
        }
        _ => None,
    }
}

impl Operator for To {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let tensor = inputs.take(0)?;
        let to = match self {
            Self::Like => match inputs.take(1)?.data() {
                Data::F32(_) => Self::Real,
                Data::I64(_) => Self::Whole(|x| x),
                Data::Bool(_) => Self::Truth,
            },
            other => *other,
        };
        let shape = tensor.shape();
        Ok(vec![match (to, tensor.data()) {
            (Self::Real, Data::F32(_)) | (Self::Truth, Data::Bool(_)) => tensor,
            (Self::Real, Data::I64(v)) => Tensor::new(shape, v.iter().map(|&x| x as f32).collect())?,
            (Self::Real, Data::Bool(v)) => {
                Tensor::new(shape, v.iter().map(|&x| f32::from(u8::from(x))).collect())?
            }
            (Self::Whole(f), Data::F32(v)) => Tensor::whole(shape, v.iter().map(|&x| f(x as i64)).collect())?,
            (Self::Whole(f), Data::I64(v)) => Tensor::whole(shape, v.iter().map(|&x| f(x)).collect())?,
            (Self::Whole(_), Data::Bool(v)) => {
                Tensor::whole(shape, v.iter().map(|&x| i64::from(x)).collect())?
            }
            (Self::Truth, Data::F32(v)) => Tensor::truth(shape, v.iter().map(|&x| x != 0.0).collect())?,
            (Self::Truth, Data::I64(v)) => Tensor::truth(shape, v.iter().map(|&x| x != 0).collect())?,
            (Self::Like, _) => tensor,
        }])
    }
}
