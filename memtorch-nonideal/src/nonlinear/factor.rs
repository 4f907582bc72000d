//! A table as a sum of few products.

/// A matrix as `sum over k of left[k][row] right[k][column]`, as few terms as the tolerance allows.
#[derive(Clone, Debug, Default)]
pub(super) struct Factors {
    pub(super) left: Vec<Vec<f64>>,
    pub(super) right: Vec<Vec<f64>>,
    /// The largest error of an element.
    pub(super) error: f64,
}

/// Factors a matrix by singular values, with one-sided rotations (Hestenes, J. SIAM 6, 1958) of its rows: exact up to
/// rounding, and simple, for a few hundred rows.
pub(super) fn factor(rows: &[Vec<f64>], tolerance: f64) -> Factors {
    let n = rows.len();
    // Rows become orthogonal; `turns[i]` says how the i-th is made of the old ones.
    let mut turned: Vec<Vec<f64>> = rows.to_vec();
    let mut turns: Vec<Vec<f64>> =
        (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    /// More than enough: each sweep squares what is left.
    const SWEEPS: usize = 30;
    for _ in 0..SWEEPS {
        let mut largest = 0.0f64;
        for i in 0..n {
            for j in 0..i {
                let (a, b) = (dot(&turned[i], &turned[i]), dot(&turned[j], &turned[j]));
                let c = dot(&turned[i], &turned[j]);
                if c == 0.0 || c.abs() <= 1e-16 * (a * b).sqrt() {
                    continue;
                }
                largest = largest.max(c.abs() / (a * b).sqrt());
                let zeta = (b - a) / (2.0 * c);
                let t = zeta.signum() / (zeta.abs() + (1.0 + zeta * zeta).sqrt());
                let cosine = 1.0 / (1.0 + t * t).sqrt();
                let sine = cosine * t;
                for list in [&mut turned, &mut turns] {
                    let (front, back) = list.split_at_mut(i);
                    for (x, y) in back[0].iter_mut().zip(&mut front[j]) {
                        (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
                    }
                }
            }
        }
        if largest < 1e-15 {
            break;
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| dot(&turned[*b], &turned[*b]).total_cmp(&dot(&turned[*a], &turned[*a])));
    let mut factors = Factors::default();
    let mut rest: Vec<Vec<f64>> = rows.to_vec();
    let worst = |rest: &[Vec<f64>]| rest.iter().flatten().fold(0.0f64, |m, x| m.max(x.abs()));
    factors.error = worst(&rest);
    for k in order {
        if factors.error <= tolerance {
            break;
        }
        // The turns are orthogonal: their transpose leads back.
        let (left, right) = (turns[k].clone(), turned[k].clone());
        for (row, l) in rest.iter_mut().zip(&left) {
            row.iter_mut().zip(&right).for_each(|(x, r)| *x -= l * r);
        }
        factors.error = worst(&rest);
        factors.left.push(left);
        factors.right.push(right);
    }
    factors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_of_three_products_is_found_as_three() {
        let rows: Vec<Vec<f64>> = (0..20)
            .map(|i| {
                let x = f64::from(i) / 20.0;
                (0..33)
                    .map(f64::from)
                    .map(|y| (x + 1.0) * y + x.exp() * (0.1 * y).sin() + x * y * y)
                    .collect()
            })
            .collect();
        let found = factor(&rows, 1e-9);
        assert_eq!(found.left.len(), 3);
        assert!(found.error < 1e-9);
        for (i, row) in rows.iter().enumerate() {
            for (j, x) in row.iter().enumerate() {
                let sum: f64 = (0..3).map(|k| found.left[k][i] * found.right[k][j]).sum();
                assert!((sum - x).abs() <= 1e-9, "{i} {j}: {sum} {x}");
            }
        }
    }

    #[test]
    fn a_table_of_zeros_needs_nothing() {
        assert_eq!(factor(&vec![vec![0.0; 5]; 4], 1e-9).left.len(), 0);
    }
}
