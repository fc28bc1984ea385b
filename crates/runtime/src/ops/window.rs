//! Windows that slide over the height and width of an image: the geometry of convolution and pooling.

use core::ops::Range;

use burnlite_tflite::{Padding, WindowLayout};

use crate::error::OperatorFault;

/// The windows along one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Windows {
    /// Extent of the image.
    pub(crate) input: usize,
    /// Number of windows.
    pub(crate) output: usize,
    /// Taps of a window.
    pub(crate) taps: usize,
    /// Pixels from a window to the next.
    pub(crate) stride: usize,
    /// Pixels between neighbouring taps.
    pub(crate) dilation: usize,
    /// Pixels of padding before the image.
    pub(crate) before: usize,
    /// The windows that lie within the image: nearly all, and for them nothing needs to be asked.
    whole: (usize, usize),
}

/// How windows are laid along one axis, as the options say it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Steps {
    pub(crate) stride: i32,
    pub(crate) dilation: i32,
    pub(crate) padding: Padding,
}

impl Windows {
    /// A window of one tap on each of `count` pixels.
    pub(crate) fn points(count: usize) -> Self {
        Self { input: count, output: count, taps: 1, stride: 1, dilation: 1, before: 0, whole: (0, count) }
    }

    /// As the format defines SAME and VALID ([`Padding::windows`]).
    pub(crate) fn new(input: usize, taps: usize, steps: Steps) -> Result<Self, OperatorFault> {
        let positive = |option, value: i32| match usize::try_from(value) {
            Ok(value) if value > 0 => Ok(value),
            _ => Err(OperatorFault::Option { option, expected: "at least 1", found: value.into() }),
        };
        let stride = positive("the stride", steps.stride)?;
        let dilation = positive("the dilation", steps.dilation)?;
        let too_large = || OperatorFault::Shape {
            what: alloc::format!("a window of {taps} taps does not fit into an image of {input} pixels"),
            found: [input].into(),
        };
        let layout = steps.padding.windows(input, taps, stride, dilation).ok_or_else(too_large)?;
        let WindowLayout { count: output, before, .. } = layout;
        let span = (taps - 1) * dilation + 1;
        let first = before.div_ceil(stride);
        let end = (input + before).checked_sub(span).map_or(0, |last| last / stride + 1).min(output);
        Ok(Self { input, output, taps, stride, dilation, before, whole: (first.min(end), end) })
    }

    /// Whether window `index` lies within the image.
    #[inline]
    pub(crate) fn is_whole(&self, index: usize) -> bool {
        (self.whole.0..self.whole.1).contains(&index)
    }

    /// The taps of window `index` that lie within the image.
    #[inline]
    pub(crate) fn taps_inside(&self, index: usize) -> Range<usize> {
        if self.is_whole(index) {
            return 0..self.taps;
        }
        let start = index * self.stride;
        let first = self.before.saturating_sub(start).div_ceil(self.dilation);
        let end = (self.input + self.before).saturating_sub(start).div_ceil(self.dilation);
        first.min(self.taps)..end.min(self.taps)
    }

    /// The pixel under tap `tap` of window `index`; the tap lies within the image.
    #[inline]
    pub(crate) fn pixel(&self, index: usize, tap: usize) -> usize {
        index * self.stride + tap * self.dilation - self.before
    }

    /// The windows with a tap on `pixel`, where neighbouring taps see neighbouring pixels.
    #[inline]
    pub(crate) fn windows_over(&self, pixel: usize) -> Range<usize> {
        let last_tap_first = (pixel + self.before + 1).saturating_sub(self.taps);
        let first = last_tap_first.div_ceil(self.stride);
        let end = ((pixel + self.before) / self.stride + 1).min(self.output);
        first.min(end)..end
    }

    /// The tap of window `index` that lies on `pixel`; the window is [over](Self::windows_over) it.
    #[inline]
    pub(crate) fn tap(&self, index: usize, pixel: usize) -> usize {
        pixel + self.before - index * self.stride
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn steps(stride: i32, dilation: i32, padding: Padding) -> Steps {
        Steps { stride, dilation, padding }
    }

    #[test]
    fn an_odd_pixel_of_padding_goes_behind_the_image() {
        let windows = Windows::new(6, 3, steps(2, 1, Padding::Same)).unwrap();
        assert_eq!((windows.output, windows.before), (3, 0));
        assert_eq!(windows.taps_inside(2), 0..2);
        let windows = Windows::new(5, 3, steps(2, 1, Padding::Same)).unwrap();
        assert_eq!((windows.output, windows.before), (3, 1));
        assert_eq!(windows.taps_inside(0), 1..3);
    }

    #[test]
    fn options_that_make_no_sense_are_refused() {
        assert!(Windows::new(5, 3, steps(0, 1, Padding::Same)).is_err());
        assert!(Windows::new(5, 3, steps(1, -1, Padding::Same)).is_err());
        assert!(Windows::new(2, 5, steps(1, 1, Padding::Valid)).is_err());
        assert!(Windows::new(5, 0, steps(1, 1, Padding::Valid)).is_err());
    }

    proptest! {
        #[test]
        fn taps_inside_are_those_whose_pixel_is_in_the_image(
            input in 1usize..40, taps in 1usize..8, stride in 1i32..4, dilation in 1i32..4, same: bool
        ) {
            let padding = if same { Padding::Same } else { Padding::Valid };
            let Ok(windows) = Windows::new(input, taps, steps(stride, dilation, padding)) else { return Ok(()) };
            for index in 0..windows.output {
                let position = |tap: usize| {
                    (index * windows.stride + tap * windows.dilation) as i64 - windows.before as i64
                };
                let inside: Vec<usize> =
                    (0..taps).filter(|&tap| (0..input as i64).contains(&position(tap))).collect();
                prop_assert_eq!(windows.is_whole(index), inside.len() == taps);
                prop_assert_eq!(windows.taps_inside(index).collect::<Vec<_>>(), inside.clone());
                for tap in inside {
                    prop_assert_eq!(windows.pixel(index, tap) as i64, position(tap));
                }
            }
        }

        #[test]
        fn windows_over_a_pixel_are_those_with_a_tap_on_it(
            input in 1usize..40, taps in 1usize..8, stride in 1i32..4, same: bool
        ) {
            let padding = if same { Padding::Same } else { Padding::Valid };
            let Ok(windows) = Windows::new(input, taps, steps(stride, 1, padding)) else { return Ok(()) };
            for pixel in 0..input {
                let tap = |index| windows.taps_inside(index).find(|&tap| windows.pixel(index, tap) == pixel);
                let expected: Vec<_> =
                    (0..windows.output).filter_map(|index| Some((index, tap(index)?))).collect();
                let over = windows.windows_over(pixel).map(|index| (index, windows.tap(index, pixel)));
                prop_assert_eq!(over.collect::<Vec<_>>(), expected);
            }
        }
    }
}
