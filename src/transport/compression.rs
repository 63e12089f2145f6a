//! Compressed responses: what a request accepts, and how a body is decompressed within bounds.

use std::io::Read as _;

use flate2::bufread::MultiGzDecoder;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, HeaderValue};

/// The `Accept-Encoding` of every request.
pub(super) const ACCEPTED: HeaderValue = HeaderValue::from_static("gzip");

/// No input expands further: DEFLATE encodes at most 258 bytes in two bits.
const MAX_RATIO: usize = 1032;

/// Whether a response is compressed in the way that requests accept.
pub(super) fn is_compressed(headers: &HeaderMap) -> bool {
    let values = headers.get_all(CONTENT_ENCODING).into_iter();
    let codings = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    // `identity` changes nothing, and some write it.
    let mut codings = codings.filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"));
    let is_gzip = |coding: &[u8]| coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip");
    codings.next().is_some_and(is_gzip) && codings.next().is_none()
}

/// What a compressed body contains.
#[derive(Debug, PartialEq)]
pub(super) enum Decompressed {
    Whole(Vec<u8>),
    /// It has more than the allowed number of bytes. These are the first of them.
    TooLarge(Vec<u8>),
    /// It is cut off or damaged. These bytes came before.
    Damaged(Vec<u8>),
}

/// Decompresses at most `max_len` bytes, so that a small body cannot fill the memory.
pub(super) fn decompress(compressed: &[u8], max_len: usize) -> Decompressed {
    let mut content = Vec::with_capacity(announced(compressed).min(max_len));
    // One byte more shows that there is more.
    let read = MultiGzDecoder::new(compressed).take((max_len as u64).saturating_add(1)).read_to_end(&mut content);
    if content.len() > max_len {
        content.truncate(max_len);
        return Decompressed::TooLarge(content);
    }
    if read.is_ok() { Decompressed::Whole(content) } else { Decompressed::Damaged(content) }
}

/// The length that the last four bytes announce, as far as it is possible.
fn announced(compressed: &[u8]) -> usize {
    let length = compressed.last_chunk().map_or(0, |length| u32::from_le_bytes(*length));
    (length as usize).min(compressed.len().saturating_mul(MAX_RATIO))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_body_may_have_the_allowed_length_and_no_byte_more() {
        let compressed = gzip(&[b'x'; 1000]);
        assert_eq!(decompress(&compressed, 1000), Decompressed::Whole(vec![b'x'; 1000]));
        assert_eq!(decompress(&compressed, 999), Decompressed::TooLarge(vec![b'x'; 999]));
        assert_eq!(decompress(&compressed, usize::MAX), Decompressed::Whole(vec![b'x'; 1000]));
    }

    #[test]
    fn a_bomb_takes_no_more_memory_than_is_allowed() {
        let bomb = gzip(&vec![0; 50_000_000]);
        assert!(bomb.len() < 100_000, "{}", bomb.len());
        let Decompressed::TooLarge(content) = decompress(&bomb, 1_000_000) else { panic!("too large") };
        assert!(content.capacity() < 3_000_000, "{}", content.capacity());
    }

    #[test]
    fn a_length_that_is_not_true_reserves_little() {
        let mut lying = gzip(b"short");
        let end = lying.len();
        lying[end - 4..].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(announced(&lying) < 100_000);
        assert_eq!(decompress(&lying, usize::MAX), Decompressed::Damaged(b"short".to_vec()));
    }

    #[test]
    fn several_members_are_one_body() {
        let members = [gzip(b"first, "), gzip(b"second")].concat();
        assert_eq!(decompress(&members, 100), Decompressed::Whole(b"first, second".to_vec()));
    }

    #[test]
    fn only_gzip_is_decompressed_and_only_once() {
        for (encodings, expected) in [
            (&["gzip"][..], true),
            (&["GZIP"], true),
            (&["x-gzip"], true),
            (&["identity, gzip"], true),
            (&["identity", "gzip"], true),
            (&["", "gzip,"], true),
            (&["br"], false),
            (&["identity"], false),
            (&["gzip, br"], false),
            (&["gzip, gzip"], false),
            (&["gzip", "gzip"], false),
            (&["br", "gzip"], false),
            (&[], false),
        ] {
            let mut headers = HeaderMap::new();
            for encoding in encodings {
                headers.append(CONTENT_ENCODING, HeaderValue::from_static(encoding));
            }
            assert_eq!(is_compressed(&headers), expected, "{encodings:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_compressed_is_decompressed(content: Vec<u8>) {
            prop_assert_eq!(decompress(&gzip(&content), content.len()), Decompressed::Whole(content));
        }

        #[test]
        fn a_body_that_is_cut_off_is_damaged(content: Vec<u8>, cut in 0.0_f64..1.0) {
            let mut compressed = gzip(&content);
            compressed.truncate((compressed.len() as f64 * cut) as usize);
            prop_assert!(matches!(decompress(&compressed, content.len()), Decompressed::Damaged(_)));
        }

        #[test]
        fn no_bytes_make_it_panic_or_exceed_the_bound(compressed: Vec<u8>, max_len in 0_usize..100) {
            let (Decompressed::Whole(content) | Decompressed::TooLarge(content) | Decompressed::Damaged(content)) =
                decompress(&compressed, max_len);
            prop_assert!(content.len() <= max_len);
        }
    }
}
