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

/// Windows of which each gives neighbouring pixels of the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Joined {
    pub(crate) phase: Phase,
    /// For each of the pixels where its taps begin in the window, and the phase they are of.
    pub(crate) pixels: Vec<(usize, Phase)>,
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

    /// Windows of `count` pixels of the result each, which see what any of the pixels meets; `None` where the pixels do not
    /// come out even, or taps do not lie side by side.
    pub(crate) fn joined(&self, count: usize) -> Option<Joined> {
        let phases = self.phases.len();
        let is_even = self.output >= count
            && self.output.is_multiple_of(count)
            && phases > 0
            && count.is_multiple_of(phases);
        if !is_even || self.phases.iter().any(|phase| phase.dilation != 1) {
            return None;
        }
        let begin = |pixel: usize| self.phases[pixel % phases].begin + pixel / phases * self.phases[0].stride;
        let first = (0..count).map(begin).min()?;
        let pixels: Vec<_> =
            (0..count).map(|pixel| (begin(pixel) - first, self.phases[pixel % phases])).collect();
        let phase = Phase {
            count: self.output / count,
            begin: first,
            stride: count / phases * self.phases[0].stride,
            taps: pixels.iter().map(|(begin, phase)| begin + phase.taps).max()?,
            output_step: count,
            ..self.phases[0]
        };
        Some(Joined { phase, pixels })
    }

    /// The same for a depthwise layer, in whose image the pixels that a tap meets lie side by side, too: all pixels of the
    /// result have the same taps. `None` where a stride is between them.
    pub(crate) fn beside(&self, count: usize) -> Option<Joined> {
        let [phase] = self.phases[..] else { return None };
        let joins = phase.stride == 1 && phase.count >= count && phase.count.is_multiple_of(count);
        let joined = Phase { count: phase.count / count, stride: count, output_step: count, ..phase };
        joins.then(|| Joined { phase: joined, pixels: alloc::vec![(0, phase); count] })
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

impl Joined {
    /// Each window a pixel.
    pub(crate) fn single(phase: Phase) -> Self {
        Self { phase, pixels: [(0, phase)].into() }
    }

    /// The tap of the weights that each element of a window is to a pixel of the result, if it is one.
    pub(crate) fn met(&self, pixel: usize) -> impl Iterator<Item = Option<usize>> + Clone {
        let (begin, ref phase) = self.pixels[pixel];
        let behind = self.phase.taps.saturating_sub(begin + phase.taps);
        let none = |count| core::iter::repeat_n(None, count);
        none(begin).chain(phase.met().map(Some)).chain(none(behind))
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

    /// For each pixel of a result the pixels of the image that it sees, with the taps they meet.
    fn met(windows: &[Joined], output: usize) -> Vec<Vec<(usize, usize)>> {
        let mut seen = vec![Vec::new(); output];
        for joined in windows {
            let Phase { count, begin, stride, dilation, first_output, output_step, .. } = joined.phase;
            for (index, pixel) in
                (0..count).flat_map(|index| (0..joined.pixels.len()).map(move |pixel| (index, pixel)))
            {
                let taps = joined.met(pixel).enumerate();
                seen[first_output + index * output_step + pixel] = taps
                    .filter_map(|(place, tap)| Some((begin + index * stride + place * dilation, tap?)))
                    .collect();
            }
        }
        seen
    }

    #[test]
    fn two_pixels_of_three_taps_see_four() {
        let windows = Windows::new(8, 3, Steps { stride: 1, dilation: 1, padding: Padding::Same }).unwrap();
        let joined = Axis::new(&windows).joined(2).unwrap();
        assert_eq!((joined.phase.count, joined.phase.stride, joined.phase.taps), (4, 2, 4));
        let met = [0, 1].map(|pixel| joined.met(pixel).collect::<Vec<_>>());
        assert_eq!(met, [vec![Some(0), Some(1), Some(2), None], vec![None, Some(0), Some(1), Some(2)]]);
        assert_eq!(Axis::new(&windows).joined(3), None);
    }

    proptest! {
        #[test]
        fn joined_windows_meet_what_their_pixels_do(
            input in 1usize..30, taps in 1usize..8, stride in 1i32..5, count in 1usize..9,
            same: bool,
            is_transposed: bool,
        ) {
            let padding = if same { Padding::Same } else { Padding::Valid };
            let Ok(windows) = Windows::new(input, taps, Steps { stride, dilation: 1, padding }) else { return Ok(()) };
            let axis = if is_transposed { Axis::transposed(&windows).unwrap() } else { Axis::new(&windows) };
            let Some(joined) = axis.joined(count) else { return Ok(()) };
            let single: Vec<_> = axis.phases.iter().copied().map(Joined::single).collect();
            prop_assert_eq!(met(&[joined], axis.output), met(&single, axis.output));
        }

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
