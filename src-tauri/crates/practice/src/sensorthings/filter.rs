//! The part of `$filter` that is understood: comparisons joined by `and`.

use crate::http::Trouble;
use model::Timestamp;
use serde_json::Value;
use std::cmp::Ordering;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Eq,
    Ne,
    Ge,
    Gt,
    Le,
    Lt,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Text(String),
    Number(f64),
    Time(Timestamp),
    Bool(bool),
}

/// `path op literal`, for example `properties/layer eq 'air_stations'`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Comparison {
    pub path: String,
    pub op: Op,
    pub literal: Literal,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Open,
    Close,
}

/// # Errors
/// 400 for anything but comparisons joined by `and`; says what is not understood.
pub(super) fn parse_filter(text: &str) -> Result<Vec<Comparison>, Trouble> {
    let wrong = |problem: String| {
        Trouble::bad(format!(
            "$filter={text}: {problem}; write for example phenomenonTime ge 2026-11-23T00:00:00Z and phenomenonTime lt 2026-11-24T00:00:00Z"
        ))
    };
    let tokens = tokens(text).ok_or_else(|| wrong("a quote does not close".into()))?;
    let mut all = Vec::new();
    let mut depth = 0_usize;
    let mut rest = tokens.into_iter().peekable();
    loop {
        while rest.next_if_eq(&Token::Open).is_some() {
            depth += 1;
        }
        let path = match rest.next() {
            Some(Token::Word(word)) if word == "not" => return Err(wrong("not is not understood".into())),
            Some(Token::Word(word)) if rest.peek() == Some(&Token::Open) => {
                return Err(wrong(format!("the function {word} is not understood")));
            }
            Some(Token::Word(word)) => word,
            other => return Err(wrong(format!("a property is expected, not {}", shown(other)))),
        };
        let op = match rest.next() {
            Some(Token::Word(word)) => match word.as_str() {
                "eq" => Op::Eq,
                "ne" => Op::Ne,
                "ge" => Op::Ge,
                "gt" => Op::Gt,
                "le" => Op::Le,
                "lt" => Op::Lt,
                _ => return Err(wrong(format!("{word:?} is none of eq, ne, ge, gt, le, lt"))),
            },
            other => return Err(wrong(format!("eq, ne, ge, gt, le or lt is expected, not {}", shown(other)))),
        };
        let literal = match rest.next() {
            Some(Token::Text(text)) => Literal::Text(text),
            Some(Token::Word(word)) => {
                literal(&word).ok_or_else(|| wrong(format!("{word:?} is no number, time, true, false or 'text'")))?
            }
            other => return Err(wrong(format!("a value is expected, not {}", shown(other)))),
        };
        all.push(Comparison { path, op, literal });
        while rest.next_if_eq(&Token::Close).is_some() {
            depth = depth.checked_sub(1).ok_or_else(|| wrong("a parenthesis too many".into()))?;
        }
        match rest.next() {
            None if depth == 0 => return Ok(all),
            None => return Err(wrong("a parenthesis does not close".into())),
            Some(Token::Word(word)) if word == "and" => {}
            Some(Token::Word(word)) if word == "or" => return Err(wrong("or is not understood".into())),
            other => return Err(wrong(format!("and is expected, not {}", shown(other)))),
        }
    }
}

fn shown(token: Option<Token>) -> String {
    match token {
        None => "the end".into(),
        Some(Token::Word(word)) => format!("{word:?}"),
        Some(Token::Text(text)) => format!("'{text}'"),
        Some(Token::Open) => "(".into(),
        Some(Token::Close) => ")".into(),
    }
}

/// `None` when a quote does not close. A doubled quote within a text stands for one.
fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut all = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => {}
            '(' => all.push(Token::Open),
            ')' => all.push(Token::Close),
            '\'' => {
                let mut inner = String::new();
                loop {
                    match chars.next()? {
                        '\'' if chars.next_if_eq(&'\'').is_some() => inner.push('\''),
                        '\'' => break,
                        c => inner.push(c),
                    }
                }
                all.push(Token::Text(inner));
            }
            c => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| !c.is_whitespace() && !matches!(c, '(' | ')' | '\'')) {
                    word.push(c);
                }
                all.push(Token::Word(word));
            }
        }
    }
    Some(all)
}

fn literal(word: &str) -> Option<Literal> {
    match word {
        "true" => Some(Literal::Bool(true)),
        "false" => Some(Literal::Bool(false)),
        _ => match word.parse::<f64>() {
            Ok(number) if number.is_finite() => Some(Literal::Number(number)),
            _ => word.parse().ok().map(Literal::Time),
        },
    }
}

impl Comparison {
    /// The literal as a time, if it is one; times in quotes count too.
    pub fn time(&self) -> Option<Timestamp> {
        match &self.literal {
            Literal::Time(time) => Some(*time),
            Literal::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// Whether the entity's JSON fulfils the comparison. A missing property fulfils none but `ne`.
    pub fn holds(&self, entity: &Value) -> bool {
        let ordering = property(entity, &self.path).and_then(|value| match (&self.literal, value) {
            (Literal::Text(text), Value::String(value)) => Some(value.as_str().cmp(text.as_str())),
            (Literal::Number(number), Value::Number(value)) => value.as_f64()?.partial_cmp(number),
            (Literal::Bool(flag), Value::Bool(value)) => Some(value.cmp(flag)),
            (Literal::Time(time), Value::String(value)) => Some(value.parse::<Timestamp>().ok()?.cmp(time)),
            _ => None,
        });
        match (ordering, self.op) {
            (None, op) => op == Op::Ne,
            (Some(ordering), Op::Eq) => ordering == Ordering::Equal,
            (Some(ordering), Op::Ne) => ordering != Ordering::Equal,
            (Some(ordering), Op::Ge) => ordering != Ordering::Less,
            (Some(ordering), Op::Gt) => ordering == Ordering::Greater,
            (Some(ordering), Op::Le) => ordering != Ordering::Greater,
            (Some(ordering), Op::Lt) => ordering == Ordering::Less,
        }
    }
}

/// Follows a path like `properties/layer`; `id` stands for `@iot.id`.
pub(super) fn property<'a>(entity: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('/').try_fold(entity, |value, name| value.get(if name == "id" { "@iot.id" } else { name }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn comparisons_read() {
        let all = parse_filter("(properties/layer eq 'o''clock và') and id ge 5").unwrap();
        assert_eq!(all[0].literal, Literal::Text("o'clock và".into()));
        assert_eq!((all[1].op, &all[1].literal), (Op::Ge, &Literal::Number(5.0)));
        let time = parse_filter("phenomenonTime ge 2026-11-23T07:00:00+07:00").unwrap()[0].time().unwrap();
        assert_eq!(time.to_string(), "2026-11-23T00:00:00Z");
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (text, word) in [
            ("result gt 5 or result lt 2", "or is not"),
            ("startswith(name,'a')", "startswith"),
            ("name eq 'a", "quote"),
            ("(id eq 1", "parenthesis"),
            ("id eq 1)", "too many"),
            ("id is 1", "\"is\""),
            ("", "the end"),
            ("not id eq 1", "not is not"),
        ] {
            let trouble = format!("{:?}", parse_filter(text).unwrap_err());
            let trouble = trouble.replace("\\\"", "\"");
            assert!(trouble.contains(word), "{text}: {trouble}");
        }
    }

    #[test]
    fn comparisons_hold_for_entities() {
        let entity = json!({ "@iot.id": 5, "properties": { "layer": "air_stations" } });
        for (text, expected) in [
            ("id eq 5", true),
            ("id lt 5", false),
            ("properties/layer eq 'air_stations' and id ge 5", true),
            ("properties/layer ne 'air_stations'", false),
            ("nothing eq 1", false),
        ] {
            let holds = parse_filter(text).unwrap().iter().all(|comparison| comparison.holds(&entity));
            assert_eq!(holds, expected, "{text}");
        }
    }
}
