//! A sequence through an LSTM, all steps at once.

use burn::backend::capture::TensorId as CapturedId;
use burnlite_tflite::{Activation, ElementType, Op, TensorId, UnidirectionalSequenceLstmOptions};

use super::border::reversed;
use super::reduce::place;
use super::slice::narrowed;
use super::window::integer;
use crate::builder::{Builder, Stored};
use crate::error::Refusal;
use crate::layout::Layout;
use crate::lstm::{Gate, Lstm};
use crate::shape::{Extent, Shape};

/// The order of a sequence `[N, L, I]` that Burn takes with the steps first.
const TIME_MAJOR: [usize; 3] = [1, 0, 2];

/// An LSTM: UNIDIRECTIONAL_SEQUENCE_LSTM, between two REVERSE_V2 where it begins at the end.
pub(super) fn lower(builder: &mut Builder<'_>, layer: &Lstm) -> Result<(), Refusal> {
    let x = builder.stored(&layer.sequence)?;
    let is_time_major = x.layout.natural_order(builder.shape(x.tensor)) == TIME_MAJOR;
    let order = if is_time_major { TIME_MAJOR } else { [0, 1, 2] };
    let mut sequence = builder.arrange(&x, &x.layout.groups(&order));
    if layer.is_reversed {
        sequence = reversed(builder, sequence, place(&order, 1));
    }
    let mut shape = x.layout.shape();
    let cells = layer.gates[0].bias.shape[0];
    shape.0[2] = Extent::fixed(cells);
    let state = Shape(vec![shape.0[0], shape.0[2]]);

    let mut inputs = vec![Some(sequence)];
    for matrix in [|gate: &Gate| Some(gate.weights), |gate: &Gate| gate.recurrent] {
        for gate in &layer.gates {
            inputs.push(matrix(gate).map(|matrix| weights(builder, matrix)).transpose()?);
        }
    }
    // No peepholes.
    inputs.extend([None; 3]);
    inputs.extend(layer.gates.iter().map(|gate| Some(builder.add_constant(gate.bias.clone(), "bias"))));
    // No projection.
    inputs.extend([None; 2]);
    inputs.extend(["output_state", "cell_state"].map(|name| Some(builder.add_variable(name, state.clone()))));
    // No normalization.
    inputs.extend([None; 4]);

    let options = UnidirectionalSequenceLstmOptions {
        activation: Activation::Tanh,
        cell_clip: layer.clip,
        time_major: is_time_major,
        ..UnidirectionalSequenceLstmOptions::default()
    };
    let op = Op::UnidirectionalSequenceLstm(options);
    let outputs = builder.stored_result(op, &inputs, ElementType::Float32, &shape, &order);
    bind(builder, layer, outputs, &order)
}

/// Says where the layer's outputs are found in those of the operator.
fn bind(builder: &mut Builder<'_>, layer: &Lstm, outputs: Stored, order: &[usize]) -> Result<(), Refusal> {
    for (step, output) in &layer.outputs {
        let step = integer(*step)?;
        let tensor = narrowed(builder, &outputs, 1, (step, step + 1), order);
        let mut shape = outputs.layout.shape();
        shape.0[1] = Extent::ONE;
        let layout = Layout::stored(&shape, order).reshaped(builder.program.shape(output.id));
        let layout = layout.ok_or_else(|| Refusal::new("its outputs cannot be told apart"))?;
        builder.bind(output, Stored { tensor, layout }.into())?;
    }
    if let Some(collected) = &layer.collected {
        let mut outputs = outputs;
        if layer.is_reversed {
            outputs.tensor = reversed(builder, outputs.tensor, place(order, 1));
        }
        builder.bind(collected, outputs.into())?;
    }
    Ok(())
}

/// A parameter `[I, H]` as the operator takes it, `[H, I]`.
fn weights(builder: &mut Builder<'_>, parameter: CapturedId) -> Result<TensorId, Refusal> {
    let weights =
        builder.program.constant(parameter).ok_or_else(|| Refusal::new("its weights are computed"))??;
    Ok(builder.add_constant(weights.permuted(&[1, 0]), "weight"))
}

#[cfg(test)]
mod tests {
    use burn::nn::{BiLstm, BiLstmConfig, Lstm, LstmConfig, LstmState};
    use burn::tensor::{Device, Tensor};

    use crate::Exporter;
    use crate::lower::testing::{numbers, operators_of};

    const FUSED: &str = "UNIDIRECTIONAL_SEQUENCE_LSTM";

    fn operators<const O: usize>(
        config: &LstmConfig,
        forward: impl Fn(&Lstm, Tensor<3>) -> Tensor<O>,
    ) -> Vec<String> {
        let exporter = Exporter::new().fuse_lstm(true);
        operators_of(&exporter, &config.init(&Device::flex()), [numbers([3, 6, 5])], forward)
    }

    fn outputs(lstm: &Lstm, x: Tensor<3>) -> Tensor<3> {
        lstm.forward(x, None).0
    }

    #[test]
    fn a_layer_is_one_operator_with_or_without_bias_and_clip() {
        for bias in [true, false] {
            assert_eq!(operators(&LstmConfig::new(5, 4, bias), outputs), [FUSED]);
        }
        assert_eq!(operators(&LstmConfig::new(5, 4, true).with_clip(Some(0.1)), outputs), [FUSED]);
    }

    #[test]
    fn steps_before_the_batch_are_not_moved() {
        assert_eq!(operators(&LstmConfig::new(5, 4, true).with_batch_first(false), outputs), [FUSED]);
    }

    #[test]
    fn the_last_output_alone_is_a_slice_of_all() {
        for reverse in [false, true] {
            let config = LstmConfig::new(5, 4, true).with_reverse(reverse);
            let found = operators(&config, |lstm, x| lstm.forward(x, None).1.hidden);
            let found: Vec<&str> =
                found.iter().map(String::as_str).filter(|name| *name != "REVERSE_V2").collect();
            assert_eq!(found, [FUSED, "STRIDED_SLICE", "RESHAPE"]);
        }
    }

    #[test]
    fn outputs_may_be_read_together_and_one_by_one() {
        let found = operators(&LstmConfig::new(5, 4, true), |lstm, x| {
            let (outputs, state) = lstm.forward(x, None);
            outputs + state.hidden.unsqueeze_dim(1)
        });
        assert_eq!(found.iter().filter(|name| *name == FUSED).count(), 1, "{found:?}");
        assert!(!found.contains(&"TANH".into()), "{found:?}");
    }

    #[test]
    fn both_directions_are_an_operator_each() {
        let module = BiLstmConfig::new(5, 4, true).init(&Device::flex());
        let found = operators_of(
            &Exporter::new().fuse_lstm(true),
            &module,
            [numbers([2, 6, 5])],
            |module: &BiLstm, x| module.forward(x, None).0,
        );
        assert_eq!(found, [FUSED, "REVERSE_V2", FUSED, "REVERSE_V2", "CONCATENATION"]);
    }

    #[test]
    fn layers_that_follow_one_another_are_an_operator_each() {
        let found = operators(&LstmConfig::new(5, 5, true), |lstm, x| outputs(lstm, outputs(lstm, x)));
        assert_eq!(found, [FUSED; 2]);
    }

    #[test]
    fn other_layers_stay_steps() {
        let config = || LstmConfig::new(5, 4, true);
        let from_state = |lstm: &Lstm, x: Tensor<3>| {
            let ones = Tensor::ones([x.dims()[0], 4], &x.device());
            lstm.forward(x, Some(LstmState::new(ones.clone(), ones))).0
        };
        let others = [
            operators(&config().with_input_forget(true), outputs),
            operators(&config(), from_state),
            operators(&config(), |lstm, x| lstm.forward(x, None).1.cell),
            operators(&config(), |lstm, x| outputs(lstm, x.narrow(1, 0, 1))),
            operators(&config(), |lstm, x| {
                let (_, state) = lstm.forward(x.clone().narrow(1, 0, 3), None);
                lstm.forward(x.narrow(1, 3, 3), Some(state)).0
            }),
        ];
        for found in others {
            assert!(!found.contains(&FUSED.into()) && found.contains(&"FULLY_CONNECTED".into()), "{found:?}");
        }
    }
}
