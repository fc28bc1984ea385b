//! Contestants that take turns.

use std::time::Duration;

use anyhow::Result;

/// The length of a turn: long against the switch from one process to another, short against what else goes on.
const TURN: Duration = Duration::from_millis(5);

/// Runs at the start of a turn that are not counted: caches hold what another contestant left.
const WARM_UP: usize = 2;

/// What can be run over and over.
pub(super) trait Runner {
    /// Runs so many times; the microseconds of each.
    fn run(&mut self, times: usize) -> Result<Vec<f64>>;
}

/// What is told of the times of one contestant, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Times {
    /// Half of the runs took longer.
    pub(super) median: f64,
    /// The quickest run.
    pub(super) least: f64,
}

/// Lets all contestants run in turn, `rounds` times, every other round in reverse.
pub(super) fn race(
    mut runners: Vec<Box<dyn Runner + '_>>,
    rounds: usize,
    mut progress: impl FnMut(),
) -> Result<Vec<Times>> {
    let runs =
        runners.iter_mut().map(|runner| runs_of_a_turn(runner.as_mut())).collect::<Result<Vec<_>>>()?;
    let mut times = vec![Vec::new(); runners.len()];
    for round in 0..rounds {
        let mut order: Vec<usize> = (0..runners.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for index in order {
            let all = runners[index].run(WARM_UP + runs[index])?;
            times[index].extend_from_slice(&all[WARM_UP..]);
        }
        progress();
    }
    Ok(times.into_iter().map(Times::of).collect())
}

/// As many runs as fill a turn.
fn runs_of_a_turn(runner: &mut dyn Runner) -> Result<usize> {
    let microseconds = Times::of(runner.run(5)?).median.max(0.1);
    Ok((TURN.as_secs_f64() * 1e6 / microseconds).ceil() as usize)
}

impl Times {
    fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        Self { median: times[times.len() / 2], least: times[0] }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Says when it runs, and takes ever longer.
    struct Counter<'a> {
        name: char,
        log: &'a RefCell<String>,
        runs: usize,
    }

    impl Runner for Counter<'_> {
        fn run(&mut self, times: usize) -> Result<Vec<f64>> {
            self.log.borrow_mut().push(self.name);
            let first = self.runs;
            self.runs += times;
            Ok((first..self.runs).map(|run| 2500.0 + run as f64).collect())
        }
    }

    #[test]
    fn every_other_round_is_reversed_and_the_first_runs_of_a_turn_are_not_counted() {
        let log = RefCell::default();
        let counter = |name| Box::new(Counter { name, log: &log, runs: 0 }) as Box<dyn Runner>;
        let times = race(vec![counter('a'), counter('b')], 3, || ()).unwrap();
        assert_eq!(*log.borrow(), "ababbaab");
        // Five runs to find the length of a turn; then three turns of two runs, uncounted, and two more.
        assert_eq!(times, [Times { median: 2512.0, least: 2507.0 }; 2]);
    }
}
