//! `burnlite bench`.

mod random;

use std::io::{self, Write};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use burnlite_runtime::{Error as RuntimeError, Interpreter, InterpreterOptions, StepEvent};
use burnlite_tflite::Graph;
use serde::Serialize;

use crate::arguments::{BenchArguments, FeedArguments};
use crate::error::Error;
use crate::feed::Feed;
use crate::model_file::{ModelFile, result_name};
use crate::table::{Table, grouped};
use crate::write_json;

/// Fewest runs, however long they take.
const MIN_RUNS: usize = 3;
/// Most runs, however short they are.
const MAX_RUNS: usize = 1_000_000;

pub(crate) fn bench(arguments: &BenchArguments, output: &mut dyn Write) -> Result<(), Error> {
    let options = InterpreterOptions { threads: arguments.threads.into(), ..arguments.plan.options() };
    let file = ModelFile::open(arguments.model.as_deref().ok_or(Error::NoModel)?)?;
    let mut model = file.model()?;
    let feed = match &arguments.input[..] {
        [] => None,
        input => {
            let given = FeedArguments { input: input.into(), samples: arguments.samples, keep_state: false };
            Some(Feed::load(&file, &mut model, options.signature.as_deref(), &given, false)?)
        }
    };
    let mut interpreter = file.interpreter(&model, &options)?;
    let fault = file.fault(interpreter.graph());
    match feed {
        Some(feed) => feed.set(&mut interpreter, 0).map_err(&fault)?,
        None => random::set_inputs(&mut interpreter).map_err(&fault)?,
    }
    let time = Duration::from_secs_f64(arguments.seconds);
    let (runs, elapsed) = measure_copies(&interpreter, arguments.copies.into(), time).map_err(&fault)?;
    let profile =
        if arguments.profile { Some(profile(&mut interpreter, time).map_err(&fault)?) } else { None };
    let report = Report {
        file: file.path.display().to_string(),
        kernels: options.kernels.to_string(),
        threads: arguments.threads,
        copies: arguments.copies,
        arena_bytes: interpreter.arena_bytes(),
        weight_bytes: interpreter.weight_bytes(),
        packed_bytes: interpreter.packed_bytes(),
        runs: runs.len(),
        times: Times::of(runs),
        inferences_per_second: 0.0,
        operators: profile,
    };
    let report = Report { inferences_per_second: report.runs as f64 / elapsed.as_secs_f64(), ..report };
    if arguments.json {
        return write_json(output, &report);
    }
    report.write(output).map_err(Error::Output)
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Report {
    file: String,
    kernels: String,
    /// Those that share the work of a large layer.
    threads: u16,
    /// Interpreters that ran at the same time.
    copies: u16,
    /// Of each copy.
    arena_bytes: usize,
    /// Constants as they are in the file, and weights that kernels read in an order of their own; all copies share them.
    weight_bytes: usize,
    packed_bytes: usize,
    /// Runs that were measured, of all copies.
    runs: usize,
    #[serde(flatten)]
    times: Times,
    /// Of all copies together.
    inferences_per_second: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    operators: Option<Vec<OperatorTimes>>,
}

/// Of single runs, in microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
struct Times {
    min_us: f64,
    median_us: f64,
    max_us: f64,
}

#[derive(Debug, Serialize)]
struct OperatorTimes {
    index: usize,
    name: String,
    /// The tensor that it computes.
    tensor: String,
    #[serde(flatten)]
    times: Times,
    /// Of the sum of all operators' medians.
    share: f64,
}

impl Times {
    /// The least, the middle and the greatest; of an even number the mean of the two in the middle.
    fn of(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        let microseconds = |index: usize| durations.get(index).map_or(0.0, |time| time.as_secs_f64() * 1e6);
        let count = durations.len();
        let median = (microseconds(count / 2) + microseconds(count.saturating_sub(1) / 2)) / 2.0;
        Self { min_us: microseconds(0), median_us: median, max_us: microseconds(count.saturating_sub(1)) }
    }
}

/// Runs copies of the model at once, each with memory and a thread of its own; the times of all runs, and the time from first
/// to last.
fn measure_copies(
    interpreter: &Interpreter<'_>,
    copies: usize,
    time: Duration,
) -> Result<(Vec<Duration>, Duration), RuntimeError> {
    let barrier = Barrier::new(copies);
    let work = || {
        let mut interpreter = interpreter.clone();
        // Also where the warm-up fails the others must not wait for ever.
        let warm = repeat(time / 5, || interpreter.invoke());
        barrier.wait();
        let start = Instant::now();
        let runs = warm.and_then(|_| repeat(time, || interpreter.invoke()))?;
        Ok((runs, start.elapsed()))
    };
    let results: Vec<Result<_, RuntimeError>> = thread::scope(|scope| {
        let others: Vec<_> = (1..copies).map(|_| scope.spawn(work)).collect();
        let own = work();
        let others = others
            .into_iter()
            .map(|other| other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        std::iter::once(own).chain(others).collect()
    });
    let mut runs = Vec::new();
    let mut elapsed = Duration::ZERO;
    for result in results {
        let (times, duration) = result?;
        runs.extend(times);
        elapsed = elapsed.max(duration);
    }
    Ok((runs, elapsed))
}

/// Times calls until the time is up.
fn repeat(
    time: Duration,
    mut call: impl FnMut() -> Result<(), RuntimeError>,
) -> Result<Vec<Duration>, RuntimeError> {
    let end = Instant::now() + time;
    let mut times = Vec::new();
    while times.len() < MIN_RUNS || times.len() < MAX_RUNS && Instant::now() < end {
        let start = Instant::now();
        call()?;
        times.push(start.elapsed());
    }
    Ok(times)
}

/// The times of each operator that runs.
fn profile(interpreter: &mut Interpreter<'_>, time: Duration) -> Result<Vec<OperatorTimes>, RuntimeError> {
    let graph = interpreter.graph();
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); graph.operators.len()];
    // An operator may work in several steps.
    let mut of_this_run = vec![Duration::ZERO; graph.operators.len()];
    repeat(time, || {
        of_this_run.fill(Duration::ZERO);
        let mut start = Instant::now();
        interpreter.invoke_observed(|event| match event {
            StepEvent::Starts(_) => start = Instant::now(),
            StepEvent::Ended(operator) => of_this_run[operator] += start.elapsed(),
        })?;
        let measured = times.iter_mut().zip(&of_this_run).filter(|(_, time)| !time.is_zero());
        measured.for_each(|(times, &time)| times.push(time));
        Ok(())
    })?;
    Ok(operator_times(graph, times))
}

fn operator_times(graph: &Graph<'_>, times: Vec<Vec<Duration>>) -> Vec<OperatorTimes> {
    let named = |(index, times): (usize, Vec<Duration>)| OperatorTimes {
        index,
        name: graph.operators[index].op.name().into(),
        tensor: result_name(graph, index).into(),
        times: Times::of(times),
        share: 0.0,
    };
    let measured = times.into_iter().enumerate().filter(|(_, times)| !times.is_empty());
    let mut operators: Vec<OperatorTimes> = measured.map(named).collect();
    let sum: f64 = operators.iter().map(|operator| operator.times.median_us).sum();
    operators.iter_mut().for_each(|operator| operator.share = operator.times.median_us / sum);
    operators
}

impl Report {
    fn write(&self, output: &mut dyn Write) -> io::Result<()> {
        let Times { min_us, median_us, max_us } = self.times;
        let plural =
            |count: u16, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
        let (copies, threads) =
            (plural(self.copies, "copy", "copies"), plural(self.threads, "thread", "threads"));
        let [arena, weights, packed] =
            [self.arena_bytes, self.weight_bytes, self.packed_bytes].map(|bytes| grouped(bytes as u64));
        writeln!(output, "{}", self.file)?;
        writeln!(output, "  {} runs of {copies} on {threads} each, kernels {}", self.runs, self.kernels)?;
        writeln!(output, "  arena {arena} bytes, weights {weights} bytes, packed {packed} bytes")?;
        writeln!(output, "  min {min_us:.1} us, median {median_us:.1} us, max {max_us:.1} us")?;
        writeln!(output, "  {:.0} inferences per second", self.inferences_per_second)?;
        let Some(operators) = &self.operators else { return Ok(()) };
        writeln!(output)?;
        let mut table = Table::new(&["min us", "median us", "max us", "share", "operator"]);
        for OperatorTimes { index, name, tensor, times, share } in operators {
            table.row([
                format!("{:.2}", times.min_us),
                format!("{:.2}", times.median_us),
                format!("{:.2}", times.max_us),
                format!("{:.1}%", share * 100.0),
                format!("{index} {name} '{tensor}'"),
            ]);
        }
        table.write(output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let times =
            |micros: &[u64]| Times::of(micros.iter().map(|&time| Duration::from_micros(time)).collect());
        let odd = times(&[9, 1, 4]);
        assert_eq!((odd.min_us, odd.median_us, odd.max_us), (1.0, 4.0, 9.0));
        assert_eq!(times(&[4, 1, 9, 5]).median_us, 4.5);
    }

    #[test]
    fn a_failing_call_ends_the_measurement() {
        let mut calls = 0;
        let failed = repeat(Duration::from_secs(60), || {
            calls += 1;
            Err(RuntimeError::NoSuchTensor { what: "input", index: 0, count: 0 })
        });
        assert!(failed.is_err());
        assert_eq!(calls, 1);
    }
}
