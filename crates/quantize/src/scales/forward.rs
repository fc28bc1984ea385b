//! One way through the graph, as TensorFlow's 16x8 quantizer goes it.

use burnlite_tflite::{Operator, TensorId};

use super::{Scales, Source};
use crate::Error;
use crate::parameters::Parameters;
use crate::rules::{ResultScale, Rule, real_results, reals};

pub(super) fn scales(source: Source<'_, '_>) -> Result<Scales, Error> {
    let mut forward = Forward {
        source,
        scales: Scales { tensors: vec![None; source.graph.tensors.len()], ..Scales::default() },
    };
    for (index, operator) in source.graph.operators.iter().enumerate() {
        if let Some(rule) = source.rules[index] {
            forward.operator(index, operator, rule)?;
        }
    }
    source.complete(&mut forward.scales.tensors)?;
    Ok(forward.scales)
}

struct Forward<'s, 'a> {
    source: Source<'s, 'a>,
    scales: Scales,
}

impl Forward<'_, '_> {
    fn operator(&mut self, index: usize, operator: &Operator, rule: Rule) -> Result<(), Error> {
        match rule {
            Rule::Passthrough => Ok(()),
            Rule::Weighted(_) | Rule::Computed(ResultScale::Own) => self.results(operator, None),
            Rule::Computed(ResultScale::Fixed(range)) => {
                self.results(operator, Some(self.source.arithmetic.fixed(range)))
            }
            Rule::SameScale => self.same_scale(index, operator),
            Rule::Compared => self.compared(index, operator),
        }
    }

    /// A single operand's scale is the result's, for several the result's own is theirs.
    fn same_scale(&mut self, index: usize, operator: &Operator) -> Result<(), Error> {
        let operands: Vec<_> = reals(self.source.graph, operator).collect();
        if let &[(_, operand)] = operands.as_slice() {
            let parameters = self.parameters(operand)?;
            return self.results(operator, Some(parameters));
        }
        self.results(operator, None)?;
        let Some((_, result)) = real_results(self.source.graph, operator).next() else { return Ok(()) };
        let parameters = self.parameters(result)?;
        self.require(index, &operands, parameters)
    }

    /// Kernels compare 16-bit integers as they are: all get the widest scale among them.
    fn compared(&mut self, index: usize, operator: &Operator) -> Result<(), Error> {
        let operands: Vec<_> = reals(self.source.graph, operator).collect();
        let mut widest: Option<Parameters> = None;
        for &(_, id) in &operands {
            let parameters = self.parameters(id)?;
            widest = widest.filter(|widest| widest.scale >= parameters.scale).or(Some(parameters));
        }
        widest.map_or(Ok(()), |widest| self.require(index, &operands, widest))
    }

    fn require(
        &mut self,
        index: usize,
        operands: &[(usize, TensorId)],
        parameters: Parameters,
    ) -> Result<(), Error> {
        for &(position, id) in operands {
            if self.parameters(id)? != parameters {
                self.scales.operands.insert((index, position), parameters);
            }
        }
        Ok(())
    }

    fn results(&mut self, operator: &Operator, parameters: Option<Parameters>) -> Result<(), Error> {
        for (_, id) in real_results(self.source.graph, operator) {
            let parameters = parameters.map_or_else(|| self.source.own(id), Ok)?;
            self.scales.tensors[id.index()] = Some(parameters);
        }
        Ok(())
    }

    /// The parameters of an operand: what computed it chose them, or they follow from its own range or values.
    fn parameters(&mut self, id: TensorId) -> Result<Parameters, Error> {
        if self.source.is_constant(id) {
            return self.source.constant(id);
        }
        let parameters = self.scales.tensors[id.index()].map_or_else(|| self.source.own(id), Ok)?;
        self.scales.tensors[id.index()] = Some(parameters);
        Ok(parameters)
    }
}
