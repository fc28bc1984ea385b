//! The operators: one table that says everything the format knows about each.

use alloc::string::String;

use crate::builtin_names::builtin_name;
use crate::options::{
    Conv2dOptions, FullyConnectedOptions, PackOptions, Pool2dOptions, ReshapeOptions, ShapeOptions,
    SoftmaxOptions, StridedSliceOptions,
};
use crate::schema::{Options, TableOffset};
use crate::table::Table;
use crate::{ElementType, Error, Tensor};

/// What the format says about a kind of operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpInfo {
    /// Name in capitals, as tools print it.
    pub name: &'static str,
    /// Code in the file.
    pub code: i32,
    /// Fewest operands.
    pub min_inputs: usize,
    /// Most operands.
    pub max_inputs: usize,
    /// Number of results.
    pub outputs: usize,
    /// Lowest version of the operator with float32 (or other), int8 and int16 activations.
    pub versions: [i32; 3],
}

/// Declares [`Op`] from the table of operators:
/// `Variant(Options = number in the options union) NAME = code, inputs min..=max, outputs, versions`.
macro_rules! operators {
    ($(
        $(#[$meta:meta])*
        $variant:ident $(($options:ident = $union:literal))? $name:ident = $code:literal,
        $min:literal..=$max:tt -> $outputs:literal, $versions:expr;
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
                outputs: $outputs,
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
    (@pattern $variant:ident ($options:ident)) => { Self::$variant(_) };
    (@bind $variant:ident $bound:ident) => { Self::$variant };
    (@bind $variant:ident $bound:ident ($options:ident)) => { Self::$variant($bound) };
    (@read $variant:ident $table:ident,) => { Ok(Self::$variant) };
    (@read $variant:ident $table:ident, ($options:ident = $union:literal)) => {
        match $table {
            Some(($union, table)) => Options::read(table).map(Self::$variant),
            _ => Ok(Self::$variant($options::default())),
        }
    };
    (@write $bound:ident, $builder:ident,) => { None };
    (@write $bound:ident, $builder:ident, ($union:literal)) => {
        Some(($union, $bound.write($builder)))
    };
}

/// Any number of operands.
const MANY: usize = usize::MAX;
/// The code of operators that are not builtin.
const CUSTOM: i32 = 32;

operators! {
    /// 2-D convolution: `[N, H, W, C]`, weights `[O, Kh, Kw, C / groups]`, bias `[O]`.
    Conv2d(Conv2dOptions = 1) CONV_2D = 3, 2..=3 -> 1, [1, 3, 1];
    /// Integers to floats: `scale * (q - zero_point)`.
    Dequantize DEQUANTIZE = 6, 1..=1 -> 1, [1, 2, 3];
    /// Matrix product with weights `[outputs, inputs]`, bias `[outputs]`.
    FullyConnected(FullyConnectedOptions = 8) FULLY_CONNECTED = 9, 2..=3 -> 1, [1, 4, 1];
    /// Maximum over windows of `[N, H, W, C]`.
    MaxPool2d(Pool2dOptions = 5) MAX_POOL_2D = 17, 1..=1 -> 1, [1, 2, 3];
    /// `max(x, 0)`.
    Relu RELU = 19, 1..=1 -> 1, [1, 2, 3];
    /// The same elements in another shape; the shape is the second operand or an option.
    Reshape(ReshapeOptions = 17) RESHAPE = 22, 1..=2 -> 1, [1, 1, 1];
    /// `softmax(beta * x)` over the last dimension.
    Softmax(SoftmaxOptions = 9) SOFTMAX = 25, 1..=1 -> 1, [1, 2, 3];
    /// Dimensions in another order: the second operand lists the input's dimensions.
    Transpose TRANSPOSE = 39, 2..=2 -> 1, [1, 2, 5];
    /// A part of the operand: `begin`, `end` and `strides` of each dimension are further operands.
    StridedSlice(StridedSliceOptions = 32) STRIDED_SLICE = 45, 4..=4 -> 1, [1, 2, 1];
    /// The operand's shape as integers.
    Shape(ShapeOptions = 55) SHAPE = 77, 1..=1 -> 1, [1, 1, 1];
    /// Operands of the same shape stacked along a new dimension.
    Pack(PackOptions = 59) PACK = 83, 1..=MANY -> 1, [1, 2, 3];
    /// Floats to integers, or integers to integers of another scale.
    Quantize QUANTIZE = 114, 1..=1 -> 1, [1, 1, 2];
}

impl Op {
    /// The lowest version of the operator that says what these operands need; 1 for [`Op::Unsupported`].
    ///
    /// A runtime refuses a file whose operators have a higher version than it knows, so the lowest one that is right is
    /// written. The numbers are the official converter's (`op_version.cc`).
    pub fn version(&self, inputs: &[Option<&Tensor<'_>>], outputs: &[&Tensor<'_>]) -> i32 {
        let Some(info) = self.info() else { return 1 };
        let activations = [inputs.first().copied().flatten(), outputs.first().copied()];
        let any =
            |element_type| activations.iter().flatten().any(|tensor| tensor.element_type == element_type);
        let [float, int8, int16] = info.versions;
        let by_type = match () {
            () if any(ElementType::Int16) => int16,
            () if any(ElementType::Int8) => int8,
            () => float,
        };
        by_type.max(self.version_of_options(inputs, outputs))
    }

    /// `quantized_bias_type` changes what is computed only where it says `Int32`; older runtimes may ignore `Int64`.
    fn version_of_options(&self, inputs: &[Option<&Tensor<'_>>], outputs: &[&Tensor<'_>]) -> i32 {
        let quantized = |tensor: Option<&Tensor<'_>>| {
            tensor.is_some_and(|tensor| matches!(tensor.element_type, ElementType::Int8 | ElementType::Int16))
        };
        match self {
            Self::Conv2d(options) if options.quantized_bias_type == ElementType::Int32 => 8,
            Self::Conv2d(_) if quantized(inputs.first().copied().flatten()) && is_grouped(inputs) => 6,
            Self::FullyConnected(options) if options.quantized_bias_type == ElementType::Int32 => 11,
            Self::FullyConnected(_) if inputs.get(2).copied().flatten().is_none() => 6,
            Self::FullyConnected(options) if options.keep_num_dims => 5,
            Self::Quantize | Self::Dequantize => {
                let is_per_channel = [inputs.first().copied().flatten(), outputs.first().copied()]
                    .into_iter()
                    .flatten()
                    .any(|tensor| tensor.quantization.as_ref().is_some_and(|q| q.is_per_channel()));
                match (self, is_per_channel) {
                    (Self::Quantize, true) => 3,
                    (Self::Dequantize, true) => 5,
                    _ => 1,
                }
            }
            _ => 1,
        }
    }
}

/// Whether the weights of a convolution see fewer channels than the input has.
fn is_grouped(inputs: &[Option<&Tensor<'_>>]) -> bool {
    let channels = |index: usize| inputs.get(index).copied().flatten().and_then(|tensor| tensor.shape.last());
    channels(0) != channels(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Quantization;

    fn tensor(element_type: ElementType) -> Tensor<'static> {
        Tensor::new("", element_type, [1, 4])
    }

    #[test]
    fn the_table_has_the_names_of_the_format() {
        for info in Op::TABLE {
            assert_eq!(builtin_name(info.code), Some(info.name));
        }
        assert!(Op::TABLE.is_sorted_by_key(|info| info.code));
    }

    #[test]
    fn versions_follow_the_activations() {
        let (float, int16) = (tensor(ElementType::Float32), tensor(ElementType::Int16));
        let version = |op: Op, input: &Tensor<'_>, output: &Tensor<'_>| op.version(&[Some(input)], &[output]);
        assert_eq!(version(Op::Quantize, &float, &int16), 2);
        assert_eq!(version(Op::Dequantize, &int16, &float), 3);
        assert_eq!(version(Op::MaxPool2d(Pool2dOptions::default()), &float, &float), 1);
        let channels = tensor(ElementType::Int8).quantized(Quantization::per_channel([1.0; 4].into(), 1));
        assert_eq!(version(Op::Dequantize, &channels, &float), 5);
    }

    #[test]
    fn versions_follow_the_options() {
        let tensors = [tensor(ElementType::Int16), tensor(ElementType::Int8), tensor(ElementType::Int64)];
        let [x, weights, bias] = &tensors;
        let options = FullyConnectedOptions { quantized_bias_type: ElementType::Int32, ..Default::default() };
        let version =
            |options, bias| Op::FullyConnected(options).version(&[Some(x), Some(weights), bias], &[x]);
        assert_eq!(version(options, Some(bias)), 11);
        assert_eq!(version(FullyConnectedOptions::default(), Some(bias)), 1);
        assert_eq!(version(FullyConnectedOptions::default(), None), 6);
    }
}
