//! In which types a runtime has an operator.

use alloc::vec::Vec;

use super::{Place, Refusal};
use crate::{ElementType, Graph, Operator, TensorId};

/// The element types that an operator takes: alternatives, each with a list of types for every operand that decides.
#[derive(Debug)]
pub(super) struct Types {
    operands: Vec<Place>,
    support: Support,
}

#[derive(Debug)]
enum Support {
    /// The runtime does not have the operator.
    Absent,
    /// The runtime has the operator; its types were not tried.
    Untried,
    /// The types do not matter.
    Any,
    Alternatives(Vec<Vec<Vec<ElementType>>>),
}

/// Types that were tried with every operator. Of others nothing is known.
const TRIED: [(&str, ElementType); 12] = [
    ("f16", ElementType::Float16),
    ("f32", ElementType::Float32),
    ("f64", ElementType::Float64),
    ("i8", ElementType::Int8),
    ("i16", ElementType::Int16),
    ("i32", ElementType::Int32),
    ("i64", ElementType::Int64),
    ("u8", ElementType::UInt8),
    ("u16", ElementType::UInt16),
    ("u32", ElementType::UInt32),
    ("u64", ElementType::UInt64),
    ("bool", ElementType::Bool),
];

impl Types {
    /// Reads `operands` such as `0`, `0,1` or `0,>`, and `types`: `-`, `?`, `any` (see [`Support`]), or alternatives
    /// apart by spaces, such as `f32/f32,i8 i16/i8`, which has a list for each operand.
    pub(super) fn parse(operands: &str, types: &str) -> Option<Self> {
        let operands: Vec<Place> = operands.split(',').map(Place::parse).collect::<Option<_>>()?;
        let support = match types.trim() {
            "-" => Support::Absent,
            "?" => Support::Untried,
            "any" => Support::Any,
            alternatives => {
                let alternatives: Vec<Vec<Vec<ElementType>>> =
                    alternatives.split_whitespace().map(alternative).collect::<Option<_>>()?;
                if alternatives.iter().any(|lists| lists.len() != operands.len()) {
                    return None;
                }
                Support::Alternatives(alternatives)
            }
        };
        Some(Self { operands, support })
    }

    /// Whether the operator runs where its operands and results have the given types; otherwise what is known, and why.
    pub(super) fn check(&self, element_type: impl Fn(Place) -> Option<ElementType>) -> Result<(), Refusal> {
        let alternatives = match &self.support {
            Support::Absent => return Err(Refusal::certain("it does not have the operator")),
            Support::Any => return Ok(()),
            Support::Untried => return Err(Refusal::unknown("its types were never tried")),
            Support::Alternatives(alternatives) => alternatives,
        };
        let types: Vec<Option<ElementType>> =
            self.operands.iter().map(|&place| element_type(place)).collect();
        let fits = |lists: &Vec<Vec<ElementType>>| {
            // An operand that is left out does not decide.
            lists.iter().zip(&types).all(|(list, found)| found.is_none_or(|found| list.contains(&found)))
        };
        if alternatives.iter().any(fits) {
            return Ok(());
        }
        let names: Vec<_> = types.iter().flatten().map(|element_type| element_type.name()).collect();
        let names = names.join(" with ");
        if types.iter().flatten().all(|found| TRIED.iter().any(|(_, tried)| tried == found)) {
            Err(Refusal::certain(alloc::format!("it does not take {names}")))
        } else {
            Err(Refusal::unknown(alloc::format!("{names} was never tried")))
        }
    }
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        if text == ">" { Some(Self::FirstOutput) } else { text.parse().ok().map(Self::Input) }
    }

    pub(super) fn element_type(self, graph: &Graph<'_>, operator: &Operator) -> Option<ElementType> {
        let id: Option<TensorId> = match self {
            Self::Input(position) => operator.inputs.get(position).copied().flatten(),
            Self::FirstOutput => operator.outputs.first().copied(),
        };
        id.and_then(|id| graph.tensor(id)).map(|tensor| tensor.element_type)
    }
}

/// `f32/f32,i8`: a list of types for each operand.
fn alternative(text: &str) -> Option<Vec<Vec<ElementType>>> {
    let element_type = |name: &str| TRIED.iter().find(|(known, _)| *known == name).map(|(_, found)| *found);
    text.split('/').map(|list| list.split(',').map(element_type).collect()).collect()
}
