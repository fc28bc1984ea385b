//! Arithmetic on numbers as they are, without scales: floats, and integers that wrap.

use burnlite_tflite::Element;

/// A number that operators calculate with as it is.
///
/// Where the reference's integer arithmetic overflows, its result is undefined; here it wraps.
pub(crate) trait Number: Element + PartialOrd {
    fn plus(self, other: Self) -> Self;
}

impl Number for f32 {
    #[inline]
    fn plus(self, other: Self) -> Self {
        self + other
    }
}

macro_rules! integers {
    ($($integer:ident),*) => {$(
        impl Number for $integer {
            #[inline]
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
        }
    )*};
}
integers!(i8, i16, i32, i64);
