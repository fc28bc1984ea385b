//! What the arena holds, and when: `inspect --arena`.

use std::io::{self, Write};

use burnlite_runtime::{ArenaRegion, Interpreter};
use serde::Serialize;

use crate::table::{Table, grouped};

/// A part of the arena.
#[derive(Debug, Serialize)]
pub(crate) struct RegionReport<'m> {
    offset: usize,
    bytes: usize,
    /// Index of the operator that writes it; none for what is there before.
    first: Option<usize>,
    /// Index of the operator that needs it last; none for what is kept.
    last: Option<usize>,
    /// Index and name of the tensor that it holds; none for what an operator notes while it works.
    tensor: Option<usize>,
    name: Option<&'m str>,
}

/// The parts of an interpreter's arena, in the order in which they are written.
pub(crate) fn regions<'m>(interpreter: &Interpreter<'m>) -> Vec<RegionReport<'m>> {
    let tensors = &interpreter.graph().tensors;
    let report = |ArenaRegion { tensor, offset, bytes, first, last }| RegionReport {
        offset,
        bytes,
        first,
        last,
        tensor: tensor.map(|id| id.index()),
        name: tensor.map(|id| &tensors[id.index()].name[..]),
    };
    interpreter.arena_map().into_iter().map(report).collect()
}

/// Writes the parts for people.
pub(crate) fn write(
    file: &str,
    bytes: usize,
    regions: &[RegionReport<'_>],
    output: &mut dyn Write,
) -> io::Result<()> {
    writeln!(output, "{file}\n  arena  {} bytes\n", grouped(bytes as u64))?;
    let mut table = Table::new(&["offset", "bytes", "from", "to", "tensor"]);
    for region in regions {
        let number = |number: usize| grouped(number as u64);
        let operator = |index: Option<usize>, none: &str| index.map_or(none.into(), number);
        let holds = region.name.map_or("(scratch memory)".into(), |name| format!("'{name}'"));
        let (first, last) = (operator(region.first, "start"), operator(region.last, "end"));
        table.row([number(region.offset), number(region.bytes), first, last, holds]);
    }
    table.write(output)
}
