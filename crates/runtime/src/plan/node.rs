//! What an operator's planning sees: its options, and its operands with their shapes as far as they are resolved.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use burnlite_tflite::{Element, ElementType, Graph, Op, Operator, Quantization, Tensor, TensorId};

use crate::error::OperatorFault;
use crate::interpreter::InterpreterOptions;

/// An operator that is being planned.
pub(crate) struct Node<'p> {
    pub(crate) graph: &'p Graph<'p>,
    pub(crate) operator: &'p Operator,
    pub(crate) shapes: &'p [Vec<usize>],
    /// Who reads each tensor.
    pub(crate) readers: &'p [Reader],
    pub(crate) constants: &'p dyn Fn(TensorId) -> Option<&'p [u8]>,
    pub(crate) options: &'p InterpreterOptions,
}

/// Who reads a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    Nobody,
    /// One operator, once.
    Operator(usize),
    /// Several, or one several times, or the caller.
    Others,
}

impl Reader {
    /// For each of the graph's tensors.
    pub(crate) fn all(graph: &Graph<'_>) -> Vec<Self> {
        let mut readers = alloc::vec![Self::Nobody; graph.tensors.len()];
        for (index, operator) in graph.operators.iter().enumerate() {
            for id in operator.inputs.iter().flatten() {
                let reader = &mut readers[id.index()];
                *reader = if *reader == Self::Nobody { Self::Operator(index) } else { Self::Others };
            }
        }
        graph.outputs.iter().for_each(|id| readers[id.index()] = Self::Others);
        readers
    }
}

/// A tensor as an operator's operand or result.
#[derive(Clone, Copy)]
pub(crate) struct Operand<'p> {
    pub(crate) tensor: &'p Tensor<'p>,
    pub(crate) shape: &'p [usize],
    constant: Option<&'p [u8]>,
}

impl<'p> Node<'p> {
    /// Whether the result goes into the maximum over windows that do not overlap, and nowhere else: the operator's kernel may
    /// then be asked to compute that at once.
    pub(crate) fn is_pooled(&self) -> bool {
        let &[result] = &self.operator.outputs[..] else { return false };
        let Reader::Operator(reader) = self.readers[result.index()] else { return false };
        let is_pooled = match &self.graph.operators[reader].op {
            Op::MaxPool2d(pooling) => {
                pooling.stride_h >= pooling.filter_h && pooling.stride_w >= pooling.filter_w
            }
            _ => false,
        };
        is_pooled && !self.options.keep_intermediates
    }

    /// The operand at the given position.
    pub(crate) fn input(&self, position: usize) -> Result<Operand<'p>, OperatorFault> {
        self.optional_input(position).ok_or(OperatorFault::Missing { what: "input", position })
    }

    /// The operand at the given position, unless it is left out.
    pub(crate) fn optional_input(&self, position: usize) -> Option<Operand<'p>> {
        self.operator.inputs.get(position).copied().flatten().map(|id| self.operand(id))
    }

    /// The result at the given position. Its shape is not known yet.
    pub(crate) fn output(&self, position: usize) -> Result<Operand<'p>, OperatorFault> {
        let id = self.operator.outputs.get(position).copied();
        id.map(|id| self.operand(id)).ok_or(OperatorFault::Missing { what: "output", position })
    }

    /// The tensor at the given position that carries the quantization of an inner result.
    pub(crate) fn intermediate(&self, position: usize) -> Result<Operand<'p>, OperatorFault> {
        let id = self.operator.intermediates.get(position).copied();
        id.map(|id| self.operand(id)).ok_or(OperatorFault::Missing { what: "intermediate", position })
    }

    /// The element types do not go together.
    pub(crate) fn types_fault(&self) -> OperatorFault {
        let inputs = self.operator.inputs.iter().flatten();
        let types =
            inputs.chain(&self.operator.outputs).map(|&id| self.operand(id).tensor.element_type).collect();
        OperatorFault::Types { types }
    }

    fn operand(&self, id: TensorId) -> Operand<'p> {
        let tensor = &self.graph.tensors[id.index()];
        Operand { tensor, shape: &self.shapes[id.index()], constant: (self.constants)(id) }
    }
}

impl<'p> Operand<'p> {
    pub(crate) fn element_type(&self) -> ElementType {
        self.tensor.element_type
    }

    pub(crate) fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// The shape, which must have `N` dimensions.
    pub(crate) fn dimensions<const N: usize>(&self) -> Result<[usize; N], OperatorFault> {
        self.shape.try_into().map_err(|_| OperatorFault::Shape {
            what: alloc::format!("tensor '{}' must have {N} dimensions", self.tensor.name),
            found: self.shape.into(),
        })
    }

    /// The tensor must have one element, in whatever shape.
    pub(crate) fn require_one_element(&self) -> Result<(), OperatorFault> {
        if self.elements() == 1 {
            return Ok(());
        }
        let what = alloc::format!("tensor '{}' must have one element", self.tensor.name);
        Err(OperatorFault::Shape { what, found: self.shape.into() })
    }

    /// The operand must have the given shape.
    pub(crate) fn require_shape(&self, expected: &[usize]) -> Result<(), OperatorFault> {
        if self.shape == expected {
            return Ok(());
        }
        Err(OperatorFault::Shape {
            what: alloc::format!("tensor '{}' must have the shape {expected:?}", self.tensor.name),
            found: self.shape.into(),
        })
    }

    /// The elements of a constant, copied.
    pub(crate) fn constant<T: Element>(&self) -> Result<Vec<T>, OperatorFault> {
        self.constant_elements().map(Cow::into_owned)
    }

    /// The elements of a constant, where they lie if that is aligned.
    pub(crate) fn constant_elements<T: Element>(&self) -> Result<Cow<'p, [T]>, OperatorFault> {
        let name = || self.tensor.name.clone();
        let bytes = self.constant.ok_or_else(|| OperatorFault::NotConstant { tensor: name() })?;
        if self.element_type().storage() != T::TYPE {
            return Err(OperatorFault::Types { types: [self.element_type()].into() });
        }
        Ok(match bytemuck::try_cast_slice(bytes) {
            Ok(elements) => Cow::Borrowed(elements),
            Err(_) => Cow::Owned(bytemuck::pod_collect_to_vec(bytes)),
        })
    }

    /// The one element of a constant.
    pub(crate) fn scalar<T: Element>(&self) -> Result<T, OperatorFault> {
        self.require_one_element()?;
        Ok(self.constant()?[0])
    }

    /// The integers of a constant that holds axes, extents or positions, in 32 or 64 bits.
    pub(crate) fn indices(&self) -> Result<Vec<i64>, OperatorFault> {
        match self.element_type() {
            ElementType::Int64 => self.constant(),
            _ => Ok(self.constant::<i32>()?.into_iter().map(i64::from).collect()),
        }
    }

    /// The one integer of a constant that holds an axis, an extent or a position.
    pub(crate) fn index(&self) -> Result<i64, OperatorFault> {
        self.require_one_element()?;
        Ok(self.indices()?[0])
    }

    /// The extents of a constant that holds a shape or a part of one, in 32 or 64 bits; none is negative.
    pub(crate) fn extents(&self) -> Result<Vec<usize>, OperatorFault> {
        let extent = |found| {
            let negative = OperatorFault::Option { option: "an extent", expected: "0 or more", found };
            usize::try_from(found).map_err(|_| negative)
        };
        self.indices()?.into_iter().map(extent).collect()
    }

    /// The one extent of a constant.
    pub(crate) fn extent(&self) -> Result<usize, OperatorFault> {
        self.require_one_element()?;
        Ok(self.extents()?[0])
    }

    /// Whether each slice along a dimension has a scale of its own.
    pub(crate) fn is_per_channel(&self) -> bool {
        self.tensor.quantization.as_ref().is_some_and(|quantization| quantization.is_per_channel())
    }

    /// The scale and zero point of a tensor with one of each; the scale is finite and positive, the zero point lies in
    /// the element type's range.
    pub(crate) fn scale_and_zero_point(&self) -> Result<(f32, i32), OperatorFault> {
        let quantization = self.tensor.quantization.as_ref().ok_or_else(|| self.unusable("it has none"))?;
        let ([scale], [zero_point]) = (&quantization.scale[..], &quantization.zero_point[..]) else {
            return Err(self.unusable("the operator needs one scale, not one for each channel"));
        };
        if !(scale.is_finite() && *scale > 0.0) {
            return Err(self.unusable(&alloc::format!("the scale is {scale}, not finite and positive")));
        }
        let range = match self.element_type() {
            ElementType::Int8 => -128..=127,
            ElementType::UInt8 => 0..=255,
            ElementType::Int16 => -32_768..=32_767,
            _ => i64::from(i32::MIN)..=i64::from(i32::MAX),
        };
        match i32::try_from(*zero_point) {
            Ok(found) if range.contains(zero_point) => Ok((*scale, found)),
            _ => Err(self.unusable(&alloc::format!("the zero point is {zero_point}, not in {range:?}"))),
        }
    }

    /// The scale of a tensor whose zero point must be 0.
    pub(crate) fn symmetric_scale(&self) -> Result<f32, OperatorFault> {
        match self.scale_and_zero_point()? {
            (scale, 0) => Ok(scale),
            (_, zero_point) => {
                Err(self.unusable(&alloc::format!("the zero point is {zero_point}, but must be 0")))
            }
        }
    }

    /// The scale and zero point as they are in the file; zeros where there is not one of each.
    pub(crate) fn uniform_quantization(&self) -> (f32, i64) {
        match &self.tensor.quantization {
            Some(Quantization { scale, zero_point, .. }) if scale.len() == 1 && zero_point.len() == 1 => {
                (scale[0], zero_point[0])
            }
            _ => (0.0, 0),
        }
    }

    /// The scale and zero point must be another tensor's: values go from one to the other as they are.
    pub(crate) fn require_quantization_of(&self, other: &Self) -> Result<(), OperatorFault> {
        let (found, expected) = (self.uniform_quantization(), other.uniform_quantization());
        if found == expected {
            return Ok(());
        }
        Err(self.unusable(&alloc::format!(
            "the scale and zero point are {found:?}, but must be those of tensor '{}', {expected:?}",
            other.tensor.name
        )))
    }

    /// The zero points must all be 0.
    pub(crate) fn require_zero_points_of_zero(&self) -> Result<(), OperatorFault> {
        let zero_points =
            self.tensor.quantization.as_ref().map_or(&[][..], |quantization| &quantization.zero_point);
        match zero_points.iter().find(|&&zero_point| zero_point != 0) {
            Some(zero_point) => {
                Err(self.unusable(&alloc::format!("a zero point is {zero_point}, but must be 0")))
            }
            None => Ok(()),
        }
    }

    /// One scale for each of `channels` slices along `dimension`; a single scale serves all of them.
    ///
    /// A scale of 0 is allowed: the official converter writes it for weights that are all zero.
    pub(crate) fn channel_scales(
        &self,
        channels: usize,
        dimension: usize,
    ) -> Result<Vec<f32>, OperatorFault> {
        let quantization = self.tensor.quantization.as_ref().ok_or_else(|| self.unusable("it has none"))?;
        let scale = &quantization.scale;
        if let Some(bad) = scale.iter().find(|scale| !(scale.is_finite() && **scale >= 0.0)) {
            return Err(self.unusable(&alloc::format!("a scale is {bad}, not finite and positive")));
        }
        match scale.len() {
            1 => Ok(alloc::vec![scale[0]; channels]),
            count if count == channels && quantization.dimension == dimension => Ok(scale.clone()),
            count => Err(self.unusable(&alloc::format!(
                "there are {count} scales along dimension {}, but the operator needs {channels} along {dimension}",
                quantization.dimension
            ))),
        }
    }

    /// The quantization cannot be used, for the given reason.
    pub(crate) fn unusable(&self, reason: &str) -> OperatorFault {
        OperatorFault::Quantization { tensor: self.tensor.name.clone(), reason: String::from(reason) }
    }
}
