//! numpy's files: `.npy` of one array, and `.npz`, a zip archive of those.
//!
//! An `.npy` file has a magic number, a version, the length of a header, the header (a Python dictionary with the type,
//! the order and the shape) and the elements, as numpy's documentation of the format defines it.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use burnlite_tflite::ElementType;
use zip::ZipArchive;

use crate::array::Array;
use crate::error::{ArrayFault, Error};
use crate::files;

const MAGIC: &[u8] = b"\x93NUMPY";
/// The type strings of numpy without their byte order, and what they are here.
const TYPES: [(&str, ElementType); 12] = [
    ("f2", ElementType::Float16),
    ("f4", ElementType::Float32),
    ("f8", ElementType::Float64),
    ("i1", ElementType::Int8),
    ("i2", ElementType::Int16),
    ("i4", ElementType::Int32),
    ("i8", ElementType::Int64),
    ("u1", ElementType::UInt8),
    ("u2", ElementType::UInt16),
    ("u4", ElementType::UInt32),
    ("u8", ElementType::UInt64),
    ("b1", ElementType::Bool),
];

/// Reads an `.npy` file.
pub(crate) fn read(path: &Path) -> Result<Array, Error> {
    parse(files::read(path)?).map_err(|fault| Error::Array { array: path.display().to_string(), fault })
}

/// Writes an `.npy` file; `None` for a type that numpy does not have.
pub(crate) fn to_bytes(array: &Array) -> Option<Vec<u8>> {
    let (name, _) = TYPES.iter().find(|(_, element_type)| *element_type == array.element_type)?;
    let order = if name.ends_with('1') { '|' } else { '<' };
    let extents: String = array.shape.iter().map(|extent| format!("{extent}, ")).collect();
    // A tuple of one has a comma, longer ones end without.
    let extents = if array.shape.len() == 1 { extents.trim_end() } else { extents.trim_end_matches(", ") };
    let header = format!("{{'descr': '{order}{name}', 'fortran_order': False, 'shape': ({extents}), }}");
    // The elements start at a multiple of 64 bytes, after a line's end.
    let before = MAGIC.len() + 4;
    let length = (before + header.len() + 1).next_multiple_of(64) - before;
    let header = format!("{header:<0$}\n", length - 1);
    let length = u16::try_from(length).ok()?;
    Some([MAGIC, &[1, 0], &length.to_le_bytes(), header.as_bytes(), &array.bytes].concat())
}

/// An `.npz` file.
pub(crate) struct Npz {
    path: String,
    archive: ZipArchive<BufReader<File>>,
}

/// The most bytes that an array of an `.npz` file may unpack to: 4 GiB.
const LARGEST_ENTRY: u64 = 1 << 32;

impl Npz {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let archive = ZipArchive::new(files::open(path)?);
        let path = path.display().to_string();
        match archive {
            Ok(archive) => Ok(Self { path, archive }),
            Err(error) => Err(Error::Array { array: path, fault: ArrayFault::Npz(error) }),
        }
    }

    /// The names of the arrays.
    pub(crate) fn names(&self) -> Vec<String> {
        self.archive.file_names().filter_map(|name| name.strip_suffix(".npy")).map(String::from).collect()
    }

    /// The array of the given name.
    pub(crate) fn array(&mut self, name: &str) -> Result<Array, Error> {
        let fault = |fault| Error::Array { array: format!("{}:{name}", self.path), fault };
        let entry =
            self.archive.by_name(&format!("{name}.npy")).map_err(|error| fault(ArrayFault::Npz(error)))?;
        // A small file may unpack to any size: what is beyond the limit is cut off, and then missed.
        let mut bytes = Vec::new();
        entry
            .take(LARGEST_ENTRY)
            .read_to_end(&mut bytes)
            .map_err(|error| fault(ArrayFault::Unpack(error)))?;
        parse(bytes).map_err(fault)
    }
}

/// The array of an `.npy` file, whose memory becomes that of the elements.
fn parse(mut bytes: Vec<u8>) -> Result<Array, ArrayFault> {
    let Header { element_type, shape, length } = header(&bytes)?;
    let elements = shape.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent));
    let Some(expected) = elements.and_then(|elements| element_type.bytes_for(elements)) else {
        return Err(ArrayFault::TooLarge { shape });
    };
    bytes.drain(..length);
    if bytes.len() != expected {
        return Err(ArrayFault::Length { shape, expected, found: bytes.len() });
    }
    Ok(Array { element_type, shape, bytes })
}

/// What stands before the elements.
struct Header {
    element_type: ElementType,
    shape: Vec<usize>,
    /// Bytes before the elements.
    length: usize,
}

fn header(bytes: &[u8]) -> Result<Header, ArrayFault> {
    let versioned = bytes.strip_prefix(MAGIC).ok_or(ArrayFault::NotNpy)?;
    let truncated = ArrayFault::Header { what: "the file ends in it" };
    let (length, rest) = match versioned {
        [1, _, a, b, rest @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), rest),
        [2 | 3, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
        [major, ..] if !(1..=3).contains(major) => return Err(ArrayFault::Version { major: *major }),
        _ => return Err(truncated),
    };
    let (header, elements) = rest.split_at_checked(length).ok_or(truncated)?;
    let header = std::str::from_utf8(header).map_err(|_| ArrayFault::Header { what: "it is not UTF-8" })?;
    let (element_type, shape) = (element_type(header)?, shape(header)?);
    // In memory, arrays of one dimension have both orders.
    if value(header, "fortran_order")?.starts_with("True") && shape.len() > 1 {
        return Err(ArrayFault::FortranOrder);
    }
    Ok(Header { element_type, shape, length: bytes.len() - elements.len() })
}

/// What follows a key of the header.
fn value<'h>(header: &'h str, key: &str) -> Result<&'h str, ArrayFault> {
    let found = ["'", "\""].iter().find_map(|quote| header.split_once(&format!("{quote}{key}{quote}:")));
    let what = "it lacks 'descr', 'fortran_order' or 'shape'";
    found.map(|(_, value)| value.trim_start()).ok_or(ArrayFault::Header { what })
}

fn element_type(header: &str) -> Result<ElementType, ArrayFault> {
    let value = value(header, "descr")?;
    let quoted = value.strip_prefix(['\'', '"']).and_then(|text| text.split_once(['\'', '"']));
    // A structured type is a list, not a string.
    let Some((descr, _)) = quoted else { return Err(ArrayFault::Type { descr: "struct".into() }) };
    let (order, name) = descr.split_at_checked(1).unwrap_or(("", ""));
    if name.starts_with('O') {
        return Err(ArrayFault::Objects);
    }
    match TYPES.iter().find(|(known, _)| *known == name) {
        Some((_, element_type)) if order != ">" || name.ends_with('1') => Ok(*element_type),
        Some(_) => Err(ArrayFault::BigEndian { descr: descr.into() }),
        None => Err(ArrayFault::Type { descr: descr.into() }),
    }
}

fn shape(header: &str) -> Result<Vec<usize>, ArrayFault> {
    let tuple = value(header, "shape")?.strip_prefix('(').and_then(|text| text.split_once(')'));
    let (extents, _) = tuple.ok_or(ArrayFault::Header { what: "the shape is no tuple" })?;
    let extents = extents.split(',').map(str::trim).filter(|extent| !extent.is_empty());
    extents
        .map(|extent| extent.parse().map_err(|_| ArrayFault::Header { what: "an extent is no number" }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
        let length = header.len() as u32;
        let length = &length.to_le_bytes()[..if version == 1 { 2 } else { 4 }];
        [MAGIC, &[version, 0], length, header.as_bytes(), data].concat()
    }

    fn message(bytes: &[u8]) -> String {
        parse(bytes.into()).unwrap_err().to_string()
    }

    #[test]
    fn what_is_written_is_read_again() {
        for shape in [vec![], vec![3], vec![2, 3], vec![0, 5], vec![1; 8]] {
            for (_, element_type) in TYPES {
                let bytes = element_type.bytes_for(shape.iter().product()).unwrap();
                let bytes = (0..bytes).map(|byte| byte as u8).collect();
                let array = Array { element_type, shape: shape.clone(), bytes };
                let written = to_bytes(&array).unwrap();
                assert_eq!((written.len() - array.bytes.len()) % 64, 0);
                assert_eq!(parse(written).unwrap(), array);
            }
        }
    }

    #[test]
    fn versions_2_and_3_have_longer_headers() {
        let header = "{\"descr\": \"<i2\", \"fortran_order\": False, \"shape\": (2,)}\n";
        for version in [1, 2, 3] {
            let array = parse(file(version, header, &[1, 0, 2, 0])).unwrap();
            assert_eq!((array.element_type, array.shape), (ElementType::Int16, vec![2]));
        }
    }

    #[test]
    fn other_arrays_are_refused_with_advice() {
        let array = |descr: &str, order: &str| {
            message(&file(
                1,
                &format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': (1, 1)}}"),
                &[0; 4],
            ))
        };
        assert!(array("'<f4'", "True").contains("ascontiguousarray"));
        assert!(array("'>f4'", "False").contains("big-endian"));
        assert!(array("'|O'", "False").contains("Python objects"));
        assert!(array("'<c8'", "False").contains("'<c8'"));
        assert!(array("[('x', '<f4')]", "False").contains("struct"));
        assert!(array("'<f8'", "False").contains("needs 8 bytes, but there are 4"));
    }

    #[test]
    fn damaged_files_are_refused() {
        assert!(message(b"PK").contains("not an .npy file"));
        assert!(message(&file(4, "", b"")).contains("version 4"));
        assert!(message(MAGIC).contains("ends"));
        assert!(message(&[MAGIC, &[1, 0, 200, 0, b'{']].concat()).contains("ends"));
        assert!(message(&file(1, "{}", b"")).contains("lacks"));
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999, 9999999999)}";
        assert!(message(&file(1, header, b"")).contains("memory"));
    }
}
