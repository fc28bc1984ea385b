//! Text for a terminal: names in a stranger's file may hold what a terminal takes for orders.

use std::io::{self, Write};

/// Writes control characters other than line breaks and tabs as their numbers: `\u{1b}`.
#[derive(Debug)]
pub struct Plain<W>(pub W);

impl<W: Write> Write for Plain<W> {
    /// Takes whole characters only: what formatting writes are.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let is_order = |c: char| c.is_control() && c != '\n' && c != '\t';
        for chunk in bytes.utf8_chunks() {
            for part in chunk.valid().split_inclusive(is_order) {
                match part.chars().next_back().filter(|&last| is_order(last)) {
                    Some(order) => {
                        let text = &part[..part.len() - order.len_utf8()];
                        write!(self.0, "{text}{}", order.escape_unicode())?;
                    }
                    None => self.0.write_all(part.as_bytes())?,
                }
            }
            self.0.write_all(chunk.invalid())?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_order_reaches_the_terminal() {
        let mut text = Plain(Vec::new());
        text.write_all("a\tä\u{1b}[31m\u{9b}2J\r\n\u{7f}".as_bytes()).unwrap();
        assert_eq!(String::from_utf8(text.0).unwrap(), "a\tä\\u{1b}[31m\\u{9b}2J\\u{d}\n\\u{7f}");
    }
}
