//! A layer's windows along one axis of the image as it is laid out, in phases.
//!
//! The windows of a convolution are one phase. Those of a transposed one lie on its result: pixels of the result that are a
//! stride apart meet the same taps, and see the image as the windows of an ordinary convolution do. So a stride of 2 has two
//! phases, of every second tap each, and no product with the zeros between spread pixels is formed.

use alloc::vec::Vec;

use crate::ops::window::Windows;

/// The rows or the columns of an image, and the windows over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Axis {
    /// Pixels of the image.
    pub(crate) input: usize,
    /// Pixels of padding before it.
    pub(crate) before: usize,
    /// Pixels with all padding that windows reach.
    pub(crate) extent: usize,
    /// Pixels of the result.
    pub(crate) output: usize,
    /// Taps of the weights.
    pub(crate) taps: usize,
    pub(crate) phases: Vec<Phase>,
}

/// Windows at equal distances that meet the same taps; each gives a pixel of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Phase {
    /// How many there are.
    pub(crate) count: usize,
    /// Where the first one begins in the image with its padding.
    pub(crate) begin: usize,
    /// Pixels from one to the next.
    pub(crate) stride: usize,
    /// Pixels between neighbouring taps.
    pub(crate) dilation: usize,
    /// Taps of a window.
    pub(crate) taps: usize,
    /// The tap that its first pixel meets, and how many taps further the next pixel's is.
    pub(crate) first_tap: usize,
    pub(crate) tap_step: isize,
    /// The first pixel of the result, and pixels from one to the next.
    pub(crate) first_output: usize,
    pub(crate) output_step: usize,
}

/// More phases of an axis are left to the plain loops: what a hostile file asks for.
const MAX_PHASES: usize = 8;

impl Axis {
    /// The windows of a convolution.
    pub(crate) fn new(windows: &Windows) -> Self {
        let Windows { input, output, taps, stride, dilation, before, .. } = *windows;
        let phase = Phase {
            count: output,
            begin: 0,
            stride,
            dilation,
            taps,
            first_tap: 0,
            tap_step: 1,
            first_output: 0,
            output_step: 1,
        };
        Self { input, before, output, taps, ..Self::reaching(input, before, [phase].into()) }
    }

    /// The windows of a transposed convolution, which are given as they lie on its result; `None` where there are too many
    /// phases.
    pub(crate) fn transposed(windows: &Windows) -> Option<Self> {
        let Windows { input: output, output: input, taps, stride, before: cut, .. } = *windows;
        if stride > MAX_PHASES {
            return None;
        }
        // The window behind the last that lies over the phase's first pixel, and the taps on it.
        let over = |first: usize| {
            let (tap, window) = ((first + cut) % stride, (first + cut) / stride + 1);
            (tap, window, taps.saturating_sub(tap).div_ceil(stride))
        };
        let firsts = 0..stride.min(output);
        let before = firsts.clone().map(over).map(|(_, window, taps)| taps.saturating_sub(window)).max();
        let before = before.unwrap_or(0);
        let phase = |first| {
            let (tap, window, taps) = over(first);
            Phase {
                count: (output - first).div_ceil(stride),
                begin: before + window - taps,
                stride: 1,
                dilation: 1,
                taps,
                first_tap: tap + taps.saturating_sub(1) * stride,
                tap_step: -stride.cast_signed(),
                first_output: first,
                output_step: stride,
            }
        };
        Some(Self { output, taps, ..Self::reaching(input, before, firsts.map(phase).collect()) })
    }

    /// An axis that is as long as its windows and its image need.
    fn reaching(input: usize, before: usize, phases: Vec<Phase>) -> Self {
        let ends = phases.iter().map(Phase::end).max().unwrap_or(0);
        let extent = ends.max(input.saturating_add(before));
        Self { input, before, extent, output: 0, taps: 0, phases }
    }

    /// Takes pixels before and behind the image for padding.
    pub(crate) fn pad(&mut self, (before, behind): (usize, usize)) {
        self.before += before;
        self.input -= before + behind;
    }

    /// Whether each pixel of the image is a window of its own, which gives a pixel of the result.
    pub(crate) fn is_one_pixel(&self) -> bool {
        (self.input, self.before, self.extent, self.output, self.taps) == (1, 0, 1, 1, 1)
    }
}

impl Phase {
    /// Pixels up to the end of the last window.
    fn end(&self) -> usize {
        let last = self.count.saturating_sub(1).saturating_mul(self.stride);
        let gaps = self.taps.saturating_sub(1).saturating_mul(self.dilation);
        self.begin.saturating_add(last).saturating_add(gaps).saturating_add(1)
    }

    /// The taps that the pixels of a window meet, in the pixels' order.
    pub(crate) fn met(&self) -> impl Iterator<Item = usize> + Clone {
        let Self { first_tap, tap_step, .. } = *self;
        (0..self.taps).map(move |pixel| first_tap.wrapping_add_signed(tap_step * pixel.cast_signed()))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use burnlite_tflite::Padding;
    use proptest::prelude::*;

    use super::*;
    use crate::ops::window::Steps;

    #[test]
    fn three_taps_with_a_stride_of_two_are_two_and_one() {
        let steps = Steps { stride: 2, dilation: 1, padding: Padding::Same };
        let axis = Axis::transposed(&Windows::new(8, 3, steps).unwrap()).unwrap();
        assert_eq!((axis.input, axis.before, axis.extent), (4, 1, 5));
        let [even, odd] = axis.phases[..] else { panic!("two phases") };
        assert_eq!((even.begin, even.met().collect::<Vec<_>>()), (0, vec![2, 0]));
        assert_eq!((odd.begin, odd.met().collect::<Vec<_>>()), (1, vec![1]));
    }

    proptest! {
        #[test]
        fn every_pixel_of_the_result_sees_the_windows_over_it(
            output in 1usize..30, taps in 1usize..8, stride in 1i32..5, same: bool
        ) {
            let padding = if same { Padding::Same } else { Padding::Valid };
            let Ok(windows) = Windows::new(output, taps, Steps { stride, dilation: 1, padding }) else { return Ok(()) };
            let axis = Axis::transposed(&windows).unwrap();
            let mut seen = vec![None; output];
            for phase in &axis.phases {
                for index in 0..phase.count {
                    let pixels = phase.met().enumerate().filter_map(|(pixel, tap)| {
                        let place = phase.begin + index + pixel;
                        assert!(place < axis.extent);
                        let window = place.checked_sub(axis.before).filter(|&window| window < axis.input)?;
                        Some((window, tap))
                    });
                    let pixels: Vec<_> = pixels.collect();
                    prop_assert!(seen[phase.first_output + index * phase.output_step].replace(pixels).is_none());
                }
            }
            for (pixel, seen) in seen.into_iter().enumerate() {
                let over = windows.windows_over(pixel).map(|window| (window, windows.tap(window, pixel)));
                prop_assert_eq!(seen, Some(over.collect::<Vec<_>>()));
            }
        }
    }
}
