use super::block::{Block, Joint, join};
use super::lane::Lane;

/// Joins a grid of blocks (row-major) pair by pair until one is left. Pairs are made along the
/// direction in which the blocks are shorter, so that they stay near square.
///
/// `height` and `width` are those of one block in cells.
#[inline(always)]
pub(super) fn join_all<T: Lane>(
    mut grid: Vec<Block<T>>,
    [mut rows, mut columns]: [usize; 2],
    [mut height, mut width]: [usize; 2],
    mut join_level: impl FnMut(Vec<[Option<Block<T>>; 2]>, bool) -> Vec<Block<T>>,
) -> Block<T> {
    while rows * columns > 1 {
        let below = rows > 1 && (height < width || columns == 1);
        let mut old: Vec<Option<Block<T>>> = grid.into_iter().map(Some).collect();
        let mut pairs = Vec::with_capacity(old.len().div_ceil(2));
        for i in (0..rows).step_by(if below { 2 } else { 1 }) {
            for j in (0..columns).step_by(if below { 1 } else { 2 }) {
                let first = i * columns + j;
                let (second, exists) =
                    if below { (first + columns, i + 1 < rows) } else { (first + 1, j + 1 < columns) };
                pairs.push([old[first].take(), if exists { old[second].take() } else { None }]);
            }
        }
        if below {
            (rows, height) = (rows.div_ceil(2), 2 * height);
        } else {
            (columns, width) = (columns.div_ceil(2), 2 * width);
        }
        grid = join_level(pairs, below);
    }
    grid.pop().expect("a grid has at least one block")
}

/// One pair, or the block that is left over at an odd end.
#[inline(always)]
pub(super) fn join_pair<T: Lane>(
    pair: [Option<Block<T>>; 2],
    below: bool,
    eliminate: impl Fn(Joint<T>) -> Block<T>,
) -> Block<T> {
    match pair {
        [Some(first), Some(second)] => eliminate(join(&first, &second, below)),
        [Some(first), None] => first,
        _ => unreachable!("a pair has a first block"),
    }
}
