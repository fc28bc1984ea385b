//! Plain loops, compiled for an instruction set: the same arithmetic in wider vectors.

use crate::error::OperatorFault;
use crate::frame::{Inputs, Writable};
use crate::kernels::vectors::{Task, Vectors};
use crate::kernels::{Engine, Kernels};
use crate::plan::{Kernel, MaxPooling};

/// A kernel without instructions of its own, which the compiler vectorizes. Its `run` must be inlined, and what it calls.
#[derive(Debug)]
pub(crate) struct Vectorized<K> {
    engine: Engine,
    kernel: K,
}

impl<K> Vectorized<K> {
    pub(crate) fn new(kernels: Kernels, kernel: K) -> Self {
        Self { engine: kernels.engine().unwrap_or_default(), kernel }
    }
}

impl<K: Kernel> Kernel for Vectorized<K> {
    fn run(&self, inputs: &Inputs<'_>, writable: &mut Writable<'_>) -> Result<(), OperatorFault> {
        self.engine.run_plain(Run { kernel: &self.kernel, inputs, writable })
    }

    fn kernels(&self) -> Kernels {
        self.engine.kernels()
    }

    fn table_bytes(&self) -> usize {
        self.kernel.table_bytes()
    }

    fn pooling(&self) -> Option<MaxPooling> {
        self.kernel.pooling()
    }
}

struct Run<'r, 'i, 'w, K> {
    kernel: &'r K,
    inputs: &'r Inputs<'i>,
    writable: &'r mut Writable<'w>,
}

impl<K: Kernel> Task for Run<'_, '_, '_, K> {
    type Output = Result<(), OperatorFault>;

    #[inline(always)]
    fn run<V: Vectors>(self, _vectors: V) -> Self::Output {
        self.kernel.run(self.inputs, self.writable)
    }
}
