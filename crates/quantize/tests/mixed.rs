//! Models of several precisions: they run, whatever meets whatever, and an operator has the numbers that were asked for.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use burnlite_quantize::{
    Calibration, Compat, Error, IoType, OperatorFault, Precision, Quantizer, Recipe, RecipeRule, Scheme,
    Target,
};
use burnlite_runtime::{Interpreter, InterpreterOptions, Kernels};
use burnlite_tflite::{ElementType, Graph, Model, Op, Tensor, TensorId};
use support::{fixtures, outputs, samples, snr};

const PRECISIONS: [Precision; 3] = [Precision::Int8, Precision::Int16x8, Precision::Float32];

/// A network with several inputs and outputs, where layers meet in many ways.
const BRANCHES: &str = "two_inputs_three_outputs_float32";

/// A float model, its calibration, and other samples than those.
struct Case {
    model: Model<'static>,
    calibration: Calibration,
    fresh: Vec<Vec<Vec<f32>>>,
}

impl Case {
    /// `None` for a model that is not to be quantized or takes other inputs than floats.
    fn of(bytes: &[u8]) -> Option<Self> {
        let model = Model::from_bytes(bytes).unwrap().into_owned();
        let graph = &model.graphs[0];
        let is_float = |id: &TensorId| graph.tensors[id.index()].element_type == ElementType::Float32;
        if model.graphs.len() > 1 || !graph.inputs.iter().all(is_float) {
            return None;
        }
        let mut samples = samples(&Interpreter::new(&model).unwrap(), 8);
        let fresh = samples.split_off(5);
        Some(Self { calibration: Calibration::run(&model, &samples, |_| ()).unwrap(), model, fresh })
    }

    fn named(name: &str) -> Self {
        Self::of(&fixtures("networks", |found| found == name)[0].1).unwrap()
    }

    fn all() -> Vec<(String, Self)> {
        let floats = fixtures("networks", |name| name.ends_with("_float32"));
        let cases: Vec<_> =
            floats.into_iter().filter_map(|(name, bytes)| Some((name, Self::of(&bytes)?))).collect();
        assert!(cases.len() > 20);
        cases
    }

    fn quantize(&self, quantizer: &Quantizer) -> Model<'static> {
        quantizer.quantize(&self.model, &self.calibration).unwrap().0.into_owned()
    }

    fn operators(&self) -> usize {
        self.model.graphs[0].operators.len()
    }
}

/// A precision for each operator, by lot.
fn lots(seed: u64, operators: usize) -> Recipe {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut lot = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        PRECISIONS[(state >> 33) as usize % 3]
    };
    (0..operators).map(|index| RecipeRule::new(lot()).operator(index)).collect()
}

/// The raw outputs of a model with the given kernels.
fn raw_outputs(model: &Model<'_>, kernels: Kernels, samples: &[Vec<Vec<f32>>]) -> Vec<f32> {
    let options = InterpreterOptions { kernels, ..InterpreterOptions::default() };
    let mut interpreter = Interpreter::with_options(model, &options).unwrap();
    let mut all = Vec::new();
    for sample in samples {
        for (position, input) in sample.iter().enumerate() {
            interpreter.set_input_real(position, input).unwrap();
        }
        interpreter.invoke().unwrap();
        for (position, output) in interpreter.outputs().enumerate() {
            let start = all.len();
            all.resize(start + output.shape.iter().product::<usize>(), 0.0);
            interpreter.output_real(position, &mut all[start..]).unwrap();
        }
    }
    all
}

/// The types of activations that QUANTIZE operators turn into others, sorted.
fn borders(graph: &Graph<'_>) -> Vec<(ElementType, ElementType)> {
    let element_type = |id: TensorId| graph.tensors[id.index()].element_type;
    let quantize = graph.operators.iter().filter(|operator| operator.op == Op::Quantize);
    let mut borders: Vec<_> = quantize
        .map(|operator| (element_type(operator.inputs[0].unwrap()), element_type(operator.outputs[0])))
        .filter(|(from, to)| from != to)
        .collect();
    borders.sort_by_key(|(from, to)| (from.name(), to.name()));
    borders
}

#[test]
fn a_recipe_of_one_precision_is_its_scheme() {
    for (name, case) in Case::all() {
        for (scheme, other) in [(Scheme::Int8, Scheme::Int16x8), (Scheme::Int16x8, Scheme::Int8)] {
            for compat in [Compat::Best, Compat::TensorFlow] {
                let quantizer = Quantizer::new(scheme).compat(compat);
                let expected = case.quantize(&quantizer).to_bytes().unwrap();
                let precision = if scheme == Scheme::Int8 { Precision::Int8 } else { Precision::Int16x8 };
                let recipe = Recipe::from_iter([RecipeRule::new(precision)]);
                for quantizer in [quantizer, Quantizer::new(other).compat(compat)] {
                    let found = case.quantize(&quantizer.recipe(recipe.clone())).to_bytes().unwrap();
                    assert!(found == expected, "{name} {scheme} {compat:?}");
                }
            }
        }
    }
}

#[test]
fn floats_everywhere_are_the_float_model() {
    let case = Case::named(BRANCHES);
    let recipe = Recipe::from_iter([RecipeRule::new(Precision::Float32)]);
    let (quantized, report) =
        Quantizer::new(Scheme::Int8).recipe(recipe.clone()).quantize(&case.model, &case.calibration).unwrap();
    assert_eq!(outputs(&quantized, &case.fresh), outputs(&case.model, &case.fresh));
    assert!(report.float_operators.iter().all(|operator| operator.reason == OperatorFault::Recipe));
    assert_eq!(report.float_operators.len(), report.operators.len());
    let refused = Quantizer::new(Scheme::Int8).recipe(recipe).integer_only(true);
    let error = refused.quantize(&case.model, &case.calibration).unwrap_err().to_string();
    assert!(error.contains("(CONV_2D): the recipe says float32"), "{error}");
}

/// Operators of all precisions, one beside the other, with every type of input and output.
#[test]
fn whatever_meets_whatever_runs() {
    let io_types = [IoType::Float32, IoType::Integer, IoType::UInt8];
    for (name, case) in Case::all() {
        let expected = outputs(&case.model, &case.fresh);
        for seed in 0..6 {
            let io_type = io_types[seed as usize % 3];
            let scheme =
                if seed % 2 == 0 || io_type == IoType::UInt8 { Scheme::Int8 } else { Scheme::Int16x8 };
            let target =
                if seed < 4 || io_type == IoType::UInt8 { Target::TfLite } else { Target::TfLiteMicro };
            let recipe = lots(seed, case.operators());
            let quantizer =
                Quantizer::new(scheme).recipe(recipe).target(target).input_type(io_type).output_type(io_type);
            let file = match quantizer.quantize(&case.model, &case.calibration) {
                // tflite-micro does not have every operator in floats.
                Err(Error::Target { .. }) if target == Target::TfLiteMicro => continue,
                result => result.unwrap().0.to_bytes().unwrap(),
            };
            let quantized = Model::from_bytes(&file).unwrap();
            let found = raw_outputs(&quantized, Kernels::Reference, &case.fresh);
            let ratio = snr(&expected, &found);
            assert!(ratio > 12.0, "{name} {seed} {scheme} {io_type:?}: {ratio:.1} dB");
            let inputs = quantized.graphs[0].inputs.iter().map(|id| &quantized.graphs[0].tensors[id.index()]);
            let is_asked = |tensor: &Tensor<'_>| match io_type {
                IoType::Float32 => tensor.element_type == ElementType::Float32,
                IoType::UInt8 => tensor.element_type == ElementType::UInt8,
                _ => tensor.element_type == scheme.activation_type(),
            };
            assert!(inputs.clone().all(is_asked), "{name} {seed}");
            let names = |graph: &Graph<'_>| {
                let ids = graph.inputs.iter().chain(&graph.outputs);
                ids.map(|id| graph.tensors[id.index()].name.clone()).collect::<Vec<_>>()
            };
            // Integer tensors that floats are made of have a suffix, inputs too.
            if io_type == IoType::Float32 {
                assert_eq!(names(&quantized.graphs[0]), names(&case.model.graphs[0]), "{name} {seed}");
            }
        }
    }
}

/// The integers are the same with every kernel, where all operators have some.
#[test]
fn integers_that_meet_integers_are_those_of_the_plain_loops() {
    let case = Case::named(BRANCHES);
    let sides = |first: Precision, second: Precision| {
        let rules = (0..case.operators())
            .map(|index| RecipeRule::new(if index % 2 == 0 { first } else { second }).operator(index));
        let quantizer = Quantizer::new(Scheme::Int8).recipe(rules.collect()).integer_only(true);
        case.quantize(&quantizer)
    };
    for (first, second) in [(Precision::Int8, Precision::Int16x8), (Precision::Int16x8, Precision::Int8)] {
        let quantized = sides(first, second);
        let graph = &quantized.graphs[0];
        let borders = borders(graph);
        for border in [(ElementType::Int8, ElementType::Int16), (ElementType::Int16, ElementType::Int8)] {
            assert!(borders.contains(&border), "{borders:?}");
        }
        // Between integers there are no floats.
        let dequantize = graph.operators.iter().filter(|operator| operator.op == Op::Dequantize).count();
        assert_eq!(dequantize, graph.outputs.len());
        let plain = raw_outputs(&quantized, Kernels::Reference, &case.fresh);
        assert_eq!(raw_outputs(&quantized, Kernels::Auto, &case.fresh), plain);
        assert!(snr(&outputs(&case.model, &case.fresh), &plain) > 18.0);
    }
}

#[test]
fn an_operator_has_the_numbers_of_the_last_rule_that_names_it() {
    let case = Case::named(BRANCHES);
    let recipe = Recipe::from_iter([
        RecipeRule::new(Precision::Float32),
        RecipeRule::new(Precision::Int16x8).kind("*CONV*"),
        RecipeRule::new(Precision::Int16x8).kind("FULLY_CONNECTED"),
        RecipeRule::new(Precision::Int8).kind("FULLY_CONNECTED").tensor("*dense_54*"),
    ]);
    let quantizer = Quantizer::new(Scheme::Int8).recipe(recipe);
    let (quantized, report) = quantizer.quantize(&case.model, &case.calibration).unwrap();
    let dense_54 = |index: usize| {
        let operator = &case.model.graphs[0].operators[index];
        case.model.graphs[0].tensors[operator.outputs[0].index()].name.contains("dense_54")
    };
    let mut seen = Vec::new();
    for operator in &report.operators {
        let expected = match &operator.name[..] {
            "CONV_2D" => Precision::Int16x8,
            "FULLY_CONNECTED" if dense_54(operator.index) => Precision::Int8,
            "FULLY_CONNECTED" => Precision::Int16x8,
            _ => Precision::Float32,
        };
        assert_eq!(operator.precision, expected, "{operator}");
        seen.push(expected);
    }
    assert!(PRECISIONS.iter().all(|precision| seen.contains(precision)));
    let layers =
        quantized.graphs[0].operators.iter().filter(|operator| operator.op.name() == "FULLY_CONNECTED");
    let types: Vec<_> = layers
        .map(|operator| quantized.graphs[0].tensors[operator.inputs[0].unwrap().index()].element_type)
        .collect();
    assert!(types.contains(&ElementType::Int8) && types.contains(&ElementType::Int16), "{types:?}");
    let text = report.to_string();
    assert!(
        text.contains("(CONV_2D): 16x8\n") && text.contains("(TANH): the recipe says float32\n"),
        "{text}"
    );
}

#[test]
fn a_recipe_of_another_model_or_scheme_is_refused() {
    let case = Case::named(BRANCHES);
    let refused = |scheme, rule: RecipeRule| {
        let recipe = Recipe::from_iter([RecipeRule::new(Precision::Int8), rule]);
        Quantizer::new(scheme)
            .recipe(recipe)
            .quantize(&case.model, &case.calibration)
            .unwrap_err()
            .to_string()
    };
    let rule = RecipeRule::new(Precision::Int16x8);
    assert_eq!(
        refused(Scheme::Int8, rule.clone().kind("CONV_3D").tensor("head/*")),
        "rule 1 of the recipe (16x8 for kind 'CONV_3D', tensor 'head/*') fits no operator of the model"
    );
    assert_eq!(
        refused(Scheme::Int8, rule.clone().operator(99)),
        "rule 1 of the recipe (16x8 for operator 99) fits no operator of the model"
    );
    assert_eq!(refused(Scheme::Float16, rule), "a recipe goes with 16x8 or int8, not with float16");
}
