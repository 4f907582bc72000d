// The functions of memtorch_devices::Lane for one device, to the bit: sums, products, quotients, roots, fused
// operations and bits only.
#pragma once

#include "common.cuh"

// Whole coefficients are made by the compiler, so that the GPU and the CPU divide alike.
struct Factorials {
    double of[24];
};
constexpr Factorials factorials()
{
    Factorials result = {};
    for (int n = 0; n < 24; n++) {
        double factorial = 1.0;
        for (int k = 2; k <= n; k++) {
            factorial *= k;
        }
        result.of[n] = factorial;
    }
    return result;
}
constexpr Factorials FACTORIAL = factorials();

template <int N> struct Series {
    double of[N];
};
// 1 / first!, 1 / (first + 1)!, ..., from the highest down.
template <int N> constexpr Series<N> inverse_factorials(int first)
{
    Series<N> result = {};
    for (int i = 0; i < N; i++) {
        result.of[i] = 1.0 / FACTORIAL.of[first + N - 1 - i];
    }
    return result;
}
// Every second term, with alternating signs.
template <int N> constexpr Series<N> alternating(int first)
{
    Series<N> result = {};
    for (int i = 0; i < N; i++) {
        result.of[N - 1 - i] = (i % 2 == 0 ? 1.0 : -1.0) / FACTORIAL.of[first + 2 * i];
    }
    return result;
}
// 1/3, 1/5, ..., from the highest down.
template <int N> constexpr Series<N> odd_inverses()
{
    Series<N> result = {};
    for (int i = 0; i < N; i++) {
        result.of[N - 1 - i] = 1.0 / (2 * i + 3);
    }
    return result;
}

constexpr double ROUND = 6755399441055744.0;
constexpr double LN2_HIGH = 0.6931471803691238, LN2_LOW = 1.9082149292705877e-10;
constexpr double LOG2_E = 1.4426950408889634;
constexpr double TWO_PI = 2.0 * 3.141592653589793;
constexpr u64 SQRT_HALF = 0x3fe6a09e667f3bcd;

__device__ inline u64 bits_of(double x) { return __double_as_longlong(x); }
__device__ inline double of_bits(u64 bits) { return __longlong_as_double(bits); }
__device__ inline double infinity() { return of_bits(0x7ff0000000000000); }

template <int N> __device__ inline double horner(double x, const Series<N>& series)
{
    double sum = series.of[0];
#pragma unroll
    for (int i = 1; i < N; i++) {
        sum = fma(sum, x, series.of[i]);
    }
    return sum;
}

__device__ inline double lesser(double a, double b) { return a < b ? a : b; }
__device__ inline double greater(double a, double b) { return a > b ? a : b; }
__device__ inline double clamped(double x, double low, double high)
{
    const double above = x < low ? low : x;
    return above > high ? high : above;
}

__device__ inline double power_of_two(double n) { return of_bits((bits_of(n + ROUND) + 1023) << 52); }

__device__ inline double lane_exp(double value)
{
    constexpr Series<14> EXP = inverse_factorials<14>(0);
    const double x = clamped(value, -746.0, 710.0);
    const double n = (x * LOG2_E + ROUND) - ROUND;
    const double r = fma(n, -LN2_LOW, fma(n, -LN2_HIGH, x));
    const double half = (0.5 * n + ROUND) - ROUND;
    return horner(r, EXP) * power_of_two(half) * power_of_two(n - half);
}

__device__ inline double lane_exp_m1(double x)
{
    constexpr Series<14> EXP_M1 = inverse_factorials<14>(1);
    return fabs(x) < 0.35 ? horner(x, EXP_M1) * x : lane_exp(x) - 1.0;
}

__device__ inline double lane_ln(double value)
{
    constexpr Series<11> LN = odd_inverses<11>();
    const bool tiny = value < 2.2250738585072014e-308;
    const double x = tiny ? value * 18014398509481984.0 : value;
    const u64 bits = bits_of(x) - SQRT_HALF;
    const double exponent = (double)(int)((long long)bits >> 52) + (tiny ? -54.0 : 0.0);
    const double f = of_bits((bits & 0x000fffffffffffff) + SQRT_HALF) - 1.0;
    const double s = f / (f + 2.0);
    const double z = s * s;
    const double tail = horner(z, LN) * z;
    const double log = fma(exponent, LN2_HIGH, fma(exponent, LN2_LOW, fma(s, tail, s) * 2.0));
    const double end = value == infinity() ? infinity() : value == 0.0 ? -infinity() : of_bits(0x7ff8000000000000);
    const double inside = lesser(greater(value, 5e-324), 1.7976931348623157e308);
    return value == inside ? log : end;
}

__device__ inline double lane_ln_1p(double x)
{
    const double u = x + 1.0;
    const double lost = (x - (u - 1.0)) / u;
    const double log = lane_ln(u) + lost;
    return u == 1.0 || u == infinity() ? x : log;
}

__device__ inline double lane_sinh(double x)
{
    const double magnitude = fabs(x);
    const double e = lane_exp_m1(magnitude);
    const double near = 0.5 * (e + e / (e + 1.0));
    const double half = lane_exp(magnitude * 0.5);
    const double far = 0.5 * half * half;
    return copysign(magnitude > 700.0 ? far : near, x);
}

__device__ inline double lane_pow(double base, double exponent)
{
    const double near = floor(lesser(greater(exponent, 0.0), 8.0));
    if (exponent != near) {
        const double power = lane_exp(exponent * lane_ln(base));
        return base == 0.0 ? 0.0 : power;
    }
    double product = 1.0;
    for (int k = 1; k <= 8 && exponent >= k; k++) {
        product = product * base;
    }
    return product;
}

__device__ inline double lane_cos_turns(double x)
{
    constexpr Series<9> COS = alternating<9>(0), SIN = alternating<9>(1);
    const double quarters = (x * 4.0 + ROUND) - ROUND;
    const double rest = fma(quarters, -0.25, x) * TWO_PI;
    const double square = rest * rest;
    const double cosine = horner(square, COS);
    const double sine = horner(square, SIN) * rest;
    const double which = quarters - 4.0 * floor(quarters * 0.25);
    const double value = 2.0 * floor(0.5 * which) == which ? cosine : -sine;
    return which >= 2.0 ? -value : value;
}
