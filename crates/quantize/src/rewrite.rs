//! From a float graph to an integer graph.

mod activations;
mod boundary;
mod constants;
mod layer;
mod weights_only;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use burnlite_runtime::{Error as RuntimeError, Interpreter, InterpreterOptions, Kernels, Numerics};
use burnlite_tflite::{
    ElementType, Graph, Metadata, Model, Op, Operator, Signature, Target, Tensor, TensorId,
};

use crate::calibrate::{first_not_finite, float_graph};
use crate::lower::{Lowered, lower};
use crate::parameters::{LayerScales, Parameters, arithmetic};
use crate::parts::Parts;
use crate::report::constant_bytes;
use crate::rules::{Rule, coefficients, computes_reals, real_results, reals, rule_of};
use crate::scales::{Scales, Source};
use crate::{
    Calibration, Error, FloatOperator, OperatorFault, OperatorPrecision, Precision, Quantizer, Report,
    Scheme, SecondMoments,
};
use activations::{Home, Version};
use constants::Versions;

/// The metadata entry that says which release of TensorFlow has the model's operators; its text takes 16 bytes.
const MIN_RUNTIME_VERSION: &str = "min_runtime_version";

pub(crate) fn quantize<'a>(
    quantizer: &Quantizer,
    model: &Model<'a>,
    calibration: &Calibration,
    moments: Option<&SecondMoments>,
) -> Result<(Model<'a>, Report), Error> {
    let graph = float_graph(model)?;
    quantizer.check_scheme()?;
    calibration.check_graph(graph)?;
    moments.map_or(Ok(()), |moments| moments.check_graph(graph))?;
    let parts = Parts::new(quantizer, graph, calibration)?;
    let lowered = lower(quantizer, graph, &parts);
    let same = |(graph, report)| (graph, model.signatures.clone(), report);
    let (graph, signatures, report) = match quantizer.scheme {
        Scheme::Int16x8 | Scheme::Int8 => {
            integers(quantizer, model, &parts, &lowered, (calibration, moments))?
        }
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
    parts: &Parts<'_>,
    lowered: &Lowered<'_, 'a>,
    (calibration, moments): (&Calibration, Option<&SecondMoments>),
) -> Result<(Graph<'a>, Vec<Signature>, Report), Error> {
    let Lowered { graph, origins, ranges } = lowered;
    let graph = graph.as_ref();
    let rule = |(operator, &origin): (&Operator, &usize)| {
        let part = parts.number(origin).ok_or(OperatorFault::Recipe)?;
        Ok((part, rule_of(graph, operator, quantizer, parts.all[part].scheme)?))
    };
    let rules: Vec<OperatorRule> = graph.operators.iter().zip(origins).map(rule).collect();
    let arithmetics: Vec<_> = parts.all.iter().map(|part| arithmetic(quantizer, part.scheme)).collect();
    let rules_of_parts: Vec<_> = (0..parts.all.len()).map(|part| rules_of_part(&rules, part)).collect();
    let numbers = |number: usize| {
        let source = Source {
            scheme: parts.all[number].scheme,
            graph,
            rules: &rules_of_parts[number],
            calibration: &parts.all[number].calibration,
            more_ranges: ranges,
            arithmetic: arithmetics[number].as_ref(),
        };
        Ok(Numbers { source, scales: source.scales()? })
    };
    let report = report(quantizer, model.main()?, lowered, &rules, parts)?;
    let rewriter = Rewriter {
        quantizer,
        float: graph,
        origins,
        rules: &rules,
        calibration,
        moments,
        parts: (0..parts.all.len()).map(numbers).collect::<Result<_, Error>>()?,
        graph: Graph { operators: Vec::new(), ..graph.clone() },
        homes: BTreeMap::new(),
        twins: BTreeMap::new(),
        inputs: BTreeMap::new(),
        outputs: BTreeMap::new(),
        rescaled: BTreeMap::new(),
        constants: BTreeMap::new(),
        read_as_floats: read_as_floats(graph, &rules),
        report,
    };
    rewriter.rewrite(&model.signatures)
}

/// The part of an operator and its rule there, or why it stays float.
type OperatorRule = Result<(usize, Rule), OperatorFault>;

/// The rules of a part's operators; `None` for all others.
fn rules_of_part(rules: &[OperatorRule], number: usize) -> Vec<Option<Rule>> {
    let of_part = |rule: &OperatorRule| match rule {
        Ok((part, rule)) if *part == number => Some(*rule),
        _ => None,
    };
    rules.iter().map(of_part).collect()
}

/// The tensors that operators that stay float, or the caller, read.
fn read_as_floats(graph: &Graph<'_>, rules: &[OperatorRule]) -> BTreeSet<TensorId> {
    let floats = graph.operators.iter().zip(rules).filter(|(_, rule)| rule.is_err());
    let operands = floats.flat_map(|(operator, _)| operator.inputs.iter().flatten());
    operands.chain(&graph.outputs).copied().collect()
}

/// A report that knows the operators.
fn report(
    quantizer: &Quantizer,
    model: &Graph<'_>,
    lowered: &Lowered<'_, '_>,
    rules: &[OperatorRule],
    parts: &Parts<'_>,
) -> Result<Report, Error> {
    let mut report = Report::new(quantizer.scheme, &lowered.graph.tensors);
    for ((operator, &index), rule) in lowered.graph.operators.iter().zip(&lowered.origins).zip(rules) {
        let precision = match rule {
            Ok((part, _)) => Precision::of(parts.all[*part].scheme),
            Err(reason) => {
                let (name, reason) = (operator.op.name().to_string(), reason.clone());
                report.float_operators.push(FloatOperator { index, name, reason });
                Precision::Float32
            }
        };
        // Several operators may be written for one.
        match report.operators.last_mut().filter(|last| last.index == index) {
            Some(last) => last.precision = last.precision.max(precision),
            None if computes_reals(&lowered.graph, operator) => {
                let name = model.operators[index].op.name().to_string();
                report.operators.push(OperatorPrecision { index, name, precision });
            }
            None => {}
        }
    }
    if quantizer.integer_only && !report.float_operators.is_empty() {
        return Err(Error::NotIntegerOnly { operators: report.float_operators });
    }
    Ok(report)
}

/// What the operators of one scheme go by.
struct Numbers<'s, 'a> {
    source: Source<'s, 'a>,
    scales: Scales,
}

impl Numbers<'_, '_> {
    /// How an activation is an integer for these operators.
    fn parameters(&self, id: TensorId) -> Result<Parameters, Error> {
        self.scales.tensors[id.index()].map_or_else(|| self.source.own(id), Ok)
    }

    fn scales_around(&self, input: TensorId, operator: &Operator) -> LayerScales {
        let scale = |id: TensorId| self.scales.tensors[id.index()].map_or(0.0, |parameters| parameters.scale);
        LayerScales { input: scale(input), output: operator.outputs.first().map_or(0.0, |&id| scale(id)) }
    }
}

/// The graph under construction: a copy of the float graph, in which tensor after tensor becomes integer. Tensors keep
/// their indices; new ones come behind.
struct Rewriter<'s, 'a> {
    quantizer: &'s Quantizer,
    float: &'s Graph<'a>,
    /// The operators of the float model from which operators come.
    origins: &'s [usize],
    rules: &'s [OperatorRule],
    calibration: &'s Calibration,
    moments: Option<&'s SecondMoments>,
    /// For each scheme; the first is that of inputs and outputs.
    parts: Vec<Numbers<'s, 'a>>,
    graph: Graph<'a>,
    /// The integers of each activation that has some.
    homes: BTreeMap<TensorId, Home>,
    /// The float tensors that stand beside integer ones.
    twins: BTreeMap<TensorId, TensorId>,
    /// The tensors that the caller sets and reads, where they are not those of the float model.
    inputs: BTreeMap<TensorId, TensorId>,
    outputs: BTreeMap<TensorId, TensorId>,
    /// What activations were rescaled to.
    rescaled: BTreeMap<Version, TensorId>,
    /// What constants were quantized to: one with several users may need other integers for each.
    constants: BTreeMap<TensorId, Versions>,
    /// What operators that stay float, or the caller, read.
    read_as_floats: BTreeSet<TensorId>,
    report: Report,
}

impl<'s, 'a> Rewriter<'s, 'a> {
    fn rewrite(mut self, signatures: &[Signature]) -> Result<(Graph<'a>, Vec<Signature>, Report), Error> {
        self.become_integer()?;
        self.boundary_inputs();
        for (index, operator) in self.float.operators.iter().enumerate() {
            match &self.rules[index] {
                Ok((part, Rule::Passthrough)) => self.passthrough(*part, operator)?,
                Ok((part, rule)) => self.integer_operator((index, *part), operator, *rule)?,
                Err(_) => self.float_operator(operator),
            }
        }
        self.boundary_outputs()?;
        let signatures = self.boundary(signatures);
        self.report.constant_bytes_after = constant_bytes(&self.graph.tensors);
        Ok((self.graph, signatures, self.report))
    }

    /// Puts an operator into the graph that reads real numbers as integers and computes none.
    fn passthrough(&mut self, part: usize, operator: &Operator) -> Result<(), Error> {
        let mut rewritten = operator.clone();
        for (position, id) in reals(self.float, operator) {
            if self.is_integer(id) {
                let parameters = self.parts[part].parameters(id)?;
                rewritten.inputs[position] = Some(self.version(id, part, parameters));
            }
        }
        self.graph.operators.push(rewritten);
        Ok(())
    }

    /// Puts an integer operator into the graph, with the rescaling that its operands and results need.
    fn integer_operator(
        &mut self,
        (index, part): (usize, usize),
        operator: &Operator,
        rule: Rule,
    ) -> Result<(), Error> {
        let mut rewritten = operator.clone();
        if self.parts[part].source.scheme == Scheme::Int16x8 {
            say_what_is_computed(&mut rewritten.op, self.quantizer.bias_type(Scheme::Int16x8));
        }
        let weights = match rule {
            Rule::Weighted(operands) => {
                self.layer((index, part), operator, operands, &mut rewritten)?;
                Some(operands)
            }
            _ => None,
        };
        let is_constant = |position| weights.is_some_and(|it| position == it.weights || position == it.bias);
        for (position, id) in reals(self.float, operator).filter(|&(position, _)| !is_constant(position)) {
            rewritten.inputs[position] = Some(match coefficients(&operator.op) == Some(position) {
                true => self.coefficients(id, part)?,
                false => self.operand((index, position), id, part)?,
            });
        }
        let mut after = Vec::new();
        for (position, id) in real_results(self.float, operator) {
            if let Some(&parameters) = self.parts[part].scales.results.get(&(index, position)) {
                let written = self.add_activation(id, part, parameters);
                rewritten.outputs[position] = written;
                after.push(Operator::new(Op::Quantize, [written], [id]));
            }
        }
        self.graph.operators.push(rewritten);
        self.graph.operators.append(&mut after);
        Ok(())
    }

    /// Puts a float operator into the graph, with the DEQUANTIZE and QUANTIZE operators around it.
    fn float_operator(&mut self, operator: &Operator) {
        let mut rewritten = operator.clone();
        for (position, id) in reals(self.float, operator) {
            rewritten.inputs[position] = Some(self.float_version(id));
        }
        let mut after = Vec::new();
        for (position, id) in real_results(self.float, operator) {
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
        &self.float.tensors[id.index()]
    }

    /// Whether an activation of the float model has become integer.
    fn is_integer(&self, id: TensorId) -> bool {
        self.homes.contains_key(&id)
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
