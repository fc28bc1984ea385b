//! What the weights of a layer meet: windows of its input.

use burnlite_runtime::{Error as RuntimeError, Interpreter};
use burnlite_tflite::{ElementType, Graph, Op, Operator, Padding, TensorId, WindowLayout};

use crate::rules::{Rule, WeightedOperands, rule};

/// The input of a layer in the sample that was run last, and its windows, of which there is at least one; `None` where the
/// operator is no layer of constant weights.
pub(super) fn input_of_layer<'i>(
    interpreter: &'i Interpreter<'_>,
    graph: &Graph<'_>,
    operator: &Operator,
) -> Result<Option<(Windows, &'i [f32])>, RuntimeError> {
    let Some(Rule::Weighted(WeightedOperands { input, weights, .. })) = rule(&operator.op) else {
        return Ok(None);
    };
    let operand = |position: usize| operator.inputs.get(position).copied().flatten();
    let (Some(input), Some(weights)) = (operand(input), operand(weights)) else { return Ok(None) };
    let (image, weights) = (&graph.tensors[input.index()], &graph.tensors[weights.index()]);
    if image.element_type != ElementType::Float32 || image.data.is_some() || weights.data.is_none() {
        return Ok(None);
    }
    let values = interpreter.tensor::<f32>(input)?;
    let shape = |id: TensorId| Ok::<_, RuntimeError>(interpreter.tensor_info(id)?.shape);
    let windows = match (&operator.op, operator.outputs.as_slice()) {
        (Op::FullyConnected(_), _) => Windows::rows(values.len(), &weights.shape),
        (op, &[output]) => Windows::of(op, shape(input)?, &weights.shape, shape(output)?),
        _ => None,
    };
    let fits = |windows: &Windows| windows.pixels() == Some(values.len()) && windows.count() > 0;
    Ok(windows.filter(fits).map(|windows| (windows, values)))
}

/// The windows of a layer with weights `[outputs, taps high, taps wide, depth]` over an image `[N, H, W, groups * depth]`.
/// A tap outside the image meets 0.
#[derive(Debug)]
pub(super) struct Windows {
    batch: usize,
    rows: Axis,
    columns: Axis,
    groups: usize,
    depth: usize,
}

impl Windows {
    /// The rows of a product with weights `[outputs, inputs]`.
    fn rows(values: usize, weights: &[usize]) -> Option<Self> {
        let depth = *weights.last()?;
        let batch = values.checked_div(depth)?;
        let point = || Axis { extent: 1, windows: 1, taps: 1, stride: 1, dilation: 1, before: 0, spread: 1 };
        Some(Self { batch, rows: point(), columns: point(), groups: 1, depth })
    }

    /// The windows of a convolution; `None` where shapes and options do not fit.
    fn of(op: &Op, image: &[usize], weights: &[usize], output: &[usize]) -> Option<Self> {
        let (&[batch, height, width, channels], &[_, taps_high, taps_wide, depth]) = (image, weights) else {
            return None;
        };
        let (depth, rows, columns) = match op {
            Op::Conv2d(options) => {
                let axis = |extent, taps, step| Axis::new(extent, taps, step, options.padding);
                let rows = axis(height, taps_high, [options.stride_h, options.dilation_h])?;
                (depth, rows, axis(width, taps_wide, [options.stride_w, options.dilation_w])?)
            }
            // Each channel is a group of its own.
            Op::DepthwiseConv2d(options) => {
                let axis = |extent, taps, step| Axis::new(extent, taps, step, options.padding);
                let rows = axis(height, taps_high, [options.stride_h, options.dilation_h])?;
                (1, rows, axis(width, taps_wide, [options.stride_w, options.dilation_w])?)
            }
            Op::TransposeConv(options) => {
                let &[_, high, wide, _] = output else { return None };
                let axis = |extents, taps, step| Axis::transposed(extents, taps, step, options.padding);
                let rows = axis([height, high], taps_high, options.stride_h)?;
                (depth, rows, axis([width, wide], taps_wide, options.stride_w)?)
            }
            _ => return None,
        };
        let groups = channels.checked_div(depth).filter(|groups| groups * depth == channels)?;
        Some(Self { batch, rows, columns, groups, depth })
    }

    /// Number of elements of the image.
    fn pixels(&self) -> Option<usize> {
        let Self { batch, rows, columns, groups, depth } = self;
        [rows.extent, columns.extent, groups * depth]
            .iter()
            .try_fold(*batch, |count, &extent| count.checked_mul(extent))
    }

    /// Number of windows.
    pub(super) fn count(&self) -> usize {
        self.batch * self.rows.windows * self.columns.windows
    }

    /// Number of groups of channels that meet inputs of their own.
    pub(super) fn groups(&self) -> usize {
        self.groups
    }

    /// Number of inputs that the weights of one output meet.
    pub(super) fn inputs(&self) -> usize {
        self.rows.taps * self.columns.taps * self.depth
    }

    /// The sum over all windows of what each tap meets: `[groups, taps high, taps wide, depth]`.
    pub(super) fn sums(&self, image: &[f32]) -> Vec<f64> {
        let Self { batch, rows, columns, groups, depth } = self;
        let (channels, taps) = (groups * depth, rows.taps * columns.taps);
        let mut sums = vec![0f64; taps * channels];
        for (tap, sums) in sums.chunks_exact_mut(channels).enumerate() {
            let (tap_row, tap_column) = (tap / columns.taps, tap % columns.taps);
            for row in (0..*batch).flat_map(|n| rows.pixels(tap_row).map(move |row| n * rows.extent + row)) {
                for pixel in columns.pixels(tap_column).map(|column| row * columns.extent + column) {
                    let seen = &image[pixel * channels..][..channels];
                    sums.iter_mut().zip(seen).for_each(|(sum, &value)| *sum += f64::from(value));
                }
            }
        }
        if *groups == 1 {
            return sums;
        }
        let of_group = |group: usize| (0..taps).map(move |tap| tap * channels + group * depth);
        (0..*groups).flat_map(of_group).flat_map(|start| sums[start..][..*depth].to_vec()).collect()
    }

    /// What the weights meet in one window: `[groups, taps high, taps wide, depth]`.
    pub(super) fn window(&self, image: &[f32], number: usize, met: &mut [f64]) {
        let Self { rows, columns, groups, depth, .. } = self;
        let (channels, taps) = (groups * depth, rows.taps * columns.taps);
        let (line, column) = (number / columns.windows, number % columns.windows);
        let (n, line) = (line / rows.windows, line % rows.windows);
        met.fill(0.0);
        for tap in 0..taps {
            let row = rows.pixel(line, tap / columns.taps);
            let Some((row, column)) = row.zip(columns.pixel(column, tap % columns.taps)) else { continue };
            let pixel = (n * rows.extent + row) * columns.extent + column;
            for (group, seen) in image[pixel * channels..][..channels].chunks_exact(*depth).enumerate() {
                let met = &mut met[(group * taps + tap) * depth..][..*depth];
                met.iter_mut().zip(seen).for_each(|(met, &value)| *met = f64::from(value));
            }
        }
    }
}

/// The windows along one axis: the tap `t` of window `w` lies on the pixel `(w * stride + t * dilation - before) / spread`,
/// where that is one.
#[derive(Debug)]
struct Axis {
    extent: usize,
    windows: usize,
    taps: usize,
    stride: i64,
    dilation: i64,
    /// Pixels of padding before the image.
    before: i64,
    /// Steps between two pixels of the image.
    spread: i64,
}

impl Axis {
    /// As the format defines SAME and VALID.
    fn new(extent: usize, taps: usize, [stride, dilation]: [i32; 2], padding: Padding) -> Option<Self> {
        let [steps, gaps] = [usize::try_from(stride).ok()?, usize::try_from(dilation).ok()?];
        let WindowLayout { count, before, .. } = padding.windows(extent, taps, steps, gaps)?;
        let (stride, dilation, before) = (stride.into(), dilation.into(), i64::try_from(before).ok()?);
        Some(Self { extent, windows: count, taps, stride, dilation, before, spread: 1 })
    }

    /// Of a transposed convolution, whose outputs are the pixels of the convolution that it reverses: an output meets the
    /// weights from the last to the first.
    fn transposed([extent, outputs]: [usize; 2], taps: usize, stride: i32, padding: Padding) -> Option<Self> {
        let WindowLayout { count, before, .. } =
            padding.windows(outputs, taps, usize::try_from(stride).ok()?, 1)?;
        let before = -i64::try_from(before).ok()?;
        let axis =
            Self { extent, windows: outputs, taps, stride: 1, dilation: -1, before, spread: stride.into() };
        (count == extent).then_some(axis)
    }

    /// The pixel under a tap of a window; `None` outside the image.
    fn pixel(&self, window: usize, tap: usize) -> Option<usize> {
        // Both count elements in memory.
        let (window, tap) = (window as i64, tap as i64);
        let position = window * self.stride + tap * self.dilation - self.before;
        let pixel = usize::try_from(position / self.spread).ok()?;
        (position >= 0 && position % self.spread == 0 && pixel < self.extent).then_some(pixel)
    }

    /// The pixels under a tap, window after window, without those outside the image.
    fn pixels(&self, tap: usize) -> impl Iterator<Item = usize> {
        (0..self.windows).filter_map(move |window| self.pixel(window, tap))
    }
}

#[cfg(test)]
mod tests {
    use burnlite_tflite::{Conv2dOptions, TransposeConvOptions};

    use super::*;

    fn convolution(options: Conv2dOptions, image: &[usize], weights: &[usize]) -> Option<Windows> {
        Windows::of(&Op::Conv2d(options), image, weights, &[])
    }

    /// The same from the definition: an image with its border of zeros, and every window of it.
    fn means_by_definition(image: &[f32], options: &Conv2dOptions, shapes: [[usize; 4]; 2]) -> Vec<f64> {
        let [[batch, height, width, channels], [_, taps_high, taps_wide, depth]] = shapes;
        let axis = |extent: usize, taps: usize, stride: i32, dilation: i32| {
            let (extent, taps, stride, dilation) =
                (extent as i64, taps as i64, i64::from(stride), i64::from(dilation));
            let span = (taps - 1) * dilation + 1;
            if options.padding == Padding::Valid {
                return ((extent - span) / stride + 1, 0);
            }
            let windows = (extent + stride - 1) / stride;
            (windows, ((windows - 1) * stride + span - extent).max(0) / 2)
        };
        let (high, top) = axis(height, taps_high, options.stride_h, options.dilation_h);
        let (wide, left) = axis(width, taps_wide, options.stride_w, options.dilation_w);
        let pixel = |n: usize, y: i64, x: i64, channel: usize| {
            let is_inside = (0..height as i64).contains(&y) && (0..width as i64).contains(&x);
            let index = || ((n * height + y as usize) * width + x as usize) * channels + channel;
            if is_inside { f64::from(image[index()]) } else { 0.0 }
        };
        let mut means = Vec::new();
        for group in 0..channels / depth {
            for (tap, channel) in (0..taps_high * taps_wide).flat_map(|tap| (0..depth).map(move |d| (tap, d)))
            {
                let (tap_row, tap_column) = ((tap / taps_wide) as i64, (tap % taps_wide) as i64);
                let mut sum = 0.0;
                for n in 0..batch {
                    for (row, column) in (0..high).flat_map(|row| (0..wide).map(move |column| (row, column)))
                    {
                        let y =
                            row * i64::from(options.stride_h) + tap_row * i64::from(options.dilation_h) - top;
                        let x = column * i64::from(options.stride_w)
                            + tap_column * i64::from(options.dilation_w)
                            - left;
                        sum += pixel(n, y, x, group * depth + channel);
                    }
                }
                means.push(sum / (batch as i64 * high * wide) as f64);
            }
        }
        means
    }

    #[test]
    fn means_of_windows_are_those_of_the_definition() {
        let mut cases = 0;
        for padding in [Padding::Same, Padding::Valid] {
            for [stride_h, stride_w, dilation_h, dilation_w] in
                [[1, 1, 1, 1], [2, 1, 1, 1], [3, 2, 1, 2], [1, 2, 2, 1], [2, 2, 1, 1]]
            {
                let options = Conv2dOptions {
                    padding,
                    stride_h,
                    stride_w,
                    dilation_h,
                    dilation_w,
                    ..Default::default()
                };
                for [taps_high, taps_wide] in [[1, 1], [3, 3], [2, 3]] {
                    let shapes = [[2, 7, 6, 4], [2, taps_high, taps_wide, 2]];
                    let image: Vec<f32> = (0u16..336).map(|n| f32::from(n * 37 % 101) / 16.0 - 2.0).collect();
                    let windows = convolution(options.clone(), &shapes[0], &shapes[1]).unwrap();
                    let means = windows.sums(&image).into_iter().map(|sum| sum / windows.count() as f64);
                    // Sums of sixteenths are exact in any order.
                    assert_eq!(
                        means.collect::<Vec<_>>(),
                        means_by_definition(&image, &options, shapes),
                        "{options:?}"
                    );
                    cases += 1;
                }
            }
        }
        assert_eq!(cases, 30);
    }

    #[test]
    fn a_tap_outside_the_image_meets_zero() {
        let options = Conv2dOptions { stride_h: 1, stride_w: 1, ..Default::default() };
        let windows = convolution(options, &[1, 1, 3, 1], &[1, 1, 3, 1]).unwrap();
        // Windows over 0 [3 6 9] 0.
        assert_eq!((windows.sums(&[3.0, 6.0, 9.0]), windows.count()), (vec![9.0, 18.0, 15.0], 3));
    }

    #[test]
    fn windows_that_do_not_fit_are_none() {
        let new = |stride_h, image: [usize; 4]| {
            let options =
                Conv2dOptions { padding: Padding::Valid, stride_h, stride_w: 1, ..Default::default() };
            convolution(options, &image, &[1, 3, 3, 2]).map(|windows| windows.count())
        };
        assert_eq!(new(1, [1, 3, 3, 2]), Some(1));
        assert_eq!(new(0, [1, 3, 3, 2]), None);
        assert_eq!(new(1, [1, 1, 3, 2]), None);
        assert_eq!(new(1, [1, 3, 3, 3]), None);
    }
    #[test]
    fn windows_one_by_one_add_up_to_their_sums() {
        let options = Conv2dOptions { stride_h: 2, stride_w: 1, dilation_w: 2, ..Default::default() };
        let image: Vec<f32> = (0u16..336).map(|n| f32::from(n * 37 % 101) / 16.0 - 2.0).collect();
        let windows = convolution(options, &[2, 7, 6, 4], &[2, 3, 3, 2]).unwrap();
        let mut sums = vec![0.0; windows.groups() * windows.inputs()];
        let mut met = sums.clone();
        for number in 0..windows.count() {
            windows.window(&image, number, &mut met);
            sums.iter_mut().zip(&met).for_each(|(sum, met)| *sum += met);
        }
        assert_eq!(sums, windows.sums(&image));
    }

    /// Three pixels, two steps apart, each spread over three outputs by taps 0, 1 and 2.
    #[test]
    fn outputs_of_a_transposed_convolution_meet_every_second_tap() {
        let options =
            TransposeConvOptions { padding: Padding::Valid, stride_h: 1, stride_w: 2, ..Default::default() };
        let windows =
            Windows::of(&Op::TransposeConv(options), &[1, 1, 3, 1], &[1, 1, 3, 1], &[1, 1, 7, 1]).unwrap();
        let mut met = [0.0; 3];
        let seen: Vec<_> = (0..windows.count())
            .map(|number| {
                windows.window(&[3.0, 6.0, 9.0], number, &mut met);
                met
            })
            .collect();
        let expected = [
            [3.0, 0.0, 0.0],
            [0.0, 3.0, 0.0],
            [6.0, 0.0, 3.0],
            [0.0, 6.0, 0.0],
            [9.0, 0.0, 6.0],
            [0.0, 9.0, 0.0],
            [0.0, 0.0, 9.0],
        ];
        assert_eq!(seen, expected);
    }
}
