use std::ops::{Add, AddAssign, Div, Mul};

/// A number, or one number for each of several equal networks that are reduced side by side.
pub(super) trait Lane:
    Copy + Default + Add<Output = Self> + AddAssign + Mul<Output = Self> + Div<Output = Self>
{
}

impl Lane for f64 {}
