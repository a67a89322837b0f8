//! Office sheets: as offices in Vietnam keep them, as GDAL writes and reads them, and built to do harm.
#![allow(clippy::unwrap_used)]

mod common;

use common::{
    Folder, PROVINCE, assert_same, ogr2ogr, peak_mb, read, read_bytes, read_with, rejected, survives_damage, zip,
};
use geo_types::Geometry;
use model::{Feature, Value};
use sources::{Format, ReadOptions, columns};
use std::fmt::Write;

const WORKBOOK: &str = r#"<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><workbookPr EPOCH/><sheets>SHEETS</sheets></workbook>"#;
const STYLES: &str = r##"<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><numFmts count="2"><numFmt numFmtId="164" formatCode="dd/mm/yyyy;@"/><numFmt numFmtId="165" formatCode="#,##0.00"/></numFmts><fonts count="9999999999"/><cellXfs count="4"><xf numFmtId="0"/><xf numFmtId="164"/><xf numFmtId="22"/><xf numFmtId="165"/></cellXfs></styleSheet>"##;

/// A workbook of these sheets (name, cells) and texts.
fn workbook(sheets: &[(&str, &str)], strings: &[&str], epoch_1904: bool) -> Vec<u8> {
    let (mut listed, mut relations) = (String::new(), String::new());
    for (at, (name, _)) in sheets.iter().enumerate() {
        write!(listed, r#"<sheet name="{name}" sheetId="{0}" r:id="rId{0}"/>"#, at + 1).unwrap();
        write!(
            relations,
            r#"<Relationship Id="rId{0}" Type="http://x/worksheet" Target="worksheets/sheet{0}.xml"/>"#,
            at + 1
        )
        .unwrap();
    }
    relations += r#"<Relationship Id="s" Type="http://x/styles" Target="/xl/styles.xml"/><Relationship Id="t" Type="http://x/sharedStrings" Target="sharedStrings.xml"/>"#;
    let texts: String = strings.iter().map(|text| format!("<si><t>{text}</t></si>")).collect();
    let mut parts = vec![
        ("[Content_Types].xml".to_owned(), "<Types/>".to_owned()),
        (
            "xl/workbook.xml".into(),
            WORKBOOK.replace("EPOCH", if epoch_1904 { r#"date1904="1""# } else { "" }).replace("SHEETS", &listed),
        ),
        ("xl/_rels/workbook.xml.rels".into(), format!("<Relationships>{relations}</Relationships>")),
        ("xl/styles.xml".into(), STYLES.into()),
        ("xl/sharedStrings.xml".into(), format!(r#"<sst count="1" uniqueCount="99999999999999">{texts}</sst>"#)),
    ];
    for (at, (_, cells)) in sheets.iter().enumerate() {
        let text = format!(r#"<worksheet><dimension ref="A1:XFD1048576"/><sheetData>{cells}</sheetData></worksheet>"#);
        parts.push((format!("xl/worksheets/sheet{}.xml", at + 1), text));
    }
    let parts: Vec<(&str, &[u8])> = parts.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    zip(&parts)
}

/// A row of cells: `=` before a number, else text.
fn row(number: u64, cells: &[&str]) -> String {
    let mut out = format!(r#"<row r="{number}">"#);
    for (at, text) in cells.iter().enumerate().filter(|(_, text)| !text.is_empty()) {
        let place = format!("{}{number}", char::from(b'A' + u8::try_from(at).unwrap()));
        match text.strip_prefix('=') {
            Some(number) => write!(out, r#"<c r="{place}"><v>{number}</v></c>"#),
            None => write!(out, r#"<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>"#),
        }
        .unwrap();
    }
    out + "</row>"
}

fn simple() -> Vec<u8> {
    let rows = [
        row(1, &["Mã trạm", "Tên", "Kinh độ", "Vĩ độ"]),
        row(2, &["01", "Trạm Trảng Bàng", "=106.35", "=11.03"]),
        row(3, &["02", "Trạm Hòa Thành", "=106.13", "=11.28"]),
    ];
    workbook(&[("Trạm", &rows.concat())], &["a"], false)
}

fn at(feature: &Feature) -> (f64, f64) {
    let Geometry::Point(p) = feature.geometry else { panic!("{:?}", feature.geometry) };
    (p.x(), p.y())
}

#[test]
fn a_sheet_of_an_office_is_read_as_it_is() {
    // A letterhead, a title, a header over two rows, a row that numbers the columns, a blank row, a note beside.
    let cells = [
        row(1, &["UBND TỈNH TÂY NINH", "", "", "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM"]),
        row(2, &["DANH SÁCH TRƯỜNG HỌC NĂM 2026"]),
        row(4, &["STT", "Tên trường", "Tọa độ", "", "Diện tích (ha)", "Ngày lập"]),
        row(5, &["", "", "Kinh độ (độ)", "Vĩ  độ\n(độ)", "", ""]),
        row(6, &["=1", "=2", "=3", "=4", "=5", "=6"]),
        row(7, &["=1", "THCS Hoà Thành", "=106.13", "11,28", "1.250,5", ""]),
        r#"<row r="8"/>"#.into(),
        r#"<row r="9"><c r="A9"><v>2</v></c><c r="B9" t="s"><v>1</v></c><c r="C9"><f>C7+0.1</f><v>106.23</v></c><c r="D9" t="str"><f>"11,"&amp;"3"</f><v>11,3</v></c><c r="E9" t="e"><v>#N/A</v></c><c r="F9" s="1"><v>46354</v></c><c r="H9" t="inlineStr"><is><t>ghi chú</t></is></c></row>"#.into(),
        row(10, &["=3", "Ở nơi khác", "=206", "=11.3"]),
        row(11, &["Tổng cộng", "", "", "", "=2"]),
    ];
    let bytes =
        workbook(&[("Bìa", &row(1, &["Bìa"])), ("Trường", &cells.concat())], &["x", "TH Ninh &amp; Sơn"], false);
    let (summary, features) = read_bytes("a.xlsx", &bytes).unwrap();
    assert_eq!(summary.format, Format::Xlsx);
    assert_eq!(rejected(&summary), [(10, "coordinate_range"), (11, "geometry_missing")]);
    let (row, first) = &features[0];
    assert_eq!((*row, at(first), first.text("Tên trường")), (7, (106.13, 11.28), Some("THCS Hoà Thành")));
    assert_eq!(first.properties.get("Diện tích (ha)").unwrap().to_string(), "1.250,5");
    let (row, second) = &features[1];
    assert_eq!((*row, at(second), second.text("Tên trường")), (9, (106.23, 11.3), Some("TH Ninh & Sơn")));
    assert_eq!(second.properties.get("Diện tích (ha)"), Some(&Value::Null));
    assert_eq!((second.text("Ngày lập"), second.properties.get("STT")), (Some("2026-11-28"), Some(&Value::Integer(2))));
    let warnings = summary.report.warnings.join("|");
    for word in ["unnamed_column: ", "in row 9", "cell_errors: 1 cells"] {
        assert!(warnings.contains(word), "{warnings}");
    }
    let folder = Folder::new();
    let names = columns(&folder.put("a.xlsx", &bytes), &ReadOptions::new(PROVINCE)).unwrap().names;
    assert_eq!(names, ["Diện tích (ha)", "Ngày lập", "STT", "Tên trường"]);
}

#[test]
fn values_keep_their_kind() {
    let cells = [
        row(1, &["Mã xã", "n", "r", "d", "t", "b", "text", "lon", "lat"]),
        r#"<row><c><v>25459</v></c><c><v>7</v></c><c><v>1.5</v></c><c s="1"><v>44892</v></c><c s="2"><v>44892.25</v></c><c t="b"><v>1</v></c><c t="inlineStr"><is><r><t>Ô_x000D_</t></r><rPh><t>ka</t></rPh><r><t xml:space="preserve"> tô</t></r></is></c><c><v>106.1</v></c><c><v>11.1</v></c></row>"#.into(),
        r#"<row r="5"><c r="A5"><v>25460</v></c><c r="C5" s="3"><v>1E3</v></c><c r="D5" t="d"><v>2026-11-29</v></c><c r="H5"><v>1.062E+2</v></c><c r="I5"><v>11.2</v></c></row>"#.into(),
    ];
    let (summary, features) = read_bytes("a.xlsx", workbook(&[("s", &cells.concat())], &[], true)).unwrap();
    assert_eq!((rejected(&summary), features.len()), (vec![], 2), "{:?}", summary.report.warnings);
    let value = |at: usize, name: &str| features[at].1.properties.get(name).cloned().unwrap();
    let text = |text: &str| Value::Text(text.into());
    assert_eq!(value(0, "Mã xã"), text("25459"));
    assert_eq!(
        (value(0, "n"), value(0, "r"), value(1, "r")),
        (Value::Integer(7), Value::Real(1.5), Value::Real(1000.0))
    );
    assert_eq!((value(0, "d"), value(0, "t")), (text("2026-11-28"), text("2026-11-28T06:00:00")));
    assert_eq!(
        (value(0, "b"), value(0, "text"), value(1, "d")),
        (Value::Bool(true), text("Ô\r tô"), text("2026-11-29"))
    );
    assert_eq!((features[0].0, features[1].0, at(&features[1].1)), (2, 5, (106.2, 11.2)));
}

#[test]
fn vn2000_columns_are_read_as_those_of_a_csv() {
    let cells = [
        row(1, &["id", "X (m)", "Y (m)"]),
        row(2, &["a", "=568469.126", "=1250153.911"]),
        row(3, &["b", "568.500,5", "1.250.200,25"]),
    ];
    let folder = Folder::new();
    let path = folder.put("a.xlsx", workbook(&[("s", &cells.concat())], &[], false));
    let error = read(&path).unwrap_err();
    assert_eq!(error.code(), "crs_unknown");
    let options = ReadOptions { crs: Some(9209), ..ReadOptions::new(PROVINCE) };
    let (summary, ours) = read_with(&path, &options).unwrap();
    let csv = folder.put("a.csv", "id;X (m);Y (m)\na;568469.126;1250153.911\nb;568.500,5;1.250.200,25\n");
    let (same, theirs) = read_with(&csv, &options).unwrap();
    assert_eq!((summary.crs, ours.len(), ours), (same.crs, 2, theirs));
}

#[test]
fn the_sheet_is_chosen_by_its_position_columns_or_by_name() {
    let with = |name: &str| [row(1, &["tên", "lon", "lat"]), row(2, &[name, "=106.1", "=11.1"])].concat();
    let plain = [row(1, &["mã", "giá trị"]), row(2, &["a", "b"])].concat();
    let folder = Folder::new();
    let path = folder
        .put("a.xlsx", workbook(&[("Danh mục", &plain), ("Một", &with("một")), ("Hai", &with("hai"))], &[], false));
    let (summary, features) = read(&path).unwrap();
    assert_eq!(features[0].1.text("tên"), Some("một"));
    assert!(summary.report.warnings[0].starts_with("several_sheets: ") && summary.report.warnings[0].contains("Hai"));
    let of = |table: &str| {
        let options = ReadOptions { table: Some(table.into()), ..ReadOptions::new(PROVINCE) };
        read_with(&path, &options)
            .map(|(_, features)| features[0].1.text("tên").unwrap().to_owned())
            .map_err(|e| e.code().to_owned())
    };
    assert_eq!(of("Hai"), Ok("hai".into()));
    assert_eq!(of("hai"), Ok("hai".into()));
    assert_eq!(of("Ba"), Err("several_tables".into()));
    assert_eq!(of("Danh mục"), Err("no_geometry".into()));
    // A layer's name is a wish that an office's sheet need not fulfil: where one sheet can be meant, it is.
    let one = folder.put("b.xlsx", workbook(&[("Bìa", &plain), ("Danh sách", &with("một"))], &[], false));
    let clinics = ReadOptions { table: Some("clinics".into()), ..ReadOptions::new(PROVINCE) };
    assert_eq!(read_with(&one, &clinics).unwrap().1.len(), 1);
    let bad = read_bytes("a.xlsx", workbook(&[("x", &plain)], &[], false)).unwrap_err();
    assert!(bad.code() == "no_geometry" && bad.to_string().contains("giá trị"), "{bad}");
    assert_eq!(read_bytes("a.xlsx", workbook(&[("x", "")], &[], false)).unwrap_err().code(), "empty_file");
    assert_eq!(read_bytes("a.xlsx", workbook(&[], &[], false)).unwrap_err().code(), "no_table");
    let options = ReadOptions {
        map: vec![("lon".into(), "mã".into()), ("lat".into(), "giá trị".into())],
        ..ReadOptions::new(PROVINCE)
    };
    let mapped =
        folder.put("m.xlsx", workbook(&[("x", &plain.replace(">a<", ">106,1<").replace(">b<", ">11,1<"))], &[], false));
    assert_eq!(at(&read_with(&mapped, &options).unwrap().1[0].1), (106.1, 11.1));
}

#[test]
fn what_gdal_writes_is_read_as_gdal_reads_it() {
    let folder = Folder::new();
    let csv = folder.put(
        "in.csv",
        "ma,ten,so,ha,ngay,gio,lon,lat\n25459,\"Xã Thạnh Đức, Gò Dầu\",7,1.25,2026/11/28,2026/11/28 06:30:00,106.123456789,11.1\n25460,Phường Hoà Thành,,-2.5,,,106.2,11.2\n",
    );
    let out = folder.0.path().join("a.xlsx");
    let args = ["-f", "XLSX", out.to_str().unwrap(), csv.to_str().unwrap(), "-oo", "AUTODETECT_TYPE=YES"];
    if !ogr2ogr(&args) {
        return;
    }
    let (summary, ours) = read(&out).unwrap();
    assert_eq!((summary.format, rejected(&summary), ours.len()), (Format::Xlsx, vec![], 2));
    // GDAL sees no shapes in a sheet: it reads its table into a CSV, and we the shapes of that.
    let table = folder.0.path().join("table.csv");
    assert!(ogr2ogr(&["-f", "CSV", table.to_str().unwrap(), out.to_str().unwrap()]));
    let theirs: Vec<Feature> = read(&table).unwrap().1.into_iter().map(|(_, feature)| feature).collect();
    let plain: Vec<(u64, Feature)> = ours
        .into_iter()
        .map(|(row, mut feature)| {
            let time = feature.text("gio").map(|time| time.replace('T', " "));
            if let Some(time) = time {
                feature.properties.insert("gio".to_owned(), Value::Text(time));
            }
            (row, feature)
        })
        .collect();
    assert_same(&plain, &theirs, 1e-12);
}

#[test]
fn broken_workbooks_end_in_a_word_about_it() {
    let good = simple();
    assert_eq!(read_bytes("a.xlsx", &good).unwrap().1.len(), 2);
    let code =
        |cells: &str| read_bytes("a.xlsx", workbook(&[("s", cells)], &["a"], false)).unwrap_err().code().to_owned();
    let header = row(1, &["lon", "lat"]);
    assert_eq!(code(&format!("{header}<row r=\"9999999999\"><c/></row>")), "corrupt");
    assert_eq!(code(&format!("{header}<row r=\"2\"><c r=\"ZZZZ2\"><v>1</v></c></row>")), "corrupt");
    assert_eq!(code(&format!("{header}<row r=\"2\"><c r=\"A2\"><v>1</v>")), "corrupt");
    assert_eq!(code(&format!("{header}<row r=\"2\"><c r=\"A2\" t=\"str\"><v>&boom;</v></c></row>")), "corrupt");
    assert_eq!(code("<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>"), "corrupt");
    for cut in [good.len() / 3, good.len() - 30] {
        assert_eq!(read_bytes("a.xlsx", &good[..cut]).unwrap_err().code(), "corrupt", "{cut}");
    }
    // A text that is not there is empty, not an end.
    let missing = format!("{header}<row r=\"2\"><c r=\"A2\" t=\"s\"><v>77</v></c><c r=\"B2\"><v>11</v></c></row>");
    let (summary, _) = read_bytes("a.xlsx", workbook(&[("s", &missing)], &["a"], false)).unwrap();
    assert_eq!(rejected(&summary), [(2, "geometry_missing")]);
    for (name, word) in [("xl/workbook.bin", "binary"), ("word/document.xml", "Word"), ("content.xml", "OpenDocument")]
    {
        let error = read_bytes("a.xlsx", zip(&[(name, b"x")])).unwrap_err();
        assert!(error.code() == "wrong_format" && error.to_string().contains(word), "{error}");
    }
    survives_damage("a.xlsx", &good, &[]);
    // Damage inside the archive, not only to it.
    let cells = [header, row(2, &["=106", "=11"])].concat();
    let mut state = 5;
    for _ in 0..400 {
        let mut bytes = cells.clone().into_bytes();
        for _ in 0..3 {
            let place = common::random(&mut state, bytes.len());
            bytes[place] = b"<>/\"&= 09rcvs\0\xff"[common::random(&mut state, 15)];
        }
        let _ = read_bytes("a.xlsx", workbook(&[("s", &String::from_utf8_lossy(&bytes))], &["a"], false));
    }
}

#[test]
fn built_to_fill_the_memory_they_do_not() {
    let header = row(1, &["ten", "lon", "lat"]);
    let cells = |text: &str| workbook(&[("s", &format!("{header}{text}"))], &["a"], false);
    // One cell at the far end of the sheet.
    let (summary, features) =
        read_bytes("a.xlsx", cells("<row r=\"1048576\"><c r=\"XFD1048576\"><v>1</v></c></row>")).unwrap();
    assert_eq!((rejected(&summary), features.len()), (vec![], 0));
    // A text of 16 MB named by every cell of a row.
    let text = "x".repeat(3 << 20);
    let naming: String = (0..200).map(|_| "<c t=\"s\"><v>0</v></c>").collect();
    let wide = format!("{header}<row r=\"2\">{naming}</row>");
    let error = read_bytes("a.xlsx", workbook(&[("s", &wide)], &[&text], false)).unwrap_err();
    assert_eq!(error.code(), "line_too_long");
    // Zeros, packed a thousand to one.
    let bomb = zip(&[("xl/workbook.xml", b"<workbook/>"), ("xl/sharedStrings.xml", &vec![b' '; 80 << 20])]);
    assert_eq!(read_bytes("a.xlsx", bomb).unwrap_err().code(), "no_table");
    let strings = "<si/>".repeat(4_100_000);
    let parts: [(&str, &[u8]); 3] = [
        ("xl/workbook.xml", b"<workbook/>"),
        ("xl/_rels/workbook.xml.rels", b"<r><Relationship Id='a' Type='/sharedStrings' Target='s.xml'/></r>"),
        ("xl/s.xml", &format!("<sst>{strings}</sst>").into_bytes()),
    ];
    assert_eq!(read_bytes("a.xlsx", zip(&parts)).unwrap_err().code(), "corrupt");
    let long = format!("<row r=\"2\"><c r=\"A2\" t=\"str\"><v>{}</v></c></row>", "ab".repeat(40 << 20));
    assert!(matches!(read_bytes("a.xlsx", cells(&long)).unwrap_err().code(), "line_too_long" | "corrupt"));
    assert!(peak_mb() < 512, "{} MB", peak_mb());
}
