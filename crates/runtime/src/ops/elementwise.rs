//! Functions of one element, from ABS to LOG; activations, roots and sigmoids have files of their own.

use burnlite_tflite::{Activation, ElementType};

use crate::error::OperatorFault;
use crate::fixed_point::QuantizedMultiplier;
use crate::kernels::Engine;
use crate::kernels::elementwise::{Steps, center, finish};
use crate::ops::exponential::exp_minus_1;
use crate::ops::integer::{Integer, OutputRange, multiplier, uniform};
use crate::ops::map::{element_type, map, map_steps};
use crate::ops::table::{Precision, Table8, Table16, Table16Parameters};
use crate::plan::{Node, Planned};

/// A function over float32 only.
pub(crate) fn plan_float(
    node: &Node<'_>,
    function: impl Fn(f32) -> f32 + Send + Sync + 'static,
) -> Result<Planned, OperatorFault> {
    match element_type(node)? {
        ElementType::Float32 => map(node, function),
        _ => Err(node.types_fault()),
    }
}

/// A function of real numbers, over integers as a table.
pub(crate) fn plan_tabulated(
    node: &Node<'_>,
    function: impl Fn(f32) -> f32 + Send + Sync + 'static,
) -> Result<Planned, OperatorFault> {
    match element_type(node)? {
        ElementType::Float32 => map(node, function),
        ElementType::Int8 => map_table8(node, function),
        ElementType::Int16 => map_steps::<i16, i16>(node, table16(node, function)?),
        _ => Err(node.types_fault()),
    }
}

/// Looks each element up in a table of the function, which is made in single precision.
pub(crate) fn map_table8(node: &Node<'_>, function: impl Fn(f32) -> f32) -> Result<Planned, OperatorFault> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    let table = Table8::of_reals(input.scale_and_zero_point()?, output.scale_and_zero_point()?, function);
    map(node, move |x| table.lookup(x))
}

/// A table of the function, made in single precision, between scales without zero points.
pub(crate) fn table16(node: &Node<'_>, function: impl Fn(f32) -> f32) -> Result<Table16, OperatorFault> {
    let parameters = Table16Parameters {
        input: (node.input(0)?.symmetric_scale()?.into(), 0),
        output: (node.output(0)?.symmetric_scale()?.into(), 0),
        precision: Precision::Single,
    };
    // Single precision rounds the argument, so that it is a float already.
    Ok(Table16::new(&parameters, |x| function(x as f32).into()))
}

/// ABS: integers are rescaled; int16 without scales is taken as it is.
pub(crate) fn plan_abs(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    match element_type(node)? {
        ElementType::Float32 => map(node, libm::fabsf),
        ElementType::Int8 => rescaled_abs::<i8>(node),
        ElementType::Int16 if node.input(0)?.tensor.quantization.is_none() => map(node, i16::wrapping_abs),
        ElementType::Int16 => rescaled_abs::<i16>(node),
        _ => Err(node.types_fault()),
    }
}

fn rescaled_abs<T: Integer>(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let rescale = Rescale::new::<T>(node, OutputRange::new::<T>(&node.output(0)?, Activation::None)?)?;
    map::<T>(node, move |x| rescale.output(rescale.centered(x).abs()))
}

/// NEG: integers are negated as they are, whatever their scales and zero points say; the smallest one stays.
pub(crate) fn plan_neg(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    match element_type(node)? {
        ElementType::Float32 => map(node, |x: f32| -x),
        ElementType::Int8 => map(node, i8::wrapping_neg),
        ElementType::Int16 => map(node, i16::wrapping_neg),
        ElementType::Int32 => map(node, i32::wrapping_neg),
        ElementType::Int64 => map(node, i64::wrapping_neg),
        _ => Err(node.types_fault()),
    }
}

/// LOGICAL_NOT: any byte but 0 is true.
pub(crate) fn plan_not(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    match element_type(node)? {
        ElementType::Bool => map(node, |x: u8| u8::from(x == 0)),
        _ => Err(node.types_fault()),
    }
}

/// LOG: in a table, arguments up to 0 have the smallest result there is.
pub(crate) fn plan_log(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let smallest = match element_type(node)? {
        ElementType::Int8 => <i8 as Integer>::MIN,
        ElementType::Int16 => <i16 as Integer>::MIN,
        _ => return plan_float(node, log),
    };
    let (scale, zero_point) = node.output(0)?.scale_and_zero_point()?;
    let lowest = scale * (smallest - zero_point) as f32;
    plan_tabulated(node, move |x| if x <= 0.0 { lowest } else { log(x) })
}

// Entries of 16-bit tables depend on the last bits of these functions. LiteRT has them from glibc, whose `expf` and `logf`
// are nearly always rounded right, and whose `expm1f`, `erfcf` and `tanhf` have the formulas of `libm` and of `tanh`.

/// The natural logarithm, rounded once.
fn log(x: f32) -> f32 {
    libm::log(x.into()) as f32
}

/// The hyperbolic tangent (FreeBSD's `s_tanhf.c`), without branches.
#[inline]
pub(crate) fn tanh(x: f32) -> f32 {
    let magnitude = x.abs();
    let is_large = magnitude >= 1.0;
    let difference = exp_minus_1(if is_large { 2.0 * magnitude } else { -2.0 * magnitude });
    let quotient = if is_large { 2.0 } else { -difference } / (difference + 2.0);
    f32::copysign(if is_large { 1.0 - quotient } else { quotient }, x)
}

/// From an operand's integers to a result's of the same type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rescale {
    pub(crate) input_zero_point: i32,
    pub(crate) multiplier: QuantizedMultiplier,
    pub(crate) range: OutputRange,
}

impl Rescale {
    pub(crate) fn new<T: Integer>(node: &Node<'_>, range: OutputRange) -> Result<Self, OperatorFault> {
        let (_, input_zero_point) = uniform::<T>(&node.input(0)?)?;
        uniform::<T>(&node.output(0)?)?;
        Ok(Self { input_zero_point, multiplier: scale_ratio(node, 1.0)?, range })
    }

    /// The element less the zero point, in the operand's scale.
    #[inline]
    pub(crate) fn centered<T: Integer>(&self, x: T) -> i32 {
        x.into().wrapping_sub(self.input_zero_point)
    }

    /// The result for a value in the operand's scale.
    #[inline]
    pub(crate) fn output<T: Integer>(&self, centered: i32) -> T {
        self.range.output(self.multiplier.apply(centered))
    }
}

impl<X: Integer, Y: Integer> Steps<X, Y> for Rescale {
    #[inline]
    fn of(&self, x: X) -> Y {
        self.output(self.centered(x))
    }
    #[inline(always)]
    fn block(&self, engine: Engine, lanes: &mut [i32]) {
        center(lanes, self.input_zero_point, 0);
        engine.rescale(lanes, self.multiplier);
        finish(lanes, self.range);
    }
}

/// `input scale * factor / output scale`.
pub(crate) fn scale_ratio(node: &Node<'_>, factor: f32) -> Result<QuantizedMultiplier, OperatorFault> {
    let precision = Precision::of_scales(node.options.numerics);
    let output = node.output(0)?;
    let (input_scale, _) = node.input(0)?.scale_and_zero_point()?;
    let (output_scale, _) = output.scale_and_zero_point()?;
    let scaled = precision.round(f64::from(input_scale) * f64::from(factor));
    multiplier::<i32>(precision.round(scaled / f64::from(output_scale)), &output)
}

#[cfg(test)]
mod tests {
    use burnlite_tflite::Op;

    use crate::ops::map::tests::{fault, run, run_both};

    #[test]
    fn abs_divides_scales_in_each_implementations_precision() {
        let scales = Some([(2.303_145_4, -111), (3.070_860_6, -113)]);
        let [litert, micro] = run_both(&Op::Abs, scales, &[-125i8, -121, -111]);
        assert_eq!((litert, micro), ([-102, -105, -113].into(), [-103, -106, -113].into()));
    }

    #[test]
    fn the_smallest_integer_is_its_own_opposite() {
        assert_eq!(run(&Op::Neg, None, &[i64::MIN, -1, 0, 7]).unwrap(), [i64::MIN, 1, 0, -7]);
        assert_eq!(run(&Op::Neg, Some([(0.5, 3), (0.1, -9)]), &[-128i8, 127]).unwrap(), [-128, -127]);
        assert_eq!(run(&Op::Abs, None, &[i16::MIN, -1, 5]).unwrap(), [i16::MIN, 1, 5]);
    }

    #[test]
    fn types_without_the_function_are_refused() {
        for op in [Op::Sin, Op::Square, Op::Floor] {
            let error = fault(&op, Some([(1.0, 0); 2]), &[0i8]);
            assert!(error.contains("[Int8, Int8] do not go together or are not supported"), "{error}");
        }
        assert!(run(&Op::Log, None, &[1i32]).is_err());
    }
}
