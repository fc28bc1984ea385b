//! UNIDIRECTIONAL_SEQUENCE_LSTM: a recurrent layer over sequences, whose outputs and cells outlive the run.
//!
//! Each step computes gates from the input, the last output and, through peepholes, the cells: `input` (what enters the
//! cells), `forget` (what stays), `cell` (the candidates), `output` (what leaves). Where the layer is coupled there is no
//! input gate: what enters is what was forgotten. A projection may map the cells' outputs to fewer.

mod float;
mod integer;
mod micro;

use core::fmt::Debug;

use burnlite_tflite::{Element, ElementType, UnidirectionalSequenceLstmOptions};

use crate::error::OperatorFault;
use crate::frame::{Inputs, Writable, elements_mut};
use crate::interpreter::Numerics;
use crate::kernels::Kernels;
use crate::plan::{Kernel, Node, Planned};

const INPUT: usize = 0;
const PROJECTION: usize = 16;
const PROJECTION_BIAS: usize = 17;
const OUTPUT_STATE: usize = 18;
const CELL_STATE: usize = 19;

/// One of the gates; the positions of its operands follow from its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Input,
    Forget,
    Cell,
    Output,
}

impl Gate {
    const ALL: [Self; 4] = [Self::Input, Self::Forget, Self::Cell, Self::Output];

    const fn index(self) -> usize {
        self as usize
    }

    const fn weights(self) -> usize {
        1 + self.index()
    }

    const fn recurrent_weights(self) -> usize {
        5 + self.index()
    }

    /// The weights of the cells; the cell gate does not see them.
    const fn peephole(self) -> Option<usize> {
        match self {
            Self::Input => Some(9),
            Self::Forget => Some(10),
            Self::Cell => None,
            Self::Output => Some(11),
        }
    }

    const fn bias(self) -> usize {
        12 + self.index()
    }

    /// The factors of the normalized gate.
    const fn norm(self) -> usize {
        20 + self.index()
    }
}

pub(crate) fn plan(
    node: &Node<'_>,
    options: &UnidirectionalSequenceLstmOptions,
) -> Result<Planned, OperatorFault> {
    if options.diagonal_recurrent_tensors {
        return Err(OperatorFault::Unsupported { what: "the diagonal form of the recurrent weights".into() });
    }
    let layer = Layer::new(node, options)?;
    match node.input(INPUT)?.element_type() {
        ElementType::Float32 => float::plan(node, options, layer),
        ElementType::Int8 if node.options.numerics == Numerics::LiteRt => integer::plan(node, options, layer),
        ElementType::Int8 => micro::plan::<i8, i32>(node, options, layer),
        // Only tflite-micro has it.
        ElementType::Int16 => micro::plan::<i16, i64>(node, options, layer),
        _ => Err(node.types_fault()),
    }
}

/// The extents and variants of a layer.
///
/// # Shapes
/// Input `[batch, steps, inputs]`, or `[steps, batch, inputs]` where time comes first; the output alike. Weights
/// `[cells, inputs]`, recurrent weights `[cells, outputs]`, peepholes, biases and norms `[cells]`, projection
/// `[outputs, cells]`.
#[derive(Debug, Clone, Copy)]
struct Layer {
    batch: usize,
    steps: usize,
    inputs: usize,
    cells: usize,
    outputs: usize,
    is_time_major: bool,
    is_coupled: bool,
    has_peepholes: bool,
    is_projected: bool,
    is_normalized: bool,
}

impl Layer {
    fn new(node: &Node<'_>, options: &UnidirectionalSequenceLstmOptions) -> Result<Self, OperatorFault> {
        let [first, second, inputs] = node.input(INPUT)?.dimensions()?;
        let (batch, steps) = if options.time_major { (second, first) } else { (first, second) };
        let [cells, outputs] = node.input(Gate::Forget.recurrent_weights())?.dimensions()?;
        let has = |position| node.optional_input(position).is_some();
        let layer = Self {
            batch,
            steps,
            inputs,
            cells,
            outputs,
            is_time_major: options.time_major,
            is_coupled: !has(Gate::Input.weights()),
            has_peepholes: has(10),
            is_projected: has(PROJECTION),
            is_normalized: has(Gate::Forget.norm()),
        };
        layer.check_operands(node)?;
        Ok(layer)
    }

    /// The gates that the layer has.
    fn gates(&self) -> impl Iterator<Item = Gate> + use<> {
        Gate::ALL.into_iter().skip(usize::from(self.is_coupled))
    }

    /// Every operand of the layer's variants is there and has its shape, and no other operand is there.
    fn check_operands(&self, node: &Node<'_>) -> Result<(), OperatorFault> {
        let &Self { batch, inputs, cells, outputs, .. } = self;
        for gate in Gate::ALL {
            let is_there = self.gates().any(|other| other == gate);
            require(node, gate.weights(), is_there, &[cells, inputs])?;
            require(node, gate.recurrent_weights(), is_there, &[cells, outputs])?;
            require(node, gate.bias(), is_there, &[cells])?;
            require(node, gate.norm(), is_there && self.is_normalized, &[cells])?;
            if let Some(peephole) = gate.peephole() {
                require(node, peephole, is_there && self.has_peepholes, &[cells])?;
            }
        }
        require(node, PROJECTION, self.is_projected, &[outputs, cells])?;
        let has_bias = node.optional_input(PROJECTION_BIAS).is_some();
        require(node, PROJECTION_BIAS, has_bias && self.is_projected, &[outputs])?;
        require(node, OUTPUT_STATE, true, &[batch, outputs])?;
        require(node, CELL_STATE, true, &[batch, cells])?;
        if !self.is_projected && outputs != cells {
            let what = alloc::format!("without a projection there must be as many outputs as cells, {cells}");
            return Err(OperatorFault::Shape { what, found: [cells, outputs].into() });
        }
        Ok(())
    }

    /// The operands' types, which must be the given ones: weights, recurrent weights and the projection; peepholes; biases;
    /// norms.
    fn check_types(
        &self,
        node: &Node<'_>,
        [weights, peephole, bias, norm]: [ElementType; 4],
        [output_state, cell_state]: [ElementType; 2],
    ) -> Result<(), OperatorFault> {
        let has = |position: usize, element_type: ElementType| {
            node.optional_input(position).is_none_or(|operand| operand.element_type() == element_type)
        };
        let all_gates_have = Gate::ALL.into_iter().all(|gate| {
            has(gate.weights(), weights)
                && has(gate.recurrent_weights(), weights)
                && gate.peephole().is_none_or(|position| has(position, peephole))
                && has(gate.bias(), bias)
                && has(gate.norm(), norm)
        });
        let all_have = all_gates_have
            && has(PROJECTION, weights)
            && has(PROJECTION_BIAS, bias)
            && has(INPUT, output_state)
            && has(OUTPUT_STATE, output_state)
            && has(CELL_STATE, cell_state)
            && node.output(0)?.element_type() == output_state;
        if all_have { Ok(()) } else { Err(node.types_fault()) }
    }

    /// The scale and zero point of the output, which must be those of its state.
    fn output_quantization(&self, node: &Node<'_>) -> Result<(f32, i32), OperatorFault> {
        let (output, state) = (node.output(0)?, node.input(OUTPUT_STATE)?);
        match (output.scale_and_zero_point()?, state.scale_and_zero_point()?) {
            (found, expected) if found == expected => Ok(found),
            _ => Err(output.unusable("it must be that of the output's state")),
        }
    }

    fn planned<C: Cell + 'static>(self, cell: C) -> Planned {
        let (first, second) =
            if self.is_time_major { (self.steps, self.batch) } else { (self.batch, self.steps) };
        Planned {
            updates: [OUTPUT_STATE, CELL_STATE].into(),
            scratch_bytes: [self.cells.saturating_mul(Gate::ALL.len() * size_of::<C::State>())].into(),
            ..Planned::new([first, second, self.outputs], Sequences { layer: self, cell })
        }
    }
}

/// The operand is there with the given shape, or it is not there.
fn require(node: &Node<'_>, position: usize, is_there: bool, shape: &[usize]) -> Result<(), OperatorFault> {
    match node.optional_input(position) {
        Some(operand) if is_there => operand.require_shape(shape),
        Some(operand) => Err(OperatorFault::Unsupported {
            what: alloc::format!(
                "input {position} '{}' without those that belong to it",
                operand.tensor.name
            ),
        }),
        None if is_there => Err(OperatorFault::Missing { what: "input", position }),
        None => Ok(()),
    }
}

/// The arithmetic of one step of one sequence.
trait Cell: Debug + Send + Sync {
    /// The type of inputs and outputs.
    type Activation: Element;
    /// The type of the cells, and of the gates.
    type State: Element;

    /// Updates the output and the cells of a sequence.
    fn step(&self, operands: &Inputs<'_>, step: Step<'_, Self::Activation, Self::State>);

    /// Which kernels sum products.
    fn kernels(&self) -> Kernels {
        Kernels::Reference
    }
}

/// What a step reads and writes.
struct Step<'s, A, S> {
    /// The index of the sequence.
    sequence: usize,
    input: &'s [A],
    /// The last step's output, then this one's.
    output: &'s mut [A],
    cells: &'s mut [S],
    /// Scratch for the gates, by their index.
    gates: [&'s mut [S]; Gate::ALL.len()],
}

/// Runs the steps of all sequences.
#[derive(Debug)]
struct Sequences<C> {
    layer: Layer,
    cell: C,
}

impl<C: Cell> Kernel for Sequences<C> {
    fn run(
        &self,
        operands: &Inputs<'_>,
        [outputs, output_state, cell_state, gates]: &mut Writable<'_>,
    ) -> Result<(), OperatorFault> {
        let Layer { batch, steps, inputs: width, cells: cell_count, outputs: output_count, .. } = self.layer;
        let inputs = operands.get::<C::Activation>(INPUT);
        let outputs = elements_mut::<C::Activation>(outputs);
        let output_state = elements_mut::<C::Activation>(output_state);
        let cell_state = elements_mut::<C::State>(cell_state);
        for sequence in 0..batch {
            let output = &mut output_state[sequence * output_count..][..output_count];
            let cells = &mut cell_state[sequence * cell_count..][..cell_count];
            for step in 0..steps {
                let row =
                    if self.layer.is_time_major { step * batch + sequence } else { sequence * steps + step };
                let mut rest = elements_mut::<C::State>(gates);
                let gates =
                    Gate::ALL.map(|_| rest.split_off_mut(..cell_count).expect("scratch for four gates"));
                let input = &inputs[row * width..][..width];
                self.cell.step(operands, Step { sequence, input, output, cells, gates });
                outputs[row * output_count..][..output_count].copy_from_slice(output);
            }
        }
        Ok(())
    }

    fn kernels(&self) -> Kernels {
        self.cell.kernels()
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use burnlite_tflite::{Activation, Graph, Model, Op, Operator, Quantization, Tensor, TensorId};

    use super::*;
    use crate::{Error, Interpreter, InterpreterOptions};

    const STEPS: usize = 6;
    const INPUTS: usize = 2;
    const CELLS: usize = 3;

    /// A layer of the given activations, with weights from a simple generator.
    fn model<B: Element>(element_type: ElementType, input: (f32, i64), output: (f32, i64)) -> Model<'static> {
        let mut graph = Graph::default();
        let tensor = |name: &str, element_type, shape: &[usize], (scale, zero_point)| {
            Tensor::new(name, element_type, shape).quantized(Quantization::per_tensor(scale, zero_point))
        };
        let x = graph.add_tensor(tensor("input", element_type, &[1, STEPS, INPUTS], input));
        let mut seed = 1u32;
        let mut weights = |length: usize| {
            let next = |_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 24) as i8
            };
            (0..length * CELLS).map(next).collect::<Vec<i8>>()
        };
        let mut inputs = alloc::vec![Some(x)];
        for length in [INPUTS, CELLS].into_iter().flat_map(|length| [length; 4]) {
            let weights = Tensor::constant("weights", [CELLS, length], &weights(length));
            inputs.push(Some(graph.add_tensor(weights.quantized(Quantization::per_tensor(0.01, 0)))));
        }
        inputs.extend([None; 3]);
        for _ in 0..4 {
            inputs.push(Some(graph.add_tensor(Tensor::constant("bias", [CELLS], &[B::zeroed(); CELLS]))));
        }
        inputs.extend([None; 2]);
        for (name, element_type, quantization) in
            [("output_state", element_type, output), ("cell_state", ElementType::Int16, (1.0 / 2048.0, 0))]
        {
            let state = tensor(name, element_type, &[1, CELLS], quantization);
            inputs.push(Some(graph.add_tensor(Tensor { is_variable: true, ..state })));
        }
        inputs.extend([None; 4]);
        let y = graph.add_tensor(tensor("output", element_type, &[1, STEPS, CELLS], output));
        let hidden = graph.add_tensor(tensor("hidden", element_type, &[], output));
        let options = UnidirectionalSequenceLstmOptions {
            activation: Activation::Tanh,
            ..UnidirectionalSequenceLstmOptions::default()
        };
        let mut operator = Operator::new(Op::UnidirectionalSequenceLstm(options), [], [y]);
        operator.inputs = inputs;
        operator.intermediates = [hidden; 5].into();
        graph.operators.push(operator);
        (graph.inputs, graph.outputs) = ([x].into(), [y].into());
        Model::new(graph)
    }

    fn int8_model() -> Model<'static> {
        model::<i32>(ElementType::Int8, (1.0 / 64.0, 3), (1.0 / 128.0, -5))
    }

    fn int16_model() -> Model<'static> {
        model::<i64>(ElementType::Int16, (1.0 / 16_384.0, 0), (1.0 / 32_768.0, 0))
    }

    const SEQUENCE: [i8; STEPS * INPUTS] = [61, -23, -100, -19, 12, -37, 92, 13, 17, -5, -7, -120];

    fn run<T: Element>(model: &Model<'_>, numerics: Numerics, input: &[T]) -> Vec<T> {
        let options = InterpreterOptions { numerics, ..InterpreterOptions::default() };
        let mut interpreter = Interpreter::with_options(model, &options).unwrap();
        interpreter.set_input(0, input).unwrap();
        interpreter.invoke().unwrap();
        interpreter.output(0).unwrap().to_vec()
    }

    #[test]
    fn litert_and_tflite_micro_differ_in_the_last_bit_of_int8() {
        // Measured with both.
        let litert = [-24, 7, -19, -14, -23, -2, -11, -29, -10, -22, -16, -22, -33, -12, -16, -44, -16, -8];
        let micro = [-24, 7, -19, -14, -23, -2, -12, -29, -10, -22, -17, -22, -33, -12, -15, -45, -16, -8];
        assert_eq!(run(&int8_model(), Numerics::LiteRt, &SEQUENCE), litert);
        assert_eq!(run(&int8_model(), Numerics::TfLiteMicro, &SEQUENCE), micro);
    }

    #[test]
    fn sixteen_bits_are_those_of_tflite_micro_under_either_name() {
        let sequence = SEQUENCE.map(|value| i16::from(value) * 256);
        let measured = [
            -4_979, 2_936, -3_794, -2_554, -4_663, 857, -2_362, -5_974, -1_315, -4_042, -2_657, -4_012,
            -7_144, -1_272, -2_578, -10_726, -2_123, -770,
        ];
        for numerics in [Numerics::LiteRt, Numerics::TfLiteMicro] {
            assert_eq!(run(&int16_model(), numerics, &sequence), measured);
        }
    }

    #[test]
    fn a_variant_lacks_none_of_its_operands_and_has_none_of_anothers() {
        let refusal = |change: fn(&mut Graph<'_>), numerics| {
            let mut model = int8_model();
            change(&mut model.graphs[0]);
            let options = InterpreterOptions { numerics, ..InterpreterOptions::default() };
            match Interpreter::with_options(&model, &options).unwrap_err() {
                Error::Operator { fault, .. } => fault.to_string(),
                other => other.to_string(),
            }
        };
        let litert = |change| refusal(change, Numerics::LiteRt);
        let coupled: fn(&mut Graph<'_>) = |graph| {
            for position in [Gate::Input.weights(), Gate::Input.recurrent_weights(), Gate::Input.bias()] {
                graph.operators[0].inputs[position] = None;
            }
        };
        assert!(refusal(coupled, Numerics::TfLiteMicro).starts_with("coupled gates, which tflite-micro's"));
        let without_bias: fn(&mut Graph<'_>) = |graph| graph.operators[0].inputs[13] = None;
        assert_eq!(litert(without_bias), "input 13 is missing");
        let one_norm: fn(&mut Graph<'_>) = |graph| graph.operators[0].inputs[20] = Some(TensorId(9));
        assert!(litert(one_norm).starts_with("input 20 'bias' without those that belong to it"));
        let no_scale: fn(&mut Graph<'_>) = |graph| graph.tensors[14].quantization = None;
        assert!(litert(no_scale).contains("the quantization of tensor 'cell_state' is not usable"));
        let coarse: fn(&mut Graph<'_>) =
            |graph| graph.tensors[14].quantization = Some(Quantization::per_tensor(0.001, 0));
        assert!(litert(coarse).contains("must be a power of two"));
    }
}
