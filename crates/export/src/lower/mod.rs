//! Captured operations → operators: one function for each operation, one file for each family.
//!
//! A lowering takes the [`Builder`] and Burn's description of the operation. It asks the builder for its operands in the
//! order of dimensions that its operator wants, adds the operator, and says which tensor the result has become and how
//! its dimensions are stored. It never thinks about where the operands come from.

mod activation;
mod arithmetic;
mod conv;
mod dense;
mod pool;
mod shape;
#[cfg(test)]
mod testing;
mod window;

use burn::backend::ir::{
    ActivationOperationIr, BaseOperationIr, FloatOperationIr, ModuleOperationIr, NumericOperationIr,
    OperationIr,
};

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
        OperationIr::BaseFloat(base) | OperationIr::BaseInt(base) | OperationIr::BaseBool(base) => match base
        {
            BaseOperationIr::Permute(op) => shape::permute(builder, op),
            BaseOperationIr::Reshape(op) => shape::reshape(builder, op),
            BaseOperationIr::SwapDims(op) => shape::swap_dims(builder, op),
            _ => unsupported(),
        },
        OperationIr::Activation(ActivationOperationIr::Relu(op)) => activation::relu(builder, op),
        OperationIr::Float(_, FloatOperationIr::Matmul(op)) => dense::matmul(builder, op),
        OperationIr::Module(module) => match module {
            ModuleOperationIr::Conv2d(op) => conv::conv2d(builder, op),
            ModuleOperationIr::Linear(op) => dense::linear(builder, op),
            ModuleOperationIr::MaxPool2d(op) => pool::max_pool2d(builder, op),
            _ => unsupported(),
        },
        OperationIr::NumericFloat(_, NumericOperationIr::Add(op)) => arithmetic::add(builder, op),
        _ => unsupported(),
    }
}

fn unsupported() -> Result<(), Refusal> {
    Err(Refusal::new("this operation has no lowering yet: leave it to the caller, or write it with others"))
}
