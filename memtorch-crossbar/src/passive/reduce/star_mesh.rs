use super::block::{Block, Joint};
use super::lane::Lane;

/// Eliminates the shared nodes of a joint, one after another, by star-mesh transformation: the
/// neighbours a, b of an eliminated node gain a conductance `c_a c_b / sum(c)`.
///
/// The pivot is the sum of the outgoing conductances (Grassmann, Taksar, Heyman, Operations Research
/// 33, 1985, 1107), so that nothing is ever subtracted.
#[inline(always)]
pub(super) fn eliminate<T: Lane>(joint: Joint<T>) -> Block<T> {
    let Joint { shared, ports, mut inner, mut coupling, mut outer } = joint;
    let p = ports.count();
    for k in 0..shared {
        let (head, tail) = inner.split_at_mut((k + 1) * shared);
        let row = &head[k * shared..];
        let (coupling_head, coupling_tail) = coupling.split_at_mut((k + 1) * p);
        let coupled = &coupling_head[k * p..];
        let mut pivot = T::default();
        for c in row[k + 1..].iter().chain(coupled) {
            pivot += *c;
        }
        let inverse = T::ONE / pivot;
        for i in k + 1..shared {
            let share = row[i] * inverse;
            let target = &mut tail[(i - k - 1) * shared..(i - k) * shared];
            add_scaled(&mut target[i + 1..], share, &row[i + 1..]);
            add_scaled(&mut coupling_tail[(i - k - 1) * p..(i - k) * p], share, coupled);
        }
        for i in 0..p {
            add_scaled(&mut outer[i * p + i + 1..(i + 1) * p], coupled[i] * inverse, &coupled[i + 1..]);
        }
    }
    Block { ports, between: outer }
}

/// `to += factor * from`.
#[inline(always)]
pub(super) fn add_scaled<T: Lane>(to: &mut [T], factor: T, from: &[T]) {
    for (to, c) in to.iter_mut().zip(from) {
        *to += factor * *c;
    }
}
