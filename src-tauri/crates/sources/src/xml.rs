//! XML of services and feeds, without what makes XML dangerous: a document type is an error, entities are the five of XML alone,
//! depth and number of elements are bounded.

use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::{NsReader, XmlVersion};
use std::borrow::Cow;
use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// An element with everything in it. Names are local names: prefixes differ from server to server.
#[derive(Clone, Debug, Default, PartialEq, Hash)]
pub(crate) struct Element {
    pub(crate) name: String,
    /// In a namespace of GML.
    pub(crate) gml: bool,
    /// Local name and value.
    pub(crate) attributes: Vec<(String, String)>,
    /// The text between the elements.
    pub(crate) text: String,
    pub(crate) children: Vec<Element>,
}

impl Element {
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    pub(crate) fn children<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The child's text without the blanks around it.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim())
    }

    /// The same, where there is any.
    pub(crate) fn worded(&self, name: &str) -> Option<&str> {
        self.text_of(name).filter(|text| !text.is_empty())
    }

    /// This element and all below it, outer before inner.
    pub(crate) fn visit(&self, look: &mut impl FnMut(&Self)) {
        look(self);
        self.children.iter().for_each(|child| child.visit(look));
    }

    /// All text in it, parts set off by a blank.
    pub(crate) fn all_text(&self) -> String {
        let mut parts = Vec::new();
        self.visit(&mut |element| {
            let text = element.text.trim();
            if !text.is_empty() {
                parts.push(text.to_owned());
            }
        });
        parts.join(" ")
    }
}

/// Deeper than any service nests, and far from the end of a thread's stack.
const MAX_DEPTH: usize = 48;
/// In one element that is held in memory.
const MAX_ELEMENTS: usize = 1_000_000;

/// Walks through a document.
pub(crate) struct Walker<'a> {
    reader: NsReader<&'a [u8]>,
    /// Elements that are open.
    depth: usize,
}

/// What comes next inside an element.
pub(crate) enum Next<'a> {
    /// A start tag; `true` when the element ends with it.
    Start(BytesStart<'a>, bool),
    /// The end of the element around.
    End,
    Eof,
}

impl<'a> Walker<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { reader: NsReader::from_str(text), depth: 0 }
    }

    /// The next start or end tag; text between is passed over.
    pub(crate) fn next(&mut self) -> Result<Next<'a>, String> {
        loop {
            match self.event()? {
                Event::Start(start) => {
                    self.depth += 1;
                    return Ok(Next::Start(start, false));
                }
                Event::Empty(start) => return Ok(Next::Start(start, true)),
                Event::End(_) => {
                    self.depth = self.depth.saturating_sub(1);
                    return Ok(Next::End);
                }
                Event::Eof if self.depth > 0 => return Err(CUT.into()),
                Event::Eof => return Ok(Next::Eof),
                _ => {}
            }
        }
    }

    fn event(&mut self) -> Result<Event<'a>, String> {
        match self.reader.read_event() {
            Ok(Event::DocType(_)) => Err("a document type is not accepted".into()),
            Ok(event) => Ok(event),
            Err(quick_xml::Error::Syntax(_)) => Err(CUT.into()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Name and attributes of a start tag.
    pub(crate) fn head(&self, start: &BytesStart<'_>) -> Result<Element, String> {
        let (namespace, name) = self.reader.resolver().resolve_element(start.name());
        let gml = matches!(namespace, ResolveResult::Bound(uri) if uri.into_inner().starts_with("http://www.opengis.net/gml"));
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| error.to_string())?;
            attributes.push((attribute.key.local_name().into_inner().to_owned(), value.into_owned()));
        }
        let name = name.into_inner().to_owned();
        Ok(Element { name, gml, attributes, text: String::new(), children: Vec::new() })
    }

    /// The rest of an element whose start tag was [`Next::Start`].
    pub(crate) fn whole(&mut self, start: &BytesStart<'_>, empty: bool) -> Result<Element, String> {
        let mut open = vec![self.head(start)?];
        if empty {
            return open.pop().ok_or_else(String::new);
        }
        let mut count = 0;
        loop {
            let done = match self.event()? {
                Event::Start(start) => {
                    open.push(self.head(&start)?);
                    count += 1;
                    None
                }
                Event::Empty(start) => {
                    count += 1;
                    Some(self.head(&start)?)
                }
                Event::End(_) => open.pop(),
                Event::Text(text) => {
                    push(&mut open, &text.xml10_content());
                    None
                }
                Event::CData(text) => {
                    push(&mut open, &text.xml10_content());
                    None
                }
                Event::GeneralRef(reference) => {
                    push(&mut open, &resolve(&reference)?);
                    None
                }
                Event::Eof => return Err(CUT.into()),
                _ => None,
            };
            if open.len() > MAX_DEPTH {
                return Err(format!("elements are nested more than {MAX_DEPTH} levels deep"));
            }
            if count > MAX_ELEMENTS {
                return Err(format!("one feature has more than {MAX_ELEMENTS} elements"));
            }
            let Some(done) = done else { continue };
            match open.last_mut() {
                Some(around) => around.children.push(done),
                None => {
                    self.depth = self.depth.saturating_sub(1);
                    return Ok(done);
                }
            }
        }
    }
}

/// The document ends inside an element.
pub(crate) const CUT: &str = "the document ends too early";

fn push(open: &mut [Element], text: &str) {
    if let Some(around) = open.last_mut() {
        around.text.push_str(text);
    }
}

/// One of the five entities of XML, or a character by its number.
pub(crate) fn resolve(reference: &BytesRef<'_>) -> Result<String, String> {
    if let Some(letter) = reference.resolve_char_ref().map_err(|error| error.to_string())? {
        return Ok(letter.to_string());
    }
    quick_xml::escape::resolve_predefined_entity(reference)
        .map(str::to_owned)
        .ok_or_else(|| format!("the entity {:?} is not accepted", reference.to_string()))
}

/// The text of a document, by the encoding that it declares.
pub(crate) fn text_of(bytes: &[u8]) -> Result<Cow<'_, str>, String> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
    let declared = head.split_once("?>").and_then(|(declaration, _)| {
        let (_, rest) = declaration.split_once("encoding=")?;
        let mut letters = rest.chars();
        let quote = letters.next().filter(|quote| matches!(quote, '"' | '\''))?;
        letters.as_str().split(quote).next().map(str::to_owned)
    });
    let encoding = match declared {
        None => encoding_rs::UTF_8,
        Some(label) => encoding_rs::Encoding::for_label(label.as_bytes())
            .ok_or_else(|| format!("the encoding {label:?} is not known"))?,
    };
    let (text, _, wrong) = encoding.decode(bytes);
    if wrong { Err(format!("the text is no {}", encoding.name())) } else { Ok(text) }
}

/// A whole small document.
pub(crate) fn document(bytes: &[u8]) -> Result<Element, String> {
    let text = text_of(bytes)?;
    let mut walker = Walker::new(&text);
    match walker.next()? {
        Next::Start(start, empty) => walker.whole(&start, empty),
        Next::End | Next::Eof => Err("there is no element in it".into()),
    }
}

/// Refuses to feed what grows without end: more than `limit` bytes since the caller last set `since` to nothing.
pub(crate) struct Limited<R> {
    reader: R,
    since: Rc<Cell<usize>>,
    limit: usize,
}

/// Travels inside an `io::Error`.
#[derive(Debug, thiserror::Error)]
#[error("one element is too long")]
pub(crate) struct TooLong;

impl<R> Limited<R> {
    pub(crate) fn new(reader: R, since: Rc<Cell<usize>>, limit: usize) -> Self {
        Self { reader, since, limit }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.since.get() > self.limit {
            return Err(io::Error::other(TooLong));
        }
        let read = self.reader.read(buffer)?;
        self.since.set(self.since.get() + read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn elements_keep_names_attributes_and_text() {
        let root = document(
            b"<?xml version='1.0' encoding='UTF-8'?><a xmlns:g='http://www.opengis.net/gml/3.2' g:id='x &amp; y'>\
              <g:b>1 &lt; 2 &#x1ECD;<![CDATA[ <c>]]></g:b><b/></a>",
        )
        .unwrap();
        assert_eq!((root.name.as_str(), root.attribute("id"), root.gml), ("a", Some("x & y"), false));
        let b = &root.children[0];
        assert_eq!((b.gml, b.text.as_str(), root.children("b").count()), (true, "1 < 2 ọ <c>", 2));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(parts in prop::collection::vec(prop_oneof![
            Just("<?xml encoding=".to_owned()), Just("?>".into()), Just("<a b='".into()), Just("'>".into()), Just("</a>".into()),
            Just("<![CDATA[".into()), Just("]]>".into()), Just("&#x".into()), Just(";".into()), Just("<!-".into()), ".{0,3}",
        ], 0..12), odd in any::<u8>(), at in 0..40_usize) {
            let mut bytes = parts.concat().into_bytes();
            let at = at.min(bytes.len());
            bytes.insert(at, odd);
            let _ = document(&bytes);
        }
    }

    #[test]
    fn other_encodings_are_read_as_declared() {
        let root = document(b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a>\xe0</a>").unwrap();
        assert_eq!(root.text, "à");
        assert!(document(b"<a>\xe0</a>").is_err());
    }

    #[test]
    fn dangerous_and_broken_documents_are_refused() {
        let deep = "<a>".repeat(100);
        for (text, word) in [
            ("<!DOCTYPE a [<!ENTITY b 'bbbb'>]><a>&b;</a>", "document type"),
            ("<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", "document type"),
            ("<a>&b;</a>", "entity"),
            ("<a b='&c;'/>", "c"),
            (deep.as_str(), "levels"),
            ("<a><b></a>", "b"),
            ("<a><b>", CUT),
            ("<a><b", CUT),
            ("", "no element"),
        ] {
            let error = document(text.as_bytes()).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
