//! Pictures as they stand in a page: PNG in a data address.

use anyhow::Result;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;

/// A picture with the text for those who do not see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Picture {
    source: String,
    width: usize,
    height: usize,
    alt: String,
}

impl Picture {
    /// Shades of grey from 0 (black) to 1 (white), row after row.
    pub(crate) fn grey(width: usize, values: &[f32], alt: impl Into<String>) -> Result<Self> {
        Self::new(width, values, png::ColorType::Grayscale, alt)
    }

    /// Red, green and blue from 0 to 1, pixel after pixel.
    pub(crate) fn colour(width: usize, values: &[f32], alt: impl Into<String>) -> Result<Self> {
        Self::new(width, values, png::ColorType::Rgb, alt)
    }

    /// Values from 0 to 1 from dark to light over purple, red and yellow.
    pub(crate) fn heat(width: usize, values: &[f32], alt: impl Into<String>) -> Result<Self> {
        Self::new(width, values, png::ColorType::Indexed, alt)
    }

    /// Indexed colours are those of [`heat`].
    fn new(width: usize, values: &[f32], colours: png::ColorType, alt: impl Into<String>) -> Result<Self> {
        let height = values.len() / (width * colours.samples()).max(1);
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, u32::try_from(width)?, u32::try_from(height)?);
        encoder.set_color(colours);
        if colours == png::ColorType::Indexed {
            encoder.set_palette(
                (0..=u8::MAX).flat_map(|index| heat(f32::from(index) / 255.0)).collect::<Vec<_>>(),
            );
        }
        let bytes: Vec<u8> = values.iter().map(|&value| shade(value)).collect();
        encoder.write_header()?.write_image_data(&bytes)?;
        let source = format!("data:image/png;base64,{}", BASE64_STANDARD.encode(file));
        Ok(Self { source, width, height, alt: alt.into() })
    }
}

fn shade(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0).round() as u8
}

/// Between five colours whose lightness grows evenly.
fn heat(value: f32) -> [u8; 3] {
    const COLOURS: [[f32; 3]; 5] =
        [[0.0, 0.0, 0.02], [0.34, 0.06, 0.43], [0.73, 0.21, 0.33], [0.98, 0.55, 0.04], [0.99, 1.0, 0.64]];
    let place = value.clamp(0.0, 1.0) * (COLOURS.len() - 1) as f32;
    let index = (place as usize).min(COLOURS.len() - 2);
    let between = place - index as f32;
    core::array::from_fn(|part| {
        shade(COLOURS[index][part] * (1.0 - between) + COLOURS[index + 1][part] * between)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_carries_its_png() {
        let picture = Picture::grey(2, &[0.0, 0.5, 1.0, 2.0], "four pixels").unwrap();
        assert_eq!((picture.width, picture.height), (2, 2));
        let data = picture.source.strip_prefix("data:image/png;base64,").unwrap();
        let bytes = BASE64_STANDARD.decode(data).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = [0; 4];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!(pixels, [0, 128, 255, 255]);
    }

    #[test]
    fn heat_goes_from_dark_to_light() {
        let light = |value| heat(value).iter().map(|&part| u32::from(part)).sum::<u32>();
        let values = [0.0, 0.25, 0.5, 0.75, 1.0, f32::INFINITY].map(light);
        assert!(values.is_sorted(), "{values:?}");
    }
}
