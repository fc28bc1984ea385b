//! Burn's forward pass → a list of operations.

use std::collections::HashMap;

use burn::backend::capture::{CaptureBackend, CapturedGraph, TensorId};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Bool, Device, Int, Tensor};

use crate::Error;
use crate::tensors::{Tensors, identified, located, moved};

/// A captured forward pass.
#[derive(Debug)]
pub(crate) struct Capture {
    /// Operations, inputs, outputs and the values of constants.
    pub(crate) captured: CapturedGraph,
    /// Where in the module a constant is a parameter: `conv/weight`.
    pub(crate) parameters: HashMap<TensorId, String>,
}

/// Runs `forward` on Burn's capture device, which computes nothing and notes every operation.
///
/// The module is captured as [`Module::valid`] has it: without gradients, dropout and other training behaviour.
pub(crate) fn capture<M, I, O>(module: &M, inputs: I, forward: &impl Fn(&M, I) -> O) -> Result<Capture, Error>
where
    M: Module,
    I: Tensors,
    O: Tensors,
{
    // A device of its own: Burn refuses a second capture on a device while the first is active.
    let mut device = Device::capture();
    let scoped = device.clone();
    let mut names = ParameterNames::default();
    let mut outcome = Ok(());
    let captured = scoped.capture_scope(|scope| {
        // Numbers that the forward pass makes are of the types that they have on the sample's device.
        if let Some(settings) = located(inputs.clone()).map(|device| device.settings())
            && let Err(error) = device.configure((settings.float_dtype, settings.int_dtype))
        {
            outcome = Err(Error::Capture { reason: error.to_string() });
            return scope.complete([], []);
        }
        let module = module.valid().to_device(&device);
        module.visit(&mut names);
        let inputs = moved(inputs, &device);
        let input_ids = identified(inputs.clone());
        let output_ids = identified(forward(&module, inputs));
        if let Some(position) = output_ids.iter().position(Option::is_none) {
            outcome = Err(Error::NotComputed { position });
            return scope.complete([], []);
        }
        scope.complete(input_ids.into_iter().flatten(), output_ids.into_iter().flatten())
    });
    outcome?;
    let captured = captured.map_err(|error| Error::Capture { reason: error.to_string() })?;
    Ok(Capture { captured, parameters: names.names })
}

/// Notes under which path the module keeps each parameter.
#[derive(Default)]
struct ParameterNames {
    path: Vec<String>,
    names: HashMap<TensorId, String>,
}

impl ParameterNames {
    fn note(&mut self, id: Option<TensorId>) {
        let name = self.path.join("/");
        // A module that is itself a parameter has no path.
        if name.is_empty() {
            return;
        }
        // A parameter that is used in two places keeps the name of the first.
        self.names.extend(id.filter(|id| !self.names.contains_key(id)).map(|id| (id, name)));
    }
}

impl ModuleVisitor for ParameterNames {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.note(param.val().try_into_primitive::<CaptureBackend>().ok().map(|tensor| tensor.id()));
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.note(param.val().try_into_primitive::<CaptureBackend>().ok().map(|tensor| tensor.id()));
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.note(param.val().try_into_primitive::<CaptureBackend>().ok().map(|tensor| tensor.id()));
    }
}
