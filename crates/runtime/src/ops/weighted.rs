//! What the operators with weights share: CONV_2D, DEPTHWISE_CONV_2D, TRANSPOSE_CONV and FULLY_CONNECTED.
//!
//! They differ in which inputs meet which weights: that is a [`Layer`]. An [`Arithmetic`] says how products are summed, and
//! an [`OutputStage`] what becomes of a sum: bias, scale, activation. Every layer has every arithmetic.

use core::fmt::Debug;
use core::marker::PhantomData;

use burnlite_tflite::{Activation, Element, ElementType};

use crate::error::OperatorFault;
use crate::frame::{Inputs, Writable, elements_mut};
use crate::interpreter::Numerics;
use crate::kernels::{Dot, Kernels};
use crate::ops::activation::{clamp, float_range};
use crate::ops::hybrid::{Hybrid, HybridLayer};
use crate::ops::integer::{Accumulator, Integer, Requantization, Rescaling, uniform};
use crate::ops::tiled::Patches;
use crate::plan::{Kernel, Node, Operand, Planned};

/// How products of inputs and weights are summed.
pub(crate) trait Arithmetic: Debug + Send + Sync + 'static {
    type Input: Element;
    type Weight: Element;
    type Sum: Element;

    fn plus_product(&self, sum: Self::Sum, x: Self::Input, weight: Self::Weight) -> Self::Sum;
    /// The sum plus the products of a row of inputs with a row of weights, in order.
    fn plus_dot(&self, sum: Self::Sum, row: &[Self::Input], weights: &[Self::Weight]) -> Self::Sum;

    /// Which kernels sum rows.
    fn kernels(&self) -> Kernels {
        Kernels::Reference
    }
}

/// What a channel's scale, multiplier and bias take while a layer is planned, at most.
const CHANNEL_BYTES: usize = 32;

/// What becomes of a sum of products.
pub(crate) trait OutputStage<Sum>: Debug + Send + Sync + 'static {
    type Output: Element;

    /// The output for a sum of the given channel, with the biases of all channels; of none if there is no bias.
    fn output(&self, channel: usize, sum: Sum, bias: &[Sum]) -> Self::Output;

    /// As [`Kernel::table_bytes`].
    fn table_bytes(&self) -> usize {
        0
    }
}

/// Which inputs meet which weights.
pub(crate) trait Layer: Debug + Send + Sync + 'static {
    /// How the input divides into parts that are computed one after the other, for example images.
    fn samples(&self) -> Samples;

    /// Bytes of the memory that [`for_each_sum`](Self::for_each_sum) writes for itself.
    fn scratch_bytes<A: Arithmetic>(&self) -> usize {
        0
    }

    /// What the windows of the layer see, if tiles of it can be computed.
    fn patches(&self) -> Option<Patches> {
        None
    }

    /// Whether rows are summed as a whole, by [`Arithmetic::plus_dot`].
    fn sums_rows(&self) -> bool {
        true
    }

    /// Calls `output` for each element of a sample's result, in order, with its channel and its sum of products.
    fn for_each_sum<A: Arithmetic>(
        &self,
        arithmetic: &A,
        sample: &[A::Input],
        weights: &[A::Weight],
        scratch: &mut [u8],
        output: impl FnMut(usize, A::Sum),
    );
}

/// The parts of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Samples {
    pub(crate) count: usize,
    /// Elements of each.
    pub(crate) elements: usize,
}

impl Samples {
    pub(crate) fn of<'x, T>(&self, input: &'x [T]) -> impl Iterator<Item = &'x [T]> {
        let Self { count, elements } = *self;
        (0..count).map(move |index| &input[index * elements..][..elements])
    }
}

/// The positions of a layer's operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Positions {
    pub(crate) input: usize,
    pub(crate) weights: usize,
    pub(crate) bias: usize,
}

impl Positions {
    /// Where all operators but TRANSPOSE_CONV have them.
    pub(crate) const USUAL: Self = Self { input: 0, weights: 1, bias: 2 };
}

/// A layer's operator, and the points on which the operators differ.
pub(crate) struct Weighted<'n, 'p> {
    pub(crate) node: &'n Node<'p>,
    pub(crate) positions: Positions,
    pub(crate) activation: Activation,
    /// The output's channels, and the dimension of the weights along which they lie.
    pub(crate) channels: usize,
    pub(crate) dimension: usize,
    pub(crate) rescaling: Rescaling,
    /// Whether the sums of 16-bit inputs have 32 bits, as the bias then has.
    pub(crate) has_narrow_sums: bool,
    /// Whether weights with one scale may have a zero point other than 0.
    pub(crate) has_weight_zero_point: bool,
    /// How float inputs meet int8 weights; `None` where they cannot.
    pub(crate) hybrid: Option<Hybrid>,
}

/// Whether 16-bit inputs ask for 32-bit sums, which `option` says, and with tflite-micro a bias, too.
///
/// LiteRT goes by the option alone and would read a bias of another type as if it had the type that the option says.
pub(crate) fn has_narrow_sums(node: &Node<'_>, positions: Positions, option: ElementType) -> bool {
    let bias = node.optional_input(positions.bias).map(|bias| bias.element_type());
    let decisive = match node.options.numerics {
        Numerics::LiteRt => option,
        Numerics::TfLiteMicro => bias.unwrap_or(option),
    };
    decisive == ElementType::Int32
}

impl Weighted<'_, '_> {
    /// The operator with the given sums and shape of the result.
    pub(crate) fn planned<L: Layer>(&self, layer: L, shape: &[usize]) -> Result<Planned, OperatorFault> {
        use ElementType::{Float32, Int8, Int16, Int32, Int64};
        let node = self.node;
        let (input, weights) = (node.input(self.positions.input)?, node.input(self.positions.weights)?);
        let bias = node.optional_input(self.positions.bias);
        if self.channels.saturating_mul(CHANNEL_BYTES) > node.options.max_table_bytes() {
            let what = alloc::format!("the tables of {} channels take too much memory", self.channels);
            return Err(OperatorFault::Shape { what, found: weights.shape.into() });
        }
        if let Some(bias) = bias
            && bias.elements() != self.channels
        {
            let what = alloc::format!("the bias must have {} elements", self.channels);
            return Err(OperatorFault::Shape { what, found: bias.shape.into() });
        }
        let bias = bias.map(|bias| bias.element_type());
        match (input.element_type(), weights.element_type(), bias, node.output(0)?.element_type()) {
            (Float32, Float32, None | Some(Float32), Float32) => {
                let stage = FloatStage { range: float_range(self.activation)? };
                let tiled = self.tiled_floats(&layer, stage.range, shape);
                Ok(tiled.unwrap_or_else(|| self.kernel(layer, shape, Floats, stage)))
            }
            (Float32, Int8, None | Some(Float32), Float32) => match self.hybrid {
                Some(hybrid) => HybridLayer::planned(self, hybrid, layer, shape),
                None => Err(node.types_fault()),
            },
            (Int8, Int8, None | Some(Int32), Int8) => self.integer::<L, i8, i32>(layer, shape),
            (Int16, Int8, None | Some(Int64), Int16) if !self.has_narrow_sums => {
                self.integer::<L, i16, i64>(layer, shape)
            }
            (Int16, Int8, None | Some(Int32), Int16) if self.has_narrow_sums => {
                self.integer::<L, i16, i32>(layer, shape)
            }
            _ => Err(node.types_fault()),
        }
    }

    fn integer<L: Layer, T: Integer, A: Accumulator>(
        &self,
        layer: L,
        shape: &[usize],
    ) -> Result<Planned, OperatorFault>
    where
        Kernels: Dot<T, A>,
    {
        let (input, weights) =
            (self.node.input(self.positions.input)?, self.node.input(self.positions.weights)?);
        let (input_scale, input_zero_point) = uniform::<T>(&input)?;
        let weight_scales = weights.channel_scales(self.channels, self.dimension)?;
        let zero_points = (input_zero_point, self.weight_zero_point(&weights)?);
        let arithmetic =
            Integers::<T, A> { zero_points, kernels: self.node.options.kernels, types: PhantomData };
        let scales = (input_scale, &weight_scales[..]);
        let stage =
            Requantization::<T>::new::<A>(self.rescaling, scales, &self.node.output(0)?, self.activation)?;
        let tiled = self.tiled_integers::<L, T, A>(&layer, zero_points, &stage, shape);
        Ok(tiled.unwrap_or_else(|| self.kernel(layer, shape, arithmetic, stage)))
    }

    fn kernel<L: Layer, A: Arithmetic>(
        &self,
        layer: L,
        shape: &[usize],
        arithmetic: A,
        stage: impl OutputStage<A::Sum>,
    ) -> Planned {
        let scratch_bytes = [layer.scratch_bytes::<A>()].into();
        let kernel = LayerKernel { layer, positions: self.positions, arithmetic, stage };
        Planned { scratch_bytes, ..Planned::new(shape, kernel) }
    }

    fn weight_zero_point(&self, weights: &Operand<'_>) -> Result<i32, OperatorFault> {
        if self.has_weight_zero_point && !weights.is_per_channel() {
            return Ok(weights.scale_and_zero_point()?.1);
        }
        weights.require_zero_points_of_zero()?;
        Ok(0)
    }
}

/// Single precision, each sum in order as the reference forms it.
#[derive(Debug)]
pub(crate) struct Floats;

impl Arithmetic for Floats {
    type Input = f32;
    type Weight = f32;
    type Sum = f32;

    #[inline]
    fn plus_product(&self, sum: f32, x: f32, weight: f32) -> f32 {
        sum + x * weight
    }
    #[inline]
    fn plus_dot(&self, sum: f32, row: &[f32], weights: &[f32]) -> f32 {
        row.iter().zip(weights).fold(sum, |sum, (x, w)| sum + x * w)
    }
}

/// Integers less their zero points, with sums of type `A`.
#[derive(Debug)]
pub(crate) struct Integers<T, A, W = i8> {
    /// Of the inputs and of the weights.
    pub(crate) zero_points: (i32, i32),
    pub(crate) kernels: Kernels,
    pub(crate) types: PhantomData<(T, A, W)>,
}

impl<T: Integer, A: Accumulator, W: Integer> Arithmetic for Integers<T, A, W>
where
    Kernels: Dot<T, A, W>,
{
    type Input = T;
    type Weight = W;
    type Sum = A;

    #[inline]
    fn plus_product(&self, sum: A, x: T, weight: W) -> A {
        sum.plus_product(x.into() - self.zero_points.0, weight.into() - self.zero_points.1)
    }
    #[inline]
    fn plus_dot(&self, sum: A, row: &[T], weights: &[W]) -> A {
        sum.plus(self.kernels.dot(row, weights, self.zero_points))
    }
    fn kernels(&self) -> Kernels {
        self.kernels.of_dots()
    }
}

/// A sum of floats plus the bias, within the activation's bounds.
#[derive(Debug)]
pub(crate) struct FloatStage {
    pub(crate) range: (f32, f32),
}

impl OutputStage<f32> for FloatStage {
    type Output = f32;

    #[inline]
    fn output(&self, channel: usize, sum: f32, bias: &[f32]) -> f32 {
        clamp(sum + bias.get(channel).copied().unwrap_or_default(), self.range)
    }
}

#[derive(Debug)]
struct LayerKernel<L, A, S> {
    layer: L,
    positions: Positions,
    arithmetic: A,
    stage: S,
}

impl<L: Layer, A: Arithmetic, S: OutputStage<A::Sum>> Kernel for LayerKernel<L, A, S> {
    fn run(
        &self,
        inputs: &Inputs<'_>,
        [output, scratch, ..]: &mut Writable<'_>,
    ) -> Result<(), OperatorFault> {
        if output.is_empty() {
            return Ok(());
        }
        let Positions { input, weights, bias } = self.positions;
        let (weights, bias) = (inputs.get(weights), inputs.get(bias));
        let mut outputs = elements_mut::<S::Output>(output).iter_mut();
        for sample in self.layer.samples().of(inputs.get(input)) {
            self.layer.for_each_sum(&self.arithmetic, sample, weights, scratch, |channel, sum| {
                let output = self.stage.output(channel, sum, bias);
                outputs.next().into_iter().for_each(|y| *y = output);
            });
        }
        Ok(())
    }

    fn table_bytes(&self) -> usize {
        self.stage.table_bytes()
    }

    fn kernels(&self) -> Kernels {
        if self.layer.sums_rows() { self.arithmetic.kernels() } else { Kernels::Reference }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use burnlite_tflite::{
        Conv2dOptions, DepthwiseConv2dOptions, FullyConnectedOptions, Graph, Model, Op, Operator, Padding,
        Quantization, Tensor, TransposeConvOptions,
    };

    use super::*;
    use crate::{Error, Interpreter, InterpreterOptions};

    /// What an operator makes of constants.
    pub(crate) fn result<T: Element>(
        op: Op,
        operands: &[Tensor<'static>],
        output: Tensor<'static>,
        numerics: Numerics,
    ) -> Result<Vec<T>, Error> {
        let mut graph = Graph::default();
        let inputs: Vec<_> = operands.iter().map(|operand| graph.add_tensor(operand.clone())).collect();
        let output = graph.add_tensor(output);
        graph.operators.push(Operator::new(op, inputs, [output]));
        graph.outputs = [output].into();
        let model = Model::new(graph);
        let options = InterpreterOptions { numerics, ..InterpreterOptions::default() };
        let mut interpreter = Interpreter::with_options(&model, &options)?;
        interpreter.invoke()?;
        interpreter.output::<T>(0).map(<[T]>::to_vec)
    }

    fn constant<T: Element>(shape: &[usize], elements: &[T], scale: f32) -> Tensor<'static> {
        Tensor::constant("", shape, elements).quantized(Quantization::per_tensor(scale, 0))
    }

    fn empty(element_type: ElementType, scale: f32) -> Tensor<'static> {
        Tensor::new("", element_type, []).quantized(Quantization::per_tensor(scale, 0))
    }

    fn fully_connected(quantized_bias_type: ElementType) -> Op {
        Op::FullyConnected(FullyConnectedOptions { quantized_bias_type, ..Default::default() })
    }

    fn conv_2d(quantized_bias_type: ElementType) -> Op {
        let options = Conv2dOptions { stride_w: 1, stride_h: 1, quantized_bias_type, ..Default::default() };
        Op::Conv2d(options)
    }

    fn transpose_conv(quantized_bias_type: ElementType) -> Op {
        let padding = Padding::Valid;
        Op::TransposeConv(TransposeConvOptions {
            padding,
            stride_w: 2,
            stride_h: 2,
            quantized_bias_type,
            ..Default::default()
        })
    }

    #[test]
    fn only_litert_requantizes_fully_connected_layers_in_double_precision() {
        let operands = [constant(&[1, 1], &[1i8], 0.5), constant(&[2, 1], &[1i8, -1], 1.0)];
        for (numerics, expected) in [(Numerics::LiteRt, [1, -1]), (Numerics::TfLiteMicro, [1, 0])] {
            let op = fully_connected(ElementType::Float32);
            let found = result::<i8>(op, &operands, empty(ElementType::Int8, 1.0), numerics);
            assert_eq!(found, Ok(expected.into()));
        }
    }

    #[test]
    fn litert_goes_by_the_option_and_tflite_micro_by_the_type_of_the_bias() {
        let shape = [1, 1, 1, 1];
        let operands =
            [constant(&shape, &[9i16], 1.0), constant(&shape, &[1i8], 1.0), constant(&[1], &[3i32], 1.0)];
        let found = |said, numerics| {
            result::<i16>(conv_2d(said), &operands, empty(ElementType::Int16, 1.0), numerics)
        };
        assert_eq!(found(ElementType::Int32, Numerics::LiteRt), Ok([12].into()));
        for said in [ElementType::Float32, ElementType::Int64] {
            assert!(found(said, Numerics::LiteRt).is_err());
            assert_eq!(found(said, Numerics::TfLiteMicro), Ok([12].into()));
        }
    }

    #[test]
    fn tflite_micro_sums_transposed_convolutions_in_64_bits_whatever_the_option_says() {
        let shape = [1, 1, 1, 1];
        let operands = [
            Tensor::constant("", [4], &[1i32; 4]),
            constant(&shape, &[100i8], 1.0),
            constant(&shape, &[i16::MAX], 1.0),
        ];
        // 32767 * 100 / 100.1 is 32734.27, but with a factor of 15 bits it is more than 32734.5.
        for (numerics, expected) in [(Numerics::LiteRt, 32_734), (Numerics::TfLiteMicro, 32_735)] {
            let output = empty(ElementType::Int16, 100.1);
            let found = result::<i16>(transpose_conv(ElementType::Int32), &operands, output, numerics);
            assert_eq!(found, Ok([expected].into()));
        }
    }

    #[test]
    fn a_transposed_convolution_of_nothing_is_its_bias() {
        let layer = |size: [i32; 2]| {
            let operands = [
                Tensor::constant("", [4], &[1, size[0], size[1], 1]),
                Tensor::constant("", [1, 3, 1, 1], &[1f32; 3]),
                Tensor::constant("", [1, 0, 1, 1], &[0f32; 0]),
                Tensor::constant("", [1], &[7f32]),
            ];
            let output = Tensor::new("", ElementType::Float32, []);
            result::<f32>(transpose_conv(ElementType::Float32), &operands, output, Numerics::LiteRt)
        };
        // The output is smaller than a window: none lies on it.
        assert_eq!(layer([2, 1]), Ok([7.0, 7.0].into()));
        assert!(layer([3, 1]).unwrap_err().to_string().contains("needs an input of 1x1"));
        assert!(layer([-1, 1]).is_err());
    }

    #[test]
    fn shapes_that_do_not_go_together_are_refused() {
        let depthwise = DepthwiseConv2dOptions { stride_w: 1, stride_h: 1, ..Default::default() };
        let fault = |op: Op, weights: [usize; 4], bias: usize| {
            let operands = [
                Tensor::constant("", [1, 1, 1, 2], &[1f32; 2]),
                Tensor::constant("", weights, &alloc::vec![1f32; weights.iter().product()]),
                Tensor::constant("", [bias], &alloc::vec![1f32; bias]),
            ];
            let output = Tensor::new("", ElementType::Float32, []);
            result::<f32>(op, &operands, output, Numerics::LiteRt).unwrap_err().to_string()
        };
        let depthwise = || Op::DepthwiseConv2d(depthwise.clone());
        assert!(fault(depthwise(), [1, 1, 1, 3], 3).contains("a multiple of the input's channels"));
        assert!(fault(depthwise(), [2, 1, 1, 2], 2).contains("must be 1"));
        assert!(fault(depthwise(), [1, 1, 1, 4], 2).contains("the bias must have 4 elements"));
        assert!(fault(conv_2d(ElementType::Float32), [1, 1, 1, 3], 1).contains("divide"));
    }

    #[test]
    fn taps_outside_the_image_do_not_count_whatever_their_weight() {
        let mut weights = [1.0f32; 9];
        weights[0] = f32::INFINITY;
        let options =
            Conv2dOptions { padding: Padding::Same, stride_w: 1, stride_h: 1, ..Conv2dOptions::default() };
        let operands = [
            Tensor::constant("", [1, 2, 2, 1], &[1.0f32; 4]),
            Tensor::constant("", [1, 3, 3, 1], &weights),
            Tensor::constant("", [1], &[0.0f32]),
        ];
        let output = Tensor::new("", ElementType::Float32, []);
        let found = result::<f32>(Op::Conv2d(options), &operands, output, Numerics::LiteRt).unwrap();
        assert_eq!(found, [4.0, 4.0, 4.0, f32::MAX]);
    }
}
