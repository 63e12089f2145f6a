//! A subscriber that records every span and event of every crate, at every level, with all fields.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

/// Records spans and events while its guard exists.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Vec<Record>>>);

/// A span or an event.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) name: &'static str,
    pub(crate) level: Level,
    /// The names of all fields that it can have, except the message.
    pub(crate) declared: BTreeSet<&'static str>,
    /// The values of its fields, as text.
    pub(crate) fields: BTreeMap<&'static str, String>,
    /// The name of the parent span.
    pub(crate) parent: Option<&'static str>,
    /// The id, if it is a span.
    id: Option<Id>,
}

impl Recorder {
    /// Records the spans and events of this thread, and so of all tasks of a test, until the guard is dropped.
    pub(crate) fn listen(&self) -> impl Sized + use<> {
        let subscriber = tracing_subscriber::registry().with(self.clone());
        // See `support::Log::listen`.
        let second = tracing::Dispatch::new(tracing_subscriber::registry());
        (tracing::subscriber::set_default(subscriber), second)
    }

    /// The spans and events of this crate.
    pub(crate) fn records(&self) -> Vec<Record> {
        let own = |record: &&Record| record.name.starts_with("servicebay.");
        self.all().iter().filter(own).cloned().collect()
    }

    /// The spans and events of this name.
    pub(crate) fn named(&self, name: &str) -> Vec<Record> {
        self.records().into_iter().filter(|record| record.name == name).collect()
    }

    /// All records, one line each.
    pub(crate) fn text(&self) -> String {
        self.all().iter().fold(String::new(), |mut text, record| {
            writeln!(text, "{} {} {:?}", record.level, record.name, record.fields).unwrap();
            text
        })
    }

    fn all(&self) -> MutexGuard<'_, Vec<Record>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(metadata: &'static Metadata<'static>, parent: Option<&'static str>, id: Option<Id>) -> Record {
        let declared = metadata.fields().iter().map(|field| field.name()).filter(|name| *name != "message").collect();
        let (name, level) = (metadata.name(), *metadata.level());
        Record { name, level, declared, fields: BTreeMap::new(), parent, id }
    }
}

impl Record {
    /// The value of a field.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        assert!(self.declared.contains(name), "{} has no field {name}", self.name);
        self.fields.get(name).map(String::as_str)
    }
}

impl Visit for Record {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recorder {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let parent = context.span(id).and_then(|span| span.parent()).map(|parent| parent.name());
        let mut record = Self::record(attributes.metadata(), parent, Some(id.clone()));
        attributes.record(&mut record);
        self.all().push(record);
    }

    fn on_record(&self, id: &Id, values: &tracing::span::Record<'_>, _: Context<'_, S>) {
        // Ids are reused: the latest span with this id is meant.
        if let Some(record) = self.all().iter_mut().rev().find(|record| record.id.as_ref() == Some(id)) {
            values.record(record);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let parent = context.event_span(event).map(|parent| parent.name());
        let mut record = Self::record(event.metadata(), parent, None);
        event.record(&mut record);
        self.all().push(record);
    }
}
