//! A limit header that makes no sense.

/// A header that makes no sense. What it says may be anything, even what the vendor should not repeat.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InvalidHeader<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: &'a str,
    pub(crate) why: &'static str,
}
