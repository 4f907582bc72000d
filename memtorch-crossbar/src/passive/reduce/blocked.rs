use std::ops::Range;

use super::block::{Block, Joint};
use super::kernel::{multiply_add, solve_panel};
use super::pool::Pool;
use super::star_mesh::{add_scaled, sum};

/// From how many shared nodes on panels are faster than single nodes.
pub(super) const WORTHWHILE: usize = 16;

/// Nodes eliminated before the rest hears of them.
const PANEL: usize = 16;

/// Columns of a symmetric update that are computed at a time: less below the diagonal is wasted.
const STRIPE: usize = 48;

/// Where a range is cut in two, at a whole number of parts of this size.
fn middle(range: &Range<usize>, part: usize) -> usize {
    range.start + range.len().div_ceil(2).next_multiple_of(part).min(range.len())
}

/// The ports' part of the stars of these nodes, from what leads to ports from nodes alone: halves, so that
/// the products are of matrices that are near square.
fn solve_ports(inner: &[f64], n: usize, coupling: &mut [f64], p: usize, nodes: Range<usize>) {
    let Range { start, end } = nodes;
    if nodes.len() <= PANEL {
        return solve_panel(&inner[start * n + start..], n, &mut coupling[start * p..end * p], p);
    }
    let middle = middle(&nodes, PANEL);
    solve_ports(inner, n, coupling, p, start..middle);
    let (before, after) = coupling.split_at_mut(middle * p);
    let size = [end - middle, middle - start, p];
    multiply_add(size, &inner[middle * n + start..], [n, 1], &before[start * p..], p, after, p);
    solve_ports(inner, n, coupling, p, middle..end);
}

/// The same of a few nodes, one after another.
#[inline(always)]
pub(super) fn solve_few(inner: &[f64], n: usize, coupling: &mut [f64], p: usize) {
    for i in 1..coupling.len() / p.max(1) {
        let (before, row) = coupling.split_at_mut(i * p);
        for (k, before) in before.chunks_exact(p).enumerate() {
            add_scaled(&mut row[..p], inner[i * n + k], before);
        }
    }
}

/// `outer += shares^T coupling` between these ports, above the diagonal.
fn add_symmetric(
    shares: &[f64],
    coupling: &[f64],
    n: usize,
    p: usize,
    outer: &mut [f64],
    ports: Range<usize>,
) {
    let Range { start, end } = ports;
    let mut add = |rows: Range<usize>, columns: Range<usize>| {
        let size = [rows.len(), n, columns.len()];
        let to = &mut outer[rows.start * p + columns.start..];
        multiply_add(size, &shares[rows.start..], [1, p], &coupling[columns.start..], p, to, p);
    };
    if ports.len() <= STRIPE {
        return add(ports.clone(), ports);
    }
    let middle = middle(&ports, STRIPE);
    add(start..middle, middle..end);
    add_symmetric(shares, coupling, n, p, outer, start..middle);
    add_symmetric(shares, coupling, n, p, outer, middle..end);
}

/// [`eliminate`](super::star_mesh::eliminate) in panels: nearly all operations are in matrix products.
///
/// All ports together stand in for the rest of the network while the shared nodes are factored, as
/// only the sum of what leads to them enters the pivots.
#[inline(always)]
pub(super) fn eliminate(joint: Joint<f64>, pool: &mut Pool<f64>) -> Block<f64> {
    let Joint { shared: n, ports, mut inner, mut coupling, mut outer } = joint;
    let p = ports.count();
    let mut to_ports: Vec<f64> = coupling.chunks(p.max(1)).map(sum).collect();
    to_ports.resize(n, 0.0);
    let mut inverse = vec![0.0; n];
    // Factor: row k above the diagonal is the star of node k when its turn comes; column k below the
    // diagonal becomes each node's share of it.
    for start in (0..n).step_by(PANEL) {
        let end = (start + PANEL).min(n);
        for k in start..end {
            let (head, tail) = inner.split_at_mut((k + 1) * n);
            let row = &head[k * n + k + 1..];
            inverse[k] = 1.0 / (sum(row) + to_ports[k]);
            for i in k + 1..n {
                let share = row[i - k - 1] * inverse[k];
                tail[(i - k - 1) * n + k] = share;
                to_ports[i] += share * to_ports[k];
                if i < end {
                    let target = &mut tail[(i - k - 1) * n + i + 1..(i - k) * n];
                    add_scaled(target, share, &row[i - k..]);
                }
            }
        }
        // The rest of the square, above its diagonal.
        for left in (end..n).step_by(STRIPE) {
            let right = (left + STRIPE).min(n);
            let shares: Vec<f64> =
                (end..right).flat_map(|i| inner[i * n + start..i * n + end].iter().copied()).collect();
            let (panel, rest) = inner.split_at_mut(end * n);
            multiply_add(
                [right - end, end - start, right - left],
                &shares,
                [end - start, 1],
                &panel[start * n + left..],
                n,
                &mut rest[left..],
                n,
            );
        }
    }
    solve_ports(&inner, n, &mut coupling, p, 0..n);
    let mut shares = pool.any(n * p);
    let rows = shares.chunks_mut(p.max(1)).zip(coupling.chunks(p.max(1)));
    for ((row, coupled), inverse) in rows.zip(&inverse) {
        row.iter_mut().zip(coupled).for_each(|(share, c)| *share = c * inverse);
    }
    add_symmetric(&shares, &coupling, n, p, &mut outer, 0..p);
    pool.give_back(inner);
    pool.give_back(coupling);
    pool.give_back(shares);
    Block { ports, between: outer }
}
