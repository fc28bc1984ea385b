//! LSTMs as one operator, against Burn and against their steps.

use burn::nn::{BiLstm, BiLstmConfig, Linear, LinearConfig, Lstm, LstmConfig};
use burn::tensor::{Device, Tensor};
use burnlite_export::Exporter;
use burnlite_quantize::{Calibration, Quantizer, Scheme};
use burnlite_runtime::InterpreterOptions;
use burnlite_tests::{Array, litert, run};
use burnlite_tflite::Model;

use crate::agree;
use crate::case::{Case, Exported, Setup, numbered, numbers};
use crate::networks::networks;

const FUSED: &str = "UNIDIRECTIONAL_SEQUENCE_LSTM";

/// Layers that fit.
pub(crate) fn cases() -> Vec<Case> {
    let device = Device::flex();
    let dense = |inputs| LinearConfig::new(inputs, 3).init(&device);
    let sequences = || numbers([3, 6, 5]);
    let from_the_end = LstmConfig::new(5, 8, true).with_batch_first(false).with_reverse(true);
    vec![
        Case::with(
            Setup::Fused,
            "fused_lstm_classifier",
            (LstmConfig::new(5, 8, true).init(&device), dense(8)),
            sequences(),
            |(lstm, dense): &(Lstm, Linear), x: Tensor<3>| dense.forward(lstm.forward(x, None).1.hidden),
        ),
        Case::with(
            Setup::Fused,
            "fused_bidirectional_lstm",
            (BiLstmConfig::new(5, 8, true).init(&device), dense(16)),
            sequences(),
            |(lstm, dense): &(BiLstm, Linear), x: Tensor<3>| dense.forward(lstm.forward(x, None).0),
        ),
        Case::with(
            Setup::Fused,
            "fused_layers_with_bounded_cells",
            [(); 2].map(|()| LstmConfig::new(5, 5, false).with_clip(Some(0.2)).init(&device)),
            sequences(),
            |layers: &[Lstm; 2], x: Tensor<3>| layers.iter().fold(x, |x, lstm| lstm.forward(x, None).0),
        ),
        Case::with(
            Setup::Fused,
            "fused_lstm_from_the_end_with_the_batch_second",
            from_the_end.init(&device),
            sequences().swap_dims(0, 1),
            |lstm: &Lstm, x: Tensor<3>| {
                let (outputs, state) = lstm.forward(x, None);
                outputs + state.hidden.unsqueeze_dim(0)
            },
        ),
    ]
}

/// The operators of a file, by name.
fn operators(exported: &Exported) -> Vec<String> {
    let model = Model::from_bytes(&exported.bytes).unwrap();
    model.graphs[0].operators.iter().map(|operator| operator.op.name().into()).collect()
}

/// The classifier as it is by default, and fused.
fn classifiers() -> [Exported; 2] {
    let steps = networks().into_iter().find(|network| network.case.name == "lstm_classifier").unwrap();
    [steps.case.export(), cases()[0].export()]
}

#[test]
fn a_layer_is_one_operator_only_if_asked_for() {
    let [steps, fused] = classifiers();
    assert_eq!(operators(&fused), [FUSED, "STRIDED_SLICE", "RESHAPE", "FULLY_CONNECTED"]);
    assert!(!operators(&steps).contains(&FUSED.into()));
    assert!(fused.bytes.len() < steps.bytes.len());
}

#[test]
fn a_fused_layer_goes_on_where_the_last_run_ended() {
    let lstm = numbered(LstmConfig::new(5, 8, true).init(&Device::flex()));
    let forward = |lstm: &Lstm, x| lstm.forward(x, None).0;
    let sequence: Tensor<3> = numbers([1, 12, 5]);
    let half = sequence.clone().narrow(1, 0, 6);
    let model = Exporter::new().fuse_lstm(true).export(&lstm, half, forward).unwrap();

    let halves = |sequence: Tensor<3>| {
        let [batch, length, width] = sequence.dims();
        [Array::Float32(vec![2, batch, length / 2, width], sequence.try_into_vec_as().unwrap())]
    };
    let expected = halves(forward(&lstm, sequence.clone()));
    let inputs = halves(sequence);
    let found = run(&model, &InterpreterOptions::default(), &inputs).unwrap();
    agree(&found, &expected).unwrap();
    let Some(litert) = litert() else { return };
    agree(&litert.run("default", &model.to_bytes().unwrap(), &inputs), &expected).unwrap();
}

#[test]
fn the_quantizer_leaves_the_operator_float_and_none_of_the_steps() {
    for (exported, expected) in classifiers().iter().zip([&[][..], &[FUSED]]) {
        let model = Model::from_bytes(&exported.bytes).unwrap();
        let Array::Float32(_, sample) = &exported.samples[0].inputs[0] else { panic!("samples are floats") };
        let calibration = Calibration::run(&model, [[sample.clone()]], |_| ()).unwrap();
        for scheme in [Scheme::Int16x8, Scheme::Int8] {
            let (_, report) = Quantizer::new(scheme).quantize(&model, &calibration).unwrap();
            let left: Vec<&str> = report.float_operators.iter().map(|operator| &*operator.name).collect();
            assert_eq!(left, expected, "{scheme}");
        }
    }
}
