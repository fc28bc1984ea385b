//! From a float graph to an integer graph.

mod boundary;
mod constants;
mod layer;
mod weights_only;

use std::borrow::Cow;
use std::collections::BTreeMap;

use burnlite_runtime::{Error as RuntimeError, Interpreter, InterpreterOptions, Kernels, Numerics};
use burnlite_tflite::{
    ElementType, Graph, Metadata, Model, Op, Operator, Quantization, Signature, Target, Tensor, TensorId,
};

use crate::calibrate::{first_not_finite, float_graph};
use crate::lower::{Lowered, lower};
use crate::parameters::{Parameters, arithmetic};
use crate::report::constant_bytes;
use crate::rules::{Rule, coefficients, is_real, real_results, reals, rule_of};
use crate::scales::{NO_MAGNITUDE, Scales, Source};
use crate::{
    Calibration, Error, FloatOperator, IoType, Quantizer, Remark, Report, Role, Scheme, SecondMoments,
};

/// The metadata entry that says which release of TensorFlow has the model's operators; its text takes 16 bytes.
const MIN_RUNTIME_VERSION: &str = "min_runtime_version";

pub(crate) fn quantize<'a>(
    quantizer: &Quantizer,
    model: &Model<'a>,
    calibration: &Calibration,
    moments: Option<&SecondMoments>,
) -> Result<(Model<'a>, Report), Error> {
    let graph = float_graph(model)?;
    quantizer.check_io_types()?;
    calibration.check_graph(graph)?;
    moments.map_or(Ok(()), |moments| moments.check_graph(graph))?;
    let calibration = &*calibration.by(quantizer.calibration_method, quantizer.scheme)?;
    let lowered = lower(quantizer, graph, calibration);
    let same = |(graph, report)| (graph, model.signatures.clone(), report);
    let (graph, signatures, report) = match quantizer.scheme {
        Scheme::Int16x8 | Scheme::Int8 => integers(quantizer, model, &lowered, calibration, moments)?,
        Scheme::DynamicRange => same(weights_only::dynamic_range(&lowered.graph)?),
        Scheme::Float16 => same(weights_only::float16(&lowered.graph)?),
    };
    let graph = without_ranges(graph)?;
    let (description, metadata) = (model.description.clone(), model.metadata.clone());
    let mut quantized = Model { description, graphs: vec![graph], signatures, metadata };
    set_min_runtime_version(&mut quantized);
    quantized.check()?;
    check_target(quantizer, &quantized)?;
    if quantizer.scheme.activation_type() != ElementType::Float32 {
        check_runs(quantizer.target, model, &quantized)?;
    }
    Ok((quantized, report))
}

fn set_min_runtime_version(model: &mut Model<'_>) {
    model.metadata.retain(|entry| entry.name != MIN_RUNTIME_VERSION);
    if let Some(release) = model.min_runtime_version() {
        let mut data = release.into_bytes();
        data.resize(16, 0);
        let name = MIN_RUNTIME_VERSION.into();
        model.metadata.push(Metadata { name, data: Cow::Owned(data) });
    }
}

/// What is known to be refused; what was never tried may run.
fn check_target(quantizer: &Quantizer, model: &Model<'_>) -> Result<(), Error> {
    let mut obstacles = quantizer.target.check(model);
    obstacles.retain(|obstacle| obstacle.is_certain);
    match obstacles.is_empty() {
        true => Ok(()),
        false => Err(Error::Target { target: quantizer.target, obstacles }),
    }
}

/// Scales of samples that are out of the ordinary may ask for factors that no kernel has: what ran as floats must run as
/// integers. Too much memory is no fault of theirs.
fn check_runs(target: Target, float: &Model<'_>, quantized: &Model<'_>) -> Result<(), Error> {
    let numerics = if target == Target::TfLite { Numerics::LiteRt } else { Numerics::TfLiteMicro };
    let options =
        InterpreterOptions { numerics, kernels: Kernels::Reference, ..InterpreterOptions::default() };
    match Interpreter::with_options(quantized, &options) {
        Err(fault) if !matches!(fault, RuntimeError::TooLarge { .. }) => match Interpreter::new(float) {
            Ok(_) => Err(Error::CannotRun { fault }),
            // It is of another runtime's, which may know more.
            Err(_) => Ok(()),
        },
        _ => Ok(()),
    }
}

/// The graph with integer activations.
fn integers<'a>(
    quantizer: &Quantizer,
    model: &Model<'a>,
    lowered: &Lowered<'_, 'a>,
    calibration: &Calibration,
    moments: Option<&SecondMoments>,
) -> Result<(Graph<'a>, Vec<Signature>, Report), Error> {
    let Lowered { graph, origins, ranges } = lowered;
    let graph = graph.as_ref();
    let rules: Vec<_> = graph.operators.iter().map(|operator| rule_of(graph, operator, quantizer)).collect();
    let arithmetic = arithmetic(quantizer);
    let source = Source {
        graph,
        rules: &rules,
        calibration,
        moments,
        more_ranges: ranges,
        origins,
        arithmetic: arithmetic.as_ref(),
    };
    Rewriter::new(quantizer, source)?.rewrite(&model.signatures)
}

/// The graph under construction: a copy of the float graph, in which tensor after tensor becomes integer. Tensors keep
/// their indices; new ones come behind.
struct Rewriter<'s, 'a> {
    quantizer: &'s Quantizer,
    source: Source<'s, 'a>,
    scales: Scales,
    graph: Graph<'a>,
    /// The float tensors that stand beside integer ones.
    twins: BTreeMap<TensorId, TensorId>,
    /// The tensors that the caller sets and reads, where they are not those of the float model.
    inputs: BTreeMap<TensorId, TensorId>,
    outputs: BTreeMap<TensorId, TensorId>,
    /// Tensors that were rescaled, with what they have become.
    rescaled: Vec<(TensorId, Parameters, TensorId)>,
    /// Constants that were quantized, with the float tensors they come from: a constant with several users may need
    /// other integers for each.
    constants: Vec<(TensorId, TensorId)>,
    report: Report,
}

impl<'s, 'a> Rewriter<'s, 'a> {
    fn new(quantizer: &'s Quantizer, source: Source<'s, 'a>) -> Result<Self, Error> {
        let graph = Graph { operators: Vec::new(), ..source.graph.clone() };
        let mut report = Report::new(quantizer.scheme, &source.graph.tensors);
        for (index, (operator, rule)) in source.graph.operators.iter().zip(source.rules).enumerate() {
            if let Err(reason) = rule {
                let (index, name) = (source.origins[index], operator.op.name().to_string());
                report.float_operators.push(FloatOperator { index, name, reason: reason.clone() });
            }
        }
        if quantizer.integer_only && !report.float_operators.is_empty() {
            return Err(Error::NotIntegerOnly { operators: report.float_operators });
        }
        let scales = source.scales(quantizer.scheme)?;
        let (twins, inputs, outputs) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (rescaled, constants) = (Vec::new(), Vec::new());
        Ok(Self { quantizer, source, scales, graph, twins, inputs, outputs, rescaled, constants, report })
    }

    fn rewrite(mut self, signatures: &[Signature]) -> Result<(Graph<'a>, Vec<Signature>, Report), Error> {
        self.become_integer()?;
        self.boundary_inputs();
        for (index, operator) in self.source.graph.operators.iter().enumerate() {
            match &self.source.rules[index] {
                Ok(Rule::Passthrough) => self.graph.operators.push(operator.clone()),
                Ok(rule) => self.integer_operator(index, operator, *rule)?,
                Err(_) => self.float_operator(operator),
            }
        }
        self.boundary_outputs();
        let signatures = self.boundary(signatures);
        self.report.constant_bytes_after = constant_bytes(&self.graph.tensors);
        Ok((self.graph, signatures, self.report))
    }

    /// Gives every activation that an integer operator touches its integers.
    fn become_integer(&mut self) -> Result<(), Error> {
        let graph = self.source.graph;
        let has_integers = |io_type, ids: &'s [TensorId]| if io_type == IoType::Float32 { &[] } else { ids };
        let inputs = has_integers(self.quantizer.input_type, &graph.inputs);
        let outputs = has_integers(self.quantizer.output_type, &graph.outputs);
        let operators = graph.operators.iter().zip(self.source.rules);
        let integer = operators.filter(|(_, rule)| matches!(rule, Ok(rule) if *rule != Rule::Passthrough));
        let touched = integer.flat_map(|(operator, _)| {
            reals(graph, operator).chain(real_results(graph, operator)).map(|(_, id)| id)
        });
        for id in inputs.iter().copied().chain(touched).chain(outputs.iter().copied()) {
            let is_activation = is_real(graph, id) && self.tensor(id).data.is_none();
            if is_activation && !self.is_integer(id) {
                self.set_activation(id)?;
            }
        }
        Ok(())
    }

    fn set_activation(&mut self, id: TensorId) -> Result<(), Error> {
        let name = || self.source.graph.tensors[id.index()].name.clone();
        let parameters = self.scales.tensors[id.index()].map_or_else(|| self.source.own(id), Ok)?;
        let is_zero = self.source.range(id).is_some_and(|range| range.magnitude() < NO_MAGNITUDE);
        if is_zero {
            self.report.remarks.push(Remark::AlwaysZero { tensor: name() });
        }
        let quantized = self.activation_like(id, parameters);
        self.report.add(Role::Activation, &quantized);
        self.graph.tensors[id.index()] = quantized;
        Ok(())
    }

    /// A tensor with the name and the shape of a float activation, and the given parameters.
    fn activation_like(&self, id: TensorId, parameters: Parameters) -> Tensor<'a> {
        Tensor {
            element_type: self.quantizer.scheme.activation_type(),
            quantization: Some(Quantization::per_tensor(parameters.scale, parameters.zero_point)),
            range: None,
            ..self.tensor(id).clone()
        }
    }

    /// Puts an integer operator into the graph, with the rescaling that its operands and results need.
    fn integer_operator(&mut self, index: usize, operator: &Operator, rule: Rule) -> Result<(), Error> {
        let mut rewritten = operator.clone();
        if self.quantizer.scheme == Scheme::Int16x8 {
            say_what_is_computed(&mut rewritten.op, self.quantizer.bias_type());
        }
        if let Rule::Weighted(operands) = rule {
            self.layer(index, operator, operands, &mut rewritten)?;
        } else {
            for (position, id) in reals(self.source.graph, operator) {
                rewritten.inputs[position] = Some(match coefficients(&operator.op) == Some(position) {
                    true => self.coefficients(id)?,
                    false => self.operand((index, position), id)?,
                });
            }
        }
        let mut after = Vec::new();
        for (position, id) in real_results(self.source.graph, operator) {
            if let Some(&parameters) = self.scales.results.get(&(index, position)) {
                let written = self.add_activation(id, parameters);
                rewritten.outputs[position] = written;
                after.push(Operator::new(Op::Quantize, [written], [id]));
            }
        }
        self.graph.operators.push(rewritten);
        self.graph.operators.append(&mut after);
        Ok(())
    }

    /// The tensor that an integer operator reads as an operand.
    fn operand(&mut self, place: (usize, usize), id: TensorId) -> Result<TensorId, Error> {
        let wanted = self.scales.operands.get(&place).copied();
        if self.tensor(id).data.is_some() {
            let parameters = wanted.map_or_else(|| self.source.constant(id), Ok)?;
            return self.constant_operand(id, parameters);
        }
        let Some(parameters) = wanted else { return Ok(id) };
        let found = self.rescaled.iter().find(|(source, to, _)| *source == id && *to == parameters);
        if let Some(&(_, _, rescaled)) = found {
            return Ok(rescaled);
        }
        let rescaled = self.add_activation(id, parameters);
        self.graph.operators.push(Operator::new(Op::Quantize, [id], [rescaled]));
        self.rescaled.push((id, parameters, rescaled));
        Ok(rescaled)
    }

    /// Adds a tensor for another version of an activation.
    fn add_activation(&mut self, id: TensorId, parameters: Parameters) -> TensorId {
        let mut tensor = self.activation_like(id, parameters);
        tensor.name = format!("{}_rescaled_{}", tensor.name, self.graph.tensors.len());
        self.graph.add_tensor(tensor)
    }

    /// Puts a float operator into the graph, with the DEQUANTIZE and QUANTIZE operators around it.
    fn float_operator(&mut self, operator: &Operator) {
        let mut rewritten = operator.clone();
        for (position, id) in reals(self.source.graph, operator) {
            rewritten.inputs[position] = Some(self.float_version(id));
        }
        let mut after = Vec::new();
        for (position, id) in real_results(self.source.graph, operator) {
            if self.is_integer(id) {
                let twin = self.add_twin(id);
                rewritten.outputs[position] = twin;
                after.push(Operator::new(Op::Quantize, [twin], [id]));
            }
        }
        self.graph.operators.push(rewritten);
        self.graph.operators.append(&mut after);
    }

    /// The tensor as it is in the float model.
    fn tensor(&self, id: TensorId) -> &'s Tensor<'a> {
        &self.source.graph.tensors[id.index()]
    }

    /// Whether an activation of the float model has become integer.
    fn is_integer(&self, id: TensorId) -> bool {
        self.tensor(id).data.is_none()
            && self.tensor(id).element_type == ElementType::Float32
            && self.graph.tensors[id.index()].element_type != ElementType::Float32
    }
}

/// The finished graph, without the ranges that a calibration left in it. No scale is infinite or NaN.
fn without_ranges(mut graph: Graph<'_>) -> Result<Graph<'_>, Error> {
    for tensor in &mut graph.tensors {
        tensor.range = None;
        if let Some(quantization) = &tensor.quantization {
            check_scales(&tensor.name, &quantization.scale)?;
        }
    }
    Ok(graph)
}

/// Writes into the options of a 16-bit operator what kernels go by: the type of biases and accumulators (also where there
/// is no bias), and that scales are no powers of two.
fn say_what_is_computed(op: &mut Op, bias_type: ElementType) {
    match op {
        Op::Conv2d(options) => options.quantized_bias_type = bias_type,
        Op::FullyConnected(options) => options.quantized_bias_type = bias_type,
        Op::TransposeConv(options) => options.quantized_bias_type = bias_type,
        Op::Add(options) => options.pot_scale_int16 = false,
        Op::Sub(options) => options.pot_scale_int16 = false,
        _ => {}
    }
}

fn check_scales(tensor: &str, scales: &[f32]) -> Result<(), Error> {
    match first_not_finite(scales) {
        Some((_, scale)) => Err(Error::Scale { tensor: tensor.into(), scale }),
        None => Ok(()),
    }
}
