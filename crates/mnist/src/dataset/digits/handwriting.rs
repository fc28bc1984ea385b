//! One handwritten digit: a glyph, bent as a hand bends it, as points with a radius of ink.

use super::Random;
use super::glyphs::{GLYPHS, Glyph};
use crate::dataset::SIDE;

/// A point of a stroke, in pixels of the 28x28 image.
#[derive(Clone, Copy)]
pub(super) struct Ink {
    pub(super) x: f32,
    pub(super) y: f32,
    /// Half of the stroke's width.
    pub(super) radius: f32,
}

/// Longer side of the box that holds the middle of the strokes, in pixels; with half a stroke on either side
/// the ink fills about MNIST's 20x20 box.
const BOX: f32 = 18.0;
/// Pieces that each parabola of a spline is drawn in: about a pixel long.
const STEPS: usize = 6;
/// Nodes of the elastic field along one side.
const NODES: usize = 4;
/// How far the field lies beyond the unit box on every side, so that strokes that leave it stay inside the
/// field.
const MARGIN: f32 = 0.2;
/// Standard deviations, of a hand that is neither neat nor sloppy, in units of the box: displacement of a
/// node of the elastic field, displacement of a control point, half the tangent of the rotation.
const ELASTIC: f32 = 0.2;
const SHAKE: f32 = 0.032;
const TURN: f32 = 0.08;

/// The strokes of one digit, in one of the ways to write it.
pub(super) fn write(digit: usize, random: &mut Random) -> Vec<Vec<Ink>> {
    let glyph = &GLYPHS[digit][random.below(GLYPHS[digit].len())];
    let hand = Hand::new(glyph, random);
    let mut strokes: Vec<Vec<Ink>> = glyph.strokes.iter().map(|stroke| hand.draw(stroke, random)).collect();
    fit(&mut strokes);
    strokes
}

/// How one digit is distorted.
struct Hand {
    /// What the distortions are multiplied by.
    sloppiness: f32,
    /// Rows of the 2x2 matrix: rotation, slant and width.
    affine: [[f32; 2]; 2],
    /// The elastic field: displacements `[dx, dy]` by row and column.
    elastic: [[[f32; 2]; NODES]; NODES],
    /// Radius of the pen, in pixels.
    radius: f32,
}

impl Hand {
    fn new(glyph: &Glyph, random: &mut Random) -> Self {
        // Most people write neatly: the square keeps large values rare.
        let sloppiness = random.uniform(0.0, 1.0);
        let sloppiness = 0.6 + 1.2 * sloppiness * sloppiness;
        // The cosine and the sine of 2 atan(t) without calling them.
        let t = TURN * sloppiness * random.bell();
        let (cos, sin) = ((1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t));
        let width = glyph.aspect * (1.0 + 0.16 * random.bell()).clamp(0.55, 1.5);
        let slant = -0.12 + 0.2 * random.bell();
        let affine = [[cos * width, cos * slant - sin], [sin * width, sin * slant + cos]];
        let mut elastic = [[[0.0; 2]; NODES]; NODES];
        for displacement in elastic.as_flattened_mut().as_flattened_mut() {
            *displacement = ELASTIC * sloppiness * random.bell();
        }
        let radius = (1.25 + 0.35 * random.bell()).clamp(0.6, 2.2);
        Self { sloppiness, affine, elastic, radius }
    }

    /// One stroke: its control points shaken, the spline through them warped, the pen pressed unevenly.
    fn draw(&self, stroke: &[(f32, f32)], random: &mut Random) -> Vec<Ink> {
        let points = spline(&self.shake(stroke, random));
        let (start, end) = (random.uniform(0.8, 1.15), random.uniform(0.8, 1.15));
        let last = (points.len() - 1) as f32;
        let ink = |(index, &point): (usize, &[f32; 2])| {
            let [x, y] = self.warp(point);
            Ink { x, y, radius: self.radius * lerp(start, end, index as f32 / last) }
        };
        points.iter().enumerate().map(ink).collect()
    }

    /// Each control point a little beside its place; a repeated point is a corner and stays one.
    fn shake(&self, stroke: &[(f32, f32)], random: &mut Random) -> Vec<[f32; 2]> {
        let spread = SHAKE * self.sloppiness;
        let mut shaken: Vec<[f32; 2]> = Vec::with_capacity(stroke.len());
        for (index, &(x, y)) in stroke.iter().enumerate() {
            shaken.push(if index > 0 && stroke[index - 1] == (x, y) {
                shaken[index - 1]
            } else {
                [x + spread * random.bell(), y + spread * random.bell()]
            });
        }
        shaken
    }

    /// A point of the unit box after the elastic field and the affine map about its centre.
    fn warp(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let [dx, dy] = self.displacement(x, y);
        let (x, y) = (x + dx - 0.5, y + dy - 0.5);
        let [[a, b], [c, d]] = self.affine;
        [a * x + b * y, c * x + d * y]
    }

    /// The elastic field at a point: the Bézier surface over its nodes, a free-form deformation (Sederberg
    /// and Parry, 1986), which has no kinks.
    fn displacement(&self, x: f32, y: f32) -> [f32; 2] {
        let [columns, rows] =
            [x, y].map(|coordinate| bernstein((coordinate + MARGIN) / (1.0 + 2.0 * MARGIN)));
        let mut sum = [0.0; 2];
        for (nodes, row) in self.elastic.iter().zip(rows) {
            for (node, column) in nodes.iter().zip(columns) {
                sum[0] += row * column * node[0];
                sum[1] += row * column * node[1];
            }
        }
        sum
    }
}

/// The weights of the nodes at `t`: the cubic Bernstein polynomials.
fn bernstein(t: f32) -> [f32; NODES] {
    let t = t.clamp(0.0, 1.0);
    let s = 1.0 - t;
    [s * s * s, 3.0 * s * s * t, 3.0 * s * t * t, t * t * t]
}

fn lerp(from: f32, to: f32, t: f32) -> f32 {
    from + (to - from) * t
}

/// Points on the quadratic B-spline of `control`: a parabola per inner control point, between the middles of
/// its two sides; the first and last parabola reach the outer control points.
fn spline(control: &[[f32; 2]]) -> Vec<[f32; 2]> {
    let middle = |a: [f32; 2], b: [f32; 2]| [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0];
    let inner = control.len() - 2;
    let mut points = vec![control[0]];
    for index in 0..inner {
        let bend = control[index + 1];
        let from = if index == 0 { control[0] } else { middle(control[index], bend) };
        let to = if index + 1 == inner { control[index + 2] } else { middle(bend, control[index + 2]) };
        for step in 1..=STEPS {
            let t = step as f32 / STEPS as f32;
            points.push(
                [0, 1].map(|axis| lerp(lerp(from[axis], bend[axis], t), lerp(bend[axis], to[axis], t), t)),
            );
        }
    }
    points
}

/// Scales the strokes to MNIST's box, aspect kept, and puts the centre of the ink into the middle of the
/// image.
fn fit(strokes: &mut [Vec<Ink>]) {
    let points = || strokes.iter().flatten();
    let bounds = |coordinate: fn(&Ink) -> f32| {
        points().fold((f32::MAX, f32::MIN), |(low, high), point| {
            (low.min(coordinate(point)), high.max(coordinate(point)))
        })
    };
    let (left, right) = bounds(|point| point.x);
    let (top, bottom) = bounds(|point| point.y);
    let scale = BOX / (right - left).max(bottom - top).max(f32::MIN_POSITIVE);
    let (centre_x, centre_y) = centre_of_ink(strokes);
    // The centre of the ink may be far from the middle of the box: keep the box so far inside the image that
    // the outermost pixels stay black.
    let middle = SIDE as f32 / 2.0;
    let room = middle - 2.0 - bounds(|point| point.radius).1;
    let offset = |low: f32, high: f32, centre: f32| {
        let (low, high) = ((low - centre) * scale, (high - centre) * scale);
        middle + (-room - low).max(0.0) - (high - room).max(0.0)
    };
    let (offset_x, offset_y) = (offset(left, right, centre_x), offset(top, bottom, centre_y));
    for point in strokes.iter_mut().flatten() {
        point.x = (point.x - centre_x) * scale + offset_x;
        point.y = (point.y - centre_y) * scale + offset_y;
    }
}

/// The centre of mass of the strokes, each piece weighing its length.
fn centre_of_ink(strokes: &[Vec<Ink>]) -> (f32, f32) {
    let (mut mass, mut x, mut y) = (0.0f32, 0.0, 0.0);
    for pair in strokes.iter().flat_map(|stroke| stroke.windows(2)) {
        let (dx, dy) = (pair[1].x - pair[0].x, pair[1].y - pair[0].y);
        let length = (dx * dx + dy * dy).sqrt();
        mass += length;
        x += length * (pair[0].x + pair[1].x) / 2.0;
        y += length * (pair[0].y + pair[1].y) / 2.0;
    }
    let mass = mass.max(f32::MIN_POSITIVE);
    (x / mass, y / mass)
}
