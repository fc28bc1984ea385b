//! FULLY_CONNECTED: each row of the input times a matrix, plus a bias.

use alloc::vec::Vec;
use core::marker::PhantomData;

use burnlite_tflite::{Activation, ElementType, FullyConnectedOptions, WeightsFormat};

use crate::error::OperatorFault;
use crate::fixed_point::{QuantizedMultiplier, round_half_away};
use crate::frame::{Inputs, Writable, elements_mut};
use crate::interpreter::Numerics;
use crate::kernels::{Dot, Kernels};
use crate::ops::activation::{clamp, float_range};
use crate::ops::integer::{Accumulator, Integer, OutputRange, channel_multipliers, multiplier};
use crate::plan::{Kernel, Node, Planned};

/// The shapes of a product: input `[batch, depth]`, weights `[channels, depth]`, output `[batch, channels]`.
#[derive(Debug, Clone, Copy)]
struct Geometry {
    depth: usize,
    channels: usize,
}

pub(crate) fn plan(node: &Node<'_>, options: &FullyConnectedOptions) -> Result<Planned, OperatorFault> {
    if options.weights_format != WeightsFormat::Default {
        return Err(OperatorFault::Unsupported { what: "the shuffled weights format".into() });
    }
    if matches!(options.activation, Activation::Tanh | Activation::SignBit) {
        return Err(OperatorFault::Unsupported {
            what: alloc::format!("the fused activation {:?}", options.activation),
        });
    }
    let (input, weights, output) = (node.input(0)?, node.input(1)?, node.output(0)?);
    let (geometry, shape) = Geometry::new(node, options)?;
    let bias = node.optional_input(2).map(|bias| bias.element_type());
    let narrow = options.quantized_bias_type == ElementType::Int32;
    match (input.element_type(), weights.element_type(), bias, output.element_type()) {
        (
            ElementType::Float32,
            ElementType::Float32,
            None | Some(ElementType::Float32),
            ElementType::Float32,
        ) => Ok(Planned::new(shape, FloatProduct { geometry, range: float_range(options.activation)? })),
        (ElementType::Int8, ElementType::Int8, None | Some(ElementType::Int32), ElementType::Int8) => {
            integer::<i8, i32>(node, options, geometry, shape)
        }
        (ElementType::Int16, ElementType::Int8, None | Some(ElementType::Int64), ElementType::Int16)
            if !narrow =>
        {
            integer::<i16, i64>(node, options, geometry, shape)
        }
        (ElementType::Int16, ElementType::Int8, None | Some(ElementType::Int32), ElementType::Int16)
            if narrow =>
        {
            integer::<i16, i32>(node, options, geometry, shape)
        }
        _ => Err(node.types_fault()),
    }
}

impl Geometry {
    fn new(node: &Node<'_>, options: &FullyConnectedOptions) -> Result<(Self, Vec<usize>), OperatorFault> {
        let (input, weights) = (node.input(0)?, node.input(1)?);
        let [channels, depth] = weights.dimensions()?;
        let fault = |what| OperatorFault::Shape { what, found: input.shape.into() };
        if depth == 0 || !input.elements().is_multiple_of(depth) {
            return Err(fault(alloc::format!(
                "the input's elements must be a multiple of the weights' {depth} columns"
            )));
        }
        if let Some(bias) = node.optional_input(2)
            && bias.elements() != channels
        {
            let what = alloc::format!("the bias must have {channels} elements");
            return Err(OperatorFault::Shape { what, found: bias.shape.into() });
        }
        let shape = match input.shape.split_last() {
            Some((&last, outer)) if options.keep_num_dims => {
                if last != depth {
                    return Err(fault(alloc::format!(
                        "the input's last extent must be the weights' {depth} columns"
                    )));
                }
                [outer, &[channels]].concat()
            }
            _ => [input.elements() / depth, channels].into(),
        };
        Ok((Self { depth, channels }, shape))
    }

    /// Calls `output` for each element of the result, in order, with its channel, the input's row and the weights' row.
    fn for_each_output<X, W>(&self, input: &[X], weights: &[W], mut output: impl FnMut(usize, &[X], &[W])) {
        for row in input.chunks_exact(self.depth) {
            for (channel, weights) in weights.chunks_exact(self.depth).enumerate() {
                output(channel, row, weights);
            }
        }
    }
}

#[derive(Debug)]
struct FloatProduct {
    geometry: Geometry,
    range: (f32, f32),
}

impl Kernel for FloatProduct {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let bias = inputs.get::<f32>(2);
        let mut outputs = elements_mut::<f32>(output).iter_mut();
        self.geometry.for_each_output::<f32, f32>(inputs.get(0), inputs.get(1), |channel, row, weights| {
            let sum: f32 = row.iter().zip(weights).fold(0.0, |sum, (x, w)| sum + x * w);
            let bias = bias.get(channel).copied().unwrap_or_default();
            outputs.next().into_iter().for_each(|y| *y = clamp(sum + bias, self.range));
        });
        Ok(())
    }
}

fn integer<T: Integer, A: Accumulator>(
    node: &Node<'_>,
    options: &FullyConnectedOptions,
    geometry: Geometry,
    shape: Vec<usize>,
) -> Result<Planned, OperatorFault>
where
    Kernels: Dot<T, A>,
{
    let (input, weights, output) = (node.input(0)?, node.input(1)?, node.output(0)?);
    let (input_scale, input_zero_point) = input.scale_and_zero_point()?;
    if T::MAX == i32::from(i16::MAX) {
        input.symmetric_scale()?;
        output.symmetric_scale()?;
    }
    let weight_scales = weights.channel_scales(geometry.channels, 0)?;
    let is_per_channel = weights.tensor.quantization.as_ref().is_some_and(|q| q.is_per_channel());
    let weight_zero_point = if is_per_channel { 0 } else { weights.scale_and_zero_point()?.1 };
    let (output_scale, _) = output.scale_and_zero_point()?;
    let requantization = match node.options.numerics {
        Numerics::LiteRt => {
            let factor = |&scale: &f32| f64::from(input_scale) * f64::from(scale) / f64::from(output_scale);
            Requantization::Double(weight_scales.iter().map(factor).collect())
        }
        // tflite-micro forms the product of the scales in single precision where the weights have one scale.
        Numerics::TfLiteMicro if !is_per_channel => {
            let real = f64::from(input_scale * weights.scale_and_zero_point()?.0) / f64::from(output_scale);
            Requantization::FixedPoint(alloc::vec![multiplier::<A>(real, &output)?; geometry.channels])
        }
        Numerics::TfLiteMicro => {
            Requantization::FixedPoint(channel_multipliers::<A>(input_scale, &weight_scales, &output)?)
        }
    };
    let kernel = IntegerProduct::<T, A> {
        geometry,
        zero_points: (input_zero_point, weight_zero_point),
        requantization,
        range: OutputRange::new::<T>(&output, options.activation)?,
        kernels: node.options.kernels,
        types: PhantomData,
    };
    Ok(Planned::new(shape, kernel))
}

/// From a sum to an output, by channel.
#[derive(Debug)]
enum Requantization {
    /// Double precision, rounded half away from zero: what LiteRT's reference does for this operator alone.
    Double(Vec<f64>),
    /// Fixed point, as the convolutions.
    FixedPoint(Vec<QuantizedMultiplier>),
}

impl Requantization {
    #[inline]
    fn apply<A: Accumulator>(&self, sum: A, channel: usize) -> i32 {
        match self {
            Self::Double(factors) => round_half_away(sum.to_f64() * factors[channel])
                .clamp(i32::MIN.into(), i32::MAX.into()) as i32,
            Self::FixedPoint(multipliers) => sum.requantize(multipliers[channel]),
        }
    }
}

/// int8 with 32-bit sums; 16x8 with 64-bit sums, or 32-bit ones where the options say so.
#[derive(Debug)]
struct IntegerProduct<T, A> {
    geometry: Geometry,
    /// Of the input and of the weights.
    zero_points: (i32, i32),
    requantization: Requantization,
    range: OutputRange,
    kernels: Kernels,
    types: PhantomData<(T, A)>,
}

impl<T: Integer, A: Accumulator> Kernel for IntegerProduct<T, A>
where
    Kernels: Dot<T, A>,
{
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        let bias = inputs.get::<A>(2);
        let mut outputs = elements_mut::<T>(output).iter_mut();
        self.geometry.for_each_output::<T, i8>(inputs.get(0), inputs.get(1), |channel, row, weights| {
            let sum = self.kernels.dot(row, weights, self.zero_points);
            let sum = bias.get(channel).map_or(sum, |&bias| sum.plus(bias));
            let value = self.requantization.apply(sum, channel);
            outputs.next().into_iter().for_each(|y| *y = self.range.output(value));
        });
        Ok(())
    }
}
