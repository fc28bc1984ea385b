//! The format's schema, as Rust: two macros that describe its enumerations and option tables once, and read and
//! write them.
//!
//! The code that `flatc` generates for Rust reads tables through `unsafe`; this workspace keeps `unsafe` to its kernels,
//! and input from strangers wants every access checked anyway. So tables are read by [`Table`], which checks every
//! offset, and written by the `flatbuffers` crate's builder. Field numbers and defaults are facts of the format.

use alloc::string::String;
use alloc::vec::Vec;

use flatbuffers::{FlatBufferBuilder, TableFinishedWIPOffset, WIPOffset};

use crate::Error;
use crate::table::Table;

/// The offset of field `slot` in a table's vtable: two 16-bit lengths stand before the fields.
pub(crate) const fn slot_offset(slot: u16) -> u16 {
    4 + 2 * slot
}

/// A finished table of the file under construction.
pub(crate) type TableOffset = WIPOffset<TableFinishedWIPOffset>;

/// A group of options that is a table in the file.
pub(crate) trait Options: Sized + Default {
    /// Reads the table; absent fields take their defaults.
    fn read(table: Table<'_, '_>) -> Result<Self, Error>;
    /// Writes the table; fields that have their default are left out.
    fn write(&self, builder: &mut FlatBufferBuilder<'_>) -> TableOffset;
}

/// A field of a table: what is written before the table (vectors), and in it.
pub(crate) trait Field: Sized {
    type Prepared;
    fn read(table: &Table<'_, '_>, slot: u16, name: &'static str, default: Self) -> Result<Self, Error>;
    fn prepare(&self, builder: &mut FlatBufferBuilder<'_>) -> Self::Prepared;
    fn push(prepared: Self::Prepared, builder: &mut FlatBufferBuilder<'_>, slot: u16, default: Self);
}

macro_rules! scalar_fields {
    ($($scalar:ty),*) => {$(
        impl Field for $scalar {
            type Prepared = Self;
            fn read(table: &Table<'_, '_>, slot: u16, _: &'static str, default: Self) -> Result<Self, Error> {
                Ok(table.scalar(slot)?.map_or(default, Self::from_le_bytes))
            }
            fn prepare(&self, _: &mut FlatBufferBuilder<'_>) -> Self {
                *self
            }
            fn push(value: Self, builder: &mut FlatBufferBuilder<'_>, slot: u16, default: Self) {
                builder.push_slot(slot_offset(slot), value, default);
            }
        }
    )*};
}
scalar_fields!(i8, i32, u32, i64, f32);

impl Field for bool {
    type Prepared = Self;
    fn read(table: &Table<'_, '_>, slot: u16, _: &'static str, default: Self) -> Result<Self, Error> {
        Ok(table.scalar::<1>(slot)?.map_or(default, |byte| byte != [0]))
    }
    fn prepare(&self, _: &mut FlatBufferBuilder<'_>) -> Self {
        *self
    }
    fn push(value: Self, builder: &mut FlatBufferBuilder<'_>, slot: u16, default: Self) {
        builder.push_slot(slot_offset(slot), value, default);
    }
}

impl Field for Vec<i32> {
    type Prepared = Option<WIPOffset<flatbuffers::Vector<'static, i32>>>;
    fn read(table: &Table<'_, '_>, slot: u16, _: &'static str, default: Self) -> Result<Self, Error> {
        Ok(table.scalars(slot)?.unwrap_or(default))
    }
    fn prepare(&self, builder: &mut FlatBufferBuilder<'_>) -> Self::Prepared {
        (!self.is_empty()).then(|| WIPOffset::new(builder.create_vector(self).value()))
    }
    fn push(vector: Self::Prepared, builder: &mut FlatBufferBuilder<'_>, slot: u16, _: Self) {
        if let Some(vector) = vector {
            builder.push_slot_always(slot_offset(slot), vector);
        }
    }
}

impl Field for String {
    type Prepared = Option<WIPOffset<&'static str>>;
    fn read(table: &Table<'_, '_>, slot: u16, _: &'static str, default: Self) -> Result<Self, Error> {
        Ok(table.string(slot)?.map_or(default, Self::from))
    }
    fn prepare(&self, builder: &mut FlatBufferBuilder<'_>) -> Self::Prepared {
        (!self.is_empty()).then(|| WIPOffset::new(builder.create_string(self).value()))
    }
    fn push(string: Self::Prepared, builder: &mut FlatBufferBuilder<'_>, slot: u16, _: Self) {
        if let Some(string) = string {
            builder.push_slot_always(slot_offset(slot), string);
        }
    }
}

/// Declares an enumeration of the format: its values are read with a check and written as its integer.
macro_rules! enumeration {
    (
        $(#[$meta:meta])*
        pub enum $name:ident: $repr:ty {
            $($(#[$variant_meta:meta])* $variant:ident = $value:literal,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        #[non_exhaustive]
        #[repr($repr)]
        pub enum $name {
            $($(#[$variant_meta])* $variant = $value,)*
        }

        impl $name {
            /// The value that the format's integer stands for, or `None` where the format has none.
            pub const fn from_code(code: i64) -> Option<Self> {
                match code {
                    $($value => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }

        impl $crate::schema::Field for $name {
            type Prepared = Self;
            fn read(
                table: &$crate::table::Table<'_, '_>,
                slot: u16,
                name: &'static str,
                default: Self,
            ) -> Result<Self, $crate::Error> {
                let code = <$repr as $crate::schema::Field>::read(table, slot, name, default as $repr)?;
                Self::from_code(code.into()).ok_or($crate::Error::UnknownValue {
                    table: table.name(),
                    field: name,
                    value: code.into(),
                })
            }
            fn prepare(&self, _: &mut flatbuffers::FlatBufferBuilder<'_>) -> Self {
                *self
            }
            fn push(value: Self, builder: &mut flatbuffers::FlatBufferBuilder<'_>, slot: u16, default: Self) {
                <$repr as $crate::schema::Field>::push(value as $repr, builder, slot, default as $repr);
            }
        }
    };
}
pub(crate) use enumeration;

/// Declares a table of options: `number name: type = default` for each field.
macro_rules! options {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$field_meta:meta])* $slot:literal $field:ident: $type:ty = $default:expr,)*
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl Default for $name {
            /// The values that the format assumes where a file says nothing.
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $crate::schema::Options for $name {
            fn read(table: $crate::table::Table<'_, '_>) -> Result<Self, $crate::Error> {
                Ok(Self {
                    $($field: $crate::schema::Field::read(&table, $slot, stringify!($field), $default)?,)*
                })
            }
            fn write(
                &self,
                builder: &mut flatbuffers::FlatBufferBuilder<'_>,
            ) -> $crate::schema::TableOffset {
                $(let $field = $crate::schema::Field::prepare(&self.$field, builder);)*
                let start = builder.start_table();
                $(<$type as $crate::schema::Field>::push($field, builder, $slot, $default);)*
                builder.end_table(start)
            }
        }
    )*};
}
pub(crate) use options;
