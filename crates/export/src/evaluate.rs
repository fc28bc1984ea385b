//! Operations whose operands are all known: Burn computes them when the module is exported.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use burn::backend::capture::TensorId;
use burn::backend::ir::{
    BaseOperationIr, FloatOperationIr, IrVisitorMut, NumericOperationIr, OperationIr, TensorIr, TensorStatus,
};
use burn::backend::{Flex, FlexDevice};
use burn::tensor::TensorData;
use burn_router::TensorInterpreter;

/// Runs the operations that depend on constants only, and removes them.
///
/// Results that others or the `outputs` want join `constants`, and take over the name of the parameter that they were made of.
pub(crate) fn constants(
    operations: &mut Vec<(usize, OperationIr)>,
    outputs: &[TensorId],
    constants: &mut BTreeMap<TensorId, TensorData>,
    parameters: &mut HashMap<TensorId, String>,
) {
    let mut known: HashSet<TensorId> = constants.keys().copied().collect();
    let mut wanted: Vec<TensorIr> = Vec::new();
    let mut interpreter = TensorInterpreter::<Flex>::new(FlexDevice);
    let mut registered: HashSet<TensorId> = HashSet::new();
    operations.retain(|(_, operation)| {
        if !is_computable(operation, &known) {
            wanted.extend(operation.inputs().filter(|tensor| known.contains(&tensor.id)).cloned());
            return true;
        }
        for input in operation.inputs().filter(|input| registered.insert(input.id)) {
            if let Some(data) = constants.get(&input.id) {
                interpreter.register_tensor_data_id(input.id, data.clone());
            }
        }
        let parameter = operation.inputs().find_map(|input| parameters.get(&input.id)).cloned();
        for output in operation.outputs() {
            known.insert(output.id);
            registered.insert(output.id);
            if outputs.contains(&output.id) {
                wanted.push(output.clone());
            }
            parameters.extend(parameter.clone().map(|name| (output.id, name)));
        }
        interpreter.register_op(kept(operation));
        false
    });
    for mut tensor in wanted {
        if !constants.contains_key(&tensor.id) {
            tensor.status = TensorStatus::ReadOnly;
            let id = tensor.id;
            if let Some(Ok(data)) = ready(interpreter.read_tensor_async(tensor)) {
                constants.insert(id, data);
            }
        }
    }
}

/// Whether Burn can compute the operation now: it has no operand that is not known, and is not left to chance.
fn is_computable(operation: &OperationIr, known: &HashSet<TensorId>) -> bool {
    let is_random = matches!(
        operation,
        OperationIr::Float(_, FloatOperationIr::Random(_))
            | OperationIr::NumericInt(_, NumericOperationIr::IntRandom(_))
            | OperationIr::Custom(_)
            | OperationIr::Distributed(_)
    );
    !is_random && operation.inputs().all(|tensor| known.contains(&tensor.id))
}

/// The operation without leave to overwrite its operands, which others may still want, and with zeros for what Burn leaves
/// undefined.
fn kept(operation: &OperationIr) -> OperationIr {
    struct Keep;
    impl IrVisitorMut for Keep {
        fn visit_tensor_mut(&mut self, tensor: &mut TensorIr) {
            if tensor.status == TensorStatus::ReadWrite {
                tensor.status = TensorStatus::ReadOnly;
            }
        }
    }
    let mut operation = operation.clone();
    operation.visit_mut(&mut Keep);
    match operation {
        OperationIr::BaseFloat(BaseOperationIr::Empty(op)) => {
            OperationIr::BaseFloat(BaseOperationIr::Zeros(op))
        }
        OperationIr::BaseInt(BaseOperationIr::Empty(op)) => OperationIr::BaseInt(BaseOperationIr::Zeros(op)),
        OperationIr::BaseBool(BaseOperationIr::Empty(op)) => {
            OperationIr::BaseBool(BaseOperationIr::Zeros(op))
        }
        operation => operation,
    }
}

/// The value of a future that is there at once: on the CPU nothing has to be waited for.
fn ready<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::tensor::Tensor;

    use crate::lower::testing::{FUNCTION, numbers, operators, parameter};

    #[test]
    fn what_depends_on_parameters_only_is_computed_when_the_module_is_exported() {
        let found = operators(&parameter([4, 6]), numbers([2, 4]), |weights: &Param<Tensor<2>>, x| {
            let weights = weights.val();
            let mean = weights.clone().mean_dim(0);
            x.matmul((weights - mean).exp().slice([0..4, 1..4]))
        });
        assert_eq!(found, ["FULLY_CONNECTED"]);
    }

    #[test]
    fn zeros_of_the_batch_are_a_constant_that_is_broadcast() {
        let found = operators(&FUNCTION, numbers([2, 4]), |_, x: Tensor<2>| {
            let state = Tensor::ones(x.dims(), &x.device());
            x + (state * 2.0).exp()
        });
        assert_eq!(found, ["ADD"]);
    }
}
