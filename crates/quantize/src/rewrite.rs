//! From a float graph to an integer graph.

mod boundary;
mod layer;

use burnlite_tflite::{ElementType, Graph, Metadata, Model, Operator, Quantization, Tensor, TensorId};

use crate::calibrate::{first_not_finite, float_graph};
use crate::parameters::{Arithmetic, Parameters, arithmetic};
use crate::report::constant_bytes;
use crate::rules::{ResultScale, Rule, fused_activation, is_clamp, rule};
use crate::{Bounds, Calibration, Error, OperatorFault, Quantizer, Remark, Report, Role};

/// Metadata that speaks of the operators of the float model.
const MIN_RUNTIME_VERSION: &str = "min_runtime_version";

/// An activation below this magnitude counts as always zero. (TensorFlow's calibration leaves 1.2e-38 as the maximum of a
/// tensor that was never positive.)
const NO_MAGNITUDE: f32 = 1e-30;

/// The range of an activation that was always zero.
///
/// Any scale represents zero. This one is neither so small that a runtime's multiplier overflows nor so large that the
/// next layer's bias loses its digits.
const BLANK_RANGE: Bounds = Bounds { min: -1.0, max: 1.0 };

pub(crate) fn quantize<'a>(
    quantizer: &Quantizer,
    model: &Model<'a>,
    calibration: &Calibration,
) -> Result<(Model<'a>, Report), Error> {
    let source = float_graph(model)?;
    calibration.check_graph(source)?;
    let mut rewriter = Rewriter::new(quantizer, source, calibration);
    for &id in &source.inputs {
        if rewriter.is_float(id) {
            rewriter.activation(id)?;
        }
    }
    for index in 0..source.operators.len() {
        rewriter.operator(index)?;
    }
    let signatures = rewriter.boundary(&model.signatures);
    let (graph, report) = rewriter.finish()?;
    let keep = |entry: &&Metadata<'a>| entry.name != MIN_RUNTIME_VERSION;
    let model = Model {
        description: model.description.clone(),
        graphs: vec![graph],
        signatures,
        metadata: model.metadata.iter().filter(keep).cloned().collect(),
    };
    model.check()?;
    Ok((model, report))
}

/// The graph under construction: a copy of the float graph, in which tensor after tensor becomes integer. Tensors keep
/// their indices; new ones come behind.
struct Rewriter<'s, 'a> {
    quantizer: &'s Quantizer,
    arithmetic: &'static dyn Arithmetic,
    calibration: &'s Calibration,
    source: &'s Graph<'a>,
    graph: Graph<'a>,
    /// The parameters of every activation that was reached, by tensor.
    parameters: Vec<Option<Parameters>>,
    /// Constants that were quantized, with the float tensors they come from: a constant with several users may need
    /// other integers for each.
    constants: Vec<(TensorId, TensorId)>,
    report: Report,
}

impl<'s, 'a> Rewriter<'s, 'a> {
    fn new(quantizer: &'s Quantizer, source: &'s Graph<'a>, calibration: &'s Calibration) -> Self {
        Self {
            quantizer,
            arithmetic: arithmetic(quantizer.scheme),
            calibration,
            source,
            graph: source.clone(),
            parameters: vec![None; source.tensors.len()],
            constants: Vec::new(),
            report: Report::new(quantizer.scheme, &source.tensors),
        }
    }

    fn operator(&mut self, index: usize) -> Result<(), Error> {
        let operator = &self.source.operators[index];
        let result = self.apply_rule(index, operator);
        result.map_err(|error| match error {
            Fault::Operator(fault) => Error::Operator { index, name: operator.op.name().to_string(), fault },
            Fault::Other(error) => error,
        })
    }

    fn apply_rule(&mut self, index: usize, operator: &Operator) -> Result<(), Fault> {
        let rule = match rule(&operator.op) {
            Some(rule) => rule,
            // Integers only: nothing to quantize.
            None if !self.touches_floats(operator) => return Ok(()),
            None => return Err(OperatorFault::NoRule.into()),
        };
        let activation = fused_activation(&operator.op);
        if !is_clamp(activation) {
            return Err(OperatorFault::FusedActivation(activation).into());
        }
        match rule {
            Rule::Passthrough => Ok(()),
            Rule::Activation(scale) => self.results(operator, scale),
            Rule::Weighted(operands) => self.layer(index, operator, operands),
        }
    }

    /// Makes the results of an operator on one activation integer.
    fn results(&mut self, operator: &Operator, scale: ResultScale) -> Result<(), Fault> {
        if !self.touches_floats(operator) {
            return Ok(());
        }
        let input = self.input_parameters(operator, 0)?;
        for &output in &operator.outputs {
            match scale {
                ResultScale::Own => self.activation(output)?,
                ResultScale::SameAsInput => self.set_activation(output, input),
                ResultScale::UnitInterval => self.set_activation(output, self.arithmetic.unit_interval()),
            };
        }
        Ok(())
    }

    /// Makes an activation integer with the scale of its own range.
    fn activation(&mut self, id: TensorId) -> Result<(), Error> {
        let name = || self.tensor(id).name.clone();
        let range = self.calibration.range(id).ok_or_else(|| Error::NoRange { tensor: name() })?;
        if range.magnitude() < NO_MAGNITUDE {
            self.report.remarks.push(Remark::AlwaysZero { tensor: name() });
            self.set_activation(id, self.arithmetic.activation(BLANK_RANGE));
        } else {
            self.set_activation(id, self.arithmetic.activation(range));
        }
        Ok(())
    }

    fn set_activation(&mut self, id: TensorId, parameters: Parameters) {
        self.parameters[id.index()] = Some(parameters);
        let tensor = &mut self.graph.tensors[id.index()];
        tensor.element_type = self.quantizer.scheme.activation_type();
        tensor.quantization = Some(Quantization::per_tensor(parameters.scale, parameters.zero_point));
        tensor.range = None;
        self.report.add(Role::Activation, tensor);
    }

    /// The parameters of an operand that is an activation.
    fn input_parameters(&self, operator: &Operator, operand: usize) -> Result<Parameters, Fault> {
        let id = required(operator, operand)?;
        let tensor = self.tensor(id);
        if tensor.data.is_some() {
            return Err(OperatorFault::ConstantActivation { operand, tensor: tensor.name.clone() }.into());
        }
        let parameters = self.parameters[id.index()];
        parameters.ok_or_else(|| Error::NoRange { tensor: tensor.name.clone() }.into())
    }

    /// The tensor as it is in the float model.
    fn tensor(&self, id: TensorId) -> &'s Tensor<'a> {
        &self.source.tensors[id.index()]
    }

    fn is_float(&self, id: TensorId) -> bool {
        self.tensor(id).element_type == ElementType::Float32
    }

    fn touches_floats(&self, operator: &Operator) -> bool {
        operator.inputs.iter().flatten().chain(&operator.outputs).any(|&id| self.is_float(id))
    }

    /// The finished graph. No scale in it is infinite or NaN.
    fn finish(mut self) -> Result<(Graph<'a>, Report), Error> {
        for tensor in &self.graph.tensors {
            if let Some(quantization) = &tensor.quantization {
                check_scales(&tensor.name, &quantization.scale)?;
            }
        }
        self.report.constant_bytes_after = constant_bytes(&self.graph.tensors);
        Ok((self.graph, self.report))
    }
}

/// Why a rule cannot be applied: the operator's index and name are added where they are known.
enum Fault {
    Operator(OperatorFault),
    Other(Error),
}

impl From<OperatorFault> for Fault {
    fn from(fault: OperatorFault) -> Self {
        Self::Operator(fault)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

fn check_scales(tensor: &str, scales: &[f32]) -> Result<(), Error> {
    match first_not_finite(scales) {
        Some((_, scale)) => Err(Error::Scale { tensor: tensor.into(), scale }),
        None => Ok(()),
    }
}

fn required(operator: &Operator, operand: usize) -> Result<TensorId, Fault> {
    let id = operator.inputs.get(operand).copied().flatten();
    id.ok_or_else(|| OperatorFault::MissingOperand { operand }.into())
}
