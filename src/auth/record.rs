//! What a client knows of its record in the token store.

use super::token_set::TokenSet;

/// What a client knows of its record in the token store.
#[derive(Debug, Default)]
pub(super) struct StoreRecord {
    /// The record, as last read or written.
    stored: Option<TokenSet>,
    /// The tokens with the last note that this client wrote, or may have written.
    note: Option<TokenSet>,
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
    /// The presentation took place, and the note is not in the store yet, as far as is known.
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
        self.stored.as_ref().is_some_and(|stored| has_same_note(stored, tokens))
    }

    pub(super) fn set(&mut self, stored: Option<TokenSet>) {
        self.stored = stored;
    }

    /// Notes that a record was written.
    pub(super) fn write(&mut self, written: TokenSet) {
        if self.note.as_ref().is_some_and(|note| has_same_note(note, &written))
            && self.note_state == NoteState::Unwritten
        {
            self.note_state = NoteState::Written;
        }
        self.set(Some(written));
    }

    /// Begins to write a note with these tokens.
    pub(super) fn begin_note(&mut self, noted: TokenSet) {
        (self.note, self.note_state) = (Some(noted), NoteState::Written);
    }

    /// Declares that the last note is not in the store, although the presentation takes place.
    pub(super) fn set_unwritten_note(&mut self) {
        self.note_state = NoteState::Unwritten;
    }

    /// Declares that the last note is of a presentation that had no effect.
    pub(super) fn undo_note(&mut self) {
        self.note_state = NoteState::Undone;
    }

    /// A record that was read, without a note that means nothing.
    pub(super) fn without_own_note(&self, stored: TokenSet) -> TokenSet {
        let is_own = || self.note.as_ref().is_some_and(|note| note.revision() == stored.revision());
        match self.note_state == NoteState::Undone && is_own() {
            true => stored.with_presented_at(None),
            false => stored,
        }
    }

    /// Tokens with the note of their presentation that could not be written yet, unless a later one is noted.
    pub(super) fn with_unwritten_note(&self, tokens: TokenSet) -> TokenSet {
        let own = |note: &&TokenSet| self.note_state == NoteState::Unwritten && !note.differs(&tokens);
        match self.note.as_ref().filter(own).and_then(TokenSet::presented_at) {
            Some(own) => {
                let latest = tokens.presented_at().max(Some(own));
                tokens.with_presented_at(latest)
            }
            None => tokens,
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

/// Whether these are the same tokens with the same note of a presentation.
fn has_same_note(one: &TokenSet, other: &TokenSet) -> bool {
    !one.differs(other) && one.presented_at() == other.presented_at()
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
        record.begin_note(own.clone());
        assert!(record.without_own_note(own.clone()).presented_at().is_some());
        record.set_unwritten_note();
        assert!(record.without_own_note(own.clone()).presented_at().is_some());
        record.undo_note();
        assert!(record.without_own_note(own.clone()).presented_at().is_none());
        assert!(record.without_own_note(foreign).presented_at().is_some());
        record.begin_note(own.clone());
        assert!(record.without_own_note(own).presented_at().is_some(), "it was written again");
    }

    #[test]
    fn an_unwritten_note_holds_for_its_tokens_until_it_is_written_or_a_later_one_is_read() {
        let at = |tokens: &TokenSet, second| {
            tokens.clone().with_presented_at(Some(Timestamp::from_second(second).unwrap())).with_new_revision()
        };
        let tokens = TokenSet::new("a");
        let own = at(&tokens, 5);
        let noted_at = |record: &StoreRecord, tokens: &TokenSet| {
            record.with_unwritten_note(tokens.clone()).presented_at().map(Timestamp::as_second)
        };
        let mut record = StoreRecord::default();
        record.begin_note(own.clone());
        assert_eq!(noted_at(&record, &tokens), None, "nothing says that it was not written");
        record.set_unwritten_note();
        assert_eq!(noted_at(&record, &tokens), Some(5));
        assert_eq!(noted_at(&record, &at(&tokens, 4)), Some(5));
        assert_eq!(noted_at(&record, &at(&tokens, 6)), Some(6));
        assert_eq!(noted_at(&record, &TokenSet::new("b")), None, "other tokens were not presented");
        assert_eq!(noted_at(&record, &at(&TokenSet::new("b"), 4)), Some(4), "another client presented them");
        record.write(tokens.clone());
        assert_eq!(noted_at(&record, &tokens), Some(5), "written without the note");
        record.write(own);
        assert_eq!(noted_at(&record, &tokens), None, "written: whoever removes it now knows better");
        record.set_unwritten_note();
        record.undo_note();
        assert_eq!(noted_at(&record, &tokens), None);
    }
}
