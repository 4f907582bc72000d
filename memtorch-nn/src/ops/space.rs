//! Blocks of an image as channels, and channels as blocks.

use super::{Fault, Inputs, Made, Making, Operator, contiguous, strided};
use crate::Tensor;
use crate::run::Run;

#[derive(Clone, Copy, Debug)]
enum Space {
    /// Channels are ordered block row, block column, channel (or, `channel_first`, channel, block row,
    /// block column).
    FromDepth {
        block: usize,
        channel_first: bool,
    },
    ToDepth {
        block: usize,
    },
}

pub(super) fn make(name: &str, making: &Making<'_>) -> Option<Made> {
    if !["DepthToSpace", "SpaceToDepth"].contains(&name) {
        return None;
    }
    let a = &making.attributes;
    Some((|| {
        let block = a.whole("blocksize", 0)?;
        let block = usize::try_from(block).ok().filter(|&n| n > 0 && n <= u32::MAX as usize);
        let block = block.ok_or_else(|| "blocksize: expected at least 1".to_owned())?;
        if name == "SpaceToDepth" {
            return Ok(Box::new(Space::ToDepth { block }) as Box<dyn Operator>);
        }
        let channel_first = match a.text("mode", "DCR")? {
            "DCR" => false,
            "CRD" => true,
            other => return Err(format!("mode = {other:?}: expected DCR or CRD").into()),
        };
        Ok(Box::new(Space::FromDepth { block, channel_first }) as Box<dyn Operator>)
    })())
}

impl Operator for Space {
    fn run(&self, mut inputs: Inputs, _run: &Run<'_>) -> Result<Vec<Tensor>, Fault> {
        let tensor = inputs.take(0)?;
        let &[n, c, h, w] = tensor.shape() else {
            return Err(
                format!("shape {:?}: expected batch, channels, height and width", tensor.shape()).into()
            );
        };
        let wrong = |b: usize| format!("shape {:?}: expected whole blocks of {b}", tensor.shape());
        // The same elements with blocks as axes of their own, in another order of the axes.
        let (split, order, shape) = match *self {
            Self::FromDepth { block: b, channel_first } => {
                if b.checked_mul(b).is_none_or(|area| c % area != 0) {
                    return Err(wrong(b).into());
                }
                let d = c / (b * b);
                let split = if channel_first { [n, d, b, b, h, w] } else { [n, b, b, d, h, w] };
                let order = if channel_first { [0, 1, 4, 2, 5, 3] } else { [0, 3, 4, 1, 5, 2] };
                (split, order, [n, d, h * b, w * b])
            }
            Self::ToDepth { block: b } => {
                if h % b != 0 || w % b != 0 {
                    return Err(wrong(b).into());
                }
                ([n, c, h / b, b, w / b, b], [0, 3, 5, 1, 2, 4], [n, c * b * b, h / b, w / b])
            }
        };
        let strides = contiguous(&split);
        let moved = strided(&tensor, &order.map(|i| split[i]), &order.map(|i| strides[i]), 0)?;
        Ok(vec![moved.reshaped(&shape)?])
    }
}
