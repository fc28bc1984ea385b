//! The types of a tensor's elements.

use core::fmt;

use crate::schema::enumeration;

enumeration! {
    /// The type of a tensor's elements (`TensorType` of the format).
    pub enum ElementType: i8 {
        /// 32-bit IEEE floating point.
        #[default]
        Float32 = 0,
        /// 16-bit IEEE floating point.
        Float16 = 1,
        /// 32-bit signed integer.
        Int32 = 2,
        /// 8-bit unsigned integer.
        UInt8 = 3,
        /// 64-bit signed integer.
        Int64 = 4,
        /// Strings of any length.
        String = 5,
        /// One byte, 0 or 1.
        Bool = 6,
        /// 16-bit signed integer.
        Int16 = 7,
        /// Two 32-bit floats.
        Complex64 = 8,
        /// 8-bit signed integer.
        Int8 = 9,
        /// 64-bit IEEE floating point.
        Float64 = 10,
        /// Two 64-bit floats.
        Complex128 = 11,
        /// 64-bit unsigned integer.
        UInt64 = 12,
        /// A handle to state that outlives an invocation.
        Resource = 13,
        /// A value of a type known only to the operators.
        Variant = 14,
        /// 32-bit unsigned integer.
        UInt32 = 15,
        /// 16-bit unsigned integer.
        UInt16 = 16,
        /// 4-bit signed integer, two to a byte.
        Int4 = 17,
        /// 16-bit brain floating point.
        BFloat16 = 18,
        /// 2-bit signed integer, four to a byte.
        Int2 = 19,
        /// 4-bit unsigned integer, two to a byte.
        UInt4 = 20,
        /// 8-bit floating point, 4 bits of exponent.
        Float8E4M3 = 21,
        /// 8-bit floating point, 5 bits of exponent.
        Float8E5M2 = 22,
    }
}

impl ElementType {
    /// Bits of one element, or `None` where elements have no fixed size (strings, resources, variants).
    pub const fn bits(self) -> Option<usize> {
        match self {
            Self::Int2 => Some(2),
            Self::Int4 | Self::UInt4 => Some(4),
            Self::UInt8 | Self::Int8 | Self::Bool | Self::Float8E4M3 | Self::Float8E5M2 => Some(8),
            Self::Float16 | Self::BFloat16 | Self::Int16 | Self::UInt16 => Some(16),
            Self::Float32 | Self::Int32 | Self::UInt32 => Some(32),
            Self::Float64 | Self::Int64 | Self::UInt64 | Self::Complex64 => Some(64),
            Self::Complex128 => Some(128),
            Self::String | Self::Resource | Self::Variant => None,
        }
    }

    /// The type whose Rust elements hold this one's: `UInt8` for `Bool` (0 is false, anything else true), `UInt16` for the bits
    /// of `Float16`, else itself.
    pub const fn storage(self) -> Self {
        match self {
            Self::Bool => Self::UInt8,
            Self::Float16 => Self::UInt16,
            other => other,
        }
    }

    /// Bytes that `elements` elements take, the last byte filled up, or `None` on overflow or without a fixed size.
    pub fn bytes_for(self, elements: usize) -> Option<usize> {
        Some(elements.checked_mul(self.bits()?)?.div_ceil(8))
    }

    /// The type's name as it is usually written: `float32`, `int8`, …
    pub const fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float16 => "float16",
            Self::Int32 => "int32",
            Self::UInt8 => "uint8",
            Self::Int64 => "int64",
            Self::String => "string",
            Self::Bool => "bool",
            Self::Int16 => "int16",
            Self::Complex64 => "complex64",
            Self::Int8 => "int8",
            Self::Float64 => "float64",
            Self::Complex128 => "complex128",
            Self::UInt64 => "uint64",
            Self::Resource => "resource",
            Self::Variant => "variant",
            Self::UInt32 => "uint32",
            Self::UInt16 => "uint16",
            Self::Int4 => "int4",
            Self::BFloat16 => "bfloat16",
            Self::Int2 => "int2",
            Self::UInt4 => "uint4",
            Self::Float8E4M3 => "float8_e4m3",
            Self::Float8E5M2 => "float8_e5m2",
        }
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

mod sealed {
    #[expect(unnameable_types, reason = "only this crate says which Rust types are elements")]
    pub trait Sealed {}
}

/// A Rust type whose values are the elements of a tensor, in the file's own (little-endian) representation.
pub trait Element: sealed::Sealed + bytemuck::Pod + PartialEq + fmt::Debug + Send + Sync {
    /// The element type of tensors that hold `Self`; a tensor of another type with this [`storage`](ElementType::storage)
    /// holds it, too.
    const TYPE: ElementType;
}

macro_rules! elements {
    ($($rust:ty => $variant:ident),* $(,)?) => {$(
        impl sealed::Sealed for $rust {}
        impl Element for $rust {
            const TYPE: ElementType = ElementType::$variant;
        }
    )*};
}

elements! {
    f32 => Float32, f64 => Float64,
    i8 => Int8, i16 => Int16, i32 => Int32, i64 => Int64,
    u8 => UInt8, u16 => UInt16, u32 => UInt32, u64 => UInt64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_elements_fill_up_the_last_byte() {
        assert_eq!(ElementType::Int4.bytes_for(3), Some(2));
        assert_eq!(ElementType::Int2.bytes_for(4), Some(1));
        assert_eq!(ElementType::Float32.bytes_for(3), Some(12));
        assert_eq!(ElementType::String.bytes_for(1), None);
        assert_eq!(ElementType::Float64.bytes_for(usize::MAX), None);
    }
}
