//! The parts of a message as Discord takes and keeps them. What we do not write ourselves is not read.

use serde::{Deserialize, Serialize};

use super::{
    DiscordPress,
    limits::{BUTTON_URL, LABEL, ROW_BUTTONS, ROWS, length},
    markdown::web_address,
};
use crate::chat::{
    bounded::plain,
    card::{Button, Link, Style},
};

/// The kinds of components that we use.
const ROW: u8 = 1;
const BUTTON: u8 = 2;
/// The styles of buttons: blurple, grey, red, and a link.
const PRIMARY: u8 = 1;
const SECONDARY: u8 = 2;
const DANGER: u8 = 4;
const LINK: u8 = 5;

/// A frame with a coloured edge.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Embed {
    /// Who speaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<Author>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The colour of the edge, as 0xrrggbb.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub footer: Option<Footer>,
}

/// Who speaks in an embed; plain text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    pub name: String,
}

/// A heading with text below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    pub name: String,
    pub value: String,
}

/// The small print of an embed; plain text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footer {
    pub text: String,
}

impl Embed {
    /// How much of what all embeds of a message may hold together it takes.
    pub fn length(&self) -> usize {
        let one = |text: &Option<String>| text.as_deref().map_or(0, length);
        let author = self.author.as_ref().map_or(0, |author| length(&author.name));
        let footer = self.footer.as_ref().map_or(0, |footer| length(&footer.text));
        let fields: usize =
            self.fields.iter().map(|field| length(&field.name).saturating_add(length(&field.value))).sum();
        [one(&self.title), one(&self.description), author, footer, fields].into_iter().sum()
    }
}

/// A row of buttons, or a button.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Component {
    #[serde(rename = "type")]
    kind: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub style: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Component>,
}

impl Component {
    /// A button that is pressed; `None` when its press does not fit into a custom id.
    pub(super) fn press(label: &str, style: Style, press: &DiscordPress) -> Option<Self> {
        let style = match style {
            Style::Primary => PRIMARY,
            Style::Danger => DANGER,
            Style::Plain => SECONDARY,
        };
        let (label, custom_id) = (Some(plain(label, LABEL).0), Some(press.custom_id()?));
        Some(Self { kind: BUTTON, style: Some(style), label, custom_id, ..Self::default() })
    }

    fn button(button: &Button) -> Option<Self> {
        let press = DiscordPress { press: button.press.clone(), confirmed: button.confirm.is_none() };
        Self::press(&button.label, button.style, &press)
    }

    fn link(link: &Link) -> Option<Self> {
        let url = button_url(&link.url)?;
        let label = Some(plain(&link.label, LABEL).0);
        Some(Self { kind: BUTTON, style: Some(LINK), label, url: Some(url), ..Self::default() })
    }

    /// Rows of buttons.
    pub(super) fn rows(buttons: &[Self]) -> Vec<Self> {
        let row = |buttons: &[Self]| Self { kind: ROW, components: buttons.to_vec(), ..Self::default() };
        buttons.chunks(ROW_BUTTONS).map(row).collect()
    }

    /// Whether a row holds nothing that could be pressed, only links.
    pub(super) fn has_only_links(&self) -> bool {
        self.components.iter().all(|component| component.url.is_some())
    }
}

/// What stands below a message.
#[derive(Debug, Default)]
pub(super) struct Below {
    pub(super) rows: Vec<Component>,
    /// Buttons for which there was no place.
    pub(super) left_out: usize,
    /// Buttons that would have stood there twice.
    pub(super) doubles: usize,
    /// Links that no button can carry: they stand in the text.
    pub(super) links: Vec<Link>,
}

impl Below {
    /// The buttons, and below them the links.
    pub(super) fn of(buttons: &[Button], links: &[Link]) -> Self {
        let (mut drawn, mut doubles) = (Vec::<Component>::new(), 0_usize);
        for button in buttons.iter().filter_map(Component::button) {
            // Discord refuses a message in which two buttons carry the same.
            if drawn.iter().any(|other| other.custom_id == button.custom_id) {
                doubles = doubles.saturating_add(1);
            } else if drawn.len() < ROWS.saturating_mul(ROW_BUTTONS) {
                drawn.push(button);
            }
        }
        let left_out = buttons.len().saturating_sub(drawn.len()).saturating_sub(doubles);
        let mut rows = Component::rows(&drawn);
        let room = ROWS.saturating_sub(rows.len()).saturating_mul(ROW_BUTTONS);
        let (mut behind, mut in_text) = (Vec::new(), Vec::new());
        for link in links {
            match Component::link(link).filter(|_| behind.len() < room) {
                Some(button) => behind.push(button),
                None if web_address(&link.url).is_some() => in_text.push(link.clone()),
                None => {}
            }
        }
        rows.extend(Component::rows(&behind));
        Self { rows, left_out, doubles, links: in_text }
    }
}

/// An address that Discord surely takes behind a button. It refuses the whole message for one that it takes for none, and of
/// a name inside a cluster (`http://grafana:3000`) nobody says that it does not: such a link stands in the text.
fn button_url(url: &str) -> Option<String> {
    let plain = web_address(url).filter(|url| length(url) <= BUTTON_URL)?;
    let parsed = url::Url::parse(plain).ok()?;
    let last = parsed.domain()?.rsplit_once('.')?.1;
    let public = last.len() >= 2 && last.bytes().all(|byte| byte.is_ascii_alphabetic());
    (public && parsed.username().is_empty() && parsed.password().is_none()).then(|| plain.to_owned())
}
