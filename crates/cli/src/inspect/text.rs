//! The report for people.

use std::io::{self, Write};

use super::report::{NamedTensor, Report, TensorReport};
use crate::table::{grouped, short};

/// Writes the report.
pub(crate) fn write(report: &Report<'_>, output: &mut dyn Write) -> io::Result<()> {
    summary(report, output)?;
    tensors("inputs", &report.inputs, output)?;
    tensors("outputs", &report.outputs, output)?;
    signatures(report, output)?;
    operators(report, output)?;
    if !report.unsupported.is_empty() {
        writeln!(output, "\nnot supported")?;
    }
    for fault in &report.unsupported {
        match (fault.operator, &fault.name, &fault.tensor) {
            (Some(index), Some(name), Some(tensor)) => {
                writeln!(output, "  operator {index} ({name}) of tensor '{tensor}': {}", fault.reason)?;
            }
            _ => writeln!(output, "  {}", fault.reason)?,
        }
    }
    Ok(())
}

fn summary(report: &Report<'_>, output: &mut dyn Write) -> io::Result<()> {
    let arena = match report.arena_bytes {
        Some(bytes) => format!("{} bytes", grouped(bytes as u64)),
        None => "not known: the model cannot be run".into(),
    };
    writeln!(output, "{}", report.file)?;
    if !report.description.is_empty() {
        writeln!(output, "  description           {}", report.description)?;
    }
    writeln!(output, "  file                  {} bytes", grouped(report.file_bytes as u64))?;
    if report.graphs > 1 {
        writeln!(output, "  graphs                {}", report.graphs)?;
    }
    writeln!(output, "  weights               {} bytes", grouped(report.weights_bytes as u64))?;
    writeln!(output, "  multiply-accumulates  {}", grouped(report.multiply_accumulates))?;
    writeln!(output, "  arena                 {arena}")?;
    if let Some(bytes) = report.packed_bytes {
        writeln!(output, "  packed weights        {} bytes", grouped(bytes as u64))?;
    }
    if !report.kernels.is_empty() {
        writeln!(output, "  kernels               {}", report.kernels.join(", "))?;
    }
    Ok(())
}

fn tensors(title: &str, tensors: &[TensorReport<'_>], output: &mut dyn Write) -> io::Result<()> {
    writeln!(output, "\n{title}")?;
    for (position, tensor) in tensors.iter().enumerate() {
        let free = tensor.shape_signature.filter(|signature| signature.contains(&-1));
        let free = free.map_or(String::new(), |signature| format!(", resizable as {signature:?}"));
        writeln!(output, "  {position}  {}{free}", describe(tensor))?;
    }
    Ok(())
}

fn signatures(report: &Report<'_>, output: &mut dyn Write) -> io::Result<()> {
    if !report.signatures.is_empty() {
        writeln!(output, "\nsignatures")?;
    }
    for signature in &report.signatures {
        let names = |tensors: &[NamedTensor<'_>]| {
            let names = tensors.iter().map(|tensor| format!("{} = '{}'", tensor.name, tensor.tensor_name));
            names.collect::<Vec<_>>().join(", ")
        };
        let graph =
            if signature.graph == 0 { String::new() } else { format!(" (graph {})", signature.graph) };
        writeln!(output, "  {}{graph}", signature.name)?;
        writeln!(output, "    inputs   {}", names(&signature.inputs))?;
        writeln!(output, "    outputs  {}", names(&signature.outputs))?;
    }
    Ok(())
}

fn operators(report: &Report<'_>, output: &mut dyn Write) -> io::Result<()> {
    writeln!(output, "\noperators")?;
    for operator in &report.operators {
        write!(output, "  {:3}  {} version {}", operator.index, operator.name, operator.version)?;
        match &operator.kernels {
            Some(kernels) => write!(output, ", kernels {kernels}")?,
            None if report.arena_bytes.is_some() => write!(output, ", done in advance")?,
            None => {}
        }
        if operator.multiply_accumulates > 0 {
            write!(output, ", {} multiply-accumulates", grouped(operator.multiply_accumulates))?;
        }
        if operator.weights_bytes > 0 {
            write!(output, ", {} bytes of constants", grouped(operator.weights_bytes as u64))?;
        }
        writeln!(output)?;
        for operand in &operator.inputs {
            writeln!(output, "       in   {}", operand.as_ref().map_or("-".into(), describe))?;
        }
        for result in &operator.outputs {
            writeln!(output, "       out  {}", describe(result))?;
        }
    }
    Ok(())
}

/// `int8 [1, 28, 28] scale 0.003906 zero point -128 'x'`.
fn describe(tensor: &TensorReport<'_>) -> String {
    let mut text = format!("{} {:?}", tensor.element_type, tensor.shape);
    if let Some(quantization) = &tensor.quantization {
        text += &match (quantization.scale, quantization.zero_point) {
            ([scale], [zero_point]) => format!(" scale {} zero point {zero_point}", short((*scale).into())),
            (scales, _) => {
                let least = scales.iter().copied().fold(f32::INFINITY, f32::min);
                let greatest = scales.iter().copied().fold(0.0, f32::max);
                format!(" {} scales {} to {}", scales.len(), short(least.into()), short(greatest.into()))
            }
        };
    }
    if tensor.is_variable {
        text += " variable";
    }
    format!("{text} '{}'{}", tensor.name, if tensor.constant_bytes.is_some() { " constant" } else { "" })
}
