use super::block::Block;

/// How a grid of blocks (row-major) is joined, pair by pair, until one is left. Pairs are made along
/// the direction in which the blocks are shorter, so that they stay near square.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Of one block, in cells.
    pub(super) height: usize,
    /// Of one block, in cells.
    pub(super) width: usize,
}

/// Two blocks to be joined, or one that is left over at an odd end.
pub(super) type Pair<T> = (Block<T>, Option<Block<T>>);

impl Grid {
    /// The next pairs, and whether the second lies below the first; `self` becomes the grid of what
    /// is joined. Only for grids of more than one block.
    pub(super) fn pair<T>(&mut self, blocks: Vec<Block<T>>) -> (Vec<Pair<T>>, bool) {
        let Self { rows, columns, height, width } = *self;
        let below = rows > 1 && (height < width || columns == 1);
        let mut old: Vec<Option<Block<T>>> = blocks.into_iter().map(Some).collect();
        let mut pairs = Vec::with_capacity(old.len());
        for i in (0..rows).step_by(if below { 2 } else { 1 }) {
            for j in (0..columns).step_by(if below { 1 } else { 2 }) {
                let first = i * columns + j;
                let (second, exists) =
                    if below { (first + columns, i + 1 < rows) } else { (first + 1, j + 1 < columns) };
                let block = old[first].take().expect("each block is in one pair");
                pairs.push((block, if exists { old[second].take() } else { None }));
            }
        }
        if below {
            (self.rows, self.height) = (rows.div_ceil(2), 2 * height);
        } else {
            (self.columns, self.width) = (columns.div_ceil(2), 2 * width);
        }
        (pairs, below)
    }
}
