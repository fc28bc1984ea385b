//! The operators: one file per family, each with its parameters derived once when planned, a plain loop, and tests.
//!
//! The plain loops are the definition: every fast kernel is tested against them.

pub(crate) mod activation;
mod batch_matmul;
mod conv;
mod depthwise;
mod fully_connected;
mod hybrid;
pub(crate) mod integer;
mod pack;
mod pool;
pub(crate) mod quantize;
mod shape;
mod softmax;
mod strided;
mod table;
mod tiled;
mod transpose_conv;
mod weighted;
mod window;

use burnlite_tflite::Op;

use crate::error::OperatorFault;
use crate::plan::{Node, Planned};

/// Derives the operator's parameters and the shapes of its results, and chooses its kernel.
pub(crate) fn plan(node: &Node<'_>) -> Result<Planned, OperatorFault> {
    match &node.operator.op {
        Op::AveragePool2d(options) => pool::plan_average(node, options),
        Op::BatchMatMul(options) => batch_matmul::plan(node, options),
        Op::Conv2d(options) => conv::plan(node, options),
        Op::DepthwiseConv2d(options) => depthwise::plan(node, options),
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
        Op::TransposeConv(options) => transpose_conv::plan(node, options),
        _ => Err(OperatorFault::Unknown),
    }
}
