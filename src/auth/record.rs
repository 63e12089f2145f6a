//! What a client knows of its record in the token store.

use super::token_set::TokenSet;

/// What a client knows of its record in the token store.
#[derive(Debug, Default)]
pub(super) struct StoreRecord {
    /// The record, as last read or written.
    stored: Option<TokenSet>,
    /// The revision of the last note that this client wrote, or may have written.
    note: u64,
    note_state: NoteState,
    /// What the last operation that failed reported.
    failure: Option<String>,
    /// Whether a task is storing tokens that only memory holds.
    is_saving: bool,
}

/// What became of a note of a presentation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum NoteState {
    #[default]
    Written,
    /// The presentation took place, and the note is not in the store yet.
    Unwritten,
    /// The presentation had no effect.
    Undone,
}

impl StoreRecord {
    /// The revision that the next write expects; 0 if no record is known.
    pub(super) fn revision(&self) -> u64 {
        self.stored.as_ref().map_or(0, TokenSet::revision)
    }

    pub(super) fn generation(&self) -> u64 {
        self.stored.as_ref().map_or(0, TokenSet::generation)
    }

    /// Whether the store holds these tokens, with the same note of a presentation.
    pub(super) fn holds(&self, tokens: &TokenSet) -> bool {
        let is_same = |stored: &TokenSet| !stored.differs(tokens) && stored.presented_at() == tokens.presented_at();
        self.stored.as_ref().is_some_and(is_same)
    }

    pub(super) fn set(&mut self, stored: Option<TokenSet>) {
        self.stored = stored;
    }

    /// Begins to write a note, in a record with this revision.
    pub(super) fn begin_note(&mut self, revision: u64) {
        (self.note, self.note_state) = (revision, NoteState::Written);
    }

    /// Declares that the last note is not in the store, although the presentation takes place.
    pub(super) fn set_unwritten_note(&mut self) {
        self.note_state = NoteState::Unwritten;
    }

    /// Declares that the last note is of a presentation that had no effect.
    pub(super) fn undo_note(&mut self) {
        self.note_state = NoteState::Undone;
    }

    pub(super) fn has_unwritten_note(&self) -> bool {
        self.note_state == NoteState::Unwritten
    }

    /// A record that was read, without a note that means nothing.
    pub(super) fn without_own_note(&self, stored: TokenSet) -> TokenSet {
        match self.note_state == NoteState::Undone && self.note == stored.revision() {
            true => stored.with_presented_at(None),
            false => stored,
        }
    }

    /// Notes that an operation succeeded.
    pub(super) fn succeed(&mut self) {
        self.failure = None;
    }

    pub(super) fn fail(&mut self, failure: String) {
        self.failure = Some(failure);
    }

    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    pub(super) fn is_saving(&self) -> bool {
        self.is_saving
    }

    pub(super) fn set_saving(&mut self, is_saving: bool) {
        self.is_saving = is_saving;
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn noted(tokens: &TokenSet) -> TokenSet {
        tokens.clone().with_presented_at(Some(Timestamp::UNIX_EPOCH)).with_new_revision()
    }

    #[test]
    fn a_write_expects_the_revision_that_was_read_last() {
        let mut record = StoreRecord::default();
        assert_eq!((record.revision(), record.generation()), (0, 0));
        let stored = TokenSet::new("a").with_generation(7).with_new_revision();
        record.set(Some(stored.clone()));
        assert_eq!((record.revision(), record.generation()), (stored.revision(), 7));
        record.set(None);
        assert_eq!((record.revision(), record.generation()), (0, 0));
    }

    #[test]
    fn tokens_are_stored_only_with_their_note() {
        let tokens = TokenSet::new("a");
        let mut record = StoreRecord::default();
        assert!(!record.holds(&tokens));
        record.set(Some(tokens.clone()));
        assert!(record.holds(&tokens) && !record.holds(&noted(&tokens)) && !record.holds(&TokenSet::new("b")));
        record.set(Some(noted(&tokens)));
        assert!(record.holds(&noted(&tokens)) && !record.holds(&tokens));
    }

    #[test]
    fn a_note_that_this_client_undid_means_nothing_and_any_other_note_does() {
        let (own, foreign) = (noted(&TokenSet::new("a")), noted(&TokenSet::new("a")));
        let mut record = StoreRecord::default();
        record.begin_note(own.revision());
        assert!(record.without_own_note(own.clone()).presented_at().is_some());
        record.set_unwritten_note();
        assert!(record.has_unwritten_note() && record.without_own_note(own.clone()).presented_at().is_some());
        record.undo_note();
        assert!(!record.has_unwritten_note());
        assert!(record.without_own_note(own.clone()).presented_at().is_none());
        assert!(record.without_own_note(foreign).presented_at().is_some());
        record.begin_note(own.revision());
        assert!(record.without_own_note(own).presented_at().is_some(), "it was written again");
    }
}
