//! Operators with indices, where fixtures cannot tell: what they refuse, when planned and when run, and what tflite-micro
//! does otherwise.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail with it")]

use burnlite_runtime::{Error, Interpreter, InterpreterOptions, Numerics, OperatorFault};
use burnlite_tflite::{
    ArgMaxOptions, ElementType, GatherOptions, Graph, Model, OneHotOptions, Op, Operator, Quantization,
    ShapeOptions, Tensor,
};

/// A model of one operator: operands without data are its inputs.
fn model_of(
    op: Op,
    operands: impl IntoIterator<Item = Tensor<'static>>,
    result: Tensor<'static>,
) -> Model<'static> {
    let mut graph = Graph::default();
    let operands: Vec<_> = operands.into_iter().map(|tensor| graph.add_tensor(tensor)).collect();
    let result = graph.add_tensor(result);
    graph.inputs = operands.iter().copied().filter(|id| graph.tensors[id.index()].data.is_none()).collect();
    graph.outputs = [result].into();
    graph.operators.push(Operator::new(op, operands, [result]));
    Model::new(graph)
}

fn computed(name: &str, element_type: ElementType, shape: &[usize]) -> Tensor<'static> {
    Tensor::new(name, element_type, shape)
}

fn fault(error: Error) -> OperatorFault {
    match error {
        Error::Operator { fault, .. } => fault,
        other => panic!("{other}"),
    }
}

#[test]
fn an_index_outside_its_dimension_stops_the_run_and_another_run_goes_on() {
    let table = Tensor::constant("table", [2, 3], &[0.0f32, 1.0, 2.0, 3.0, 4.0, 5.0]);
    let indices = computed("indices", ElementType::Int32, &[1, 2]);
    let cases = [
        // Index 3 of the first row would be the second row's first element.
        (Op::Gather(GatherOptions { axis: 1, batch_dims: 0 }), vec![2, 1, 2], [0, 3], [0, 2], 3),
        (Op::GatherNd, vec![1], [0, -1], [1, 2], 3),
    ];
    for (op, shape, outside, inside, extent) in cases {
        let result = computed("y", ElementType::Float32, &shape);
        let model = model_of(op, [table.clone(), indices.clone()], result);
        let mut interpreter = Interpreter::new(&model).unwrap();
        interpreter.set_input(0, &outside).unwrap();
        let found = outside[1].into();
        assert_eq!(fault(interpreter.invoke().unwrap_err()), OperatorFault::Index { found, extent });
        interpreter.set_input(0, &inside).unwrap();
        interpreter.invoke().unwrap();
    }
}

#[test]
fn a_constant_index_outside_is_found_when_the_model_is_planned() {
    let ids = Tensor::constant("ids", [1], &[2]);
    let table = Tensor::constant("table", [2, 1], &[0i8, 1]);
    let model = model_of(Op::EmbeddingLookup, [ids, table], computed("y", ElementType::Int8, &[1, 1]));
    let error = Interpreter::new(&model).unwrap_err();
    assert_eq!(
        error.to_string(),
        "operator 0 (EMBEDDING_LOOKUP): index 2 is outside a dimension of 2 elements"
    );
}

#[test]
fn a_shape_that_depends_on_data_of_the_run_is_refused() {
    let scalar = |name| computed(name, ElementType::Int32, &[]);
    let constant = |name| Tensor::constant(name, [], &[1]);
    let y = |element_type| computed("y", element_type, &[1]);
    let k = computed("decides", ElementType::Int32, &[1]);
    let condition = computed("decides", ElementType::Bool, &[4]);
    let models = [
        model_of(Op::Fill, [k.clone(), constant("value")], y(ElementType::Int32)),
        model_of(Op::Range, [constant("start"), scalar("decides"), constant("step")], y(ElementType::Int32)),
        model_of(Op::Where, [condition], y(ElementType::Int64)),
        model_of(
            Op::OneHot(OneHotOptions { axis: -1 }),
            [constant("indices"), scalar("decides"), constant("on"), constant("off")],
            y(ElementType::Int32),
        ),
        model_of(
            Op::ScatterNd,
            [Tensor::constant("indices", [1, 1], &[0]), Tensor::constant("updates", [1], &[0]), k],
            y(ElementType::Int32),
        ),
    ];
    for model in &models {
        let expected = OperatorFault::NotConstant { tensor: "decides".into() };
        assert_eq!(fault(Interpreter::new(model).unwrap_err()), expected);
    }
}

#[test]
fn a_shape_that_was_computed_from_constants_is_a_constant() {
    let mut graph = Graph::default();
    let x = graph.add_tensor(computed("x", ElementType::Float32, &[2, 3]));
    let shape = graph.add_tensor(computed("shape", ElementType::Int64, &[2]));
    let value = graph.add_tensor(computed("value", ElementType::Int16, &[]));
    let y = graph.add_tensor(computed("y", ElementType::Int16, &[]));
    let out_type = ElementType::Int64;
    graph.operators.push(Operator::new(Op::Shape(ShapeOptions { out_type }), [x], [shape]));
    graph.operators.push(Operator::new(Op::Fill, [shape, value], [y]));
    (graph.inputs, graph.outputs) = (vec![x, value], vec![y]);
    let model = Model::new(graph);
    let mut interpreter = Interpreter::new(&model).unwrap();
    interpreter.set_input(1, &[-7i16]).unwrap();
    interpreter.invoke().unwrap();
    assert_eq!(interpreter.outputs().next().unwrap().shape, [2, 3]);
    assert_eq!(interpreter.output::<i16>(0).unwrap(), [-7; 6]);
}

#[test]
fn a_range_adds_step_by_step_and_leads_to_its_limit() {
    let range = |start: f32, limit: f32, step: f32| {
        let operands = [("start", start), ("limit", limit), ("step", step)];
        let operands = operands.map(|(name, value)| Tensor::constant(name, [], &[value]));
        let model = model_of(Op::Range, operands, computed("y", ElementType::Float32, &[0]));
        Interpreter::new(&model).map(|interpreter| interpreter.output::<f32>(0).unwrap().to_vec())
    };
    assert_eq!(range(2.0, -1.0, -0.75).unwrap(), [2.0, 1.25, 0.5, -0.25]);
    assert_eq!(range(1.0, 1.0, 0.5).unwrap(), [0.0; 0]);
    // 99 * 0.1 is 9.9; the sum of 99 roundings is not.
    assert_eq!(range(0.0, 10.0, 0.1).unwrap().last(), Some(&9.900_002));
    let error = range(3.0, 1.0, 1.0).unwrap_err().to_string();
    assert_eq!(error, "operator 0 (RANGE): a range from 3.0 to 1.0 in steps of 1.0 is not supported");
    for (start, limit, step) in [(0.0, 1.0, 0.0), (0.0, f32::NAN, 1.0)] {
        assert!(matches!(fault(range(start, limit, step).unwrap_err()), OperatorFault::Unsupported { .. }));
    }
    assert!(matches!(range(0.0, f32::INFINITY, 1.0), Err(Error::TooLarge { .. })));
}

/// What a model of one input computes under both settings: LiteRT's, then tflite-micro's.
fn under_both<X: burnlite_tflite::Element, Y: burnlite_tflite::Element>(
    model: &Model<'_>,
    x: &[X],
) -> [Vec<Y>; 2] {
    [Numerics::LiteRt, Numerics::TfLiteMicro].map(|numerics| {
        let options = InterpreterOptions { numerics, ..InterpreterOptions::default() };
        let mut interpreter = Interpreter::with_options(model, &options).unwrap();
        interpreter.set_input(0, x).unwrap();
        interpreter.invoke().unwrap();
        interpreter.output::<Y>(0).unwrap().to_vec()
    })
}

#[test]
fn a_nan_at_the_start_is_the_greatest_for_tflite_micro_alone() {
    let x = computed("x", ElementType::Float32, &[2, 3]);
    let op = Op::ArgMax(ArgMaxOptions { output_type: ElementType::Int32 });
    let model =
        model_of(op, [x, Tensor::constant("axis", [], &[1])], computed("y", ElementType::Int32, &[2]));
    let found = under_both::<f32, i32>(&model, &[f32::NAN, 1.0, 2.0, 1.0, f32::NAN, 2.0]);
    assert_eq!(found, [[2, 2], [0, 2]]);
}

#[test]
fn tflite_micro_has_one_scale_for_all_rows_of_a_table() {
    let ids = computed("ids", ElementType::Int32, &[2]);
    let quantization = Quantization { scale: vec![0.5, 2.0], zero_point: vec![0, 0], dimension: 0 };
    let table = Tensor::constant("table", [2, 1], &[1i8, 1]).quantized(quantization);
    let model = model_of(Op::EmbeddingLookup, [ids, table], computed("y", ElementType::Float32, &[2, 1]));
    assert_eq!(under_both::<i32, f32>(&model, &[1, 0]), [[2.0, 0.5], [0.5, 0.5]]);
}
