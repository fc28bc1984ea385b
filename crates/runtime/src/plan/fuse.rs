//! Operators that are computed at once with the one before them.

use burnlite_tflite::{Operator, TensorId};

use super::memory::Value;
use super::planner::Planner;
use super::{Planned, Source};
use crate::error::Error;
use crate::ops::window::Windows;

/// The maximum over windows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MaxPooling {
    pub(crate) rows: Windows,
    pub(crate) columns: Windows,
    /// The least and the greatest result, of floats or of integers: either is exact in double precision.
    pub(crate) bounds: (f64, f64),
}

impl MaxPooling {
    /// Whether no pixel lies in two windows, and no window is empty: then fusing computes nothing twice.
    pub(crate) fn computes_once(&self) -> bool {
        let once = |windows: &Windows| {
            windows.stride >= windows.taps
                && windows.dilation == 1
                && (0..windows.output).all(|index| !windows.taps_inside(index).is_empty())
        };
        once(&self.rows) && once(&self.columns)
    }
}

impl Planner<'_, '_> {
    /// Lets the step that computes the operator's operand compute its result at once, if nothing else sees the operand;
    /// whether it does.
    ///
    /// The step then writes the result where it would have written the operand, which takes no memory any more.
    pub(super) fn fuse(&mut self, operator: &Operator, planned: &Planned) -> Result<bool, Error> {
        let (Source::Kernel(kernel), [Some(operand)], &[result]) =
            (&planned.source, &operator.inputs[..], &operator.outputs[..])
        else {
            return Ok(false);
        };
        let Some(pooling) = kernel.pooling() else { return Ok(false) };
        let Value::Buffer(buffer) = self.value(*operand) else { return Ok(false) };
        if self.options.keep_intermediates || !self.is_read_once(*operand) {
            return Ok(false);
        }
        let bytes = self.memory.bytes(self.tensor(result), &self.shapes[result.index()])?;
        let fused = match self.steps.last_mut() {
            Some(step) => step.writable.first() == Some(&buffer) && step.kernel.fuse(&pooling),
            None => false,
        };
        if fused {
            self.memory.buffers[buffer].bytes = bytes;
            self.values[result.index()] = Value::Buffer(buffer);
            self.values[operand.index()] = Value::Unknown;
        }
        Ok(fused)
    }

    /// Whether one operator reads the tensor, once, and nobody else.
    fn is_read_once(&self, id: TensorId) -> bool {
        let readers = self.graph.operators.iter().flat_map(|operator| operator.inputs.iter().flatten());
        readers.filter(|&&reader| reader == id).count() == 1 && !self.graph.outputs.contains(&id)
    }
}
