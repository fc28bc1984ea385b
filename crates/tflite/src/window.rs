//! Where the windows of a convolution or a pool lie along one axis of an image.

use crate::Padding;

/// The windows along one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowLayout {
    /// Number of windows.
    pub count: usize,
    /// Pixels of padding before the image.
    pub before: usize,
    /// Pixels of padding behind the image.
    pub after: usize,
}

impl Padding {
    /// Lays windows of so many taps along an axis of the given extent, as the format defines it (`ComputeOutSize`,
    /// `ComputePaddingWithOffset`): an odd pixel of padding goes behind the image.
    ///
    /// `None` where there is no tap, stride or dilation, where VALID windows do not fit into the image, or on overflow.
    ///
    /// ```
    /// use burnlite_tflite::{Padding, WindowLayout};
    ///
    /// // Three taps, every second pixel: over 5 pixels two windows lie within the image, and three touch it.
    /// assert_eq!(Padding::Valid.windows(5, 3, 2, 1), Some(WindowLayout { count: 2, before: 0, after: 0 }));
    /// assert_eq!(Padding::Same.windows(5, 3, 2, 1), Some(WindowLayout { count: 3, before: 1, after: 1 }));
    /// assert_eq!(Padding::Valid.windows(1, 3, 1, 1), None);
    /// ```
    pub fn windows(self, extent: usize, taps: usize, stride: usize, dilation: usize) -> Option<WindowLayout> {
        if stride == 0 || dilation == 0 {
            return None;
        }
        let span = taps.checked_sub(1)?.checked_mul(dilation)?.checked_add(1)?;
        let count = match self {
            Self::Same => extent.div_ceil(stride),
            Self::Valid => extent.checked_add(stride)?.checked_sub(span)? / stride,
        };
        let needed = count.saturating_sub(1).checked_mul(stride)?.checked_add(span)?;
        let padding = needed.saturating_sub(extent);
        let before = padding / 2;
        Some(WindowLayout { count, before, after: padding - before })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_pixel_of_padding_goes_behind_the_image() {
        assert_eq!(Padding::Same.windows(6, 3, 2, 1), Some(WindowLayout { count: 3, before: 0, after: 1 }));
        assert_eq!(Padding::Same.windows(6, 4, 1, 1), Some(WindowLayout { count: 6, before: 1, after: 2 }));
        assert_eq!(Padding::Same.windows(6, 3, 1, 2), Some(WindowLayout { count: 6, before: 2, after: 2 }));
    }

    #[test]
    fn an_empty_image_has_no_windows() {
        assert_eq!(Padding::Same.windows(0, 3, 1, 1), Some(WindowLayout { count: 0, before: 1, after: 2 }));
    }

    #[test]
    fn windows_that_make_no_sense_are_none() {
        for (taps, stride, dilation) in [(0, 1, 1), (1, 0, 1), (1, 1, 0), (2, 1, usize::MAX), (9, 1, 1)] {
            assert_eq!(Padding::Valid.windows(5, taps, stride, dilation), None);
        }
        assert_eq!(Padding::Same.windows(usize::MAX, 2, usize::MAX, usize::MAX), None);
    }
}
