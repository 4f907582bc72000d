use super::block::{Block, Joint};
use super::kernel::multiply_add;
use super::pool::Pool;
use super::star_mesh::{add_scaled, sum};

/// From how many shared nodes on panels are faster than single nodes.
pub(super) const WORTHWHILE: usize = 16;

/// Nodes eliminated before the rest hears of them.
const PANEL: usize = 16;

/// Columns of a symmetric update that are computed at a time: less below the diagonal is wasted.
const STRIPE: usize = 96;

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
    // The ports' part of each star.
    for start in (0..n).step_by(PANEL) {
        let end = (start + PANEL).min(n);
        let (before, rest) = coupling.split_at_mut(start * p);
        multiply_add([end - start, start, p], &inner[start * n..], [n, 1], before, p, rest, p);
        for i in start + 1..end {
            let (before, row) = coupling.split_at_mut(i * p);
            for k in start..i {
                add_scaled(&mut row[..p], inner[i * n + k], &before[k * p..(k + 1) * p]);
            }
        }
    }
    let mut shares = pool.zeros(n * p);
    let rows = shares.chunks_mut(p.max(1)).zip(coupling.chunks(p.max(1)));
    for ((row, coupled), inverse) in rows.zip(&inverse) {
        row.iter_mut().zip(coupled).for_each(|(share, c)| *share = c * inverse);
    }
    for left in (0..p).step_by(STRIPE) {
        let right = (left + STRIPE).min(p);
        multiply_add([right, n, right - left], &shares, [1, p], &coupling[left..], p, &mut outer[left..], p);
    }
    pool.give_back(inner);
    pool.give_back(coupling);
    pool.give_back(shares);
    Block { ports, between: outer }
}
