//! The order of calls that wait for the tenant's rate limit.

/// The priority of a call that has to wait for the tenant's rate limit.
///
/// Of the calls that wait, those of a higher priority go first; those of one priority go in the order of their arrival. No
/// priority starves: every eighth slot goes to the priority that was served longest ago. Priorities have no effect while the
/// limit has room and no call waits, with one exception: [`Bulk`](Self::Bulk) leaves a part of every window to others.
///
/// # Example
///
/// ```
/// use servicebay::{CallOptions, Priority, fixably};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
/// # let server = servicebay::testing::fixably::MockServer::start().await;
/// # let client = server.client()?;
/// // Both share the tenant's rate limit, but the nightly export does not delay the other calls.
/// let export = client.with_options(CallOptions::new().with_priority(Priority::Bulk));
/// let orders = export.list_orders().limit(100).send().await?;
/// let order = client.get_order().id(20000010).send().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Priority {
    /// A person is waiting for the result.
    Interactive,
    /// Work without an audience that should finish soon, such as the processing of a webhook. The default.
    #[default]
    Normal,
    /// Work that may take its time: exports, imports, nightly comparisons. It leaves a reserve of every window to the
    /// tenant's other integrations; see
    /// [`RateLimitPolicy::with_bulk_reserve`](crate::RateLimitPolicy::with_bulk_reserve).
    Bulk,
}

impl Priority {
    /// All priorities, the highest first.
    pub(crate) const ALL: [Self; 3] = [Self::Interactive, Self::Normal, Self::Bulk];

    /// The index of the priority in [`ALL`](Self::ALL).
    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}
