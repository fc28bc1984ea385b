//! The choice of precisions, from the cheapest ones upwards.

use burnlite_tflite::Graph;

use super::cost::of_layer;
use super::layers::{Layer, recipe};
use super::{Goal, Outcome};
use crate::{Error, Precision, Recipe};

/// The precisions that the layers have so far.
pub(super) struct Choice<'s, 'a> {
    goal: Goal<'s>,
    graph: &'s Graph<'a>,
    layers: &'s [Layer],
    /// The share of noise in the outputs that each layer alone brings, by precision.
    noise: Vec<[f64; 3]>,
    measure: &'s mut dyn FnMut(Recipe) -> Result<Outcome, Error>,
    pub(super) precisions: Vec<Precision>,
    pub(super) outcome: Outcome,
}

impl<'s, 'a> Choice<'s, 'a> {
    /// Every layer as cheap as it can be.
    pub(super) fn cheapest(
        goal: Goal<'s>,
        graph: &'s Graph<'a>,
        layers: &'s [Layer],
        noise: Vec<[f64; 3]>,
        measure: &'s mut dyn FnMut(Recipe) -> Result<Outcome, Error>,
    ) -> Result<Self, Error> {
        let precisions: Vec<_> = layers.iter().map(|layer| cheapest(goal, graph, layer)).collect();
        let outcome = measure(of_layers(graph, layers, &precisions))?;
        Ok(Self { goal, graph, layers, noise, measure, precisions, outcome })
    }

    /// Makes layers more exact until the outputs err no more than they may, or nothing is left that would help.
    pub(super) fn improve(&mut self) -> Result<(), Error> {
        let precisions = self.goal.precisions();
        let of_layer = |layer| precisions.iter().map(move |&precision| (layer, precision));
        let mut steps: Vec<_> = (0..self.layers.len()).flat_map(of_layer).collect();
        while !self.goal.is_reached(self.outcome) {
            steps.retain(|&step| self.gain(step) > 0.0);
            let worth = |&place: &usize| self.worth(steps[place]);
            let best = (0..steps.len()).max_by(|a, b| worth(a).total_cmp(&worth(b)));
            let Some((layer, precision)) = best.map(|best| steps.swap_remove(best)) else { break };
            let outcome = self.tried(layer, precision)?;
            if self.goal.is_affordable(outcome) {
                (self.precisions[layer], self.outcome) = (precision, outcome);
            }
        }
        Ok(())
    }

    /// Makes layers as cheap again as they can be, the costliest first, where the outputs still err no more than they may.
    pub(super) fn take_back(&mut self) -> Result<(), Error> {
        let mut improved: Vec<usize> =
            (0..self.layers.len()).filter(|&layer| self.extra(layer) > 0.0).collect();
        improved.sort_by(|&a, &b| self.extra(b).total_cmp(&self.extra(a)));
        if !self.goal.is_reached(self.outcome) {
            return Ok(());
        }
        for layer in improved {
            let precision = cheapest(self.goal, self.graph, &self.layers[layer]);
            let outcome = self.tried(layer, precision)?;
            let is_cheaper = self.goal.cost(outcome) <= self.goal.cost(self.outcome);
            if self.goal.is_reached(outcome) && is_cheaper {
                (self.precisions[layer], self.outcome) = (precision, outcome);
            }
        }
        Ok(())
    }

    /// The outcome if a layer had another precision.
    fn tried(&mut self, layer: usize, precision: Precision) -> Result<Outcome, Error> {
        let mut precisions = self.precisions.clone();
        precisions[layer] = precision;
        (self.measure)(of_layers(self.graph, self.layers, &precisions))
    }

    /// What a step gains for what it costs.
    fn worth(&self, (layer, precision): (usize, Precision)) -> f64 {
        let cost = self.cost(layer, precision) - self.cost(layer, self.precisions[layer]);
        self.gain((layer, precision)) / cost.max(1.0)
    }

    /// By how much the share of noise falls, if those of the layers add up.
    fn gain(&self, (layer, precision): (usize, Precision)) -> f64 {
        let noise = |precision: Precision| self.noise[layer][precision as usize];
        noise(self.precisions[layer]) - noise(precision)
    }

    /// What a layer costs more than it could.
    fn extra(&self, layer: usize) -> f64 {
        let cheapest = cheapest(self.goal, self.graph, &self.layers[layer]);
        self.cost(layer, self.precisions[layer]) - self.cost(layer, cheapest)
    }

    fn cost(&self, layer: usize, precision: Precision) -> f64 {
        cost(self.goal, self.graph, &self.layers[layer], precision)
    }
}

fn cost(goal: Goal<'_>, graph: &Graph<'_>, layer: &Layer, precision: Precision) -> f64 {
    of_layer(graph, layer, precision, goal.search.cost, goal.search.pace)
}

/// The precision that costs a layer least.
fn cheapest(goal: Goal<'_>, graph: &Graph<'_>, layer: &Layer) -> Precision {
    let cost = |precision| cost(goal, graph, layer, precision);
    let cheaper = |best, other| if cost(other) < cost(best) { other } else { best };
    goal.precisions().iter().copied().fold(Precision::Int8, cheaper)
}

fn of_layers(graph: &Graph<'_>, layers: &[Layer], precisions: &[Precision]) -> Recipe {
    recipe(graph, Precision::Int8, layers.iter().zip(precisions.iter().copied()))
}
