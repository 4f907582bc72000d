//! Numbers of 16 bits.

/// The value of 16 bits: a sign, 5 bits of exponent, 10 of mantissa (IEEE 754 binary16). Exact.
pub(crate) fn half(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let (exponent, mantissa) = (u32::from(bits >> 10 & 0x1f), u32::from(bits & 0x3ff));
    let magnitude = match (exponent, mantissa) {
        (0, m) => m as f32 * 2.0f32.powi(-24),
        (0x1f, m) => f32::from_bits(0x7f80_0000 | m << 13),
        (e, m) => f32::from_bits((e + 112) << 23 | m << 13),
    };
    f32::from_bits(magnitude.to_bits() | sign)
}

/// The value of the upper 16 bits of an f32.
pub(crate) fn brain(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}
