//! The captured operations with shapes that know the batch.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Display;

use burn::backend::DType;
use burn::backend::capture::{CapturedGraph, TensorId};
use burn::backend::ir::{BaseOperationIr, IrVisitorMut, OperationIr, TensorIr, TensorStatus};
use burn::tensor::{Shape as Sizes, Slice, TensorData};

use crate::Error;
use crate::capture::Capture;
use crate::constant::Constant;
use crate::error::Refusal;
use crate::evaluate;
use crate::shape::{Extent, Shape};

/// A forward pass, ready to be lowered.
#[derive(Debug)]
pub(crate) struct Program {
    /// The operations that the outputs depend on, in order, each with its position in the capture.
    ///
    /// The shapes in there are those of one captured batch: [`Program::shape`] knows better.
    pub(crate) operations: Vec<(usize, OperationIr)>,
    /// What the caller gives, in order, and the types of its elements.
    pub(crate) inputs: Vec<(TensorId, DType)>,
    /// What the caller takes, in order.
    pub(crate) outputs: Vec<TensorId>,
    /// Values that are there from the start, parameters mostly.
    pub(crate) constants: BTreeMap<TensorId, TensorData>,
    /// Where in the module a constant is a parameter: `conv/weight`.
    pub(crate) parameters: HashMap<TensorId, String>,
    shapes: HashMap<TensorId, Shape>,
    /// The batch of the capture that the operations and the constants come from.
    batch: usize,
}

impl Program {
    /// The program of one capture, for its batch only.
    pub(crate) fn fixed(capture: Capture) -> Self {
        let pass = Pass::new(capture);
        let values = pass.constants.iter().map(|(&id, data)| (id, data.shape()));
        let tensors = pass.operations.iter().flat_map(|(_, operation)| operation.nodes());
        let boundaries = pass.boundaries.iter().map(|(&id, sizes)| (id, sizes));
        let shapes = values
            .chain(tensors.map(|tensor| (tensor.id, &tensor.shape)))
            .chain(boundaries)
            .map(|(id, sizes)| (id, Shape::fixed(sizes.as_slice())))
            .collect();
        Self::new(pass, shapes, 1)
    }

    /// The program for every batch, from captures with two: an extent that differs is a multiple of the batch.
    pub(crate) fn batched(captures: [Capture; 2], batches: (usize, usize)) -> Result<Self, Error> {
        let [first, second] = captures.map(Pass::new);
        let mut pairing = Pairing { batches, partners: HashMap::new(), shapes: HashMap::new() };
        pairing.boundaries(&first, &second)?;
        pairing.operations(&first.operations, &second.operations)?;
        pairing.constants(&first, &second)?;
        Ok(Self::new(first, pairing.shapes, batches.0))
    }

    fn new(pass: Pass, shapes: HashMap<TensorId, Shape>, batch: usize) -> Self {
        let Pass { operations, inputs, outputs, constants, parameters, .. } = pass;
        Self { operations, inputs, outputs, constants, parameters, shapes, batch }
    }

    /// The shape of a captured tensor.
    pub(crate) fn shape(&self, id: TensorId) -> &Shape {
        &self.shapes[&id]
    }

    /// The operation that computes a tensor.
    pub(crate) fn producer(&self, id: TensorId) -> Option<&OperationIr> {
        let mut operations = self.operations.iter().map(|(_, operation)| operation);
        operations.find(|operation| operation.outputs().any(|tensor| tensor.id == id))
    }

    /// The value of a constant, once where it is the same for every row of the batch; `None` for what is computed.
    pub(crate) fn constant(&self, id: TensorId) -> Option<Result<Constant, Refusal>> {
        let constant = Constant::captured(self.constants.get(&id)?, self.parameters.get(&id).cloned());
        let batched = self.shapes.get(&id).and_then(|shape| shape.0.iter().position(|extent| extent.batched));
        Some(match batched {
            Some(dim) => constant.and_then(|constant| constant.once(dim, self.batch)),
            None => constant,
        })
    }

    /// The shapes of several tensors, for messages.
    pub(crate) fn shapes<'a>(&self, tensors: impl Iterator<Item = &'a TensorIr>) -> String {
        let shapes: Vec<String> = tensors.map(|tensor| self.shape(tensor.id).to_string()).collect();
        if shapes.is_empty() { "nothing".into() } else { shapes.join(" and ") }
    }
}

/// What Burn calls an operation: `Module.Conv2d`.
///
/// Burn's operations are enums in enums; their derived `Debug` has the names.
pub(crate) fn kind(operation: &OperationIr) -> String {
    if let OperationIr::Custom(custom) = operation {
        return format!("Custom.{}", custom.id);
    }
    let debug = format!("{operation:?}");
    let variants = debug.split(" {").next().unwrap_or_default();
    let mut names: Vec<&str> = variants.split('(').collect();
    // The last name is the struct of the operands; element types stand before a comma.
    names.pop();
    let names: Vec<&str> = names.iter().map(|name| name.rsplit(", ").next().unwrap_or(name)).collect();
    names.join(".")
}

/// A captured forward pass without what its outputs do not need and what does not depend on its inputs.
struct Pass {
    operations: Vec<(usize, OperationIr)>,
    inputs: Vec<(TensorId, DType)>,
    outputs: Vec<TensorId>,
    constants: BTreeMap<TensorId, TensorData>,
    parameters: HashMap<TensorId, String>,
    /// The shapes of inputs and outputs.
    boundaries: HashMap<TensorId, Sizes>,
}

impl Pass {
    fn new(Capture { captured, mut parameters }: Capture) -> Self {
        let CapturedGraph { graph, values: mut constants } = captured;
        // An input has a value too: the sample's, which is of no interest but for its type and shape.
        let samples: Vec<_> =
            graph.inputs.iter().filter_map(|id| Some((*id, constants.remove(id)?))).collect();
        let nodes = graph.operations.iter().flat_map(OperationIr::nodes);
        let mut boundaries: HashMap<TensorId, Sizes> = nodes
            .filter(|tensor| graph.outputs.contains(&tensor.id))
            .map(|tensor| (tensor.id, tensor.shape.clone()))
            .collect();
        boundaries.extend(samples.iter().map(|(id, sample)| (*id, sample.shape().clone())));
        let inputs = samples.into_iter().map(|(id, sample)| (id, sample.dtype())).collect();
        let mut operations = needed(graph.operations, &graph.outputs);
        evaluate::constants(&mut operations, &graph.outputs, &mut constants, &mut parameters);
        Self { operations, inputs, outputs: graph.outputs, constants, parameters, boundaries }
    }
}

/// The operations on which `outputs` depend, with their positions.
fn needed(operations: Vec<OperationIr>, outputs: &[TensorId]) -> Vec<(usize, OperationIr)> {
    let mut wanted: HashSet<TensorId> = outputs.iter().copied().collect();
    let mut kept = Vec::new();
    for (index, operation) in operations.into_iter().enumerate().rev() {
        let is_step = !matches!(operation, OperationIr::Init(_) | OperationIr::Drop(_));
        if is_step && operation.outputs().any(|tensor| wanted.contains(&tensor.id)) {
            wanted.extend(operation.inputs().map(|tensor| tensor.id));
            kept.push((index, operation));
        }
    }
    kept.reverse();
    kept
}

/// Two captures side by side.
struct Pairing {
    batches: (usize, usize),
    /// The second capture's name for each tensor of the first.
    partners: HashMap<TensorId, TensorId>,
    shapes: HashMap<TensorId, Shape>,
}

impl Pairing {
    fn boundaries(&mut self, first: &Pass, second: &Pass) -> Result<(), Error> {
        let ids = |pass: &Pass| -> Vec<TensorId> {
            pass.inputs.iter().map(|(id, _)| *id).chain(pass.outputs.iter().copied()).collect()
        };
        for (mine, theirs) in ids(first).into_iter().zip(ids(second)) {
            self.partners.insert(mine, theirs);
            if let (Some(my_shape), Some(their_shape)) =
                (first.boundaries.get(&mine), second.boundaries.get(&theirs))
            {
                let place = "an input or output";
                let shape = self.shape(my_shape.as_slice(), their_shape.as_slice());
                self.shapes.insert(mine, shape.map_err(|reason| dependence(place, reason))?);
            }
        }
        Ok(())
    }

    fn operations(
        &mut self,
        mine: &[(usize, OperationIr)],
        theirs: &[(usize, OperationIr)],
    ) -> Result<(), Error> {
        if mine.len() != theirs.len() {
            let reason = format!(
                "it is {} operations for a batch of {} and {} for a batch of {}",
                mine.len(),
                self.batches.0,
                theirs.len(),
                self.batches.1
            );
            return Err(dependence("the forward pass", reason));
        }
        for ((index, mine), (_, theirs)) in mine.iter().zip(theirs) {
            let place = || format!("operation {index} ({})", kind(mine));
            let (my_form, my_tensors) = form(mine);
            let (their_form, their_tensors) = form(theirs);
            if my_form != their_form {
                return Err(dependence(
                    place(),
                    format!("it becomes {}, or has other options", kind(theirs)),
                ));
            }
            for (mine, theirs) in my_tensors.into_iter().zip(their_tensors) {
                self.pair(mine, theirs).map_err(|reason| dependence(place(), reason))?;
            }
        }
        Ok(())
    }

    fn pair(&mut self, mine: TensorIr, theirs: TensorIr) -> Result<(), String> {
        if *self.partners.entry(mine.id).or_insert(theirs.id) != theirs.id {
            return Err("it takes or gives another tensor".into());
        }
        let shape = self.shape(mine.shape.as_slice(), theirs.shape.as_slice())?;
        self.shapes.insert(mine.id, shape);
        Ok(())
    }

    fn shape(&self, mine: &[usize], theirs: &[usize]) -> Result<Shape, String> {
        let extents: Option<Vec<Extent>> = mine
            .iter()
            .zip(theirs)
            .map(|(&mine, &theirs)| Extent::observed((mine, theirs), self.batches))
            .collect();
        let is_shape = |extents: &Vec<Extent>| {
            mine.len() == theirs.len() && extents.iter().filter(|extent| extent.batched).count() <= 1
        };
        extents.filter(is_shape).map(Shape).ok_or_else(|| {
            let (first, second) = self.batches;
            format!("a shape is {mine:?} for a batch of {first} and {theirs:?} for a batch of {second}")
        })
    }

    /// Constants must be the same for both batches, or repeat themselves for each row.
    fn constants(&self, first: &Pass, second: &Pass) -> Result<(), Error> {
        for (id, mine) in &first.constants {
            let theirs = self.partners.get(id).and_then(|partner| second.constants.get(partner));
            let batched =
                self.shapes.get(id).and_then(|shape| shape.0.iter().position(|extent| extent.batched));
            let is_same = |theirs: &TensorData| match batched {
                None => theirs == mine,
                Some(dim) => {
                    let once = |data: &TensorData, batch: usize| {
                        Constant::captured(data, None).and_then(|constant| constant.once(dim, batch)).ok()
                    };
                    let mine = once(mine, self.batches.0);
                    mine.is_some() && mine == once(theirs, self.batches.1)
                }
            };
            if theirs.is_some_and(|theirs| !is_same(theirs)) {
                let place = format!("a constant of shape {:?}", mine.shape().as_slice());
                return Err(dependence(place, "its values differ".into()));
            }
        }
        Ok(())
    }
}

fn dependence(place: impl Display, reason: String) -> Error {
    Error::BatchDependence { place: place.to_string(), reason }
}

/// An operation without its tensors and without options that its shapes say too, and the tensors.
fn form(operation: &OperationIr) -> (OperationIr, Vec<TensorIr>) {
    let mut form = operation.clone();
    if let OperationIr::BaseFloat(base) | OperationIr::BaseInt(base) | OperationIr::BaseBool(base) = &mut form
    {
        match base {
            BaseOperationIr::Slice(op) => open_ranges(&mut op.ranges, &op.tensor),
            BaseOperationIr::SliceAssign(op) => open_ranges(&mut op.ranges, &op.tensor),
            BaseOperationIr::RepeatDim(op) => op.times = 0,
            _ => {}
        }
    }
    let mut tensors = Tensors(Vec::new());
    form.visit_mut(&mut tensors);
    (form, tensors.0)
}

/// Lets ranges that take a whole dimension of `tensor` end where the dimension does, however long it is.
fn open_ranges(ranges: &mut [Slice], tensor: &TensorIr) {
    for (range, &extent) in ranges.iter_mut().zip(tensor.shape.as_slice()) {
        if range.start == 0
            && range.step == 1
            && range.end.is_some_and(|end| usize::try_from(end).is_ok_and(|end| end >= extent))
        {
            range.end = None;
        }
    }
}

struct Tensors(Vec<TensorIr>);

impl IrVisitorMut for Tensors {
    fn visit_tensor_mut(&mut self, tensor: &mut TensorIr) {
        let blank = TensorIr {
            id: TensorId::new(0),
            shape: Sizes::new([]),
            status: TensorStatus::NotInit,
            dtype: tensor.dtype,
        };
        self.0.push(std::mem::replace(tensor, blank));
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::activation::relu;
    use burn::tensor::{Device, Tensor};

    use crate::{Error, Exporter};

    fn sample() -> Tensor<2> {
        Tensor::zeros([1, 6], &Device::flex())
    }

    fn refused<const D: usize>(forward: impl Fn(Tensor<2>) -> Tensor<D>) -> Error {
        Exporter::new().export_function(sample(), forward).unwrap_err()
    }

    #[test]
    fn operations_that_no_output_needs_are_left_out() {
        let forward = |x: Tensor<2>| {
            let _unused = x.clone().exp();
            relu(x)
        };
        let model = Exporter::new().export_function(sample(), forward).unwrap();
        assert_eq!(model.graphs[0].operators.len(), 1);
    }

    #[test]
    fn operations_are_called_what_burn_calls_them() {
        for (error, kind) in [
            (refused(|x| x.erf()), "Float.Erf"),
            (refused(|x| x.cumprod(0)), "NumericFloat.CumProd"),
            (refused(|x| x.slice([0..1, 0..3])), "BaseFloat.Slice"),
        ] {
            assert!(error.to_string().contains(&format!("({kind})")), "{error}");
        }
    }

    #[test]
    fn shapes_that_are_no_multiple_of_the_batch_are_refused() {
        let error = refused(|x| Tensor::cat(vec![x.clone(), x.narrow(0, 0, 1)], 0));
        assert!(matches!(error, Error::BatchDependence { .. }), "{error}");
        let squared = refused(|x| x.clone().matmul(x.transpose()));
        assert!(squared.to_string().contains("a shape is [2, 2] for a batch of 2"), "{squared}");
    }

    #[test]
    fn a_forward_pass_of_another_form_for_another_batch_is_refused() {
        let error = refused(|x| if x.dims()[0].is_multiple_of(2) { relu(x) } else { x.exp() });
        assert_eq!(
            error.to_string(),
            "operation 1 (Activation.Relu) depends on the batch in a way that the file cannot express: \
             it becomes Float.Exp, or has other options; change the forward pass, or export for one batch with \
             dynamic_batch(false)"
        );
        let longer = refused(|x| if x.dims()[0].is_multiple_of(2) { relu(x) } else { relu(relu(x)) });
        assert!(longer.to_string().starts_with("the forward pass depends on the batch"), "{longer}");
    }

    #[test]
    fn a_constant_made_of_the_batch_is_refused() {
        let error = refused(|x| {
            let batch = x.dims()[0] as f32;
            let constant = Tensor::<2>::from_data([[batch; 6]], &Device::flex());
            let device = x.device();
            x + constant.to_device(&device)
        });
        assert!(error.to_string().starts_with("a constant of shape [1, 6] depends on the batch"), "{error}");
    }
}
