/// How far to go in an iteration that may swing: all the way, and less after each step that was not shorter than
/// the one before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Relaxation {
    share: f64,
    last: f64,
}

impl Relaxation {
    pub(super) fn new() -> Self {
        Self { share: 1.0, last: f64::INFINITY }
    }

    /// The share of the way, after a step that changed so much.
    pub(super) fn share(&mut self, change: f64) -> f64 {
        if change > 0.9 * self.last {
            self.share = (0.7 * self.share).max(0.02);
        }
        self.last = change;
        self.share
    }
}
