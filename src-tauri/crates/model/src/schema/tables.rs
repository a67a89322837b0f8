//! The standard as tables for people: `docs/data-standard.vi.md` and `.en.md`, written by the example `data_standard`.

use super::{Code, CodeList, DataType, Schema, SchemaField};
use crate::{GeometryKind, Title};
use std::fmt::Write as _;

/// The language of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tongue {
    Vi,
    En,
}

/// Lists that are longer get a section of their own.
const INLINE_CODES: usize = 12;

impl Tongue {
    fn of(self, title: &Title) -> &str {
        self.pick(&title.vi, &title.en)
    }

    fn pick<'a>(self, vi: &'a str, en: &'a str) -> &'a str {
        match self {
            Self::Vi => vi,
            Self::En => en,
        }
    }
}

/// The whole standard as Markdown.
pub fn data_standard(tongue: Tongue) -> String {
    let mut out = String::new();
    out.push_str(tongue.pick(
        "# Chuẩn dữ liệu dùng chung\n\n\
         <!-- Tạo bởi `make data-standard` từ maps/schema; sửa ở đó. -->\n\n\
         Mỗi loại dữ liệu có một JSON Schema (2020-12) trong `maps/schema/`; `toancanhctl schema LOẠI` in ra. Khi nhập tệp \
         và khi đồng bộ, mỗi dòng được kiểm tra:\n\n\
         - Thiếu trường bắt buộc (`*`), giá trị không đọc được đúng kiểu, hình học sai loại: dòng bị từ chối, có nêu lý do.\n\
         - Mã ngoài danh mục, số ngoài khoảng: giữ nguyên và cảnh báo.\n\
         - Mã cũ hoặc tên thay cho mã: đổi sang mã hiện hành, giá trị gốc giữ ở `<trường>_original`.\n\n\
         Cột có tên khác được nhận ra theo cột “Tên khác”; không phân biệt dấu, hoa thường, khoảng trắng, gạch dưới. Nếu hai \
         cột cùng hợp một trường, cần chỉ rõ bằng `--map TRƯỜNG=CỘT`. Trường ngoài chuẩn được giữ lại.\n",
        "# Shared data standard\n\n\
         <!-- Written by `make data-standard` from maps/schema; change it there. -->\n\n\
         Each kind of data has a JSON Schema (2020-12) in `maps/schema/`; `toancanhctl schema KIND` prints it. Every row that \
         is imported or synced is checked:\n\n\
         - A required field (`*`) is missing, a value cannot be read as its type, a geometry is of another kind: the row is \
         rejected with the reason.\n\
         - A code outside its list, a number outside its range: kept, with a warning.\n\
         - A former code, or a name instead of the code: becomes the present code; the original stays in \
         `<field>_original`.\n\n\
         A column of another name is known by “Other names”; marks, case, blanks and underscores do not matter. When two \
         columns fit one field, say which with `--map FIELD=COLUMN`. Fields beyond the standard are kept.\n",
    ));
    let mut lists: Vec<(&SchemaField, &CodeList)> = Vec::new();
    for schema in Schema::all() {
        section(&mut out, tongue, schema, &mut lists);
    }
    for (field, list) in lists {
        // Writing to a String cannot fail.
        let _ = write!(out, "\n## {}\n", tongue.of(&field.title));
        if !tongue.of(&field.description).is_empty() {
            let _ = write!(out, "\n{}.\n", tongue.of(&field.description).trim_end_matches('.'));
        }
        let (code, name, former) =
            (tongue.pick("Mã", "Code"), tongue.pick("Tên", "Name"), tongue.pick("Mã cũ", "Former codes"));
        let _ = write!(out, "\n| {code} | {name} | {former} |\n|---|---|---|\n");
        for code in list.codes() {
            let _ = writeln!(out, "| `{}` | {} | {} |", code.value, tongue.of(&code.title), code.replaces.join(", "));
        }
    }
    out
}

fn section<'a>(out: &mut String, tongue: Tongue, schema: &'a Schema, lists: &mut Vec<(&'a SchemaField, &'a CodeList)>) {
    let geometry = match schema.geometry {
        Some(GeometryKind::Point) => tongue.pick("điểm", "point"),
        Some(GeometryKind::Line) => tongue.pick("đường", "line"),
        Some(GeometryKind::Polygon) => tongue.pick("vùng", "polygon"),
        Some(GeometryKind::Mixed) => tongue.pick("bất kỳ", "any"),
        None => tongue.pick("không có (bảng)", "none (a table)"),
    };
    let _ = write!(
        out,
        "\n## {} (`{}`)\n\n{}: {geometry}.\n\n",
        tongue.of(&schema.title),
        schema.kind,
        tongue.pick("Hình học", "Geometry")
    );
    out.push_str(tongue.pick(
        "| Trường | Tên | Kiểu | Đơn vị | Giá trị | Tên khác của cột |\n|---|---|---|---|---|---|\n",
        "| Field | Title | Type | Unit | Values | Other names of the column |\n|---|---|---|---|---|---|\n",
    ));
    for field in &schema.fields {
        let long = field.codes.as_ref().filter(|list| list.codes().len() > INLINE_CODES);
        if let Some(list) = long
            && !lists.iter().any(|(_, known)| known.codes() == list.codes())
        {
            lists.push((field, list));
        }
        let section = long.and_then(|list| lists.iter().find(|(_, known)| known.codes() == list.codes()));
        let values = section.map_or_else(
            || values(tongue, field),
            |(named, _)| format!("{} “{}”", tongue.pick("xem", "see"), tongue.of(&named.title)),
        );
        let other = [field.title.vi.as_str()].into_iter().filter(|_| tongue == Tongue::En);
        let other: Vec<&str> = other.chain(field.aliases.iter().map(String::as_str)).collect();
        let _ = writeln!(
            out,
            "| `{}`{} | {} | {} | {} | {values} | {} |",
            field.name,
            if field.required { "\\*" } else { "" },
            tongue.of(&field.title),
            type_word(tongue, field.data_type),
            field.unit.as_deref().unwrap_or_default(),
            other.join("; "),
        );
    }
}

fn values(tongue: Tongue, field: &SchemaField) -> String {
    if let Some(list) = &field.codes {
        let one = |code: &Code| {
            let value = code.value.to_string();
            let title = tongue.of(&code.title);
            if value == title { format!("`{value}`") } else { format!("`{value}` {title}") }
        };
        return list.codes().iter().map(one).collect::<Vec<_>>().join("; ");
    }
    let range = match field.range {
        (Some(least), Some(greatest)) => format!("{least} … {greatest}"),
        (Some(least), None) => format!("≥ {least}"),
        (None, Some(greatest)) => format!("≤ {greatest}"),
        (None, None) => String::new(),
    };
    let about = tongue.of(&field.description);
    if range.is_empty() || about.is_empty() { format!("{range}{about}") } else { format!("{range}; {about}") }
}

fn type_word(tongue: Tongue, data_type: DataType) -> &'static str {
    match (data_type, tongue) {
        (DataType::Text, Tongue::Vi) => "chữ",
        (DataType::Text, Tongue::En) => "text",
        (DataType::Integer, Tongue::Vi) => "số nguyên",
        (DataType::Integer, Tongue::En) => "whole number",
        (DataType::Real, Tongue::Vi) => "số",
        (DataType::Real, Tongue::En) => "number",
        (DataType::Boolean, Tongue::Vi) => "đúng/sai",
        (DataType::Boolean, Tongue::En) => "true/false",
        (DataType::Date, Tongue::Vi) => "ngày",
        (DataType::Date, Tongue::En) => "date",
        (DataType::Moment, Tongue::Vi) => "thời điểm",
        (DataType::Moment, Tongue::En) => "time with offset",
    }
}
