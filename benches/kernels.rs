//! The kernels of matrix products, in every scheme and for every instruction set that this machine has.
//!
//!     cargo bench --manifest-path benches/Cargo.toml [-- FILTER]
//!
//! A layer is a model in memory, run through the interpreter: its time has requantization in it. Beside each time stand the
//! multiply-accumulates per second, and their share of the peak: what the kernels' own instructions reach in registers.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use burnlite_runtime::{Interpreter, InterpreterOptions, KERNELS, Kernels, peak};
use burnlite_tflite::{
    Conv2dOptions, Element, ElementType, FullyConnectedOptions, Graph, Model, Op, Operator, Padding,
    Quantization, Tensor,
};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};

criterion_group!(benches, layers);
criterion_main!(benches);

/// A matrix product: `rows` times `depth` by `depth` times `channels`.
struct Layer {
    rows: usize,
    channels: usize,
    depth: usize,
    /// Channels of the image, where the rows are those of a 3x3 convolution.
    image: Option<usize>,
}

const LAYERS: [Layer; 6] = [
    dense(1, 64, 784),
    dense(1, 256, 1024),
    dense(1, 1024, 4096),
    convolution(64, 32, 8),
    convolution(196, 64, 32),
    dense(64, 256, 1024),
];

const fn dense(rows: usize, channels: usize, depth: usize) -> Layer {
    Layer { rows, channels, depth, image: None }
}

const fn convolution(rows: usize, channels: usize, image: usize) -> Layer {
    Layer { rows, channels, depth: 9 * image, image: Some(image) }
}

/// The scale of inputs and weights; outputs are as coarse as keeps most of them in range.
const SCALE: f32 = 1.0 / 128.0;

#[derive(Debug, Clone, Copy)]
enum Scheme {
    Float32,
    Int8,
    Int16x8,
}

fn layers(criterion: &mut Criterion) {
    for scheme in [Scheme::Int16x8, Scheme::Int8, Scheme::Float32] {
        for layer in &LAYERS {
            let Layer { rows, channels, depth, image } = layer;
            let kind = if image.is_some() { "conv" } else { "dense" };
            let mut group = criterion.benchmark_group(format!("{scheme:?}/{kind} {rows}x{channels}x{depth}"));
            group.throughput(Throughput::Elements((rows * channels * depth) as u64));
            let model = model(layer, scheme);
            for kernels in KERNELS.iter().filter(|kernels| kernels.is_available()) {
                bench(&mut group, layer, scheme, &model, Kernels::Named(kernels.name));
            }
        }
    }
}

fn bench(
    group: &mut BenchmarkGroup<'_, WallTime>,
    layer: &Layer,
    scheme: Scheme,
    model: &Model<'_>,
    kernels: Kernels,
) {
    let options = InterpreterOptions { kernels, ..InterpreterOptions::default() };
    let mut interpreter = Interpreter::with_options(model, &options).expect("the layer is a model");
    let mut least = Duration::MAX;
    group.bench_function(kernels.to_string(), |bencher| {
        bencher.iter_custom(|runs| {
            let start = Instant::now();
            for _ in 0..runs {
                interpreter.invoke().expect("a layer of constants runs");
            }
            let time = start.elapsed();
            least = least.min(time / u32::try_from(runs).unwrap_or(u32::MAX));
            time
        });
    });
    if least < Duration::MAX {
        let products = layer.rows * layer.channels * layer.depth;
        let (found, peak) = (products as f64 / least.as_secs_f64(), peak_of(kernels, scheme));
        let share = 100.0 * found / peak;
        println!("    at best {:.1} GMAC/s, {share:.0} % of the peak of {:.0}", found / 1e9, peak / 1e9);
    }
}

/// The most products per second, of three tries.
fn peak_of(kernels: Kernels, scheme: Scheme) -> f64 {
    const STEPS: usize = 1_000_000;
    let sum = match scheme {
        Scheme::Float32 => peak::sum_floats,
        Scheme::Int8 | Scheme::Int16x8 => peak::sum_integers,
    };
    let rate = |_| {
        let start = Instant::now();
        let products = sum(black_box(kernels), black_box(STEPS)).unwrap_or(0);
        products as f64 / start.elapsed().as_secs_f64()
    };
    (0..3).map(rate).fold(0.0, f64::max)
}

/// The layer, with weights that differ from channel to channel.
fn model(layer: &Layer, scheme: Scheme) -> Model<'static> {
    match scheme {
        Scheme::Float32 => filled::<f32, f32>(layer, ElementType::Float32, |value| f32::from(value) * SCALE),
        Scheme::Int8 => filled::<i8, i32>(layer, ElementType::Int8, |value| value),
        Scheme::Int16x8 => filled::<i8, i64>(layer, ElementType::Int16, |value| value),
    }
}

fn filled<W: Element, B: Element + Default>(
    layer: &Layer,
    activations: ElementType,
    weight: impl Fn(i8) -> W,
) -> Model<'static> {
    let &Layer { rows, channels, depth, image } = layer;
    let side = rows.isqrt();
    let (x, w, y) = match image {
        Some(image) => {
            (vec![1, side, side, image], vec![channels, 3, 3, image], vec![1, side, side, channels])
        }
        None => (vec![rows, depth], vec![channels, depth], vec![rows, channels]),
    };
    let weights: Vec<W> = (0..channels * depth).map(|index| weight((index * 89 % 255) as i8)).collect();
    let biases = vec![B::default(); channels];
    let quantized = |tensor: Tensor<'static>, scale: f32| match activations {
        ElementType::Float32 => tensor,
        _ => tensor.quantized(Quantization::per_tensor(scale, 0)),
    };
    let mut graph = Graph::default();
    let x = graph.add_tensor(quantized(Tensor::new("x", activations, x), SCALE));
    let w = graph.add_tensor(quantized(Tensor::constant("w", w, &weights), SCALE));
    let b = graph.add_tensor(quantized(Tensor::constant("b", [channels], &biases), SCALE * SCALE));
    let y = graph.add_tensor(quantized(Tensor::new("y", activations, y), SCALE * depth as f32));
    let op = match image {
        Some(_) => Op::Conv2d(Conv2dOptions {
            padding: Padding::Same,
            stride_w: 1,
            stride_h: 1,
            ..Conv2dOptions::default()
        }),
        None => Op::FullyConnected(FullyConnectedOptions::default()),
    };
    graph.operators.push(Operator::new(op, [x, w, b], [y]));
    (graph.inputs, graph.outputs) = (vec![x], vec![y]);
    Model::new(graph)
}
