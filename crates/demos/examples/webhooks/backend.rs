//! A backend that keeps a copy of a partner's bookings, and keeps it current with Repairy's webhooks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::json;
use servicebay::repairy::types::{Booking, BookingCreate, BookingCreated};
use servicebay::repairy::{BookingEvent, Client, Id};
use servicebay::webhook::{Delivery, WebhookReceiver};
use servicebay::{Error, WriteStatus};
use tokio::sync::{mpsc, watch};

/// How many accepted webhooks may wait to be handled. Beyond that, the vendor is asked to try again.
pub(crate) const QUEUE: usize = 100;
/// How long a booking whose response was lost is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The pauses before a webhook is tried again. Together they end before the claim on the delivery does, after 5 minutes.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(60)];

/// The copy of the bookings. Stands for a table of your database.
pub(crate) type Bookings = BTreeMap<Id<Booking>, Booking>;

/// What the handlers of requests share.
#[derive(Clone)]
pub(crate) struct Backend {
    client: Client,
    receiver: WebhookReceiver<BookingEvent>,
    queue: mpsc::Sender<Delivery<BookingEvent>>,
    bookings: Arc<watch::Sender<Bookings>>,
}

/// Handles the accepted webhooks, one after the other.
pub(crate) struct Worker {
    client: Client,
    queue: mpsc::Receiver<Delivery<BookingEvent>>,
    bookings: Arc<watch::Sender<Bookings>>,
}

impl FromRef<Backend> for WebhookReceiver<BookingEvent> {
    fn from_ref(backend: &Backend) -> Self {
        backend.receiver.clone()
    }
}

impl Backend {
    pub(crate) fn new(client: Client, receiver: WebhookReceiver<BookingEvent>) -> (Self, Worker) {
        let (sender, queue) = mpsc::channel(QUEUE);
        let bookings = Arc::new(watch::Sender::default());
        let worker = Worker { client: client.clone(), queue, bookings: Arc::clone(&bookings) };
        (Self { client, receiver, queue: sender, bookings }, worker)
    }

    /// Register the URL of this route with Repairy, for each action.
    pub(crate) fn router(&self) -> Router {
        Router::new().route("/webhooks/repairy", post(accept)).with_state(self.clone())
    }

    /// The copy of the bookings, as it is now and as it changes.
    pub(crate) fn bookings(&self) -> watch::Receiver<Bookings> {
        self.bookings.subscribe()
    }

    /// Books a service under a reference of your own. If the response is lost, the booking is found by the webhook that it
    /// causes, and the call is not sent a second time.
    pub(crate) async fn book(&self, reference: &str, request: BookingCreate) -> Result<Id<Booking>, Error> {
        let call = self.client.create_booking().body(request.external_id(reference));
        let created = call.reconcile(|_| async { Ok(self.find(reference).await) }).send().await?;
        Ok(created.booking_id.clone())
    }

    /// Waits until a webhook has brought the booking with this reference.
    async fn find(&self, reference: &str) -> WriteStatus<BookingCreated> {
        let mut bookings = self.bookings();
        let id = |bookings: &Bookings| {
            let mut all = bookings.iter();
            all.find(|(_, booking)| booking.external_id.as_deref() == Some(reference)).map(|(id, _)| id.clone())
        };
        let found = tokio::time::timeout(PATIENCE, bookings.wait_for(|bookings| id(bookings).is_some())).await;
        let found = found.ok().and_then(Result::ok).and_then(|bookings| id(&bookings));
        // Without a webhook, nothing is certain: it may be late, or lost itself.
        let created = found.and_then(|id| serde_json::from_value(json!({"bookingId": id})).ok());
        created.map_or(WriteStatus::Unknown, WriteStatus::Applied)
    }
}

/// Responds within Repairy's 10 seconds, because it only puts the webhook into a queue.
///
/// A real server writes the event to a table before it responds, and handles it from there: what is in memory is lost if the
/// process ends, and the vendor will not send it again.
async fn accept(State(backend): State<Backend>, delivery: Delivery<BookingEvent>) -> StatusCode {
    match backend.queue.try_send(delivery) {
        Ok(()) => StatusCode::OK,
        // The delivery is dropped with the error, so the vendor's next attempt is accepted.
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

impl Worker {
    /// Runs until the last [`Backend`] is dropped and the queue is empty.
    pub(crate) async fn run(mut self) {
        while let Some(delivery) = self.queue.recv().await {
            let mut handled = self.handle(&delivery).await;
            for pause in PAUSES {
                if handled.is_ok() {
                    break;
                }
                tokio::time::sleep(pause).await;
                handled = self.handle(&delivery).await;
            }
            // A real server logs both errors. If a delivery is released, or cannot be recorded, another attempt of the vendor
            // is handled again, which does no harm.
            let _ = match handled {
                Ok(()) => delivery.complete().await.map(drop),
                Err(_) => delivery.release().await,
            };
        }
    }

    /// Fetches the booking that an event names. What it contains besides is not documented, and webhooks may arrive in any order.
    async fn handle(&self, event: &BookingEvent) -> Result<(), Error> {
        let Some(id) = &event.booking_id else { return Ok(()) };
        match self.client.get_booking().id(id).send().await {
            Ok(booking) => {
                let booking = booking.into_inner();
                self.bookings.send_modify(|bookings| drop(bookings.insert(id.clone(), booking)));
                Ok(())
            }
            // A booking of someone else, or one that is gone.
            Err(Error::NotFound(_) | Error::Forbidden(_)) => {
                self.bookings.send_modify(|bookings| drop(bookings.remove(id)));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}
