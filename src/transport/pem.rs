//! Finds the sections of files in PEM format (RFC 7468).

/// One section of a file: a certificate, a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PemSection<'a> {
    /// What it holds, such as `CERTIFICATE`.
    pub(super) label: &'a [u8],
    /// The whole section, with the lines that begin and end it.
    pub(super) text: &'a [u8],
}

impl PemSection<'_> {
    pub(super) fn is_certificate(&self) -> bool {
        self.label == b"CERTIFICATE"
    }

    pub(super) fn is_private_key(&self) -> bool {
        self.label.ends_with(b"PRIVATE KEY")
    }

    /// Whether a password is needed to read it: in PKCS#8 by its label, in older formats by a header.
    pub(super) fn is_encrypted(&self) -> bool {
        self.label.starts_with(b"ENCRYPTED")
            || self.text.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"DEK-Info:"))
    }
}

/// The sections of a file, in their order. Text between them is skipped, and so is a section without its end.
pub(super) fn sections(pem: &[u8]) -> Vec<PemSection<'_>> {
    let (mut sections, mut begun, mut end) = (Vec::new(), None, 0);
    for line in pem.split_inclusive(|byte| *byte == b'\n') {
        let start = end;
        end += line.len();
        if let Some(label) = label(line, b"-----BEGIN ") {
            begun = Some((label, start));
        } else if let (Some(ended), Some((label, start))) = (label(line, b"-----END "), begun)
            && ended == label
        {
            sections.push(PemSection { label, text: &pem[start..end] });
            begun = None;
        }
    }
    sections
}

/// The label of a line that begins or ends a section.
fn label<'a>(line: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    line.trim_ascii_end().strip_prefix(prefix)?.strip_suffix(b"-----")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_found_whatever_is_around_them() {
        let file = "Bag Attributes\n    localKeyID: 01\n-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\r\n\n\
                    -----BEGIN CERTIFICATE-----\nno end\n-----BEGIN PRIVATE KEY-----\r\nMIIE\r\n-----END PRIVATE KEY-----";
        let sections = sections(file.as_bytes());
        let shown: Vec<_> = sections.iter().map(|section| String::from_utf8_lossy(section.text)).collect();
        assert_eq!(
            shown,
            [
                "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\r\n",
                "-----BEGIN PRIVATE KEY-----\r\nMIIE\r\n-----END PRIVATE KEY-----",
            ]
        );
        assert!(sections[0].is_certificate() && !sections[0].is_private_key());
        assert!(!sections[1].is_certificate() && sections[1].is_private_key());
    }

    #[test]
    fn a_key_with_a_password_is_recognized_in_both_formats() {
        for (label, header, expected) in [
            ("ENCRYPTED PRIVATE KEY", "", true),
            ("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n", true),
            ("RSA PRIVATE KEY", "", false),
            ("PRIVATE KEY", "", false),
        ] {
            let file = format!("-----BEGIN {label}-----\n{header}MIIE\n-----END {label}-----\n");
            assert_eq!(sections(file.as_bytes())[0].is_encrypted(), expected, "{label}");
        }
    }

    #[test]
    fn what_is_no_pem_has_no_sections() {
        for file in ["", "MIIB", "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----\n", "\u{30}\u{82}\u{1}"] {
            assert_eq!(sections(file.as_bytes()), [], "{file:?}");
        }
        let other_end = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END PRIVATE KEY-----\n";
        assert_eq!(sections(other_end.as_bytes()), []);
    }
}
