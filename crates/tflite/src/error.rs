//! What can be wrong with a `.tflite` file or a [`Model`](crate::Model).

use alloc::string::String;

use crate::ElementType;

/// Why bytes are not a usable `.tflite` file, or a model cannot be written.
///
/// Reading is strict and never panics: what is returned as a [`Model`](crate::Model) has every index, shape and
/// data size checked. The errors name the place in the file; the caller knows the file's name.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Bytes 4 to 8 are not the identifier of TensorFlow Lite.
    #[error(
        "not a .tflite file: the identifier at byte 4 is not \"TFL3\" (is the file whole, and a TensorFlow Lite model?)"
    )]
    NotTflite,

    /// The schema version is not 3.
    #[error("unsupported .tflite schema version {found}: only version 3 is in use")]
    SchemaVersion {
        /// The version in the file.
        found: u32,
    },

    /// A table, vector or string does not lie within the file: it is truncated or corrupt.
    #[error(
        "{table}: {what} at byte {offset} does not lie within the file of {file_bytes} bytes: the file is truncated or corrupt"
    )]
    OutOfBounds {
        /// The table that is being read.
        table: &'static str,
        /// What lies outside.
        what: &'static str,
        /// Where it starts.
        offset: usize,
        /// The length of the file.
        file_bytes: usize,
    },

    /// A field has a value that the format does not know.
    #[error("{table}: {field} has the unknown value {value}")]
    UnknownValue {
        /// The table that holds the field.
        table: &'static str,
        /// The field.
        field: &'static str,
        /// Its value.
        value: i64,
    },

    /// A field that must be there is missing.
    #[error("{table}: {field} is missing")]
    Missing {
        /// The table.
        table: &'static str,
        /// The missing field.
        field: &'static str,
    },

    /// A string is not UTF-8.
    #[error("{table}: the string at byte {offset} is not UTF-8")]
    NotUtf8 {
        /// The table that holds the string.
        table: &'static str,
        /// Where it starts.
        offset: usize,
    },

    /// Decoding the file would take more memory than its size justifies: parts of it are referenced again and again.
    #[error(
        "{table}: the file's tables refer to the same bytes so often that decoding passes the limit of {limit} bytes"
    )]
    TooMuch {
        /// The table at which the limit was passed.
        table: &'static str,
        /// The limit in bytes, a multiple of the file's size.
        limit: usize,
    },

    /// An index names something that does not exist.
    #[error("{place}: {what} {index} does not exist, there are {count}")]
    Index {
        /// Who holds the index, for example `operator 3 (CONV_2D)`.
        place: String,
        /// What is indexed: `tensor`, `buffer`, `graph` or `operator code`.
        what: &'static str,
        /// The index.
        index: i64,
        /// How many there are.
        count: usize,
    },

    /// A tensor contradicts itself.
    #[error("tensor {index} '{name}': {reason}")]
    Tensor {
        /// The tensor's index in its graph.
        index: usize,
        /// Its name.
        name: String,
        /// What is wrong.
        reason: TensorFault,
    },

    /// A tensor's data was asked for as another element type.
    #[error("tensor '{name}' holds {found}, not {expected}")]
    ElementType {
        /// The tensor's name.
        name: String,
        /// The type asked for.
        expected: ElementType,
        /// The tensor's type.
        found: ElementType,
    },

    /// A tensor's data was asked for, but it is computed when the model runs.
    #[error("tensor '{name}' has no data of its own: it is computed when the model runs")]
    NotConstant {
        /// The tensor's name.
        name: String,
    },

    /// An operator was read without its options (custom, string or control flow) and cannot be written again.
    #[error("operator {index} ({name}) cannot be written: its options are not part of this crate")]
    UnwritableOperator {
        /// The operator's index.
        index: usize,
        /// The operator's name.
        name: String,
    },

    /// The file would be larger than a FlatBuffer can be.
    #[error("the model's tensors hold {bytes} bytes, but a .tflite file is limited to 2 GiB")]
    TooLarge {
        /// The bytes of all tensors.
        bytes: usize,
    },
}

/// What is wrong with one tensor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorFault {
    /// The number of elements, or one extent, is beyond what the format and memory can hold.
    #[error("the shape has more elements than the format or memory can hold")]
    ShapeOverflow,
    /// There are more dimensions than [`Tensor::MOST_DIMENSIONS`](crate::Tensor::MOST_DIMENSIONS).
    #[error("the shape has {found} dimensions, more than {}", crate::Tensor::MOST_DIMENSIONS)]
    Dimensions {
        /// How many there are.
        found: usize,
    },
    /// A dimension is negative.
    #[error("dimension {dimension} is negative: {extent}")]
    NegativeDimension {
        /// The dimension.
        dimension: usize,
        /// Its extent.
        extent: i32,
    },
    /// The data are not as long as the shape says.
    #[error("the shape needs {expected} bytes of data, but there are {found}")]
    DataLength {
        /// Bytes that the shape and the element type need.
        expected: usize,
        /// Bytes that are there.
        found: usize,
    },
    /// The signature of the shape has another rank than the shape.
    #[error("the shape has {rank} dimensions, its signature {found}")]
    SignatureRank {
        /// Rank of the shape.
        rank: usize,
        /// Rank of the shape's signature.
        found: usize,
    },
    /// Scales and zero points do not pair up.
    #[error("there are {scales} scales and {zero_points} zero points")]
    ScaleCount {
        /// Number of scales.
        scales: usize,
        /// Number of zero points.
        zero_points: usize,
    },
    /// A zero point does not fit 32 bits.
    #[error("the zero point {zero_point} does not fit 32 bits")]
    ZeroPoint {
        /// The zero point.
        zero_point: i64,
    },
    /// The scales do not match the quantized dimension.
    #[error("there are {scales} scales along dimension {dimension} of shape {shape:?}")]
    QuantizedDimension {
        /// Number of scales.
        scales: usize,
        /// The quantized dimension.
        dimension: i32,
        /// The tensor's shape.
        shape: alloc::vec::Vec<usize>,
    },
    /// A variable tensor has data of its own.
    #[error("a variable tensor cannot have constant data")]
    VariableWithData,
    /// The data are stored in a sparse encoding.
    #[error("sparse tensors are not supported: convert the model without sparsity")]
    Sparse,
    /// The data are in another file.
    #[error("the data are in another file, which is not supported: write the model as one file")]
    ExternalData,
}
