//! Filters for others to follow: in the words of a service, as far as those reach.
//!
//! What is written must never keep less than the filter itself: what comes back is held against the filter again. So a
//! part that a service might understand in another way is not written at all.

use super::{Comparison, Filter, Node, Term};
use model::{FilterLanguage, Filtering, Value};

/// How a service calls an attribute that is compared with a value; `None` where it cannot be asked for that.
pub type NameFor<'a> = &'a dyn Fn(&str, Option<&Value>) -> Option<String>;

impl Filter {
    /// The parts that must all hold.
    pub fn parts(&self) -> Vec<Self> {
        fn split(node: &Node, parts: &mut Vec<Filter>) {
            match node {
                Node::And(a, b) => {
                    split(a, parts);
                    split(b, parts);
                }
                other => parts.push(Filter(other.clone())),
            }
        }
        let mut parts = Vec::new();
        split(&self.0, &mut parts);
        parts
    }

    /// The filter as text in the service's language; `None` where that, or the service, does not reach so far. Only
    /// comparisons of an attribute with a value are written, every group in parentheses and every `NOT` at its leaf:
    /// older languages know no order of operators and no negated group.
    pub fn written(&self, filtering: Filtering, name: NameFor<'_>) -> Option<String> {
        Writer { filtering, name }.node(&self.0, false)
    }

    /// Attribute and value, where the filter says no more than that they are equal.
    pub fn equality(&self) -> Option<(&str, &Value)> {
        match &self.0 {
            Node::Compare(Term::Property(name), Comparison::Equal, Term::Literal(value))
            | Node::Compare(Term::Literal(value), Comparison::Equal, Term::Property(name)) => Some((name, value)),
            _ => None,
        }
    }
}

struct Writer<'a> {
    filtering: Filtering,
    name: NameFor<'a>,
}

/// Whether case and marks count.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Folding {
    case: bool,
    marks: bool,
}

impl Writer<'_> {
    fn node(&self, node: &Node, negated: bool) -> Option<String> {
        match node {
            Node::And(a, b) | Node::Or(a, b) => {
                let all = matches!(node, Node::And(..)) != negated;
                Some(self.joined(&[self.node(a, negated)?, self.node(b, negated)?], all))
            }
            Node::Not(inner) => self.node(inner, !negated),
            Node::Compare(a, comparison, b) => self.compare(a, *comparison, b, negated),
            Node::Between(a, low, high) => {
                let ends = [
                    self.compare(a, Comparison::GreaterEqual, low, negated)?,
                    self.compare(a, Comparison::LessEqual, high, negated)?,
                ];
                Some(self.joined(&ends, !negated))
            }
            Node::In(a, all) => {
                let each: Option<Vec<String>> =
                    all.iter().map(|one| self.compare(a, Comparison::Equal, one, negated)).collect();
                Some(self.joined(&each?, negated))
            }
            Node::Like(a, pattern) => self.like(a, pattern, negated),
            Node::IsNull(Term::Property(name)) => {
                Some(format!("{} IS {}NULL", self.name(name, None)?, if negated { "NOT " } else { "" }))
            }
            Node::Bare(Term::Property(name)) => {
                let value = Value::Bool(!negated);
                Some(format!("{} = {}", self.name(name, Some(&value))?, self.literal(&value)?))
            }
            Node::IsNull(_) | Node::Bare(_) => None,
        }
    }

    fn joined(&self, parts: &[String], all: bool) -> String {
        let word = if all { " AND " } else { " OR " };
        parts.iter().map(|part| format!("({part})")).collect::<Vec<_>>().join(word)
    }

    fn compare(&self, a: &Term, comparison: Comparison, b: &Term, negated: bool) -> Option<String> {
        let comparison = if negated { opposite(comparison) } else { comparison };
        let ((a, folding), (b, folded), comparison) = match (unfolded(a), unfolded(b)) {
            (a @ (Term::Property(_), _), b) => (a, b, comparison),
            (a, b @ (Term::Property(_), _)) => (b, a, turned(comparison)),
            _ => return None,
        };
        let (Term::Property(name), Term::Literal(value)) = (a, b) else { return None };
        // A value that was not folded says something else than it seems to.
        if folding != folded {
            return None;
        }
        let sign = match comparison {
            Comparison::Equal => "=",
            Comparison::NotEqual => "<>",
            // Order of texts goes by the service's own rules.
            _ if matches!(value, Value::Text(_)) => return None,
            Comparison::Less => "<",
            Comparison::LessEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterEqual => ">=",
        };
        let name = self.folded(self.name(name, Some(value))?, folding)?;
        Some(format!("{name} {sign} {}", self.folded(self.literal(value)?, folding)?))
    }

    fn like(&self, a: &Term, pattern: &Term, negated: bool) -> Option<String> {
        let ((Term::Property(name), folding), (Term::Literal(value @ Value::Text(text)), folded)) =
            (unfolded(a), unfolded(pattern))
        else {
            return None;
        };
        // Where a backslash stands before a sign, others take it as that sign.
        if folding != folded || text.contains('\\') {
            return None;
        }
        let name = self.name(name, Some(value))?;
        let (literal, not) = (self.literal(value)?, if negated { "NOT " } else { "" });
        match self.filtering.language {
            FilterLanguage::Cql2Text if self.filtering.like => {
                Some(format!("{} {not}LIKE {}", self.folded(name, folding)?, self.folded(literal, folding)?))
            }
            // Its sign for any single letter is another one.
            FilterLanguage::CqlText if !text.contains(['_', '.']) && !folding.marks => {
                Some(format!("{name} {not}{} {literal}", if folding.case { "ILIKE" } else { "LIKE" }))
            }
            _ => None,
        }
    }

    /// A name or a value without what does not count of it.
    fn folded(&self, term: String, folding: Folding) -> Option<String> {
        let possible = (self.filtering.case_insensitive || !folding.case)
            && (self.filtering.accent_insensitive || !folding.marks)
            && (self.filtering.language == FilterLanguage::Cql2Text || folding == Folding::default());
        let term = if folding.marks { format!("ACCENTI({term})") } else { term };
        possible.then(|| if folding.case { format!("CASEI({term})") } else { term })
    }

    fn name(&self, name: &str, value: Option<&Value>) -> Option<String> {
        let name = (self.name)(name, value)?;
        let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        // In quotes it is no keyword, and one that is no plain word needs them; not everybody reads quotes in quotes.
        (plain || !name.contains('"')).then(|| format!("\"{name}\""))
    }

    fn literal(&self, value: &Value) -> Option<String> {
        match value {
            Value::Null => None,
            Value::Text(text) if text.contains(char::is_control) => None,
            // The older one has no way to write a quote.
            Value::Text(text) if self.filtering.language == FilterLanguage::CqlText && text.contains('\'') => None,
            Value::Text(text) => Some(format!("'{}'", text.replace('\'', "''"))),
            Value::Integer(number) => Some(number.to_string()),
            Value::Real(number) => number.is_finite().then(|| number.to_string()),
            Value::Bool(true) => Some("TRUE".into()),
            Value::Bool(false) => Some("FALSE".into()),
        }
    }
}

fn unfolded(term: &Term) -> (&Term, Folding) {
    let mut folding = Folding::default();
    let mut term = term;
    loop {
        term = match term {
            Term::CaseI(inner) => {
                folding.case = true;
                inner
            }
            Term::AccentI(inner) => {
                folding.marks = true;
                inner
            }
            plain => return (plain, folding),
        };
    }
}

/// What holds where the comparison does not, nulls aside.
fn opposite(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Equal => Comparison::NotEqual,
        Comparison::NotEqual => Comparison::Equal,
        Comparison::Less => Comparison::GreaterEqual,
        Comparison::LessEqual => Comparison::Greater,
        Comparison::Greater => Comparison::LessEqual,
        Comparison::GreaterEqual => Comparison::Less,
    }
}

/// The same with its sides changed over.
fn turned(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Less => Comparison::Greater,
        Comparison::LessEqual => Comparison::GreaterEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterEqual => Comparison::LessEqual,
        same => same,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CQL2: Filtering =
        Filtering { language: FilterLanguage::Cql2Text, like: true, case_insensitive: true, accent_insensitive: false };
    const CQL: Filtering = Filtering { language: FilterLanguage::CqlText, ..CQL2 };

    fn written(text: &str, filtering: Filtering) -> Option<String> {
        let name = |name: &str, _: Option<&Value>| (name != "hidden").then(|| name.replace("area_ha", "dien tich"));
        Filter::parse(text).unwrap().written(filtering, &name)
    }

    #[test]
    fn filters_are_said_in_the_words_of_the_service() {
        for (text, expected) in [
            ("pupils >= 600", "\"pupils\" >= 600"),
            ("600 < pupils", "\"pupils\" > 600"),
            ("area_ha < 1.5", "\"dien tich\" < 1.5"),
            ("a = 1 OR b = 2 AND c = TRUE", "(\"a\" = 1) OR ((\"b\" = 2) AND (\"c\" = TRUE))"),
            ("NOT (a = 1 OR b < 2)", "(\"a\" <> 1) AND (\"b\" >= 2)"),
            ("a BETWEEN 1 AND 2", "(\"a\" >= 1) AND (\"a\" <= 2)"),
            ("a NOT BETWEEN 1 AND 2", "(\"a\" < 1) OR (\"a\" > 2)"),
            ("a NOT IN ('x', 'y')", "(\"a\" <> 'x') AND (\"a\" <> 'y')"),
            ("NOT a IS NULL", "\"a\" IS NOT NULL"),
            ("NOT sample", "\"sample\" = FALSE"),
            ("name LIKE 'Trảng%'", "\"name\" LIKE 'Trảng%'"),
        ] {
            assert_eq!(written(text, CQL2).as_deref(), Some(expected), "{text}");
            assert_eq!(written(text, CQL).as_deref(), Some(expected), "{text}");
        }
        let folded = "casei(name) LIKE casei('trảng%')";
        assert_eq!(written(folded, CQL2).as_deref(), Some("CASEI(\"name\") LIKE CASEI('trảng%')"));
        assert_eq!(written(folded, CQL).as_deref(), Some("\"name\" ILIKE 'trảng%'"));
        assert_eq!(written("name = 'D''Arc'", CQL2).as_deref(), Some("\"name\" = 'D''Arc'"));
    }

    #[test]
    fn what_others_may_take_for_something_else_is_not_said() {
        for text in ["hidden = 1", "a = b", "1 = 1", "name > 'b'", "accenti(name) = accenti('a')", "casei(name) = 'A'"]
        {
            assert_eq!(written(text, CQL2), None, "{text}");
            assert_eq!(written(text, CQL), None, "{text}");
        }
        for text in ["name = 'D''Arc'", "name LIKE 'a_c'", "name LIKE 'a.c'", "casei(name) = casei('a')"] {
            assert_eq!(written(text, CQL), None, "{text}");
        }
        let plain = Filtering { like: false, case_insensitive: false, ..CQL2 };
        for text in ["name LIKE 'a%'", "casei(name) = casei('a')"] {
            assert_eq!(written(text, plain), None, "{text}");
        }
    }

    #[test]
    fn a_filter_comes_apart_where_all_of_it_must_hold() {
        let filter = Filter::parse("a = 1 AND (b = 2 OR c = 3) AND 'x' = d").unwrap();
        let parts = filter.parts();
        assert_eq!(parts.len(), 3);
        assert_eq!(parts[0].equality(), Some(("a", &Value::Integer(1))));
        assert_eq!(parts[1].equality(), None);
        assert_eq!(parts[2].equality(), Some(("d", &Value::Text("x".into()))));
    }
}
