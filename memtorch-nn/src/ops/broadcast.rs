use crate::kernel::wide;

/// How tensors of several shapes lie upon each other: ONNX's (NumPy's) broadcasting.
pub(super) struct Broadcast<const N: usize> {
    /// The shape of the result.
    pub(super) shape: Vec<usize>,
    /// Axes that remain when those that can be joined are joined: length, and the distance of neighbours
    /// in each operand.
    dims: Vec<(usize, [usize; N])>,
}

/// A stretch of the result: the innermost axis at one place of the others.
pub(super) struct Stretch<const N: usize> {
    /// Its first element in the result.
    pub(super) start: usize,
    /// Its first element in each operand.
    pub(super) from: [usize; N],
    /// Elements.
    pub(super) length: usize,
    /// Distance of neighbours in each operand: 0 or 1.
    pub(super) step: [usize; N],
}

impl<const N: usize> Broadcast<N> {
    pub(super) fn new(shapes: [&[usize]; N]) -> Result<Self, String> {
        let rank = shapes.iter().map(|shape| shape.len()).max().unwrap_or(0);
        let padded = |shape: &[usize], i: usize| (i + shape.len()).checked_sub(rank).map_or(1, |j| shape[j]);
        let mut shape = vec![1; rank];
        for (i, n) in shape.iter_mut().enumerate() {
            for operand in shapes {
                let m = padded(operand, i);
                if m != 1 && *n != 1 && m != *n {
                    return Err(format!("shapes {shapes:?} do not broadcast: axis {i} has {n} and {m}"));
                }
                if m != 1 {
                    *n = m;
                }
            }
        }
        crate::tensor::count(&shape)?;
        let mut strides = vec![[0; N]; rank];
        for (k, operand) in shapes.into_iter().enumerate() {
            let mut stride = 1;
            for i in (0..rank).rev() {
                let m = padded(operand, i);
                strides[i][k] = if m == 1 { 0 } else { stride };
                stride *= m;
            }
        }
        let mut dims: Vec<(usize, [usize; N])> = Vec::new();
        for (&length, inner) in shape.iter().zip(strides).filter(|(length, _)| **length != 1) {
            match dims.last_mut() {
                Some((before, outer)) if (0..N).all(|k| outer[k] == inner[k] * length) => {
                    *before *= length;
                    *outer = inner;
                }
                _ => dims.push((length, inner)),
            }
        }
        Ok(Self { shape, dims })
    }

    /// Calls `visit` for each stretch in the order of the result.
    pub(super) fn stretches(&self, mut visit: impl FnMut(Stretch<N>)) {
        if self.shape.contains(&0) {
            return;
        }
        let mut dims = self.dims.clone();
        let (length, step) = match dims.last() {
            // The innermost axis of a row-major operand has distance 0 or 1; after joining, it still has.
            Some(&last) if last.1.iter().all(|&s| s <= 1) => {
                dims.pop();
                last
            }
            _ => (1, [0; N]),
        };
        let mut index = vec![0; dims.len()];
        let (mut start, mut from) = (0, [0; N]);
        loop {
            visit(Stretch { start, from, length, step });
            start += length;
            let mut axis = dims.len();
            loop {
                if axis == 0 {
                    return;
                }
                axis -= 1;
                let (n, strides) = dims[axis];
                index[axis] += 1;
                for k in 0..N {
                    from[k] += strides[k];
                }
                if index[axis] < n {
                    break;
                }
                for k in 0..N {
                    from[k] -= strides[k] * n;
                }
                index[axis] = 0;
            }
        }
    }
}

/// Applies a function to two broadcast operands.
pub(super) fn zip<A: Copy, B: Copy, C: Copy + Default>(
    (shape_a, a): (&[usize], &[A]),
    (shape_b, b): (&[usize], &[B]),
    f: impl Fn(A, B) -> C,
) -> Result<(Vec<usize>, Vec<C>), String> {
    let broadcast = Broadcast::new([shape_a, shape_b])?;
    let mut result = crate::tensor::filled(&broadcast.shape, C::default())?;
    broadcast.stretches(|s| {
        let out = &mut result[s.start..s.start + s.length];
        match s.step {
            [1, 1] => {
                let (a, b) = (&a[s.from[0]..][..s.length], &b[s.from[1]..][..s.length]);
                out.iter_mut().zip(a.iter().zip(b)).for_each(|(y, (&a, &b))| *y = f(a, b));
            }
            [1, 0] => {
                let (a, b) = (&a[s.from[0]..][..s.length], b[s.from[1]]);
                out.iter_mut().zip(a).for_each(|(y, &a)| *y = f(a, b));
            }
            [0, 1] => {
                let (a, b) = (a[s.from[0]], &b[s.from[1]..][..s.length]);
                out.iter_mut().zip(b).for_each(|(y, &b)| *y = f(a, b));
            }
            _ => out.fill(f(a[s.from[0]], b[s.from[1]])),
        }
    });
    Ok((broadcast.shape, result))
}

/// Applies a function to an operand in place, with another that broadcasts to its shape.
pub(super) fn zip_in_place<A: Copy, B: Copy>(
    (shape_a, a): (&[usize], &mut [A]),
    (shape_b, b): (&[usize], &[B]),
    f: impl Fn(A, B) -> A,
) -> Result<(), String> {
    let broadcast = Broadcast::new([shape_a, shape_b])?;
    debug_assert_eq!(broadcast.shape, shape_a);
    broadcast.stretches(|s| {
        let out = &mut a[s.start..s.start + s.length];
        if s.step[1] == 1 {
            let b = &b[s.from[1]..][..s.length];
            wide(|| out.iter_mut().zip(b).for_each(|(y, &b)| *y = f(*y, b)));
        } else {
            let b = b[s.from[1]];
            wide(|| out.iter_mut().for_each(|y| *y = f(*y, b)));
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value of element `index` of the result in an operand, by the rule itself.
    fn at(shape: &[usize], result: &[usize], mut index: usize) -> usize {
        let (mut offset, mut stride) = (0, 1);
        for i in (0..result.len()).rev() {
            let coordinate = index % result[i];
            index /= result[i];
            if let Some(j) = (i + shape.len()).checked_sub(result.len()) {
                if shape[j] != 1 {
                    offset += coordinate * stride;
                }
                stride *= shape[j];
            }
        }
        offset
    }

    #[test]
    fn every_element_comes_from_where_the_rule_says() {
        let cases: [(&[usize], &[usize]); 10] = [
            (&[], &[]),
            (&[3], &[]),
            (&[2, 3, 4], &[3, 1]),
            (&[2, 3, 4, 5], &[3, 1, 1]),
            (&[2, 1, 4], &[3, 1]),
            (&[1, 3], &[4, 3]),
            (&[4, 1], &[1, 5]),
            (&[2, 1, 2, 1], &[2, 3, 1, 4]),
            (&[0, 3], &[3]),
            (&[7, 1, 1], &[7, 1, 1]),
        ];
        for (a, b) in cases {
            for (a, b) in [(a, b), (b, a)] {
                let number = |shape: &[usize], k: usize| {
                    (0..shape.iter().product()).map(|i: usize| i * 2 + k).collect::<Vec<_>>()
                };
                let (va, vb) = (number(a, 0), number(b, 1));
                let (shape, result) = zip((a, &va), (b, &vb), |a, b| a * 1000 + b).unwrap();
                for (i, &y) in result.iter().enumerate() {
                    assert_eq!(y, va[at(a, &shape, i)] * 1000 + vb[at(b, &shape, i)], "{a:?} {b:?} {i}");
                }
                if shape == a {
                    let mut in_place = va.clone();
                    zip_in_place((a, &mut in_place), (b, &vb), |a, b| a * 1000 + b).unwrap();
                    assert_eq!(in_place, result);
                }
            }
        }
        assert!(Broadcast::new([&[2, 3], &[2]]).is_err());
        assert!(Broadcast::new([&[1 << 20, 1], &[1, 1 << 20]]).is_err());
    }
}
