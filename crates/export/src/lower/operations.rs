//! Which of Burn's operations are lowered, and by what: the one table that lowering, errors and documentation share.
//!
//! There is no wildcard in it, so an operation that a new version of Burn adds is an error of the compiler.

use burn::backend::ir::{
    ActivationOperationIr, BaseOperationIr, BoolOperationIr, FloatOperationIr, IntOperationIr,
    ModuleOperationIr, NumericOperationIr, OperationIr,
};
use burnlite_tflite::Op;

use super::{
    activation, arithmetic, attention, bits, border, comparison, conv, dense, elementwise, index, math, norm,
    pool, reduce, resize, running, scatter, shape, slice, transpose_conv,
};
use crate::builder::Builder;
use crate::error::Refusal;

/// An operation that Burn can capture, and what becomes of it when a module is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Operation {
    /// The enum of Burn's intermediate representation that it belongs to: `Module`.
    pub family: &'static str,
    /// Its name there: `Conv2d`.
    pub name: &'static str,
    /// What becomes of it.
    pub support: Support,
}

/// What becomes of an operation when a module is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Support {
    /// It becomes operators, unless its options or operands are such that an error says otherwise.
    Lowered,
    /// It has no operands: Burn computes it when the module is exported.
    Computed,
    /// Burn captures others in its place.
    Composed,
    /// It is refused, for this reason.
    Refused(&'static str),
}

/// The operations that Burn can capture, family by family.
pub fn operations() -> impl Iterator<Item = &'static Operation> {
    [BASE, NUMERIC, FLOAT, INT, BOOL, MODULE, ACTIVATION].into_iter().flatten()
}

/// Adds the operators that do what one operation does.
pub(super) fn operation(builder: &mut Builder<'_>, operation: &OperationIr) -> Result<(), Refusal> {
    match operation {
        OperationIr::BaseFloat(op) | OperationIr::BaseInt(op) | OperationIr::BaseBool(op) => {
            base(builder, op)
        }
        OperationIr::NumericFloat(_, op) | OperationIr::NumericInt(_, op) => numeric(builder, op),
        OperationIr::Float(_, op) => float(builder, op),
        OperationIr::Int(op) => int(builder, op),
        OperationIr::Bool(op) => bool(builder, op),
        OperationIr::Module(op) => module(builder, op),
        OperationIr::Activation(op) => activation(builder, op),
        OperationIr::Custom(_) => {
            Err(Refusal::new("TensorFlow Lite does not know it: write it with tensor operations"))
        }
        OperationIr::Distributed(_) => {
            Err(Refusal::new("a file runs on one device: export the module without it"))
        }
        OperationIr::Init(_) | OperationIr::Drop(_) => Ok(()),
    }
}

/// One of Burn's enums: a function that lowers its operations, and a table of them.
macro_rules! family {
    ($table:ident: $family:literal, $function:ident($builder:ident, $enum:ident)
     lowered { $($variant:ident($op:ident) => $lowering:expr,)* }
     computed { $($computed:ident)* }
     composed { $($composed:ident)* }
     refused { $($reason:literal: $($refused:ident)+;)* }) => {
        fn $function($builder: &mut Builder<'_>, operation: &$enum) -> Result<(), Refusal> {
            match operation {
                $($enum::$variant($op) => $lowering,)*
                $($enum::$computed(..) => Err(Refusal::new("it should have been computed: this is a fault of the exporter")),)*
                $($enum::$composed(..) => Err(Refusal::new("Burn should have written it with others: write it so")),)*
                $($($enum::$refused(..) => Err(Refusal::new($reason)),)+)*
            }
        }

        const $table: &[Operation] = &[
            $(Operation { family: $family, name: stringify!($variant), support: Support::Lowered },)*
            $(Operation { family: $family, name: stringify!($computed), support: Support::Computed },)*
            $(Operation { family: $family, name: stringify!($composed), support: Support::Composed },)*
            $($(Operation { family: $family, name: stringify!($refused), support: Support::Refused($reason) },)+)*
        ];
    };
}

family! {
    BASE: "Base", base(builder, BaseOperationIr)
    lowered {
        Reshape(op) => shape::reshape(builder, op),
        Permute(op) => shape::permute(builder, op),
        SwapDims(op) => shape::swap_dims(builder, op),
        Cast(op) => math::cast(builder, op),
        Slice(op) => slice::slice(builder, op),
        SliceAssign(op) => slice::slice_assign(builder, op),
        Cat(op) => index::cat(builder, op),
        Select(op) => index::select(builder, op),
        SelectAssign(op) => scatter::select_assign(builder, op),
        Gather(op) => index::gather(builder, op),
        GatherNd(op) => index::gather_nd(builder, op),
        Scatter(op) => scatter::scatter(builder, op),
        ScatterNd(op) => scatter::scatter_nd(builder, op),
        Unfold(op) => index::unfold(builder, op),
        Expand(op) => border::expand(builder, op),
        RepeatDim(op) => border::repeat(builder, op),
        Flip(op) => border::flip(builder, op),
        MaskWhere(op) => comparison::mask_where(builder, op),
        MaskFill(op) => comparison::mask_fill(builder, op),
        Equal(op) => comparison::compare(builder, Op::Equal, op),
        EqualElem(op) => comparison::compare_scalar(builder, Op::Equal, op),
        NotEqual(op) => comparison::compare(builder, Op::NotEqual, op),
        NotEqualElem(op) => comparison::compare_scalar(builder, Op::NotEqual, op),
        All(op) => reduce::truth(builder, Op::ReduceMin, &op.input, None, &op.out),
        Any(op) => reduce::truth(builder, Op::ReduceMax, &op.input, None, &op.out),
        AllDim(op) => reduce::truth(builder, Op::ReduceMin, &op.input, Some(op.axis), &op.out),
        AnyDim(op) => reduce::truth(builder, Op::ReduceMax, &op.input, Some(op.axis), &op.out),
    }
    computed { Empty Ones Zeros }
    composed {}
    refused {}
}

family! {
    NUMERIC: "Numeric", numeric(builder, NumericOperationIr)
    lowered {
        Add(op) => arithmetic::add(builder, op),
        AddScalar(op) => arithmetic::add_scalar(builder, op),
        Sub(op) => arithmetic::sub(builder, op),
        SubScalar(op) => arithmetic::sub_scalar(builder, op),
        Mul(op) => arithmetic::mul(builder, op),
        MulScalar(op) => arithmetic::mul_scalar(builder, op),
        Div(op) => arithmetic::div(builder, op),
        DivScalar(op) => arithmetic::div_scalar(builder, op),
        Rem(op) => elementwise::lower(builder, Op::FloorMod, &[&op.lhs, &op.rhs], &op.out),
        RemScalar(op) => elementwise::lower_scalar(builder, Op::FloorMod, &op.lhs, op.rhs, &op.out),
        Powi(op) => arithmetic::pow(builder, op),
        PowiScalar(op) => arithmetic::pow_scalar(builder, op),
        Abs(op) => elementwise::lower(builder, Op::Abs, &[&op.input], &op.out),
        Neg(op) => elementwise::lower(builder, Op::Neg, &[&op.input], &op.out),
        Sign(op) => math::sign(builder, op),
        Clamp(op) => activation::clamp_both(builder, op),
        ClampMin(op) => activation::clamp_min(builder, op),
        ClampMax(op) => arithmetic::clamp(builder, &op.lhs, (None, Some(op.rhs)), &op.out),
        Greater(op) => comparison::compare(builder, Op::Greater, op),
        GreaterElem(op) => comparison::compare_scalar(builder, Op::Greater, op),
        GreaterEqual(op) => comparison::compare(builder, Op::GreaterEqual, op),
        GreaterEqualElem(op) => comparison::compare_scalar(builder, Op::GreaterEqual, op),
        Lower(op) => comparison::compare(builder, Op::Less, op),
        LowerElem(op) => comparison::compare_scalar(builder, Op::Less, op),
        LowerEqual(op) => comparison::compare(builder, Op::LessEqual, op),
        LowerEqualElem(op) => comparison::compare_scalar(builder, Op::LessEqual, op),
        Mean(op) => reduce::whole(builder, Op::Mean, op),
        MeanDim(op) => reduce::along(builder, Op::Mean, &op.input, &[op.axis], &op.out),
        Sum(op) => reduce::whole(builder, Op::Sum, op),
        SumDim(op) => reduce::along(builder, Op::Sum, &op.input, &[op.axis], &op.out),
        SumDims(op) => reduce::along(builder, Op::Sum, &op.input, &op.axes, &op.out),
        Prod(op) => running::product(builder, &op.input, None, &op.out),
        ProdDim(op) => running::product(builder, &op.input, Some(op.axis), &op.out),
        Max(op) => reduce::whole(builder, Op::ReduceMax, op),
        MaxDim(op) => reduce::along(builder, Op::ReduceMax, &op.input, &[op.axis], &op.out),
        MaxDimWithIndices(op) => reduce::max_with_indices(builder, op),
        MaxAbs(op) => reduce::max_abs(builder, &op.input, None, &op.out),
        MaxAbsDim(op) => reduce::max_abs(builder, &op.input, Some(op.axis), &op.out),
        Min(op) => reduce::whole(builder, Op::ReduceMin, op),
        MinDim(op) => reduce::along(builder, Op::ReduceMin, &op.input, &[op.axis], &op.out),
        MinDimWithIndices(op) => reduce::min_with_indices(builder, op),
        ArgMax(op) => reduce::arg_max(builder, op),
        ArgMin(op) => reduce::arg_min(builder, op),
        TopK(op) => reduce::top_k(builder, op),
        ArgTopK(op) => reduce::arg_top_k(builder, op),
        TopKWithIndices(op) => reduce::top_k_with_indices(builder, op),
        Sort(op) => reduce::sort(builder, op),
        ArgSort(op) => reduce::arg_sort(builder, op),
        SortWithIndices(op) => reduce::sort_with_indices(builder, op),
        CumSum(op) => running::sum(builder, op),
        CumProd(op) => running::running(builder, arithmetic::mul_op(), op),
        CumMin(op) => running::running(builder, Op::Minimum, op),
        CumMax(op) => running::running(builder, Op::Maximum, op),
        Pad(op) => border::pad(builder, op),
    }
    computed { Full }
    composed {}
    refused {
        "a model gives the same result each time: pass the random numbers as an input": IntRandom;
    }
}

family! {
    FLOAT: "Float", float(builder, FloatOperationIr)
    lowered {
        Exp(op) => math::unary(builder, Op::Exp, op),
        Log(op) => math::unary(builder, Op::Log, op),
        Log1p(op) => math::log1p(builder, op),
        Sqrt(op) => math::unary(builder, Op::Sqrt, op),
        Recip(op) => math::recip(builder, op),
        PowfScalar(op) => arithmetic::pow_scalar(builder, op),
        Powf(op) => elementwise::lower(builder, Op::Pow, &[&op.lhs, &op.rhs], &op.out),
        Hypot(op) => math::hypot(builder, op),
        Sin(op) => math::unary(builder, Op::Sin, op),
        Cos(op) => math::unary(builder, Op::Cos, op),
        Tan(op) => math::tan(builder, op),
        Sinh(op) => math::hyperbolic(builder, op, arithmetic::sub_op()),
        Cosh(op) => math::hyperbolic(builder, op, arithmetic::add_op()),
        Tanh(op) => math::unary(builder, Op::Tanh, op),
        ArcSinh(op) => math::arc_sinh(builder, op),
        ArcCosh(op) => math::arc_cosh(builder, op),
        ArcTanh(op) => math::arc_tanh(builder, op),
        Round(op) => math::unary(builder, Op::Round, op),
        Floor(op) => math::unary(builder, Op::Floor, op),
        Ceil(op) => math::unary(builder, Op::Ceil, op),
        Trunc(op) => math::trunc(builder, op),
        IntoInt(op) => math::cast(builder, op),
        Matmul(op) => dense::matmul(builder, op),
        Cross(op) => index::cross(builder, op),
    }
    computed {}
    composed { IsNan IsInf }
    refused {
        "TensorFlow Lite has no error function: use burn::tensor::activation::gelu, which has an operator": Erf;
        "TensorFlow Lite has no inverse trigonometric functions: give the model the angle, or let the caller compute it":
            ArcCos ArcSin ArcTan ArcTan2;
        "a model gives the same result each time: pass the random numbers as an input": Random;
        "TensorFlow Lite has no sampling at computed positions: use interpolate": GridSample2d;
        "modules are exported in floats: quantize the file with burnlite-quantize": Quantize Dequantize;
    }
}

family! {
    INT: "Int", int(builder, IntOperationIr)
    lowered {
        IntoFloat(op) => math::cast(builder, op),
        BitwiseNot(op) => bits::not(builder, op),
        BitwiseAndScalar(op) => bits::and_scalar(builder, op),
        BitwiseLeftShiftScalar(op) => bits::left_shift_scalar(builder, op),
        BitwiseRightShiftScalar(op) => bits::right_shift_scalar(builder, op),
    }
    computed {}
    composed {}
    refused {
        "TensorFlow Lite has no operators on bits: write it with arithmetic":
            BitwiseAnd BitwiseOr BitwiseOrScalar BitwiseXor BitwiseXorScalar BitwiseLeftShift BitwiseRightShift;
        "TensorFlow Lite multiplies matrices of floats: convert the factors with float()": Matmul;
    }
}

family! {
    BOOL: "Bool", bool(builder, BoolOperationIr)
    lowered {
        IntoFloat(op) => math::cast(builder, op),
        IntoInt(op) => math::cast(builder, op),
        Not(op) => elementwise::lower(builder, Op::LogicalNot, &[&op.input], &op.out),
        And(op) => comparison::compare(builder, Op::LogicalAnd, op),
        Or(op) => comparison::compare(builder, Op::LogicalOr, op),
        Xor(op) => comparison::compare(builder, Op::NotEqual, op),
    }
    computed {}
    composed {}
    refused {}
}

family! {
    MODULE: "Module", module(builder, ModuleOperationIr)
    lowered {
        Linear(op) => dense::linear(builder, op),
        Embedding(op) => index::embedding(builder, op),
        Conv1d(op) => conv::conv1d(builder, op),
        Conv2d(op) => conv::conv2d(builder, op),
        ConvTranspose1d(op) => transpose_conv::conv_transpose1d(builder, op),
        ConvTranspose2d(op) => transpose_conv::conv_transpose2d(builder, op),
        Unfold4d(op) => conv::unfold4d(builder, op),
        MaxPool1d(op) => pool::max_pool1d(builder, op),
        MaxPool1dWithIndices(op) => pool::max_pool1d_with_indices(builder, op),
        MaxPool2d(op) => pool::max_pool2d(builder, op),
        MaxPool2dWithIndices(op) => pool::max_pool2d_with_indices(builder, op),
        AvgPool1d(op) => pool::avg_pool1d(builder, op),
        AvgPool2d(op) => pool::avg_pool2d(builder, op),
        AdaptiveAvgPool1d(op) => pool::adaptive_avg_pool1d(builder, op),
        AdaptiveAvgPool2d(op) => pool::adaptive_avg_pool2d(builder, op),
        BatchNorm(op) => norm::batch_norm(builder, op),
        LayerNorm(op) => norm::layer_norm(builder, op),
        Interpolate(op) => resize::interpolate(builder, op),
        Attention(op) => attention::attention(builder, op),
    }
    computed {}
    composed {}
    refused {
        "TensorFlow Lite works on images and sequences, not on volumes: use the operation of two dimensions or of one":
            Conv3d ConvTranspose3d AdaptiveAvgPool3d;
        "TensorFlow Lite has no windows at computed positions: use conv2d": DeformableConv2d;
        "it belongs to training: export the forward pass without the loss":
            CtcLoss CtcLossBackward EmbeddingBackward LinearXBackward LinearWeightBackward LinearBiasBackward
            Conv1dXBackward Conv1dWeightBackward Conv1dBiasBackward Conv2dXBackward Conv2dWeightBackward
            Conv2dBiasBackward Conv3dXBackward Conv3dWeightBackward Conv3dBiasBackward DeformableConv2dBackward
            ConvTranspose1dWeightBackward ConvTranspose1dBiasBackward ConvTranspose2dWeightBackward
            ConvTranspose2dBiasBackward ConvTranspose3dWeightBackward ConvTranspose3dBiasBackward
            AvgPool1dBackward AvgPool2dBackward AdaptiveAvgPool1dBackward AdaptiveAvgPool2dBackward
            AdaptiveAvgPool3dBackward MaxPool1dWithIndicesBackward MaxPool2dWithIndicesBackward
            InterpolateBackward;
    }
}

family! {
    ACTIVATION: "Activation", activation(builder, ActivationOperationIr)
    lowered {
        Relu(op) => activation::relu(builder, &op.input, &op.out),
        LeakyRelu(op) => activation::leaky_relu(builder, op),
        PRelu(op) => elementwise::lower(builder, Op::Prelu, &[&op.lhs, &op.rhs], &op.out),
        Gelu(op) => activation::gelu(builder, op),
        Sigmoid(op) => math::unary(builder, Op::Logistic, op),
        HardSigmoid(op) => activation::hard_sigmoid(builder, op),
        LogSigmoid(op) => activation::log_sigmoid(builder, op),
        Softmax(op) => activation::softmax(builder, op, 1.0),
        Softmin(op) => activation::softmax(builder, op, -1.0),
        LogSoftmax(op) => activation::along(builder, op, Op::LogSoftmax),
    }
    computed {}
    composed {}
    refused {
        "it belongs to training: export the forward pass without the loss":
            ReluBackward GeluBackward SigmoidBackward LogSigmoidBackward;
    }
}
