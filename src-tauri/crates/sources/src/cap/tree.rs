//! An XML document as a tree of elements, read without document types and entities: what they could do, a feed must not.

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

/// Deeper than any alert.
const MAX_DEPTH: usize = 32;
/// More elements than any feed has; they take more memory than their text.
const MAX_ELEMENTS: usize = 500_000;

/// An element without its namespace: CAP, Atom and RSS share no name that means two things.
#[derive(Debug, Default)]
pub(super) struct Element {
    pub name: String,
    attributes: Vec<(String, String)>,
    text: String,
    pub children: Vec<Element>,
}

impl Element {
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    pub fn first(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The trimmed text of a child, where it has any.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.first(name).map(Element::own_text).filter(|text| !text.is_empty())
    }

    pub fn own_text(&self) -> &str {
        self.text.trim()
    }

    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Reads a document.
///
/// # Errors
/// In words: what is wrong with it, and at which byte.
pub(super) fn read(bytes: &[u8]) -> Result<Element, String> {
    let text = std::str::from_utf8(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
        .map_err(|error| format!("the text is not UTF-8 from byte {} on", error.valid_up_to()))?;
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    // The document itself holds the root.
    let mut open = vec![Element::default()];
    let mut elements = 0;
    loop {
        let event = reader.read_event();
        let at = reader.buffer_position();
        match event.map_err(|error| format!("no XML at byte {at}: {error}"))? {
            Event::Start(start) => {
                elements += 1;
                if open.len() > MAX_DEPTH || elements > MAX_ELEMENTS {
                    return Err(format!("more elements in each other or in all than a feed has, at byte {at}"));
                }
                open.push(element(&start).map_err(|error| format!("byte {at}: {error}"))?);
            }
            Event::End(_) => close(&mut open, at)?,
            Event::Text(piece) => push(&mut open, &piece.xml10_content()),
            Event::CData(piece) => push(&mut open, &piece.xml10_content()),
            Event::GeneralRef(name) => {
                let character = name.resolve_char_ref().map_err(|error| format!("byte {at}: {error}"))?;
                match (character, quick_xml::escape::resolve_predefined_entity(&name)) {
                    (Some(character), _) => push(&mut open, character.encode_utf8(&mut [0; 4])),
                    (None, Some(text)) => push(&mut open, text),
                    (None, None) => {
                        return Err(format!("the entity &{};, which is none of XML's own, at byte {at}", &*name));
                    }
                }
            }
            Event::DocType(_) => return Err(format!("a document type at byte {at}: it is not read from strangers")),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) | Event::Empty(_) => {}
            Event::Eof => break,
        }
    }
    match open.as_mut_slice() {
        [document] if document.children.len() == 1 => document.children.pop().ok_or_else(|| "no element".into()),
        [_] => Err("not one element at the root".into()),
        _ => Err("it ends inside an element".into()),
    }
}

fn element(start: &BytesStart<'_>) -> Result<Element, String> {
    let mut element = Element { name: start.local_name().as_ref().to_owned(), ..Element::default() };
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| error.to_string())?;
        element.attributes.push((attribute.key.local_name().as_ref().to_owned(), value.into_owned()));
    }
    Ok(element)
}

fn close(open: &mut Vec<Element>, at: u64) -> Result<(), String> {
    match (open.pop(), open.last_mut()) {
        (Some(element), Some(parent)) => {
            parent.children.push(element);
            Ok(())
        }
        _ => Err(format!("an end without a start at byte {at}")),
    }
}

fn push(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}
