//! The filter of a list: which records it contains.

use jiff::civil::Date;

use super::params::Params;
use super::schema::{ASSET_STATUSES, CUSTOMER_STATUSES, Kind, TASK_STATUSES, WORK_ORDER_STATUSES};
use super::store::Record;
use crate::testing::error_response::ErrorResponse;

/// The conditions on the records of a list. A record must meet all of them.
#[derive(Debug, Default)]
pub(super) struct Filter {
    /// Fields with an exact value.
    equal: Vec<(&'static str, String)>,
    /// Fields of which one must contain a text, in any case. The text is in lower case.
    containing: Option<(&'static [&'static str], String)>,
    /// A field with a time, and its first and last day.
    between: Option<(&'static str, Option<Date>, Option<Date>)>,
}

impl Filter {
    pub(super) fn parse(kind: Kind, params: &Params) -> Result<Self, ErrorResponse> {
        let mut filter = Self::default();
        let (statuses, fields): (_, &[(&str, &str)]) = match kind {
            Kind::Asset => (
                ASSET_STATUSES,
                &[("customer_id", "customer_id"), ("product_id", "product_id"), ("location_id", "object_id")],
            ),
            Kind::Customer => (CUSTOMER_STATUSES, &[("branch_id", "branch_id")]),
            Kind::Task => (TASK_STATUSES, &[("technician_id", "technician_id")]),
            _ => (WORK_ORDER_STATUSES, &[("customer_id", "customer_id"), ("technician_id", "technician_id")]),
        };
        let mut equal = |field, value: Option<&str>| filter.equal.extend(value.map(|value| (field, value.to_owned())));
        equal("status", params.one_of("status", statuses)?);
        for (parameter, field) in fields {
            equal(field, params.get(parameter));
        }
        let text = |parameter: &str| params.get(parameter).map(str::to_lowercase);
        match kind {
            Kind::Asset => filter.containing = text("serial_number").map(|text| (["serial_number"].as_slice(), text)),
            Kind::Customer => {
                filter.containing = text("search").map(|text| (["name", "customer_number"].as_slice(), text));
                filter.between = Some(("created_at", params.date("created_after")?, None));
            }
            Kind::WorkOrder => {
                filter.between = Some(("scheduled_date", params.date("from_date")?, params.date("to_date")?));
            }
            _ => {}
        }
        Ok(filter)
    }

    pub(super) fn matches(&self, record: &Record) -> bool {
        let equal = self.equal.iter().all(|(field, value)| record.text(field) == value);
        let containing = self.containing.as_ref().is_none_or(|(fields, text)| {
            fields.iter().any(|field| record.text(field).to_lowercase().contains(text.as_str()))
        });
        let between = self.between.as_ref().is_none_or(|(field, first, last)| {
            if first.is_none() && last.is_none() {
                return true;
            }
            let day = record.text(field).get(..10).and_then(|day| day.parse::<Date>().ok());
            day.is_some_and(|day| first.is_none_or(|first| day >= first) && last.is_none_or(|last| day <= last))
        });
        equal && containing && between
    }
}
