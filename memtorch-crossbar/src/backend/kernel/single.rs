//! Groups of one bit line, as those of depthwise convolutions: nothing is reused, so that a group's vectors go through
//! in one sweep, and where its results come from is worked out once for all groups.

use super::patches::Panel;
use super::{Convert, Kernel, Piece, Rule, Run, Scattered, output::Output};

/// Where the results of a group are among the lanes of its panels, which lie one after the other.
#[derive(Default)]
pub(super) struct Results {
    pieces: Vec<Piece>,
    /// See [`super::moves::collect`].
    order: Vec<i32>,
    /// Lanes of all panels, and two registers' worth more.
    lanes: usize,
    /// Where the last piece ends in the output of the first group.
    end: usize,
}

impl Results {
    /// For panels with these runs, in registers of so many lanes.
    pub(super) fn plan(&mut self, panels: &[Panel], runs: &[Run], lanes: usize) {
        self.pieces.clear();
        self.order.clear();
        self.end = 0;
        let mut first_lane = 0;
        // The piece in the making: how many results it has.
        let mut held = 0;
        for panel in panels {
            for run in &runs[panel.results.clone()] {
                self.end = self.end.max(run.result + run.len);
                for i in 0..run.len {
                    let (lane, result) = (first_lane + run.lane + i, run.result + i);
                    let fits = self.pieces.last().is_some_and(|piece| {
                        held < lanes && result == piece.result + held && lane < piece.lane + 2 * lanes
                    });
                    if !fits {
                        self.pieces.push(Piece { lane, result, room: 0 });
                        self.order.resize(self.pieces.len() * lanes, -1);
                        held = 0;
                    }
                    let (piece, at) = (self.pieces.len() - 1, held);
                    self.order[piece * lanes + at] = (lane - self.pieces[piece].lane) as i32;
                    held += 1;
                    self.pieces[piece].room = held;
                }
            }
            first_lane += panel.registers * lanes;
        }
        self.lanes = first_lane + 2 * lanes;
        // A piece may write over the results that the next ones bring.
        let mut next: Option<Piece> = None;
        for piece in self.pieces.iter_mut().rev() {
            if let Some(next) = next.filter(|next| next.result == piece.result + piece.room) {
                piece.room += next.room;
            }
            next = Some(*piece);
        }
    }

    /// Elements that the sums, and the totals, of a group need.
    pub(super) fn lanes(&self) -> usize {
        self.lanes
    }

    pub(super) fn pieces(&self) -> (&[Piece], &[i32]) {
        (&self.pieces, &self.order)
    }

    pub(super) fn end(&self) -> usize {
        self.end
    }
}

/// A group of one bit line.
pub(super) struct Single<'a> {
    /// Its devices, one for each word line.
    pub(super) matrix: &'a [f32],
    /// What its vectors are read from, in place.
    pub(super) source: &'a [f32],
    /// Where the elements for each word line are.
    pub(super) offsets: &'a [usize],
    pub(super) panels: &'a [Panel],
    pub(super) results: &'a Results,
    pub(super) rule: Rule<'a>,
    /// Where the group's first result goes.
    pub(super) at: usize,
}

impl Single<'_> {
    /// All vectors through the group. Returns how many codes were clipped. `sums` and `totals` have
    /// [`Results::lanes`] elements.
    ///
    /// # Safety
    /// The processor has the instructions of `K`; every register of every panel ends inside the source for every
    /// offset; no other task has these vectors and this group.
    pub(super) unsafe fn run<K: Kernel>(
        &self,
        output: &Output<'_>,
        sums: &mut [f32],
        totals: &mut [f32],
    ) -> u64 {
        assert!(self.matrix.len() >= self.offsets.len() && sums.len() >= self.results.lanes);
        assert!(totals.len() >= self.results.lanes);
        let (mut lane, mut clipped) = (0, 0);
        for panel in self.panels {
            let width = panel.registers * K::LANES;
            let (sums, totals) = (sums[lane..].as_mut_ptr(), totals[lane..].as_mut_ptr());
            let dot = Scattered {
                depth: self.offsets.len(),
                source: self.source.as_ptr(),
                starts: panel.starts,
                offsets: self.offsets.as_ptr(),
                broadcast: self.matrix.as_ptr(),
                broadcast_step: 1,
                sums,
                sums_step: width,
                fresh: true,
            };
            let convert = Convert {
                rule: self.rule,
                sums,
                totals,
                rows: 1,
                width,
                step: width,
                fresh: true,
                valid: panel.valid,
            };
            // SAFETY: the instructions, and that registers end inside the source, are the caller's promise; both
            // buffers have the lanes of all panels.
            unsafe {
                K::scattered(panel.registers, 1, &dot);
                clipped += K::convert_lanes(panel.registers, &convert);
            }
            lane += width;
        }
        // SAFETY: the caller's promise.
        unsafe { output.put_pieces::<K>(self.at, self.results, totals) };
        clipped
    }
}
