//! One HTML file out of the data and the assets.

use super::Data;

const PAGE: &str = include_str!("assets/page.html");
const STYLE: &str = include_str!("assets/page.css");
/// In the order in which they stand in the page: each uses only those before it.
const SCRIPTS: [&str; 6] = [
    include_str!("assets/run.js"),
    include_str!("assets/layout.js"),
    include_str!("assets/diagram.js"),
    include_str!("assets/events.js"),
    include_str!("assets/sections.js"),
    include_str!("assets/page.js"),
];

/// The page: complete in itself, to be opened from a file.
pub fn render(data: &Data) -> String {
    // `</script>` and `<!--` would end or change what is around it; in JSON a `<` stands in texts alone.
    let json = serde_json::to_string(data).expect("the data is always valid JSON").replace('<', "\\u003c");
    let title = format!("{} with seed {}", data.scenario, data.seed);
    // The data last, so that nothing in it is taken for a place of the page.
    PAGE.replacen("{{title}}", &escaped(&title), 1)
        .replacen("{{style}}", STYLE, 1)
        .replacen("{{script}}", &SCRIPTS.concat(), 1)
        .replacen("{{data}}", &json, 1)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
