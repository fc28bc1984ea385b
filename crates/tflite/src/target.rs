//! Whether another runtime can run a model.
//!
//! `target/runtimes.txt` says which operators LiteRT and tflite-micro have, up to which version and in which types. It was
//! found out by running operators in both. `limits.rs` has some limits of other kinds; there may be more.

mod limits;
mod types;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::{ElementType, Graph, Model, Op, Operator};
use limits::limit;
use types::Types;

/// A runtime for `.tflite` files.
///
/// ```
/// use burnlite_tflite::{ElementType, Graph, Model, Op, Operator, Target, Tensor};
///
/// let mut graph = Graph::default();
/// let x = graph.add_tensor(Tensor::new("x", ElementType::Float32, [1, 4]));
/// let y = graph.add_tensor(Tensor::new("y", ElementType::Float32, [1, 4]));
/// graph.operators.push(Operator::new(Op::Square, [x], [y]));
/// let mut model = Model::new(graph);
/// assert!(Target::TfLiteMicro.check(&model).is_empty());
///
/// model.graphs[0].operators[0].op = Op::Gelu(Default::default());
/// let obstacles = Target::TfLiteMicro.check(&model);
/// assert_eq!(obstacles[0].reason, "it does not have the operator");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Target {
    /// LiteRT 2.3.0 with its builtin operators, without delegates.
    #[default]
    TfLite,
    /// tflite-micro of October 2026 with all of its operators registered.
    TfLiteMicro,
    /// The same with an Ethos-U, on which the layers shall run that could.
    EthosU,
}

/// Why a target does not run an operator, or is not known to run it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Obstacle {
    /// The index of the operator's graph.
    pub graph: usize,
    /// The operator's index in its graph.
    pub operator: usize,
    /// The operator's name.
    pub name: String,
    /// Whether the target is known to refuse; otherwise the types were never tried.
    pub is_certain: bool,
    /// What is in the way.
    pub reason: String,
}

/// An operand or a result whose type decides whether an operator runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The operand at a position.
    Input(usize),
    /// The first result.
    FirstOutput,
}

impl Target {
    /// Every target.
    pub const ALL: [Self; 3] = [Self::TfLite, Self::TfLiteMicro, Self::EthosU];

    /// What is in the way of running a model on the target: nothing where it is known to run. All graphs count.
    pub fn check(self, model: &Model<'_>) -> Vec<Obstacle> {
        let operators = model.graphs.iter().enumerate().flat_map(|(index, graph)| {
            graph.operators.iter().enumerate().map(move |(place, operator)| (index, graph, place, operator))
        });
        let obstacle = |(graph_index, graph, place, operator): (usize, &Graph<'_>, usize, &Operator)| {
            let refusal = self.check_operator(graph, operator).err()?;
            let name = operator.op.name().into();
            let Refusal { is_certain, reason } = refusal;
            Some(Obstacle { graph: graph_index, operator: place, name, is_certain, reason })
        };
        operators.filter_map(obstacle).collect()
    }

    /// Whether the target is known to compute a kind of operator on operands and results of the given types; an operand
    /// that is left out does not decide.
    pub fn computes(self, op: &Op, element_type: impl Fn(Place) -> Option<ElementType>) -> bool {
        Known::of(op.name()).is_some_and(|known| known.types(self).check(element_type).is_ok())
    }

    fn check_operator(self, graph: &Graph<'_>, operator: &Operator) -> Result<(), Refusal> {
        if operator.op.code() == CUSTOM {
            return Err(Refusal::certain("custom operators run only in programs that bring them"));
        }
        let Some(known) = Known::of(operator.op.name()) else {
            return Err(Refusal::certain("it does not have the operator"));
        };
        let version = operator.written_version(graph);
        if self == Self::TfLite && version > known.version {
            let reason =
                alloc::format!("version {version} is above {}, the greatest it knows", known.version);
            return Err(Refusal::certain(reason));
        }
        known.types(self).check(|place| place.element_type(graph, operator))?;
        limit(self, graph, operator).map_or(Ok(()), |limit| Err(Refusal::certain(limit)))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::TfLite => "LiteRT 2.3.0",
            Self::TfLiteMicro => "tflite-micro",
            Self::EthosU => "tflite-micro with an Ethos-U",
        })
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "operator {} ({}): {}", self.operator, self.name, self.reason)
    }
}

/// What is in the way of an operator, wherever it stands.
struct Refusal {
    is_certain: bool,
    reason: String,
}

impl Refusal {
    fn certain(reason: impl Into<String>) -> Self {
        Self { is_certain: true, reason: reason.into() }
    }

    fn unknown(reason: impl Into<String>) -> Self {
        Self { is_certain: false, reason: reason.into() }
    }
}

/// The code of operators that are not builtin.
const CUSTOM: i32 = 32;

/// What is known of an operator: a line of the table.
#[derive(Debug)]
struct Known {
    /// Greatest version that LiteRT loads; tflite-micro does not look at versions.
    version: i32,
    tflite: Types,
    micro: Types,
}

impl Known {
    /// The table's line about an operator.
    fn of(name: &str) -> Option<Self> {
        table().find(|line| line.split_whitespace().next() == Some(name)).and_then(Self::parse)
    }

    /// `NAME version operands: types of LiteRT | types of tflite-micro`.
    fn parse(line: &str) -> Option<Self> {
        let (head, types) = line.split_once(':')?;
        let (tflite, micro) = types.split_once('|')?;
        let mut words = head.split_whitespace().skip(1);
        let version = words.next()?.parse().ok()?;
        let operands = words.next()?;
        Some(Self { version, tflite: Types::parse(operands, tflite)?, micro: Types::parse(operands, micro)? })
    }

    fn types(&self, target: Target) -> &Types {
        match target {
            Target::TfLite => &self.tflite,
            Target::TfLiteMicro | Target::EthosU => &self.micro,
        }
    }
}

fn table() -> impl Iterator<Item = &'static str> {
    include_str!("target/runtimes.txt").lines().filter(|line| !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operator_of_the_format_crate_is_in_the_table() {
        for info in Op::TABLE {
            assert!(Known::of(info.name).is_some(), "{}", info.name);
        }
    }

    #[test]
    fn every_line_of_the_table_can_be_read() {
        for line in table() {
            assert!(Known::parse(line).is_some(), "{line}");
        }
    }

    #[test]
    fn types_decide_whether_an_operator_is_computed() {
        let of = |element_type| move |_: Place| Some(element_type);
        assert!(Target::TfLite.computes(&Op::Elu, of(ElementType::Int8)));
        assert!(!Target::TfLite.computes(&Op::Elu, of(ElementType::Int16)));
        assert!(!Target::TfLiteMicro.computes(&Op::Tile, of(ElementType::Float32)));
    }
}
