//! A module with samples, exported, and what Burn computes from them.

use burn::backend::DType;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use burnlite_export::{Exporter, ImageLayout, Lowering, TensorKind, Tensors};
use burnlite_tests::Array;

/// The batches that a case is compared with.
const BATCHES: [usize; 2] = [1, 3];

/// A module with samples, ready to be exported.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    export: Box<dyn Fn() -> Result<Exported, burnlite_export::Error>>,
}

/// An exported module.
pub(crate) struct Exported {
    pub(crate) bytes: Vec<u8>,
    pub(crate) lowerings: Vec<Lowering>,
    pub(crate) samples: Vec<Sample>,
}

/// Inputs of one batch, and what Burn makes of them.
pub(crate) struct Sample {
    pub(crate) inputs: Vec<Array>,
    pub(crate) outputs: Vec<Array>,
}

/// What a module takes or gives, as arrays.
pub(crate) trait Arrays: Tensors {
    /// The first `batch` rows.
    fn rows(self, batch: usize) -> Self;

    /// The arrays, images in the given order of dimensions.
    fn arrays(self, layout: ImageLayout) -> Vec<Array>;
}

/// How a case's module is exported.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Setup {
    /// Images stay in Burn's order.
    Plain,
    /// Images are `[N, H, W, C]` in the file.
    Nhwc,
    /// LSTMs are one operator, for the batch of the sample alone.
    Fused,
}

impl Case {
    /// A module that is exported as it is.
    pub(crate) fn new<M: Module + 'static, I: Arrays + 'static, O: Arrays>(
        name: &'static str,
        module: M,
        sample: I,
        forward: impl Fn(&M, I) -> O + 'static,
    ) -> Self {
        Self::with(Setup::Plain, name, module, sample, forward)
    }

    /// A module that is exported in the given way.
    pub(crate) fn with<M: Module + 'static, I: Arrays + 'static, O: Arrays>(
        setup: Setup,
        name: &'static str,
        module: M,
        sample: I,
        forward: impl Fn(&M, I) -> O + 'static,
    ) -> Self {
        let layout = if setup == Setup::Nhwc { ImageLayout::Nhwc } else { ImageLayout::Nchw };
        let exporter = Exporter::new().layout(layout).fuse_lstm(setup == Setup::Fused);
        let samples = match setup {
            Setup::Fused => vec![sample],
            Setup::Plain | Setup::Nhwc => BATCHES.map(|batch| sample.clone().rows(batch)).into(),
        };
        let module = numbered(module);
        let export = move || {
            let (model, lowerings) = exporter.export_explained(&module, samples[0].clone(), &forward)?;
            let sample = |inputs: &I| Sample {
                outputs: forward(&module, inputs.clone()).arrays(layout),
                inputs: inputs.clone().arrays(layout),
            };
            Ok(Exported {
                bytes: model.to_bytes()?,
                lowerings,
                samples: samples.iter().map(sample).collect(),
            })
        };
        Self { name, export: Box::new(export) }
    }

    /// The exported module.
    pub(crate) fn export(&self) -> Exported {
        (self.export)().unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

/// A tensor of numbers in -1..1 without a pattern that a wrong permutation could hide in.
pub(crate) fn numbers<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let len: usize = shape.iter().product();
    let number = |index: usize| ((index * 7919 + len * 31) % 2003) as f32 / 1001.5 - 1.0;
    Tensor::from_data(TensorData::new((0..len).map(number).collect(), shape), &Device::flex())
}

/// A parameter of such numbers.
pub(crate) fn parameter<const D: usize>(shape: [usize; D]) -> Param<Tensor<D>> {
    Param::from_tensor(numbers(shape))
}

/// `module` with parameters that are numbered.
pub(crate) fn numbered<M: Module>(module: M) -> M {
    module.map(&mut Numbered::default())
}

/// Gives every parameter numbers that are the same on every run, and such that activations neither vanish nor grow.
#[derive(Default)]
struct Numbered {
    path: Vec<String>,
}

impl ModuleMapper for Numbered {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.val().dims();
        let fan_in = match D {
            0 | 1 => 10,
            2 => shape[0],
            _ => shape[1..].iter().product(),
        };
        let numbers = numbers(shape);
        let numbers = match self.path.last().map(String::as_str) {
            Some("running_var" | "gamma") => numbers * 0.4 + 1.0,
            _ => numbers * (3.0 / fan_in as f64).sqrt(),
        };
        param.map(|_| numbers)
    }
}

impl<const D: usize, K: TensorKind> Arrays for Tensor<D, K> {
    fn rows(self, batch: usize) -> Self {
        self.narrow(0, 0, batch)
    }

    fn arrays(self, layout: ImageLayout) -> Vec<Array> {
        let tensor = match layout {
            ImageLayout::Nhwc if D == 4 => self.swap_dims(1, 2).swap_dims(2, 3),
            _ => self,
        };
        let data = tensor.into_data();
        let shape = [&[1], data.shape().as_slice()].concat();
        vec![match data.dtype() {
            DType::F32 => Array::Float32(shape, data.iter::<f32>().collect()),
            DType::I64 => Array::Int64(shape, data.iter::<i64>().collect()),
            DType::I32 => Array::Int32(shape, data.iter::<i32>().collect()),
            DType::Bool(_) => Array::Bool(shape, data.iter::<u8>().collect()),
            other => panic!("{other:?} is not in use"),
        }]
    }
}

impl<A: Arrays, B: Arrays> Arrays for (A, B) {
    fn rows(self, batch: usize) -> Self {
        (self.0.rows(batch), self.1.rows(batch))
    }

    fn arrays(self, layout: ImageLayout) -> Vec<Array> {
        [self.0.arrays(layout), self.1.arrays(layout)].concat()
    }
}
