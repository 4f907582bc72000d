//! Numbers of about 32 digits as unevaluated sums of two (Dekker, Numerische Mathematik 18, 1971, 224).

use std::ops::{Add, Div, Mul, Neg, Sub};

#[derive(Clone, Copy, Debug)]
pub struct Dd(f64, f64);

impl Dd {
    pub fn value(self) -> f64 {
        self.0 + self.1
    }

    pub fn is_zero(self) -> bool {
        self.0 == 0.0 && self.1 == 0.0
    }
}

impl From<f64> for Dd {
    fn from(x: f64) -> Self {
        Self(x, 0.0)
    }
}

fn quick_sum(a: f64, b: f64) -> Dd {
    let s = a + b;
    Dd(s, b - (s - a))
}

fn sum(a: f64, b: f64) -> Dd {
    let s = a + b;
    let v = s - a;
    Dd(s, (a - (s - v)) + (b - v))
}

fn product(a: f64, b: f64) -> Dd {
    let p = a * b;
    Dd(p, a.mul_add(b, -p))
}

impl Add for Dd {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        let (s, t) = (sum(self.0, o.0), sum(self.1, o.1));
        let c = quick_sum(s.0, s.1 + t.0);
        quick_sum(c.0, c.1 + t.1)
    }
}

impl Neg for Dd {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0, -self.1)
    }
}

impl Sub for Dd {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        self + -o
    }
}

impl Mul for Dd {
    type Output = Self;
    fn mul(self, o: Self) -> Self {
        let p = product(self.0, o.0);
        quick_sum(p.0, p.1 + (self.0 * o.1 + self.1 * o.0))
    }
}

impl Div for Dd {
    type Output = Self;
    fn div(self, o: Self) -> Self {
        let q1 = self.0 / o.0;
        let r = self - Dd::from(q1) * o;
        let q2 = r.0 / o.0;
        let r = r - Dd::from(q2) * o;
        let q3 = r.0 / o.0;
        quick_sum(q1, q2) + Dd::from(q3)
    }
}
