//! The operations on lanes that the kernels are written in.

/// Some f32 side by side.
///
/// Where an operand is NaN, `min` and `max` return the second one, as x86 does.
///
/// # Safety
/// Every method needs the instructions of the type that implements it; pointers are valid for
/// [`Simd::LANES`] elements and need no alignment.
#[allow(clippy::missing_safety_doc, reason = "stated once above")]
pub(super) trait Simd: Copy {
    /// How many.
    const LANES: usize;

    unsafe fn splat(x: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    /// `self * b + c`, rounded once.
    unsafe fn mul_add(self, b: Self, c: Self) -> Self;
    unsafe fn mul(self, b: Self) -> Self;
    unsafe fn add(self, b: Self) -> Self;
    unsafe fn floor(self) -> Self;
    unsafe fn abs(self) -> Self;
    unsafe fn min(self, b: Self) -> Self;
    unsafe fn max(self, b: Self) -> Self;
    /// A bit for each lane in which the two differ, neither being NaN.
    unsafe fn differing(self, b: Self) -> u32;
    /// The largest lane, of lanes that are not NaN.
    unsafe fn largest(self) -> f32;
    /// The first `n` elements, `from` being valid for them; 0 in the other lanes.
    unsafe fn load_first(from: *const f32, n: usize) -> Self;
    /// Stores the first `n` elements, `to` being valid for them.
    unsafe fn store_first(self, to: *mut f32, n: usize);
    /// The elements of even number of `self` and then `b`; and the others.
    unsafe fn split(self, b: Self) -> (Self, Self);
    /// Lane i is lane `order[i]` of `self`, or of `b` from [`Simd::LANES`] on; 0 where that is negative.
    /// `order` has [`Simd::LANES`] elements, each below twice as many.
    unsafe fn pick(self, b: Self, order: *const i32) -> Self;
    /// Asks for the cache line of an address, which may be any.
    unsafe fn prefetch(at: *const f32);
}
