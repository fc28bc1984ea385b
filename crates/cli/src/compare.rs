//! `burnlite compare`.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};

use burnlite_quantize::{Difference, Measures};
use burnlite_runtime::{Error as RuntimeError, Interpreter, InterpreterOptions, TensorInfo};
use burnlite_tflite::{ElementType, Graph, TensorId};
use serde::Serialize;

use crate::arguments::CompareArguments;
use crate::array::{is_quantized, real_values, tensor_bytes};
use crate::error::Error;
use crate::feed::Feed;
use crate::model_file::ModelFile;
use crate::table::{Table, short};
use crate::write_json;

pub(crate) fn compare(arguments: &CompareArguments, output: &mut dyn Write) -> Result<(), Error> {
    let options = InterpreterOptions { keep_intermediates: true, ..arguments.plan.options() };
    let (file_a, file_b) = (ModelFile::open(&arguments.a)?, ModelFile::open(&arguments.b)?);
    let (mut model_a, mut model_b) = (file_a.model()?, file_b.model()?);
    let signature = arguments.plan.model.signature.as_deref();
    let feed_a = Feed::load(&file_a, &mut model_a, signature, &arguments.feed, false)?;
    let feed_b = Feed::load(&file_b, &mut model_b, signature, &arguments.feed, false)?;
    let mut a = file_a.interpreter(&model_a, &options)?;
    let mut b = file_b.interpreter(&model_b, &options)?;
    let incomparable =
        |reason| Error::Incomparable { a: arguments.a.clone(), b: arguments.b.clone(), reason };
    let mut outputs = pairs_of_outputs(&a, &b).map_err(incomparable)?;
    let mut layers = pairs_of_layers(&a, &b);
    let (fault_a, fault_b) = (file_a.fault(a.graph()), file_b.fault(b.graph()));
    for sample in 0..feed_a.runs() {
        feed_a.run(&mut a, sample).map_err(&fault_a)?;
        feed_b.run(&mut b, sample).map_err(&fault_b)?;
        for pair in outputs.iter_mut().chain(&mut layers) {
            let values_a = values(&a, pair.a).map_err(&fault_a)?;
            let values_b = values(&b, pair.b).map_err(&fault_b)?;
            pair.difference.add(&values_a, &values_b, pair.row);
        }
    }
    let comparison = Comparison {
        a: arguments.a.display().to_string(),
        b: arguments.b.display().to_string(),
        samples: feed_a.runs(),
        outputs: outputs.iter().map(Pair::report).collect(),
        layers: layers.iter().map(Pair::report).collect(),
    };
    if arguments.json {
        return write_json(output, &comparison);
    }
    comparison.write(output).map_err(Error::Output)
}

/// A tensor of each model, and how far they are apart.
struct Pair {
    name: String,
    types: [ElementType; 2],
    a: TensorId,
    b: TensorId,
    /// Elements along the last axis.
    row: usize,
    difference: Difference,
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Comparison {
    a: String,
    b: String,
    samples: usize,
    outputs: Vec<PairReport>,
    layers: Vec<PairReport>,
}

#[derive(Debug, Serialize)]
struct PairReport {
    name: String,
    type_a: &'static str,
    type_b: &'static str,
    #[serde(flatten)]
    measures: Measures,
}

impl Pair {
    /// `None` where the tensors have different shapes, or hold no real numbers.
    fn new(a: &Interpreter<'_>, b: &Interpreter<'_>, ids: (TensorId, TensorId)) -> Option<Self> {
        let (info_a, info_b) = (a.tensor_info(ids.0).ok()?, b.tensor_info(ids.1).ok()?);
        (info_a.shape == info_b.shape).then(|| Self {
            name: info_a.name.into(),
            types: [info_a.element_type, info_b.element_type],
            a: ids.0,
            b: ids.1,
            row: info_a.shape.last().copied().unwrap_or(1),
            difference: Difference::default(),
        })
    }

    fn report(&self) -> PairReport {
        let [type_a, type_b] = self.types.map(ElementType::name);
        PairReport { name: self.name.clone(), type_a, type_b, measures: self.difference.measures() }
    }
}

/// The outputs by position; they must have the same shapes.
fn pairs_of_outputs(a: &Interpreter<'_>, b: &Interpreter<'_>) -> Result<Vec<Pair>, String> {
    let (outputs_a, outputs_b) = (&a.graph().outputs, &b.graph().outputs);
    if outputs_a.len() != outputs_b.len() {
        return Err(format!("they have {} and {} outputs", outputs_a.len(), outputs_b.len()));
    }
    let ids = outputs_a.iter().copied().zip(outputs_b.iter().copied());
    let shapes = a.outputs().zip(b.outputs());
    ids.zip(shapes)
        .enumerate()
        .map(|(index, (ids, (info_a, info_b)))| {
            Pair::new(a, b, ids).ok_or_else(|| {
                format!("output {index} has the shapes {:?} and {:?}", info_a.shape, info_b.shape)
            })
        })
        .collect()
}

/// Tensors of the same name and shape that both models compute and that stand for real numbers, in the order of the first
/// model's operators.
fn pairs_of_layers(a: &Interpreter<'_>, b: &Interpreter<'_>) -> Vec<Pair> {
    let layers_b: HashMap<&str, TensorId> =
        layers(b.graph()).map(|id| (b.graph().tensors[id.index()].name.as_str(), id)).collect();
    let counterpart = |id: TensorId| layers_b.get(a.graph().tensors[id.index()].name.as_str());
    let ids = layers(a.graph()).filter_map(|id| Some((id, *counterpart(id)?)));
    let is_real =
        |interpreter: &Interpreter<'_>, id| interpreter.tensor_info(id).is_ok_and(|info| is_real(&info));
    ids.filter(|ids| is_real(a, ids.0) && is_real(b, ids.1)).filter_map(|ids| Pair::new(a, b, ids)).collect()
}

/// What a graph's operators compute, without its outputs.
fn layers<'m>(graph: &'m Graph<'m>) -> impl Iterator<Item = TensorId> + 'm {
    let outputs: HashSet<TensorId> = graph.outputs.iter().copied().collect();
    let results = graph.operators.iter().flat_map(|operator| &operator.outputs);
    results.copied().filter(move |id| !outputs.contains(id))
}

fn is_real(info: &TensorInfo<'_>) -> bool {
    info.element_type == ElementType::Float32 || is_quantized(info.element_type, info.quantization)
}

/// The real numbers that a tensor stands for; none for types without numbers.
fn values(interpreter: &Interpreter<'_>, id: TensorId) -> Result<Vec<f64>, RuntimeError> {
    let info = interpreter.tensor_info(id)?;
    let bytes = tensor_bytes(interpreter, id, info.element_type)?.unwrap_or_default();
    Ok(real_values(bytes, info.element_type, info.quantization).unwrap_or_default())
}

impl Comparison {
    fn write(&self, output: &mut dyn Write) -> io::Result<()> {
        writeln!(output, "A  {}\nB  {}\n", self.a, self.b)?;
        let mut table = Table::default();
        for (title, pairs) in [("output", &self.outputs), ("layer", &self.layers)] {
            if !pairs.is_empty() {
                if title == "layer" {
                    table.row([String::new()]);
                }
                let header = ["max error", "SNR dB", "cosine", "agreement", "A", "B", title];
                table.row(header.map(String::from));
            }
            pairs.iter().for_each(|pair| table.row(pair.cells()));
        }
        table.write(output)
    }
}

impl PairReport {
    fn cells(&self) -> [String; 7] {
        let Measures { max_error, snr_db, cosine, agreement, identical, .. } = self.measures;
        let percent = |share: f64| format!("{:.2}%", share * 100.0);
        [
            if identical { "identical".into() } else { max_error.map_or("-".into(), short) },
            snr_db.map_or("-".into(), |snr| format!("{snr:.1}")),
            cosine.map_or("-".into(), |cosine| format!("{cosine:.6}")),
            agreement.map_or("-".into(), percent),
            self.type_a.into(),
            self.type_b.into(),
            self.name.clone(),
        ]
    }
}
