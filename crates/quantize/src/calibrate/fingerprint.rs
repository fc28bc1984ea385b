//! What tells one model from another.

use burnlite_tflite::Graph;

/// A number that two models share only when they compute the same from the same constants.
///
/// It is the 64-bit FNV-1a hash of the graph's tensors (names, types, and shapes and bytes of constants), of its
/// operators and of how they are joined. Shapes of activations are left out, for a model may be calibrated with another
/// batch than its file's, and ranges too, for they are what calibration finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(super) struct Fingerprint(u64);

impl Fingerprint {
    pub(super) fn of(graph: &Graph<'_>) -> Self {
        let mut hash = Fnv::default();
        for tensor in &graph.tensors {
            hash.text(&tensor.name);
            hash.text(tensor.element_type.name());
            if let Some(data) = &tensor.data {
                hash.numbers(&tensor.shape);
                hash.part(data);
            }
        }
        for operator in &graph.operators {
            hash.text(operator.op.name());
            let inputs = operator.inputs.iter().map(|id| id.map_or(0, |id| id.index() + 1));
            hash.numbers(&inputs.collect::<Vec<_>>());
            hash.numbers(&operator.outputs.iter().map(|id| id.index()).collect::<Vec<_>>());
        }
        for ids in [&graph.inputs, &graph.outputs] {
            hash.numbers(&ids.iter().map(|id| id.index()).collect::<Vec<_>>());
        }
        Self(hash.0)
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        format!("{:016x}", fingerprint.0)
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        u64::from_str_radix(&text, 16).map(Self).map_err(|_| format!("'{text}' is no hash of a model"))
    }
}

/// FNV-1a over parts, each with its length, so that `ab` and `c` differ from `a` and `bc`.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn bytes(&mut self, bytes: &[u8]) {
        let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        self.0 = bytes.iter().fold(self.0, step);
    }

    fn number(&mut self, number: usize) {
        self.bytes(&(number as u64).to_le_bytes());
    }

    fn part(&mut self, bytes: &[u8]) {
        self.number(bytes.len());
        self.bytes(bytes);
    }

    fn text(&mut self, text: &str) {
        self.part(text.as_bytes());
    }

    fn numbers(&mut self, numbers: &[usize]) {
        self.number(numbers.len());
        numbers.iter().for_each(|&number| self.number(number));
    }
}

#[cfg(test)]
mod tests {
    use burnlite_tflite::{ElementType, Op, Operator, Range, Tensor};

    use super::*;

    #[test]
    fn the_hash_is_fnv_1a() {
        let hash = |text: &str| {
            let mut hash = Fnv::default();
            hash.bytes(text.as_bytes());
            hash.0
        };
        // Of the authors' test vectors, `http://www.isthe.com/chongo/src/fnv/test_fnv.c`.
        assert_eq!(
            [hash(""), hash("a"), hash("foobar")],
            [0xcbf2_9ce4_8422_2325, 0xaf63_dc4c_8601_ec8c, 0x8594_4171_f739_67e8]
        );
    }

    #[test]
    fn what_is_computed_counts_and_what_is_found_does_not() {
        let mut graph = Graph::default();
        let x = graph.add_tensor(Tensor::new("x", ElementType::Float32, [1, 2]));
        let c = graph.add_tensor(Tensor::constant("c", [2], &[0.5f32, 1.0]));
        let y = graph.add_tensor(Tensor::new("y", ElementType::Float32, [1, 2]));
        graph.operators.push(Operator::new(Op::Minimum, [x, c], [y]));
        (graph.inputs, graph.outputs) = (vec![x], vec![y]);
        let changed = |change: fn(&mut Graph<'static>)| {
            let mut graph = graph.clone();
            change(&mut graph);
            Fingerprint::of(&graph)
        };
        let found = |graph: &mut Graph<'_>| {
            graph.tensors[0].shape = vec![7, 2];
            graph.tensors[2].range = Some(Range { min: vec![0.0], max: vec![1.0] });
        };
        assert_eq!(changed(found), Fingerprint::of(&graph));
        let computed: [fn(&mut Graph<'static>); 4] = [
            |graph| graph.tensors[1] = Tensor::constant("c", [2], &[0.5f32, 2.0]),
            |graph| graph.tensors[1] = Tensor::constant("c", [2, 1], &[0.5f32, 1.0]),
            |graph| graph.operators[0].op = Op::Maximum,
            |graph| graph.operators[0].inputs.swap(0, 1),
        ];
        for change in computed {
            assert_ne!(changed(change), Fingerprint::of(&graph));
        }
        let fingerprint = changed(|_| ());
        assert_eq!(Fingerprint::try_from(String::from(fingerprint)), Ok(fingerprint));
    }
}
