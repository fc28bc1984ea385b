//! What convolutions and pools have in common: a window that moves over an image.

use burnlite_tflite::{ElementType, Op, Padding, WindowLayout};

use crate::builder::{Builder, Stored};
use crate::constant::Constant;
use crate::error::Refusal;
use crate::shape::{Extent, Shape};

/// The order in which TensorFlow Lite stores Burn's `[N, C, H, W]`.
pub(super) const NHWC: [usize; 4] = [0, 2, 3, 1];

/// A window that moves along one dimension of an image; lengths in pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) dilation: usize,
    /// Pixels added before and after the image.
    pub(super) padding: (usize, usize),
}

/// How an operator treats the border so that its windows start and end where Burn's do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placement {
    pub(super) padding: Padding,
    /// Pixels to be added before and after the rows and the columns, by an operator of its own.
    pub(super) border: [(usize, usize); 2],
}

/// The treatment of the border that has windows start and end where Burn's do: a scheme of TensorFlow Lite's if one fits,
/// else a border and VALID.
///
/// # Shapes
/// `input` and `output` are Burn's, `[N, C, H, W]`.
pub(super) fn placement(windows: [Window; 2], input: &Shape, output: &Shape) -> Result<Placement, Refusal> {
    let extents = |dim: usize| match (input.0[2 + dim], output.0[2 + dim]) {
        (Extent { size: input, batched: false }, Extent { size: output, batched: false }) => {
            Ok((input, output))
        }
        _ => Err(Refusal::new("its rows or columns grow with the batch")),
    };
    let extents = [extents(0)?, extents(1)?];
    let fits = |padding: &Padding| (0..2).all(|dim| windows[dim].fits(*padding, extents[dim]));
    let border = || [0, 1].map(|dim| windows[dim].border(extents[dim]));
    Ok(match [Padding::Valid, Padding::Same].into_iter().find(fits) {
        Some(padding) => Placement { padding, border: [(0, 0); 2] },
        None => Placement { padding: Padding::Valid, border: border() },
    })
}

/// An image `[N, C, H, W]` with a border of `number`: PAD for zeros, PADV2 otherwise, nothing without a border.
pub(super) fn padded(
    builder: &mut Builder<'_>,
    image: Stored,
    border: [(usize, usize); 2],
    number: f32,
) -> Result<Stored, Refusal> {
    if border == [(0, 0); 2] {
        return Ok(image);
    }
    let x = builder.arrange(&image, &image.layout.groups(&NHWC));
    let [rows, columns] = border;
    let mut paddings = Vec::with_capacity(8);
    for (before, after) in [(0, 0), rows, columns, (0, 0)] {
        paddings.extend([integer(before)?, integer(after)?]);
    }
    let paddings = builder.add_constant(Constant::integers(&paddings).reshaped(&[4, 2]), "paddings");
    let mut shape = image.layout.shape();
    for (dim, (before, after)) in [(2, rows), (3, columns)] {
        shape.0[dim].size += before + after;
    }
    let (op, number) = match number {
        0.0 => (Op::Pad, None),
        _ => (Op::PadV2, Some(builder.add_constant(Constant::floats(&[], vec![number]), "value"))),
    };
    let inputs: Vec<_> = [Some(x), Some(paddings)].into_iter().chain(number.map(Some)).collect();
    Ok(builder.stored_result(op, &inputs, ElementType::Float32, &shape, &NHWC))
}

/// A sequence `[N, C, L]` as an image of one row: `[N, C, 1, L]`.
pub(super) fn as_image(sequence: Stored) -> Result<Stored, Refusal> {
    let shape = sequence.layout.shape().0;
    let shape = Shape(vec![shape[0], shape[1], Extent::ONE, shape[2]]);
    reshaped(sequence, &shape)
}

/// An image of one row as a sequence.
pub(super) fn as_sequence(image: Stored) -> Result<Stored, Refusal> {
    let shape = image.layout.shape().0;
    let shape = Shape(vec![shape[0], shape[1], shape[3]]);
    reshaped(image, &shape)
}

fn reshaped(stored: Stored, shape: &Shape) -> Result<Stored, Refusal> {
    let layout = stored.layout.reshaped(shape);
    let layout = layout.ok_or_else(|| Refusal::new("its dimensions cannot be told apart"))?;
    Ok(Stored { layout, ..stored })
}

/// A stride or a size as an operator's option.
pub(super) fn integer(size: usize) -> Result<i32, Refusal> {
    i32::try_from(size)
        .map_err(|_| Refusal::new(format!("{size} is more than an operator's option can hold")))
}

impl Window {
    /// The window of a dimension that is not there.
    pub(super) const ONE: Self = Self { kernel: 1, stride: 1, dilation: 1, padding: (0, 0) };

    /// Whether `padding`, over an image of `input` pixels, has `output` windows with Burn's padding around them.
    pub(super) fn fits(&self, padding: Padding, (input, output): (usize, usize)) -> bool {
        let (before, after) = self.padding;
        padding.windows(input, self.kernel, self.stride, self.dilation)
            == Some(WindowLayout { count: output, before, after })
    }

    /// The pixels to be added before and after the image so that `output` windows lie within it.
    fn border(&self, (input, output): (usize, usize)) -> (usize, usize) {
        let (before, after) = self.padding;
        let reach = (self.kernel - 1) * self.dilation + 1;
        let needed = (output.max(1) - 1) * self.stride + reach;
        (before, after.max(needed.saturating_sub(input + before)))
    }

    /// The number of windows that lie within the image and its padding.
    pub(super) fn count(&self, input: usize) -> usize {
        let (before, after) = self.padding;
        let windows = Padding::Valid.windows(input + before + after, self.kernel, self.stride, self.dilation);
        windows.map_or(0, |windows| windows.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::tests::batched;

    fn scheme(window: Window, input: usize, output: usize) -> Option<Padding> {
        let [input, output] = [input, output].map(|size| batched(&[1, size, size]));
        let placement = placement([window; 2], &input, &output).unwrap();
        (placement.border == [(0, 0); 2]).then_some(placement.padding)
    }

    #[test]
    fn padding_is_valid_or_same_or_a_border() {
        let window = Window { kernel: 3, stride: 1, dilation: 1, padding: (0, 0) };
        assert_eq!(scheme(window, 28, 26), Some(Padding::Valid));
        assert_eq!(scheme(Window { padding: (1, 1), ..window }, 28, 28), Some(Padding::Same));
        assert_eq!(scheme(Window { padding: (2, 2), ..window }, 28, 30), None);
        assert_eq!(scheme(Window { padding: (2, 2), dilation: 2, ..window }, 28, 28), Some(Padding::Same));
    }

    #[test]
    fn symmetric_padding_of_an_even_image_with_stride_two_is_not_same() {
        // SAME would pad one row at the end only, Burn pads one before and one after.
        let window = Window { kernel: 3, stride: 2, dilation: 1, padding: (1, 1) };
        assert_eq!(scheme(window, 28, 14), None);
        assert_eq!(scheme(window, 27, 14), Some(Padding::Same));
        assert_eq!(scheme(Window { padding: (0, 1), ..window }, 28, 14), Some(Padding::Same));
    }

    #[test]
    fn a_last_window_that_is_not_full_gets_a_border() {
        let window = Window { kernel: 2, stride: 2, dilation: 1, padding: (0, 0) };
        assert_eq!(scheme(window, 5, 2), Some(Padding::Valid));
        assert_eq!(scheme(window, 5, 3), None, "SAME gives 3, but pads, which Burn's ceil mode does not say");
        assert_eq!(window.border((5, 3)), (0, 1));
        assert_eq!(scheme(Window { padding: (0, 1), ..window }, 5, 3), Some(Padding::Same));
    }
}
