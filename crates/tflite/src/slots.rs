//! Field numbers of the file's tables (options have theirs in `options.rs`). Facts of the format.

macro_rules! slots {
    ($($table:ident { $($field:ident = $slot:literal),* $(,)? })*) => {
        $(pub(crate) mod $table { $(pub(crate) const $field: u16 = $slot;)* })*
    };
}

slots! {
    model {
        VERSION = 0, OPERATOR_CODES = 1, SUBGRAPHS = 2, DESCRIPTION = 3, BUFFERS = 4, METADATA = 6, SIGNATURE_DEFS = 7,
    }
    operator_code { DEPRECATED_BUILTIN_CODE = 0, CUSTOM_CODE = 1, VERSION = 2, BUILTIN_CODE = 3 }
    subgraph { TENSORS = 0, INPUTS = 1, OUTPUTS = 2, OPERATORS = 3, NAME = 4 }
    tensor {
        SHAPE = 0, TYPE = 1, BUFFER = 2, NAME = 3, QUANTIZATION = 4, IS_VARIABLE = 5, SPARSITY = 6,
        SHAPE_SIGNATURE = 7, HAS_RANK = 8, EXTERNAL_BUFFER = 10,
    }
    quantization { MIN = 0, MAX = 1, SCALE = 2, ZERO_POINT = 3, DIMENSION = 6 }
    operator {
        OPCODE_INDEX = 0, INPUTS = 1, OUTPUTS = 2, OPTIONS_TYPE = 3, OPTIONS = 4, INTERMEDIATES = 8,
    }
    buffer { DATA = 0, OFFSET = 1, SIZE = 2 }
    metadata { NAME = 0, BUFFER = 1 }
    signature { INPUTS = 0, OUTPUTS = 1, KEY = 2, SUBGRAPH = 4 }
    tensor_map { NAME = 0, TENSOR = 1 }
}
