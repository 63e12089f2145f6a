//! The faults that are pending on a mock server.

use http::Method;

use super::Fault;

/// The faults that have not been applied as often as they should, oldest first.
#[derive(Debug, Default)]
pub(crate) struct FaultQueue(Vec<Fault>);

impl FaultQueue {
    pub(crate) fn add(&mut self, fault: Fault) {
        if !fault.is_empty() {
            self.0.push(fault);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes the fault that applies to a request.
    pub(crate) fn take(&mut self, method: &Method, path: &str, operation: Option<&str>) -> Option<Fault> {
        let index = self.0.iter_mut().position(|fault| fault.claim(method, path, operation))?;
        let fault = self.0[index].clone();
        if self.0[index].use_once() {
            drop(self.0.remove(index));
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(fault: Fault) -> FaultQueue {
        let mut queue = FaultQueue::default();
        queue.add(fault);
        queue
    }

    fn taken(queue: &mut FaultQueue, count: usize) -> Vec<bool> {
        (0..count).map(|_| queue.take(&Method::GET, "/orders", Some("list_orders")).is_some()).collect()
    }

    #[test]
    fn a_fault_applies_as_often_as_it_should_and_is_gone() {
        let mut faults = queue(Fault::dropped().times(2));
        assert_eq!(taken(&mut faults, 4), [true, true, false, false]);
        assert_eq!(faults.len(), 0);
        assert_eq!(queue(Fault::dropped().times(0)).len(), 0);
    }

    #[test]
    fn a_fault_can_skip_requests_first() {
        assert_eq!(taken(&mut queue(Fault::dropped().after(2)), 4), [false, false, true, false]);
    }

    #[test]
    fn a_fault_without_end_ends_when_it_is_cleared() {
        let mut faults = queue(Fault::dropped().always());
        assert_eq!(taken(&mut faults, 100), [true; 100]);
        faults.clear();
        assert_eq!(taken(&mut faults, 1), [false]);
    }

    #[test]
    fn the_fault_that_was_added_first_applies_first() {
        let mut faults = queue(Fault::status(503).on("GET", "/orders"));
        faults.add(Fault::status(500));
        let statuses: Vec<_> = (0..2)
            .filter_map(|_| faults.take(&Method::GET, "/orders", None))
            .filter_map(|fault| fault.replacement())
            .map(|response| response.response.status().as_u16())
            .collect();
        assert_eq!(statuses, [503, 500]);
    }
}
