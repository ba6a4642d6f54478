//! What outsiders write is shown as they wrote it, and is nothing but text.

use std::sync::LazyLock;

use proptest::prelude::*;
use regex::Regex;

use super::{
    drawn, hostile,
    reader::{Shown, pieces, plain, read},
};
use crate::{
    chat::{
        card::{Line, code, strong, tests as night, text},
        discord::{
            markdown::{escape, line, link, mention, person},
            message::{self, Message},
        },
        posts,
    },
    escalation::LevelNumber,
    incident::{CallReason, Notice, RunNumber},
    legible::{self, hostile as unseen},
    people::{Mention, PersonId, Platform},
};

/// What Discord's server looks for in the raw text of a message, whatever its app makes of it.
static FOUND_BY_THE_SERVER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"<@[!&]?\d+>|<#\d+>|@everyone|@here|https?://\S|(?i)discord(app)?\.(gg|com)/").unwrap()
});

/// The text as a reader of one line may see it.
fn as_written(text: &str) -> String {
    legible::line(text).replace("@everyone", "＠everyone").replace("@here", "＠here")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn a_text_from_outside_is_shown_as_it_was_written_and_is_nothing_but_text(wrote in hostile()) {
        let (escaped, cut) = escape(&wrote, 10_000);
        prop_assert!(!cut);
        prop_assert!(FOUND_BY_THE_SERVER.find(&escaped).is_none(), "{}", escaped);
        // As a whole line, where headings and lists would begin as well.
        let (alone, _) = line(&[text(wrote.clone())], 10_000);
        for drawn in [&alone, &format!("• {escaped}")] {
            let shown = read(drawn);
            let fine = shown.iter().all(|piece| matches!(piece, Shown::Text(_)));
            prop_assert!(fine, "{:?} is drawn as {:?}", drawn, shown);
        }
        prop_assert_eq!(plain(&read(&alone)), as_written(&wrote));
    }

    #[test]
    fn strong_words_and_code_hold_whatever_they_are_given(first in hostile(), second in hostile(), third in hostile()) {
        let spans: Line = vec![strong(first.clone()), code(second.clone()), strong(third.clone()), code(first.clone()), text(second.clone())];
        let (drawn, _) = line(&spans, 10_000);
        let shown = read(&drawn);
        let fine = |piece: &&Shown| matches!(piece, Shown::Text(_) | Shown::Bold(_) | Shown::Code(_));
        prop_assert!(pieces(&shown).iter().all(fine), "{:?} is drawn as {:?}", drawn, shown);
        let bold = shown.iter().filter(|piece| matches!(piece, Shown::Bold(_))).count();
        let written = [&first, &third].iter().filter(|words| !legible::line(words).trim().is_empty()).count();
        prop_assert_eq!(bold, written, "{:?} is drawn as {:?}", drawn, shown);
        let without_spaces = |words: &str| words.chars().filter(|letter| !letter.is_whitespace()).collect::<String>();
        let wrote: String = [as_written(&first), as_written(&second).replace('`', "ˋ"), as_written(&third), as_written(&first).replace('`', "ˋ"), as_written(&second)].concat();
        prop_assert_eq!(without_spaces(&plain(&shown)), without_spaces(&wrote));
    }
}

/// All texts of a message in which markdown is drawn.
fn texts(message: &Message) -> Vec<String> {
    let of_embeds = message.embeds.iter().flat_map(|embed| {
        let fields = embed.fields.iter().flat_map(|field| [field.name.clone(), field.value.clone()]);
        embed.title.clone().into_iter().chain(embed.description.clone()).chain(fields)
    });
    std::iter::once(message.content.clone()).chain(of_embeds).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nothing_from_outside_calls_links_steers_or_hides_in_card_post_file_and_answer(wrote in hostile(), unseen in unseen::text()) {
        let wrote = wrote + &unseen;
        let incident = night::saying(&wrote);
        let verdict = posts::notice(&Notice::Verdict { run: RunNumber(1) }, &incident);
        let mut call = posts::call(LevelNumber(1), &CallReason::Opened, &incident);
        call.mentions = vec![Mention::group(Platform::Discord, "77")];
        let answer = message::answer(&[vec![text(wrote.clone()), code(wrote.clone()), strong(wrote.clone())]]);
        let posts = [&verdict, &call].map(|post| message::post(post, &post.mentions, "key"));
        for message in [drawn(&incident), answer.clone(), answer.signed(&wrote)].iter().chain(&posts) {
            prop_assert!(unseen::all_legible(&message.body()), "{}", message.body());
            for drawn in texts(message) {
                let shown = read(&drawn);
                for piece in pieces(&shown) {
                    let fine = match piece {
                        Shown::Text(_) | Shown::Bold(_) | Shown::Code(_) | Shown::Block(_) => true,
                        Shown::Bracket(what) => what.starts_with("<t:") || what == "<@&77>",
                        Shown::Italic(words) => words.starts_with("The whole text is in the file"),
                        Shown::Link { .. } | Shown::Other(_) => false,
                    };
                    prop_assert!(fine, "{:?} in {:?}", piece, drawn);
                }
            }
            let allowed = &message.allowed_mentions;
            prop_assert!(allowed.users.is_empty() && allowed.roles.iter().all(|role| role == "77"));
            prop_assert_eq!(&message.body()["allowed_mentions"]["parse"], &serde_json::json!([]));
        }
        prop_assert!(verdict.raw.is_some_and(|raw| unseen::is_legible(&raw.text)));
    }
}

#[test]
fn only_an_id_of_discord_becomes_a_mention() {
    assert_eq!(mention(&Mention::user(Platform::Discord, "1234567890")), "<@1234567890>");
    assert_eq!(mention(&Mention::group(Platform::Discord, "1234567890")), "<@&1234567890>");
    for wrong in ["", "everyone", "12 34", "1>", "١٢٣", "123456789012345678901"] {
        for whom in [
            Mention::user(Platform::Discord, wrong),
            Mention::group(Platform::Discord, wrong),
            Mention::user(Platform::Slack, "42"),
        ] {
            let drawn = mention(&whom);
            assert!(read(&drawn).iter().all(|piece| matches!(piece, Shown::Text(_))), "{drawn}");
        }
    }
    let who = |platform| PersonId { platform, workspace: "1".to_owned(), user: "42".to_owned() };
    assert_eq!(person(&who(Platform::Discord)), "<@42>");
    assert_eq!(person(&who(Platform::Slack)), "\\@42 (Slack)", "an id of Slack is nobody on Discord");
}

#[test]
fn a_link_in_the_text_leads_only_to_the_web_and_cannot_be_ended_early() {
    let url = "https://wiki.example/a_(b)?c=d&e=*f*";
    let drawn = link("Run[book](x)", url, 500).unwrap();
    assert_eq!(drawn, "[Run\\[book\\](x)](https://wiki.example/a_%28b%29?c=d&e=*f*)");
    let label = "Run[book](x)".to_owned();
    assert_eq!(read(&drawn), [Shown::Link { label, url: "https://wiki.example/a_%28b%29?c=d&e=*f*".to_owned() }]);
    for bad in ["javascript:alert(1)", "discord://x", "https://x y", "https://x\n", "https://x>", "ftp://x"] {
        assert_eq!(link("x", bad, 500), None, "{bad}");
    }
}
