//! `--kernels list`.

use std::io::{self, Write};

use burnlite_runtime::KERNELS;

use crate::table::Table;

/// Writes which kernels this build has, and which of them this machine can run.
pub(crate) fn list(output: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(&["name", "available", "auto", "what they are"]);
    let fastest = KERNELS.iter().find(|kernels| kernels.is_available()).map(|kernels| kernels.name);
    for kernels in KERNELS {
        let yes = |is: bool| if is { "yes" } else { "-" }.into();
        let is_fastest = fastest == Some(kernels.name);
        let description = kernels.description.into();
        table.row([kernels.name.into(), yes(kernels.is_available()), yes(is_fastest), description]);
    }
    let of_everywhere = [
        ("in-place", "plain loops with fast sums of products, which read weights where they are"),
        ("reference", "the plain loops that define the results"),
    ];
    for (name, description) in of_everywhere {
        table.row([name.into(), "yes".into(), "-".into(), description.into()]);
    }
    table.write(output)
}
