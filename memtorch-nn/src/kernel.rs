//! Loops over elements, compiled for the registers that the processor has.

pub(crate) use memtorch_utils::kernel::{Loop, wide, widest};

/// Replaces each element by `f` of it.
#[inline(always)]
pub(crate) fn each(values: &mut [f32], f: impl Fn(f32) -> f32) {
    wide(|| values.iter_mut().for_each(|x| *x = f(*x)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math;

    /// Kept from being compiled together with a loop.
    #[inline(never)]
    fn alone(f: impl Fn(f32) -> f32, x: f32) -> f32 {
        f(std::hint::black_box(x))
    }

    #[test]
    fn a_loop_gives_the_bits_of_single_elements() {
        let numbers: Vec<f32> = (0..1003).map(|i| (i as f32 - 500.0) * 0.037).collect();
        let functions: [fn(f32) -> f32; 4] =
            [math::sigmoid, math::tanh, math::exp, |x| (x * 0.2 + 0.5).clamp(0.0, 1.0) * x];
        for f in functions {
            let mut together = numbers.clone();
            each(&mut together, f);
            for (&x, &y) in numbers.iter().zip(&together) {
                assert_eq!(y.to_bits(), alone(f, x).to_bits(), "{x}");
            }
        }
        let mut sigmoid = numbers.clone();
        each(&mut sigmoid, math::sigmoid);
        let mut swish = numbers.clone();
        each(&mut swish, |x| x * math::sigmoid(x));
        for ((&x, &s), &y) in numbers.iter().zip(&sigmoid).zip(&swish) {
            assert_eq!(s.to_bits(), alone(math::sigmoid, x).to_bits());
            assert_eq!(y.to_bits(), (x * s).to_bits());
        }
    }
}
