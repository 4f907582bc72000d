//! `memtorch crossbar` as a person runs it, and its netlist in ngspice.

mod common;
#[path = "crossbar/program.rs"]
mod program;
#[path = "../memtorch-crossbar/tests/reference/mod.rs"]
mod reference;

use std::path::Path;
use std::process::Command;

use common::memtorch_in;
use memtorch::crossbar::ndarray::{Array, Array2, Array3, Axis};
use memtorch::crossbar::passive::{Detail, PassiveCircuit, PassiveSolver, SparseLu};
use memtorch::crossbar::passive::{Newton, Sinh, Wiring};
use memtorch::utils::npy::NpyArray;

/// Conductances over four decades, in an order that looks random.
fn conductances(m: usize, n: usize) -> Array2<f64> {
    Array2::from_shape_fn((m, n), |(i, j)| {
        10f64.powf(-7.0 + 4.0 * ((i * 7919 + j * 6007) % 997) as f64 / 997.0)
    })
}

fn voltages(n: usize, largest: f64) -> Vec<f64> {
    (0..n).map(|i| largest * ((i * 31 + 7) % 19) as f64 / 19.0).collect()
}

fn write(folder: &Path, name: &str, shape: &[usize], values: Vec<f64>) {
    NpyArray::from_f64(shape, values).write(folder.join(name)).unwrap();
}

fn read(folder: &Path, name: &str) -> (Vec<usize>, Vec<f64>) {
    let array = NpyArray::read(folder.join(name)).unwrap();
    (array.shape.clone(), array.into_f64())
}

/// A folder with `g.npy` (7 x 5), `v.npy`, `b.npy`, and batches `vs.npy`, `bs.npy` of 3.
fn folder() -> (tempfile::TempDir, PassiveCircuit) {
    let folder = tempfile::tempdir().unwrap();
    let g = conductances(7, 5);
    write(folder.path(), "g.npy", &[7, 5], g.iter().copied().collect());
    write(folder.path(), "v.npy", &[7], voltages(7, 0.3));
    write(folder.path(), "b.npy", &[5], voltages(5, 0.1));
    write(folder.path(), "vs.npy", &[3, 7], voltages(21, 0.3));
    write(folder.path(), "bs.npy", &[3, 5], voltages(15, 0.1));
    (folder, PassiveCircuit::new(g, Wiring::new(20.0, 2.0)).unwrap())
}

const WIRES: [&str; 4] = ["--source-resistance", "20", "--line-resistance", "2"];

fn crossbar(folder: &Path, command: &str, more: &[&str]) -> common::Ran {
    let start = ["crossbar", command, "--conductance", "g.npy"];
    memtorch_in(folder, &[&start[..], &WIRES, more].concat())
}

#[test]
fn solve_writes_currents_and_nodes_of_every_method() {
    let (folder, circuit) = folder();
    let (_, word) = read(folder.path(), "vs.npy");
    let (_, bit) = read(folder.path(), "bs.npy");
    let word = Array::from_shape_vec((3, 7), word).unwrap();
    let bit = Array::from_shape_vec((3, 5), bit).unwrap();
    let expected = SparseLu.solve(&circuit, word.view(), bit.view(), Detail::Nodes).unwrap();
    for method in ["auto", "reduce", "cg", "lu"] {
        let options = ["--word-line", "vs.npy", "--bit-line", "bs.npy", "--method", method];
        let files = ["--out", "i.npy", "--node-voltages", "f.npy", "--json"];
        let ran = crossbar(folder.path(), "solve", &[&options[..], &files].concat()).done();
        let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(report["inputs"], 3);
        let (shape, currents) = read(folder.path(), "i.npy");
        assert_eq!(shape, [3, 5]);
        for (found, expected) in currents.iter().zip(&expected.column_currents) {
            assert!((found - expected).abs() < 1e-10 * expected.abs(), "{method}: {found} {expected}");
        }
        let (shape, nodes) = read(folder.path(), "f.npy");
        assert_eq!(shape, [3, 2, 7, 5]);
        for (found, expected) in nodes.iter().zip(expected.node_voltages.as_ref().unwrap()) {
            assert!((found - expected).abs() < 1e-12, "{method}");
        }
    }
    // One input has no batch axis; bit lines are at 0 V unless they are given.
    crossbar(folder.path(), "solve", &["--word-line", "v.npy", "--out", "i.npy", "--node-voltages", "f.npy"])
        .done();
    assert_eq!(read(folder.path(), "i.npy").0, [5]);
    assert_eq!(read(folder.path(), "f.npy").0, [2, 7, 5]);
}

#[test]
fn effective_conductances_give_the_currents() {
    let (folder, circuit) = folder();
    crossbar(folder.path(), "effective", &["--out", "e.npy", "--bit-line-out", "h.npy"]).done();
    let (shape, g) = read(folder.path(), "e.npy");
    assert_eq!(shape, [7, 5]);
    let (shape, h) = read(folder.path(), "h.npy");
    assert_eq!(shape, [5, 5]);
    let (g, h) = (Array::from_shape_vec((7, 5), g).unwrap(), Array::from_shape_vec((5, 5), h).unwrap());
    let (word, bit) = (Array::from(voltages(7, 0.3)), Array::from(voltages(5, 0.1)));
    let expected = SparseLu
        .solve(&circuit, word.view().insert_axis(Axis(0)), bit.view().insert_axis(Axis(0)), Detail::Currents)
        .unwrap();
    for (found, expected) in (g.t().dot(&word) + h.dot(&bit)).iter().zip(&expected.column_currents) {
        assert!((found - expected).abs() < 1e-10 * expected.abs());
    }
}

#[test]
fn what_a_person_can_get_wrong() {
    let (folder, _) = folder();
    let f = folder.path();
    let solve = ["--word-line", "v.npy", "--out", "i.npy"];
    for method in ["reduce", "lu"] {
        let ran = crossbar(f, "solve", &[&solve[..], &["--nonlinear", "5", "--method", method]].concat());
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains("--nonlinear needs"), "{}", ran.stderr);
    }
    let fails = |arguments: &[&str], words: &[&str]| {
        let ran = memtorch_in(f, arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
        for word in words {
            assert!(ran.stderr.contains(word), "{word:?} is not in: {}", ran.stderr);
        }
        assert!(!f.join("i.npy").exists());
    };
    let with = |g: &'static str, v: &'static str, source: &'static str| {
        let start = ["crossbar", "solve", "--conductance", g, "--word-line", v, "--out", "i.npy"];
        [&start[..], &["--source-resistance", source, "--line-resistance", "2"]].concat()
    };
    let mut bad = conductances(7, 5);
    bad[(3, 2)] = -1e-6;
    write(f, "negative.npy", &[7, 5], bad.iter().copied().collect());
    bad[(3, 2)] = f64::NAN;
    write(f, "nan.npy", &[7, 5], bad.iter().copied().collect());
    write(f, "empty.npy", &[0, 5], Vec::new());
    write(f, "cube.npy", &[7, 5, 1], vec![1e-5; 35]);
    fails(&with("negative.npy", "v.npy", "20"), &["negative.npy", "word line 3, bit line 2", "-0.000001"]);
    fails(&with("nan.npy", "v.npy", "20"), &["nan.npy", "NaN", "[3, 2]"]);
    fails(&with("empty.npy", "v.npy", "20"), &["empty.npy", "not empty"]);
    fails(&with("cube.npy", "v.npy", "20"), &["cube.npy", "[7, 5, 1]"]);
    fails(&with("absent.npy", "v.npy", "20"), &["absent.npy"]);
    fails(&with("g.npy", "b.npy", "20"), &["b.npy", "[5]", "[7]"]);
    fails(&with("g.npy", "v.npy", "-20"), &["source resistance", "-20", "not negative"]);
    fails(&with("g.npy", "v.npy", "inf"), &["source resistance", "inf", "finite"]);
    fails(&[&with("g.npy", "v.npy", "20")[..], &["--nonlinear", "-1"]].concat(), &["--nonlinear", "-1"]);
    let two = ["crossbar", "netlist", "--conductance", "g.npy", "--word-line", "vs.npy", "--out", "i.npy"];
    fails(&[&two[..], &WIRES].concat(), &["inputs of a netlist = 3", "one input"]);
}

/// Each map's darkest and brightest cells are the lowest and highest values, found without the drawing.
#[test]
fn a_map_has_every_cell_in_the_colour_of_its_value() {
    let (folder, circuit) = folder();
    let f = folder.path();
    let mut g = circuit.conductances().to_owned();
    g[(4, 1)] = 0.0;
    write(f, "g.npy", &[7, 5], g.iter().copied().collect());
    crossbar(f, "map", &["--plot", "m.svg"]).done();
    let text = std::fs::read_to_string(f.join("m.svg")).unwrap();
    assert!(text.starts_with("<svg") && text.ends_with("</svg>\n"));
    for title in
        ["Conductance (S)", "Word-line nodes (V)", "Bit-line nodes (V)", "Voltage lost to the wires (%)"]
    {
        assert!(text.contains(title), "{title}");
    }
    crossbar(f, "map", &["--plot", "m.png"]).done();
    let image = tiny_skia::Pixmap::load_png(f.join("m.png")).unwrap();
    // Two pixels a unit; panels of 415 x 462, cells in 257 x 360 from 60, 42 on.
    let colour = |panel: usize, (i, j): (usize, usize)| {
        let at =
            |start: usize, side: usize, line: usize, lines: usize| 2 * start + side * (2 * line + 1) / lines;
        let (x, y) = (at(415 * (panel % 2) + 60, 257, j, 5), at(462 * (panel / 2) + 42, 360, i, 7));
        let c = image.pixel(x as u32, y as u32).unwrap();
        [c.red(), c.green(), c.blue()]
    };
    write(f, "ones.npy", &[7], vec![1.0; 7]);
    let options = ["--word-line", "ones.npy", "--out", "i.npy", "--node-voltages", "f.npy"];
    crossbar(f, "solve", &options).done();
    let nodes = Array3::from_shape_vec((2, 7, 5), read(f, "f.npy").1).unwrap();
    let (word, bit) = (nodes.index_axis(Axis(0), 0), nodes.index_axis(Axis(0), 1));
    let lost = Array2::from_shape_fn((7, 5), |cell| 1.0 - (word[cell] - bit[cell]));
    let (darkest, brightest, none) = ([34, 22, 86], [250, 230, 60], [221, 221, 221]);
    for (panel, values) in [&g, &word.to_owned(), &bit.to_owned(), &lost].into_iter().enumerate() {
        let cells = || values.indexed_iter().filter(|(cell, _)| panel > 0 || *cell != (4, 1));
        let least = cells().min_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
        let most = cells().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
        assert_eq!(colour(panel, least), darkest, "panel {panel}, {least:?}");
        assert_eq!(colour(panel, most), brightest, "panel {panel}, {most:?}");
        for (cell, _) in cells() {
            let [r, g, b] = colour(panel, cell);
            assert!(g >= 22 && [r, g, b] != none && [r, g, b] != [255; 3], "panel {panel}, {cell:?}");
        }
    }
    // An open cell conducts nothing: it has no place among logarithms.
    assert_eq!(colour(0, (4, 1)), none);
    let ran = crossbar(f, "map", &["--plot", "m.bmp"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("m.bmp") && ran.stderr.contains(".svg or .png"), "{}", ran.stderr);
    assert!(!f.join("m.bmp").exists());
}

/// Fault 8 of the published tool and worse: what no tool may get wrong silently.
#[test]
fn open_cells_shorts_and_extreme_wires_are_right_or_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    let says_so = |error: &str| error.contains("did not converge") || error.contains("singular");
    let run = |command: &str, source: &str, line: &str, more: &[&str]| {
        let wires = ["--source-resistance", source, "--line-resistance", line];
        memtorch_in(f, &[&["crossbar", command, "--conductance", "g.npy"][..], &wires, more].concat())
    };
    for (m, n) in [(1, 1), (1, 6), (7, 1), (6, 5)] {
        for case in ["as it is", "open cells", "all open", "shorts"] {
            let mut g = conductances(m, n);
            match case {
                "open cells" => {
                    g.row_mut(m / 2).fill(0.0);
                    g.column_mut(n / 2).fill(0.0);
                }
                "all open" => g.fill(0.0),
                "shorts" => (g[(0, 0)], g[(m - 1, n - 1)]) = (1e9, 1e4),
                _ => {}
            }
            write(f, "g.npy", &[m, n], g.iter().copied().collect());
            let word: Vec<f64> = voltages(m, 0.3).iter().map(|v| v + 0.01).collect();
            write(f, "v.npy", &[m], word.clone());
            for (source, line) in [("0", "0"), ("1e9", "1e9"), ("0", "1e9"), ("1e9", "0"), ("5", "0")] {
                let wiring = Wiring::new(source.parse().unwrap(), line.parse().unwrap());
                let expected = reference::solve(&g, &wiring, &word, &vec![0.0; n]).currents;
                let size = expected.iter().fold(0.0f64, |size, i| size.max(i.abs()));
                let what = format!("{m} x {n}, {case}, {source} and {line} ohm");
                let check = |found: &[f64], tolerance: f64, by: &str| {
                    for (a, b) in found.iter().zip(&expected) {
                        // Along lines of 1e9 ohm the currents fall by decades from cell to cell.
                        let error = (a - b).abs() / b.abs().max(1e-3 * size);
                        assert!(a == b || error < tolerance, "{by}: {what}: {a:e}, expected {b:e}");
                    }
                };
                for method in ["auto", "reduce", "cg", "lu"] {
                    let options = ["--word-line", "v.npy", "--out", "i.npy", "--method", method];
                    let ran = run("solve", source, line, &options);
                    if ran.code == 1 && (method == "cg" || method == "lu") {
                        assert!(says_so(&ran.stderr), "{method}: {what}: {}", ran.stderr);
                        continue;
                    }
                    ran.done();
                    // A short of 1e9 S takes digits from all but the reduction.
                    let exact = method == "reduce" || (method != "lu" && case != "shorts");
                    check(&read(f, "i.npy").1, if exact { 1e-9 } else { 1e-5 }, method);
                }
                run("effective", source, line, &["--out", "e.npy"]).done();
                let effective = Array::from_shape_vec((m, n), read(f, "e.npy").1).unwrap();
                check(&effective.t().dot(&Array::from(word.clone())).to_vec(), 1e-9, "effective");
                // A law next to a straight line.
                let options = ["--word-line", "v.npy", "--out", "i.npy", "--nonlinear", "1e-5"];
                let ran = run("solve", source, line, &options);
                if ran.code == 1 {
                    assert!(says_so(&ran.stderr), "{what}: {}", ran.stderr);
                } else {
                    ran.done();
                    check(&read(f, "i.npy").1, if case == "shorts" { 1e-5 } else { 1e-8 }, "nonlinear");
                }
                if m == 1 {
                    continue;
                }
                run("netlist", source, line, &["--word-line", "v.npy", "--out", "f.cir"]).done();
                let ran = run("map", source, line, &["--plot", "m.svg"]);
                assert!(ran.code == 0 || says_so(&ran.stderr), "{what}: {}", ran.stderr);
            }
        }
    }
}

/// Runs a deck; `None`, with the reason on stderr, where there is no ngspice.
fn ngspice(deck: &Path) -> Option<Vec<f64>> {
    let ran = match Command::new("ngspice").arg("-b").arg(deck).output() {
        Ok(ran) => ran,
        Err(error) => {
            eprintln!(
                "SKIPPED: the comparison with ngspice did not run: {error} (install the package ngspice)"
            );
            return None;
        }
    };
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{text}\n{}", String::from_utf8_lossy(&ran.stderr));
    let currents: Vec<f64> = text
        .lines()
        .filter_map(|line| line.strip_prefix("i(vb_"))
        .map(|line| line.split(" = ").nth(1).unwrap().trim().parse().unwrap())
        .collect();
    assert!(!currents.is_empty(), "no currents in: {text}");
    Some(currents)
}

#[test]
fn ngspice_finds_the_same_currents_in_the_netlist() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    for (m, n) in [(1, 1), (1, 6), (7, 1), (17, 23)] {
        let mut g = conductances(m, n);
        if m > 4 && n > 4 {
            g[(2, 3)] = 0.0;
        }
        write(f, "g.npy", &[m, n], g.iter().copied().collect());
        write(f, "v.npy", &[m], voltages(m, 0.3).iter().map(|v| v + 0.01).collect());
        write(f, "b.npy", &[n], voltages(n, 0.1));
        for (source, line) in
            [("0", "0"), ("0", "2"), ("50", "0"), ("1e-3", "50"), ("2", "1e-3"), ("20", "2")]
        {
            for more in [&[][..], &["--nonlinear", "4"], &["--bit-line", "b.npy"]] {
                for ends in [&[][..], &["--word-line-ends", "both", "--bit-line-ends", "top"]] {
                    let all = [
                        &["--conductance", "g.npy", "--word-line", "v.npy"][..],
                        &["--source-resistance", source, "--line-resistance", line],
                        more,
                        ends,
                    ]
                    .concat();
                    memtorch_in(f, &[&["crossbar", "netlist"][..], &all, &["--out", "f.cir"]].concat())
                        .done();
                    memtorch_in(f, &[&["crossbar", "solve"][..], &all, &["--out", "i.npy"]].concat()).done();
                    let Some(spice) = ngspice(&f.join("f.cir")) else { return };
                    let (_, found) = read(f, "i.npy");
                    assert_eq!(spice.len(), n);
                    // ngspice carries node voltages, not drops: their rounding over the least resistance.
                    let ohm = |text: &str| text.parse::<f64>().ok().filter(|r| *r > 0.0).unwrap_or(1.0);
                    let rounding = 2.0 * f64::EPSILON * 0.3 / ohm(source).min(ohm(line));
                    for (a, b) in found.iter().zip(&spice) {
                        let error = (a - b).abs() / (b.abs() + 1e6 * rounding);
                        assert!(error < 1e-6, "{m} x {n}, {all:?}: {a:e}, ngspice {b:e}");
                    }
                }
            }
        }
    }
}

/// Larger, once: ngspice takes seconds for it.
#[test]
fn ngspice_agrees_on_a_large_array_with_bit_line_voltages() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    let (m, n) = (64, 33);
    write(f, "g.npy", &[m, n], conductances(m, n).iter().copied().collect());
    write(f, "v.npy", &[m], voltages(m, 0.3).iter().map(|v| v + 0.2).collect());
    write(f, "b.npy", &[n], voltages(n, 0.1));
    let all = [
        &["--conductance", "g.npy", "--word-line", "v.npy", "--bit-line", "b.npy"][..],
        &["--source-resistance", "2", "--line-resistance", "50"],
    ]
    .concat();
    memtorch_in(f, &[&["crossbar", "netlist"][..], &all, &["--out", "f.cir"]].concat()).done();
    let Some(spice) = ngspice(&f.join("f.cir")) else { return };
    for method in ["reduce", "cg", "lu"] {
        let more = ["--method", method, "--out", "i.npy"];
        memtorch_in(f, &[&["crossbar", "solve"][..], &all, &more].concat()).done();
        for (found, expected) in read(f, "i.npy").1.iter().zip(&spice) {
            assert!((found - expected).abs() < 1e-6 * expected.abs(), "{method}: {found:e} {expected:e}");
        }
    }
}

/// Newton's method against damped Newton on the dense nodal equations, written only for this test.
#[test]
fn nonlinear_devices_agree_with_an_independent_newton() {
    let (m, n, b) = (6, 5, 6.0);
    let g = conductances(m, n);
    for (source, line, volts) in [(20.0, 2.0, 0.3), (1e-3, 50.0, 0.5), (500.0, 200.0, 1.0)] {
        let word = voltages(m, volts);
        let expected = dense_newton(&g, &word, source, line, b);
        let circuit = PassiveCircuit::new(g.clone(), Wiring::new(source, line)).unwrap();
        let (word, bit) = (Array::from_shape_vec((1, m), word).unwrap(), Array2::zeros((1, n)));
        let law = Sinh::new(b).unwrap();
        let found = Newton::default().solve(&circuit, &law, word.view(), bit.view(), Detail::Nodes).unwrap();
        let nodes: Array3<f64> = found.node_voltages.unwrap().index_axis_move(Axis(0), 0);
        for (j, found) in found.column_currents.iter().enumerate() {
            let expected = expected[m * n + (m - 1) * n + j] / source;
            assert!(
                (found - expected).abs() < 1e-8 * expected.abs(),
                "{source}, {line}: {found:e} {expected:e}"
            );
        }
        for (found, expected) in nodes.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-10);
        }
    }
}

/// Node voltages, word lines first.
fn dense_newton(g: &Array2<f64>, word: &[f64], source: f64, line: f64, b: f64) -> Vec<f64> {
    let (m, n) = g.dim();
    let size = 2 * m * n;
    let mut v = vec![0.0; size];
    for _ in 0..200 {
        let mut jacobian = vec![vec![0.0; size]; size];
        let mut f = vec![0.0; size];
        let mut element = |x: usize, y: Option<usize>, current: f64, slope: f64| {
            f[x] += current;
            jacobian[x][x] += slope;
            if let Some(y) = y {
                f[y] -= current;
                jacobian[y][y] += slope;
                jacobian[x][y] -= slope;
                jacobian[y][x] -= slope;
            }
        };
        for i in 0..m {
            for j in 0..n {
                let (w, bit) = (i * n + j, m * n + i * n + j);
                let x = b * (v[w] - v[bit]);
                element(w, Some(bit), g[(i, j)] * x.sinh() / b, g[(i, j)] * x.cosh());
                if j + 1 < n {
                    element(w, Some(w + 1), (v[w] - v[w + 1]) / line, 1.0 / line);
                }
                if i + 1 < m {
                    element(bit, Some(bit + n), (v[bit] - v[bit + n]) / line, 1.0 / line);
                }
                if j == 0 {
                    element(w, None, (v[w] - word[i]) / source, 1.0 / source);
                }
                if i + 1 == m {
                    element(bit, None, v[bit] / source, 1.0 / source);
                }
            }
        }
        // Gaussian elimination; the matrix is diagonally dominant.
        for k in 0..size {
            for r in k + 1..size {
                let factor = jacobian[r][k] / jacobian[k][k];
                if factor != 0.0 {
                    let (top, bottom) = jacobian.split_at_mut(r);
                    for c in k..size {
                        bottom[0][c] -= factor * top[k][c];
                    }
                    f[r] -= factor * f[k];
                }
            }
        }
        for k in (0..size).rev() {
            let known: f64 = (k + 1..size).map(|c| jacobian[k][c] * f[c]).sum();
            f[k] = (f[k] - known) / jacobian[k][k];
        }
        let largest = f.iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
        let damping = (0.3 / largest).min(1.0);
        for (v, step) in v.iter_mut().zip(&f) {
            *v -= damping * step;
        }
        if largest < 1e-15 {
            break;
        }
    }
    v
}
