use std::time::Instant;

use anyhow::{Context, Result};
use burn::tensor::Tensor;
use burnlite_export::Exporter;
use burnlite_mnist::{Backend, Network, SIDE};
use burnlite_tflite::Model;

use crate::files::{EVALUATIONS, Folder};
use crate::models::ModelKind;
use crate::screen::{Screen, seconds};

/// Exports the trained network; writes `mnist_float32.tflite`.
///
/// # Errors
/// Where the weights are missing or cannot be exported, and the file system's.
pub fn export(folder: &Folder, screen: &Screen) -> Result<()> {
    screen.heading("Export to TensorFlow Lite");
    let start = Instant::now();
    let training = folder.training()?;
    let advice = "run `cargo xtask train` first";
    let network = Network::load(folder.network(), &Backend::Flex.device()?).context(advice)?;
    let mut model = exported(&network)?;
    model.description = format!("Burnlite's tutorial network, trained on {}", training.dataset);
    folder.forget(EVALUATIONS)?;
    let models = [(ModelKind::FLOAT32, model)];
    folder.write_models(&models)?;
    let [(_, model)] = &models;
    for operator in &model.main()?.operators {
        let shapes: Vec<_> = operator.outputs.iter().filter_map(|&id| model.graphs[0].tensor(id)).collect();
        let shape = shapes.first().map(|tensor| tensor.shape.as_slice());
        screen.line(format!("  {:16} {:?}", operator.op.name(), shape.unwrap_or_default()));
    }
    let path = folder.join(&ModelKind::FLOAT32.file_name());
    let (source, time) = (training.dataset, seconds(start.elapsed()));
    screen.line(format!("  trained on {source}: {} ({time})", path.display()));
    Ok(())
}

/// The network as a float model for any batch, with the input `images` `[N, 28, 28]` and the output `logits` `[N, 10]`.
///
/// # Errors
/// The exporter's.
pub fn exported(network: &Network) -> Result<Model<'static>> {
    let sample = Tensor::<3>::zeros([1, SIDE, SIDE], &network.device());
    let exporter = Exporter::new().input("images").output("logits");
    Ok(exporter.export(network, sample, Network::forward)?)
}
