//! The rules of a tenant that a test may want to be others.

use std::collections::BTreeMap;

/// Which status a booking may move to from which.
///
/// That there is such a table is documented, and what is in it is not. This one has the fewest statuses that make a life:
/// cancelled and completed are known from the webhooks.
#[derive(Clone, Debug)]
pub(super) struct Transitions(Vec<(&'static str, &'static str)>);

impl Default for Transitions {
    fn default() -> Self {
        Self(vec![
            ("pending", "confirmed"),
            ("pending", "cancelled"),
            ("confirmed", "completed"),
            ("confirmed", "cancelled"),
        ])
    }
}

impl Transitions {
    #[track_caller]
    pub(super) fn new(moves: impl IntoIterator<Item = (&'static str, &'static str)>) -> Self {
        let moves: Vec<_> = moves.into_iter().collect();
        assert!(!moves.is_empty(), "without a move there is no status for a new booking to have");
        Self(moves)
    }

    /// The status of a new booking.
    pub(super) fn first(&self) -> &'static str {
        self.0.first().map_or("", |(from, _)| from)
    }

    pub(super) fn knows(&self, status: &str) -> bool {
        self.0.iter().any(|(from, to)| *from == status || *to == status)
    }

    pub(super) fn allow(&self, from: &str, to: &str) -> bool {
        self.0.contains(&(from, to))
    }
}

/// How many bookings a workshop takes in a day.
#[derive(Clone, Debug, Default)]
pub(super) struct DailyLimits {
    categories: BTreeMap<String, u32>,
    items: BTreeMap<String, u32>,
}

impl DailyLimits {
    pub(super) fn limit_category(&mut self, category: String, bookings: u32) {
        self.categories.insert(category, bookings);
    }

    pub(super) fn limit_item(&mut self, catalog_id: String, bookings: u32) {
        self.items.insert(catalog_id, bookings);
    }

    pub(super) fn of_category(&self, category: &str) -> Option<u32> {
        self.categories.get(category).copied()
    }

    pub(super) fn of_item(&self, catalog_id: &str) -> Option<u32> {
        self.items.get(catalog_id).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cancelled_or_completed_stays_so() {
        let transitions = Transitions::default();
        for from in ["cancelled", "completed"] {
            for to in ["pending", "confirmed", "cancelled", "completed"] {
                assert!(!transitions.allow(from, to), "{from} to {to}");
            }
        }
        assert!(transitions.allow("pending", "confirmed") && !transitions.allow("pending", "completed"));
        assert_eq!((transitions.first(), transitions.knows("lost")), ("pending", false));
    }

    #[test]
    #[should_panic(expected = "without a move there is no status")]
    fn a_table_without_moves_is_none() {
        let _ = Transitions::new([]);
    }
}
