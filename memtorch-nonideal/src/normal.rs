use memtorch_utils::Stream;

/// Two independent standard normal numbers from one block of random bits at a place, by the transform of
/// Box and Muller (Ann. Math. Stat. 29, 1958).
///
/// The uniform number under the logarithm has 53 bits and lies in (0, 1], so that no magnitude exceeds 8.6.
#[inline]
pub(crate) fn normals(stream: Stream, place: [u32; 3], draw: u32) -> [f64; 2] {
    const SCALE: f64 = 1.0 / (1u64 << 53) as f64;
    let [a, b, c, d] = stream.words(place, draw);
    let bits = |low: u32, high: u32| (u64::from(low) | u64::from(high) << 32) >> 11;
    let radius = (-2.0 * ((bits(a, b) + 1) as f64 * SCALE).ln()).sqrt();
    let (sine, cosine) = (std::f64::consts::TAU * (bits(c, d) as f64 * SCALE)).sin_cos();
    [radius * cosine, radius * sine]
}
