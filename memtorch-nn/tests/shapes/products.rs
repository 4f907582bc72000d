//! Products with a constant matrix.

use memtorch_nn::{Attribute, NodeDescription, Tensor};
use memtorch_utils::{Stream, StreamRng};

use crate::{below, compare, random, real, run};

/// `a b` as numpy's `matmul` defines it: vectors, matrices, and stacks of matrices whose leading axes stretch.
fn product(a: &Tensor, b: &Tensor) -> (Vec<usize>, Vec<f64>) {
    let (mut left, mut right) = (a.shape().to_vec(), b.shape().to_vec());
    let vectors = [left.len() == 1, right.len() == 1];
    if vectors[0] {
        left.insert(0, 1);
    }
    if vectors[1] {
        right.push(1);
    }
    let (m, k, n) = (left[left.len() - 2], left[left.len() - 1], right[right.len() - 1]);
    let rank = left.len().max(right.len()) - 2;
    let stack =
        |shape: &[usize]| [vec![1; rank + 2 - shape.len()], shape[..shape.len() - 2].to_vec()].concat();
    let (outer_left, outer_right) = (stack(&left), stack(&right));
    let outer: Vec<usize> = outer_left.iter().zip(&outer_right).map(|(a, b)| *a.max(b)).collect();
    let (a, b) = (real(a), real(b));
    let mut y = Vec::new();
    for index in 0..outer.iter().product() {
        let at = crate::coordinates(index, &outer);
        let matrix = |shape: &[usize]| {
            at.iter().zip(shape).fold(0, |flat, (i, n)| flat * n + if *n == 1 { 0 } else { *i })
        };
        let (a, b) = (&a[matrix(&outer_left) * m * k..], &b[matrix(&outer_right) * k * n..]);
        for i in 0..m {
            for j in 0..n {
                y.push((0..k).map(|l| a[i * k + l] * b[l * n + j]).sum());
            }
        }
    }
    let mut shape = [outer, vec![m, n]].concat();
    if vectors[1] {
        shape.pop();
    }
    if vectors[0] {
        shape.remove(shape.len() - if vectors[1] { 1 } else { 2 });
    }
    (shape, y)
}

fn sizes(rng: &mut StreamRng, most: usize) -> Vec<usize> {
    (0..below(rng, most + 1)).map(|_| 1 + below(rng, 4)).collect()
}

#[test]
fn matmul_takes_weights_on_either_side_and_inputs_of_any_leading_shape() {
    let mut without_layer = 0;
    for round in 0..300 {
        let mut rng = Stream::root(5, round).at([0, 0, 0]);
        let [m, k, n] = [0; 3].map(|_| 1 + below(&mut rng, 20));
        let outer = sizes(&mut rng, 3);
        // A vector, a matrix, a matrix under axes of length 1, or a stack of matrices.
        let kind = below(&mut rng, 4);
        let stack = match kind {
            2 => vec![1; 1 + below(&mut rng, 4)],
            3 => outer.clone(),
            _ => Vec::new(),
        };
        let left = below(&mut rng, 2) == 0;
        let line = outer.is_empty() && below(&mut rng, 2) == 0;
        let (weights, input) = match (left, kind == 0) {
            (true, true) => (vec![k], [k, n]),
            (true, false) => ([&stack[..], &[m, k]].concat(), [k, n]),
            (false, true) => (vec![k], [m, k]),
            (false, false) => ([&stack[..], &[k, n]].concat(), [m, k]),
        };
        let input = if line { vec![k] } else { [&outer[..], &input].concat() };
        let (x, w) = (random(&mut rng, &input), random(&mut rng, &weights));
        let ((shape, expected), order) =
            if left { (product(&w, &x), ["w", "x"]) } else { (product(&x, &w), ["x", "w"]) };
        let ran = run(NodeDescription::new("MatMul", &order, &["y"]), &["y"], &x, &[("w", &w)]);
        // Several matrices, each for its own part of the input, are no layer.
        let stacked = kind == 3 && stack.iter().any(|n| *n > 1);
        assert_eq!(ran.layers, usize::from(!stacked), "{order:?} {weights:?} {input:?}");
        without_layer += usize::from(stacked);
        compare(&ran, 0, &shape, &expected, &(order, weights, input));
    }
    assert!((20..100).contains(&without_layer), "{without_layer}");
}

#[test]
fn gemm_transposes_scales_and_adds() {
    for round in 0..200 {
        let mut rng = Stream::root(6, round).at([0, 0, 0]);
        let [m, k, n] = [0; 3].map(|_| 1 + below(&mut rng, 20));
        let [turn_a, turn_b, has_c] = [0; 3].map(|_| below(&mut rng, 2) == 1);
        let [alpha, beta] = [0; 2].map(|_| (4.0 * rng.uniform() - 2.0) as f32);
        let x = random(&mut rng, &if turn_a { [k, m] } else { [m, k] });
        let w = random(&mut rng, &if turn_b { [n, k] } else { [k, n] });
        let c_shape = match below(&mut rng, 5) {
            0 => vec![],
            1 => vec![n],
            2 => vec![1, n],
            3 => vec![m, 1],
            _ => vec![m, n],
        };
        let c = random(&mut rng, &c_shape);
        let (a, b, added) = (real(&x), real(&w), real(&c));
        let mut expected = Vec::new();
        for i in 0..m {
            for j in 0..n {
                let a = |l: usize| if turn_a { a[l * m + i] } else { a[i * k + l] };
                let b = |l: usize| if turn_b { b[j * k + l] } else { b[l * n + j] };
                let sum: f64 = (0..k).map(|l| a(l) * b(l)).sum();
                let c = match c_shape[..] {
                    [] => added[0],
                    [_] | [1, _] if c_shape.last() == Some(&n) => added[j],
                    [_, 1] => added[i],
                    _ => added[i * n + j],
                };
                expected.push(f64::from(alpha) * sum + if has_c { f64::from(beta) * c } else { 0.0 });
            }
        }
        let inputs = if has_c { vec!["x", "w", "c"] } else { vec!["x", "w"] };
        let node = NodeDescription::new("Gemm", &inputs, &["y"])
            .attribute("alpha", Attribute::Real(alpha))
            .attribute("beta", Attribute::Real(beta))
            .attribute("transA", Attribute::Whole(i64::from(turn_a)))
            .attribute("transB", Attribute::Whole(i64::from(turn_b)));
        let ran = run(node, &["y"], &x, &[("w", &w), ("c", &c)]);
        assert_eq!(ran.layers, 1);
        compare(&ran, 0, &[m, n], &expected, &(m, k, n, turn_a, turn_b, c_shape));
    }
}

#[test]
fn einsum_with_one_constant_matrix_is_a_layer_in_every_order_of_its_letters() {
    let mut without_layer = 0;
    for round in 0..200 {
        let mut rng = Stream::root(8, round).at([0, 0, 0]);
        // Letters of the input only, summed over, of the weights only; sometimes one that all three have.
        let counts = [
            below(&mut rng, 3),
            1 + below(&mut rng, 2),
            below(&mut rng, 3),
            usize::from(below(&mut rng, 5) == 0),
        ];
        let mut letters = 'a'..='z';
        let [free, summed, columns, shared] = counts.map(|n| letters.by_ref().take(n).collect::<Vec<char>>());
        let all = [&free[..], &summed, &columns, &shared].concat();
        let sizes: Vec<usize> = all.iter().map(|_| 1 + below(&mut rng, 5)).collect();
        let mut mixed = |lists: &[&[char]]| {
            let mut list = lists.concat();
            (1..list.len()).for_each(|i| list.swap(i, below(&mut rng, i + 1)));
            list
        };
        let x_term = mixed(&[&free, &summed, &shared]);
        let w_term = mixed(&[&summed, &columns, &shared]);
        let y_term = mixed(&[&free, &columns, &shared]);
        let size = |c: char| sizes[all.iter().position(|d| *d == c).unwrap()];
        let shape = |term: &[char]| term.iter().map(|c| size(*c)).collect::<Vec<usize>>();
        let (x, w) = (random(&mut rng, &shape(&x_term)), random(&mut rng, &shape(&w_term)));
        let mut expected = vec![0.0; shape(&y_term).iter().product()];
        let (xv, wv) = (real(&x), real(&w));
        for index in 0..sizes.iter().product() {
            let at = crate::coordinates(index, &sizes);
            let flat = |term: &[char]| {
                term.iter().fold(0, |flat, c| flat * size(*c) + at[all.iter().position(|d| d == c).unwrap()])
            };
            expected[flat(&y_term)] += xv[flat(&x_term)] * wv[flat(&w_term)];
        }
        let text = |term: &[char]| term.iter().collect::<String>();
        let first = below(&mut rng, 2) == 0;
        let (equation, inputs) = if first {
            (format!("{},{}->{}", text(&w_term), text(&x_term), text(&y_term)), ["w", "x"])
        } else {
            (format!("{},{}->{}", text(&x_term), text(&w_term), text(&y_term)), ["x", "w"])
        };
        let node = NodeDescription::new("Einsum", &inputs, &["y"])
            .attribute("equation", Attribute::Text(equation.clone()));
        let ran = run(node, &["y"], &x, &[("w", &w)]);
        assert_eq!(ran.layers, usize::from(shared.is_empty()), "{equation}");
        without_layer += usize::from(!shared.is_empty());
        compare(&ran, 0, &shape(&y_term), &expected, &(equation, sizes));
    }
    assert!((20..80).contains(&without_layer), "{without_layer}");
}
