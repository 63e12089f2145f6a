//! Rust names from the vendor's names.

/// A name in snake_case, from camelCase or kebab-case.
pub(crate) fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' });
    }
    snake
}

/// A name in PascalCase, from snake_case.
pub(crate) fn pascal_case(name: &str) -> String {
    let words = name.split('_').map(|word| word.split_at(word.len().min(1)));
    words.flat_map(|(first, rest)| [first.to_uppercase(), rest.to_owned()]).collect()
}

/// Whether a name is an identifier in snake_case and no keyword.
pub(crate) fn is_snake_case_identifier(name: &str) -> bool {
    snake_case(name) == name && syn::parse_str::<syn::Ident>(name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_parameters_become_snake_case() {
        for (name, snake) in [
            ("limit", "limit"),
            ("updatedSince", "updated_since"),
            ("per-page", "per_page"),
            ("per_page", "per_page"),
            ("Id", "id"),
            ("clientID", "client_i_d"),
            ("filter[from]", "filter_from_"),
            ("page2", "page2"),
        ] {
            assert_eq!(snake_case(name), snake, "{name}");
        }
    }

    #[test]
    fn a_builder_is_named_after_its_operation() {
        for (operation, builder) in [("get_order", "GetOrder"), ("list", "List"), ("update_v2_order", "UpdateV2Order")]
        {
            assert_eq!(pascal_case(operation), builder);
        }
    }

    #[test]
    fn keywords_and_other_cases_are_no_names_of_operations() {
        for name in ["list_orders", "get", "order2"] {
            assert!(is_snake_case_identifier(name), "{name}");
        }
        for name in ["listOrders", "ListOrders", "list-orders", "type", "2nd_order", "", "list orders"] {
            assert!(!is_snake_case_identifier(name), "{name}");
        }
    }
}
