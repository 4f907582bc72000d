use memtorch_crossbar::{Layout, Tile};

/// The places of devices that are visited in ascending order: as [`Layout::place`], without its divisions.
pub(crate) struct Places {
    layout: Layout,
    tile: Tile,
    row: usize,
    /// Devices from here on are on the current word line, ...
    start: usize,
    /// ... up to here.
    end: usize,
}

impl Places {
    pub(crate) fn new(layout: Layout) -> Self {
        let tile = layout.tile(0);
        Self { layout, tile, row: 0, start: 0, end: tile.bit_lines }
    }

    /// `[tile, word line, bit line]` of a device, which must not lie before the last one.
    #[inline]
    pub(crate) fn at(&mut self, device: usize) -> [u32; 3] {
        while device >= self.end {
            self.row += 1;
            if self.row == self.tile.word_lines {
                self.tile = self.layout.tile(self.tile.index + 1);
                self.row = 0;
            }
            self.start = self.end;
            self.end += self.tile.bit_lines;
        }
        [self.tile.index as u32, self.row as u32, (device - self.start) as u32]
    }
}

#[cfg(test)]
mod tests {
    use memtorch_crossbar::TileShape;

    use super::*;

    #[test]
    fn places_are_those_of_the_layout() {
        for (groups, rows, columns, word_lines, bit_lines) in
            [(1, 1, 1, 1, 1), (1, 5, 7, 2, 3), (3, 4, 4, 4, 4), (2, 9, 1, 128, 128), (2, 130, 70, 64, 32)]
        {
            let layout =
                Layout::new(groups, rows, columns, TileShape::Sized { word_lines, bit_lines }).unwrap();
            for step in [1, 3, 50] {
                let mut places = Places::new(layout);
                for device in (0..layout.device_count()).step_by(step) {
                    assert_eq!(places.at(device), layout.place(device));
                }
            }
        }
    }
}
