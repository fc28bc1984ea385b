//! The networks, their files, and what is compared.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::summary::Engine;

/// A network that is timed.
#[derive(Debug, PartialEq)]
pub struct Network {
    /// Its name on the command line and in files.
    pub name: &'static str,
    /// What it is.
    pub description: &'static str,
    /// What there are files in.
    pub(super) schemes: &'static [Scheme],
    /// What is compared.
    pub(super) goals: &'static [Goal],
}

/// How the numbers of a file are represented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Scheme {
    /// 32-bit floating point.
    #[serde(rename = "float32")]
    Float32,
    /// 8-bit activations and weights.
    #[serde(rename = "int8")]
    Int8,
    /// 16-bit activations, 8-bit weights, 64-bit biases.
    #[serde(rename = "16x8")]
    Int16x8,
    /// The same with 32-bit biases: what LiteRT has fast kernels for.
    #[serde(rename = "16x8-bias32")]
    Int16x8Bias32,
}

/// Our time in one scheme beside a rival's in the same or another, and how much the faster we want to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Goal {
    pub(super) ours: Scheme,
    pub(super) rival: Engine,
    pub(super) theirs: Scheme,
    pub(super) at_least: Option<f64>,
}

/// Where the files of the models are.
#[derive(Debug, Clone)]
pub(super) struct Files {
    /// What `cargo xtask tutorial` wrote.
    pub(super) tutorial: PathBuf,
    /// What `tests/fixtures/generate.py bench` wrote.
    pub(super) models: PathBuf,
}

const MODES: &[Scheme] = &[Scheme::Float32, Scheme::Int8, Scheme::Int16x8];
/// LiteRT multiplies 16x8 fast only where biases have 32 bits, and then knows no depthwise convolution.
const WITH_BIAS32: &[Scheme] = &[Scheme::Float32, Scheme::Int8, Scheme::Int16x8, Scheme::Int16x8Bias32];

const fn goal(ours: Scheme, theirs: Scheme, at_least: f64) -> Goal {
    Goal { ours, rival: Engine::LiteRt, theirs, at_least: Some(at_least) }
}

const fn beside(rival: Engine, scheme: Scheme) -> Goal {
    Goal { ours: scheme, rival, theirs: scheme, at_least: None }
}

const TUTORIAL_GOALS: &[Goal] = &[
    beside(Engine::LiteRt, Scheme::Float32),
    goal(Scheme::Int8, Scheme::Int8, 3.0),
    goal(Scheme::Int16x8, Scheme::Int16x8, 80.0),
    goal(Scheme::Int16x8, Scheme::Int16x8Bias32, 12.0),
    goal(Scheme::Int16x8, Scheme::Float32, 3.0),
    beside(Engine::Tract, Scheme::Float32),
    beside(Engine::Tract, Scheme::Int8),
];

const GOALS: &[Goal] = &[
    goal(Scheme::Float32, Scheme::Float32, 0.7),
    goal(Scheme::Int8, Scheme::Int8, 1.0),
    goal(Scheme::Int16x8, Scheme::Int16x8, 20.0),
    goal(Scheme::Int16x8, Scheme::Int16x8Bias32, 1.5),
    goal(Scheme::Int16x8, Scheme::Float32, 1.3),
    beside(Engine::Tract, Scheme::Float32),
    beside(Engine::Tract, Scheme::Int8),
];

const fn network(name: &'static str, description: &'static str, schemes: &'static [Scheme]) -> Network {
    Network { name, description, schemes, goals: GOALS }
}

/// All networks; `tests/fixtures/bench_networks.py` names the same.
pub const NETWORKS: &[Network] = &[
    Network {
        name: "tutorial",
        description: "the tutorial's: 28x28, convolution 12@3x3, max pooling, dense 10",
        schemes: WITH_BIAS32,
        goals: TUTORIAL_GOALS,
    },
    network("resnet8", "ResNet-8 on 32x32x3, as in MLPerf Tiny", WITH_BIAS32),
    network("ds_cnn", "separable convolutions on 49x10x1, as in MLPerf Tiny", MODES),
    network("mobilenet_v1", "MobileNetV1 0.25 on 96x96x3, as in MLPerf Tiny", MODES),
    network("autoencoder", "dense 640-128-128-128-128-8-128-128-128-128-640, as in MLPerf Tiny", WITH_BIAS32),
    network("denoiser", "a U-Net of 8, 16 and 24 channels on 32x32x1", WITH_BIAS32),
    network("super_resolution", "24x24x3 to 48x48x3", WITH_BIAS32),
];

/// A model that does next to nothing: its time is what every time contains besides the network.
pub(super) const SMALLEST: Network = Network {
    name: "smallest",
    description: "one RELU on 20 numbers",
    schemes: &[Scheme::Float32],
    goals: &[],
};

impl Network {
    /// The network with the given name.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        NETWORKS.iter().find(|network| network.name == name)
    }
}

impl Scheme {
    /// Whether an engine is to run it: 16x8 with 32-bit biases is timed only as LiteRT's fast path, a rival of ours with 64.
    pub(super) fn is_for(self, engine: Engine) -> bool {
        self != Self::Int16x8Bias32 || engine == Engine::LiteRt
    }

    /// The end of the name of a generated file.
    fn mode(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Int8 => "int8",
            Self::Int16x8 => "int16x8",
            Self::Int16x8Bias32 => "int16x8_bias32",
        }
    }

    /// The tutorial's file, with integers for inputs and outputs where the network computes with integers.
    fn tutorial_file(self) -> Option<&'static str> {
        match self {
            Self::Float32 => Some("mnist_float32.tflite"),
            Self::Int8 => Some("mnist_int8-int8-io.tflite"),
            Self::Int16x8 => Some("mnist_16x8-int16-io.tflite"),
            Self::Int16x8Bias32 => None,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Float32 => "float32",
            Self::Int8 => "int8",
            Self::Int16x8 => "16x8",
            Self::Int16x8Bias32 => "16x8, int32 bias",
        })
    }
}

impl Files {
    /// The file of a network in a scheme, for single samples.
    pub(super) fn path(&self, network: &Network, scheme: Scheme) -> PathBuf {
        match scheme.tutorial_file() {
            Some(file) if network.name == "tutorial" => self.tutorial.join(file),
            _ => self.models.join(format!("{}_{}.tflite", network.name, scheme.mode())),
        }
    }

    /// The command that makes a file.
    pub(super) fn maker(&self, path: &Path) -> &'static str {
        if path.starts_with(&self.tutorial) {
            "cargo xtask tutorial"
        } else {
            "python tests/fixtures/generate.py bench"
        }
    }
}
