//! Who goes first where calls wait for the tenant's limit.

/// How much a call hurries when it has to wait for the tenant's rate limit.
///
/// Where calls wait, those of a higher priority go first, and among equals who came first. Nobody starves: every eighth
/// is of the priority that was served longest ago. While there is room nothing waits, and the priority means nothing, with one
/// exception: [`Bulk`](Self::Bulk) leaves a part of every window to others.
///
/// # Example
///
/// ```
/// use servicebay::{CallOptions, Priority, fixably};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
/// # let tenant = servicebay::testing::fixably::MockServer::start().await;
/// # let client = tenant.client()?;
/// // One client, one budget: the night's export does not get into the way of the counter.
/// let export = client.with_options(CallOptions::new().with_priority(Priority::Bulk));
/// let orders = export.list_orders().limit(100).send().await?;
/// let order = client.get_order().id(20000010).send().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Priority {
    /// Somebody looks at the screen and waits.
    Interactive,
    /// Work that nobody watches and that should be done soon: a webhook's follow-up, say. The default.
    #[default]
    Normal,
    /// Work that may take its time: exports, imports, nightly comparisons. It leaves a reserve of every window to the
    /// tenant's other integrations; see
    /// [`RateLimitPolicy::with_bulk_reserve`](crate::RateLimitPolicy::with_bulk_reserve).
    Bulk,
}

impl Priority {
    /// All of them, the highest first.
    pub(crate) const ALL: [Self; 3] = [Self::Interactive, Self::Normal, Self::Bulk];

    /// Its place among all.
    pub(crate) const fn lane(self) -> usize {
        self as usize
    }
}
