//! The tutorial's five models.

use anyhow::{Context, Result};
use burnlite_mnist::{Dataset, PIXELS};
use burnlite_quantize::{Calibration, IoType, Quantizer, Scheme};
use burnlite_tflite::Model;

/// Training images over which the float model is calibrated, as in the notebook.
pub(crate) const CALIBRATION_IMAGES: usize = 100;

/// One of the tutorial's models: the float one, or how it is quantized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelKind {
    /// Its name in reports and files.
    pub name: &'static str,
    scheme: Option<(Scheme, IoType)>,
}

impl ModelKind {
    /// The float model.
    pub const FLOAT32: Self = Self { name: "float32", scheme: None };

    /// All five, the float one first.
    pub const ALL: [Self; 5] = [
        Self::FLOAT32,
        Self { name: "16x8", scheme: Some((Scheme::Int16x8, IoType::Float32)) },
        Self { name: "16x8-int16-io", scheme: Some((Scheme::Int16x8, IoType::Integer)) },
        Self { name: "int8", scheme: Some((Scheme::Int8, IoType::Float32)) },
        Self { name: "int8-int8-io", scheme: Some((Scheme::Int8, IoType::Integer)) },
    ];

    /// Whether this is the float model.
    pub fn is_float(&self) -> bool {
        self.scheme.is_none()
    }

    /// Whether its activations have 16 bits.
    pub fn is_16x8(&self) -> bool {
        matches!(self.scheme, Some((Scheme::Int16x8, _)))
    }

    /// The name of its file.
    pub fn file_name(&self) -> String {
        format!("mnist_{}.tflite", self.name)
    }
}

/// The float model's calibration over the first images of `train`, one at a time, with the distributions of its values.
///
/// # Errors
/// The quantizer's.
pub(crate) fn calibrated(
    model: &Model<'_>,
    train: &Dataset,
    progress: impl FnMut(usize),
) -> Result<Calibration> {
    let samples = (0..train.len().min(CALIBRATION_IMAGES)).map(|index| [train.normalized(index)]);
    let mut calibration = Calibration::with_distributions(model)?;
    calibration.extend::<[[f32; PIXELS]; 1]>(model, &Calibration::portable(), samples, progress)?;
    Ok(calibration)
}

/// The integer models of a float model.
///
/// They have the quantizer's own numbers, which err less than TensorFlow's.
///
/// # Errors
/// The quantizer's, with the model's name.
pub(crate) fn quantized<'a>(
    model: &Model<'a>,
    calibration: &Calibration,
) -> Result<Vec<(ModelKind, Model<'a>)>> {
    let quantize = |kind: ModelKind| {
        let (scheme, io_type) = kind.scheme?;
        let quantizer = Quantizer::new(scheme).input_type(io_type).output_type(io_type);
        let result =
            quantizer.quantize(model, calibration).with_context(|| format!("converting to {}", kind.name));
        Some(result.map(|(quantized, _)| (kind, quantized)))
    };
    ModelKind::ALL.into_iter().filter_map(quantize).collect()
}
