//! TCVN 5712:1993. VN3, which is what the ABC fonts hold, is a part of VN1: one table reads both. In the fonts for
//! capitals (`.VnTimeH`) the small letters' codes are drawn as capitals; that is lost with the font, and they are read as
//! small ones.

/// The letters from 0x80 on. The five marks at 0xB0 join the letter before them.
const HIGH: &str = "ÀẢÃÁẠẶẬÈẺẼÉẸỆÌỈĨ\
    ÍỊÒỎÕÓỌỘỜỞỠỚỢÙỦŨ\
    \u{a0}ĂÂÊÔƠƯĐăâêôơưđẰ\
    \u{300}\u{309}\u{303}\u{301}\u{323}àảãáạẲằẳẵắẴ\
    ẮẦẨẪẤỀặầẩẫấậèỂẻẽ\
    éẹềểễếệìỉỄẾỒĩíịò\
    Ổỏõóọồổỗốộờởỡớợù\
    ỖủũúụừửữứựỳỷỹýỵỐ";

/// Capitals that VN1 puts on control codes.
const LOW: [(u8, char); 12] = [
    (0x01, 'Ú'),
    (0x02, 'Ụ'),
    (0x04, 'Ừ'),
    (0x05, 'Ử'),
    (0x06, 'Ữ'),
    (0x11, 'Ứ'),
    (0x12, 'Ự'),
    (0x13, 'Ỳ'),
    (0x14, 'Ỷ'),
    (0x15, 'Ỹ'),
    (0x16, 'Ý'),
    (0x17, 'Ỵ'),
];

pub(super) fn decode(bytes: &[u8]) -> String {
    let high: Vec<char> = HIGH.chars().collect();
    let letter = |byte: u8| match byte {
        0x80.. => high.get(usize::from(byte) - 0x80).copied().unwrap_or('\u{fffd}'),
        b' '..0x80 => char::from(byte),
        _ => LOW.iter().find(|(code, _)| *code == byte).map_or(char::from(byte), |(_, letter)| *letter),
    };
    bytes.iter().map(|byte| letter(*byte)).collect()
}

#[cfg(test)]
pub(super) fn byte(c: char) -> Option<u8> {
    let high = HIGH.chars().position(|letter| letter == c).and_then(|at| u8::try_from(at + 0x80).ok());
    let low = LOW.iter().find(|(_, letter)| *letter == c).map(|(code, _)| *code);
    high.or(low).or_else(|| c.is_ascii().then_some(c as u8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        assert_eq!(HIGH.chars().count(), 128);
        assert_eq!(decode(b"T\xa9y Ninh, \xa7\xf8c H\xdfa, B\xd5n L\xf8c"), "Tây Ninh, Đức Hòa, Bến Lức");
    }
}
