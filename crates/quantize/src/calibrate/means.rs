//! What the weights of each layer meet on average, for [bias correction](crate::Quantizer::bias_correction).

use std::collections::BTreeMap;

use burnlite_runtime::{Error as RuntimeError, Interpreter};
use burnlite_tflite::{
    Conv2dOptions, DepthwiseConv2dOptions, ElementType, Graph, Op, Operator, Padding, WindowLayout,
};
use serde::{Deserialize, Serialize};

use super::exact_sum::ExactSum;
use crate::Error;
use crate::rules::{Rule, rule};

/// The means of the inputs of the layers, by operator.
///
/// Each has the layout `[groups, weights of a channel]`: one mean for each weight of a channel, as its place in the
/// input is seen by all windows of all batch rows. A tap outside the image meets 0.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct InputMeans {
    layers: BTreeMap<usize, LayerMeans>,
}

/// The means of one layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LayerMeans {
    samples: usize,
    /// Sums over the samples of each sample's mean in float32. They are exact, so that merging is.
    sums: Vec<ExactSum>,
}

impl LayerMeans {
    fn blank(means: usize) -> Self {
        Self { samples: 0, sums: vec![ExactSum::default(); means] }
    }
}

impl InputMeans {
    /// Takes note of the sample that was run last.
    pub(super) fn observe(
        &mut self,
        interpreter: &Interpreter<'_>,
        graph: &Graph<'_>,
    ) -> Result<(), RuntimeError> {
        for (index, operator) in graph.operators.iter().enumerate() {
            if let Some(means) = means_of_sample(interpreter, graph, operator)? {
                let layer = self.layers.entry(index).or_insert_with(|| LayerMeans::blank(means.len()));
                layer.samples += 1;
                layer.sums.iter_mut().zip(means).for_each(|(sum, mean)| sum.add(mean));
            }
        }
        Ok(())
    }

    /// Checks that layers which both have seen have as many means.
    pub(super) fn check(&self, other: &Self) -> Result<(), Error> {
        let differs = |(index, theirs): &(&usize, &LayerMeans)| {
            self.layers.get(index).is_some_and(|mine| mine.sums.len() != theirs.sums.len())
        };
        match other.layers.iter().find(differs) {
            Some((&operator, _)) => Err(Error::OtherLayer { operator }),
            None => Ok(()),
        }
    }

    /// Adds what another saw of the same layers.
    pub(super) fn merge(&mut self, other: &Self) {
        for (&index, theirs) in &other.layers {
            let mine = self.layers.entry(index).or_insert_with(|| LayerMeans::blank(theirs.sums.len()));
            mine.samples += theirs.samples;
            mine.sums.iter_mut().zip(&theirs.sums).for_each(|(mine, theirs)| mine.merge(theirs));
        }
    }

    /// Whether so many samples can have led to these sums.
    pub(super) fn fits(&self, samples: usize) -> bool {
        let fits = |layer: &LayerMeans| {
            (1..=samples).contains(&layer.samples) && layer.sums.iter().all(|sum| sum.fits(layer.samples))
        };
        self.layers.values().all(fits)
    }

    /// The means of an operator's input; `None` where nothing was seen.
    pub(super) fn of(&self, operator: usize) -> Option<Vec<f64>> {
        let LayerMeans { samples, sums } = self.layers.get(&operator)?;
        Some(sums.iter().map(|sum| sum.value() / *samples as f64).collect())
    }
}

/// The means of a layer's input in the sample that was run last; `None` where the operator is no layer.
fn means_of_sample(
    interpreter: &Interpreter<'_>,
    graph: &Graph<'_>,
    operator: &Operator,
) -> Result<Option<Vec<f32>>, RuntimeError> {
    let Some(Rule::Weighted(operands)) = rule(&operator.op) else { return Ok(None) };
    let operand = |position: usize| operator.inputs.get(position).copied().flatten();
    let (Some(input), Some(weights)) = (operand(operands.input), operand(operands.weights)) else {
        return Ok(None);
    };
    let (image, weights) = (&graph.tensors[input.index()], &graph.tensors[weights.index()]);
    if image.element_type != ElementType::Float32 || image.data.is_some() || weights.data.is_none() {
        return Ok(None);
    }
    let values = interpreter.tensor::<f32>(input)?;
    let shape = interpreter.tensor_info(input)?.shape;
    let windows = match &operator.op {
        Op::Conv2d(options) => Windows::new(&Steps::from(options), shape, &weights.shape),
        Op::DepthwiseConv2d(options) => Windows::depthwise(&Steps::from(options), shape, &weights.shape),
        _ => None,
    };
    let sums = match &operator.op {
        Op::FullyConnected(_) => sums_of_rows(values, &weights.shape),
        _ => windows
            .filter(|windows| windows.pixels() == Some(values.len()))
            .map(|windows| (windows.sums(values), windows.count())),
    };
    let rounded = |(sums, count): (Vec<f64>, usize)| {
        // The mean of finite float32 numbers is within their range.
        sums.into_iter().map(|sum| (sum / count as f64) as f32).collect()
    };
    Ok(sums.filter(|&(_, count)| count > 0).map(rounded))
}

/// The sum of each input feature over the rows of a product with weights `[outputs, inputs]`, and the number of rows.
fn sums_of_rows(values: &[f32], weights: &[usize]) -> Option<(Vec<f64>, usize)> {
    let depth = *weights.last().filter(|&&depth| depth > 0)?;
    let mut sums = vec![0f64; depth];
    let rows = values.chunks_exact(depth);
    let count = rows.len();
    rows.for_each(|row| sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value)));
    Some((sums, count))
}

/// The windows of a convolution of `[N, H, W, C]` with weights `[outputs, taps high, taps wide, C / groups]`.
struct Windows {
    batch: usize,
    rows: Axis,
    columns: Axis,
    groups: usize,
    depth: usize,
}

/// How windows are laid, as the options say it: the strides and dilations of rows and of columns.
struct Steps {
    padding: Padding,
    rows: [i32; 2],
    columns: [i32; 2],
}

impl From<&Conv2dOptions> for Steps {
    fn from(options: &Conv2dOptions) -> Self {
        let Conv2dOptions { padding, stride_h, stride_w, dilation_h, dilation_w, .. } = *options;
        Self { padding, rows: [stride_h, dilation_h], columns: [stride_w, dilation_w] }
    }
}

impl From<&DepthwiseConv2dOptions> for Steps {
    fn from(options: &DepthwiseConv2dOptions) -> Self {
        let DepthwiseConv2dOptions { padding, stride_h, stride_w, dilation_h, dilation_w, .. } = *options;
        Self { padding, rows: [stride_h, dilation_h], columns: [stride_w, dilation_w] }
    }
}

impl Windows {
    /// With weights `[1, taps high, taps wide, C * multiplier]`: each channel is a group of its own.
    fn depthwise(steps: &Steps, image: &[usize], weights: &[usize]) -> Option<Self> {
        let &[_, taps_high, taps_wide, outputs] = weights else { return None };
        Self::new(steps, image, &[outputs, taps_high, taps_wide, 1])
    }

    fn new(steps: &Steps, image: &[usize], weights: &[usize]) -> Option<Self> {
        let (&[batch, height, width, channels], &[_, taps_high, taps_wide, depth]) = (image, weights) else {
            return None;
        };
        let groups = channels.checked_div(depth).filter(|groups| groups * depth == channels)?;
        let rows = Axis::new(height, taps_high, steps.rows, steps.padding)?;
        let columns = Axis::new(width, taps_wide, steps.columns, steps.padding)?;
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
    fn count(&self) -> usize {
        self.batch * self.rows.windows * self.columns.windows
    }

    /// The sum over all windows of what each tap meets: `[groups, taps high, taps wide, depth]`.
    fn sums(&self, image: &[f32]) -> Vec<f64> {
        let Self { batch, rows, columns, groups, depth } = self;
        let (channels, taps) = (groups * depth, rows.taps * columns.taps);
        let mut sums = vec![0f64; taps * channels];
        for tap in 0..taps {
            let (tap_row, tap_column) = (tap / columns.taps, tap % columns.taps);
            for row in (0..*batch).flat_map(|n| rows.pixels(tap_row).map(move |row| n * rows.extent + row)) {
                for pixel in columns.pixels(tap_column).map(|column| row * columns.extent + column) {
                    let seen = &image[pixel * channels..][..channels];
                    for (group, seen) in seen.chunks_exact(*depth).enumerate() {
                        let sums = &mut sums[(group * taps + tap) * depth..][..*depth];
                        sums.iter_mut().zip(seen).for_each(|(sum, &value)| *sum += f64::from(value));
                    }
                }
            }
        }
        sums
    }
}

/// The windows along one axis.
struct Axis {
    extent: usize,
    windows: usize,
    taps: usize,
    stride: usize,
    dilation: usize,
    /// Pixels of padding before the image.
    before: usize,
}

impl Axis {
    /// As the format defines SAME and VALID.
    fn new(extent: usize, taps: usize, [stride, dilation]: [i32; 2], padding: Padding) -> Option<Self> {
        let [stride, dilation] = [usize::try_from(stride).ok()?, usize::try_from(dilation).ok()?];
        let WindowLayout { count, before } = padding.windows(extent, taps, stride, dilation)?;
        Some(Self { extent, windows: count, taps, stride, dilation, before })
    }

    /// The pixels under a tap, window after window, without those outside the image.
    fn pixels(&self, tap: usize) -> impl Iterator<Item = usize> {
        let position = move |window: usize| window * self.stride + tap * self.dilation;
        let pixel = move |window| position(window).checked_sub(self.before);
        (0..self.windows).filter_map(pixel).filter(|&pixel| pixel < self.extent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
                    let windows = Windows::new(&Steps::from(&options), &shapes[0], &shapes[1]).unwrap();
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
        let windows = Windows::new(&Steps::from(&options), &[1, 1, 3, 1], &[1, 1, 3, 1]).unwrap();
        // Windows over 0 [3 6 9] 0.
        assert_eq!((windows.sums(&[3.0, 6.0, 9.0]), windows.count()), (vec![9.0, 18.0, 15.0], 3));
    }

    #[test]
    fn windows_that_do_not_fit_are_none() {
        let new = |stride_h, image: [usize; 4]| {
            let options =
                Conv2dOptions { padding: Padding::Valid, stride_h, stride_w: 1, ..Default::default() };
            Windows::new(&Steps::from(&options), &image, &[1, 3, 3, 2]).map(|windows| windows.count())
        };
        assert_eq!(new(1, [1, 3, 3, 2]), Some(1));
        assert_eq!(new(0, [1, 3, 3, 2]), None);
        assert_eq!(new(1, [1, 1, 3, 2]), None);
        assert_eq!(new(1, [1, 3, 3, 3]), None);
    }
}
