//! Rows and columns of tiles, permuted so that devices that cannot be written fall where they hurt least.
//!
//! The permutation transformation of Zhang, Uysal, Fan and Ewetz, "Handling stuck-at-faults in memristor crossbar
//! arrays using matrix transformations" (ASP-DAC 2019): weights are assigned to lines so that the sum of squared
//! errors which stuck devices cause is least. Here rows, columns, or both in turn are assigned, each exactly (the
//! Hungarian method), tile by tile; all arrays of a layer share the permutation of a tile. The digital side sends
//! inputs to their lines and puts outputs back.

use memtorch_crossbar::{Array, Layout, Tile};

use crate::hardware::{Hardware, Remapping};
use crate::scheme::Minus;

/// Which row and column of its weights each line of each tile holds.
#[derive(Clone, Debug)]
pub(crate) struct Arrangement {
    tiles: Vec<Lines>,
    /// Sum over the weights of the squared error that stuck devices cause, in relative weights, before and after.
    pub(crate) error: [f64; 2],
}

#[derive(Clone, Debug)]
struct Lines {
    /// For each word line, the row within the tile.
    rows: Vec<usize>,
    /// For each bit line, the column within the tile.
    columns: Vec<usize>,
}

impl Arrangement {
    /// Finds it for arrays whose stuck devices are held. `targets` are what the devices of each array shall
    /// conduct, in the order of the weights. `None` where nothing is to be permuted.
    pub(crate) fn find(
        arrays: &[Array],
        targets: &[Vec<f64>],
        layout: &Layout,
        hardware: &Hardware,
    ) -> Option<Self> {
        if hardware.remapping == Remapping::None || arrays.iter().all(|array| array.masks().is_empty()) {
            return None;
        }
        let mut shares = vec![0.0; arrays.len()];
        for term in hardware.scheme.terms() {
            shares[term.array] += f64::from(term.weight);
            if let Minus::Array(other) = term.minus {
                shares[other] -= f64::from(term.weight);
            }
        }
        let model = &hardware.device.model;
        let floor = hardware.weight_range.floor_ratio(hardware);
        let unit = hardware.scheme.gain(floor) / (1.0 / model.r_on() - 1.0 / model.r_off());
        shares.iter_mut().for_each(|share| *share *= unit);
        let mut stuck: Vec<Vec<(usize, usize)>> = vec![Vec::new(); layout.tile_count()];
        for (number, array) in arrays.iter().enumerate() {
            for (device, _) in array.masks() {
                stuck[layout.place(*device)[0] as usize].push((*device, number));
            }
        }
        // A reference lies where it lies.
        let spare = usize::from(hardware.scheme.reference().is_some());
        let mut arrangement = Self { tiles: Vec::new(), error: [0.0; 2] };
        for (tile, stuck) in layout.tiles().zip(&stuck) {
            let search = Search::new(tile, stuck, spare, &|number, device| {
                let held = arrays[number].conductances()[device];
                (shares[number], held, &targets[number][..])
            });
            let lines = search.run(hardware.remapping, &mut arrangement.error);
            arrangement.tiles.push(lines);
        }
        Some(arrangement)
    }

    /// The rows of each tile's word lines, then the columns of its bit lines, tile after tile.
    pub(crate) fn to_list(&self) -> Vec<usize> {
        self.tiles.iter().flat_map(|lines| lines.rows.iter().chain(&lines.columns)).copied().collect()
    }

    /// The arrangement of such a list; `None` if it is not one of permutations of the layout's lines.
    pub(crate) fn from_list(list: &[usize], layout: &Layout, error: [f64; 2]) -> Option<Self> {
        let mut rest = list;
        let mut take = |count: usize| {
            let (lines, after) = rest.split_at_checked(count)?;
            rest = after;
            let mut sorted = lines.to_vec();
            sorted.sort_unstable();
            sorted.iter().copied().eq(0..count).then(|| lines.to_vec())
        };
        let lines = |tile: Tile| Some(Lines { rows: take(tile.word_lines)?, columns: take(tile.bit_lines)? });
        let tiles = layout.tiles().map(lines).collect::<Option<Vec<_>>>()?;
        rest.is_empty().then_some(Self { tiles, error })
    }

    /// What belongs to weights, in the order of devices.
    pub(crate) fn devices<T: Copy>(&self, layout: &Layout, weights: &[T]) -> Vec<T> {
        let mut devices = weights.to_vec();
        self.pairs(layout, |device, weight| devices[device] = weights[weight]);
        devices
    }

    /// What belongs to devices, in the order of weights.
    pub(crate) fn weights<T: Copy>(&self, layout: &Layout, devices: &[T]) -> Vec<T> {
        let mut weights = devices.to_vec();
        self.pairs(layout, |device, weight| weights[weight] = devices[device]);
        weights
    }

    /// Each device, and the place of its weight.
    fn pairs(&self, layout: &Layout, mut pair: impl FnMut(usize, usize)) {
        for (tile, lines) in layout.tiles().zip(&self.tiles) {
            for (word_line, row) in lines.rows.iter().enumerate() {
                for (bit_line, column) in lines.columns.iter().enumerate() {
                    let at = |word_line, bit_line| tile.offset + word_line * tile.bit_lines + bit_line;
                    pair(at(word_line, bit_line), at(*row, *column));
                }
            }
        }
    }
}

/// A stuck device: its share of the output, what it conducts, and what the devices of its array shall.
type Stuck<'a> = (f64, f64, &'a [f64]);

/// The crossings of a tile with stuck devices.
struct Search<'a> {
    tile: Tile,
    /// Bit lines at the end that stay where they are.
    spare: usize,
    crossings: Vec<([usize; 2], Vec<Stuck<'a>>)>,
}

impl<'a> Search<'a> {
    fn new(
        tile: Tile,
        stuck: &[(usize, usize)],
        spare: usize,
        of: &dyn Fn(usize, usize) -> Stuck<'a>,
    ) -> Self {
        let mut sorted = stuck.to_vec();
        sorted.sort_unstable();
        let mut crossings: Vec<([usize; 2], Vec<Stuck<'a>>)> = Vec::new();
        for (device, number) in sorted {
            let within = device - tile.offset;
            let place = [within / tile.bit_lines, within % tile.bit_lines];
            if place[1] + spare >= tile.bit_lines {
                continue;
            }
            match crossings.last_mut() {
                Some((last, list)) if *last == place => list.push(of(number, device)),
                _ => crossings.push((place, vec![of(number, device)])),
            }
        }
        Self { tile, spare, crossings }
    }

    /// The squared error at a crossing if it holds a weight.
    fn error(&self, stuck: &[Stuck<'_>], row: usize, column: usize) -> f64 {
        let weight = self.tile.offset + row * self.tile.bit_lines + column;
        let error: f64 = stuck.iter().map(|(share, held, targets)| share * (held - targets[weight])).sum();
        error * error
    }

    fn total(&self, lines: &Lines) -> f64 {
        self.crossings
            .iter()
            .map(|([i, j], stuck)| self.error(stuck, lines.rows[*i], lines.columns[*j]))
            .sum()
    }

    /// Assigns rows and columns in turn until it helps no more; adds the errors before and after.
    fn run(&self, remapping: Remapping, errors: &mut [f64; 2]) -> Lines {
        /// Turns of both; the error rarely falls after the second.
        const TURNS: usize = 8;
        let mut lines =
            Lines { rows: (0..self.tile.word_lines).collect(), columns: (0..self.tile.bit_lines).collect() };
        if self.crossings.is_empty() {
            return lines;
        }
        let mut error = self.total(&lines);
        errors[0] += error;
        for _ in 0..TURNS {
            let mut next = lines.clone();
            if remapping != Remapping::Columns {
                let n = self.tile.word_lines;
                let mut cost = vec![0.0; n * n];
                for ([i, j], stuck) in &self.crossings {
                    for row in 0..n {
                        cost[i * n + row] += self.error(stuck, row, next.columns[*j]);
                    }
                }
                next.rows = assign(&cost, n);
            }
            if remapping != Remapping::Rows {
                let n = self.tile.bit_lines - self.spare;
                let mut cost = vec![0.0; n * n];
                for ([i, j], stuck) in &self.crossings {
                    for column in 0..n {
                        cost[j * n + column] += self.error(stuck, next.rows[*i], column);
                    }
                }
                next.columns[..n].copy_from_slice(&assign(&cost, n));
            }
            let found = self.total(&next);
            // Rounding may make an equal sum a little smaller.
            if found >= error * (1.0 - 1e-12) {
                break;
            }
            (lines, error) = (next, found);
            if remapping != Remapping::Both {
                break;
            }
        }
        errors[1] += error;
        lines
    }
}

/// For each line the item that it gets, so that the sum of `cost[line * n + item]` is least: the Hungarian method
/// with potentials (Kuhn 1955, Munkres 1957), in time n^3.
fn assign(cost: &[f64], n: usize) -> Vec<usize> {
    // Lines and items count from 1; 0 is none.
    let (mut lines, mut items) = (vec![0.0; n + 1], vec![0.0; n + 1]);
    let (mut owner, mut way) = (vec![0usize; n + 1], vec![0usize; n + 1]);
    for line in 1..=n {
        owner[0] = line;
        let mut at = 0;
        let mut least = vec![f64::INFINITY; n + 1];
        let mut used = vec![false; n + 1];
        loop {
            used[at] = true;
            let (from, mut step, mut next) = (owner[at], f64::INFINITY, 0);
            for item in 1..=n {
                if used[item] {
                    continue;
                }
                let reduced = cost[(from - 1) * n + item - 1] - lines[from] - items[item];
                if reduced < least[item] {
                    (least[item], way[item]) = (reduced, at);
                }
                if least[item] < step {
                    (step, next) = (least[item], item);
                }
            }
            for item in 0..=n {
                if used[item] {
                    lines[owner[item]] += step;
                    items[item] -= step;
                } else {
                    least[item] -= step;
                }
            }
            at = next;
            if owner[at] == 0 {
                break;
            }
        }
        while at != 0 {
            owner[at] = owner[way[at]];
            at = way[at];
        }
    }
    let mut assigned = vec![0; n];
    for item in 1..=n {
        assigned[owner[item] - 1] = item - 1;
    }
    assigned
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All permutations of 0..n.
    fn permutations(n: usize) -> Vec<Vec<usize>> {
        if n == 0 {
            return vec![Vec::new()];
        }
        let shorter = permutations(n - 1);
        (0..n)
            .flat_map(|first| {
                shorter.iter().map(move |rest| {
                    let shifted = rest.iter().map(|item| if *item >= first { item + 1 } else { *item });
                    std::iter::once(first).chain(shifted).collect()
                })
            })
            .collect()
    }

    #[test]
    fn no_other_assignment_costs_less() {
        let stream = memtorch_devices::Stream::root(5, 0);
        for n in 1..=6usize {
            for trial in 0..20 {
                // Some costs are equal, some zero.
                let draw = |i: usize| (stream.at([i as u32, trial, n as u32]).uniform() * 5.0).floor() / 2.0;
                let cost: Vec<f64> = (0..n * n).map(draw).collect();
                let sum = |items: &[usize]| -> f64 {
                    items.iter().enumerate().map(|(line, item)| cost[line * n + item]).sum()
                };
                let found = assign(&cost, n);
                let mut sorted = found.clone();
                sorted.sort_unstable();
                assert_eq!(sorted, (0..n).collect::<Vec<_>>());
                let best = permutations(n).iter().map(|items| sum(items)).fold(f64::INFINITY, f64::min);
                assert!((sum(&found) - best).abs() < 1e-12, "{n}: {} {best}", sum(&found));
            }
        }
    }
}
