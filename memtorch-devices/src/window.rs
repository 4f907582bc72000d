use crate::Lane;

/// A factor on the velocity of a state x in [0, 1] that holds it within its bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum Window {
    /// 1 everywhere: the state is only clipped.
    #[default]
    None,
    /// `1 - |2x - 1|^(2p)`. It is 0 at both ends: a device that gets there stays there for ever
    /// (Joglekar and Wolf, Eur. J. Phys. 30, 2009).
    Joglekar,
    /// `1 - x^(2p)` when the state is driven to 1, `1 - (1 - x)^(2p)` when to 0
    /// (Biolek et al., Radioengineering 18, 2009).
    Biolek,
    /// `j (1 - ((x - 0.5)^2 + 0.75)^p)`. It is 0 at both ends, like Joglekar's
    /// (Prodromakis et al., IEEE Trans. Electron Devices 58, 2011).
    Prodromakis,
    /// `exp(-exp((w - a_off)/w_c))` towards OFF, `exp(-exp(-(w - a_on)/w_c))` towards ON, w in metres: VTEAM only
    /// (Kvatinsky et al., IEEE Trans. Circuits Syst. I 60, 2013).
    Team,
}

impl Window {
    /// The window of this name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "none" => Self::None,
            "joglekar" => Self::Joglekar,
            "biolek" => Self::Biolek,
            "prodromakis" => Self::Prodromakis,
            "team" => Self::Team,
            _ => return None,
        })
    }

    /// What a person should know of a window that lets no state leave a bound.
    pub(crate) fn caution(self) -> Option<String> {
        let name = match self {
            Self::Joglekar => "joglekar",
            Self::Prodromakis => "prodromakis",
            Self::None | Self::Biolek | Self::Team => return None,
        };
        Some(format!(
            "the window {name} is 0 at both bounds: a device that gets to one, or starts there as at r_on, stays \
             there for ever"
        ))
    }

    /// The factor of a normalised state; `to_one` holds where the state is driven to 1. 1 for
    /// [`Window::Team`], which is the model's own.
    #[inline(always)]
    pub fn factor<L: Lane>(self, x: L, to_one: L::Mask, p: L, j: L) -> L {
        let one = L::splat(1.0);
        let two_p = p + p;
        match self {
            Self::None | Self::Team => one,
            Self::Joglekar => one - (x + x - one).abs().pow(two_p),
            Self::Biolek => one - L::select(to_one, x, one - x).pow(two_p),
            Self::Prodromakis => {
                let centred = x - L::splat(0.5);
                j * (one - centred.mul_add(centred, L::splat(0.75)).pow(p))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Lanes;

    fn factor(window: Window, x: f64, up: bool, p: f64, j: f64) -> f64 {
        window.factor(Lanes([x]), [up], Lanes([p]), Lanes([j])).0[0]
    }

    /// Fault 11 of the published tool: Joglekar and Prodromakis with misplaced exponents.
    #[test]
    fn windows_are_those_of_their_papers() {
        for p in [0.7, 1.0, 2.0, 5.0] {
            for x in [0.0, 0.1, 0.5, 0.8, 1.0] {
                let near = |found: f64, expected: f64| {
                    assert!((found - expected).abs() < 1e-14, "{p} {x}: {found} {expected}");
                };
                near(factor(Window::Joglekar, x, true, p, 1.0), 1.0 - (2.0 * x - 1.0f64).abs().powf(2.0 * p));
                near(factor(Window::Biolek, x, true, p, 1.0), 1.0 - x.powf(2.0 * p));
                near(factor(Window::Biolek, x, false, p, 1.0), 1.0 - (1.0 - x).powf(2.0 * p));
                let inner = (x - 0.5) * (x - 0.5) + 0.75;
                near(factor(Window::Prodromakis, x, true, p, 1.5), 1.5 * (1.0 - inner.powf(p)));
                assert_eq!(factor(Window::None, x, true, p, 1.0), 1.0);
            }
        }
        for window in [Window::Joglekar, Window::Prodromakis] {
            assert_eq!(factor(window, 0.0, true, 1.0, 1.0), 0.0);
            assert_eq!(factor(window, 1.0, false, 1.0, 1.0), 0.0);
            assert!(factor(window, 0.5, false, 1.0, 1.0) > 0.2);
            assert!(window.caution().is_some_and(|caution| caution.contains("for ever")));
        }
        for window in [Window::None, Window::Biolek, Window::Team] {
            assert_eq!(window.caution(), None);
        }
    }
}
