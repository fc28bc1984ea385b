//! Tables of text: columns as wide as their widest cell, without colours or lines.

use std::io::{self, Write};

/// Rows of cells. Columns are right-aligned but for the last one, where there is room for long names.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(header: &[&str]) -> Self {
        Self { rows: vec![header.iter().map(|&cell| cell.into()).collect()] }
    }

    pub(crate) fn row(&mut self, cells: impl Into<Vec<String>>) {
        self.rows.push(cells.into());
    }

    pub(crate) fn write(&self, output: &mut dyn Write) -> io::Result<()> {
        let columns = self.rows.iter().map(|row| row.len().saturating_sub(1)).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let Some((last, others)) = row.split_last() else { continue };
            for (cell, width) in others.iter().zip(&widths) {
                write!(output, "{cell:>width$}  ")?;
            }
            writeln!(output, "{last}")?;
        }
        Ok(())
    }
}

/// A whole number with its thousands apart: `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups: Vec<_> = groups.map(|group| String::from_utf8_lossy(group)).collect();
    groups.join(",")
}

/// A number with four significant digits.
pub(crate) fn short(number: f64) -> String {
    let magnitude = number.abs();
    if number == 0.0 || !number.is_finite() {
        return number.to_string();
    }
    if !(1e-4..1e7).contains(&magnitude) {
        return format!("{number:.3e}");
    }
    let decimals = (3.0 - magnitude.log10().floor()).max(0.0) as usize;
    format!("{number:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["bytes", "name"]);
        table.row(["7".into(), "é".into()]);
        table.row(["123456".into(), "longer".into()]);
        let mut text = Vec::new();
        table.write(&mut text).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), " bytes  name\n     7  é\n123456  longer\n");
    }

    #[test]
    fn numbers_are_short_and_grouped() {
        let numbers = [0.0, 1.0, -12.345, 0.001_234_56, 1234.56, 1e-9, 2.5e12, f64::INFINITY].map(short);
        assert_eq!(numbers, ["0", "1.000", "-12.35", "0.001235", "1235", "1.000e-9", "2.500e12", "inf"]);
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
