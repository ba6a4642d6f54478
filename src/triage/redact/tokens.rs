//! Tokens that are known by how they begin, wherever they stand.

use std::{ops::Range, sync::LazyLock};

use regex::Regex;

use super::keys::compiled;

/// As their makers document them, so that scanners find them.
static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
    let kinds = [
        // JSON Web Tokens and their kin begin with `{"` in base64.
        r"eyJ[A-Za-z0-9_=+/-]{17,}(?:\.[A-Za-z0-9_=+/-]*)*",
        // Slack.
        r"xox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]{6,}|xapp-[A-Za-z0-9-]{6,}",
        // Amazon, Google, Microsoft.
        r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}",
        r"AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{10,}|GOCSPX-[A-Za-z0-9_-]{20,}",
        r"[A-Za-z0-9_~.-]{3}\dQ~[A-Za-z0-9_~.-]{31,}",
        // Code hosts and package registries.
        r"gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,}|gl(?:pat|dt|rt|ptt|oas|agent|soat|cbt)-[A-Za-z0-9_-]{16,}",
        r"npm_[A-Za-z0-9]{20,}|pypi-[A-Za-z0-9_-]{20,}|dckr_(?:pat|oat)_[A-Za-z0-9_-]{16,}|ATATT[A-Za-z0-9_=-]{20,}",
        // Vault, payment, mail, and other services.
        r"hv[sbr]\.[A-Za-z0-9_-]{16,}|(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,}|sk-(?:[a-z]+-)*[A-Za-z0-9_-]{20,}",
        r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|do[op]_v1_[a-f0-9]{32,}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{16,}",
        r"glsa_[A-Za-z0-9_]{20,}|dop_v1_[a-f0-9]{32,}|NRAK-[A-Z0-9]{20,}|\d{8,10}:AA[A-Za-z0-9_-]{30,}",
        // Keys of age, and hashes of passwords.
        r"AGE-SECRET-KEY-1[A-Z0-9]+",
        r"\$(?:2[abxy]|5|6|y|apr1|argon2(?:id|i|d))\$[A-Za-z0-9./$=,+]{16,}",
    ];
    compiled(&kinds.map(|kind| format!("(?:{kind})")).join("|"))
});

pub(super) fn find(line: &str, places: &mut Vec<Range<usize>>) {
    let begins_there = |start: usize| {
        let before = line.get(..start).and_then(|before| before.chars().next_back());
        !before.is_some_and(char::is_alphanumeric)
    };
    places.extend(TOKEN.find_iter(line).map(|found| found.range()).filter(|found| begins_there(found.start)));
}
