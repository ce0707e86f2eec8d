//! Mails as rules see them: addresses, subject, text, date. Bounded, whatever is in them. Knows no rule.

use std::{
    borrow::Cow,
    collections::HashSet,
    io::{BufRead, BufReader, Cursor, Read},
};

use mail_parser::{
    Address, Message, MessageParser, MessagePart, MimeHeaders, PartType, decoders::html::html_to_text,
    mailbox::mbox::MessageIterator,
};

use crate::text::{cut, one_line};

/// Bytes of one mail that are read; what comes after is passed over. Heads come first.
pub const MAIL_LIMIT: u64 = 8 << 20;
/// Characters of the text of a mail that rules see.
pub const BODY_LIMIT: usize = 64 << 10;
/// Characters of a subject or an address.
const LINE_LIMIT: usize = 2000;
/// Addresses of one mail.
const ADDRESSES: usize = 20_000;
/// Where a server notes for whom a mail came.
pub(super) const DELIVERED: [&str; 5] =
    ["Delivered-To", "X-Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To"];

/// One mail.
#[derive(Clone, Debug, PartialEq)]
pub struct Mail {
    /// On one line, decoded.
    pub subject: String,
    /// The sender's address, without a name.
    pub from: String,
    /// The addresses it was sent to: `To`, `Cc`, and where the server says that it was delivered.
    pub to: Vec<String>,
    /// Its text; that of HTML where there is no other.
    pub body: String,
    pub date: Option<jiff::Timestamp>,
    pub id: Option<String>,
    /// It was longer than is read.
    pub is_cut: bool,
}

impl Mail {
    /// Reads one mail. None where nothing in it is a header of a mail.
    pub fn read(bytes: &[u8]) -> Option<Mail> {
        let limit = usize::try_from(MAIL_LIMIT).unwrap_or(usize::MAX);
        let is_cut = bytes.len() > limit;
        // The parser takes no header without an end.
        let ended: Cow<'_, [u8]> = match bytes[..bytes.len().min(limit)] {
            ref whole if whole.ends_with(b"\n") => whole.into(),
            ref cut => [cut, b"\n"].concat().into(),
        };
        let message = MessageParser::default().parse(&*ended)?;
        // A relay on the way adds one of its own, so that there may be several of a name.
        let delivered =
            message.headers_raw().filter(|(name, _)| DELIVERED.iter().any(|of| name.eq_ignore_ascii_case(of)));
        let delivered = delivered.map(|(_, text)| text.trim().trim_matches(['<', '>']).to_owned());
        let (mut to, mut known) = (Vec::new(), HashSet::new());
        let named = [message.to(), message.cc()].into_iter().flatten().flat_map(addresses);
        // Where the server delivered it is one of ours, and comes before whatever else the sender wrote.
        for address in delivered.chain(named).take(ADDRESSES) {
            let address = line(&address);
            if !address.is_empty() && known.insert(address.clone()) {
                to.push(address);
            }
        }
        let from = message.from().or(message.sender()).and_then(|from| addresses(from).next()).unwrap_or_default();
        let subject = message.subject();
        // The relay that had it last wrote the first one.
        let received = message.received_all().next().and_then(|received| received.date());
        let date = message
            .date()
            .copied()
            .or(received)
            .and_then(|date| jiff::Timestamp::from_second(date.to_timestamp()).ok());
        if subject.is_none() && from.is_empty() && to.is_empty() {
            return None;
        }
        let mut body = text(&message);
        // What was cut off on its way lacks the end of its parts, and the parser takes no part without an end.
        if body.trim().is_empty()
            && let Some(boundary) = message.content_type().and_then(|of| of.attribute("boundary"))
        {
            let ended = [&*ended, b"\r\n--", boundary.as_bytes(), b"--\r\n"].concat();
            let ended = MessageParser::default().parse(&ended);
            body = ended.as_ref().map(text).unwrap_or_default();
        }
        Some(Mail {
            subject: line(subject.unwrap_or_default()),
            from: line(&from),
            to,
            body: body.chars().take(BODY_LIMIT).collect(),
            date,
            id: message.message_id().map(str::to_owned),
            is_cut,
        })
    }

    /// What is the same of one mail that is found twice, however it was delivered: its id, or its head where there is none.
    pub fn key(&self) -> String {
        match &self.id {
            Some(id) => format!("id {id}"),
            None => format!("{:?}", (&self.subject, &self.from, &self.to, self.date)),
        }
    }
}

/// The text of a mail; that of its HTML where there is no other, or nothing in it.
fn text(message: &Message<'_>) -> String {
    let plain = |part: &MessagePart<'_>| match &part.body {
        PartType::Text(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()).map(|_| text.to_string()),
        PartType::Html(html) => Some(html_to_text(&apart(html))).filter(|text| !text.trim().is_empty()),
        _ => None,
    };
    let parts = message.text_bodies().chain(message.html_bodies());
    parts.into_iter().find_map(plain).unwrap_or_default()
}

/// Tags that end a line or a cell, each with an end of line before it: of `<li>a</li><li>b</li>` the parser makes one word.
fn apart(html: &str) -> String {
    const ENDS: [&str; 14] =
        ["li", "tr", "td", "th", "dd", "dt", "ul", "ol", "div", "table", "section", "article", "pre", "blockquote"];
    let mut apart = String::with_capacity(html.len() + html.len() / 8);
    for (number, piece) in html.split('<').enumerate() {
        let name: String =
            piece.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).take(12).collect();
        if number > 0 {
            let ends = ENDS.iter().any(|end| name.eq_ignore_ascii_case(end)) || is_heading(&name);
            apart.push_str(if ends { "<br><" } else { "<" });
        }
        apart.push_str(piece);
    }
    apart
}

fn is_heading(name: &str) -> bool {
    matches!(name.as_bytes(), [b'h' | b'H', b'1'..=b'6'])
}

fn addresses<'a>(address: &'a Address<'a>) -> impl Iterator<Item = String> + 'a {
    address.iter().filter_map(|one| Some(one.address.as_deref()?.trim().to_owned()))
}

/// Folded lines and runs of space become one space.
fn line(text: &str) -> String {
    let spaced = text.split_whitespace().collect::<Vec<_>>().join(" ");
    cut(&one_line(&spaced), LINE_LIMIT).into_owned()
}

/// The mails of a file: one, or those of an mbox, which begins with `From `. Each is None where it is no mail.
///
/// # Errors
///
/// Where reading fails.
pub fn mails(input: impl Read) -> std::io::Result<Vec<Option<Mail>>> {
    let mut input = BufReader::new(input);
    if !input.fill_buf()?.starts_with(b"From ") {
        let mut bytes = Vec::new();
        // One byte more than is read, to see that there is more.
        input.take(MAIL_LIMIT + 1).read_to_end(&mut bytes)?;
        return Ok(vec![Mail::read(&bytes)]);
    }
    let mut bytes = Vec::new();
    input.take(MBOX_LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MBOX_LIMIT {
        let why = format!("the mailbox is larger than {} MiB; give the newest part of it", MBOX_LIMIT >> 20);
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, why));
    }
    MessageIterator::new(Cursor::new(bytes)).map(|message| Ok(Mail::read(message?.contents()))).collect()
}

/// Bytes of a mailbox that are read.
const MBOX_LIMIT: u64 = 256 << 20;
