//! What convolutions and pools have in common: a window that moves over an image.

use burnlite_tflite::Padding;

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

/// The padding scheme that has windows start and end where Burn's do.
///
/// # Shapes
/// `input` and `output` are Burn's, `[N, C, H, W]`.
pub(super) fn padding(windows: [Window; 2], input: &Shape, output: &Shape) -> Result<Padding, Refusal> {
    let fits = |scheme: fn(&Window, usize, usize) -> bool| {
        (0..2).all(|dim| match (input.0[2 + dim], output.0[2 + dim]) {
            (Extent { size: input, batched: false }, Extent { size: output, batched: false }) => {
                scheme(&windows[dim], input, output)
            }
            _ => false,
        })
    };
    if fits(Window::is_valid) {
        Ok(Padding::Valid)
    } else if fits(Window::is_same) {
        Ok(Padding::Same)
    } else {
        let [height, width] = windows.map(|window| window.padding);
        Err(Refusal::new(format!(
            "padding of {height:?} rows and {width:?} columns for an output of {output} is neither VALID nor SAME: \
             choose another padding"
        )))
    }
}

/// A stride or a size as an operator's option.
pub(super) fn integer(size: usize) -> Result<i32, Refusal> {
    i32::try_from(size)
        .map_err(|_| Refusal::new(format!("{size} is more than an operator's option can hold")))
}

impl Window {
    /// VALID: no padding, `floor((input - reach) / stride) + 1` windows.
    fn is_valid(&self, input: usize, output: usize) -> bool {
        let windows = input.checked_sub(self.reach()).map(|room| room / self.stride + 1);
        self.padding == (0, 0) && windows == Some(output)
    }

    /// SAME: `ceil(input / stride)` windows, and of the padding that they need the smaller half before the image.
    fn is_same(&self, input: usize, output: usize) -> bool {
        let windows = input.div_ceil(self.stride);
        let needed = ((windows.max(1) - 1) * self.stride + self.reach()).saturating_sub(input);
        windows == output && self.padding == (needed / 2, needed - needed / 2)
    }

    /// Pixels from a window's first to its last.
    fn reach(&self) -> usize {
        (self.kernel - 1) * self.dilation + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::tests::batched;

    fn scheme(window: Window, input: usize, output: usize) -> Option<Padding> {
        let [input, output] = [input, output].map(|size| batched(&[1, size, size]));
        padding([window; 2], &input, &output).ok()
    }

    #[test]
    fn padding_is_valid_or_same_or_refused() {
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
    fn a_last_window_that_is_not_full_is_refused() {
        let window = Window { kernel: 2, stride: 2, dilation: 1, padding: (0, 0) };
        assert_eq!(scheme(window, 5, 2), Some(Padding::Valid));
        assert_eq!(
            scheme(window, 5, 3),
            None,
            "SAME gives 3, but pads a row, which Burn's ceil mode does not say"
        );
        assert_eq!(scheme(Window { padding: (0, 1), ..window }, 5, 3), Some(Padding::Same));
    }
}
