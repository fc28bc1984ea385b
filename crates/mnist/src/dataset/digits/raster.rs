//! Strokes to grey pixels.

use super::Random;
use super::handwriting::Ink;
use crate::dataset::{PIXELS, SIDE};

/// Strokes on a black image: antialiased, a little out of focus, with uneven ink.
pub(super) fn render(strokes: &[Vec<Ink>], random: &mut Random) -> [u8; PIXELS] {
    let mut coverage = [0.0; PIXELS];
    for pair in strokes.iter().flat_map(|stroke| stroke.windows(2)) {
        cover(pair[0], pair[1], &mut coverage);
    }
    let blur = random.uniform(0.0, 0.6);
    let ink = random.uniform(0.95, 1.4);
    let soft = blurred(&coverage);
    let mut image = [0; PIXELS];
    for ((pixel, sharp), soft) in image.iter_mut().zip(coverage).zip(soft) {
        let grey = (ink * (sharp + (soft - sharp) * blur)).min(1.0);
        let grain = 1.0 - random.uniform(0.0, 0.08);
        *pixel = (grey * grain * 255.0 + 0.5) as u8;
    }
    image
}

/// Covers the pixels around one piece of a stroke; where pieces meet, the larger coverage holds.
fn cover(from: Ink, to: Ink, coverage: &mut [f32; PIXELS]) {
    let reach = from.radius.max(to.radius) + 0.5;
    let (dx, dy) = (to.x - from.x, to.y - from.y);
    let length_squared = (dx * dx + dy * dy).max(f32::MIN_POSITIVE);
    for row in span(from.y.min(to.y) - reach, from.y.max(to.y) + reach) {
        for column in span(from.x.min(to.x) - reach, from.x.max(to.x) + reach) {
            let (x, y) = (column as f32 + 0.5 - from.x, row as f32 + 0.5 - from.y);
            let along = ((x * dx + y * dy) / length_squared).clamp(0.0, 1.0);
            let (x, y) = (x - along * dx, y - along * dy);
            let radius = from.radius + (to.radius - from.radius) * along;
            let covered = (radius + 0.5 - (x * x + y * y).sqrt()).clamp(0.0, 1.0);
            let pixel = &mut coverage[row * SIDE + column];
            *pixel = pixel.max(covered);
        }
    }
}

/// The pixels whose cells touch `low..high`, inside the image.
fn span(low: f32, high: f32) -> core::ops::Range<usize> {
    let side = SIDE as f32;
    low.clamp(0.0, side) as usize..high.clamp(0.0, side).ceil() as usize
}

/// The image under the 3x3 binomial filter `[1 2 1] ⊗ [1 2 1] / 16`.
fn blurred(image: &[f32; PIXELS]) -> [f32; PIXELS] {
    let mut rows = [0.0; PIXELS];
    let mut out = [0.0; PIXELS];
    // The border of a digit is empty, so the outermost pixels keep their zero.
    for index in 1..PIXELS - 1 {
        rows[index] = (image[index - 1] + 2.0 * image[index] + image[index + 1]) / 4.0;
    }
    for index in SIDE..PIXELS - SIDE {
        out[index] = (rows[index - SIDE] + 2.0 * rows[index] + rows[index + SIDE]) / 4.0;
    }
    out
}
