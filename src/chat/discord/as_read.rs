//! A message as people read it on Discord, without its colours: for a terminal, and for tests.

use jiff::Timestamp;

use super::{message::Message, parts::Embed};

/// The lines of a message: the text, each embed behind a bar, and the buttons (an arrow marks a link). `clock` writes the
/// moments.
pub(crate) fn as_read(message: &Message, clock: impl Fn(Timestamp) -> String) -> Vec<String> {
    let mut lines: Vec<String> = unmarked(&message.content, &clock).lines().map(str::to_owned).collect();
    for embed in &message.embeds {
        lines.extend(of_embed(embed, &clock).into_iter().map(|line| format!("│ {line}")));
    }
    for row in &message.components {
        let label = |button: &super::parts::Component| {
            let arrow = if button.url.is_some() { " ↗" } else { "" };
            format!("[{}{arrow}]", button.label.as_deref().unwrap_or_default())
        };
        lines.push(row.components.iter().map(label).collect::<Vec<_>>().join(" "));
    }
    lines.extend(message.file.as_ref().map(|file| format!("(file: {}.txt)", file.title)));
    lines
}

fn of_embed(embed: &Embed, clock: &impl Fn(Timestamp) -> String) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(embed.author.as_ref().map(|author| format!("{}:", author.name)));
    let mut add = |text: &str| lines.extend(unmarked(text, clock).lines().map(str::to_owned));
    embed.title.iter().chain(&embed.description).for_each(|text| add(text));
    for field in &embed.fields {
        add(&field.name.to_uppercase());
        add(&field.value);
    }
    lines.extend(embed.footer.as_ref().map(|footer| format!("– {}", footer.text)));
    lines
}

/// A text of ours without its marks. Only what `markdown` writes is known here.
fn unmarked(text: &str, clock: &impl Fn(Timestamp) -> String) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(first) = rest.chars().next() {
        if let Some((seconds, after)) = rest.strip_prefix("<t:").and_then(|moment| moment.split_once(":f>")) {
            let moment = seconds.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
            out.push_str(&moment.map_or_else(|| seconds.to_owned(), clock));
            rest = after;
            continue;
        }
        let block = rest.strip_prefix("```\n").and_then(|block| block.split_once("```"));
        if let Some((block, after)) = block {
            out.push_str(block);
            rest = after.strip_prefix('\n').unwrap_or(after);
            continue;
        }
        // Nothing is escaped inside of code.
        if let Some((code, after)) = rest.strip_prefix('`').and_then(|code| code.split_once('`')) {
            out.extend(["`", code, "`"]);
            rest = after;
            continue;
        }
        let mut after = rest.chars();
        after.next();
        match first {
            '\\' => out.extend(after.next()),
            '*' => {}
            other => out.push(other),
        }
        rest = after.as_str();
    }
    out
}
