//! What the operators with weights share: CONV_2D, DEPTHWISE_CONV_2D, TRANSPOSE_CONV and FULLY_CONNECTED.
//!
//! They differ in which inputs meet which weights: that is a [`Layer`]. An [`Arithmetic`] says how products are summed, and
//! what becomes of a sum (bias, scale, activation) is the same for all of them.

use alloc::vec::Vec;
use core::fmt::Debug;
use core::marker::PhantomData;

use burnlite_tflite::{Activation, Element, ElementType};

use crate::error::OperatorFault;
use crate::frame::{Inputs, Writable, elements_mut};
use crate::interpreter::Numerics;
use crate::kernels::{Dot, Engine, Kernels};
use crate::ops::activation::{clamp, float_range};
use crate::ops::hybrid::{HybridLayer, InputQuantization};
use crate::ops::integer::{Accumulator, Integer, OutputStage, Rescaling, activation_parameters};
use crate::ops::tiled::{Operands, TiledFloatLayer, TiledLayer};
use crate::plan::{Kernel, Node, Operand, Planned};

/// How products of inputs and weights are summed.
pub(crate) trait Arithmetic {
    type Input: Element;
    type Weight: Element;
    type Sum: Element;

    /// The input that stands for zero, as the outside of an image does.
    fn zero(&self) -> Self::Input;
    fn plus_product(&self, sum: Self::Sum, x: Self::Input, weight: Self::Weight) -> Self::Sum;
    /// The sum plus the products of a row of inputs with a row of weights, in order.
    fn plus_dot(&self, sum: Self::Sum, row: &[Self::Input], weights: &[Self::Weight]) -> Self::Sum;
}

/// Which inputs meet which weights.
pub(crate) trait Layer: Debug + Send + Sync + 'static {
    /// How the input divides into parts that are computed one after the other, for example images.
    fn samples(&self) -> Samples;

    /// Bytes of the memory that [`for_each_sum`](Self::for_each_sum) writes for itself.
    fn scratch_bytes<A: Arithmetic>(&self) -> usize {
        0
    }

    /// The layer on kernels for whole tiles, where it has a form for them; else the layer itself.
    fn tiled<T: Integer>(
        self,
        engine: Engine,
        operands: &Operands<'_>,
        shape: &[usize],
    ) -> Result<Planned, Self>
    where
        Self: Sized,
    {
        TiledLayer::<Self, T>::planned(engine, self, operands, shape)
    }

    /// The layer as a product of matrices, if it is one.
    fn rows(&self) -> Option<Rows> {
        None
    }

    /// Gathers the part of a row that belongs to a group: inputs through `convert`, or `outside` where there is none. Only
    /// for layers that have [`rows`](Self::rows).
    fn gather<X: Copy, Y: Copy>(
        &self,
        _sample: &[X],
        [_row, _group]: [usize; 2],
        _gathered: &mut [Y],
        _outside: Y,
        _convert: impl Fn(X) -> Y,
    ) {
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

/// A layer seen as a product of matrices: rows gathered from the input times the weights `[groups, channels, depth]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rows {
    /// Rows of a sample, each with a result for every channel.
    pub(crate) count: usize,
    /// Parts of a row, each for as many of the channels.
    pub(crate) groups: usize,
    /// Elements of such a part.
    pub(crate) depth: usize,
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
    /// How float inputs are quantized to meet int8 weights; `None` where the operator has no such variant.
    pub(crate) hybrid: Option<InputQuantization>,
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
        if let Some(bias) = bias
            && bias.elements() != self.channels
        {
            let what = alloc::format!("the bias must have {} elements", self.channels);
            return Err(OperatorFault::Shape { what, found: bias.shape.into() });
        }
        let bias = bias.map(|bias| bias.element_type());
        match (input.element_type(), weights.element_type(), bias, node.output(0)?.element_type()) {
            (Float32, Float32, None | Some(Float32), Float32) => {
                let range = float_range(self.activation)?;
                let layer = match self.tiled_float(layer, range, shape) {
                    Ok(planned) => return Ok(planned),
                    Err(layer) => layer,
                };
                let scratch_bytes = [layer.scratch_bytes::<Floats>()].into();
                let kernel = FloatLayer { layer, positions: self.positions, range };
                Ok(Planned { scratch_bytes, ..Planned::new(shape, kernel) })
            }
            (Float32, Int8, None | Some(Float32), Float32) => match self.hybrid {
                Some(quantization) => HybridLayer::planned(self, quantization, layer, shape),
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
        let (input_scale, input_zero_point) = activation_parameters::<T>(&input)?;
        let weight_scales = weights.channel_scales(self.channels, self.dimension)?;
        let zero_points = (input_zero_point, self.weight_zero_point(&weights)?);
        let arithmetic = Integers { zero_points, kernels: self.node.options.kernels, types: PhantomData };
        let scales = (input_scale, &weight_scales[..]);
        let stage = OutputStage::new::<T, A>(self.rescaling, scales, &self.node.output(0)?, self.activation)?;
        let layer = match self.tiled::<L, T, A>(layer, zero_points, &stage, shape) {
            Ok(planned) => return Ok(planned),
            Err(layer) => layer,
        };
        let scratch_bytes = [layer.scratch_bytes::<Integers<T, A>>()].into();
        let kernel = IntegerLayer::<L, T, A> { layer, positions: self.positions, arithmetic, stage };
        Ok(Planned { scratch_bytes, ..Planned::new(shape, kernel) })
    }

    /// The layer on kernels for whole tiles, if the options let them run, the weights are known and the layer has a form for
    /// them; else the layer itself.
    fn tiled<L: Layer, T: Integer, A: Accumulator>(
        &self,
        layer: L,
        (zero_point, weight_zero_point): (i32, i32),
        stage: &OutputStage,
        shape: &[usize],
    ) -> Result<Planned, L> {
        let operands = self.known::<i8>().zip(self.known_bias::<A>());
        let (Some(engine), Some((weights, bias)), 0) =
            (self.node.options.kernels.engine(), operands, weight_zero_point)
        else {
            return Err(layer);
        };
        let operands = Operands {
            input: self.positions.input,
            zero_point,
            weights: &weights,
            bias: A::bias(&bias),
            stage,
            channels: self.channels,
        };
        layer.tiled::<T>(engine, &operands, shape)
    }

    fn tiled_float<L: Layer>(&self, layer: L, range: (f32, f32), shape: &[usize]) -> Result<Planned, L> {
        let operands = self.known::<f32>().zip(self.known_bias::<f32>());
        let (Some(engine), Some((weights, bias))) = (self.node.options.kernels.engine(), operands) else {
            return Err(layer);
        };
        let operands = (&weights[..], &bias[..]);
        TiledFloatLayer::planned(engine, layer, self.positions.input, operands, (self.channels, range), shape)
    }

    /// The weights, where they are constant.
    fn known<W: Element>(&self) -> Option<Vec<W>> {
        self.node.input(self.positions.weights).ok()?.constant().ok()
    }

    /// The biases, where they are constant; none where there is no bias.
    fn known_bias<A: Element>(&self) -> Option<Vec<A>> {
        self.node.optional_input(self.positions.bias).map_or(Some(Vec::new()), |bias| bias.constant().ok())
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
pub(crate) struct Floats;

impl Arithmetic for Floats {
    type Input = f32;
    type Weight = f32;
    type Sum = f32;

    fn zero(&self) -> f32 {
        0.0
    }
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

    fn zero(&self) -> T {
        T::saturating_from(self.zero_points.0)
    }
    #[inline]
    fn plus_product(&self, sum: A, x: T, weight: W) -> A {
        sum.plus_product(x.into() - self.zero_points.0, weight.into() - self.zero_points.1)
    }
    #[inline]
    fn plus_dot(&self, sum: A, row: &[T], weights: &[W]) -> A {
        sum.plus(self.kernels.dot(row, weights, self.zero_points))
    }
}

#[derive(Debug)]
struct FloatLayer<L> {
    layer: L,
    positions: Positions,
    range: (f32, f32),
}

impl<L: Layer> Kernel for FloatLayer<L> {
    fn run(
        &self,
        inputs: &Inputs<'_>,
        [output, scratch, ..]: &mut Writable<'_>,
    ) -> Result<(), OperatorFault> {
        if output.is_empty() {
            return Ok(());
        }
        let Positions { input, weights, bias } = self.positions;
        let (weights, bias) = (inputs.get(weights), inputs.get::<f32>(bias));
        let mut outputs = elements_mut::<f32>(output).iter_mut();
        for sample in self.layer.samples().of(inputs.get(input)) {
            self.layer.for_each_sum(&Floats, sample, weights, scratch, |channel, sum| {
                let bias = bias.get(channel).copied().unwrap_or_default();
                outputs.next().into_iter().for_each(|y| *y = clamp(sum + bias, self.range));
            });
        }
        Ok(())
    }
}

/// int8 with 32-bit sums; 16x8 with 64-bit sums, or 32-bit ones.
#[derive(Debug)]
struct IntegerLayer<L, T, A> {
    layer: L,
    positions: Positions,
    arithmetic: Integers<T, A>,
    stage: OutputStage,
}

impl<L: Layer, T: Integer, A: Accumulator> Kernel for IntegerLayer<L, T, A>
where
    Kernels: Dot<T, A>,
{
    fn run(
        &self,
        inputs: &Inputs<'_>,
        [output, scratch, ..]: &mut Writable<'_>,
    ) -> Result<(), OperatorFault> {
        if output.is_empty() {
            return Ok(());
        }
        let Positions { input, weights, bias } = self.positions;
        let (weights, bias) = (inputs.get(weights), inputs.get::<A>(bias));
        let mut outputs = elements_mut::<T>(output).iter_mut();
        for sample in self.layer.samples().of(inputs.get(input)) {
            self.layer.for_each_sum(&self.arithmetic, sample, weights, scratch, |channel, sum| {
                let output = self.stage.output(channel, sum, bias);
                outputs.next().into_iter().for_each(|y| *y = output);
            });
        }
        Ok(())
    }
}
