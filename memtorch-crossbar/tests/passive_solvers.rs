//! One suite for every solver of ohmic circuits, against double-double elimination and the laws.

mod reference;

use memtorch_crossbar::ndarray::{Array2, ArrayView2, Axis, array, s};
use memtorch_crossbar::passive::{
    Auto, ConjugateGradients, Detail, PassiveCircuit, PassiveSolver, Reduce, Solution, SparseLu, Wiring,
    reduce,
};
use reference::{Numbers, worst};

fn solvers() -> Vec<Box<dyn PassiveSolver>> {
    vec![
        Box::new(Reduce::default()),
        Box::new(ConjugateGradients::default()),
        Box::new(SparseLu),
        Box::new(Auto::default()),
    ]
}

fn solve(solver: &dyn PassiveSolver, circuit: &PassiveCircuit, word: &[f64], bit: &[f64]) -> Solution {
    let word = ArrayView2::from_shape((1, word.len()), word).unwrap();
    let bit = ArrayView2::from_shape((1, bit.len()), bit).unwrap();
    solver.solve(circuit, word, bit, Detail::Nodes).unwrap()
}

const RESISTANCES: [f64; 5] = [0.0, 1e-9, 1e-3, 2.0, 50.0];

#[test]
fn currents_and_nodes_agree_with_double_double_elimination() {
    let mut numbers = Numbers(50);
    for (m, n) in [(1, 1), (1, 9), (9, 1), (2, 3), (17, 5), (12, 13)] {
        let g = numbers.conductances(m, n, 1e-7, 1e-3);
        let word = numbers.voltages(m);
        for bit in [vec![0.0; n], numbers.voltages(n)] {
            for source in RESISTANCES {
                for line in RESISTANCES {
                    let wiring = Wiring::new(source, line);
                    let circuit = PassiveCircuit::new(g.clone(), wiring).unwrap();
                    let expected = reference::solve(&g, &wiring, &word, &bit);
                    // A current may be the small difference of large ones: measure by their size.
                    let size = |j: usize| -> f64 {
                        g.column(j).iter().zip(&word).map(|(g, w)| g * (w - bit[j]).abs()).sum()
                    };
                    for solver in solvers() {
                        let exact = |r: f64| r == 0.0 || r >= 1e-3;
                        let tolerance = match solver.name() {
                            // The assembled matrix rounds g away where R g is small.
                            "lu" if !(exact(source) && exact(line)) => continue,
                            "lu" => 1e-8,
                            _ => 1e-12,
                        };
                        let found = solve(&*solver, &circuit, &word, &bit);
                        for (j, (a, b)) in found.column_currents.iter().zip(&expected.currents).enumerate() {
                            let error = (a - b).abs() / size(j).min(b.abs() * 1e3);
                            assert!(
                                error < tolerance,
                                "{}: {m} x {n}, {source} and {line} ohm, bit line {j}: {a:e}, expected {b:e}",
                                solver.name()
                            );
                        }
                        let nodes = found.node_voltages.unwrap();
                        let error = nodes
                            .index_axis(Axis(0), 0)
                            .iter()
                            .zip(&expected.nodes)
                            .fold(0.0f64, |e, (a, b)| e.max((a - b).abs()));
                        assert!(error < tolerance, "{}: nodes {error:e}", solver.name());
                    }
                }
            }
        }
    }
}

#[test]
fn odd_and_large_shapes_agree_with_double_double_elimination() {
    let mut numbers = Numbers(51);
    for (m, n, low, high) in [
        (63, 65, 1e-7, 1e-3),
        (65, 33, 1e-6, 1e-4),
        (128, 40, 1e-8, 1e-4),
        (1, 300, 1e-6, 1e-4),
        (33, 100, 1e-7, 1e-3),
    ] {
        let g = numbers.conductances(m, n, low, high);
        let (word, bit) = (numbers.voltages(m).iter().map(|v| v.abs()).collect::<Vec<_>>(), vec![0.0; n]);
        for wiring in [Wiring::new(20.0, 2.0), Wiring::new(1e-3, 50.0), Wiring::both_sides(0.0, 5.0)] {
            let circuit = PassiveCircuit::new(g.clone(), wiring).unwrap();
            let expected = reference::solve(&g, &wiring, &word, &bit);
            for solver in solvers() {
                let tolerance = if solver.name() == "lu" { 1e-8 } else { 1e-11 };
                let error =
                    worst(&solve(&*solver, &circuit, &word, &bit).column_currents, &expected.currents);
                assert!(error < tolerance, "{}: {m} x {n}, {wiring:?}: {error:e}", solver.name());
            }
        }
    }
}

/// A circuit over four decades, with voltages on all lines that leave no current a small difference.
fn tall(m: usize, n: usize, wiring: Wiring) -> (PassiveCircuit, Vec<f64>, Vec<f64>) {
    let mut numbers = Numbers(61);
    let g = numbers.conductances(m, n, 1e-7, 1e-3);
    let word = numbers.voltages(m).iter().map(|v| 0.15 + 0.5 * v.abs()).collect();
    let bit = numbers.voltages(n).iter().map(|v| 0.2 * v).collect();
    (PassiveCircuit::new(g, wiring).unwrap(), word, bit)
}

/// Every solver but LU, whose 1e-8 the smallest resistances do not allow, at 1e-10.
fn agrees_with_double_double(m: usize, n: usize, wiring: Wiring) {
    let (circuit, word, bit) = tall(m, n, wiring);
    let expected = reference::solve(&circuit.conductances().to_owned(), &wiring, &word, &bit);
    for solver in solvers().into_iter().filter(|solver| solver.name() != "lu") {
        let found = solve(&*solver, &circuit, &word, &bit);
        let error = worst(&found.column_currents, &expected.currents);
        assert!(error < 1e-10, "{}: {m} x {n}, {wiring:?}: {error:e}", solver.name());
        let nodes = found.node_voltages.unwrap();
        let error = nodes.iter().zip(&expected.nodes).fold(0.0f64, |e, (a, b)| e.max((a - b).abs()));
        assert!(error < 1e-12, "{}: {m} x {n}, {wiring:?}, nodes: {error:e} V", solver.name());
    }
}

#[test]
fn a_tall_array_with_bit_line_voltages_agrees_with_double_double_elimination() {
    agrees_with_double_double(256, 40, Wiring::new(2.0, 50.0));
}

/// Minutes: `cargo test --release -p memtorch-crossbar --test passive_solvers -- --ignored`.
#[test]
#[ignore = "takes minutes"]
fn every_pair_of_resistances_at_256_by_64_agrees_with_double_double_elimination() {
    for source in RESISTANCES {
        for line in RESISTANCES {
            for (m, n) in [(256, 64), (63, 127)] {
                agrees_with_double_double(m, n, Wiring::new(source, line));
            }
        }
    }
}

/// Three methods that have nothing in common but the circuit.
#[test]
fn methods_agree_with_each_other_at_every_pair_of_resistances() {
    for source in RESISTANCES {
        for line in RESISTANCES {
            let wiring = Wiring::new(source, line);
            for (m, n) in [(256, 64), (33, 41)] {
                let (circuit, word, bit) = tall(m, n, wiring);
                let reduced = solve(&Reduce::default(), &circuit, &word, &bit);
                let iterated = solve(&ConjugateGradients::default(), &circuit, &word, &bit);
                let error = worst(&reduced.column_currents, &iterated.column_currents);
                assert!(error < 1e-10, "{m} x {n}, {source} and {line} ohm: {error:e}");
                let error = worst(&reduced.source_currents, &iterated.source_currents);
                assert!(error < 1e-9, "{m} x {n}, {source} and {line} ohm, sources: {error:e}");
                let exact = |r: f64| r == 0.0 || r >= 1e-3;
                if m < 64 && exact(source) && exact(line) {
                    let factored = solve(&SparseLu, &circuit, &word, &bit);
                    let error = worst(&factored.column_currents, &reduced.column_currents);
                    let tolerance = if source.min(line) == 1e-3 { 1e-8 } else { 1e-10 };
                    assert!(error < tolerance, "LU: {m} x {n}, {source} and {line} ohm: {error:e}");
                }
            }
        }
    }
}

#[test]
fn kirchhoffs_current_law_holds_at_every_node_and_for_the_whole() {
    let mut numbers = Numbers(52);
    let (m, n) = (23, 31);
    let g = numbers.conductances(m, n, 1e-6, 1e-3);
    let wiring = Wiring { bit_line: 7.0, word_right: Some(11.0), ..Wiring::new(5.0, 2.0) };
    let circuit = PassiveCircuit::new(g.clone(), wiring).unwrap();
    let (word, bit) = (numbers.voltages(m), numbers.voltages(n));
    for solver in solvers() {
        let found = solve(&*solver, &circuit, &word, &bit);
        let nodes = found.node_voltages.unwrap();
        let (w, b) = (nodes.slice(s![0, 0, .., ..]), nodes.slice(s![0, 1, .., ..]));
        let mut largest = 0.0f64;
        for i in 0..m {
            for j in 0..n {
                let device = g[(i, j)] * (w[(i, j)] - b[(i, j)]);
                let before =
                    if j == 0 { (word[i] - w[(i, 0)]) / 5.0 } else { (w[(i, j - 1)] - w[(i, j)]) / 2.0 };
                let after =
                    if j + 1 == n { (w[(i, j)] - word[i]) / 11.0 } else { (w[(i, j)] - w[(i, j + 1)]) / 2.0 };
                largest = largest.max((before - after - device).abs());
                let above = if i == 0 { 0.0 } else { (b[(i - 1, j)] - b[(i, j)]) / 7.0 };
                let below =
                    if i + 1 == m { (b[(i, j)] - bit[j]) / 5.0 } else { (b[(i, j)] - b[(i + 1, j)]) / 7.0 };
                largest = largest.max((above + device - below).abs());
            }
        }
        // Differences of voltages of 0.3 V, rounded, over 2 ohm.
        assert!(largest < 1e-15, "{}: {largest:e} A", solver.name());
        let balance = found.source_currents.sum() - found.column_currents.sum();
        assert!(
            balance.abs() < 1e-13 * found.source_currents.mapv(f64::abs).sum(),
            "{}: {balance:e}",
            solver.name()
        );
    }
}

#[test]
fn inputs_superpose() {
    let mut numbers = Numbers(53);
    let circuit =
        PassiveCircuit::new(numbers.conductances(15, 20, 1e-6, 1e-3), Wiring::new(10.0, 3.0)).unwrap();
    let (a, b) = (numbers.voltages(15), numbers.voltages(15));
    let (c, d) = (numbers.voltages(20), numbers.voltages(20));
    let sum = |x: &[f64], y: &[f64]| -> Vec<f64> { x.iter().zip(y).map(|(x, y)| x + 2.0 * y).collect() };
    for solver in solvers() {
        let one = solve(&*solver, &circuit, &a, &c).column_currents;
        let other = solve(&*solver, &circuit, &b, &d).column_currents;
        let both = solve(&*solver, &circuit, &sum(&a, &b), &sum(&c, &d)).column_currents;
        let difference = (&both - &one - &(other * 2.0)).mapv(f64::abs);
        assert!(difference.iter().all(|e| *e < 1e-12 * both.mapv(f64::abs).sum()), "{}", solver.name());
    }
}

#[test]
fn swapping_word_and_bit_lines_transposes_the_effective_conductances() {
    let g = Numbers(54).conductances(30, 19, 1e-7, 1e-3);
    let wiring = Wiring {
        word_left: Some(3.0),
        word_right: None,
        bit_top: None,
        bit_bottom: Some(40.0),
        word_line: 1.0,
        bit_line: 6.0,
    };
    // Driven at the left, read at the bottom: transposed, driven at the top and read at the right,
    // which is driven at the left and read at the bottom after mirroring both.
    let swapped =
        Wiring { word_left: Some(40.0), bit_bottom: Some(3.0), word_line: 6.0, bit_line: 1.0, ..wiring };
    let mirrored = g.t().slice(s![..;-1, ..;-1]).to_owned();
    let straight = reduce(&PassiveCircuit::new(g, wiring).unwrap()).conductances;
    let turned = reduce(&PassiveCircuit::new(mirrored, swapped).unwrap()).conductances;
    assert!(worst(&straight, turned.slice(s![..;-1, ..;-1]).t()) < 1e-13);
}

#[test]
fn without_resistance_currents_are_the_plain_product() {
    let mut numbers = Numbers(55);
    let g = numbers.conductances(37, 41, 1e-8, 1e-3);
    let (word, bit) = (numbers.voltages(37), vec![0.0; 41]);
    let expected = ArrayView2::from_shape((1, 37), &word).unwrap().dot(&g);
    let circuit = PassiveCircuit::new(g.clone(), Wiring::new(0.0, 0.0)).unwrap();
    let size = ArrayView2::from_shape((1, 37), &word).unwrap().mapv(f64::abs).dot(&g);
    for solver in solvers() {
        let found = solve(&*solver, &circuit, &word, &bit).column_currents;
        let error = ((found - &expected) / &size).mapv(f64::abs);
        assert!(error.iter().all(|e| *e < 1e-14), "{}", solver.name());
    }
    assert!(worst(&reduce(&circuit).conductances, &g) < 1e-14);
}

/// Fault 8 of the published tool: no resistance of 0, single rows and columns are right.
#[test]
fn zero_resistances_and_single_lines_neither_crash_nor_change_scale() {
    // One device: a voltage divider.
    for (source, line) in [(0.0, 0.0), (0.0, 3.0), (7.0, 0.0), (7.0, 3.0)] {
        let circuit = PassiveCircuit::new(array![[1e-3]], Wiring::new(source, line)).unwrap();
        for solver in solvers() {
            let current = solve(&*solver, &circuit, &[0.2], &[0.0]).column_currents[(0, 0)];
            let expected = 0.2 / (1e3 + 2.0 * source);
            assert!((current - expected).abs() < 1e-15 * expected.max(1.0), "{}: {current}", solver.name());
        }
    }
    // A batch gives what its inputs give alone.
    let mut numbers = Numbers(56);
    let circuit = PassiveCircuit::new(numbers.conductances(1, 6, 1e-6, 1e-3), Wiring::new(0.0, 2.0)).unwrap();
    let word = Array2::from_shape_vec((3, 1), vec![0.1, -0.2, 0.3]).unwrap();
    let bit = Array2::zeros((3, 6));
    for solver in solvers() {
        let batch = solver.solve(&circuit, word.view(), bit.view(), Detail::Currents).unwrap();
        for (input, row) in batch.column_currents.rows().into_iter().enumerate() {
            let alone = solve(&*solver, &circuit, &[word[(input, 0)]], &[0.0; 6]);
            assert!(worst(row, &alone.column_currents) < 1e-12, "{}", solver.name());
        }
    }
}

/// Fault 8: a matrix in Fortran order is the same matrix.
#[test]
fn a_transposed_view_is_read_as_itself() {
    let g = Numbers(57).conductances(7, 4, 1e-6, 1e-3);
    let fortran = g.t().as_standard_layout().to_owned().reversed_axes();
    assert_eq!(g, fortran);
    let wiring = Wiring::new(5.0, 3.0);
    let a = reduce(&PassiveCircuit::new(g, wiring).unwrap());
    let b = reduce(&PassiveCircuit::new(fortran, wiring).unwrap());
    assert_eq!(a, b);
}

/// Fault 1: the two arrays of a double column are two circuits, not one of negative conductances.
#[test]
fn the_difference_of_two_circuits_is_not_the_circuit_of_the_difference() {
    let mut numbers = Numbers(58);
    let (positive, negative) =
        (numbers.conductances(12, 9, 1e-6, 1e-3), numbers.conductances(12, 9, 1e-6, 1e-3));
    let wiring = Wiring::new(20.0, 10.0);
    assert!(PassiveCircuit::new(&positive - &negative, wiring).is_err());
    let of = |g: &Array2<f64>| reduce(&PassiveCircuit::new(g.clone(), wiring).unwrap()).conductances;
    let expected = reference::effective(&positive, &wiring) - reference::effective(&negative, &wiring);
    let found = of(&positive) - of(&negative);
    assert!((found - expected).iter().all(|e| e.abs() < 1e-15));
}

#[test]
fn open_cells_shorts_and_huge_resistances_give_finite_currents() {
    let mut numbers = Numbers(59);
    let mut g = numbers.conductances(9, 8, 1e-6, 1e-3);
    g.row_mut(2).fill(0.0);
    g.column_mut(5).fill(0.0);
    g[(0, 0)] = 1e9;
    g[(8, 7)] = 1e6;
    let (word, bit) = (numbers.voltages(9), vec![0.0; 8]);
    for wiring in [Wiring::new(1e9, 1e9), Wiring::new(0.0, 1e9), Wiring::new(1e9, 0.0), Wiring::new(1.0, 1.0)]
    {
        let circuit = PassiveCircuit::new(g.clone(), wiring).unwrap();
        let expected = reference::solve(&g, &wiring, &word, &bit).currents;
        let size = expected.iter().fold(0.0f64, |m, i| m.max(i.abs()));
        for solver in solvers() {
            if solver.name() == "lu" {
                continue;
            }
            let word = ArrayView2::from_shape((1, 9), &word).unwrap();
            let bit = ArrayView2::from_shape((1, 8), &bit).unwrap();
            let found = match solver.solve(&circuit, word, bit, Detail::Currents) {
                Ok(found) => found.column_currents,
                Err(error) => {
                    // Iterations may fail here, with a clear error; the others may not.
                    assert!(
                        solver.name() == "cg" && error.to_string().contains("did not converge"),
                        "{error}"
                    );
                    continue;
                }
            };
            for (j, (a, b)) in found.iter().zip(&expected).enumerate() {
                // Deep in lines of 1e9 ohm the currents fall by decades from cell to cell.
                let error = (a - b).abs() / b.abs().max(1e-3 * size);
                assert!(
                    a.is_finite() && error < 1e-9,
                    "{}: {wiring:?}, {j}: {a:e}, expected {b:e}",
                    solver.name()
                );
            }
            assert_eq!(found[(0, 5)], 0.0, "{}", solver.name());
        }
    }
    // Nothing but open cells.
    let circuit = PassiveCircuit::new(Array2::zeros((4, 3)), Wiring::new(1.0, 2.0)).unwrap();
    for solver in solvers() {
        assert_eq!(
            solve(&*solver, &circuit, &[0.3; 4], &[0.0; 3]).column_currents,
            Array2::<f64>::zeros((1, 3))
        );
    }
}

#[test]
fn iterations_on_shorts_are_right_or_say_that_they_are_not() {
    let mut numbers = Numbers(61);
    let (mut answers, mut refusals) = (0, 0);
    for exponent in -2..10 {
        for (m, n, wires) in [(9, 8, 1.0), (5, 12, 1e-3), (16, 3, 50.0)] {
            let mut g = numbers.conductances(m, n, 1e-6, 1e-3);
            for _ in 0..3 {
                let cell = ((numbers.next() * m as f64) as usize, (numbers.next() * n as f64) as usize);
                g[cell] = 10f64.powi(exponent);
            }
            let (word, bit) = (numbers.voltages(m), numbers.voltages(n));
            let wiring = Wiring::new(wires, wires);
            let circuit = PassiveCircuit::new(g.clone(), wiring).unwrap();
            let expected = reference::solve(&g, &wiring, &word, &bit).currents;
            let size = expected.iter().fold(0.0f64, |size, i| size.max(i.abs()));
            let voltages = (
                ArrayView2::from_shape((1, m), &word).unwrap(),
                ArrayView2::from_shape((1, n), &bit).unwrap(),
            );
            for solver in [&ConjugateGradients::default() as &dyn PassiveSolver, &Auto::default()] {
                match solver.solve(&circuit, voltages.0, voltages.1, Detail::Currents) {
                    Ok(found) => {
                        answers += 1;
                        for (a, b) in found.column_currents.iter().zip(&expected) {
                            let error = (a - b).abs() / size;
                            assert!(error < 1e-9, "{}: 1e{exponent} S, {wiring:?}: {error:e}", solver.name());
                        }
                    }
                    Err(error) => {
                        refusals += 1;
                        assert_eq!(solver.name(), "cg", "{error}");
                        assert!(error.to_string().contains("did not converge"), "{error}");
                    }
                }
            }
        }
    }
    assert!(answers > 36 && refusals > 0, "{answers} answers, {refusals} refusals");
}

#[test]
fn a_solver_that_does_not_converge_says_so_with_its_residual() {
    let mut numbers = Numbers(60);
    let circuit =
        PassiveCircuit::new(numbers.conductances(20, 20, 1e-6, 1e-3), Wiring::new(10.0, 10.0)).unwrap();
    let word = Array2::from_elem((1, 20), 0.2);
    let short = ConjugateGradients { max_iterations: 2, ..ConjugateGradients::default() };
    let bit = Array2::zeros((1, 20));
    let error = short.solve(&circuit, word.view(), bit.view(), Detail::Currents).unwrap_err().to_string();
    assert!(error.contains("input 0 did not converge in 2 iterations: residual"), "{error}");
    let auto = Auto { conjugate_gradients: short };
    let fallen = auto.solve(&circuit, word.view(), bit.view(), Detail::Currents).unwrap();
    assert!(fallen.method.contains("reduction"), "{}", fallen.method);
}

#[test]
fn bad_voltages_are_named() {
    let circuit = PassiveCircuit::new(Array2::from_elem((2, 3), 1e-4), Wiring::new(1.0, 1.0)).unwrap();
    for solver in solvers() {
        let solve = |word: Array2<f64>, bit: Array2<f64>| {
            solver.solve(&circuit, word.view(), bit.view(), Detail::Currents).unwrap_err().to_string()
        };
        assert!(solve(array![[0.1, f64::NAN]], Array2::zeros((1, 3))).contains("input 0, line 1"));
        assert!(solve(array![[0.1, 0.1]], array![[0.0, 0.0, f64::INFINITY]]).contains("line 2"));
        assert!(solve(Array2::zeros((1, 3)), Array2::zeros((1, 3))).contains("word-line voltages has shape"));
        assert!(solve(Array2::zeros((2, 2)), Array2::zeros((1, 3))).contains("bit-line voltages has shape"));
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let mut numbers = Numbers(61);
    let circuit =
        PassiveCircuit::new(numbers.conductances(70, 90, 1e-6, 1e-3), Wiring::new(10.0, 3.0)).unwrap();
    let word = Array2::from_shape_vec((5, 70), numbers.voltages(350)).unwrap();
    let bit = Array2::zeros((5, 90));
    for solver in solvers() {
        let with = |threads| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap()
                .install(|| solver.solve(&circuit, word.view(), bit.view(), Detail::Nodes).unwrap())
        };
        assert_eq!(with(1), with(3), "{}", solver.name());
    }
}
