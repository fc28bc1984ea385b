//! The one table that says, for each kind of operator, what its operands are.

use burnlite_tflite::{Activation, Op, WeightsFormat};

/// How an operator is quantized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Reads an activation of any type and computes no real numbers (a shape): stays as it is.
    Passthrough,
    /// Operand 0 is an activation; the result's scale follows from the rule.
    Activation(ResultScale),
    /// A layer with constant weights and perhaps a bias; the result has the scale of its own range.
    Weighted(WeightedOperands),
}

/// Where the scale of a result comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResultScale {
    /// The range that calibration saw.
    Own,
    /// The scale of operand 0: values are only moved or chosen, and kernels do not rescale them.
    SameAsInput,
    /// Fixed by the kernels for results from 0 to 1.
    UnitInterval,
}

/// The positions of a layer's operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WeightedOperands {
    /// Position of the activation.
    pub(crate) input: usize,
    /// Position of the weights.
    pub(crate) weights: usize,
    /// Dimension of the weights that counts the output channels.
    pub(crate) channel_dimension: usize,
    /// Position of the bias, which may be left out.
    pub(crate) bias: usize,
}

/// The rule for an operator; `None` where there is none.
pub(crate) fn rule(op: &Op) -> Option<Rule> {
    let layer = |channel_dimension| {
        Rule::Weighted(WeightedOperands { input: 0, weights: 1, channel_dimension, bias: 2 })
    };
    Some(match op {
        Op::Conv2d(_) | Op::FullyConnected(_) => layer(0),
        Op::MaxPool2d(_) | Op::Reshape(_) | Op::StridedSlice(_) | Op::Transpose => {
            Rule::Activation(ResultScale::SameAsInput)
        }
        Op::Relu => Rule::Activation(ResultScale::Own),
        Op::Softmax(_) => Rule::Activation(ResultScale::UnitInterval),
        Op::Shape(_) => Rule::Passthrough,
        _ => return None,
    })
}

/// The activation that an operator applies to its result.
pub(crate) fn fused_activation(op: &Op) -> Activation {
    match op {
        Op::Conv2d(options) => options.activation,
        Op::FullyConnected(options) => options.activation,
        Op::MaxPool2d(options) => options.activation,
        _ => Activation::None,
    }
}

/// Whether integer kernels apply the fused activation: they clamp, and take others for none without a word.
pub(crate) fn is_clamp(activation: Activation) -> bool {
    matches!(activation, Activation::None | Activation::Relu | Activation::ReluN1To1 | Activation::Relu6)
}

/// Whether the weights are stored row by row, not in the blocks of some legacy kernels.
pub(crate) fn has_plain_weights(op: &Op) -> bool {
    !matches!(op, Op::FullyConnected(options) if options.weights_format != WeightsFormat::Default)
}
