//! One YAML 1.2 document to a tree of nodes with their places. The only file that knows the YAML crate; it knows
//! nothing of keys' meaning.

use serde_yaml::granit_parser::{self as granit, ErrorKind, Event, ScanError, StructureStyle};

use super::{
    Node, NodeKind, ScalarStyle,
    decode::control_character,
    slips::{self, LastScalar, Scene, Slip},
    tree::{Builder, MAX_DEPTH, Stop},
};
use crate::text::{Diagnostic, Source, Span};

pub use super::decode::decode;

/// No file of ours is larger; a loader can refuse one before it reads it, with [`too_large`].
pub const MAX_BYTES: usize = 8 * 1024 * 1024;

/// What a text holds: the tree as far as it can be trusted, and all that is wrong with it.
#[derive(Debug)]
pub struct Read {
    /// Also there beside problems that leave the rest readable (duplicate keys, tags), so that a whole file's mistakes
    /// can be told in one go.
    pub node: Option<Node>,
    pub problems: Vec<Diagnostic>,
}

/// Reads a document, or says everything that is wrong with it.
pub fn parse(source: &Source) -> Result<Node, Vec<Diagnostic>> {
    match read(source) {
        Read { node: Some(node), problems } if problems.is_empty() => Ok(node),
        Read { problems, .. } => Err(problems),
    }
}

/// Reads a document as far as possible. Without problems there is always a node.
pub fn read(source: &Source) -> Read {
    let text = source.text();
    if text.len() > MAX_BYTES {
        return Read { node: None, problems: vec![too_large(text.len() as u64)] };
    }
    if let Some(problem) = control_character(text) {
        return Read { node: None, problems: vec![problem] };
    }
    let mut reader = Reader {
        source,
        builder: Builder::new(source),
        documents: 0,
        read: 0,
        last: None,
        closed_flow: None,
        flow_starts: Vec::new(),
        alias: None,
    };
    let options = granit::options! {
        emit_unresolved_aliases: true,
        emit_anchor_events: true,
        // Comments are found in the text itself; buffering them has a limit that long headers would meet.
        emit_comments: false,
        // A little more than ours, so that ours is the one that speaks.
        block_nesting_limit: MAX_DEPTH + 2,
        flow_nesting_limit: MAX_DEPTH + 2,
    };
    for event in granit::Parser::new_from_str_with_options(text, options) {
        let step = match event {
            Ok((event, span)) => reader.event(event, &span),
            Err(why) => reader.stumble(&why),
        };
        if step.is_err() {
            return Read { node: None, problems: reader.builder.problems };
        }
    }
    let (node, mut problems) = reader.builder.finish();
    let empty = node.as_ref().is_some_and(|node| node.kind == NodeKind::Null);
    if problems.is_empty() && (empty || node.is_none()) {
        problems.push(
            Diagnostic::error(
                "empty-file",
                Span::at(0),
                "the file is empty; a runbook needs at least `title` and `steps`",
            )
            .label("nothing here"),
        );
        return Read { node: None, problems };
    }
    Read { node, problems }
}

/// The error for a file of more than [`MAX_BYTES`].
pub fn too_large(bytes: u64) -> Diagnostic {
    #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
    let mib = bytes as f64 / 1024.0 / 1024.0;
    let limit = MAX_BYTES / 1024 / 1024;
    let message = format!("the file has {bytes} bytes ({mib:.1} MiB); the limit is {limit} MiB");
    Diagnostic::error("too-large", Span::at(0), message)
}

struct Reader<'s> {
    source: &'s Source,
    builder: Builder<'s>,
    documents: usize,
    /// The end of what was read without complaint.
    read: usize,
    last: Option<LastScalar>,
    closed_flow: Option<Span>,
    /// For each open collection, where it begins if it is a flow one.
    flow_starts: Vec<Option<usize>>,
    alias: Option<Span>,
}

impl Reader<'_> {
    fn event(&mut self, event: Event<'_>, place: &granit::Span) -> Result<(), Stop> {
        let span = span(place);
        // Metadata stands before its node but comes after it.
        if !matches!(event, Event::Anchor(..)) {
            self.read = self.read.max(span.end);
            self.alias = None;
        }
        if event.is_node()
            && let Some(place) = place.tag_span()
        {
            let problem = slips::tag(self.source, self::span(&place), self.builder.open_flows().next().is_some());
            self.builder.report(problem)?;
        }
        match event {
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents == 1 {
                    return Ok(());
                }
                let at = if span.is_empty() { slips::character(self.source, span.start) } else { span };
                let problem = Diagnostic::error("second-document", at, "a file holds one runbook")
                    .label("a second YAML document begins here")
                    .hint("remove the line, or move what follows to a file of its own");
                self.builder.problems.push(problem);
                Err(Stop)
            }
            Event::Anchor(id, name) => {
                self.builder.name_anchor(id, &name);
                Ok(())
            }
            Event::Alias(id) => {
                self.alias = Some(span);
                self.builder.alias(span, id)
            }
            Event::UnresolvedAlias(name) => {
                self.alias = Some(span);
                self.builder.unknown_alias(span, &name)
            }
            Event::Scalar(value, style, anchor, _) => {
                let style = match style {
                    granit::ScalarStyle::SingleQuoted => ScalarStyle::SingleQuoted,
                    granit::ScalarStyle::DoubleQuoted => ScalarStyle::DoubleQuoted,
                    granit::ScalarStyle::Literal => ScalarStyle::Literal,
                    granit::ScalarStyle::Folded => ScalarStyle::Folded,
                    _ => ScalarStyle::Plain,
                };
                self.last = Some(LastScalar { span, style, role: self.builder.role() });
                self.builder.scalar(span, style, &value, place.indent, anchor)
            }
            Event::SequenceStart(style, anchor, _) => self.open(false, span, style, anchor),
            Event::MappingStart(style, anchor, _) => self.open(true, span, style, anchor),
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(Some(start)) = self.flow_starts.pop() {
                    self.closed_flow = Some(Span::new(start, span.end));
                }
                self.builder.close(span)
            }
            // Comments are not asked for, and what a later parser may report besides is no node.
            _ => Ok(()),
        }
    }

    fn open(&mut self, is_map: bool, span: Span, style: StructureStyle, anchor: usize) -> Result<(), Stop> {
        // A single pair in a list, `[a: b]`, is a flow mapping without braces: it ends like a block.
        let flow = style == StructureStyle::Flow && !span.is_empty();
        self.flow_starts.push(flow.then_some(span.start));
        self.builder.open(is_map, span, flow, anchor)
    }

    fn stumble(&mut self, why: &ScanError) -> Result<(), Stop> {
        let at = why.marker().byte_offset().unwrap_or(self.read).min(self.source.text().len());
        let Some(slip) = slip(why.kind()) else { return Err(self.builder.too_deep(Span::at(at))) };
        let scene = Scene {
            source: self.source,
            at,
            read: self.read,
            last: self.last,
            flows: self.builder.open_flows().collect(),
            closed_flow: self.closed_flow,
            alias: self.alias,
            reason: why.info(),
        };
        let problem = slips::explain(&slip, &scene);
        // A template read as a mapping was reported when its inner brace came; what follows has the same cause.
        let told = self.builder.problems.iter().any(|told| told.code == problem.code && told.span == problem.span);
        if !told {
            self.builder.problems.push(problem);
        }
        Err(Stop)
    }
}

fn span(place: &granit::Span) -> Span {
    // Spans of a parser made from a text always have byte offsets.
    let start = place.start.byte_offset().unwrap_or_default();
    Span::new(start, place.end.byte_offset().unwrap_or(start))
}

/// The parser's kinds as far as we have own words for them; none is the limit of nesting.
fn slip(kind: &ErrorKind) -> Option<Slip> {
    use ErrorKind as K;
    Some(match kind {
        K::RecursionLimitExceeded => return None,
        K::TabNotAllowed
        | K::TabInBlockIndentation
        | K::TabInIndentation
        | K::TabAtBlockScalarStart
        | K::TabInPlainScalar => Slip::Tab,
        K::MappingValueNotAllowed => Slip::Colon,
        K::SimpleKeyExpected => Slip::NoColon,
        K::UnclosedQuotedScalar | K::InvalidQuotedScalarIndent | K::DocumentIndicatorInQuotedScalar => Slip::Quote,
        K::InvalidTrailingSingleQuotedScalar | K::InvalidTrailingDoubleQuotedScalar => Slip::AfterQuote,
        K::UnexpectedCharacter { .. } | K::MissingAnchorOrAliasName | K::MappingKeyNotAllowed => Slip::Start,
        K::CommentInterceptedScalar => Slip::CommentInText,
        K::ExpectedBlockMappingKey => Slip::Key,
        K::ExpectedBlockSequenceEntry => Slip::Item,
        K::BlockSequenceEntryNotAllowed => Slip::DashAfterKey,
        K::UnexpectedEofFlowSequence
        | K::UnexpectedEofFlowMapping
        | K::UnexpectedEofImplicitFlowMapping
        | K::ExpectedFlowMappingSeparator
        | K::ExpectedFlowSequenceSeparator
        | K::InvalidColonPlacement
        | K::BlockEntryInFlowCollection
        | K::InvalidFlowScalarIndent => Slip::Flow,
        K::UnclosedFlowCollection { .. } => Slip::Unclosed,
        K::MismatchedFlowCollectionEnd { open, close } => Slip::Mismatched { open: *open, close: *close },
        K::MisplacedFlowCollectionEnd => Slip::Closing,
        K::UnknownQuotedScalarEscape
        | K::InvalidQuotedScalarHexEscape
        | K::InvalidLowSurrogateHexEscape
        | K::InvalidLowSurrogate
        | K::MissingLowSurrogate
        | K::UnpairedLowSurrogate
        | K::InvalidUnicodeEscape => Slip::Escape,
        K::InvalidBlockScalarHeader => Slip::BlockHeader,
        K::UndeclaredTagHandle
        | K::ExpectedTagBang
        | K::InvalidTagTerminator
        | K::MissingTagUri
        | K::UnclosedVerbatimTag
        | K::InvalidTagEscape => Slip::Tag,
        _ => Slip::Other,
    })
}
