//! Finds the names that a misspelled one may have meant.

/// The most names that are listed.
const MOST: usize = 3;

/// The known names that are most like `name`, nearest first. Upper case counts as lower case. Empty if all of them differ
/// in more than half of their characters.
pub(crate) fn similar<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let name = name.to_lowercase();
    let ranked = known.into_iter().map(|known| (distance(&name, &known.to_lowercase()), known));
    let mut ranked: Vec<_> = ranked.filter(|(distance, known)| *distance <= name.len().max(known.len()) / 2).collect();
    ranked.sort_by_key(|(distance, _)| *distance);
    ranked.into_iter().take(MOST).map(|(_, known)| known).collect()
}

/// The least number of characters to insert, remove or replace that makes two texts equal.
pub(crate) fn distance(one: &str, other: &str) -> usize {
    let other: Vec<_> = other.chars().collect();
    let mut row: Vec<_> = (0..=other.len()).collect();
    for (index, left) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, right) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_counts_insertions_removals_and_replacements() {
        for (one, other, expected) in
            [("", "", 0), ("", "abc", 3), ("order", "orders", 1), ("kitten", "sitting", 3), ("größe", "grösse", 2)]
        {
            assert_eq!((distance(one, other), distance(other, one)), (expected, expected), "{one} {other}");
        }
    }

    #[test]
    fn the_nearest_names_come_first_and_far_ones_not_at_all() {
        let known = ["list_bookings", "create_quote", "create_booking", "update_booking", "get_booking"];
        assert_eq!(similar("create_bookings", known), ["create_booking", "update_booking", "list_bookings"]);
        assert_eq!(similar("createBooking", known)[0], "create_booking");
        assert_eq!(similar("zzz", known), [""; 0]);
    }
}
