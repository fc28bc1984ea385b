//! Inputs and outputs by the names that a model's signatures give them.

use alloc::string::String;

use burnlite_tflite::{Graph, Model, Signature, TensorId};

use crate::error::Error;

/// The inputs and outputs of a signature: the positions that the [`Interpreter`](crate::Interpreter) takes, by name.
#[derive(Debug, Clone, Copy)]
pub struct SignatureTensors<'m> {
    signature: &'m Signature,
    graph: &'m Graph<'m>,
}

impl<'m> SignatureTensors<'m> {
    pub(crate) fn new(model: &'m Model<'m>, graph: &'m Graph<'m>, name: &str) -> Result<Self, Error> {
        let signature = find(model, name)?;
        match model.graphs.get(signature.graph) {
            Some(own) if core::ptr::eq(own, graph) => Ok(Self { signature, graph }),
            _ => Err(Error::OtherGraph { name: name.into() }),
        }
    }

    /// The position of the input with the given name.
    ///
    /// # Errors
    /// [`Error::NoSuchName`] lists the names that there are.
    pub fn input(&self, name: &str) -> Result<usize, Error> {
        self.position("input", &self.signature.inputs, &self.graph.inputs, name)
    }

    /// The position of the output with the given name.
    ///
    /// # Errors
    /// [`Error::NoSuchName`] lists the names that there are.
    pub fn output(&self, name: &str) -> Result<usize, Error> {
        self.position("output", &self.signature.outputs, &self.graph.outputs, name)
    }

    /// The names of the inputs with their positions, in the signature's order.
    pub fn inputs(&self) -> impl Iterator<Item = (&'m str, usize)> + use<'m> {
        positions(&self.signature.inputs, &self.graph.inputs)
    }

    /// The names of the outputs with their positions, in the signature's order.
    pub fn outputs(&self) -> impl Iterator<Item = (&'m str, usize)> + use<'m> {
        positions(&self.signature.outputs, &self.graph.outputs)
    }

    fn position(
        &self,
        what: &'static str,
        named: &'m [(String, TensorId)],
        list: &'m [TensorId],
        name: &str,
    ) -> Result<usize, Error> {
        let found = positions(named, list).find(|&(known, _)| known == name);
        found.map(|(_, position)| position).ok_or_else(|| Error::NoSuchName {
            signature: self.signature.key.clone(),
            what,
            name: name.into(),
            known: positions(named, list).map(|(name, _)| name.into()).collect(),
        })
    }
}

/// The signature of the given name.
pub(crate) fn find<'m>(model: &'m Model<'_>, name: &str) -> Result<&'m Signature, Error> {
    model.signature(name).ok_or_else(|| Error::NoSuchSignature {
        name: name.into(),
        known: model.signatures.iter().map(|signature| signature.key.clone()).collect(),
    })
}

/// The names of those tensors that are in the list, with their positions in it.
fn positions<'m>(
    named: &'m [(String, TensorId)],
    list: &'m [TensorId],
) -> impl Iterator<Item = (&'m str, usize)> + use<'m> {
    named.iter().filter_map(|(name, id)| Some((name.as_str(), list.iter().position(|other| other == id)?)))
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use burnlite_tflite::{ElementType, Op, Operator, Tensor};

    use super::*;
    use crate::{Interpreter, InterpreterOptions};

    /// A model of two graphs of RELU, over one and over two elements, each with a signature.
    fn model() -> Model<'static> {
        let mut model = Model::default();
        for (index, key) in ["one", "two"].into_iter().enumerate() {
            let mut graph = Graph::default();
            let [x, y] =
                ["a", "b"].map(|name| graph.add_tensor(Tensor::new(name, ElementType::Float32, [index + 1])));
            graph.operators.push(Operator::new(Op::Relu, [x], [y]));
            (graph.inputs, graph.outputs) = ([x].into(), [y].into());
            model.graphs.push(graph);
            let named = |name: &str, id| [(name.into(), id)].into();
            let (inputs, outputs) = (named("x", x), named("y", y));
            model.signatures.push(Signature { key: key.into(), inputs, outputs, graph: index });
        }
        model
    }

    #[test]
    fn a_signature_names_inputs_and_outputs_of_its_graph() {
        let model = model();
        let options = InterpreterOptions { signature: Some("two".into()), ..InterpreterOptions::default() };
        let mut interpreter = Interpreter::with_options(&model, &options).unwrap();
        let signature = interpreter.signature("two").unwrap();
        interpreter.set_input(signature.input("x").unwrap(), &[-1.0f32, 2.0]).unwrap();
        interpreter.invoke().unwrap();
        assert_eq!(interpreter.output::<f32>(signature.output("y").unwrap()).unwrap(), [0.0, 2.0]);
        assert!(signature.outputs().eq([("y", 0)]));
    }

    #[test]
    fn unknown_names_are_answered_with_the_known_ones() {
        let model = model();
        let interpreter = Interpreter::new(&model).unwrap();
        let refusal = |name: &str| interpreter.signature(name).unwrap_err().to_string();
        assert_eq!(refusal("three"), "there is no signature 'three': the model has 'one', 'two'");
        assert!(refusal("two").contains("runs another graph"));
        let signature = interpreter.signature("one").unwrap();
        let refusal = signature.input("y").unwrap_err().to_string();
        assert_eq!(refusal, "signature 'one' has no input 'y', but 'x'");
        let options = InterpreterOptions { signature: Some("three".into()), ..InterpreterOptions::default() };
        let refusal = Interpreter::with_options(&model, &options).unwrap_err();
        assert!(matches!(refusal, Error::NoSuchSignature { .. }));
    }
}
