//! Arrays of the types that models take and give, in `.npz` files.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use burnlite_tflite::ElementType;
use npyz::{NpyFile, WriterBuilder};

/// An array: one axis of samples, then the shape of a tensor.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the variants are the element types")]
pub enum Array {
    Float32(Vec<usize>, Vec<f32>),
    Int8(Vec<usize>, Vec<i8>),
    UInt8(Vec<usize>, Vec<u8>),
    Int16(Vec<usize>, Vec<i16>),
    Int32(Vec<usize>, Vec<i32>),
    Int64(Vec<usize>, Vec<i64>),
}

/// Does the same for whichever element type an array has: `$shape` and `$values` are its parts.
#[macro_export]
macro_rules! for_each_type {
    ($array:expr, ($shape:pat, $values:pat) => $body:expr) => {
        match $array {
            $crate::Array::Float32($shape, $values) => $body,
            $crate::Array::Int8($shape, $values) => $body,
            $crate::Array::UInt8($shape, $values) => $body,
            $crate::Array::Int16($shape, $values) => $body,
            $crate::Array::Int32($shape, $values) => $body,
            $crate::Array::Int64($shape, $values) => $body,
        }
    };
}

impl Array {
    /// The array's shape, samples first.
    pub fn shape(&self) -> &[usize] {
        for_each_type!(self, (shape, _) => shape)
    }

    /// The type of its elements.
    pub fn element_type(&self) -> ElementType {
        match self {
            Self::Float32(..) => ElementType::Float32,
            Self::Int8(..) => ElementType::Int8,
            Self::UInt8(..) => ElementType::UInt8,
            Self::Int16(..) => ElementType::Int16,
            Self::Int32(..) => ElementType::Int32,
            Self::Int64(..) => ElementType::Int64,
        }
    }
}

/// The arrays `prefix_0`, `prefix_1`, … of a `.npz` file.
///
/// # Panics
/// Where the file is not what a test needs.
pub fn read_npz(path: &Path, prefix: &str) -> Vec<Array> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut archive = zip::ZipArchive::new(file).expect("a zip archive");
    (0..).map_while(|index| archive.by_name(&format!("{prefix}_{index}.npy")).ok().map(read_npy)).collect()
}

fn read_npy(reader: impl Read) -> Array {
    let npy = NpyFile::new(reader).expect("an .npy array");
    let shape = npy.shape().iter().map(|&extent| usize::try_from(extent).expect("an extent")).collect();
    let npyz::DType::Plain(kind) = npy.dtype() else { panic!("a structured array") };
    let kind = kind.to_string();
    match kind.trim_start_matches(['<', '|', '=']) {
        "f4" => Array::Float32(shape, npy.into_vec().expect("f32")),
        "i1" => Array::Int8(shape, npy.into_vec().expect("i8")),
        "u1" => Array::UInt8(shape, npy.into_vec().expect("u8")),
        "i2" => Array::Int16(shape, npy.into_vec().expect("i16")),
        "i4" => Array::Int32(shape, npy.into_vec().expect("i32")),
        "i8" => Array::Int64(shape, npy.into_vec().expect("i64")),
        other => panic!("arrays of {other} are not in use"),
    }
}

/// Writes arrays as `prefix_0`, `prefix_1`, … of a `.npz` file.
///
/// # Panics
/// Where the file cannot be written.
pub fn write_npz(path: &Path, prefix: &str, arrays: &[Array]) {
    let mut archive = zip::ZipWriter::new(File::create(path).expect("a file that can be written"));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (index, array) in arrays.iter().enumerate() {
        archive.start_file(format!("{prefix}_{index}.npy"), options.large_file(true)).expect("an entry");
        let shape: Vec<u64> = array.shape().iter().map(|&extent| extent as u64).collect();
        for_each_type!(array, (_, values) => write_npy(&mut archive, &shape, values));
    }
    archive.finish().expect("the archive's end");
}

fn write_npy<T: npyz::AutoSerialize + Copy>(writer: &mut impl Write, shape: &[u64], values: &[T]) {
    let mut npy =
        npyz::WriteOptions::new().default_dtype().shape(shape).writer(writer).begin_nd().expect("a header");
    npy.extend(values.iter().copied()).expect("the elements");
    npy.finish().expect("all elements");
}
