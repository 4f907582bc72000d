//! Loops over elements, compiled for the registers that the processor has.
//!
//! Wider registers take more elements at a time and change nothing else: the compiler never fuses a
//! multiplication and an addition that are not written as one, so every instruction set gives the same
//! bits.

#![allow(unsafe_code)]

/// A loop for [`widest`].
pub trait Loop {
    /// What it gives.
    type Output;

    /// Runs it. It must be `#[inline(always)]`, as must be what it calls.
    fn run(self) -> Self::Output;
}

/// Runs a short loop that the compiler may vectorise with the widest registers of this processor. A closure that
/// is too long to be inlined is compiled as elsewhere: see [`widest`].
///
/// ```
/// let mut volts = [0.1f32, -0.2, 0.3];
/// memtorch_utils::kernel::wide(|| volts.iter_mut().for_each(|v| *v *= 2.0));
/// assert_eq!(volts, [0.2, -0.4, 0.6]);
/// ```
#[inline(always)]
pub fn wide<R>(run: impl FnOnce() -> R) -> R {
    struct Closure<F>(F);

    impl<R, F: FnOnce() -> R> Loop for Closure<F> {
        type Output = R;

        #[inline(always)]
        fn run(self) -> R {
            (self.0)()
        }
    }

    widest(Closure(run))
}

/// Runs a loop of any length that the compiler may vectorise with the widest registers of this processor.
#[inline(always)]
pub fn widest<L: Loop>(run: L) -> L::Output {
    #[cfg(target_arch = "x86_64")]
    {
        use std::is_x86_feature_detected as has;

        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma")]
        fn avx512<L: Loop>(run: L) -> L::Output {
            run.run()
        }
        #[target_feature(enable = "avx2,fma")]
        fn avx2<L: Loop>(run: L) -> L::Output {
            run.run()
        }
        if has!("avx2") && has!("fma") {
            if has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl") {
                // SAFETY: the processor has these instructions.
                return unsafe { avx512(run) };
            }
            // SAFETY: the processor has these instructions.
            return unsafe { avx2(run) };
        }
    }
    run.run()
}
