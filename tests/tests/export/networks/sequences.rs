//! Networks on sequences and tokens.

use burn::module::Module;
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::nn::gru::{Gru, GruConfig};
use burn::nn::transformer::{TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput};
use burn::nn::{
    Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig, Lstm, LstmConfig,
    PaddingConfig1d,
};
use burn::tensor::activation::{gelu, relu, sigmoid, tanh};
use burn::tensor::{Device, Int, Tensor};

use super::Network;
use crate::case::{Case, numbers};

pub(super) fn networks() -> Vec<Network> {
    let network = |case: Case| Network { case, is_convolutional: false };
    vec![
        wavenet(),
        network(gru_classifier()),
        network(lstm_classifier()),
        network(transformer()),
        network(mixer()),
        network(text_classifier()),
        network(dense_autoencoder()),
    ]
}

fn linear(inputs: usize, outputs: usize) -> Linear {
    LinearConfig::new(inputs, outputs).init(&Device::flex())
}

#[derive(Module, Debug)]
struct WaveNet {
    filters: Vec<Conv1d>,
    gates: Vec<Conv1d>,
    skips: Vec<Conv1d>,
    head: Conv1d,
}

/// Dilated causal convolutions, each gated and added; the file's sequences are `[N, L, C]` as the permutation says.
fn wavenet() -> Network {
    let dilated = |dilation: usize| {
        Conv1dConfig::new(8, 8, 2)
            .with_dilation(dilation)
            .with_padding(PaddingConfig1d::Explicit(dilation, 0))
            .init(&Device::flex())
    };
    let pointwise = |outputs: usize| Conv1dConfig::new(8, outputs, 1).init(&Device::flex());
    let module = WaveNet {
        filters: [1, 2, 4, 8].map(dilated).into(),
        gates: [1, 2, 4, 8].map(dilated).into(),
        skips: (0..4).map(|_| pointwise(8)).collect(),
        head: pointwise(2),
    };
    let case = Case::new("wavenet", module, numbers([3, 40, 8]), |module: &WaveNet, x: Tensor<3>| {
        let mut x = x.swap_dims(1, 2);
        let mut total = Tensor::zeros_like(&x);
        for ((filter, gate), skip) in module.filters.iter().zip(&module.gates).zip(&module.skips) {
            let y = tanh(filter.forward(x.clone())) * sigmoid(gate.forward(x.clone()));
            let y = skip.forward(y);
            total = total + y.clone();
            x = x + y;
        }
        tanh(module.head.forward(relu(total))).swap_dims(1, 2)
    });
    Network { case, is_convolutional: true }
}

fn gru_classifier() -> Case {
    let module = (GruConfig::new(5, 8, true).init(&Device::flex()), linear(8, 3));
    Case::new("gru_classifier", module, numbers([3, 6, 5]), |(gru, dense): &(Gru, Linear), x: Tensor<3>| {
        let states = gru.forward(x, None);
        dense.forward(states.narrow(1, 5, 1).squeeze_dim::<2>(1))
    })
}

fn lstm_classifier() -> Case {
    let module = (LstmConfig::new(5, 8, true).init(&Device::flex()), linear(8, 3));
    Case::new(
        "lstm_classifier",
        module,
        numbers([3, 6, 5]),
        |(lstm, dense): &(Lstm, Linear), x: Tensor<3>| {
            let (_, state) = lstm.forward(x, None);
            dense.forward(state.hidden)
        },
    )
}

fn transformer() -> Case {
    let encoder = TransformerEncoderConfig::new(16, 32, 4, 2).init(&Device::flex());
    Case::new("transformer", encoder, numbers([3, 6, 16]), |encoder: &TransformerEncoder, x: Tensor<3>| {
        encoder.forward(TransformerEncoderInput::new(x))
    })
}

#[derive(Module, Debug)]
struct Mixer {
    norms: Vec<LayerNorm>,
    tokens: Vec<Linear>,
    channels: Vec<Linear>,
}

fn mixer() -> Case {
    let module = Mixer {
        norms: (0..2).map(|_| LayerNormConfig::new(8).init(&Device::flex())).collect(),
        tokens: vec![linear(6, 12), linear(12, 6)],
        channels: vec![linear(8, 16), linear(16, 8)],
    };
    Case::new("mixer", module, numbers([3, 6, 8]), |module: &Mixer, x: Tensor<3>| {
        let y = module.norms[0].forward(x.clone()).swap_dims(1, 2);
        let x = x + module.tokens[1].forward(gelu(module.tokens[0].forward(y))).swap_dims(1, 2);
        let y = module.norms[1].forward(x.clone());
        x + module.channels[1].forward(gelu(module.channels[0].forward(y)))
    })
}

fn text_classifier() -> Case {
    let module = (EmbeddingConfig::new(20, 8).init(&Device::flex()), linear(8, 4));
    let tokens: Tensor<2, Int> = (numbers([3, 9]) * 9.0 + 10.0).int();
    Case::new("text_classifier", module, tokens, |(table, dense): &(Embedding, Linear), tokens| {
        let words: Tensor<3> = table.forward(tokens);
        dense.forward(relu(words).mean_dim(1).squeeze_dim::<2>(1))
    })
}

fn dense_autoencoder() -> Case {
    let module = vec![linear(40, 24), linear(24, 8), linear(8, 24), linear(24, 40)];
    Case::new("dense_autoencoder", module, numbers([3, 40]), |layers: &Vec<Linear>, x: Tensor<2>| {
        let (last, others) = layers.split_last().unwrap_or_else(|| panic!("four layers"));
        last.forward(others.iter().fold(x, |x, layer| relu(layer.forward(x))))
    })
}
