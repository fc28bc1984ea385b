//! Bad samples and models that cannot be quantized: a message that says what to do, never a panic.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use burnlite_quantize::{Calibration, Error, Quantizer, Scheme, Target};
use burnlite_tflite::{
    Activation, ElementType, FullyConnectedOptions, Graph, Model, Op, Operator, Quantization, Range,
    ReducerOptions, Tensor, WeightsFormat,
};

const X: usize = 0;
const WEIGHTS: usize = 1;
const BIAS: usize = 2;
const Y: usize = 3;

/// One dense layer of two inputs and two outputs, with ranges as a calibration by TensorFlow leaves them.
fn dense() -> Model<'static> {
    let mut graph = Graph::default();
    let activation = |name: &str| Tensor {
        range: Some(Range { min: vec![-1.0], max: vec![1.0] }),
        ..Tensor::new(name, ElementType::Float32, [1, 2])
    };
    let x = graph.add_tensor(activation("x"));
    let weights = graph.add_tensor(Tensor::constant("weights", [2, 2], &[1.0f32, 2.0, 3.0, 4.0]));
    let bias = graph.add_tensor(Tensor::constant("bias", [2], &[0.5f32, -0.5]));
    let y = graph.add_tensor(activation("y"));
    let op = Op::FullyConnected(FullyConnectedOptions::default());
    graph.operators.push(Operator::new(op, [x, weights, bias], [y]));
    (graph.inputs, graph.outputs) = (vec![x], vec![y]);
    Model::new(graph)
}

/// The same with a change.
fn changed(change: impl FnOnce(&mut Graph<'static>)) -> Model<'static> {
    let mut model = dense();
    change(&mut model.graphs[0]);
    model
}

fn calibration_error(samples: &[Vec<Vec<f32>>]) -> String {
    Calibration::run(&dense(), samples, |_| ()).unwrap_err().to_string()
}

fn error(model: &Model<'_>) -> String {
    let quantize = |calibration: Calibration| Quantizer::new(Scheme::Int16x8).quantize(model, &calibration);
    Calibration::from_model(model).and_then(quantize).unwrap_err().to_string()
}

#[test]
fn bad_samples_are_named() {
    let good = || vec![vec![0.5, 1.0]];
    assert_eq!(calibration_error(&[]), "calibration needs at least one sample, but there was none");
    assert_eq!(
        calibration_error(&[good(), vec![vec![0.5, 1.0], vec![1.0]]]),
        "sample 1: it has 2 inputs, but the model takes 1"
    );
    assert_eq!(
        calibration_error(&[good(), good(), vec![vec![0.5, 1.0, 2.0]]]),
        "sample 2: input 'x' of shape [1, 2] takes 2 values, not 3"
    );
    assert_eq!(
        calibration_error(&[good(), vec![vec![0.5, f32::NAN]]]),
        "sample 1: input 'x' holds NaN at position 1"
    );
    assert_eq!(
        calibration_error(&[vec![vec![f32::NEG_INFINITY, 0.0]]]),
        "sample 0: input 'x' holds -inf at position 0"
    );
}

#[test]
fn nan_that_arises_inside_is_named() {
    let model = changed(|graph| graph.tensors[WEIGHTS] = Tensor::constant("weights", [2, 2], &[f32::NAN; 4]));
    let error = Calibration::run(&model, [[[0.5, 0.5]]], |_| ()).unwrap_err();
    let expected = "sample 0: the float model computes NaN in tensor 'y' at position 0; its weights or the sample are out of range";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn floats_cannot_be_given_to_integer_inputs() {
    let model = changed(|graph| {
        graph.tensors[X].element_type = ElementType::Int32;
        let reshape = Op::Reshape(burnlite_tflite::ReshapeOptions { new_shape: vec![2] });
        graph.operators = vec![Operator::new(reshape, graph.inputs.clone(), graph.outputs.clone())];
        graph.tensors[Y] = Tensor::new("y", ElementType::Int32, [2]);
    });
    let error = Calibration::run(&model, [[[0.5, 0.5]]], |_| ()).unwrap_err();
    assert_eq!(error.to_string(), "sample 0: tensor 'x' holds int32, not float32");
}

#[test]
fn only_plain_float_models_are_taken() {
    let twice = changed(|graph| graph.tensors[X].quantization = Some(Quantization::per_tensor(0.5, 0)));
    assert_eq!(error(&twice), "tensor 'x' (float32) is quantized already: start from the float model");
    assert!(matches!(Calibration::run(&twice, [[[0.0, 0.0]]], |_| ()), Err(Error::AlreadyQuantized { .. })));
    let mut several = dense();
    several.graphs.push(Graph::default());
    assert_eq!(error(&several), "the model has 2 graphs, but only models of one graph can be quantized");
    let broken = changed(|graph| graph.outputs.push(burnlite_tflite::TensorId(77)));
    assert!(matches!(Calibration::from_model(&broken), Err(Error::Model(_))));
}

#[test]
fn operators_without_a_rule_stay_float() {
    let model = changed(|graph| {
        let z = graph.add_tensor(Tensor::new("z", ElementType::Float32, [1, 2]));
        graph.operators.push(Operator::new(Op::Floor, graph.outputs.clone(), [z]));
        graph.outputs = vec![z];
    });
    let calibration = Calibration::from_model(&model).unwrap();
    let (quantized, report) = Quantizer::new(Scheme::Int8).quantize(&model, &calibration).unwrap();
    assert_eq!(report.float_operators[0].to_string(), "operator 1 (FLOOR): no integer kernel computes it");
    let graph = quantized.main().unwrap();
    let names: Vec<_> = graph.operators.iter().map(|operator| operator.op.name()).collect();
    assert_eq!(names, ["QUANTIZE", "FULLY_CONNECTED", "DEQUANTIZE", "FLOOR"]);
    assert_eq!(graph.tensors[graph.outputs[0].index()].element_type, ElementType::Float32);
}

#[test]
fn a_demand_for_integers_names_every_operator_that_stays_float() {
    let model = changed(|graph| {
        graph.operators.push(Operator::new(Op::Sin, graph.outputs.clone(), graph.outputs.clone()));
        graph.operators.push(Operator::new(Op::Elu, graph.outputs.clone(), graph.outputs.clone()));
    });
    let refusal = |scheme| {
        let calibration = Calibration::from_model(&model).unwrap();
        let refused = Quantizer::new(scheme).integer_only(true).quantize(&model, &calibration);
        refused.unwrap_err().to_string()
    };
    let sin = "operator 1 (SIN): no integer kernel computes it";
    assert_eq!(refusal(Scheme::Int8), format!("1 of the model's operators cannot be integer: {sin}"));
    assert_eq!(
        refusal(Scheme::Int16x8),
        format!(
            "2 of the model's operators cannot be integer: {sin}; operator 2 (ELU): no kernel computes it on int16"
        )
    );
}

#[test]
fn operators_on_integers_alone_need_no_rule() {
    let model = changed(|graph| {
        let n = graph.add_tensor(Tensor::new("n", ElementType::Bool, [1]));
        graph.operators.push(Operator::new(Op::LogicalNot, [n], [n]));
    });
    let calibration = Calibration::from_model(&model).unwrap();
    let (quantized, _) = Quantizer::new(Scheme::Int8).quantize(&model, &calibration).unwrap();
    assert_eq!(quantized.main().unwrap().operators[2].op.name(), "LOGICAL_NOT");
}

#[test]
fn what_the_target_lacks_is_rewritten_stays_float_or_is_an_error() {
    let followed_by = |op: Op| {
        let model = changed(|graph| {
            let z = graph.add_tensor(Tensor { name: "z".into(), ..graph.tensors[Y].clone() });
            graph.operators.push(Operator::new(op, graph.outputs.clone(), [z]));
            graph.outputs = vec![z];
        });
        let calibration = Calibration::from_model(&model).unwrap();
        [Target::TfLite, Target::TfLiteMicro].map(|target| {
            let quantizer = Quantizer::new(Scheme::Int8).target(target);
            let (quantized, _) = quantizer.quantize(&model, &calibration).map_err(|it| it.to_string())?;
            let operators = &quantized.main().unwrap().operators;
            Ok::<_, String>(
                operators[2..].iter().map(|it| it.op.name().to_owned()).collect::<Vec<_>>().join(" "),
            )
        })
    };
    let ok = |names: &str| Ok(names.to_owned());
    assert_eq!(followed_by(Op::Neg), [ok("MUL DEQUANTIZE"), ok("MUL DEQUANTIZE")]);
    assert_eq!(followed_by(Op::Exp), [ok("EXP DEQUANTIZE"), ok("DEQUANTIZE EXP")]);
    let refusal = "tflite-micro would refuse the model: operator 3 (GELU): it does not have the operator";
    assert_eq!(followed_by(Op::Gelu(Default::default())), [ok("GELU DEQUANTIZE"), Err(refusal.into())]);
}

#[test]
fn an_ethos_u_gets_one_scale_for_dense_weights() {
    let model = dense();
    let calibration = Calibration::from_model(&model).unwrap();
    for scheme in [Scheme::Int16x8, Scheme::Int8] {
        let quantizer = Quantizer::new(scheme).target(Target::EthosU);
        let (quantized, _) = quantizer.quantize(&model, &calibration).unwrap();
        let weights = &quantized.main().unwrap().tensors[WEIGHTS];
        assert_eq!(weights.quantization.as_ref().unwrap().scale.len(), 1);
    }
}

#[test]
fn layers_that_integers_cannot_express_stay_float() {
    let with_options = |options| changed(|graph| graph.operators[0].op = Op::FullyConnected(options));
    let cases = [
        (
            with_options(FullyConnectedOptions { activation: Activation::Tanh, ..Default::default() }),
            "integer kernels do not apply the fused activation Tanh",
        ),
        (
            with_options(FullyConnectedOptions {
                weights_format: WeightsFormat::Shuffled4x16Int8,
                ..Default::default()
            }),
            "the weights 'weights' of shape [2, 2] are stored in an order that has no output channels",
        ),
        (changed(|graph| graph.operators[0].inputs[1] = None), "operand 1 is missing"),
        (changed(|graph| graph.tensors[WEIGHTS].data = None), "'weights' (operand 1) must be a constant"),
        (
            changed(|graph| graph.tensors[BIAS] = Tensor::constant("bias", [3], &[0.0f32; 3])),
            "the bias 'bias' has 3 values for 2 output channels",
        ),
        (
            changed(|graph| graph.tensors[WEIGHTS] = Tensor::constant("weights", [], &[0.5f32])),
            "the weights 'weights' of shape [] are stored in an order that has no output channels",
        ),
        (
            changed(|graph| graph.operators[0].inputs[0] = graph.operators[0].inputs[1]),
            "'weights' (operand 0) is a constant: fold the operator into its result first",
        ),
    ];
    for (model, expected) in cases {
        let calibration = Calibration::from_model(&model).unwrap();
        let (_, report) = Quantizer::new(Scheme::Int16x8).quantize(&model, &calibration).unwrap();
        assert_eq!(
            report.float_operators[0].to_string(),
            format!("operator 0 (FULLY_CONNECTED): {expected}")
        );
    }
}

#[test]
fn numbers_out_of_range_are_named() {
    let model =
        changed(|graph| graph.tensors[BIAS] = Tensor::constant("bias", [2], &[0.0f32, f32::INFINITY]));
    assert_eq!(error(&model), "constant 'bias' holds inf at position 1");
    let model = changed(|graph| {
        graph.tensors[X].range = Some(Range { min: vec![0.0], max: vec![f32::MAX] });
        graph.tensors[WEIGHTS] = Tensor::constant("weights", [2, 2], &[f32::MAX; 4]);
    });
    assert_eq!(error(&model), "tensor 'bias' would need the scale inf: its values are out of range");
}

#[test]
fn ranges_must_be_there_and_make_sense() {
    let range = |min: &[f32], max: &[f32]| Some(Range { min: min.into(), max: max.into() });
    let with_range = |range| changed(|graph| graph.tensors[Y].range = range);
    assert_eq!(error(&with_range(None)), "tensor 'y' has no range: calibration saw no values of it");
    let senseless =
        [range(&[1.0], &[-1.0]), range(&[f32::NAN], &[1.0]), range(&[0.0], &[]), range(&[0.0; 2], &[1.0; 2])];
    for range in senseless {
        let message = error(&with_range(range));
        assert!(message.starts_with("tensor 'y': the range from ["), "{message}");
    }
    let bare = changed(|graph| graph.tensors.iter_mut().for_each(|tensor| tensor.range = None));
    let expected = "the model carries no ranges (`quantization.min` and `max`): calibrate it with samples";
    assert_eq!(error(&bare), expected);
}

#[test]
fn a_calibration_serves_its_own_model_only() {
    let mut calibration = Calibration::from_model(&dense()).unwrap();
    let other = changed(|graph| graph.tensors[BIAS].name = "offset".into());
    let error = Quantizer::new(Scheme::Int8).quantize(&other, &calibration).unwrap_err();
    let expected = "the calibration is of another model: tensor 2 is 'bias' there and 'offset' here";
    assert_eq!(error.to_string(), expected);
    let longer = changed(|graph| graph.tensors.push(Tensor::new("z", ElementType::Float32, [1])));
    let before = calibration.clone();
    let error = calibration.merge(&Calibration::from_model(&longer).unwrap()).unwrap_err();
    assert_eq!(error, Error::OtherModel { index: 4, expected: None, found: Some("z".into()) });
    assert_eq!(calibration, before);
}

#[test]
fn bias_correction_needs_means() {
    let model = dense();
    let quantizer = Quantizer::new(Scheme::Int16x8).bias_correction(true);
    let mut calibration = Calibration::from_model(&model).unwrap();
    let error = quantizer.quantize(&model, &calibration).unwrap_err();
    let expected =
        "operator 0 (FULLY_CONNECTED): bias correction needs the means of its input: calibrate with samples";
    assert_eq!(error.to_string(), expected);
    calibration.merge(&Calibration::run(&model, [[[0.5, 1.0]]], |_| ()).unwrap()).unwrap();
    assert!(quantizer.quantize(&model, &calibration).is_ok());
}

#[test]
fn a_calibration_serves_the_constants_it_is_of() {
    let wider = changed(|graph| {
        graph.tensors[X].shape = vec![1, 4];
        graph.tensors[WEIGHTS] = Tensor::constant("weights", [2, 4], &[1.0f32; 8]);
    });
    let mut calibration = Calibration::run(&wider, [[[0.5; 4]]], |_| ()).unwrap();
    let own = Calibration::run(&dense(), [[[0.5; 2]]], |_| ()).unwrap();
    let error = calibration.merge(&own).unwrap_err();
    assert_eq!(error, Error::OtherContents);
    let expected = "the calibration is of another model: the tensors have the same names, but the types, constants or operators differ";
    assert_eq!(error.to_string(), expected);
    let error = calibration.extend(&dense(), &Calibration::portable(), [[[0.5; 2]]], |_| ()).unwrap_err();
    assert_eq!(error, Error::OtherContents);
    let retrained = changed(|graph| {
        graph.tensors[WEIGHTS] = Tensor::constant("weights", [2, 2], &[1.0f32, 2.0, 3.0, 4.5]);
    });
    let quantizer = Quantizer::new(Scheme::Int8);
    assert_eq!(quantizer.quantize(&retrained, &own).unwrap_err(), Error::OtherContents);
}

#[test]
fn statistics_that_nobody_wrote_are_refused() {
    let json = Calibration::run(&dense(), [[[0.5, -1.0]]], |_| ()).unwrap().to_json();
    let with = |text: &str, other: &str| {
        assert!(json.contains(text), "{json}");
        Calibration::from_json(&json.replace(text, other))
    };
    let refused = [
        ("{\"format", "[{\"format", "these are no calibration statistics: "),
        (
            "burnlite calibration",
            "a recipe",
            "they are 'a recipe' of version 1, not 'burnlite calibration' of version 1",
        ),
        ("\"version\":1", "\"version\":2", "they are 'burnlite calibration' of version 2, not"),
        ("[-1.0,0.5]", "[0.5,-1.0]", "from 0.5 to -1 is no range of float32 numbers at line 1"),
        ("[-1.0,0.5]", "[-1e39,0.5]", "is no range of float32 numbers"),
        (
            "\"samples\":1,\"tensors\"",
            "\"samples\":0,\"tensors\"",
            "there are sums that its samples cannot have",
        ),
        ("\"samples\":1,\"sums\"", "\"samples\":0,\"sums\"", "there are sums that its samples cannot have"),
        (
            "\"sums\":[\"0 ",
            "\"sums\":[\"170141183460469231731687303715884105727 ",
            "there are sums that its samples cannot have",
        ),
        ("\"sums\":[\"0 ", "\"sums\":[\"", "is no sum at line 1"),
        ("\"model\":\"", "\"model\":\"x", "is no hash of a model at line 1"),
        ("\"samples\":1,\"tensors\"", "\"samples\":1,\"more\":2,\"tensors\"", "unknown field `more`"),
    ];
    for (text, other, message) in refused {
        let error = with(text, other).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    // As many means as nobody could have seen, but a sum that could be.
    let calibration = with("\"sums\":[", "\"sums\":[\"0 0 0 0\",").unwrap();
    let quantizer = Quantizer::new(Scheme::Int8).bias_correction(true);
    let error = quantizer.quantize(&dense(), &calibration).unwrap_err();
    assert_eq!(error, Error::OtherLayer { operator: 0 });
    let expected = "the calibration is of another model: the weights of operator 0 meet another input there";
    assert_eq!(error.to_string(), expected);
    let mut own = Calibration::from_json(&json).unwrap();
    assert_eq!(own.merge(&calibration).unwrap_err(), Error::OtherLayer { operator: 0 });
    let endless = with("\"samples\":1,\"tensors\"", "\"samples\":274877906944,\"tensors\"").unwrap();
    assert_eq!(own.merge(&endless).unwrap_err(), Error::TooManySamples);
}

#[test]
fn scales_that_no_kernel_takes_are_named_before_a_file_is_made() {
    let mut graph = Graph::default();
    let x = graph.add_tensor(Tensor::new("x", ElementType::Float32, [1, 2]));
    let axes = graph.add_tensor(Tensor::constant("axes", [1], &[1i32]));
    let y = graph.add_tensor(Tensor::new("mean", ElementType::Float32, [1]));
    graph.operators.push(Operator::new(Op::Mean(ReducerOptions::default()), [x, axes], [y]));
    (graph.inputs, graph.outputs) = (vec![x], vec![y]);
    let model = Model::new(graph);
    // Of opposite sign, they leave a mean of nearly nothing.
    let calibration = Calibration::run(&model, [[[1e30f32, -1e30]]], |_| ()).unwrap();
    for scheme in [Scheme::Int16x8, Scheme::Int8] {
        let error = Quantizer::new(scheme).quantize(&model, &calibration).unwrap_err();
        assert!(matches!(error, Error::CannotRun { .. }), "{error:?}");
        let error = error.to_string();
        assert!(error.contains("operator 1 (MEAN)") && error.contains("'mean_int"), "{error}");
    }
}
