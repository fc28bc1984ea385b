//! Charts as SVG that takes the page's colours.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::grouped;

/// A chart with the names of its axes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chart<'c> {
    pub(crate) x: &'c str,
    pub(crate) y: &'c str,
}

/// A line with its name.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Bars with one name: a number for each row, or none.
#[derive(Debug, Clone)]
pub(crate) struct Bars<'b> {
    pub(crate) name: &'b str,
    pub(crate) values: Vec<Option<f64>>,
}

/// Small, for letters that can be read on a phone, where the chart is shrunk to its width.
const WIDTH: u32 = 460;
const HEIGHT: u32 = 260;
/// Of the letters in plotters' own unit, in which pixels are four fifths.
const LETTER: u32 = 15;
/// Room above the chart for the names of series, and beside it for half of the last number of its axis.
const TOP: u32 = 24;
const RIGHT: u32 = 24;
/// Room for the names of rows, and the height of a bar.
const NAMES: u32 = 168;
const BAR: u32 = 14;

/// Colours that can be told apart on white and on black, also by those who are blind to some (Okabe and Ito, 2008).
const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(230, 120, 0), RGBColor(0, 158, 115), RGBColor(204, 90, 160)];

type Area<'s> = DrawingArea<SVGBackend<'s>, Shift>;
type Plane<'p, 's> = ChartContext<'p, SVGBackend<'s>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
type Fault = DrawingAreaErrorKind<std::io::Error>;

impl Chart<'_> {
    /// Lines over the range of their points.
    pub(crate) fn lines(&self, series: &[Series]) -> Result<String> {
        let points = || series.iter().flat_map(|series| &series.points);
        let x = bounds(points().map(|point| point.0));
        let y = bounds(points().map(|point| point.1));
        svg(HEIGHT, |area| {
            let mut chart = self.plane(area, x, y)?;
            for (series, colour) in series.iter().zip(COLOURS.iter().cycle()) {
                chart.draw_series(LineSeries::new(series.points.iter().copied(), colour.stroke_width(2)))?;
            }
            legend(area, series.iter().map(|series| &series.name[..]))
        })
    }

    /// How many values lie between two bounds, on a logarithmic scale: the few values far out are what scales are about.
    pub(crate) fn histogram(&self, bins: &[(f64, f64, u64)]) -> Result<String> {
        let height = |count: u64| (count as f64 + 1.0).log10();
        let x = bounds(bins.iter().flat_map(|&(low, high, _)| [low, high]));
        let top = bins.iter().map(|bin| height(bin.2)).fold(1.0, f64::max);
        svg(HEIGHT * 2 / 3, |area| {
            let mut chart = self.plane(area, x, (0.0, 1.05 * top))?;
            let bar = |&(low, high, count): &(f64, f64, u64)| {
                Rectangle::new([(low, 0.0), (high, height(count))], COLOURS[0].filled())
            };
            chart.draw_series(bins.iter().map(bar))?;
            Ok(())
        })
    }

    /// Rows with names, and in each a bar of every kind with its number.
    pub(crate) fn bars(&self, rows: &[&str], bars: &[Bars<'_>], digits: usize) -> Result<String> {
        let values = bars.iter().flat_map(|bars| bars.values.iter().flatten());
        let right = 1.2 * values.copied().filter(|value| value.is_finite()).fold(1e-9, f64::max);
        let thickness = 0.8 / bars.len().max(1) as f64;
        let height = (BAR * bars.len() as u32 + 8) * rows.len() as u32 + 80;
        svg(height, |area| {
            let mut builder = ChartBuilder::on(area);
            builder
                .margin(8)
                .margin_right(RIGHT)
                .margin_top(TOP)
                .x_label_area_size(40)
                .y_label_area_size(NAMES);
            let mut chart = builder.build_cartesian_2d(0.0..right, 0.0..rows.len().max(1) as f64)?;
            self.mesh(&mut chart, false)?;
            for (row, name) in rows.iter().enumerate() {
                let top = (rows.len() - row) as f64 - 0.1;
                let (x, y) = chart.backend_coord(&(0.0, top - 0.4));
                area.draw(&Text::new(shortened(name), (x - 8, y), letters(HPos::Right)))?;
                for (index, (kind, colour)) in bars.iter().zip(COLOURS).enumerate() {
                    let Some(value) = kind.values.get(row).copied().flatten() else { continue };
                    let (high, low) = (top - index as f64 * thickness, top - (index + 1) as f64 * thickness);
                    chart.draw_series([Rectangle::new([(0.0, low), (value, high)], colour.filled())])?;
                    let (x, y) = chart.backend_coord(&(value, (high + low) / 2.0));
                    area.draw(&Text::new(number(value, digits), (x + 4, y), letters(HPos::Left)))?;
                }
            }
            legend(area, bars.iter().map(|bars| bars.name))
        })
    }

    /// The axes, with their names and a faint mesh.
    fn plane<'p, 's>(
        &self,
        area: &'p Area<'s>,
        x: (f64, f64),
        y: (f64, f64),
    ) -> Result<Plane<'p, 's>, Fault> {
        let mut builder = ChartBuilder::on(area);
        builder.margin(8).margin_right(RIGHT).margin_top(TOP).x_label_area_size(40).y_label_area_size(56);
        let mut chart = builder.build_cartesian_2d(x.0..x.1, y.0..y.1)?;
        self.mesh(&mut chart, true)?;
        Ok(chart)
    }

    fn mesh(&self, chart: &mut Plane<'_, '_>, has_values_beside: bool) -> Result<(), Fault> {
        let faint = BLACK.mix(0.15);
        let mut mesh = chart.configure_mesh();
        mesh.x_desc(self.x)
            .x_labels(5)
            .x_label_formatter(&tick)
            .y_label_formatter(&tick)
            .label_style(letters(HPos::Left))
            .axis_desc_style(letters(HPos::Left))
            .bold_line_style(faint)
            .light_line_style(TRANSPARENT)
            .axis_style(BLACK.mix(0.5));
        match has_values_beside {
            true => mesh.y_desc(self.y).y_labels(6).draw(),
            false => mesh.disable_y_mesh().disable_y_axis().y_labels(0).draw(),
        }
    }
}

/// Draws an SVG of the page's own colour of text, and as wide as the page lets it be.
fn svg(height: u32, content: impl FnOnce(&Area<'_>) -> Result<(), Fault>) -> Result<String> {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
    let drawn = content(&area).and_then(|()| area.present());
    drop(area);
    drawn.map_err(|fault| anyhow!("a chart cannot be drawn: {fault}"))?;
    let svg = svg.replace("#000000", "currentColor");
    Ok(svg.replacen(&format!("width=\"{WIDTH}\" height=\"{height}\""), "class=\"chart\"", 1))
}

/// The names of series and their colours, in a line above the chart; a single one needs none.
fn legend<'n>(area: &Area<'_>, names: impl ExactSizeIterator<Item = &'n str>) -> Result<(), Fault> {
    if names.len() < 2 {
        return Ok(());
    }
    let mut x = 16;
    for (name, colour) in names.zip(COLOURS.iter().cycle()) {
        area.draw(&Rectangle::new([(x, 6), (x + 12, 16)], colour.filled()))?;
        area.draw(&Text::new(name.to_owned(), (x + 18, 11), letters(HPos::Left)))?;
        x += 40 + 7 * name.chars().count() as i32;
    }
    Ok(())
}

fn letters(anchor: HPos) -> TextStyle<'static> {
    ("sans-serif", LETTER).into_font().color(&BLACK).pos(Pos::new(anchor, VPos::Center))
}

/// The number at a line of the mesh, with no more digits than it needs.
fn tick(value: &f64) -> String {
    let digits = (0..4).find(|&digits| (value * 10f64.powi(digits)).fract().abs() < 1e-6);
    number(*value, digits.unwrap_or(4) as usize)
}

/// A number with some digits behind the point, and whole ones in groups.
fn number(value: f64, digits: usize) -> String {
    let sign = if value < 0.0 { "−" } else { "" };
    match digits {
        0 => format!("{sign}{}", grouped(value.abs().round() as u64)),
        _ => format!("{sign}{:.digits$}", value.abs()),
    }
}

/// The end of a name that is too long for its room: names of layers differ there.
fn shortened(name: &str) -> String {
    let letters = name.chars().count();
    let room = (NAMES * 2 / 13) as usize;
    if letters <= room {
        name.into()
    } else {
        format!("…{}", name.chars().skip(letters - room + 1).collect::<String>())
    }
}

/// The range of values, a little wider.
fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let finite = values.filter(|value| value.is_finite());
    let (low, high) =
        finite.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return (0.0, 1.0);
    }
    let edge = 0.05 * (high - low).max(1e-9);
    (low - edge, high + edge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_their_names_in_the_colours_of_the_page() {
        let line =
            |name: &str| Series { name: name.into(), points: vec![(0.0, 1.0), (1.0, 0.5), (2.0, 0.25)] };
        let svg = Chart { x: "step", y: "loss" }.lines(&[line("train"), line("test")]).unwrap();
        for colour in ["#0072B2", "#E67800"] {
            assert_eq!(svg.matches(&format!("stroke=\"{colour}\"")).count(), 1, "{svg}");
        }
        for text in ["step", "loss", "train", "test", "class=\"chart\"", "currentColor"] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
        assert!(!svg.contains("#000000"), "{svg}");
    }

    #[test]
    fn a_bar_is_as_long_as_its_number_and_none_is_no_bar() {
        let chart = Chart { x: "dB", y: "" };
        let svg = chart
            .bars(&["first", "second"], &[Bars { name: "SNR", values: vec![Some(40.0), None] }], 1)
            .unwrap();
        assert_eq!(svg.matches("<rect").count(), 1, "{svg}");
        assert!(svg.contains("40.0") && svg.contains("second"), "{svg}");
    }

    #[test]
    fn nothing_to_show_is_an_empty_chart() {
        let chart = Chart { x: "x", y: "y" };
        for svg in [chart.lines(&[]), chart.histogram(&[]), chart.bars(&[], &[], 0)] {
            assert!(svg.unwrap().contains("<svg"));
        }
    }

    #[test]
    fn ticks_have_no_more_digits_than_they_need() {
        assert_eq!(
            [0.0, 20_000.0, -5.0, 0.25, -0.5].map(|value| tick(&value)),
            ["0", "20,000", "−5", "0.25", "−0.5"]
        );
    }

    #[test]
    fn of_a_long_name_the_end_is_kept() {
        assert_eq!(shortened("conv"), "conv");
        assert_eq!(shortened("a_network/with/very/long/names/dense"), "…th/very/long/names/dense");
    }
}
