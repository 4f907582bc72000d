/// Declares the numeric parameters of a device model once: a struct of `f64` with the defaults, the same
/// struct for lanes of devices, the names in order, and the [`Field`](crate::Field)s with unit and bounds.
///
/// ```
/// memtorch_devices::device_parameters! {
///     /// Parameters of a resistor that drifts.
///     pub struct Drifting / DriftingLanes {
///         r_on: 1e3, "ohm", f64::MIN_POSITIVE, f64::INFINITY, "resistance of the ON state";
///         r_off: 1e6, "ohm", f64::MIN_POSITIVE, f64::INFINITY, "resistance of the OFF state";
///         nu: 0.05, "", 0.0, 1.0, "drift exponent";
///     }
/// }
/// assert_eq!(Drifting::NAMES, ["r_on", "r_off", "nu"]);
/// assert_eq!(Drifting::default().values(), [1e3, 1e6, 0.05]);
/// ```
#[macro_export]
macro_rules! device_parameters {
    (@unit "") => { "" };
    (@unit $unit:tt) => { concat!(", in ", $unit) };
    ($(#[$attribute:meta])* $visibility:vis struct $name:ident / $lanes:ident {
        $($parameter:ident: $default:expr, $unit:tt, $low:expr, $high:expr, $meaning:expr;)*
    }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        $visibility struct $name {
            $(
                #[doc = concat!(
                    "The ", $meaning, $crate::device_parameters!(@unit $unit), "; ", stringify!($default), " by default."
                )]
                pub $parameter: f64,
            )*
        }

        impl ::core::default::Default for $name {
            fn default() -> Self {
                Self { $($parameter: $default,)* }
            }
        }

        impl $name {
            /// The names in the order of the values.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($parameter)),*];

            /// What can be set: a number or a distribution for each.
            pub const FIELDS: &'static [$crate::Field] = &[$(
                $crate::Field::new(
                    stringify!($parameter),
                    $crate::Kind::Parameter,
                    $crate::Preset::Real($default),
                    $meaning,
                )
                .unit($unit)
                .range($low, $high)
            ),*];

            /// The values in the order of the names.
            pub fn values(&self) -> Vec<f64> {
                vec![$(self.$parameter),*]
            }

            /// From values in the order of the names; what is missing is not a number.
            pub fn from_values(values: &[f64]) -> Self {
                let mut values = values.iter().copied();
                Self { $($parameter: values.next().unwrap_or(f64::NAN),)* }
            }

            /// From a table that was checked against the fields.
            pub fn from_table(table: &$crate::Table) -> Self {
                let real = |name| table.get(name).and_then($crate::Value::as_real).unwrap_or(f64::NAN);
                Self { $($parameter: real(stringify!($parameter)),)* }
            }
        }

        /// The same parameters for several devices at once.
        #[allow(unreachable_pub, reason = "a model may keep it to itself")]
        #[derive(Clone, Copy, Debug)]
        $visibility struct $lanes<L> {
            $(#[doc = concat!("The ", $meaning, ".")] pub $parameter: L,)*
        }

        #[allow(unreachable_pub, reason = "as above")]
        impl<L: $crate::Lane> $lanes<L> {
            /// From lanes in the order of the names.
            #[inline(always)]
            pub fn new(values: &[L]) -> Self {
                let mut at = 0;
                $(let $parameter = values[at]; at += 1;)*
                let _ = at;
                Self { $($parameter,)* }
            }
        }
    };
}
