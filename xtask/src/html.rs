//! `report.html`: one page that needs nothing else, neither a network nor, for its table, a script.

mod data;
mod table;

use std::fmt::Write as _;

use anyhow::Result;
use ipc_bench_schema::Results;

use crate::report::{doubts, floor_lines, headline, markdown, status_word, without_figures};

/// The page, with `{{NAME}}` where something is put in.
const PAGE: &str = include_str!("../assets/report.html");
/// The page, then what is in it.
const STYLES: [&str; 2] =
    [include_str!("../assets/report.css"), include_str!("../assets/figures.css")];
/// Drawing, then filters: one script each, in this order.
const SCRIPTS: [&str; 3] = [
    include_str!("../assets/svg.js"),
    include_str!("../assets/charts.js"),
    include_str!("../assets/report.js"),
];

/// The file.
pub(crate) fn render(results: &Results) -> Result<String> {
    Ok(fill(PAGE, |name| match name {
        "STYLE" => STYLES.join("\n"),
        "SCRIPT" => SCRIPTS.join("\n"),
        "TITLE" => escape(&title(results)),
        "SUBTITLE" => escape(&subtitle(results)),
        "NOTICES" => notices(results),
        "ANSWERS" => answers(results),
        "FLOORS" => floors(results),
        "TABLE" => table::render(results),
        "DOUBTS" => shaky(results),
        "REASONS" => reasons(results),
        "ENVIRONMENT" => environment(results),
        "DATA" => data::json(results),
        _ => String::new(),
    }))
}

/// Puts values in for `{{NAME}}`, in one pass: what is put in is not looked at again.
fn fill(page: &str, value: impl Fn(&str) -> String) -> String {
    let mut parts = page.split("{{");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once("}}") {
            Some((name, rest)) => {
                out.push_str(&value(name));
                out.push_str(rest);
            }
            None => {
                out.push_str("{{");
                out.push_str(part);
            }
        }
    }
    out
}

/// Makes text safe between tags and in quoted attributes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn title(results: &Results) -> String {
    let date = results.config.started.split('T').next().unwrap_or_default();
    format!("IPC on Linux, measured {date}").trim_end_matches("measured ").to_owned()
}

fn subtitle(results: &Results) -> String {
    let (host, build) = (&results.host, &results.build);
    let cpus = match host.cpus.len() {
        1 => "1 CPU".to_owned(),
        count => format!("{count} CPUs"),
    };
    let commit = build.commit.as_ref().map(|commit| {
        let short: String = commit.chars().take(10).collect();
        let dirty = if build.dirty == Some(true) { " with changes" } else { "" };
        format!("commit {short}{dirty}")
    });
    let parts = [
        host.cpu.clone(),
        Some(cpus),
        host.kernel.clone(),
        Some(format!("{} rounds", results.config.rounds)),
        commit,
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

fn notices(results: &Results) -> String {
    let mut notices = Vec::new();
    if !results.config.complete {
        notices.push("The run was stopped before its end: this report is partial.".to_owned());
    }
    notices.extend(results.host.warnings.iter().cloned());
    if notices.is_empty() {
        return String::new();
    }
    let items: String = notices.iter().map(|it| format!("<li>{}</li>", escape(it))).collect();
    format!("<aside class=\"notices\" aria-label=\"Warnings\"><ul>{items}</ul></aside>")
}

fn answers(results: &Results) -> String {
    let answers = headline::answers(results);
    if answers.is_empty() {
        return "<p>Nothing was measured.</p>".to_owned();
    }
    let items = answers.iter().map(|it| {
        format!(
            "<li>{}<b>{}</b>{}<b>{}</b>{}</li>",
            escape(&it.before),
            escape(&it.name),
            escape(&it.verb),
            escape(&it.value),
            escape(&it.after)
        )
    });
    format!("<ul class=\"answers\">{}</ul>", items.collect::<String>())
}

fn floors(results: &Results) -> String {
    let mut out = String::from("<dl class=\"tiles\">");
    for (name, value) in floor_lines(results) {
        let _ = write!(out, "<div><dt>{}</dt><dd>{}</dd></div>", escape(&name), escape(&value));
    }
    out.push_str("</dl>");
    out
}

fn reasons(results: &Results) -> String {
    let reasons = without_figures(results);
    if reasons.is_empty() {
        return "<p>Every cell was measured.</p>".to_owned();
    }
    let mut out = String::new();
    for (status, reason, cells) in reasons {
        let _ = write!(
            out,
            "<details><summary><b>{}</b> ({}): {}</summary><p class=\"cells\">{}</p></details>",
            status_word(status),
            cells.len(),
            escape(&reason),
            escape(&cells.join(" · "))
        );
    }
    out
}

fn shaky(results: &Results) -> String {
    let doubts = doubts(results);
    if doubts.is_empty() {
        return "<p>There is no doubt that the harness could see.</p>".to_owned();
    }
    let kinds = doubts.iter().map(|(meaning, cells)| {
        let items: String = cells.iter().map(|it| format!("<li>{}</li>", escape(it))).collect();
        let (many, meaning) = (cells.len(), escape(meaning));
        format!("<details><summary>{meaning} ({many})</summary><ul class=\"cells\">{items}</ul></details>")
    });
    kinds.collect()
}

fn environment(results: &Results) -> String {
    let mut out = String::from("<dl class=\"facts\">");
    for (name, value) in markdown::environment(results) {
        let _ = write!(out, "<dt>{}</dt><dd>{}</dd>", escape(&name), escape(&value));
    }
    out.push_str("</dl>");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn nothing_is_fetched_and_nothing_breaks_out() {
        let page = render(&example::results()).unwrap();
        for word in ["https://", "src=", "<link", "@import", "url("] {
            assert!(!page.contains(word), "{word}");
        }
        let http = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!http.contains("http://"));
        // The example's CPU is called `A CPU </script><b>`.
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(!page.contains("</script><b>"));
        assert!(!page.contains("{{"), "every place is filled");
    }

    #[test]
    fn the_page_has_its_figures_without_a_script() {
        let page = render(&example::results()).unwrap();
        let body = page.split("<script").next().unwrap();
        for part in ["<b>pipe</b>", "5.10 µs", "two spinners", "data-m=\"fifo\"", "60.0 ns"] {
            assert!(body.contains(part), "{part}");
        }
    }

    #[test]
    fn what_is_put_in_is_not_a_template() {
        let page =
            fill("{{A}}-{{B}}-{{", |name| if name == "A" { "{{B}}".into() } else { "b".into() });
        assert_eq!(page, "{{B}}-b-{{");
        assert_eq!(escape("<a href='x'>&\""), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
    }
}
