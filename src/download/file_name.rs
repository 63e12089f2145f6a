//! The name that a server gives a file.

/// The name in `Content-Disposition` (RFC 6266).
pub(super) fn file_name(disposition: &str) -> Option<String> {
    let parameter = |name: &str| {
        let mut rest = disposition;
        loop {
            let start = rest.to_ascii_lowercase().find(name)?;
            let before = rest[..start].trim_end();
            let value = rest[start + name.len()..].trim_start();
            if let Some(value) = value.strip_prefix('=')
                && before.ends_with(';')
            {
                return Some(value.trim_start());
            }
            rest = &rest[start + name.len()..];
        }
    };
    let encoded = parameter("filename*").and_then(|value| {
        let (_, value) = value.split_once("''")?;
        let value = value.split(';').next()?.trim_end();
        percent_encoding::percent_decode_str(value).decode_utf8().ok().map(Into::into)
    });
    let plain = || {
        parameter("filename").map(|value| match value.strip_prefix('"') {
            Some(quoted) => {
                let mut name = String::new();
                let mut characters = quoted.chars();
                while let Some(character) = characters.next() {
                    match character {
                        '"' => break,
                        '\\' => name.extend(characters.next()),
                        character => name.push(character),
                    }
                }
                name
            }
            None => value.split(';').next().unwrap_or_default().trim_end().to_owned(),
        })
    };
    let name: String = encoded.or_else(plain)?;
    let last = name.rsplit(['/', '\\', ':']).next()?.trim().trim_end_matches(['.', ' ']);
    let is_usable =
        !last.is_empty() && !last.starts_with('.') && !last.chars().any(char::is_control) && !is_device(last);
    is_usable.then(|| last.to_owned())
}

/// Whether Windows takes a name for that of a device, whatever its extension is.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().to_ascii_uppercase();
    let numbered = |prefix| stem.strip_prefix(prefix).is_some_and(|rest| matches!(rest.as_bytes(), [b'0'..=b'9']));
    ["AUX", "CON", "NUL", "PRN"].contains(&&*stem) || numbered("COM") || numbered("LPT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_cannot_lead_out_of_a_folder() {
        for (disposition, expected) in [
            (r#"attachment; filename="invoice 1.pdf""#, Some("invoice 1.pdf")),
            ("attachment; filename=invoice.pdf; size=3", Some("invoice.pdf")),
            ("attachment; FileName = a.pdf", Some("a.pdf")),
            (r#"attachment; filename="a\"b.pdf""#, Some("a\"b.pdf")),
            ("attachment; filename=plain.pdf; filename*=UTF-8''Gr%C3%B6%C3%9Fe.pdf", Some("Größe.pdf")),
            ("attachment; filename*=UTF-8''%2e%2e%2fpasswd; filename=x", Some("passwd")),
            (r#"attachment; filename="../../etc/passwd""#, Some("passwd")),
            (r#"attachment; filename="..\\..\\evil.exe""#, Some("evil.exe")),
            (r#"attachment; filename="C:evil.exe""#, Some("evil.exe")),
            (r#"attachment; filename="..""#, None),
            (r#"attachment; filename=".bashrc""#, None),
            ("attachment; filename=\"a\u{7f}b\"", None),
            (r#"attachment; filename="invoice.pdf. .""#, Some("invoice.pdf")),
            ("attachment; filename=nul.txt", None),
            ("attachment; filename=COM1", None),
            ("attachment; filename=COM10", Some("COM10")),
            (r#"attachment; filename="""#, None),
            ("attachment", None),
            ("attachment; x-filename=a", None),
            ("inline; filename*=UTF-8''%ff", None),
        ] {
            assert_eq!(file_name(disposition).as_deref(), expected, "{disposition}");
        }
    }
}
