//! CAST: numbers and truth values as another type. Scales play no part.

use core::marker::PhantomData;

use burnlite_tflite::{Element, ElementType};

use crate::error::OperatorFault;
use crate::frame::{Inputs, Writable, elements_mut};
use crate::interpreter::Numerics;
use crate::plan::{Kernel, Node, Planned};

pub(crate) fn plan(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    match input.element_type() {
        same if same == output.element_type() => Ok(Planned::alias(input.shape)),
        ElementType::Float32 => plan_from::<f32>(node),
        ElementType::Int8 => plan_from::<i8>(node),
        ElementType::Int16 => plan_from::<i16>(node),
        ElementType::Int32 => plan_from::<i32>(node),
        ElementType::Int64 => plan_from::<i64>(node),
        ElementType::UInt8 => plan_from::<u8>(node),
        ElementType::Bool => plan_from::<Truth>(node),
        _ => Err(node.types_fault()),
    }
}

fn plan_from<A: Castable>(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    match node.output(0)?.element_type() {
        ElementType::Float32 => plan_to::<A, f32>(node),
        ElementType::Int8 => plan_to::<A, i8>(node),
        ElementType::Int16 => plan_to::<A, i16>(node),
        ElementType::Int32 => plan_to::<A, i32>(node),
        ElementType::Int64 => plan_to::<A, i64>(node),
        ElementType::UInt8 => plan_to::<A, u8>(node),
        ElementType::Bool => plan_to::<A, Truth>(node),
        _ => Err(node.types_fault()),
    }
}

fn plan_to<A: Castable, B: Castable>(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    let numerics = node.options.numerics;
    Ok(Planned::new(node.input(0)?.shape, Cast::<A, B> { numerics, types: PhantomData }))
}

#[derive(Debug)]
struct Cast<A, B> {
    numerics: Numerics,
    types: PhantomData<(A, B)>,
}

impl<A: Castable, B: Castable> Kernel for Cast<A, B> {
    fn run(&self, inputs: &Inputs<'_>, [output, ..]: &mut Writable<'_>) -> Result<(), OperatorFault> {
        for (y, &x) in elements_mut::<B::Stored>(output).iter_mut().zip(inputs.get::<A::Stored>(0)) {
            *y = B::store(A::value(x), self.numerics);
        }
        Ok(())
    }
}

/// A value on its way from one type to another.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Value {
    Integer(i64),
    Float(f32),
}

/// What can be cast, and how a tensor stores it.
trait Castable: core::fmt::Debug + Send + Sync + 'static {
    type Stored: Element;
    fn value(stored: Self::Stored) -> Value;
    fn store(value: Value, numerics: Numerics) -> Self::Stored;
}

impl Castable for f32 {
    type Stored = Self;
    #[inline]
    fn value(stored: Self) -> Value {
        Value::Float(stored)
    }
    #[inline]
    fn store(value: Value, _: Numerics) -> Self {
        match value {
            Value::Integer(integer) => integer as Self,
            Value::Float(float) => float,
        }
    }
}

macro_rules! integers {
    ($($integer:ident),*) => {$(
        impl Castable for $integer {
            type Stored = Self;
            #[inline]
            fn value(stored: Self) -> Value {
                Value::Integer(stored.into())
            }
            /// Of an integer the low bits; of a float what is left of the point, saturating. NaN is the greatest integer
            /// to LiteRT (`cast.cc`) and 0 to tflite-micro.
            #[inline]
            fn store(value: Value, numerics: Numerics) -> Self {
                match value {
                    Value::Integer(integer) => integer as Self,
                    Value::Float(float) if float.is_nan() && numerics == Numerics::LiteRt => Self::MAX,
                    Value::Float(float) => float as Self,
                }
            }
        }
    )*};
}
integers!(i8, i16, i32, i64, u8);

/// A truth value: false is 0.
#[derive(Debug)]
struct Truth;

impl Castable for Truth {
    type Stored = u8;
    #[inline]
    fn value(stored: u8) -> Value {
        Value::Integer((stored != 0).into())
    }
    #[inline]
    fn store(value: Value, _: Numerics) -> u8 {
        match value {
            Value::Integer(integer) => (integer != 0).into(),
            Value::Float(float) => (float != 0.0).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_lose_high_bits_and_floats_saturate() {
        let store = |value| i8::store(value, Numerics::LiteRt);
        assert_eq!([0x1_80, -1, 129].map(|integer| store(Value::Integer(integer))), [-128, -1, -127]);
        assert_eq!([-1.9, 300.0, f32::NEG_INFINITY].map(|float| store(Value::Float(float))), [-1, 127, -128]);
        // 2^24 + 1 lies halfway; 2^40 + 2^16 + 1 does not, unless it is rounded twice.
        let float = |integer: i64| f32::store(i64::value(integer), Numerics::LiteRt);
        assert_eq!(float((1 << 24) + 1), 16_777_216.0);
        assert_eq!(float((1 << 40) + (1 << 16) + 1), 1_099_511_758_848.0);
    }

    #[test]
    fn not_a_number_is_an_extreme_or_zero() {
        let store = |numerics| u8::store(Value::Float(f32::NAN), numerics);
        assert_eq!([Numerics::LiteRt, Numerics::TfLiteMicro].map(store), [255, 0]);
    }

    #[test]
    fn whatever_is_not_zero_is_true() {
        let store = |float| Truth::store(Value::Float(float), Numerics::LiteRt);
        assert_eq!([0.0, -0.0, 0.5, f32::NAN].map(store), [0, 0, 1, 1]);
        assert_eq!(Truth::value(255), Value::Integer(1));
    }
}
