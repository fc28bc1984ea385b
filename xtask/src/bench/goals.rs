//! The goals, held against the times.

use anyhow::{Result, ensure};

use super::networks::{Goal, Network};
use super::summary::{Comparison, Engine, Timing};

/// Our times beside the rivals', with the goals. Without a goal, what was not measured is left out.
pub(super) fn comparisons(networks: &[&Network], results: &[Timing]) -> Vec<Comparison> {
    let all = networks.iter().flat_map(|network| {
        let has_file = |goal: &&Goal| network.schemes.contains(&goal.theirs);
        network.goals.iter().filter(has_file).map(|goal| comparison(network.name, goal, results))
    });
    all.filter(|comparison| comparison.at_least.or(comparison.times_faster).is_some()).collect()
}

/// What became of a goal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    /// What was found, and what the goal is.
    pub(super) text: String,
    /// Whether it is missed.
    pub(super) is_missed: bool,
}

/// What became of the goal of a comparison, if it has one.
pub(super) fn verdict(comparison: &Comparison) -> Option<Verdict> {
    let Comparison { network, scheme, rival, rival_scheme, times_faster, at_least } = comparison;
    let goal = at_least.as_ref()?;
    let found = times_faster.map_or("not measured".into(), |times| format!("{times:.2}"));
    let text = format!("{network} {scheme} against {rival}'s {rival_scheme}: {found}, goal {goal}");
    Some(Verdict { text, is_missed: comparison.is_missed() })
}

/// Fails where a goal is missed, and names all that are.
pub(super) fn hold(verdicts: &[Verdict]) -> Result<()> {
    let missed: Vec<&str> =
        verdicts.iter().filter(|verdict| verdict.is_missed).map(|verdict| verdict.text.as_str()).collect();
    ensure!(
        missed.is_empty(),
        "{} of {} goals are missed: {}",
        missed.len(),
        verdicts.len(),
        missed.join("; ")
    );
    Ok(())
}

fn comparison(network: &str, goal: &Goal, results: &[Timing]) -> Comparison {
    let median = |engine, scheme| {
        results.iter().find(|timing| timing.is_of(network, engine, scheme)).map(|timing| timing.median_us)
    };
    let (ours, theirs) = (median(Engine::Burnlite, goal.ours), median(goal.rival, goal.theirs));
    Comparison {
        network: network.into(),
        scheme: goal.ours,
        rival: goal.rival,
        rival_scheme: goal.theirs,
        times_faster: ours.zip(theirs).map(|(ours, theirs)| theirs / ours),
        at_least: goal.at_least,
    }
}

#[cfg(test)]
mod tests {
    use super::super::networks::Scheme;
    use super::*;

    fn timing(network: &Network, engine: Engine, scheme: Scheme, median_us: f64) -> Timing {
        Timing {
            network: network.name.into(),
            engine,
            scheme,
            median_us,
            min_us: median_us,
            batch32_median_us: None,
            batch32_min_us: None,
        }
    }

    #[test]
    fn a_goal_is_missed_by_being_slower_and_by_not_running() {
        let network = Network::by_name("ds_cnn").unwrap();
        let results = [
            timing(network, Engine::Burnlite, Scheme::Int8, 10.0),
            timing(network, Engine::LiteRt, Scheme::Int8, 10.0),
            timing(network, Engine::Burnlite, Scheme::Int16x8, 10.0),
            timing(network, Engine::LiteRt, Scheme::Int16x8, 199.0),
        ];
        let comparisons = comparisons(&[network], &results);
        let missed: Vec<bool> = comparisons.iter().map(Comparison::is_missed).collect();
        // float32 did not run; int8 is as fast; 16x8 is a little too slow, and has no float32 beside it. LiteRT runs no
        // depthwise convolution with biases of 32 bits, which is no goal then; nor is tract, which did not run.
        assert_eq!(missed, [true, false, true, true]);
        let verdicts: Vec<Verdict> = comparisons.iter().filter_map(verdict).collect();
        let error = hold(&verdicts).unwrap_err().to_string();
        assert!(error.starts_with("3 of 4 goals are missed: ds_cnn float32"), "{error}");
        assert!(error.contains("ds_cnn 16x8 against LiteRT's 16x8: 19.90, goal 20"), "{error}");
    }
}
