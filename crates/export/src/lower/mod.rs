//! Captured operations → operators: one function for each operation, one file for each family.
//!
//! A lowering takes the [`Builder`] and Burn's description of the operation. It asks the builder for its operands in the
//! order of dimensions that its operator wants, adds the operator, and says which tensor the result has become and how
//! its dimensions are stored. It never thinks about where the operands come from.

mod activation;
mod arithmetic;
mod attention;
mod comparison;
mod conv;
mod dense;
mod elementwise;
mod index;
mod math;
mod norm;
mod pool;
mod reduce;
mod resize;
mod shape;
#[cfg(test)]
pub(crate) mod testing;
mod transpose_conv;
mod window;

use burn::backend::ir::{
    BaseOperationIr, IntOperationIr, ModuleOperationIr, NumericOperationIr, OperationIr, TensorIr,
};
use burnlite_tflite::{ElementType, Op};

use crate::Error;
use crate::builder::Builder;
use crate::error::Refusal;
use crate::program::kind;

/// Adds the operators that do what the program's operations do.
pub(crate) fn lower(builder: &mut Builder<'_>) -> Result<(), Error> {
    let program = builder.program;
    for (index, operation) in &program.operations {
        builder.begin(operation.inputs());
        lower_operation(builder, operation).map_err(|Refusal(reason)| Error::UnsupportedOperation {
            index: *index,
            kind: kind(operation),
            inputs: program.shapes(operation.inputs()),
            outputs: program.shapes(operation.outputs()),
            reason,
        })?;
    }
    Ok(())
}

fn lower_operation(builder: &mut Builder<'_>, operation: &OperationIr) -> Result<(), Refusal> {
    match operation {
        OperationIr::BaseFloat(op) | OperationIr::BaseInt(op) | OperationIr::BaseBool(op) => {
            base(builder, op)
        }
        OperationIr::NumericFloat(_, op) | OperationIr::NumericInt(_, op) => numeric(builder, op),
        OperationIr::Float(_, op) => math::float(builder, op),
        OperationIr::Int(IntOperationIr::IntoFloat(op)) => math::cast(builder, op),
        OperationIr::Int(IntOperationIr::Matmul(op)) => dense::matmul(builder, op),
        OperationIr::Bool(op) => comparison::logical(builder, op),
        OperationIr::Module(op) => module(builder, op),
        OperationIr::Activation(op) => activation::activation(builder, op),
        _ => unsupported(),
    }
}

fn base(builder: &mut Builder<'_>, operation: &BaseOperationIr) -> Result<(), Refusal> {
    match operation {
        BaseOperationIr::Permute(op) => shape::permute(builder, op),
        BaseOperationIr::Reshape(op) => shape::reshape(builder, op),
        BaseOperationIr::SwapDims(op) => shape::swap_dims(builder, op),
        BaseOperationIr::Expand(op) => index::expand(builder, op),
        BaseOperationIr::Flip(op) => index::flip(builder, op),
        BaseOperationIr::Slice(op) => index::slice(builder, op),
        BaseOperationIr::SliceAssign(op) => index::slice_assign(builder, op),
        BaseOperationIr::Select(op) => index::select(builder, op),
        BaseOperationIr::Gather(op) => index::gather(builder, op),
        BaseOperationIr::RepeatDim(op) => index::repeat(builder, op),
        BaseOperationIr::Cat(op) => index::cat(builder, op),
        BaseOperationIr::Cast(op) => math::cast(builder, op),
        BaseOperationIr::MaskWhere(op) => comparison::mask_where(builder, op),
        BaseOperationIr::MaskFill(op) => comparison::mask_fill(builder, op),
        BaseOperationIr::Equal(op) => comparison::compare(builder, Op::Equal, op),
        BaseOperationIr::EqualElem(op) => comparison::compare_scalar(builder, Op::Equal, op),
        BaseOperationIr::NotEqual(op) => comparison::compare(builder, Op::NotEqual, op),
        BaseOperationIr::NotEqualElem(op) => comparison::compare_scalar(builder, Op::NotEqual, op),
        BaseOperationIr::All(op) => reduce::truth(builder, Op::ReduceMin, &op.input, None, &op.out),
        BaseOperationIr::Any(op) => reduce::truth(builder, Op::ReduceMax, &op.input, None, &op.out),
        BaseOperationIr::AllDim(op) => {
            reduce::truth(builder, Op::ReduceMin, &op.input, Some(op.axis), &op.out)
        }
        BaseOperationIr::AnyDim(op) => {
            reduce::truth(builder, Op::ReduceMax, &op.input, Some(op.axis), &op.out)
        }
        _ => unsupported(),
    }
}

fn numeric(builder: &mut Builder<'_>, operation: &NumericOperationIr) -> Result<(), Refusal> {
    match operation {
        NumericOperationIr::Add(op) => arithmetic::add(builder, op),
        NumericOperationIr::AddScalar(op) => arithmetic::add_scalar(builder, op),
        NumericOperationIr::Sub(op) => arithmetic::sub(builder, op),
        NumericOperationIr::SubScalar(op) => arithmetic::sub_scalar(builder, op),
        NumericOperationIr::Mul(op) => arithmetic::mul(builder, op),
        NumericOperationIr::MulScalar(op) => arithmetic::mul_scalar(builder, op),
        NumericOperationIr::Div(op) => arithmetic::div(builder, op),
        NumericOperationIr::DivScalar(op) => arithmetic::div_scalar(builder, op),
        NumericOperationIr::Rem(op) => {
            elementwise::lower(builder, Op::FloorMod, &[&op.lhs, &op.rhs], &op.out)
        }
        NumericOperationIr::RemScalar(op) => {
            elementwise::lower_scalar(builder, Op::FloorMod, &op.lhs, op.rhs, &op.out)
        }
        NumericOperationIr::Powi(op) => elementwise::lower(builder, Op::Pow, &[&op.lhs, &op.rhs], &op.out),
        NumericOperationIr::PowiScalar(op) => arithmetic::pow_scalar(builder, op),
        NumericOperationIr::Abs(op) => elementwise::lower(builder, Op::Abs, &[&op.input], &op.out),
        NumericOperationIr::Neg(op) => elementwise::lower(builder, Op::Neg, &[&op.input], &op.out),
        NumericOperationIr::Sign(op) => math::sign(builder, op),
        NumericOperationIr::Clamp(op) => activation::clamp_both(builder, op),
        NumericOperationIr::ClampMin(op) => activation::clamp_min(builder, op),
        NumericOperationIr::ClampMax(op) => {
            arithmetic::clamp(builder, &op.lhs, (None, Some(op.rhs)), &op.out)
        }
        NumericOperationIr::Greater(op) => comparison::compare(builder, Op::Greater, op),
        NumericOperationIr::GreaterElem(op) => comparison::compare_scalar(builder, Op::Greater, op),
        NumericOperationIr::GreaterEqual(op) => comparison::compare(builder, Op::GreaterEqual, op),
        NumericOperationIr::GreaterEqualElem(op) => comparison::compare_scalar(builder, Op::GreaterEqual, op),
        NumericOperationIr::Lower(op) => comparison::compare(builder, Op::Less, op),
        NumericOperationIr::LowerElem(op) => comparison::compare_scalar(builder, Op::Less, op),
        NumericOperationIr::LowerEqual(op) => comparison::compare(builder, Op::LessEqual, op),
        NumericOperationIr::LowerEqualElem(op) => comparison::compare_scalar(builder, Op::LessEqual, op),
        NumericOperationIr::Pad(op) => index::pad(builder, op),
        _ => reduction(builder, operation),
    }
}

fn reduction(builder: &mut Builder<'_>, operation: &NumericOperationIr) -> Result<(), Refusal> {
    match operation {
        NumericOperationIr::MeanDim(op) => reduce::along(builder, Op::Mean, &op.input, &[op.axis], &op.out),
        NumericOperationIr::SumDim(op) => reduce::along(builder, Op::Sum, &op.input, &[op.axis], &op.out),
        NumericOperationIr::SumDims(op) => reduce::along(builder, Op::Sum, &op.input, &op.axes, &op.out),
        NumericOperationIr::MaxDim(op) => {
            reduce::along(builder, Op::ReduceMax, &op.input, &[op.axis], &op.out)
        }
        NumericOperationIr::MinDim(op) => {
            reduce::along(builder, Op::ReduceMin, &op.input, &[op.axis], &op.out)
        }
        NumericOperationIr::Mean(op) => reduce::whole(builder, Op::Mean, op),
        NumericOperationIr::Sum(op) => reduce::whole(builder, Op::Sum, op),
        NumericOperationIr::Max(op) => reduce::whole(builder, Op::ReduceMax, op),
        NumericOperationIr::Min(op) => reduce::whole(builder, Op::ReduceMin, op),
        NumericOperationIr::MaxAbs(op) => reduce::max_abs(builder, &op.input, None, &op.out),
        NumericOperationIr::MaxAbsDim(op) => reduce::max_abs(builder, &op.input, Some(op.axis), &op.out),
        NumericOperationIr::MaxDimWithIndices(op) => reduce::max_with_indices(builder, op),
        NumericOperationIr::MinDimWithIndices(op) => reduce::min_with_indices(builder, op),
        NumericOperationIr::ArgMax(op) => reduce::arg_max(builder, op),
        NumericOperationIr::ArgMin(op) => reduce::arg_min(builder, op),
        NumericOperationIr::TopK(op) => reduce::top_k(builder, op),
        NumericOperationIr::ArgTopK(op) => reduce::arg_top_k(builder, op),
        NumericOperationIr::TopKWithIndices(op) => reduce::top_k_with_indices(builder, op),
        NumericOperationIr::Sort(op) => reduce::sort(builder, op),
        NumericOperationIr::ArgSort(op) => reduce::arg_sort(builder, op),
        NumericOperationIr::SortWithIndices(op) => reduce::sort_with_indices(builder, op),
        NumericOperationIr::CumSum(op) => reduce::cumsum(builder, op),
        _ => unsupported(),
    }
}

fn module(builder: &mut Builder<'_>, operation: &ModuleOperationIr) -> Result<(), Refusal> {
    match operation {
        ModuleOperationIr::Linear(op) => dense::linear(builder, op),
        ModuleOperationIr::Embedding(op) => index::embedding(builder, op),
        ModuleOperationIr::Conv1d(op) => conv::conv1d(builder, op),
        ModuleOperationIr::Conv2d(op) => conv::conv2d(builder, op),
        ModuleOperationIr::ConvTranspose1d(op) => transpose_conv::conv_transpose1d(builder, op),
        ModuleOperationIr::ConvTranspose2d(op) => transpose_conv::conv_transpose2d(builder, op),
        ModuleOperationIr::MaxPool1d(op) => pool::max_pool1d(builder, op),
        ModuleOperationIr::MaxPool2d(op) => pool::max_pool2d(builder, op),
        ModuleOperationIr::AvgPool1d(op) => pool::avg_pool1d(builder, op),
        ModuleOperationIr::AvgPool2d(op) => pool::avg_pool2d(builder, op),
        ModuleOperationIr::AdaptiveAvgPool1d(op) => pool::adaptive_avg_pool1d(builder, op),
        ModuleOperationIr::AdaptiveAvgPool2d(op) => pool::adaptive_avg_pool2d(builder, op),
        ModuleOperationIr::BatchNorm(op) => norm::batch_norm(builder, op),
        ModuleOperationIr::LayerNorm(op) => norm::layer_norm(builder, op),
        ModuleOperationIr::Interpolate(op) => resize::interpolate(builder, op),
        ModuleOperationIr::Attention(op) => attention::attention(builder, op),
        ModuleOperationIr::Conv3d(_) | ModuleOperationIr::ConvTranspose3d(_) => Err(Refusal::new(
            "TensorFlow Lite convolves images and sequences, not volumes: use conv2d or conv1d",
        )),
        _ => unsupported(),
    }
}

/// The type in the file of a captured tensor's elements.
fn element_type(tensor: &TensorIr) -> Result<ElementType, Refusal> {
    crate::constant::element_type(tensor.dtype)
}

fn unsupported() -> Result<(), Refusal> {
    Err(Refusal::new("this operation has no lowering yet: leave it to the caller, or write it with others"))
}
