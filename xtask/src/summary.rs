//! What a run leaves for machines; `docs/tutorial.md` documents the fields, and they stay.

pub use burnlite_mnist::CurvePoint;
use burnlite_mnist::Source;
use serde::{Deserialize, Serialize};

/// `training.json`: how the network was trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// `mnist` or `digits` (generated).
    pub dataset: Source,
    /// Seed of the weights and of the order of the images.
    pub seed: u64,
    /// Passes over the training images.
    pub epochs: usize,
    /// Burn backend.
    pub backend: String,
    /// Seconds of training, without loading the digits.
    pub train_seconds: f64,
    /// Accuracy on the test images, computed by Burn: 0 to 1.
    pub test_accuracy: f64,
    /// The training's course.
    pub curve: Vec<CurvePoint>,
}

/// `summary.json`: the whole tutorial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// `mnist` or `digits` (generated).
    pub dataset: Source,
    /// Seed of the weights and of the order of the images.
    pub seed: u64,
    /// Passes over the training images.
    pub epochs: usize,
    /// Burn backend.
    pub backend: String,
    /// Seconds of training, without loading the digits.
    pub train_seconds: f64,
    /// Seconds of everything, from the start of the command.
    pub total_seconds: f64,
    /// The models, the float one first.
    pub models: Vec<ModelSummary>,
}

/// `evaluation.json`: the models on the test images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// `mnist` or `digits` (generated).
    pub dataset: Source,
    /// The models, the float one first.
    pub models: Vec<ModelSummary>,
    /// The first image, and every one on which the float and a 16x8 model disagree.
    pub images: Vec<ImageAnswers>,
}

/// What the models see on a test image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageAnswers {
    /// The image's index.
    pub index: usize,
    /// Its true digit.
    pub digit: u8,
    /// The digit that each model sees, in the order of the models.
    pub answers: Vec<u8>,
}

/// One model on the test images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelSummary {
    /// `float32`, `16x8`, `16x8-int16-io`, `int8` or `int8-int8-io`.
    pub name: String,
    /// The model's file.
    pub path: String,
    /// Bytes of the file.
    pub bytes: usize,
    /// Share of test images whose largest logit is their label's: 0 to 1.
    pub accuracy: f64,
    /// Share of test images on which the float model gives the same answer: 0 to 1.
    pub agreement: f64,
    /// Median microseconds of running the model on one image, on one thread.
    pub microseconds_per_image: f64,
    /// How many images of each digit (row) the model takes for each digit (column).
    pub confusion: Vec<Vec<usize>>,
    /// The layers beside those of the float model, on the first 100 test images; none for the float model itself.
    pub layers: Vec<LayerSummary>,
}

/// A layer of an integer model beside that of the float model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerSummary {
    /// The name of the tensor that the layer computes, in the float model.
    pub name: String,
    /// Signal-to-noise ratio of its values in dB; none where they are equal.
    pub snr_db: Option<f64>,
    /// Signal-to-noise ratio of its weights in dB; none where it has no weights, or no error.
    pub weight_snr_db: Option<f64>,
}
