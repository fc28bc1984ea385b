//! Operators that are computed at once with the one before them, or behind them.

use burnlite_tflite::{Operator, TensorId};

use super::memory::Value;
use super::node::Reader;
use super::planner::Planner;
use super::{Planned, Source};
use crate::error::Error;
use crate::ops::window::Windows;

/// The maximum over windows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MaxPooling {
    pub(crate) rows: Windows,
    pub(crate) columns: Windows,
    /// The least and the greatest result, of floats or of integers: either is exact in double precision.
    pub(crate) bounds: (f64, f64),
}

impl MaxPooling {
    /// Whether no pixel lies in two windows, and no window is empty: then fusing computes nothing twice.
    pub(crate) fn computes_once(&self) -> bool {
        // Where the first and the last window have a pixel, those between them do.
        let once = |windows: &Windows| {
            let ends = [0, windows.output.saturating_sub(1)];
            windows.stride >= windows.taps
                && windows.dilation == 1
                && ends.iter().all(|&index| windows.output == 0 || !windows.taps_inside(index).is_empty())
        };
        once(&self.rows) && once(&self.columns)
    }
}

/// Zeros around images, which stand for the real number 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ImagePadding {
    /// The padded images: `[N, H, W, C]`.
    pub(crate) shape: [usize; 4],
    /// Rows above and below an image.
    pub(crate) rows: (usize, usize),
    /// Columns before and behind it.
    pub(crate) columns: (usize, usize),
}

impl Planner<'_, '_> {
    /// Lets the step that computes the operator's operand compute its result at once, if nothing else sees the operand;
    /// whether it does.
    ///
    /// The step then writes the result where it would have written the operand, which takes no memory any more.
    pub(super) fn fuse(&mut self, operator: &Operator, planned: &Planned) -> Result<bool, Error> {
        let (Source::Kernel(kernel), [Some(operand)], &[result]) =
            (&planned.source, &operator.inputs[..], &operator.outputs[..])
        else {
            return Ok(false);
        };
        let Some(pooling) = kernel.pooling() else { return Ok(false) };
        let Value::Buffer(buffer) = self.value(*operand) else { return Ok(false) };
        if self.options.keep_intermediates || !self.is_read_once(*operand) {
            return Ok(false);
        }
        let bytes = self.memory.bytes(self.tensor(result), &self.shapes[result.index()])?;
        let fused = match self.steps.last_mut() {
            Some(step) => step.writable.first() == Some(&buffer) && step.kernel.fuse(&pooling),
            None => false,
        };
        if fused {
            self.memory.buffers[buffer].bytes = bytes;
            self.values[result.index()] = Value::Buffer(buffer);
            self.values[operand.index()] = Value::Unknown;
        }
        Ok(fused)
    }

    /// Lets the operator's kernel pad its operand if the step before does nothing else, and nothing else sees what it pads;
    /// whether it does.
    ///
    /// The operand then is what that step read, and takes no memory any more.
    pub(super) fn pad(&mut self, operator: &Operator, planned: &mut Planned) -> bool {
        let (Source::Kernel(kernel), Some(&Some(operand))) = (&mut planned.source, operator.inputs.first())
        else {
            return false;
        };
        let (Value::Buffer(buffer), Some(step)) = (self.value(operand), self.steps.last()) else {
            return false;
        };
        let Some(padding) = step.kernel.padding().filter(|_| step.writable.first() == Some(&buffer)) else {
            return false;
        };
        if self.options.keep_intermediates || !self.is_read_once(operand) || !kernel.pad(&padding) {
            return false;
        }
        self.memory.buffers[buffer].bytes = 0;
        self.values[operand.index()] = step.inputs[0];
        self.steps.pop();
        true
    }

    /// Whether one operator reads the tensor, once, and nobody else.
    fn is_read_once(&self, id: TensorId) -> bool {
        matches!(self.readers[id.index()], Reader::Operator(_))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use burnlite_tflite::{
        Activation, Conv2dOptions, DepthwiseConv2dOptions, Element, ElementType, Graph, Model, Op, Padding,
        Pool2dOptions, Quantization, Tensor,
    };
    use proptest::prelude::*;

    use super::super::Plan;
    use super::*;
    use crate::{Interpreter, InterpreterOptions, KERNELS, Kernels};

    /// The channels of the layer's input and output.
    const CHANNELS: usize = 3;

    fn quantized(tensor: Tensor<'static>, scale: f32) -> Tensor<'static> {
        tensor.quantized(Quantization::per_tensor(scale, 0))
    }

    /// A convolution, depthwise or not, of an image of 7x9 pixels, and a pooling of its result.
    fn graph<T: Element>(layer: Op, weights: &[i8], scale: f32, pooling: &Pool2dOptions) -> Graph<'static> {
        let mut graph = Graph::default();
        let shape = match &layer {
            Op::DepthwiseConv2d(_) => [1, 3, 3, CHANNELS],
            _ => [CHANNELS, 3, 3, CHANNELS],
        };
        let weights = &weights[..shape.iter().product()];
        let input = graph.add_tensor(quantized(Tensor::new("input", T::TYPE, [1, 7, 9, CHANNELS]), 1.0));
        let weights = graph.add_tensor(quantized(Tensor::constant("weights", shape, weights), 1.0));
        let layer_result = graph.add_tensor(quantized(Tensor::new("layer", T::TYPE, []), scale));
        let result = graph.add_tensor(quantized(Tensor::new("result", T::TYPE, []), scale));
        graph.operators.push(Operator::new(layer, [input, weights], [layer_result]));
        graph.operators.push(Operator::new(Op::MaxPool2d(pooling.clone()), [layer_result], [result]));
        (graph.inputs, graph.outputs) = ([input].into(), [result].into());
        graph
    }

    fn layer(is_depthwise: bool, padding: Padding) -> Op {
        let (stride_w, stride_h, activation) = (1, 1, Activation::None);
        if is_depthwise {
            return Op::DepthwiseConv2d(DepthwiseConv2dOptions {
                stride_w,
                stride_h,
                padding,
                activation,
                ..Default::default()
            });
        }
        Op::Conv2d(Conv2dOptions { stride_w, stride_h, padding, activation, ..Default::default() })
    }

    fn result<T: Element>(model: &Model<'_>, input: &[T], kernels: Kernels, keep: bool) -> Vec<T> {
        let options = InterpreterOptions { kernels, keep_intermediates: keep, ..Default::default() };
        let mut interpreter = Interpreter::with_options(model, &options).unwrap();
        interpreter.set_input(0, input).unwrap();
        interpreter.invoke().unwrap();
        interpreter.output::<T>(0).unwrap().to_vec()
    }

    fn check<T: Element + PartialEq>(graph: Graph<'static>, input: &[T]) -> Result<(), TestCaseError> {
        let model = Model::new(graph);
        let expected = result(&model, input, Kernels::Reference, true);
        for kernels in KERNELS.iter().filter(|kernels| kernels.is_available()) {
            let found = result(&model, input, Kernels::Named(kernels.name), false);
            prop_assert_eq!(&found, &expected, "{}", kernels.name);
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn a_fused_pooling_gives_the_result_of_the_two_operators(
            is_depthwise: bool,
            is_padded: bool,
            (height, width, below, beside) in (1i32..4, 1i32..4, 1i32..4, 1i32..4),
            weights in proptest::collection::vec(any::<i8>(), 81),
            // Down to a scale with which a factor is above 1, and outputs saturate.
            scale in prop_oneof![Just(0.3f32), 1.0f32..300.0],
            values in proptest::collection::vec(any::<i16>(), 7 * 9 * CHANNELS),
        ) {
            let padding = if is_padded { Padding::Same } else { Padding::Valid };
            let pooling = Pool2dOptions {
                padding,
                stride_w: beside,
                stride_h: below,
                filter_w: width,
                filter_h: height,
                activation: Activation::Relu,
            };
            let narrow: Vec<i8> = values.iter().map(|&x| x as i8).collect();
            let op = || layer(is_depthwise, padding);
            check::<i8>(graph::<i8>(op(), &weights, scale, &pooling), &narrow)?;
            check::<i16>(graph::<i16>(op(), &weights, scale * 64.0, &pooling), &values)?;
        }
    }

    proptest! {
        #[test]
        fn a_fused_padding_gives_the_result_of_the_two_operators(
            is_depthwise: bool,
            is_padded: bool,
            margins in [[0i32..4, 0i32..4], [0i32..4, 0i32..4]],
            weights in proptest::collection::vec(any::<i8>(), 81),
            scale in 1.0f32..300.0,
            values in proptest::collection::vec(any::<i16>(), 7 * 9 * CHANNELS),
            zero_point in -128i64..128,
        ) {
            let padding = if is_padded { Padding::Same } else { Padding::Valid };
            let pooling = Pool2dOptions { stride_w: 2, stride_h: 2, filter_w: 2, filter_h: 2, ..Default::default() };
            let narrow: Vec<i8> = values.iter().map(|&x| x as i8).collect();
            let op = || layer(is_depthwise, padding);
            let bytes = graph::<i8>(op(), &weights, scale, &pooling);
            check::<i8>(padded(bytes, margins, zero_point), &narrow)?;
            check::<i16>(padded(graph::<i16>(op(), &weights, scale * 64.0, &pooling), margins, 0), &values)?;
        }
    }

    /// The same with a padding before all else.
    fn padded(mut graph: Graph<'static>, margins: [[i32; 2]; 2], zero_point: i64) -> Graph<'static> {
        let margins = [[0, 0], margins[0], margins[1], [0, 0]];
        let margins = graph.add_tensor(Tensor::constant("margins", [4, 2], margins.as_flattened()));
        let input = graph.inputs[0];
        graph.tensors[input.index()].quantization = Some(Quantization::per_tensor(1.0, zero_point));
        let padded = Tensor { shape: Vec::new(), ..graph.tensors[input.index()].clone() };
        let padded = graph.add_tensor(padded);
        graph.operators[0].inputs[0] = Some(padded);
        graph.operators.insert(0, Operator::new(Op::Pad, [input, margins], [padded]));
        graph
    }

    #[test]
    fn a_tensor_that_someone_else_sees_is_computed() {
        let pooling =
            Pool2dOptions { stride_w: 2, stride_h: 2, filter_w: 2, filter_h: 2, ..Default::default() };
        let steps = |change: fn(&mut Graph<'static>)| {
            let mut graph = graph::<i8>(layer(false, Padding::Valid), &[1; 81], 1.0, &pooling);
            change(&mut graph);
            let model = Model::new(graph);
            let shapes = [[1, 7, 9, CHANNELS].into()];
            let plan = Plan::new(&model, &model.graphs[0], &shapes, &InterpreterOptions::default());
            plan.unwrap().steps.len()
        };
        // Plain loops do nothing at once.
        let fused = if cfg!(feature = "kernels") { [1, 1, 2] } else { [2, 3, 3] };
        assert_eq!(steps(|_| {}), fused[0]);
        assert_eq!(steps(|graph| *graph = padded(graph.clone(), [[1, 2], [0, 1]], 3)), fused[1]);
        let seen = steps(|graph| {
            *graph = padded(graph.clone(), [[1, 2], [0, 1]], 3);
            graph.outputs.push(TensorId(5));
        });
        assert_eq!(seen, fused[2]);
        assert_eq!(steps(|graph| graph.outputs.push(TensorId(2))), 2);
        let readers = steps(|graph| {
            let other = graph.add_tensor(Tensor::new("other", ElementType::Int8, []));
            graph.operators.push(Operator::new(Op::Maximum, [TensorId(2), TensorId(2)], [other]));
        });
        assert_eq!(readers, 3);
    }
}
