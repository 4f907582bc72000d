use super::block::{Block, Joint};
use super::lane::Lane;
use super::pool::Pool;

/// Eliminates the shared nodes of a joint, one after another, by star-mesh transformation: the
/// neighbours a, b of an eliminated node gain a conductance `c_a c_b / sum(c)`.
///
/// The pivot is the sum of the outgoing conductances (Grassmann, Taksar, Heyman, Operations Research
/// 33, 1985, 1107), so that nothing is ever subtracted.
///
/// The shared nodes are factored first, with all ports together standing in for the rest of the
/// network: only the sum of what leads to them enters the pivots.
#[inline(always)]
pub(super) fn eliminate<T: Lane>(joint: Joint<T>, pool: &mut Pool<T>) -> Block<T> {
    let Joint { shared: n, ports, mut inner, mut coupling, mut outer } = joint;
    let p = ports.count();
    let mut shares = pool.any(n * p);
    for k in 0..n {
        let (head, tail) = inner.split_at_mut((k + 1) * n);
        let row = &head[k * n..];
        let (coupling_head, coupling_tail) = coupling.split_at_mut((k + 1) * p);
        let coupled = &coupling_head[k * p..];
        let inverse = T::ONE / (sum(&row[k + 1..]) + sum(coupled));
        for i in k + 1..n {
            let share = row[i] * inverse;
            let target = &mut tail[(i - k - 1) * n..(i - k) * n];
            add_scaled(&mut target[i + 1..], share, &row[i + 1..]);
            add_scaled(&mut coupling_tail[(i - k - 1) * p..(i - k) * p], share, coupled);
        }
        for (share, c) in shares[k * p..(k + 1) * p].iter_mut().zip(coupled) {
            *share = *c * inverse;
        }
    }
    for i in 0..p {
        T::add_products(&mut outer[i * p..(i + 1) * p], i, &shares, &coupling);
    }
    pool.give_back(inner);
    pool.give_back(coupling);
    pool.give_back(shares);
    Block { ports, between: outer }
}

/// Row `i` from column `i` on, plus the sum over k of `shares[k][i] coupling[k][..]`, both of row length
/// `p`: `MANY` columns at a time, then `FEW`, then one. A few columns before `i` may change too, which lie
/// below the diagonal.
#[inline(always)]
pub(super) fn add_products<T: Lane, const MANY: usize, const FEW: usize>(
    row: &mut [T],
    i: usize,
    shares: &[T],
    coupling: &[T],
) {
    let p = row.len();
    let mut column = i / FEW * FEW;
    while column + MANY <= p {
        add_columns::<T, MANY>(row, column, i, shares, coupling);
        column += MANY;
    }
    while column + FEW <= p {
        add_columns::<T, FEW>(row, column, i, shares, coupling);
        column += FEW;
    }
    for column in column.max(i)..p {
        add_columns::<T, 1>(row, column, i, shares, coupling);
    }
}

/// `W` columns from the given one on.
#[inline(always)]
fn add_columns<T: Lane, const W: usize>(
    row: &mut [T],
    column: usize,
    i: usize,
    shares: &[T],
    coupling: &[T],
) {
    let p = row.len();
    let to = &mut row[column..column + W];
    let mut sums: [T; W] = std::array::from_fn(|c| to[c]);
    for (shares, coupling) in shares.chunks_exact(p).zip(coupling.chunks_exact(p)) {
        let (share, coupling) = (shares[i], &coupling[column..column + W]);
        for (sum, c) in sums.iter_mut().zip(coupling) {
            *sum += share * *c;
        }
    }
    to.copy_from_slice(&sums);
}

/// The sum in a fixed order, in several chains.
#[inline(always)]
pub(super) fn sum<T: Lane>(numbers: &[T]) -> T {
    let mut chains = [T::default(); 4];
    let chunks = numbers.chunks_exact(4);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (chain, c) in chains.iter_mut().zip(chunk) {
            *chain += *c;
        }
    }
    for (chain, c) in chains.iter_mut().zip(rest) {
        *chain += *c;
    }
    (chains[0] + chains[1]) + (chains[2] + chains[3])
}

/// `to += factor * from`.
#[inline(always)]
pub(super) fn add_scaled<T: Lane>(to: &mut [T], factor: T, from: &[T]) {
    for (to, c) in to.iter_mut().zip(from) {
        *to += factor * *c;
    }
}
