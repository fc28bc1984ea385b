//! Since when the official interpreter has had an operator.

use alloc::string::{String, ToString};

use crate::Model;

impl Model<'_> {
    /// The first release of TensorFlow whose interpreter has all operators of the model in the versions in which they are
    /// [written](Model::to_bytes), such as `2.3.0`: what the metadata entry `min_runtime_version` says. `None` without
    /// operators that are known.
    ///
    /// Of an operator version that is not listed, the latest that is counts.
    pub fn min_runtime_version(&self) -> Option<String> {
        let operators = self
            .graphs
            .iter()
            .flat_map(|graph| graph.operators.iter().map(move |operator| (graph, operator)));
        let releases = operators
            .filter_map(|(graph, operator)| release(operator.op.name(), operator.written_version(graph)));
        releases.max_by_key(|release| numbers(release)).map(ToString::to_string)
    }
}

/// The first release that has an operator in a version.
fn release(name: &str, version: i32) -> Option<&'static str> {
    let line = include_str!("runtimes.txt").lines().find(|line| line.split(' ').next() == Some(name))?;
    let version = usize::try_from(version).unwrap_or(1).max(1);
    line.split(' ').skip(1).take(version).last()
}

/// `2.13.0` as numbers, which compare as releases do.
fn numbers(release: &str) -> [u32; 3] {
    let mut numbers = release.split('.').map(|number| number.parse().unwrap_or(0));
    core::array::from_fn(|_| numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;

    #[test]
    fn the_releases_of_every_operator_can_be_read() {
        for info in Op::TABLE {
            let first = release(info.name, 1).unwrap_or_else(|| panic!("{}", info.name));
            assert!(numbers(first) >= [1, 5, 0], "{} {first}", info.name);
        }
    }

    #[test]
    fn later_versions_came_with_later_releases() {
        assert_eq!(release("ADD", 3), Some("2.4.0"));
        assert_eq!(release("FULLY_CONNECTED", 14), Some("2.17.0"));
        assert!(numbers("2.11.0") > numbers("2.9.0"));
    }
}
