//! A comparison as an SVG picture: a row for each contestant, a logarithmic scale, whiskers from the 5th to the 95th percentile.

use svg::Document;
use svg::Node;
use svg::node::element::{Circle, Element, Group, Line, Rectangle};

use super::comparison::{Comparison, Lane, Measure, show_ratio};
use super::contestant::Team;
use super::host::Host;
use super::statistics::Summary;

/// Pixels.
const WIDTH: f64 = 1120.0;
const MARGIN: f64 = 32.0;
/// Where the scale begins and ends; names are left of it, numbers right.
const LEFT: f64 = 300.0;
const RIGHT: f64 = 830.0;
const ROW: f64 = 26.0;
/// From so many decades on, a scale is long.
const LONG: f64 = 2.7;
const SANS: &str = "DejaVu Sans, Verdana, Helvetica, Arial, sans-serif";
const DARK: &str = "#1a1a1a";
const GREY: &str = "#5a5a5a";

/// The picture of all of them.
pub fn chart(host: &Host, comparisons: &[Comparison]) -> String {
    let mut y = 44.0;
    let mut group = Group::new();
    for comparison in comparisons {
        group = group.add(text(MARGIN, y, 19.0, &comparison.title).bold());
        y += 22.0;
        group = group.add(text(MARGIN, y, 12.0, comparison.remark).ink(GREY));
        for measure in comparison.measures.iter().filter(|measure| measure.is_main) {
            y += 34.0;
            let (panel, bottom) = panel(comparison, measure, y);
            group = group.add(panel);
            y = bottom;
        }
        y += 12.0;
        for note in comparison.notes() {
            y += 18.0;
            let words: String = note.chars().take(150).collect();
            group = group.add(text(MARGIN, y, 12.0, words).ink(GREY));
        }
        y += 52.0;
    }
    group = group.add(text(MARGIN, y - 8.0, 11.0, host.line()).ink(GREY));
    let document = Document::new()
        .set("version", "1.1")
        .set("width", WIDTH)
        .set("height", y + 12.0)
        .set("viewBox", (0, 0, WIDTH, y + 12.0))
        .add(Rectangle::new().set("width", WIDTH).set("height", y + 12.0).set("fill", "#ffffff"))
        .add(group);
    format!("{document}\n")
}

/// One measure of a comparison, from `top` on, and where it ends.
fn panel(comparison: &Comparison, measure: &Measure, top: f64) -> (Group, f64) {
    let rows: Vec<(&Lane, Summary)> =
        comparison.lanes.iter().filter_map(|lane| Some((lane, lane.summary(measure)?))).collect();
    let scale = Scale::of(rows.iter().map(|(_, summary)| summary));
    let heading = format!("{}, {}", measure.name, measure.unit.name());
    let mut group = Group::new().add(text(MARGIN, top, 14.0, heading).bold());
    group = group.add(text(RIGHT + 80.0, top, 12.0, "p50").ink(GREY).ending_there());
    if let Some(other) = measure.against {
        group = group.add(text(RIGHT + 100.0, top, 12.0, format!("× {other}")).ink(GREY));
    }
    let first = top + 14.0;
    let bottom = first + ROW * count(rows.len());
    for (value, is_labelled) in scale.ticks() {
        let x = scale.place(value);
        let colour = if is_labelled { "#c8c8c8" } else { "#ececec" };
        group = group.add(line((x, first), (x, bottom), colour, 1.0));
        if is_labelled {
            group = group.add(text(x, bottom + 16.0, 11.0, tick_name(value)).ink(GREY).centred());
        }
    }
    for (index, (lane, summary)) in rows.iter().enumerate() {
        let y = first + ROW * (count(index) + 0.5);
        let colour = colour(lane.team);
        let [low, middle, high] = [summary.p5, summary.p50, summary.p95].map(|value| scale.place(value));
        group = group
            .add(text(LEFT - 14.0, y + 4.0, 13.0, &lane.name).ending_there())
            .add(line((low, y), (high, y), colour, 2.5))
            .add(line((low, y - 6.0), (low, y + 6.0), colour, 2.0))
            .add(line((high, y - 6.0), (high, y + 6.0), colour, 2.0))
            .add(Circle::new().set("cx", round(middle)).set("cy", y).set("r", 5).set("fill", colour))
            .add(text(RIGHT + 80.0, y + 4.0, 13.0, measure.unit.show(summary.p50)).ending_there());
        if let Some(ratio) = comparison.ratio(measure, summary) {
            group = group.add(text(RIGHT + 100.0, y + 4.0, 13.0, format!("× {}", show_ratio(ratio))));
        }
    }
    (group, bottom + 20.0)
}

/// A logarithmic scale.
struct Scale {
    /// Decimal logarithms of its ends.
    low: f64,
    high: f64,
}

impl Scale {
    /// One on which all of these lie, with a little room at both ends.
    fn of<'a>(summaries: impl Iterator<Item = &'a Summary>) -> Self {
        let logs = summaries.flat_map(|summary| [summary.p5, summary.p95]).filter(|value| *value > 0.0).map(f64::log10);
        let (low, high) = logs.fold((f64::MAX, f64::MIN), |(low, high), log| (log.min(low), log.max(high)));
        // Nothing to show gets a scale, too.
        let (low, high) = if low > high { (0.0, 1.0) } else { (low, high) };
        let room = ((high - low) * 0.04).max(0.08);
        Self { low: low - room, high: high + room }
    }

    /// Where a value lies.
    fn place(&self, value: f64) -> f64 {
        let share = (value.max(f64::MIN_POSITIVE).log10() - self.low) / (self.high - self.low);
        LEFT + share.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }

    /// The round numbers on it, and whether each is labelled: on a long scale, only powers of ten have room.
    fn ticks(&self) -> Vec<(f64, bool)> {
        #[allow(clippy::cast_possible_truncation, reason = "logarithms of what can be measured")]
        let decades = self.low.floor() as i32..=self.high.ceil() as i32;
        let is_on = |value: f64| value.log10() >= self.low && value.log10() <= self.high;
        let labelled: &[i32] = if self.high - self.low > LONG { &[1] } else { &[1, 2, 5] };
        decades
            .flat_map(|decade| {
                (1..10).map(move |digit| (f64::from(digit) * 10_f64.powi(decade), labelled.contains(&digit)))
            })
            .filter(|(value, _)| is_on(*value))
            .collect()
    }
}

fn tick_name(value: f64) -> String {
    if value >= 1.0 { format!("{value:.0}") } else { format!("{value:.3}").trim_end_matches('0').to_owned() }
}

fn colour(team: Team) -> &'static str {
    match team {
        Team::Floor => "#555555",
        Team::Own => "#0060b0",
        Team::Qemu => "#d05800",
        Team::Other => "#2a8a2a",
    }
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// To a tenth of a pixel.
fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn line(from: (f64, f64), to: (f64, f64), colour: &str, width: f64) -> Line {
    let line =
        Line::new().set("x1", round(from.0)).set("y1", round(from.1)).set("x2", round(to.0)).set("y2", round(to.1));
    line.set("stroke", colour).set("stroke-width", width)
}

/// A line of text. The library's own text element puts line breaks around the words, which some viewers show as blanks.
struct Words(Element);

fn text(x: f64, y: f64, size: f64, words: impl Into<String>) -> Words {
    let mut element = Element::new("text");
    element.append(svg::node::Text::new(words));
    for (name, value) in [("x", x), ("y", y), ("font-size", size)] {
        element.assign(name, round(value));
    }
    element.assign("font-family", SANS);
    element.assign("fill", DARK);
    Words(element)
}

impl Words {
    fn set(mut self, name: &str, value: &str) -> Self {
        self.0.assign(name, value);
        self
    }

    fn bold(self) -> Self {
        self.set("font-weight", "bold")
    }

    fn ink(self, colour: &str) -> Self {
        self.set("fill", colour)
    }

    fn ending_there(self) -> Self {
        self.set("text-anchor", "end")
    }

    fn centred(self) -> Self {
        self.set("text-anchor", "middle")
    }
}

impl From<Words> for Box<dyn Node> {
    fn from(words: Words) -> Self {
        Box::new(words.0)
    }
}
