//! What can go wrong.

/// Why an application has no model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is nothing to train on.
    #[error("there are no samples to train on: ask for at least one")]
    NoSamples,
    /// The loss is not finite.
    #[error("the training of {application} diverged in step {step}: try another seed")]
    Diverged {
        /// The application's name.
        application: &'static str,
        /// The step, counted from 1.
        step: usize,
    },
    /// The network cannot be exported.
    #[error("the network cannot be exported")]
    Export(#[from] burnlite_export::Error),
    /// The exported model is not a model.
    #[error("the exported model is no model")]
    Model(#[from] burnlite_tflite::Error),
}
