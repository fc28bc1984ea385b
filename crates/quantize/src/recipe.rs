//! Which operator computes with which precision.

use core::fmt;

use burnlite_tflite::{Graph, Operator};
use serde::{Deserialize, Serialize};

use crate::rules::computes_reals;
use crate::{Error, Scheme};

/// The numbers with which an operator computes. The order is that of what they cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Precision {
    /// As in [`Scheme::Int8`].
    #[serde(rename = "int8")]
    Int8,
    /// As in [`Scheme::Int16x8`].
    #[serde(rename = "16x8")]
    Int16x8,
    /// Floats, as before.
    #[serde(rename = "float32")]
    Float32,
}

impl Precision {
    /// The scheme of these integers; `None` for floats.
    pub const fn scheme(self) -> Option<Scheme> {
        match self {
            Self::Int8 => Some(Scheme::Int8),
            Self::Int16x8 => Some(Scheme::Int16x8),
            Self::Float32 => None,
        }
    }

    /// The precision of a scheme's activations.
    pub(crate) const fn of(scheme: Scheme) -> Self {
        match scheme {
            Scheme::Int8 => Self::Int8,
            Scheme::Int16x8 => Self::Int16x8,
            Scheme::DynamicRange | Scheme::Float16 => Self::Float32,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Int8 => "int8",
            Self::Int16x8 => "16x8",
            Self::Float32 => "float32",
        })
    }
}

/// A precision for each operator of a model: rules, of which the last that names an operator holds, so that general ones
/// stand first. Operators that no rule names have the precision of the [scheme](crate::Quantizer::new).
///
/// Recipes are written in any format that serde has. In TOML:
///
/// ```
/// use burnlite_quantize::{Precision, Recipe, RecipeRule};
///
/// let text = r#"
///     [[rule]]
///     kind = "*CONV_2D"
///     precision = "16x8"
///
///     [[rule]]
///     tensor = "head/*"
///     precision = "float32"
///
///     [[rule]]
///     operator = 7
///     precision = "int8"
/// "#;
/// let recipe: Recipe = toml::from_str(text)?;
/// let same = Recipe::from_iter([
///     RecipeRule::new(Precision::Int16x8).kind("*CONV_2D"),
///     RecipeRule::new(Precision::Float32).tensor("head/*"),
///     RecipeRule::new(Precision::Int8).operator(7),
/// ]);
/// assert_eq!(recipe, same);
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    #[serde(default, rename = "rule")]
    rules: Vec<RecipeRule>,
}

/// The precision of all operators that fit what it says of them. In its patterns `*` stands for any text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeRule {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operator: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tensor: Option<String>,
    pub(crate) precision: Precision,
}

impl Recipe {
    /// The recipe without rules: everything has the precision of the scheme.
    pub(crate) const EMPTY: Self = Self { rules: Vec::new() };

    /// The rules, in their order.
    pub fn rules(&self) -> &[RecipeRule] {
        &self.rules
    }

    /// The scheme of each operator of a float graph, `None` where it stays float. Operators that compute no real numbers
    /// have the given scheme.
    pub(crate) fn schemes(&self, graph: &Graph<'_>, scheme: Scheme) -> Result<Vec<Option<Scheme>>, Error> {
        let mut schemes = vec![Some(scheme); graph.operators.len()];
        for (index, rule) in self.rules.iter().enumerate() {
            let mut is_used = rule.is_general();
            for (place, operator) in graph.operators.iter().enumerate() {
                let is_named = rule.names(graph, place, operator);
                is_used |= is_named;
                if is_named && computes_reals(graph, operator) {
                    schemes[place] = rule.precision.scheme();
                }
            }
            if !is_used {
                return Err(Error::UnusedRule { index, rule: rule.to_string() });
            }
        }
        Ok(schemes)
    }
}

impl FromIterator<RecipeRule> for Recipe {
    fn from_iter<I: IntoIterator<Item = RecipeRule>>(rules: I) -> Self {
        Self { rules: rules.into_iter().collect() }
    }
}

impl RecipeRule {
    /// The rule for every operator.
    pub const fn new(precision: Precision) -> Self {
        Self { operator: None, kind: None, tensor: None, precision }
    }

    /// The same for the operator of the given index in the float model alone.
    pub fn operator(self, index: usize) -> Self {
        Self { operator: Some(index), ..self }
    }

    /// The same for operators alone whose kind fits a pattern: `CONV_2D`, `*POOL_2D`.
    pub fn kind(self, pattern: impl Into<String>) -> Self {
        Self { kind: Some(pattern.into()), ..self }
    }

    /// The same for operators alone that compute a tensor whose name fits a pattern.
    pub fn tensor(self, pattern: impl Into<String>) -> Self {
        Self { tensor: Some(pattern.into()), ..self }
    }

    fn is_general(&self) -> bool {
        self.operator.is_none() && self.kind.is_none() && self.tensor.is_none()
    }

    /// Whether an operator of a graph fits everything that the rule says.
    fn names(&self, graph: &Graph<'_>, index: usize, operator: &Operator) -> bool {
        let computes = |pattern: &String| {
            let mut results = operator.outputs.iter().map(|id| &graph.tensors[id.index()].name);
            results.any(|name| fits(pattern, name))
        };
        self.operator.is_none_or(|only| only == index)
            && self.kind.as_ref().is_none_or(|pattern| fits(pattern, operator.op.name()))
            && self.tensor.as_ref().is_none_or(computes)
    }
}

impl fmt::Display for RecipeRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} for ", self.precision)?;
        if self.is_general() {
            return formatter.write_str("everything");
        }
        let operator = self.operator.map(|index| format!("operator {index}"));
        let kind = self.kind.as_ref().map(|pattern| format!("kind '{pattern}'"));
        let tensor = self.tensor.as_ref().map(|pattern| format!("tensor '{pattern}'"));
        let criteria: Vec<String> = [operator, kind, tensor].into_iter().flatten().collect();
        formatter.write_str(&criteria.join(", "))
    }
}

/// Whether a text fits a pattern, in which `*` stands for any text.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        // The earliest place leaves the most for what follows.
        let Some(place) = text.find(part) else { return false };
        text = &text[place + part.len()..];
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text) in [
            ("", ""),
            ("*", ""),
            ("a", "a"),
            ("*", "anything"),
            ("a*", "a"),
            ("a*c", "abc"),
            ("*b*", "abc"),
            ("a*b*b", "abcbb"),
            ("*é*", "caférie"),
            ("a*b", "a*b"),
            ("**", "x"),
        ] {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("a", "A"),
            ("a*a", "a"),
            ("a*bc*c", "abc"),
            ("*b", "bc"),
            ("b*", "ab"),
            ("*x*", "abc"),
        ] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn toml_is_read_as_it_is_written() {
        let recipe = Recipe::from_iter([
            RecipeRule::new(Precision::Int8),
            RecipeRule::new(Precision::Int16x8).operator(3).tensor("a/b;*"),
            RecipeRule::new(Precision::Float32).kind("SOFTMAX"),
        ]);
        let text = toml::to_string(&recipe).unwrap();
        assert_eq!(toml::from_str::<Recipe>(&text), Ok(recipe), "{text}");
        assert_eq!(toml::from_str::<Recipe>(""), Ok(Recipe::default()));
    }

    #[test]
    fn other_words_are_refused() {
        for (text, message) in [
            ("[[rule]]\nprecision = \"int4\"", "unknown variant `int4`"),
            ("[[rule]]\nkind = \"CONV_2D\"", "missing field `precision`"),
            ("[[rule]]\nprecision = \"int8\"\nname = \"x\"", "unknown field `name`"),
            ("[[rules]]\nprecision = \"int8\"", "unknown field `rules`"),
            ("[[rule]]\nprecision = \"int8\"\noperator = -1", "invalid value"),
            ("[[rule]", "TOML parse error"),
        ] {
            let error = toml::from_str::<Recipe>(text).unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
