//! The faults that wait for their requests.

use http::Method;

use super::Fault;
use crate::testing::template;

/// Which requests a fault is for.
#[derive(Clone, Debug)]
pub(super) struct Target {
    method: String,
    path: String,
}

impl Target {
    pub(super) fn new(method: String, path: &str) -> Self {
        Self { method, path: path.trim_matches('/').to_owned() }
    }

    /// Whether a request is one of these: `{...}` stands for one segment, and slashes at the ends are nothing.
    fn fits(&self, method: &Method, path: &str) -> bool {
        let fits = template::captures(&self.path, path.trim_matches('/')).is_some();
        fits && self.method.eq_ignore_ascii_case(method.as_str())
    }
}

/// The faults that are ordered and have not struck as often as they may, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn order(&mut self, fault: Fault) {
        if fault.times != Some(0) {
            self.0.push(fault);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The fault that strikes this request; spends one of its times.
    pub(crate) fn strike(&mut self, method: &Method, path: &str) -> Option<Fault> {
        let index = self.0.iter_mut().position(|fault| {
            let fits = fault.target.as_ref().is_none_or(|target| target.fits(method, path));
            if fits && fault.skip > 0 {
                fault.skip -= 1;
                return false;
            }
            fits
        })?;
        match &mut self.0[index].times {
            Some(1) => Some(self.0.remove(index)),
            Some(times) => {
                *times -= 1;
                Some(self.0[index].clone())
            }
            None => Some(self.0[index].clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(fault: Fault) -> Faults {
        let mut faults = Faults::default();
        faults.order(fault);
        faults
    }

    fn strikes(faults: &mut Faults, count: usize) -> Vec<bool> {
        (0..count).map(|_| faults.strike(&Method::GET, "/orders").is_some()).collect()
    }

    #[test]
    fn a_fault_strikes_as_often_as_ordered_and_is_gone() {
        let mut faults = ordered(Fault::dropped().times(2));
        assert_eq!(strikes(&mut faults, 4), [true, true, false, false]);
        assert_eq!(faults.len(), 0);
        assert_eq!(ordered(Fault::dropped().times(0)).len(), 0);
    }

    #[test]
    fn a_fault_can_let_some_requests_pass_first() {
        assert_eq!(strikes(&mut ordered(Fault::dropped().after(2)), 4), [false, false, true, false]);
    }

    #[test]
    fn a_fault_for_ever_ends_when_it_is_cleared() {
        let mut faults = ordered(Fault::dropped().always());
        assert_eq!(strikes(&mut faults, 100), [true; 100]);
        faults.clear();
        assert_eq!(strikes(&mut faults, 1), [false]);
    }

    #[test]
    fn a_fault_strikes_only_the_method_and_path_it_is_for() {
        let target = Target::new("get".to_owned(), "/orders/{id}/notes");
        for (method, path, fits) in [
            (Method::GET, "/orders/1/notes", true),
            (Method::GET, "/orders/2/notes/", true),
            (Method::POST, "/orders/1/notes", false),
            (Method::GET, "/orders/1", false),
            (Method::GET, "/orders/1/notes/1", false),
        ] {
            assert_eq!(target.fits(&method, path), fits, "{method} {path}");
        }
    }

    #[test]
    fn the_fault_ordered_first_strikes_first() {
        let mut faults = ordered(Fault::status(503).on("GET", "/orders"));
        faults.order(Fault::status(500));
        let statuses: Vec<_> = (0..2)
            .filter_map(|_| faults.strike(&Method::GET, "/orders"))
            .filter_map(|fault| fault.replacement())
            .map(|reply| reply.response.status().as_u16())
            .collect();
        assert_eq!(statuses, [503, 500]);
    }
}
