//! What a search found.

use core::fmt;

use burnlite_tflite::Graph;
use serde::Serialize;

use super::layers::Layer;
use crate::{Precision, Recipe};

/// The recipe that a [search](crate::Search) found, and how it came to it. [`Display`](fmt::Display) gives tables.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Proposal {
    /// The recipe. Its first rule makes everything int8; the others are of single operators.
    pub recipe: Recipe,
    /// The layers, in the order in which they are computed.
    pub layers: Vec<LayerSensitivity>,
    /// The model with int8 everywhere.
    pub int8: Outcome,
    /// The model with 16x8 everywhere.
    pub int16x8: Outcome,
    /// The model with floats everywhere.
    pub float32: Outcome,
    /// The model by the recipe.
    pub proposed: Outcome,
    /// Whether its outputs err no more than they may.
    pub is_reached: bool,
}

/// How sensitive a layer is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LayerSensitivity {
    /// The name of the first tensor that its first operator computes.
    pub name: String,
    /// The kind of its first operator.
    pub kind: String,
    /// The indices of its operators in the float model.
    pub operators: Vec<usize>,
    /// SNR of the outputs in dB where this layer alone is int8; `None` where they are the same.
    pub int8_snr_db: Option<f64>,
    /// SNR of the outputs in dB where this layer alone is 16x8; `None` where they are the same.
    pub int16x8_snr_db: Option<f64>,
    /// The precision that it has in the recipe.
    pub precision: Precision,
}

/// What becomes of a model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Outcome {
    /// SNR of its worst output in dB; `None` where all are those of the float model.
    pub snr_db: Option<f64>,
    /// Bytes of all constants.
    pub constant_bytes: usize,
    /// Estimated time of a run, in that of int8 everywhere.
    pub time: f64,
}

impl Outcome {
    pub(super) fn snr(self) -> f64 {
        self.snr_db.unwrap_or(f64::INFINITY)
    }

    /// Power of the error in that of the outputs.
    pub(super) fn noise(self) -> f64 {
        10f64.powf(-self.snr() / 10.0)
    }

    pub(super) fn relative_to(self, time: f64) -> Self {
        Self { time: self.time / time, ..self }
    }
}

impl LayerSensitivity {
    pub(super) fn all(
        graph: &Graph<'_>,
        layers: &[Layer],
        sensitivities: &[[Outcome; 2]],
        precisions: &[Precision],
    ) -> Vec<Self> {
        let of_layer = |((layer, [int8, int16x8]), &precision): ((&Layer, &[Outcome; 2]), &Precision)| {
            let first = layer.operators.first().map(|&index| &graph.operators[index]);
            let result = first.and_then(|operator| operator.outputs.first());
            Self {
                name: result.map_or_else(String::new, |id| graph.tensors[id.index()].name.clone()),
                kind: first.map_or_else(String::new, |operator| operator.op.name().into()),
                operators: layer.operators.clone(),
                int8_snr_db: int8.snr_db,
                int16x8_snr_db: int16x8.snr_db,
                precision,
            }
        };
        layers.iter().zip(sensitivities).zip(precisions).map(of_layer).collect()
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "int8 dB  16x8 dB   recipe  layer")?;
        self.layers.iter().try_for_each(|layer| writeln!(formatter, "{layer}"))?;
        writeln!(formatter, "\n SNR dB     bytes    time  everywhere")?;
        let rows = [
            (&self.int8, "int8"),
            (&self.int16x8, "16x8"),
            (&self.float32, "float32"),
            (&self.proposed, "by the recipe"),
        ];
        rows.iter().try_for_each(|(outcome, name)| writeln!(formatter, "{outcome}  {name}"))
    }
}

impl fmt::Display for LayerSensitivity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, kind, precision, .. } = self;
        let [int8, int16x8] = [self.int8_snr_db, self.int16x8_snr_db].map(decibels);
        write!(formatter, "{int8:>7}  {int16x8:>7}  {:>7}  {kind} '{name}'", precision.to_string())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { constant_bytes, time, .. } = self;
        write!(formatter, "{:>7}  {constant_bytes:>8}  {time:>6.2}", decibels(self.snr_db))
    }
}

fn decibels(snr: Option<f64>) -> String {
    snr.map_or("-".into(), |snr| format!("{snr:.1}"))
}
