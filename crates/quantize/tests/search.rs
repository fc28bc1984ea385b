//! The search for a recipe finds the layer that needs one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "the fixtures serve other tests")]
mod support;

use burnlite_quantize::{
    Calibration, Cost, Error, Precision, Proposal, Quantizer, Scheme, Search, SecondMoments, WeightRounding,
    compare,
};
use burnlite_tflite::{ElementType, FullyConnectedOptions, Graph, Model, Op, Operator, Tensor, TensorId};
use support::values;

const WIDTH: usize = 16;

/// Dense layers, one behind the other, with a RELU behind each but the last.
fn network(layers: &[Vec<f32>]) -> Model<'static> {
    let mut graph = Graph::default();
    let activation = |name: String| Tensor::new(name, ElementType::Float32, [1, WIDTH]);
    let mut x = graph.add_tensor(activation("x".into()));
    graph.inputs.push(x);
    for (number, weights) in layers.iter().enumerate() {
        let weights = Tensor::constant(format!("weights_{number}"), [WIDTH, WIDTH], weights);
        let bias = Tensor::constant(format!("bias_{number}"), [WIDTH], &values(100 + number, WIDTH));
        let (weights, bias) = (graph.add_tensor(weights), graph.add_tensor(bias));
        let y = graph.add_tensor(activation(format!("dense_{number}")));
        let dense = Op::FullyConnected(FullyConnectedOptions::default());
        graph.operators.push(Operator::new(dense, [x, weights, bias], [y]));
        x = y;
        if number + 1 < layers.len() {
            x = graph.add_tensor(activation(format!("relu_{number}")));
            graph.operators.push(Operator::new(Op::Relu, [y], [x]));
        }
    }
    graph.outputs.push(x);
    Model::new(graph)
}

fn weights(seed: usize) -> Vec<f32> {
    values(seed, WIDTH * WIDTH)
}

/// Every channel has a weight that hides the others, on the input that is always 0: only floats keep them.
fn weights_of_two_sizes(seed: usize) -> Vec<f32> {
    let mut weights = weights(seed);
    weights.iter_mut().step_by(WIDTH).for_each(|weight| *weight = 1000.0);
    weights
}

type Samples = Vec<Vec<Vec<f32>>>;

/// Samples that calibrate, and others.
fn samples(change: impl Fn(&mut Vec<f32>)) -> (Samples, Samples) {
    let sample = |seed| {
        let mut values = values(seed, WIDTH);
        change(&mut values);
        vec![values]
    };
    ((0..40).map(sample).collect(), (40..60).map(sample).collect())
}

fn search(model: &Model<'_>, (seen, fresh): &(Samples, Samples), search: &Search) -> Proposal {
    let calibration = Calibration::run(model, seen, |_| ()).unwrap();
    let mut last = 0;
    let progress = |done, total| {
        assert_eq!(done, last + 1);
        assert!(done <= total);
        last = done;
    };
    search.run(model, &calibration, &Calibration::portable(), fresh.iter(), progress).unwrap()
}

fn to(snr_db: f64) -> Search {
    Search::new(Quantizer::new(Scheme::Int8), snr_db)
}

/// The layers that are not int8.
fn improved(proposal: &Proposal) -> Vec<(&str, Precision)> {
    let improved = proposal.layers.iter().filter(|layer| layer.precision != Precision::Int8);
    improved.map(|layer| (&layer.name[..], layer.precision)).collect()
}

#[test]
fn a_layer_whose_weights_need_floats_is_found() {
    let mut layers: Vec<_> = (0..4).map(weights).collect();
    layers[2] = weights_of_two_sizes(2);
    let mut model = network(&layers);
    // The third layer's first input is 0: the layer before it has no weights and a bias below 0 there.
    silence(&mut model, 1);
    let samples = samples(|_| ());
    let proposal = search(&model, &samples, &to(25.0));
    assert_eq!(improved(&proposal), [("dense_2", Precision::Float32)]);
    let [before, everywhere_16x8, after] =
        [proposal.int8, proposal.int16x8, proposal.proposed].map(|outcome| outcome.snr_db.unwrap());
    assert!(before < 10.0 && everywhere_16x8 < 10.0 && after > 25.0, "{proposal}");
    assert!(proposal.is_reached && proposal.proposed.time < proposal.float32.time, "{proposal}");
    // The table says why.
    let sensitive = proposal.layers.iter().position(|layer| layer.name == "dense_2").unwrap();
    for (index, layer) in proposal.layers.iter().enumerate() {
        let is_sensitive = layer.int8_snr_db.is_some_and(|snr| snr < 10.0);
        assert_eq!(is_sensitive, index == sensitive, "{proposal}");
    }
}

/// Makes the first output of a dense layer always negative.
fn silence(model: &mut Model<'_>, layer: usize) {
    let named = |name: String| move |tensor: &Tensor<'_>| tensor.name == name;
    let tensors = &mut model.graphs[0].tensors;
    for (name, value) in [(format!("weights_{layer}"), 0.0), (format!("bias_{layer}"), -1.0)] {
        let tensor = tensors.iter().position(named(name)).unwrap();
        let mut elements = tensors[tensor].elements_of::<f32>().unwrap().into_owned();
        let count = if value < 0.0 { 1 } else { WIDTH };
        elements[..count].fill(value);
        let Tensor { name, shape, .. } = tensors[tensor].clone();
        tensors[tensor] = Tensor::constant(name, shape, &elements);
    }
}

#[test]
fn a_layer_whose_input_needs_16_bits_is_found() {
    let mut first = weights(0);
    // One value of the input is far larger than the others, and of no use.
    first.iter_mut().step_by(WIDTH).for_each(|weight| *weight = 0.0);
    let model = network(&[first, weights(1), weights(2), weights(3)]);
    let samples = samples(|values| values[0] *= 100.0);
    let proposal = search(&model, &samples, &to(28.0));
    let found = improved(&proposal);
    assert_eq!(found, [("dense_0", Precision::Int16x8)], "{proposal}");
    let [before, after] = [proposal.int8, proposal.proposed].map(|outcome| outcome.snr_db.unwrap());
    assert!(before < 15.0 && after > 28.0, "{proposal}");

    // The recipe gives what was promised, on the quantizer's own account.
    let calibration = Calibration::run(&model, &samples.0, |_| ()).unwrap();
    let quantizer = Quantizer::new(Scheme::Int8).recipe(proposal.recipe.clone());
    let (quantized, report) = quantizer.quantize(&model, &calibration).unwrap();
    let compared = compare(&model, &quantized, &Calibration::portable(), samples.1.iter(), |_| ()).unwrap();
    let output = compared.layers.iter().find(|layer| layer.is_output).unwrap();
    // The comparison looks at the integers, the search at the floats that are made of them.
    assert!((output.measures.snr_db.unwrap() - after).abs() < 1e-3);
    assert_eq!(report.constant_bytes_after, proposal.proposed.constant_bytes);
}

#[test]
fn the_same_search_gives_the_same_proposal() {
    let model = network(&[weights(0), weights_of_two_sizes(1), weights(2)]);
    let samples = samples(|_| ());
    let goal = to(30.0);
    assert_eq!(search(&model, &samples, &goal), search(&model, &samples, &goal));
}

#[test]
fn budgets_are_kept_and_missed_targets_are_said() {
    let model = network(&[weights(0), weights(1), weights(2)]);
    let samples = samples(|_| ());
    let free = search(&model, &samples, &to(50.0));
    assert!(free.is_reached && free.proposed.time > 1.0, "{free}");
    let bounded = search(&model, &samples, &to(50.0).at_most(1.0));
    assert!(!bounded.is_reached && bounded.proposed == bounded.int8, "{bounded}");
    let bytes = free.int16x8.constant_bytes;
    let bounded = search(&model, &samples, &to(300.0).cost(Cost::Bytes).at_most(bytes as f64));
    assert!(!bounded.is_reached && bounded.proposed.constant_bytes <= bytes, "{bounded}");
    assert!(bounded.proposed.snr_db > bounded.int8.snr_db, "{bounded}");
    // Nothing is to be done.
    let modest = search(&model, &samples, &to(10.0));
    assert!(modest.is_reached && improved(&modest).is_empty(), "{modest}");
}

#[test]
fn where_all_has_to_be_integer_no_layer_is_proposed_to_be_float() {
    let model = network(&[weights(0), weights_of_two_sizes(1)]);
    let samples = samples(|_| ());
    let goal = Search::new(Quantizer::new(Scheme::Int8).integer_only(true), 200.0);
    let proposal = search(&model, &samples, &goal);
    assert!(!proposal.is_reached && proposal.proposed.snr_db >= proposal.int16x8.snr_db, "{proposal}");
    assert!(proposal.layers.iter().all(|layer| layer.precision != Precision::Float32), "{proposal}");
}

#[test]
fn a_measure_of_ones_own_decides() {
    let model = network(&[weights(0), weights(1), weights(2)]);
    let (seen, fresh) = samples(|_| ());
    let calibration = Calibration::run(&model, &seen, |_| ()).unwrap();
    let moments = SecondMoments::run(&model, &Calibration::portable(), &seen, |_| ()).unwrap();
    let quantizer = Quantizer::new(Scheme::Int8).weight_rounding(WeightRounding::Gptq);
    // The first sample's first number alone.
    let measure = |floats: &[Vec<Vec<f32>>], found: &[Vec<Vec<f32>>]| {
        assert_eq!((floats.len(), found.len()), (fresh.len(), fresh.len()));
        -20.0 * f64::from((floats[0][0][0] - found[0][0][0]).abs()).log10()
    };
    let search = |least: f64| {
        let search = Search::new(quantizer.clone(), least);
        search.run_measured(&model, &calibration, &moments, fresh.iter(), measure, |_, _| ()).unwrap()
    };
    let modest = search(0.0);
    assert!(modest.is_reached && improved(&modest).is_empty(), "{modest}");
    let least = modest.int8.snr_db.unwrap() + 10.0;
    let proposal = search(least);
    assert!(proposal.is_reached && proposal.proposed.snr_db.unwrap() >= least, "{proposal}");
    assert!(!improved(&proposal).is_empty(), "{proposal}");
}

#[test]
fn a_device_that_is_faster_in_16_bits_gets_them() {
    let model = network(&[weights(0), weights(1)]);
    let samples = samples(|_| ());
    let proposal = search(&model, &samples, &to(10.0).pace([1.0, 0.5, 2.0]));
    assert!(improved(&proposal).iter().all(|(_, precision)| *precision == Precision::Int16x8));
    assert_eq!(improved(&proposal).len(), proposal.layers.len());
    assert_eq!(proposal.proposed, proposal.int16x8);
}

#[test]
fn what_cannot_be_searched_is_refused() {
    let model = network(&[weights(0)]);
    let samples = samples(|_| ());
    let calibration = Calibration::run(&model, &samples.0, |_| ()).unwrap();
    let run = |search: &Search, model: &Model<'_>, samples: &Samples| {
        search.run(model, &calibration, &Calibration::portable(), samples.iter(), |_, _| ())
    };
    assert_eq!(run(&to(30.0), &model, &Vec::new()), Err(Error::NoSamples));
    let weights_alone = Search::new(Quantizer::new(Scheme::Float16), 30.0);
    assert_eq!(
        run(&weights_alone, &model, &samples.1),
        Err(Error::RecipeOfWeights { scheme: Scheme::Float16 })
    );
    assert!(matches!(run(&to(30.0), &model, &vec![vec![vec![1.0]]]), Err(Error::Sample { sample: 0, .. })));
    let mut deaf = model.clone();
    deaf.graphs[0].outputs = Vec::<TensorId>::new();
    assert!(run(&to(30.0), &deaf, &samples.1).is_err());
}
