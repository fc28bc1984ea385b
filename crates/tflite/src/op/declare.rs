//! What the table of operators expands to.

/// Declares [`Op`] from the table of operators:
/// `Variant(Options = number in the options union) NAME = code, inputs min..=max -> outputs min..=max, versions`.
macro_rules! operators {
    ($(
        $(#[$meta:meta])*
        $variant:ident $(($options:ty = $union:literal))? $name:ident = $code:literal,
        $min:literal..=$max:tt -> $min_outputs:literal..=$max_outputs:tt, $versions:expr;
    )*) => {
        /// A kind of operator with its options: one variant for each builtin operator that this crate knows.
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        pub enum Op {
            $($(#[$meta])* $variant $(($options))?,)*
            /// An operator whose options this crate does not read. It can be shown, but not written, quantized or run.
            Unsupported {
                /// Code in the file.
                code: i32,
                /// Name: the builtin operator's, or the custom operator's own.
                name: String,
            },
        }

        impl Op {
            /// Every kind of operator that this crate knows, in the order of their codes in the file.
            pub const TABLE: &[OpInfo] = &[$(OpInfo {
                name: stringify!($name),
                code: $code,
                min_inputs: $min,
                max_inputs: $max,
                min_outputs: $min_outputs,
                max_outputs: $max_outputs,
                versions: $versions,
            },)*];

            /// What the format says about this kind; `None` for [`Op::Unsupported`].
            pub fn info(&self) -> Option<&'static OpInfo> {
                let code = self.code();
                Self::TABLE.iter().find(|info| info.code == code && !matches!(self, Self::Unsupported { .. }))
            }

            /// The operator's code in the file (`BuiltinOperator` of the format).
            pub fn code(&self) -> i32 {
                match self {
                    $(operators!(@pattern $variant $(($options))?) => $code,)*
                    Self::Unsupported { code, .. } => *code,
                }
            }

            /// The operator's name in capitals, for example `CONV_2D`; a custom operator's own name.
            pub fn name(&self) -> &str {
                match self {
                    $(operators!(@pattern $variant $(($options))?) => stringify!($name),)*
                    Self::Unsupported { name, .. } => name,
                }
            }

            /// The operator of the given code with the options in the file.
            pub(crate) fn read(code: i32, custom: &str, options: Option<(u8, Table<'_, '_>)>) -> Result<Self, Error> {
                match code {
                    $($code => operators!(@read $variant options, $(($options = $union))?),)*
                    CUSTOM => Ok(Self::Unsupported { code, name: custom.into() }),
                    _ => {
                        let name = builtin_name(code)
                            .map_or_else(|| alloc::format!("unknown operator {code}"), String::from);
                        Ok(Self::Unsupported { code, name })
                    }
                }
            }

            /// The number in the options union and the options, where the operator has any.
            pub(crate) fn write_options(
                &self,
                builder: &mut flatbuffers::FlatBufferBuilder<'_>,
            ) -> Option<(u8, TableOffset)> {
                match self {
                    $(operators!(@bind $variant options $(($options))?) => {
                        operators!(@write options, builder, $(($union))?)
                    })*
                    Self::Unsupported { .. } => None,
                }
            }
        }
    };
    (@pattern $variant:ident) => { Self::$variant };
    (@pattern $variant:ident ($options:ty)) => { Self::$variant(_) };
    (@bind $variant:ident $bound:ident) => { Self::$variant };
    (@bind $variant:ident $bound:ident ($options:ty)) => { Self::$variant($bound) };
    (@read $variant:ident $table:ident,) => { Ok(Self::$variant) };
    (@read $variant:ident $table:ident, ($options:ty = $union:literal)) => {
        match $table {
            Some(($union, table)) => Options::read(table).map(Self::$variant),
            _ => Ok(Self::$variant(<$options>::default())),
        }
    };
    (@write $bound:ident, $builder:ident,) => { None };
    (@write $bound:ident, $builder:ident, ($union:literal)) => {
        Some(($union, $bound.write($builder)))
    };
}
pub(crate) use operators;
