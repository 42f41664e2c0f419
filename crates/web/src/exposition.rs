//! Prometheus' text format, version 0.0.4.
//!
//! Every series that can ever exist is written from the start, with a zero: a counter that
//! appears only with its first event has no increase that anybody could see.

use std::collections::BTreeMap;
use std::fmt::Write;

use axum::response::{IntoResponse, Response};
use graph::Millis;
use http::HeaderValue;
use http::header::CONTENT_TYPE;

use crate::histogram::Histogram;

/// The media type of the format.
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// A page as a response.
pub fn respond(page: String) -> Response {
    ([(CONTENT_TYPE, MEDIA_TYPE)], page).into_response()
}

/// Which way a metric goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only up, until the process ends.
    Counter,
    /// Up and down.
    Gauge,
    /// Durations, counted.
    Histogram,
}

/// A page in the making.
pub struct Page {
    /// What each name begins with.
    program: &'static str,
    text: String,
}

/// Names and values.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

impl Page {
    /// An empty page, each of whose metrics has a name that begins with the program's and an underscore.
    pub fn new(program: &'static str) -> Page {
        Page { program, text: String::new() }
    }

    /// The whole page.
    pub fn finish(self) -> String {
        self.text
    }

    /// Begins a metric.
    pub fn metric(&mut self, name: &'static str, kind: Kind, help: &str) -> Metric<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let program = self.program;
        self.line(format_args!("# HELP {program}_{name} {help}"));
        self.line(format_args!("# TYPE {program}_{name} {kind}"));
        Metric { page: self, name }
    }

    /// A counter without labels.
    pub fn counter(&mut self, name: &'static str, value: u64, help: &str) {
        self.metric(name, Kind::Counter, help).sample(&[], value);
    }

    /// A gauge without labels.
    pub fn gauge(&mut self, name: &'static str, value: u64, help: &str) {
        self.metric(name, Kind::Gauge, help).sample(&[], value);
    }

    /// A gauge of a span of time.
    pub fn seconds(&mut self, name: &'static str, value: Millis, help: &str) {
        self.metric(name, Kind::Gauge, help).sample(&[], Seconds(value));
    }

    /// A counter for each value of one label.
    pub fn counters(&mut self, name: &'static str, label: &str, counts: &BTreeMap<&'static str, u64>, help: &str) {
        let mut metric = self.metric(name, Kind::Counter, help);
        for (value, count) in counts {
            metric.sample(&[(label, value)], *count);
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{line}").expect("a string takes everything");
    }
}

/// A metric of the page.
pub struct Metric<'a> {
    page: &'a mut Page,
    name: &'static str,
}

impl Metric<'_> {
    /// Adds a series.
    pub fn sample(&mut self, labels: Labels<'_>, value: impl std::fmt::Display) {
        self.part("", labels, value);
    }

    fn part(&mut self, suffix: &str, labels: Labels<'_>, value: impl std::fmt::Display) {
        let text: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels = if text.is_empty() { String::new() } else { format!("{{{}}}", text.join(",")) };
        let (program, name) = (self.page.program, self.name);
        self.page.line(format_args!("{program}_{name}{suffix}{labels} {value}"));
    }

    /// Adds the series of a histogram.
    pub fn histogram(&mut self, labels: Labels<'_>, histogram: &Histogram) {
        let up_to = |bound: &str| [labels, &[("le", bound)]].concat().into_iter().map(own).collect::<Vec<_>>();
        let count = histogram.count();
        let bounds = histogram.cumulative().map(|(bound, count)| (Seconds(bound).to_string(), count));
        for (bound, count) in bounds.chain([("+Inf".to_owned(), count)]) {
            let labels = up_to(&bound);
            let labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (&**name, &**value)).collect();
            self.part("_bucket", &labels, count);
        }
        self.part("_sum", labels, Seconds(histogram.sum()));
        self.part("_count", labels, count);
    }
}

fn own((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// A span of time as Prometheus counts it.
pub struct Seconds(pub Millis);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Millis(ms) = self.0;
        write!(f, "{}.{:03}", ms / 1_000, ms % 1_000)
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_the_form_that_prometheus_reads() {
        let mut page = Page::new("program");
        page.counter("done_total", 7, "What was done.");
        page.metric("firing", Kind::Gauge, "Alerts.").sample(&[("alert", "a\"b\\c\nd")], 1);
        page.seconds("lag_seconds", Millis(1_050), "Lag.");
        let mut durations = Histogram::default();
        durations.observe(Millis(3));
        page.metric("duration_seconds", Kind::Histogram, "Durations.").histogram(&[("of", "x")], &durations);
        let page = page.finish();
        for line in [
            "# HELP program_done_total What was done.",
            "# TYPE program_done_total counter",
            "program_done_total 7",
            r#"program_firing{alert="a\"b\\c\nd"} 1"#,
            "program_lag_seconds 1.050",
            r#"program_duration_seconds_bucket{of="x",le="0.002"} 0"#,
            r#"program_duration_seconds_bucket{of="x",le="+Inf"} 1"#,
            r#"program_duration_seconds_sum{of="x"} 0.003"#,
            r#"program_duration_seconds_count{of="x"} 1"#,
        ] {
            assert!(page.lines().any(|found| found == line), "no {line} in\n{page}");
        }
    }
}
