//! The one table that says, for each kind of operator, how it is quantized.

use burnlite_tflite::{
    Activation, ElementType, Graph, Op, Operator, Place, Target, Tensor, TensorId, WeightsFormat,
};

use crate::{Compat, OperatorFault, Quantizer, Scheme};

/// How an operator is quantized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Computes no real numbers, and reads operands as they are (a shape, the place of the largest element).
    Passthrough,
    /// Computes real numbers from operands of any scales; the scale of the results follows from the rule.
    Computed(ResultScale),
    /// Moves or chooses values: all real operands and results have one scale, for kernels do not rescale.
    SameScale,
    /// Compares its operands.
    Compared,
    /// A layer with constant weights and perhaps a bias; the result has the scale of its own range.
    Weighted(WeightedOperands),
}

/// Where the scale of a result comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResultScale {
    /// The range that calibration saw.
    Own,
    /// The kernels fix it.
    Fixed(FixedRange),
}

/// Ranges of results for which kernels fix the scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FixedRange {
    /// From 0 to 1.
    UnitInterval,
    /// From -1 to 1.
    Symmetric,
    /// From -16 to 0: logarithms of probabilities.
    Logarithms,
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

/// The rule for a kind of operator; `None` where it stays float.
pub(crate) fn rule(op: &Op) -> Option<Rule> {
    let layer = |input, channel_dimension| {
        Rule::Weighted(WeightedOperands { input, weights: 1, channel_dimension, bias: input.max(1) + 1 })
    };
    Some(match op {
        Op::Conv2d(_) | Op::FullyConnected(_) => layer(0, 0),
        Op::DepthwiseConv2d(_) => layer(0, 3),
        Op::TransposeConv(_) => layer(2, 0),

        Op::Add(_) | Op::Sub(_) | Op::Mul(_) | Op::SquaredDifference | Op::BatchMatMul(_) => OWN,
        Op::Relu | Op::Relu6 | Op::ReluN1To1 | Op::Relu0To1 | Op::LeakyRelu(_) | Op::Prelu => OWN,
        Op::Elu | Op::Gelu(_) | Op::HardSwish | Op::Abs | Op::Exp | Op::Log | Op::Sqrt | Op::Rsqrt => OWN,
        Op::Mean(_) => OWN,

        Op::Softmax(_) | Op::Logistic => Rule::Computed(ResultScale::Fixed(FixedRange::UnitInterval)),
        Op::Tanh | Op::L2Normalization(_) => Rule::Computed(ResultScale::Fixed(FixedRange::Symmetric)),
        Op::LogSoftmax => Rule::Computed(ResultScale::Fixed(FixedRange::Logarithms)),

        Op::AveragePool2d(_) | Op::MaxPool2d(_) | Op::Maximum | Op::Minimum => Rule::SameScale,
        Op::Sum(_) | Op::ReduceMax(_) | Op::ReduceMin(_) | Op::TopKV2 => Rule::SameScale,
        Op::Concatenation(_) | Op::Pack(_) | Op::Unpack(_) | Op::Split(_) | Op::SplitV(_) => Rule::SameScale,
        Op::Reshape(_) | Op::Squeeze(_) | Op::ExpandDims | Op::Transpose | Op::ReverseV2 => Rule::SameScale,
        Op::Slice | Op::StridedSlice(_) | Op::Pad | Op::PadV2 | Op::MirrorPad(_) => Rule::SameScale,
        Op::Gather(_) | Op::GatherNd | Op::EmbeddingLookup | Op::Select | Op::SelectV2 => Rule::SameScale,
        Op::ResizeBilinear(_) | Op::ResizeNearestNeighbor(_) => Rule::SameScale,
        Op::SpaceToBatchNd | Op::BatchToSpaceNd | Op::SpaceToDepth(_) | Op::DepthToSpace(_) => {
            Rule::SameScale
        }
        Op::BroadcastTo | Op::Tile | Op::Fill => Rule::SameScale,

        Op::Equal | Op::NotEqual | Op::Less | Op::LessEqual | Op::Greater | Op::GreaterEqual => {
            Rule::Compared
        }
        Op::Shape(_) | Op::ArgMax(_) | Op::ArgMin(_) => Rule::Passthrough,
        _ => return None,
    })
}

const OWN: Rule = Rule::Computed(ResultScale::Own);

/// Why there is no rule for a kind of operator.
fn missing_rule(op: &Op) -> OperatorFault {
    match op {
        Op::Div(_) => OperatorFault::Divisor,
        Op::Svdf(_) | Op::UnidirectionalSequenceLstm(_) => OperatorFault::InnerState,
        _ => OperatorFault::NoRule,
    }
}

/// The type that an operand or result has when the operator is integer; `None` where there is none.
fn integer_type(
    graph: &Graph<'_>,
    operator: &Operator,
    rule: Rule,
    scheme: Scheme,
    place: Place,
) -> Option<ElementType> {
    let (id, position) = match place {
        Place::Input(position) => (operator.inputs.get(position).copied().flatten()?, Some(position)),
        Place::FirstOutput => (*operator.outputs.first()?, None),
    };
    let of_8_bits = match rule {
        Rule::Weighted(operands) => Some(operands.weights),
        _ => coefficients(&operator.op),
    };
    Some(match graph.tensor(id)?.element_type {
        ElementType::Float32 if position.is_some() && position == of_8_bits => ElementType::Int8,
        ElementType::Float32 => scheme.activation_type(),
        other => other,
    })
}

/// The rule for an operator of a graph in a scheme; a fault is why it has to stay float.
pub(crate) fn rule_of(
    graph: &Graph<'_>,
    operator: &Operator,
    quantizer: &Quantizer,
    scheme: Scheme,
) -> Result<Rule, OperatorFault> {
    if !computes_reals(graph, operator) {
        return Ok(Rule::Passthrough);
    }
    let rule = rule(&operator.op).ok_or_else(|| missing_rule(&operator.op))?;
    let element_type = |place| integer_type(graph, operator, rule, scheme, place);
    // Whatever the target, `burnlite-runtime` runs the model, too: it has LiteRT's kernels.
    if [quantizer.target, Target::TfLite].iter().any(|target| !target.computes(&operator.op, element_type)) {
        return Err(OperatorFault::NoKernel(scheme.activation_type()));
    }
    let activation = fused_activation(&operator.op);
    if !is_clamp(activation) {
        return Err(OperatorFault::FusedActivation(activation));
    }
    match rule {
        Rule::Weighted(operands) => check_layer(graph, operator, operands)?,
        Rule::Computed(_) | Rule::Compared => {
            check_activations(graph, operator)?;
            if let Some(operand) = coefficients(&operator.op) {
                float_constant(graph, operand, required(operator, operand)?)?;
            }
        }
        Rule::SameScale if matches!(operator.op, Op::Sum(_)) && !is_sum_cut_off(quantizer, scheme) => {
            return Ok(OWN);
        }
        Rule::SameScale | Rule::Passthrough => {}
    }
    Ok(rule)
}

/// TensorFlow's 16-bit sums have the scale of what they add, and are cut off.
fn is_sum_cut_off(quantizer: &Quantizer, scheme: Scheme) -> bool {
    quantizer.compat == Compat::TensorFlow && scheme == Scheme::Int16x8
}

/// The position of an operand that is a constant of 8 bits whatever the activations: the slope of PRELU.
pub(crate) fn coefficients(op: &Op) -> Option<usize> {
    matches!(op, Op::Prelu).then_some(1)
}

/// The float32 operands of an operator, constants among them, with their positions.
pub(crate) fn reals<'g>(
    graph: &'g Graph<'_>,
    operator: &'g Operator,
) -> impl Iterator<Item = (usize, TensorId)> + 'g {
    let operands = operator.inputs.iter().enumerate();
    operands.filter_map(|(position, id)| Some((position, (*id)?))).filter(|&(_, id)| is_real(graph, id))
}

/// The float32 results of an operator, with their positions.
pub(crate) fn real_results<'g>(
    graph: &'g Graph<'_>,
    operator: &'g Operator,
) -> impl Iterator<Item = (usize, TensorId)> + 'g {
    operator.outputs.iter().copied().enumerate().filter(|&(_, id)| is_real(graph, id))
}

/// Whether an operator has to do with real numbers at all.
pub(crate) fn computes_reals(graph: &Graph<'_>, operator: &Operator) -> bool {
    reals(graph, operator).next().is_some() || real_results(graph, operator).next().is_some()
}

pub(crate) fn is_real(graph: &Graph<'_>, id: TensorId) -> bool {
    graph.tensors[id.index()].element_type == ElementType::Float32
}

/// The activation that an operator applies to its result.
fn fused_activation(op: &Op) -> Activation {
    match op {
        Op::Conv2d(options) => options.activation,
        Op::DepthwiseConv2d(options) => options.activation,
        Op::TransposeConv(options) => options.activation,
        Op::FullyConnected(options) => options.activation,
        Op::AveragePool2d(options) | Op::MaxPool2d(options) => options.activation,
        Op::Add(options) => options.activation,
        Op::Sub(options) => options.activation,
        Op::Mul(options) => options.activation,
        Op::Concatenation(options) => options.activation,
        Op::L2Normalization(options) => options.activation,
        _ => Activation::None,
    }
}

/// Whether integer kernels apply the fused activation: they clamp, and take others for none without a word.
fn is_clamp(activation: Activation) -> bool {
    matches!(activation, Activation::None | Activation::Relu | Activation::ReluN1To1 | Activation::Relu6)
}

/// Arithmetic on constants alone was to be folded; there is no range for it.
fn check_activations(graph: &Graph<'_>, operator: &Operator) -> Result<(), OperatorFault> {
    let mut reals = reals(graph, operator);
    match reals.next() {
        Some((operand, id))
            if [id].into_iter().chain(reals.map(|(_, id)| id)).all(|id| is_constant(graph, id)) =>
        {
            Err(OperatorFault::ConstantActivation { operand, tensor: graph.tensors[id.index()].name.clone() })
        }
        _ => Ok(()),
    }
}

fn is_constant(graph: &Graph<'_>, id: TensorId) -> bool {
    graph.tensors[id.index()].data.is_some()
}

/// Checks that a layer's weights and bias are constants that belong together.
fn check_layer(
    graph: &Graph<'_>,
    operator: &Operator,
    operands: WeightedOperands,
) -> Result<(), OperatorFault> {
    let input = required(operator, operands.input)?;
    if is_constant(graph, input) {
        let tensor = graph.tensors[input.index()].name.clone();
        return Err(OperatorFault::ConstantActivation { operand: operands.input, tensor });
    }
    let weights = float_constant(graph, operands.weights, required(operator, operands.weights)?)?;
    let channels = weights.shape.get(operands.channel_dimension).copied().unwrap_or(0);
    if channels == 0 || !has_plain_weights(&operator.op) {
        let Tensor { name, shape, .. } = weights;
        return Err(OperatorFault::WeightsOrder { tensor: name.clone(), shape: shape.clone() });
    }
    let Some(bias) = operator.inputs.get(operands.bias).copied().flatten() else { return Ok(()) };
    let bias = float_constant(graph, operands.bias, bias)?;
    if bias.elements() != channels {
        let (tensor, found) = (bias.name.clone(), bias.elements());
        return Err(OperatorFault::BiasLength { tensor, expected: channels, found });
    }
    Ok(())
}

fn float_constant<'g, 'a>(
    graph: &'g Graph<'a>,
    operand: usize,
    id: TensorId,
) -> Result<&'g Tensor<'a>, OperatorFault> {
    let tensor = &graph.tensors[id.index()];
    match tensor.data {
        Some(_) if tensor.element_type == ElementType::Float32 => Ok(tensor),
        _ => Err(OperatorFault::NotConstant { operand, tensor: tensor.name.clone() }),
    }
}

/// Whether the weights are stored row by row, not in the blocks of some legacy kernels.
fn has_plain_weights(op: &Op) -> bool {
    !matches!(op, Op::FullyConnected(options) if options.weights_format != WeightsFormat::Default)
}

fn required(operator: &Operator, operand: usize) -> Result<TensorId, OperatorFault> {
    let id = operator.inputs.get(operand).copied().flatten();
    id.ok_or(OperatorFault::MissingOperand { operand })
}
