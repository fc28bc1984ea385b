//! What a forward pass takes and returns.

use burn::backend::capture::{CaptureBackend, TensorId};
use burn::tensor::kind::Autodiff;
use burn::tensor::{Bool, Device, Float, Int, Tensor, TensorData};

use crate::Error;

/// Tensors that a forward pass takes or returns: one tensor; several in a tuple, an array or a vector; or a type of
/// your own.
///
/// # Example
///
/// ```
/// use burn::tensor::Tensor;
/// use burnlite_export::{TensorMap, Tensors};
///
/// #[derive(Clone)]
/// struct Detections {
///     boxes: Tensor<3>,
///     scores: Tensor<2>,
/// }
///
/// impl Tensors for Detections {
///     fn map(self, map: &mut TensorMap) -> Self {
///         Self { boxes: map.tensor(self.boxes), scores: map.tensor(self.scores) }
///     }
/// }
/// ```
pub trait Tensors: Clone {
    /// The same value with every tensor passed through [`TensorMap::tensor`], in the order of their names.
    fn map(self, map: &mut TensorMap) -> Self;
}

/// What [`Tensors::map`] passes every tensor through.
#[derive(Debug)]
pub struct TensorMap(Task);

#[derive(Debug)]
enum Task {
    /// Give the tensors that are marked a batch of this size, and note where that cannot be.
    Batch { size: usize, marks: Vec<bool>, position: usize, empty: Option<usize> },
    /// Note the device of the first tensor.
    Locate(Option<Device>),
    /// Take the tensors out of what gradients are made of.
    Detach,
    /// Move the tensors to a device.
    Move(Device),
    /// Read the tensors' elements.
    Read(Vec<TensorData>),
    /// Note the captured tensors; `None` for one that was not captured.
    Identify(Vec<Option<TensorId>>),
}

impl TensorMap {
    /// The tensor that takes the place of `tensor`.
    pub fn tensor<const D: usize, K: TensorKind>(&mut self, tensor: Tensor<D, K>) -> Tensor<D, K> {
        match &mut self.0 {
            Task::Batch { size, marks, position, empty } => {
                let marked = marks.get(*position).copied().unwrap_or(true);
                *position += 1;
                match tensor.dims().first() {
                    Some(0) if marked => {
                        empty.get_or_insert(*position - 1);
                        tensor
                    }
                    Some(_) if marked => tensor.narrow(0, 0, 1).repeat_dim(0, *size),
                    _ => tensor,
                }
            }
            Task::Locate(device) => {
                device.get_or_insert_with(|| tensor.device());
                tensor
            }
            Task::Detach => tensor.without_autodiff(),
            Task::Move(device) => tensor.without_autodiff().to_device(device),
            Task::Read(data) => {
                data.push(tensor.to_data());
                tensor
            }
            Task::Identify(ids) => {
                ids.push(K::captured(tensor.clone()));
                tensor
            }
        }
    }
}

/// `tensors` with a batch of `size`: their first rows, repeated. Tensors whose mark is `false` stay as they are.
pub(crate) fn batched<T: Tensors>(tensors: T, size: usize, marks: &[bool]) -> Result<T, Error> {
    let mut map = TensorMap(Task::Batch { size, marks: marks.to_vec(), position: 0, empty: None });
    let tensors = tensors.map(&mut map);
    match map.0 {
        Task::Batch { empty: Some(position), .. } => Err(Error::EmptySample { position }),
        _ => Ok(tensors),
    }
}

/// `tensors` on another device.
pub(crate) fn moved<T: Tensors>(tensors: T, device: &Device) -> T {
    tensors.map(&mut TensorMap(Task::Move(device.clone())))
}

/// The elements of `tensors`.
pub(crate) fn read<T: Tensors>(tensors: T) -> Vec<TensorData> {
    let mut map = TensorMap(Task::Read(Vec::new()));
    tensors.map(&mut map);
    match map.0 {
        Task::Read(data) => data,
        _ => Vec::new(),
    }
}

/// The device of the first of `tensors`.
pub(crate) fn located<T: Tensors>(tensors: T) -> Option<Device> {
    let mut map = TensorMap(Task::Locate(None));
    tensors.map(&mut map);
    match map.0 {
        Task::Locate(device) => device,
        _ => None,
    }
}

/// `tensors` without gradients.
pub(crate) fn detached<T: Tensors>(tensors: T) -> T {
    tensors.map(&mut TensorMap(Task::Detach))
}

/// What the capture calls each of `tensors`; `None` for one that it has not seen.
pub(crate) fn identified<T: Tensors>(tensors: T) -> Vec<Option<TensorId>> {
    let mut map = TensorMap(Task::Identify(Vec::new()));
    tensors.map(&mut map);
    match map.0 {
        Task::Identify(ids) => ids,
        _ => Vec::new(),
    }
}

/// The kinds of tensors: [`Float`], [`Int`] and [`Bool`].
pub trait TensorKind: Autodiff {
    /// What the capture calls the tensor; `None` for one that it has not seen.
    #[doc(hidden)]
    fn captured<const D: usize>(tensor: Tensor<D, Self>) -> Option<TensorId>
    where
        Self: Sized;
}

macro_rules! kinds {
    ($($kind:ty),*) => {$(
        impl TensorKind for $kind {
            fn captured<const D: usize>(tensor: Tensor<D, Self>) -> Option<TensorId> {
                tensor.try_into_primitive::<CaptureBackend>().ok().map(|primitive| primitive.id())
            }
        }
    )*};
}

kinds!(Float, Int, Bool);

impl<const D: usize, K: TensorKind> Tensors for Tensor<D, K> {
    fn map(self, map: &mut TensorMap) -> Self {
        map.tensor(self)
    }
}

impl<T: Tensors> Tensors for Vec<T> {
    fn map(self, map: &mut TensorMap) -> Self {
        self.into_iter().map(|tensors| tensors.map(map)).collect()
    }
}

impl<T: Tensors, const N: usize> Tensors for [T; N] {
    fn map(self, map: &mut TensorMap) -> Self {
        self.map(|tensors| tensors.map(map))
    }
}

macro_rules! tuples {
    ($(($($part:ident)*))*) => {$(
        impl<$($part: Tensors),*> Tensors for ($($part,)*) {
            #[expect(non_snake_case, reason = "the parts are named after their types")]
            fn map(self, map: &mut TensorMap) -> Self {
                let ($($part,)*) = self;
                ($($part.map(map),)*)
            }
        }
    )*};
}

tuples! { (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) }
