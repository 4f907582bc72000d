//! How a loop is compiled for what the processor can do.

/// A function that runs a plain one, compiled for AVX-512 and AVX2 too: the same operations in the same
/// order on every path, nothing fused unless it says so. The plain function must be `#[inline(always)]`.
macro_rules! for_each_processor {
    ($(#[$doc:meta])* $name:ident, $plain:path, ($($arg:ident: $type:ty),*) -> $out:ty) => {
        $(#[$doc])*
        pub(super) fn $name($($arg: $type),*) -> $out {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f")]
                fn avx512($($arg: $type),*) -> $out {
                    $plain($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $type),*) -> $out {
                    $plain($($arg),*)
                }
                if std::arch::is_x86_feature_detected!("avx512f") {
                    // SAFETY: the processor has AVX-512F.
                    return unsafe { avx512($($arg),*) };
                }
                if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
                    // SAFETY: the processor has AVX2 and FMA.
                    return unsafe { avx2($($arg),*) };
                }
            }
            $plain($($arg),*)
        }
    };
}

pub(super) use for_each_processor;
