//! Where the windows of a convolution or pooling lie.

use super::Making;
use crate::attributes::Attributes;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AutoPad {
    No,
    Valid,
    Upper,
    Lower,
}

/// Elements that a kernel may have: for each, the windows that it is inside of are kept.
const MOST_TAPS: usize = 1 << 20;

/// The attributes that convolutions and poolings share.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// Sizes of the kernel, where the node states them.
    pub(crate) kernel: Option<Vec<usize>>,
    strides: Option<Vec<usize>>,
    dilations: Option<Vec<usize>>,
    pads: Option<Vec<usize>>,
    auto_pad: AutoPad,
    /// Whether a last window that starts in the input may end outside.
    pub(crate) ceil: bool,
}

/// Windows over an image of one to three axes, as three with leading ones: depth, height, width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Windows {
    /// Axes that there really are.
    pub(crate) rank: usize,
    pub(crate) input: [usize; 3],
    pub(crate) kernel: [usize; 3],
    pub(crate) stride: [usize; 3],
    pub(crate) dilation: [usize; 3],
    pub(crate) begin: [usize; 3],
    pub(crate) end: [usize; 3],
    pub(crate) output: [usize; 3],
}

impl Window {
    pub(crate) fn new(making: &Making<'_>) -> Result<Self, String> {
        Self::from_attributes(&making.attributes)
    }

    pub(crate) fn from_attributes(attributes: &Attributes<'_>) -> Result<Self, String> {
        let auto_pad = match attributes.text("auto_pad", "NOTSET")? {
            "NOTSET" | "" => AutoPad::No,
            "VALID" => AutoPad::Valid,
            "SAME_UPPER" => AutoPad::Upper,
            "SAME_LOWER" => AutoPad::Lower,
            other => {
                return Err(format!(
                    "auto_pad = {other:?}: expected NOTSET, VALID, SAME_UPPER or SAME_LOWER"
                ));
            }
        };
        Ok(Self {
            kernel: attributes.sizes("kernel_shape", 1)?,
            strides: attributes.sizes("strides", 1)?,
            dilations: attributes.sizes("dilations", 1)?,
            pads: attributes.sizes("pads", 0)?,
            auto_pad,
            ceil: attributes.flag("ceil_mode", false)?,
        })
    }

    /// The windows over an image of these sizes.
    ///
    /// # Errors
    /// Lists of the wrong length, more than three axes, a kernel larger than the padded image.
    pub(crate) fn over(&self, image: &[usize], kernel: &[usize]) -> Result<Windows, String> {
        let rank = image.len();
        if !(1..=3).contains(&rank) {
            return Err(format!("an image with {rank} axes: expected 1 to 3"));
        }
        let fits = |what: &str, list: &Option<Vec<usize>>, n: usize| match list {
            Some(list) if list.len() != n => Err(format!("{what} = {list:?}: expected {n} numbers")),
            _ => Ok(()),
        };
        fits("kernel_shape", &Some(kernel.to_vec()), rank)?;
        let taps = kernel.iter().try_fold(1usize, |taps, &size| taps.checked_mul(size));
        if !taps.is_some_and(|taps| (1..=MOST_TAPS).contains(&taps)) {
            return Err(format!("a kernel of {kernel:?}: expected 1 to {MOST_TAPS} elements"));
        }
        fits("strides", &self.strides, rank)?;
        fits("dilations", &self.dilations, rank)?;
        fits("pads", &self.pads, 2 * rank)?;
        let mut windows = Windows::unit(rank);
        for i in 0..rank {
            let at = 3 - rank + i;
            let of = |list: &Option<Vec<usize>>, i: usize, default| list.as_ref().map_or(default, |l| l[i]);
            let (stride, dilation) = (of(&self.strides, i, 1), of(&self.dilations, i, 1));
            let (size, kernel) = (image[i], kernel[i]);
            let too_large = || format!("a kernel of {kernel} with dilation {dilation} is too large");
            let extent =
                (kernel - 1).checked_mul(dilation).and_then(|n| n.checked_add(1)).ok_or_else(too_large)?;
            let (begin, end) = match self.auto_pad {
                AutoPad::No => (of(&self.pads, i, 0), of(&self.pads, rank + i, 0)),
                AutoPad::Valid => (0, 0),
                same => {
                    let needed = (size.div_ceil(stride).max(1) - 1) * stride + extent;
                    let total = needed.saturating_sub(size);
                    if same == AutoPad::Upper {
                        (total / 2, total - total / 2)
                    } else {
                        (total - total / 2, total / 2)
                    }
                }
            };
            let padded = size + begin + end;
            let Some(room) = padded.checked_sub(extent) else {
                return Err(format!(
                    "a kernel of {kernel} with dilation {dilation} covers {extent}: expected at most {padded}, the padded image"
                ));
            };
            let mut output = room / stride + 1;
            // One more window, if it starts in the image or the padding before it.
            if self.ceil && room % stride != 0 && output * stride < size + begin {
                output += 1;
            }
            windows.input[at] = size;
            windows.kernel[at] = kernel;
            windows.stride[at] = stride;
            windows.dilation[at] = dilation;
            windows.begin[at] = begin;
            windows.end[at] = end;
            windows.output[at] = output;
        }
        Ok(windows)
    }
}

impl Windows {
    /// One window of one element on an image of one.
    pub(crate) fn unit(rank: usize) -> Self {
        Self {
            rank,
            input: [1; 3],
            kernel: [1; 3],
            stride: [1; 3],
            dilation: [1; 3],
            begin: [0; 3],
            end: [0; 3],
            output: [1; 3],
        }
    }

    /// The sizes of the result along the axes that there really are.
    pub(crate) fn output_shape(&self) -> &[usize] {
        &self.output[3 - self.rank..]
    }

    /// Along an axis, the windows whose element `tap` of the kernel lies in the image: a range of windows,
    /// and where the first of them finds it.
    pub(crate) fn inside(&self, axis: usize, tap: usize) -> (std::ops::Range<usize>, usize) {
        let (stride, begin) = (self.stride[axis], self.begin[axis]);
        let shift = tap * self.dilation[axis];
        let first = begin.saturating_sub(shift).div_ceil(stride);
        // The window w finds it at w stride + shift - begin, which must be below the size.
        let last = match (self.input[axis] + begin).checked_sub(shift) {
            Some(n) if n > 0 => ((n - 1) / stride + 1).min(self.output[axis]),
            _ => 0,
        };
        if first < last { (first..last, first * stride + shift - begin) } else { (0..0, 0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Attribute;

    fn window(list: &[(&str, Attribute)]) -> Window {
        let list: Vec<(String, Attribute)> = list.iter().map(|(n, a)| ((*n).to_owned(), a.clone())).collect();
        Window::from_attributes(&Attributes::new(&list)).unwrap()
    }

    #[test]
    fn same_padding_puts_the_odd_one_where_it_says() {
        let upper = window(&[("auto_pad", Attribute::Text("SAME_UPPER".to_owned()))]);
        let lower = window(&[("auto_pad", Attribute::Text("SAME_LOWER".to_owned()))]);
        let (u, l) = (upper.over(&[5], &[4]).unwrap(), lower.over(&[5], &[4]).unwrap());
        assert_eq!((u.begin[2], u.end[2], u.output[2]), (1, 2, 5));
        assert_eq!((l.begin[2], l.end[2], l.output[2]), (2, 1, 5));
    }

    #[test]
    fn a_last_window_must_start_before_the_padding_after_the_image() {
        // torch: MaxPool1d(1, stride=2, ceil_mode=True) of 2 elements gives 1 window, not 2; of 3 gives 2.
        let ceil = window(&[("strides", Attribute::Wholes(vec![2])), ("ceil_mode", Attribute::Whole(1))]);
        assert_eq!(ceil.over(&[2], &[1]).unwrap().output_shape(), [1]);
        assert_eq!(ceil.over(&[3], &[1]).unwrap().output_shape(), [2]);
        assert_eq!(ceil.over(&[6], &[3]).unwrap().output_shape(), [3]);
    }

    #[test]
    fn inside_agrees_with_a_search() {
        for (size, kernel, stride, dilation, begin, end) in [
            (7, 3, 2, 1, 1, 1),
            (5, 3, 1, 3, 4, 2),
            (9, 2, 3, 2, 0, 5),
            (1, 5, 2, 1, 2, 2),
            (4, 1, 5, 1, 3, 7),
        ] {
            let w = window(&[
                ("strides", Attribute::Wholes(vec![stride])),
                ("dilations", Attribute::Wholes(vec![dilation])),
                ("pads", Attribute::Wholes(vec![begin, end])),
            ]);
            let w = w.over(&[size], &[kernel]).unwrap();
            for tap in 0..kernel {
                let at = |o: usize| o as i64 * stride + tap as i64 * dilation - begin;
                let expected: Vec<usize> =
                    (0..w.output[2]).filter(|&o| (0..size as i64).contains(&at(o))).collect();
                let (range, from) = w.inside(2, tap);
                assert_eq!(range.clone().collect::<Vec<_>>(), expected);
                if let Some(&first) = expected.first() {
                    assert_eq!(from as i64, at(first));
                }
            }
        }
    }
}
