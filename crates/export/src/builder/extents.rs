//! Shapes that are known only when the model runs, because the batch is in them.

use burn::backend::ir::ScalarIr;
use burnlite_tflite::{ElementType, Op, PackOptions, ShapeOptions, StridedSliceOptions, TensorId};

use super::{Builder, Stored};
use crate::constant::Constant;
use crate::error::Refusal;
use crate::shape::{Extent, Shape};

impl Builder<'_> {
    /// `stored` repeated along dimensions of extent 1 to the given shape: BROADCAST_TO, if there is anything to repeat.
    pub(crate) fn broadcast(&mut self, stored: &Stored, shape: &Shape) -> Result<Stored, Refusal> {
        if stored.layout.shape() == *shape {
            return Ok(stored.clone());
        }
        let order = stored.layout.natural_order(self.shape(stored.tensor));
        let tensor = self.arrange(stored, &stored.layout.groups(&order));
        let target = Shape(order.iter().map(|&dim| shape.0[dim]).collect());
        let target = self.shape_operand(&target)?;
        let element_type = self.element_type(tensor);
        let inputs = [Some(tensor), Some(target)];
        Ok(self.stored_result(Op::BroadcastTo, &inputs, element_type, shape, &order))
    }

    /// A shape as an operand: a constant, or put together when the model runs if it has the batch.
    pub(crate) fn shape_operand(&mut self, shape: &Shape) -> Result<TensorId, Refusal> {
        if !shape.0.iter().any(|extent| extent.batched) {
            return Ok(self.add_integers("shape", &shape.reshape_target()));
        }
        let mut extents = Vec::with_capacity(shape.0.len());
        for extent in &shape.0 {
            extents.push(match extent {
                Extent { batched: false, size } => {
                    let size = ScalarIr::UInt(*size as u64);
                    Some(self.add_constant(Constant::scalar(size, ElementType::Int32)?, "extent"))
                }
                Extent { size: 1, .. } => Some(self.batch()?),
                _ => return Err(Refusal::new(format!("{extent} rows cannot be asked for: reshape later"))),
            });
        }
        let options = PackOptions { values_count: extents.len() as i32, axis: 0 };
        Ok(self.typed_operator(
            Op::Pack(options),
            &extents,
            ElementType::Int32,
            Shape::fixed(&[extents.len()]),
        ))
    }

    /// The batch as a number, taken from the shape of an input.
    fn batch(&mut self) -> Result<TensorId, Refusal> {
        if let Some(batch) = self.batch {
            return Ok(batch);
        }
        let batched = Extent { size: 1, batched: true };
        let inputs = self.graph.inputs.iter().copied();
        let input = inputs.into_iter().find(|&input| self.shape(input).0.first() == Some(&batched));
        let input = input.ok_or_else(|| Refusal::new("no input says how large the batch is"))?;
        let rank = Shape::fixed(&[self.shape(input).0.len()]);
        let options = ShapeOptions { out_type: ElementType::Int32 };
        let shape = self.typed_operator(Op::Shape(options), &[Some(input)], ElementType::Int32, rank);
        let [zero, one] = [[0], [1]].map(|number| Some(self.add_integers("index", &number)));
        let options = StridedSliceOptions { shrink_axis_mask: 1, ..StridedSliceOptions::default() };
        let inputs = [Some(shape), zero, one, one];
        let batch =
            self.typed_operator(Op::StridedSlice(options), &inputs, ElementType::Int32, Shape::fixed(&[]));
        self.batch = Some(batch);
        Ok(batch)
    }
}
