//! FlatBuffers tables, read without trust: every offset is checked against the file before it is followed.
//!
//! Layout (FlatBuffers' binary format): a table starts with the signed distance back to its vtable; the vtable
//! holds its own length, the table's length, and for each field the distance from the table's start (0: absent).
//! Vectors, strings and tables are referred to by an unsigned distance forward; vectors start with their count.

use alloc::vec::Vec;
use core::cell::Cell;

use crate::Error;

/// The bytes of a file, with a budget for what is decoded from them.
///
/// References only point forward, so nothing can loop; but many references may name the same vector, so the decoded
/// size is limited to a multiple of the file's.
#[derive(Debug)]
pub(crate) struct File<'a> {
    bytes: &'a [u8],
    limit: usize,
    decoded: Cell<usize>,
}

impl<'a> File<'a> {
    /// Decoded bytes allowed per byte of the file. Honest files stay below 8: a FlatBuffer's tables are about as
    /// large as the values made of them.
    const EXPANSION: usize = 16;

    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let limit = bytes.len().saturating_mul(Self::EXPANSION);
        Self { bytes, limit, decoded: Cell::new(0) }
    }

    /// The root table.
    pub(crate) fn root(&self, name: &'static str) -> Result<Table<'_, 'a>, Error> {
        let place = Table { file: self, name, position: 0, vtable: &[] };
        let position = place.forward(0, "root table")?;
        Table::at(self, name, position)
    }

    /// Counts bytes that are decoded.
    fn spend(&self, table: &'static str, bytes: usize) -> Result<(), Error> {
        let decoded = self.decoded.get().saturating_add(bytes);
        self.decoded.set(decoded);
        if decoded > self.limit { Err(Error::TooMuch { table, limit: self.limit }) } else { Ok(()) }
    }
}

/// A position in the file at which a table stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table<'f, 'a> {
    file: &'f File<'a>,
    name: &'static str,
    position: usize,
    /// The vtable's field offsets, two bytes each.
    vtable: &'a [u8],
}

impl<'f, 'a> Table<'f, 'a> {
    fn at(file: &'f File<'a>, name: &'static str, position: usize) -> Result<Self, Error> {
        let table = Self { file, name, position, vtable: &[] };
        file.spend(name, size_of::<Self>())?;
        let back = i32::from_le_bytes(table.read(position, "vtable offset")?);
        let vtable = usize::try_from(position as i64 - i64::from(back))
            .map_err(|_| table.outside("vtable", position))?;
        let length = usize::from(u16::from_le_bytes(table.read(vtable, "vtable")?));
        let fields = table.slice(vtable, length.max(4), "vtable")?.get(4..).unwrap_or(&[]);
        Ok(Self { vtable: fields, ..table })
    }

    /// Counts bytes that are made from this table beside what reading it counts.
    pub(crate) fn spend(&self, bytes: usize) -> Result<(), Error> {
        self.file.spend(self.name, bytes)
    }

    /// The table's type, for error messages.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// The `N` bytes of a scalar field, or `None` where the field is absent.
    pub(crate) fn scalar<const N: usize>(&self, slot: u16) -> Result<Option<[u8; N]>, Error> {
        self.field(slot).map(|position| self.read(position, "field")).transpose()
    }

    /// The elements of a vector of scalars, or `None` where the field is absent.
    pub(crate) fn scalars<T: bytemuck::Pod>(&self, slot: u16) -> Result<Option<Vec<T>>, Error> {
        let Some(bytes) = self.vector(slot, size_of::<T>())? else { return Ok(None) };
        self.file.spend(self.name, bytes.len())?;
        Ok(Some(bytemuck::pod_collect_to_vec(bytes)))
    }

    /// The bytes of a vector of bytes, where they are in the file, or `None` where the field is absent.
    pub(crate) fn bytes(&self, slot: u16) -> Result<Option<&'a [u8]>, Error> {
        self.vector(slot, 1)
    }

    /// A string, or `None` where the field is absent.
    pub(crate) fn string(&self, slot: u16) -> Result<Option<&'a str>, Error> {
        let Some(bytes) = self.vector(slot, 1)? else { return Ok(None) };
        self.file.spend(self.name, bytes.len())?;
        let offset = self.field(slot).unwrap_or(self.position);
        core::str::from_utf8(bytes).map(Some).map_err(|_| Error::NotUtf8 { table: self.name, offset })
    }

    /// A table within the table, or `None` where the field is absent.
    pub(crate) fn table(&self, slot: u16, name: &'static str) -> Result<Option<Self>, Error> {
        let Some(position) = self.field(slot) else { return Ok(None) };
        Self::at(self.file, name, self.forward(position, name)?).map(Some)
    }

    /// The tables of a vector; none where the field is absent.
    pub(crate) fn tables(&self, slot: u16, name: &'static str) -> Result<Vec<Self>, Error> {
        let Some(position) = self.field(slot) else { return Ok(Vec::new()) };
        let start = self.forward(position, name)?;
        let count = self.vector(slot, 4)?.map_or(0, |bytes| bytes.len() / 4);
        (0..count)
            .map(|index| Self::at(self.file, name, self.forward(start + 4 + 4 * index, name)?))
            .collect()
    }

    /// Where the field's value stands, or `None` where the field is absent.
    fn field(&self, slot: u16) -> Option<usize> {
        let start = usize::from(slot) * 2;
        let offset = u16::from_le_bytes(self.vtable.get(start..start + 2)?.try_into().ok()?);
        (offset != 0).then(|| self.position + usize::from(offset))
    }

    /// The bytes of a vector's elements.
    fn vector(&self, slot: u16, element_bytes: usize) -> Result<Option<&'a [u8]>, Error> {
        let Some(position) = self.field(slot) else { return Ok(None) };
        let start = self.forward(position, "vector")?;
        let count = u32::from_le_bytes(self.read(start, "vector")?) as usize;
        let length = count.checked_mul(element_bytes).ok_or_else(|| self.outside("vector", start))?;
        self.slice(start + 4, length, "vector").map(Some)
    }

    /// The position that the reference at `position` points to. The positions stay below twice 2^32.
    fn forward(&self, position: usize, what: &'static str) -> Result<usize, Error> {
        let distance = u32::from_le_bytes(self.read(position, what)?) as usize;
        position.checked_add(distance).ok_or_else(|| self.outside(what, position))
    }

    fn read<const N: usize>(&self, position: usize, what: &'static str) -> Result<[u8; N], Error> {
        self.slice(position, N, what)?.try_into().map_err(|_| self.outside(what, position))
    }

    fn slice(&self, start: usize, length: usize, what: &'static str) -> Result<&'a [u8], Error> {
        start
            .checked_add(length)
            .and_then(|end| self.file.bytes.get(start..end))
            .ok_or_else(|| self.outside(what, start))
    }

    fn outside(&self, what: &'static str, offset: usize) -> Error {
        Error::OutOfBounds { table: self.name, what, offset, file_bytes: self.file.bytes.len() }
    }
}
