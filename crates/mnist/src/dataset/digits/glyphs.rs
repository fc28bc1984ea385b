//! The shapes of handwriting: how people draw each digit, as strokes.

/// One way to write a digit.
pub(super) struct Glyph {
    /// Width divided by height.
    pub(super) aspect: f32,
    /// One list of control points per stroke of the pen, `(x, y)` in the unit box, y downwards.
    ///
    /// They control a quadratic B-spline: the stroke starts and ends on its outer points and bends towards
    /// those between; a point given twice is a corner.
    pub(super) strokes: &'static [&'static [(f32, f32)]],
}

/// The ways to write each digit, by digit.
pub(super) const GLYPHS: [&[Glyph]; 10] =
    [&ZERO, &ONE, &TWO, &THREE, &FOUR, &FIVE, &SIX, &SEVEN, &EIGHT, &NINE];

const ZERO: [Glyph; 3] = [
    // Closed at the top.
    Glyph {
        aspect: 0.8,
        strokes: &[&[
            (0.55, 0.0),
            (0.1, 0.02),
            (0.0, 0.5),
            (0.1, 0.98),
            (0.5, 1.0),
            (0.9, 0.98),
            (1.0, 0.5),
            (0.9, 0.05),
            (0.45, 0.0),
        ]],
    },
    // The end crosses the beginning.
    Glyph {
        aspect: 0.7,
        strokes: &[&[
            (0.75, 0.1),
            (0.35, -0.08),
            (0.0, 0.3),
            (0.0, 0.75),
            (0.35, 1.05),
            (0.85, 0.95),
            (1.0, 0.5),
            (0.8, 0.05),
            (0.4, 0.12),
        ]],
    },
    // Left open, like a 6 that lost its way.
    Glyph {
        aspect: 0.75,
        strokes: &[&[
            (0.6, 0.0),
            (0.1, 0.1),
            (-0.05, 0.6),
            (0.2, 1.05),
            (0.8, 1.0),
            (1.05, 0.5),
            (0.85, 0.1),
            (0.65, 0.12),
        ]],
    },
];

const ONE: [Glyph; 3] = [
    // A single line.
    Glyph { aspect: 0.3, strokes: &[&[(0.52, 0.0), (0.5, 0.5), (0.48, 1.0)]] },
    // With an upstroke.
    Glyph { aspect: 0.6, strokes: &[&[(0.2, 0.28), (0.55, 0.0), (0.55, 0.0), (0.54, 0.5), (0.52, 1.0)]] },
    // With an upstroke and a base.
    Glyph {
        aspect: 0.6,
        strokes: &[
            &[(0.2, 0.22), (0.52, 0.0), (0.52, 0.0), (0.52, 0.5), (0.5, 1.0)],
            &[(0.05, 0.99), (0.5, 1.0), (0.95, 0.98)],
        ],
    },
];

const TWO: [Glyph; 3] = [
    // A corner at the lower left.
    Glyph {
        aspect: 0.8,
        strokes: &[&[
            (0.05, 0.25),
            (0.2, -0.02),
            (0.8, -0.06),
            (1.0, 0.3),
            (0.6, 0.65),
            (0.0, 1.0),
            (0.0, 1.0),
            (0.5, 0.97),
            (1.0, 1.0),
        ]],
    },
    // A loop at the lower left.
    Glyph {
        aspect: 0.9,
        strokes: &[&[
            (0.05, 0.2),
            (0.3, -0.08),
            (0.95, -0.02),
            (0.85, 0.45),
            (0.4, 0.92),
            (0.08, 1.05),
            (0.0, 0.82),
            (0.25, 0.75),
            (0.55, 0.98),
            (1.0, 0.95),
        ]],
    },
    // Nearly a Z.
    Glyph {
        aspect: 0.8,
        strokes: &[&[
            (0.0, 0.12),
            (0.5, -0.05),
            (1.05, 0.05),
            (0.8, 0.45),
            (0.1, 0.95),
            (0.1, 0.95),
            (0.6, 0.9),
            (1.0, 1.0),
        ]],
    },
];

const THREE: [Glyph; 3] = [
    // Two bows that meet in a point.
    Glyph {
        aspect: 0.7,
        strokes: &[&[
            (0.05, 0.1),
            (0.5, -0.1),
            (1.0, 0.1),
            (0.85, 0.42),
            (0.4, 0.48),
            (0.4, 0.48),
            (1.0, 0.5),
            (1.05, 0.9),
            (0.5, 1.1),
            (0.0, 0.9),
        ]],
    },
    // A flat top.
    Glyph {
        aspect: 0.7,
        strokes: &[&[
            (0.05, 0.02),
            (0.95, 0.0),
            (0.95, 0.0),
            (0.45, 0.4),
            (0.45, 0.4),
            (0.95, 0.38),
            (1.1, 0.8),
            (0.7, 1.08),
            (0.0, 0.95),
        ]],
    },
    // A small loop at the waist.
    Glyph {
        aspect: 0.75,
        strokes: &[&[
            (0.1, 0.1),
            (0.6, -0.1),
            (1.0, 0.15),
            (0.75, 0.45),
            (0.3, 0.56),
            (0.35, 0.4),
            (0.85, 0.48),
            (1.05, 0.78),
            (0.75, 1.08),
            (0.0, 0.93),
        ]],
    },
];

const FOUR: [Glyph; 3] = [
    // Open at the top.
    Glyph {
        aspect: 0.75,
        strokes: &[
            &[(0.15, 0.0), (0.03, 0.55), (0.03, 0.55), (0.5, 0.56), (1.0, 0.52)],
            &[(0.82, 0.05), (0.78, 0.5), (0.72, 1.0)],
        ],
    },
    // Closed, in one stroke.
    Glyph {
        aspect: 0.8,
        strokes: &[&[
            (0.68, 1.0),
            (0.72, 0.5),
            (0.75, 0.0),
            (0.75, 0.0),
            (0.0, 0.65),
            (0.0, 0.65),
            (0.5, 0.66),
            (1.0, 0.63),
        ]],
    },
    // A bowl beside a stem, close to a 9.
    Glyph {
        aspect: 0.65,
        strokes: &[
            &[(0.2, 0.02), (0.0, 0.45), (0.3, 0.58), (0.85, 0.42)],
            &[(0.92, 0.0), (0.86, 0.5), (0.8, 1.0)],
        ],
    },
];

const FIVE: [Glyph; 3] = [
    // The bar on top is a second stroke.
    Glyph {
        aspect: 0.75,
        strokes: &[
            &[
                (0.2, 0.02),
                (0.1, 0.45),
                (0.1, 0.45),
                (0.6, 0.28),
                (1.1, 0.55),
                (0.85, 1.05),
                (0.35, 1.08),
                (0.0, 0.9),
            ],
            &[(0.2, 0.03), (0.6, 0.0), (1.0, 0.0)],
        ],
    },
    // One stroke with two corners.
    Glyph {
        aspect: 0.75,
        strokes: &[&[
            (0.95, 0.02),
            (0.25, 0.0),
            (0.25, 0.0),
            (0.1, 0.46),
            (0.1, 0.46),
            (0.95, 0.3),
            (1.05, 0.85),
            (0.6, 1.1),
            (0.0, 0.92),
        ]],
    },
    // Nearly an S.
    Glyph {
        aspect: 0.75,
        strokes: &[&[
            (0.98, 0.05),
            (0.4, -0.06),
            (0.05, 0.2),
            (0.25, 0.47),
            (0.95, 0.52),
            (0.98, 0.98),
            (0.4, 1.1),
            (0.0, 0.9),
        ]],
    },
];

const SIX: [Glyph; 3] = [
    // A wide bow into the loop.
    Glyph {
        aspect: 0.75,
        strokes: &[&[
            (0.85, 0.0),
            (0.3, 0.12),
            (-0.05, 0.6),
            (0.1, 1.02),
            (0.6, 1.1),
            (1.05, 0.8),
            (0.75, 0.48),
            (0.3, 0.55),
            (0.06, 0.8),
        ]],
    },
    // A straight stem and a small loop.
    Glyph {
        aspect: 0.6,
        strokes: &[&[
            (0.55, 0.0),
            (0.12, 0.4),
            (-0.03, 0.85),
            (0.3, 1.1),
            (0.95, 1.02),
            (0.95, 0.65),
            (0.5, 0.55),
            (0.1, 0.8),
        ]],
    },
    // Curled at the top.
    Glyph {
        aspect: 0.75,
        strokes: &[&[
            (0.95, 0.15),
            (0.6, -0.08),
            (0.05, 0.2),
            (-0.03, 0.9),
            (0.5, 1.12),
            (1.05, 0.85),
            (0.8, 0.5),
            (0.35, 0.48),
            (0.05, 0.75),
        ]],
    },
];

const SEVEN: [Glyph; 4] = [
    // A corner.
    Glyph { aspect: 0.75, strokes: &[&[(0.0, 0.05), (0.95, 0.02), (0.95, 0.02), (0.6, 0.5), (0.35, 1.0)]] },
    // A corner and a bar through the stem.
    Glyph {
        aspect: 0.75,
        strokes: &[
            &[(0.0, 0.05), (0.95, 0.02), (0.95, 0.02), (0.6, 0.5), (0.35, 1.0)],
            &[(0.25, 0.52), (0.6, 0.5), (0.9, 0.47)],
        ],
    },
    // A serif at the left.
    Glyph {
        aspect: 0.7,
        strokes: &[&[
            (0.0, 0.22),
            (0.04, 0.02),
            (0.04, 0.02),
            (0.98, 0.05),
            (0.98, 0.05),
            (0.65, 0.4),
            (0.5, 1.0),
        ]],
    },
    // Rounded.
    Glyph { aspect: 0.7, strokes: &[&[(0.0, 0.15), (0.45, -0.05), (1.1, 0.0), (0.75, 0.45), (0.5, 1.0)]] },
];

const EIGHT: [Glyph; 3] = [
    // One stroke that crosses itself at the waist.
    Glyph {
        aspect: 0.7,
        strokes: &[&[
            (0.85, 0.12),
            (0.45, -0.1),
            (0.02, 0.15),
            (0.3, 0.45),
            (0.95, 0.65),
            (0.95, 1.0),
            (0.45, 1.1),
            (0.0, 0.95),
            (0.1, 0.62),
            (0.6, 0.45),
            (1.0, 0.2),
            (0.8, 0.0),
            (0.62, 0.03),
        ]],
    },
    // Two circles.
    Glyph {
        aspect: 0.65,
        strokes: &[
            &[(0.5, 0.47), (0.1, 0.42), (0.1, 0.02), (0.5, -0.05), (0.92, 0.02), (0.9, 0.42), (0.5, 0.47)],
            &[(0.5, 0.47), (0.0, 0.52), (0.0, 1.0), (0.5, 1.06), (1.02, 1.0), (1.0, 0.52), (0.5, 0.47)],
        ],
    },
    // Open at the upper right.
    Glyph {
        aspect: 0.7,
        strokes: &[&[
            (0.9, 0.05),
            (0.4, -0.08),
            (0.0, 0.2),
            (0.4, 0.48),
            (0.9, 0.7),
            (0.8, 1.06),
            (0.2, 1.06),
            (0.05, 0.75),
            (0.5, 0.45),
            (1.0, 0.1),
        ]],
    },
];

const NINE: [Glyph; 3] = [
    // A straight stem.
    Glyph {
        aspect: 0.65,
        strokes: &[
            &[(0.92, 0.15), (0.6, -0.1), (-0.02, 0.02), (0.02, 0.52), (0.6, 0.58), (0.92, 0.2)],
            &[(0.94, 0.08), (0.9, 0.5), (0.82, 1.0)],
        ],
    },
    // A hooked tail.
    Glyph {
        aspect: 0.65,
        strokes: &[&[
            (0.9, 0.2),
            (0.6, -0.1),
            (-0.02, 0.02),
            (0.02, 0.52),
            (0.6, 0.56),
            (0.95, 0.12),
            (1.02, 0.8),
            (0.7, 1.1),
            (0.1, 0.95),
        ]],
    },
    // One stroke, falling to the left.
    Glyph {
        aspect: 0.65,
        strokes: &[&[
            (0.95, 0.12),
            (0.55, -0.1),
            (0.0, 0.08),
            (0.1, 0.5),
            (0.7, 0.45),
            (0.98, 0.1),
            (0.75, 0.55),
            (0.55, 1.0),
        ]],
    },
];
