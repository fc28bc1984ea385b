//! A digit as a picture: in the terminal, and as PNG with what the models say.

use anyhow::Result;
use burnlite_mnist::{PIXELS, SIDE};
use font8x8::legacy::BASIC_LEGACY;

/// Screen pixels to a side of the digit's pixels.
const ZOOM: usize = 10;
/// Screen pixels to a side of the letters' pixels.
const LETTER_ZOOM: usize = 2;
/// Pixels to a side of a letter.
const LETTER: usize = 8;
const MARGIN: usize = 8;

/// The digit in text: two rows of pixels to a line in shades of grey, or one letter to a pixel without colours.
pub(crate) fn text(image: &[u8; PIXELS], has_colors: bool) -> Vec<String> {
    if has_colors {
        let shade = |row: usize, column: usize| image[row * SIDE + column];
        let cell = |row, column| {
            let (above, below) = (shade(row, column), shade(row + 1, column));
            format!("\x1b[38;2;{above};{above};{above}m\x1b[48;2;{below};{below};{below}m▀")
        };
        let line = |row| (0..SIDE).map(|column| cell(row, column)).collect::<String>() + "\x1b[0m";
        return (0..SIDE).step_by(2).map(line).collect();
    }
    const SHADES: &[u8; 10] = b" .:-=+*#%@";
    let letter = |&pixel: &u8| char::from(SHADES[usize::from(pixel) * (SHADES.len() - 1) / 255]);
    // Letters are about twice as high as wide, so each stands twice.
    image.chunks(SIDE).map(|row| row.iter().flat_map(|pixel| [letter(pixel); 2]).collect()).collect()
}

/// A PNG of the digit, white on black, above lines of text.
///
/// # Errors
/// The encoder's; it writes to memory, so there is none to expect.
pub(crate) fn png(image: &[u8; PIXELS], caption: &[String]) -> Result<Vec<u8>> {
    let columns = caption.iter().map(String::len).max().unwrap_or(0);
    let width = (SIDE * ZOOM).max(columns * LETTER * LETTER_ZOOM) + 2 * MARGIN;
    let line_height = (LETTER + 2) * LETTER_ZOOM;
    let height = SIDE * ZOOM + 3 * MARGIN + caption.len() * line_height;
    let mut canvas = Canvas { width, pixels: vec![0; width * height] };
    let left = (width - SIDE * ZOOM) / 2;
    for (index, &pixel) in image.iter().enumerate() {
        canvas.square(left + index % SIDE * ZOOM, MARGIN + index / SIDE * ZOOM, ZOOM, pixel);
    }
    for (index, line) in caption.iter().enumerate() {
        canvas.letters(MARGIN, SIDE * ZOOM + 2 * MARGIN + index * line_height, line);
    }
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, u32::try_from(width)?, u32::try_from(height)?);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.add_text_chunk("Title".into(), caption.join("; "))?;
    encoder.write_header()?.write_image_data(&canvas.pixels)?;
    Ok(bytes)
}

struct Canvas {
    width: usize,
    pixels: Vec<u8>,
}

impl Canvas {
    fn square(&mut self, left: usize, top: usize, side: usize, shade: u8) {
        for row in top..top + side {
            self.pixels[row * self.width + left..][..side].fill(shade);
        }
    }

    fn letters(&mut self, left: usize, top: usize, text: &str) {
        for (position, byte) in text.bytes().enumerate() {
            let glyph = BASIC_LEGACY.get(usize::from(byte)).copied().unwrap_or_default();
            for (row, bits) in glyph.iter().enumerate() {
                for column in (0..LETTER).filter(|column| bits & (1 << column) != 0) {
                    let x = left + (position * LETTER + column) * LETTER_ZOOM;
                    self.square(x, top + row * LETTER_ZOOM, LETTER_ZOOM, 255);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_png_shows_the_digit_and_the_caption() {
        let mut image = [0; PIXELS];
        image[0] = 200;
        let bytes = png(&image, &["true digit: 7".into()]).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
        let (width, height) = reader.info().size();
        let mut pixels = vec![0; (width * height) as usize];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!(pixels.iter().filter(|&&pixel| pixel == 200).count(), ZOOM * ZOOM);
        assert!(pixels.iter().filter(|&&pixel| pixel == 255).count() > 100);
    }

    #[test]
    fn the_text_has_a_line_for_each_row() {
        assert_eq!(text(&[255; PIXELS], false), vec!["@".repeat(2 * SIDE); SIDE]);
        assert_eq!(text(&[0; PIXELS], true).len(), SIDE / 2);
    }
}
