//! The operators: one file per family, each with its parameters derived once when planned, a plain loop, and tests.
//!
//! The plain loops are the definition: every fast kernel is tested against them.

pub(crate) mod activation;
mod conv;
mod fully_connected;
pub(crate) mod integer;
mod pack;
mod pool;
pub(crate) mod quantize;
mod shape;
mod softmax;
mod strided;
mod table;
mod window;

use burnlite_tflite::Op;

use crate::error::OperatorFault;
use crate::plan::{Node, Planned};

/// Derives the operator's parameters and the shapes of its results, and chooses its kernel.
pub(crate) fn plan(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    match &node.operator.op {
        Op::Conv2d(options) => conv::plan(node, options),
        Op::Dequantize => quantize::plan_dequantize(node),
        Op::FullyConnected(options) => fully_connected::plan(node, options),
        Op::MaxPool2d(options) => pool::plan_max(node, options),
        Op::Pack(options) => pack::plan(node, options),
        Op::Quantize => quantize::plan_quantize(node),
        Op::Relu => activation::plan_relu(node),
        Op::Reshape(options) => shape::plan_reshape(node, options),
        Op::Shape(options) => shape::plan_shape(node, options),
        Op::Softmax(options) => softmax::plan(node, options),
        Op::StridedSlice(options) => strided::plan_slice(node, options),
        Op::Transpose => strided::plan_transpose(node),
        _ => Err(OperatorFault::Unknown),
    }
}
