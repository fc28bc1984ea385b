//! tract as a contestant of `cargo xtask bench`: answers the requests that `xtask/src/bench/rival.rs` describes.

#![forbid(unsafe_code)]

use std::any::Any;
use std::io::{self, BufRead, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;
use serde_json::{Value, json};
use tract_tflite::internal::DefaultRuntime;
use tract_tflite::prelude::*;

/// The version that Cargo.toml pins.
const VERSION: &str = "0.23.9";

#[derive(Deserialize)]
#[serde(untagged)]
enum Request {
    Load { load: PathBuf, input: Vec<f32> },
    Run { model: usize, runs: usize },
}

/// A model with its input.
struct Loaded {
    state: Box<dyn State>,
    input: TValue,
}

fn main() -> Result<()> {
    // tract panics at some models, 16x8 among them. That is an answer like any other.
    set_hook(Box::new(|_| ()));
    say(&json!({ "tract": VERSION }))?;
    let mut models = Vec::new();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let answer = catch_unwind(AssertUnwindSafe(|| answer(&mut models, serde_json::from_str(&line)?)));
        let answer = answer.unwrap_or_else(|panic| Err(anyhow!("{}", panic_message(&*panic))));
        say(&answer.unwrap_or_else(|error| json!({ "error": one_line(&error) })))?;
    }
    Ok(())
}

/// Does what one line asks.
fn answer(models: &mut Vec<Loaded>, request: Request) -> Result<Value> {
    match request {
        Request::Load { load, input } => {
            let mut loaded = Loaded::new(load, input)?;
            let output = loaded.output()?;
            models.push(loaded);
            Ok(json!({ "model": models.len() - 1, "output": output }))
        }
        Request::Run { model, runs } => {
            let loaded = models.get_mut(model).context("no such model")?;
            let nanoseconds = (0..runs).map(|_| loaded.nanoseconds()).collect::<Result<Vec<_>>>()?;
            Ok(json!({ "nanoseconds": nanoseconds }))
        }
    }
}

impl Loaded {
    /// Optimizes the model, and casts the input to the model's type.
    fn new(path: PathBuf, input: Vec<f32>) -> Result<Self> {
        let runnable = DefaultRuntime.prepare(tract_tflite::tflite().model_for_path(path)?)?;
        let fact = runnable.input_fact(0)?;
        let shape = fact.shape.as_concrete().context("the input has no fixed shape")?;
        let reals = Tensor::from_shape(shape, &input)?;
        let input = reals.cast_to_dt(fact.datum_type)?.into_owned().into_tvalue();
        Ok(Self { state: runnable.spawn()?, input })
    }

    /// What the model computes, as real numbers.
    fn output(&mut self) -> Result<Vec<f32>> {
        let outputs = self.state.run(tvec!(self.input.clone()))?;
        let reals = outputs.first().context("the model has no output")?.cast_to::<f32>()?;
        Ok(reals.to_plain_array_view::<f32>()?.iter().copied().collect())
    }

    /// The time of one run.
    fn nanoseconds(&mut self) -> Result<u64> {
        let inputs = tvec!(self.input.clone());
        let start = Instant::now();
        self.state.run(inputs)?;
        Ok(u64::try_from(start.elapsed().as_nanos())?)
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("it panics")
}

/// What an error comes from, in one line that is not too long: tract prints whole operators.
fn one_line(error: &anyhow::Error) -> String {
    let text = error.root_cause().to_string();
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect()
}

fn say(answer: &Value) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{answer}")?;
    output.flush()
}
