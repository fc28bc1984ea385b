//! Arrays of the types that models take and give, in `.npz` files.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use burnlite_tflite::ElementType;

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
    Bool(Vec<usize>, Vec<u8>),
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
            $crate::Array::Bool($shape, $values) => $body,
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
            Self::Bool(..) => ElementType::Bool,
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

/// Reads the `.npy` format, version 1, as numpy's documentation defines it: a magic number, the length of a header, the
/// header (a Python dictionary with the type and the shape), the elements in row-major order.
fn read_npy(mut reader: impl Read) -> Array {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).expect("the array's bytes");
    assert!(bytes.starts_with(MAGIC), "an .npy array of version 1");
    let end = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = core::str::from_utf8(&bytes[10..end]).expect("a header of text");
    assert!(header.contains("'fortran_order': False"), "{header}");
    let between = |start: &str, end: &str| {
        let (_, rest) = header.split_once(start).expect("a field of the header");
        rest.split_once(end).expect("the field's end").0
    };
    let extents = between("'shape': (", ")").split(',').map(str::trim).filter(|extent| !extent.is_empty());
    let shape = extents.map(|extent| extent.parse().expect("an extent")).collect();
    let data = &bytes[end..];
    match between("'descr': '", "'") {
        "<f4" => Array::Float32(shape, bytemuck::pod_collect_to_vec(data)),
        "|i1" => Array::Int8(shape, bytemuck::pod_collect_to_vec(data)),
        "|u1" => Array::UInt8(shape, bytemuck::pod_collect_to_vec(data)),
        "<i2" => Array::Int16(shape, bytemuck::pod_collect_to_vec(data)),
        "<i4" => Array::Int32(shape, bytemuck::pod_collect_to_vec(data)),
        "<i8" => Array::Int64(shape, bytemuck::pod_collect_to_vec(data)),
        "|b1" => Array::Bool(shape, data.to_vec()),
        other => panic!("arrays of {other} are not in use"),
    }
}

/// How `.npy` files of version 1 begin.
const MAGIC: &[u8; 8] = b"\x93NUMPY\x01\x00";

/// Writes arrays as `prefix_0`, `prefix_1`, … of a `.npz` file.
///
/// # Panics
/// Where the file cannot be written.
pub fn write_npz(path: &Path, prefix: &str, arrays: &[Array]) {
    let mut archive = zip::ZipWriter::new(File::create(path).expect("a file that can be written"));
    let options = zip::write::FileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (index, array) in arrays.iter().enumerate() {
        archive.start_file(format!("{prefix}_{index}.npy"), options.large_file(true)).expect("an entry");
        for_each_type!(array, (shape, values) => {
            let data: &[u8] = bytemuck::cast_slice(values);
            archive.write_all(&npy_header(array.element_type(), shape)).expect("a header");
            archive.write_all(data).expect("the elements");
        });
    }
    archive.finish().expect("the archive's end");
}

fn npy_header(element_type: ElementType, shape: &[usize]) -> Vec<u8> {
    let descr = match element_type {
        ElementType::Float32 => "<f4",
        ElementType::Int8 => "|i1",
        ElementType::UInt8 => "|u1",
        ElementType::Int16 => "<i2",
        ElementType::Int32 => "<i4",
        ElementType::Bool => "|b1",
        _ => "<i8",
    };
    let extents: String = shape.iter().map(|extent| format!("{extent}, ")).collect();
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({extents}), }}");
    // The elements start at a multiple of 64 bytes, after a line's end.
    let length = (MAGIC.len() + 2 + text.len() + 1).next_multiple_of(64) - MAGIC.len() - 2;
    text = format!("{text:<0$}\n", length - 1);
    let length = u16::try_from(length).expect("a header below 64 KiB");
    [MAGIC.as_slice(), &length.to_le_bytes(), text.as_bytes()].concat()
}
