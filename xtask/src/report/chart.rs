//! Charts as SVG that takes the page's colours.

use anyhow::{Result, anyhow};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// What a chart shows: its axes, and how large it is.
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

const SIZE: (u32, u32) = (640, 280);

/// Colours that can be told apart on white and on black, also by those who are blind to some (Okabe and Ito, 2008).
const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(230, 120, 0), RGBColor(0, 158, 115), RGBColor(204, 90, 160)];

impl Chart<'_> {
    /// Lines over the range of their points.
    pub(crate) fn lines(&self, series: &[Series]) -> Result<String> {
        let points = || series.iter().flat_map(|series| &series.points);
        let x = bounds(points().map(|point| point.0));
        let y = bounds(points().map(|point| point.1));
        self.draw(x, y, |chart| {
            for (series, colour) in series.iter().zip(COLOURS.iter().cycle()) {
                chart
                    .draw_series(LineSeries::new(series.points.iter().copied(), colour.stroke_width(2)))?
                    .label(&series.name)
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
            }
            Ok(())
        })
    }

    /// How many values lie in each of the parts of a range, which are of one width.
    pub(crate) fn histogram(&self, (low, high): (f64, f64), counts: &[u64]) -> Result<String> {
        let width = (high - low) / counts.len().max(1) as f64;
        // Logarithmic: a few values far out are what scales are about.
        let height = |count: u64| ((count + 1) as f64).log10();
        let top = counts.iter().map(|&count| height(count)).fold(1.0, f64::max);
        self.draw((low, high), (0.0, top), |chart| {
            let bars = counts.iter().enumerate().map(|(index, &count)| {
                let left = low + index as f64 * width;
                Rectangle::new([(left, 0.0), (left + width, height(count))], COLOURS[0].filled())
            });
            chart.draw_series(bars)?;
            Ok(())
        })
    }

    fn draw(
        &self,
        x: (f64, f64),
        y: (f64, f64),
        content: impl FnOnce(&mut Plane<'_, '_>) -> Result<(), Fault>,
    ) -> Result<String> {
        let mut svg = String::new();
        self.draw_on(&mut svg, x, y, content).map_err(|fault| anyhow!("a chart cannot be drawn: {fault}"))?;
        // Black is the page's own colour of text, and the size is the page's affair.
        let (width, height) = SIZE;
        let svg = svg.replace("#000000", "currentColor");
        Ok(svg.replacen(&format!("width=\"{width}\" height=\"{height}\""), "class=\"chart\"", 1))
    }

    fn draw_on(
        &self,
        svg: &mut String,
        x: (f64, f64),
        y: (f64, f64),
        content: impl FnOnce(&mut Plane<'_, '_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        let mut builder = ChartBuilder::on(&area);
        builder.margin(8).x_label_area_size(40).y_label_area_size(56);
        let mut chart = builder.build_cartesian_2d(x.0..x.1, y.0..y.1)?;
        let text = ("sans-serif", 13).into_font().color(&BLACK);
        let faint = BLACK.mix(0.15);
        chart
            .configure_mesh()
            .x_desc(self.x)
            .y_desc(self.y)
            .label_style(text.clone())
            .axis_desc_style(text.clone())
            .bold_line_style(faint)
            .light_line_style(TRANSPARENT)
            .draw()?;
        content(&mut chart)?;
        let anchored = text.pos(Pos::new(HPos::Left, VPos::Center));
        chart.configure_series_labels().border_style(TRANSPARENT).label_font(anchored).draw()?;
        area.present()?;
        Ok(())
    }
}

type Plane<'p, 's> = ChartContext<
    'p,
    SVGBackend<'s>,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;
type Fault = DrawingAreaErrorKind<std::io::Error>;

/// The range of values, a little wider.
fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let finite = values.filter(|value| value.is_finite());
    let (low, high) = finite.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
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
    fn a_chart_has_its_lines_and_their_names_in_the_colours_of_the_page() {
        let series = Series { name: "loss".into(), points: vec![(0.0, 1.0), (1.0, 0.5), (2.0, 0.25)] };
        let svg = Chart { x: "step", y: "loss" }.lines(&[series]).unwrap();
        assert!(svg.contains("polyline") && svg.contains("loss") && svg.contains("class=\"chart\""), "{svg}");
        assert!(svg.contains("currentColor") && !svg.contains("#000000"), "{svg}");
    }

    #[test]
    fn nothing_to_show_is_an_empty_chart() {
        assert!(Chart { x: "x", y: "y" }.lines(&[]).unwrap().contains("<svg"));
        assert!(Chart { x: "x", y: "y" }.histogram((0.0, 1.0), &[]).unwrap().contains("<svg"));
    }
}
