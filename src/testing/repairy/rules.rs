//! Rules that a test can replace: the transitions between statuses, and the daily limits.

use std::collections::BTreeMap;

/// The permitted transitions between the statuses of a booking.
///
/// The vendor documents that there is such a table, but not its content. The default has as few statuses as possible;
/// `cancelled` and `completed` are known from the webhooks.
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
    pub(super) fn new(transitions: impl IntoIterator<Item = (&'static str, &'static str)>) -> Self {
        let transitions: Vec<_> = transitions.into_iter().collect();
        assert!(!transitions.is_empty(), "the status of a new booking needs at least one transition");
        Self(transitions)
    }

    /// The status of a new booking.
    pub(super) fn initial(&self) -> &'static str {
        self.0.first().map_or("", |(from, _)| from)
    }

    pub(super) fn has_status(&self, status: &str) -> bool {
        self.0.iter().any(|(from, to)| *from == status || *to == status)
    }

    pub(super) fn permit(&self, from: &str, to: &str) -> bool {
        self.0.contains(&(from, to))
    }
}

/// How many bookings a workshop accepts in a day.
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
    fn cancelled_and_completed_are_final() {
        let transitions = Transitions::default();
        for from in ["cancelled", "completed"] {
            for to in ["pending", "confirmed", "cancelled", "completed"] {
                assert!(!transitions.permit(from, to), "{from} to {to}");
            }
        }
        assert!(transitions.permit("pending", "confirmed") && !transitions.permit("pending", "completed"));
        assert_eq!((transitions.initial(), transitions.has_status("lost")), ("pending", false));
    }

    #[test]
    #[should_panic(expected = "needs at least one transition")]
    fn an_empty_table_panics() {
        let _ = Transitions::new([]);
    }
}
