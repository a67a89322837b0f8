//! Attribute filters in CQL2 text (OGC 21-065r2), the subset that people type.
//!
//! Comparison (`= <> < <= > >=`), `AND` `OR` `NOT`, parentheses, `IN (…)`, `BETWEEN … AND …`, `LIKE` with `%` and `_`,
//! `IS [NOT] NULL`, `TRUE`/`FALSE`, `CASEI(…)`, `ACCENTI(…)`, names in double quotes where they are no plain word.
//! The feature's own key is the property `id`.

mod written;

pub use written::NameFor;

use model::{Feature, Value};
use std::cmp::Ordering;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// What a filter looks at: a feature's attributes by name, null for what it lacks.
pub trait Row {
    fn key(&self) -> &str;
    fn value(&self, name: &str) -> Value;
}

impl Row for Feature {
    fn key(&self) -> &str {
        &self.id
    }

    fn value(&self, name: &str) -> Value {
        self.properties.get(name).cloned().unwrap_or_default()
    }
}

/// A filter that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter(Node);

/// What is wrong with a filter's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at character {at}: {problem}")]
pub struct FilterError {
    /// 1-based place in the text.
    pub at: usize,
    pub problem: String,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Compare(Term, Comparison, Term),
    In(Term, Vec<Term>),
    Between(Term, Term, Term),
    Like(Term, Term),
    IsNull(Term),
    /// A term on its own: true when it is the boolean true.
    Bare(Term),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

#[derive(Clone, Debug, PartialEq)]
enum Term {
    Property(String),
    Literal(Value),
    CaseI(Box<Term>),
    AccentI(Box<Term>),
}

/// Deeper nesting than any person writes; the reader recurses.
const MAX_DEPTH: usize = 64;
/// A chain of ANDs nests as deep as it is long.
const MAX_TOKENS: usize = 2_000;

impl Filter {
    /// Reads CQL2 text.
    ///
    /// # Errors
    /// [`FilterError`] with the place and what was expected there.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let tokens = tokens(text)?;
        if let Some((at, _)) = tokens.get(MAX_TOKENS) {
            return Err(FilterError { at: *at, problem: format!("a filter has at most {MAX_TOKENS} words and signs") });
        }
        let mut reader = Reader { tokens: &tokens, at: 0, depth: 0, end: text.chars().count() + 1 };
        let node = reader.or()?;
        match reader.tokens.get(reader.at) {
            None => Ok(Self(node)),
            Some((at, token)) => {
                Err(FilterError { at: *at, problem: format!("{} is not expected here", token.shown()) })
            }
        }
    }

    /// The names that the filter looks at, each once, in order.
    pub fn properties(&self) -> Vec<&str> {
        let mut names = Vec::new();
        names_of(&self.0, &mut names);
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Whether a feature satisfies the filter. A comparison with a missing value is not satisfied, as in SQL; so is its
    /// negation.
    pub fn matches(&self, row: &impl Row) -> bool {
        truth(&self.0, row) == Some(true)
    }
}

fn names_of<'a>(node: &'a Node, names: &mut Vec<&'a str>) {
    let mut term = |term: &'a Term| {
        let mut inner = term;
        while let Term::CaseI(next) | Term::AccentI(next) = inner {
            inner = next;
        }
        if let Term::Property(name) = inner {
            names.push(name);
        }
    };
    match node {
        Node::And(a, b) | Node::Or(a, b) => {
            names_of(a, names);
            names_of(b, names);
        }
        Node::Not(a) => names_of(a, names),
        Node::Compare(a, _, b) | Node::Like(a, b) => [a, b].into_iter().for_each(term),
        Node::In(a, all) => std::iter::once(a).chain(all).for_each(term),
        Node::Between(a, low, high) => [a, low, high].into_iter().for_each(term),
        Node::IsNull(a) | Node::Bare(a) => term(a),
    }
}

/// Three-valued: `None` is unknown.
fn truth(node: &Node, row: &impl Row) -> Option<bool> {
    match node {
        Node::And(a, b) => match (truth(a, row), truth(b, row)) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        },
        Node::Or(a, b) => match (truth(a, row), truth(b, row)) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        },
        Node::Not(a) => truth(a, row).map(|t| !t),
        Node::Compare(a, comparison, b) => compare(&value(a, row), *comparison, &value(b, row)),
        Node::In(a, all) => {
            let a = value(a, row);
            let mut unknown = false;
            for b in all {
                match compare(&a, Comparison::Equal, &value(b, row)) {
                    Some(true) => return Some(true),
                    Some(false) => {}
                    None => unknown = true,
                }
            }
            (!unknown).then_some(false)
        }
        Node::Between(a, low, high) => {
            let a = value(a, row);
            let above = compare(&a, Comparison::GreaterEqual, &value(low, row))?;
            Some(above && compare(&a, Comparison::LessEqual, &value(high, row))?)
        }
        Node::Like(a, pattern) => match (value(a, row), value(pattern, row)) {
            (Value::Text(text), Value::Text(pattern)) => {
                Some(like(&text.chars().collect::<Vec<_>>(), &pattern.chars().collect::<Vec<_>>()))
            }
            _ => None,
        },
        Node::IsNull(a) => Some(value(a, row).is_null()),
        Node::Bare(a) => match value(a, row) {
            Value::Bool(truth) => Some(truth),
            _ => None,
        },
    }
}

fn value(term: &Term, row: &impl Row) -> Value {
    match term {
        Term::Literal(value) => value.clone(),
        Term::Property(name) => match row.value(name) {
            Value::Null if name == "id" => Value::Text(row.key().to_owned()),
            value => value,
        },
        Term::CaseI(inner) => match value(inner, row) {
            Value::Text(text) => Value::Text(text.to_lowercase()),
            other => other,
        },
        Term::AccentI(inner) => match value(inner, row) {
            Value::Text(text) => Value::Text(without_marks(&text)),
            other => other,
        },
    }
}

/// Without diacritics, `đ` as `d`, case kept: ACCENTI leaves case to CASEI.
fn without_marks(text: &str) -> String {
    let plain = |c| match c {
        'đ' => 'd',
        'Đ' => 'D',
        other => other,
    };
    text.nfd().filter(|c| !is_combining_mark(*c)).map(plain).collect()
}

fn compare(a: &Value, comparison: Comparison, b: &Value) -> Option<bool> {
    let order = match (a, b) {
        (Value::Text(a), Value::Text(b)) => a.nfc().cmp(b.nfc()),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?)?,
    };
    Some(match comparison {
        Comparison::Equal => order == Ordering::Equal,
        Comparison::NotEqual => order != Ordering::Equal,
        Comparison::Less => order == Ordering::Less,
        Comparison::LessEqual => order != Ordering::Greater,
        Comparison::Greater => order == Ordering::Greater,
        Comparison::GreaterEqual => order != Ordering::Less,
    })
}

/// `%` any run, `_` one character. Iterative, so that a pattern of many `%` costs no more than text × pattern.
fn like(text: &[char], pattern: &[char]) -> bool {
    let (mut t, mut p) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&'%') {
            back = Some((p, t));
            p += 1;
        } else if pattern.get(p).is_some_and(|c| *c == '_' || *c == text[t]) {
            p += 1;
            t += 1;
        } else if let Some((star, from)) = back {
            back = Some((star, from + 1));
            p = star + 1;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '%')
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Quoted(String),
    Text(String),
    Number(Value),
    Sign(&'static str),
}

impl Token {
    fn shown(&self) -> String {
        match self {
            Self::Word(word) => word.clone(),
            Self::Quoted(name) => format!("\"{name}\""),
            Self::Text(text) => format!("'{text}'"),
            Self::Number(number) => number.to_string(),
            Self::Sign(sign) => (*sign).to_owned(),
        }
    }
}

const SIGNS: [&str; 10] = ["<>", "<=", ">=", "=", "<", ">", "(", ")", ",", "!="];

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, FilterError> {
    let chars: Vec<char> = text.chars().collect();
    let mut out = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let at = i + 1;
        let c = chars[i];
        if c.is_whitespace() {
            i += 1;
        } else if c == '\'' || c == '"' {
            let (text, next) = quoted(&chars, i, c)?;
            out.push((at, if c == '"' { Token::Quoted(text) } else { Token::Text(text) }));
            i = next;
        } else if c.is_ascii_digit() || ((c == '-' || c == '+' || c == '.') && next_is_digit(&chars, i)) {
            let mut end = i + 1;
            while end < chars.len() && (chars[end].is_ascii_alphanumeric() || matches!(chars[end], '.' | '+' | '-')) {
                // A sign belongs to the number only behind an exponent.
                if matches!(chars[end], '+' | '-') && !matches!(chars[end - 1], 'e' | 'E') {
                    break;
                }
                end += 1;
            }
            let word: String = chars[i..end].iter().collect();
            let number = word.parse().map(Value::Integer).or_else(|_| word.parse().map(Value::Real));
            let number = number.map_err(|_| FilterError { at, problem: format!("{word} is no number") })?;
            out.push((at, Token::Number(number)));
            i = end;
        } else if c.is_alphabetic() || c == '_' {
            let end =
                (i..chars.len()).find(|j| !chars[*j].is_alphanumeric() && chars[*j] != '_').unwrap_or(chars.len());
            out.push((at, Token::Word(chars[i..end].iter().collect())));
            i = end;
        } else {
            let rest: String = chars[i..chars.len().min(i + 2)].iter().collect();
            let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
            let sign = sign.ok_or_else(|| FilterError { at, problem: format!("{c} has no meaning here") })?;
            out.push((at, Token::Sign(if sign == "!=" { "<>" } else { sign })));
            i += sign.len();
        }
    }
    Ok(out)
}

fn next_is_digit(chars: &[char], i: usize) -> bool {
    chars.get(i + 1).is_some_and(|c| c.is_ascii_digit() || *c == '.')
}

/// The text from a quote to its end; a doubled quote stands for itself.
fn quoted(chars: &[char], start: usize, quote: char) -> Result<(String, usize), FilterError> {
    let mut text = String::new();
    let mut i = start + 1;
    loop {
        match chars.get(i) {
            None => return Err(FilterError { at: start + 1, problem: format!("the quote {quote} is not closed") }),
            Some(c) if *c == quote => {
                if chars.get(i + 1) == Some(&quote) {
                    text.push(quote);
                    i += 2;
                } else {
                    return Ok((text, i + 1));
                }
            }
            Some(c) => {
                text.push(*c);
                i += 1;
            }
        }
    }
}

struct Reader<'a> {
    tokens: &'a [(usize, Token)],
    at: usize,
    depth: usize,
    end: usize,
}

impl Reader<'_> {
    fn wrong<T>(&self, expected: &str) -> Result<T, FilterError> {
        let (at, found) = match self.tokens.get(self.at) {
            Some((at, token)) => (*at, token.shown()),
            None => (self.end, "the end".to_owned()),
        };
        Err(FilterError { at, problem: format!("expected {expected}, found {found}") })
    }

    fn keyword(&mut self, word: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some((_, Token::Word(w))) if w.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some((_, Token::Sign(s))) if *s == sign);
        self.at += usize::from(found);
        found
    }

    fn or(&mut self) -> Result<Node, FilterError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.wrong("less nesting");
        }
        let mut left = self.and()?;
        while self.keyword("or") {
            left = Node::Or(Box::new(left), Box::new(self.and()?));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn and(&mut self) -> Result<Node, FilterError> {
        let mut left = self.not()?;
        while self.keyword("and") {
            left = Node::And(Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Node, FilterError> {
        let mut negated = false;
        while self.keyword("not") {
            negated = !negated;
        }
        let node = if self.sign("(") {
            let inner = self.or()?;
            if !self.sign(")") {
                return self.wrong(")");
            }
            inner
        } else {
            self.predicate()?
        };
        Ok(if negated { Node::Not(Box::new(node)) } else { node })
    }

    fn predicate(&mut self) -> Result<Node, FilterError> {
        let left = self.term()?;
        let comparisons = [
            ("=", Comparison::Equal),
            ("<>", Comparison::NotEqual),
            ("<=", Comparison::LessEqual),
            (">=", Comparison::GreaterEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        for (sign, comparison) in comparisons {
            if self.sign(sign) {
                return Ok(Node::Compare(left, comparison, self.term()?));
            }
        }
        if self.keyword("is") {
            let negated = self.keyword("not");
            if !self.keyword("null") {
                return self.wrong("NULL");
            }
            let node = Node::IsNull(left);
            return Ok(if negated { Node::Not(Box::new(node)) } else { node });
        }
        let negated = self.keyword("not");
        let node = if self.keyword("like") {
            Node::Like(left, self.term()?)
        } else if self.keyword("between") {
            let low = self.term()?;
            if !self.keyword("and") {
                return self.wrong("AND");
            }
            Node::Between(left, low, self.term()?)
        } else if self.keyword("in") {
            if !self.sign("(") {
                return self.wrong("(");
            }
            let mut all = vec![self.term()?];
            while self.sign(",") {
                all.push(self.term()?);
            }
            if !self.sign(")") {
                return self.wrong(")");
            }
            Node::In(left, all)
        } else if negated {
            return self.wrong("LIKE, BETWEEN or IN");
        } else {
            return match left {
                Term::Property(_) | Term::Literal(Value::Bool(_)) => Ok(Node::Bare(left)),
                _ => self.wrong("a comparison"),
            };
        };
        Ok(if negated { Node::Not(Box::new(node)) } else { node })
    }

    fn term(&mut self) -> Result<Term, FilterError> {
        let Some((_, token)) = self.tokens.get(self.at) else { return self.wrong("a name or a value") };
        let term = match token {
            Token::Text(text) => Term::Literal(Value::Text(model::nfc(text))),
            Token::Number(number) => Term::Literal(number.clone()),
            Token::Quoted(name) => Term::Property(name.clone()),
            Token::Word(word) if word.eq_ignore_ascii_case("true") => Term::Literal(Value::Bool(true)),
            Token::Word(word) if word.eq_ignore_ascii_case("false") => Term::Literal(Value::Bool(false)),
            Token::Word(word) => {
                let function = self.tokens.get(self.at + 1).is_some_and(|(_, next)| *next == Token::Sign("("));
                if function {
                    return self.function(&word.to_ascii_lowercase());
                }
                Term::Property(word.clone())
            }
            Token::Sign(_) => return self.wrong("a name or a value"),
        };
        self.at += 1;
        Ok(term)
    }

    fn function(&mut self, name: &str) -> Result<Term, FilterError> {
        if !matches!(name, "casei" | "accenti") {
            return self.wrong("CASEI or ACCENTI as function");
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.wrong("less nesting");
        }
        self.at += 2;
        let inner = Box::new(self.term()?);
        self.depth -= 1;
        if !self.sign(")") {
            return self.wrong(")");
        }
        Ok(if name == "casei" { Term::CaseI(inner) } else { Term::AccentI(inner) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn school() -> Feature {
        Feature {
            id: "s1".into(),
            geometry: geo_types::Point::new(106.1, 11.3).into(),
            properties: [
                ("name".to_owned(), Value::Text("Trường THCS Trảng Bàng".into())),
                ("pupils".to_owned(), Value::Integer(640)),
                ("area_ha".to_owned(), Value::Real(1.5)),
                ("sample".to_owned(), Value::Bool(true)),
                ("note".to_owned(), Value::Null),
            ]
            .into(),
        }
    }

    #[test]
    fn filters_read_and_match() {
        let school = school();
        for (text, expected) in [
            ("pupils > 600", true),
            ("pupils >= 640 AND area_ha < 1.5", false),
            ("pupils BETWEEN 600 AND 700", true),
            ("name = 'Trường THCS Trảng Bàng'", true),
            ("name LIKE 'Trường%Bàng'", true),
            ("name LIKE 'Trường%Bang'", false),
            ("ACCENTI(CASEI(name)) LIKE accenti(casei('%trang BANG'))", true),
            ("id IN ('s1', 's2')", true),
            ("id NOT IN ('s1')", false),
            ("note IS NULL and not pupils IS NULL", true),
            ("nothing = 1 OR pupils = 640.0", true),
            ("nothing = 1", false),
            ("NOT nothing = 1", false),
            ("sample", true),
            ("sample = FALSE or (pupils <> 640)", false),
            ("\"area_ha\" = 1.5e0", true),
            ("pupils > -1", true),
        ] {
            assert_eq!(Filter::parse(text).unwrap().matches(&school), expected, "{text}");
        }
    }

    #[test]
    fn a_filter_names_what_it_looks_at() {
        let filter =
            Filter::parse("casei(name) LIKE 'a%' AND (b IN (c, 1) OR NOT \"d e\" IS NULL) AND name <> 'x'").unwrap();
        assert_eq!(filter.properties(), ["b", "c", "d e", "name"]);
    }

    #[test]
    fn faults_name_their_place() {
        for (text, at) in [
            ("pupils >", 9),
            ("pupils > 600 AND", 17),
            ("name = 'open", 8),
            ("pupils ! 5", 8),
            ("(pupils > 5", 12),
            ("pupils > 5 6", 12),
            ("S_INTERSECTS(geom, 5)", 1),
            ("", 1),
        ] {
            assert_eq!(Filter::parse(text).unwrap_err().at, at, "{text}");
        }
        assert!(Filter::parse(&"(".repeat(100_000)).is_err());
        assert!(Filter::parse(&"casei(".repeat(100_000)).is_err());
        assert!(Filter::parse(&format!("a = 1{}", " and a = 1".repeat(100_000))).is_err());
    }

    proptest! {
        #[test]
        fn any_text_gives_a_filter_or_an_error(text in "[a-z0-9 '\"()=<>%,._-]{0,60}") {
            if let Ok(filter) = Filter::parse(&text) {
                let _ = filter.matches(&school());
            }
        }
    }
}
