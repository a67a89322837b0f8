//! A list as Vietnamese offices write them: names in Vietnamese, a frame around the list, three ways of paging.

use super::number;
use crate::app::App;
use crate::http::{self, JSON, Trouble, base_url, pairs};
use crate::ogc;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Map, Value, json};
use std::sync::Arc;

const LARGEST: usize = 1_000;

/// The names that the list has for the profile's; others stay.
const NAMES: [(&str, &str); 14] = [
    ("name", "ten"),
    ("name_en", "tenTiengAnh"),
    ("level", "cap"),
    ("pupils", "soHocSinh"),
    ("beds", "soGiuong"),
    ("commune", "maXa"),
    ("sample", "mau"),
    ("code", "maTram"),
    ("position", "doChinhXacViTri"),
    ("site", "maNoiDat"),
    ("site_name", "noiDat"),
    ("type", "loai"),
    ("bearing", "huong"),
    ("status", "tinhTrang"),
];

fn vietnamese(name: &str) -> &str {
    NAMES.iter().find(|(known, _)| *known == name).map_or(name, |(_, own)| own)
}

pub(super) async fn page(
    State(app): State<Arc<App>>,
    Path(layer): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let (spec, content) = ogc::find(&app, &layer)?;
    let habits = app.gateway.habits();
    let asked = pairs(query.as_deref());
    let value = |name: &str| asked.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let (size_name, usual) = if value("soLuong").is_some() { ("soLuong", 50) } else { ("kichThuoc", 50) };
    let size = number(&asked, size_name, usual)?.clamp(1, LARGEST).min(habits.cap.unwrap_or(LARGEST));
    let from = if let Some(cursor) = value("conTro").filter(|cursor| !cursor.is_empty()) {
        let at = cursor.strip_prefix("sau-").and_then(|at| at.parse().ok());
        at.ok_or_else(|| Trouble::bad(format!("conTro = {cursor:?} was not given by this list")))?
    } else if value("batDau").is_some() {
        number(&asked, "batDau", 0)?
    } else {
        number(&asked, "trang", 1)?.max(1).saturating_sub(1).saturating_mul(size)
    };
    let items: Vec<Value> =
        super::features(&content).skip(from).take(size).map(|(id, feature)| item(id, &feature)).collect();
    let matched = content.features.len();
    let next = from.saturating_add(items.len());
    let cursor = match next < matched && !items.is_empty() {
        true if habits.repeat_cursor => json!(format!("sau-{from}")),
        true => json!(format!("sau-{next}")),
        false => Value::Null,
    };
    let address = cursor.as_str().map(|cursor| {
        let at = format!("{}/gateway/danh-muc/{}", base_url(&headers, &app), spec.id);
        format!("{at}?{size_name}={size}&conTro={cursor}")
    });
    let body = json!({
        "thucHanh": true,
        "maLoi": 0,
        "thongBao": "Dữ liệu thực hành, không phải số liệu thật",
        "capNhat": spec.as_of.to_string(),
        "tongSo": matched + usize::from(habits.wrong_total),
        "conTroTiep": cursor,
        "tiepTheo": address,
        "danhSach": items,
    });
    let mut response = http::text(JSON, body.to_string());
    if let Some(link) = address.and_then(|to| axum::http::HeaderValue::from_str(&format!("<{to}>; rel=\"next\"")).ok())
    {
        response.headers_mut().insert(axum::http::header::LINK, link);
    }
    Ok(response)
}

fn item(id: &str, feature: &Value) -> Value {
    let mut item = Map::new();
    item.insert("ma".into(), json!(id));
    for (name, value) in feature["properties"].as_object().into_iter().flatten() {
        item.insert(vietnamese(name).to_owned(), value.clone());
    }
    let geometry = &feature["geometry"];
    if geometry["type"] == "Point" {
        let at = &geometry["coordinates"];
        item.insert("viTri".into(), json!({"kinhDo": at[0], "viDo": at[1]}));
        item.insert("wkt".into(), json!(format!("POINT ({} {})", at[0], at[1])));
    }
    item.insert("hinh".into(), geometry.clone());
    Value::Object(item)
}
