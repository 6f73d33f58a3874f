//! Pages of a listing: `Limit`, `Marker`, `NextMarker`, `Truncated`.
//!
//! A marker is the name of the last item given out, so that a page begins after it whatever has been
//! added or removed since. To callers it is opaque.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::shapes;
use crate::protocol::{Fault, FaultCode, Members};

/// What a request asks of a listing.
pub(super) struct Page {
    limit: usize,
    marker: Option<String>,
}

/// A page of a listing.
pub(super) struct Listed<T> {
    pub(super) items: Vec<T>,
    pub(super) next_marker: Option<String>,
}

impl Page {
    /// Takes `Limit`, at most `default` if absent, and `Marker`.
    pub(super) fn read(members: &mut Members, default: u32) -> Result<Self, Fault> {
        let limit = members.optional_integer("Limit", &shapes::LIMIT)?.unwrap_or(default);
        let marker = members.optional_string("Marker", &shapes::MARKER)?;
        Ok(Self { limit: limit as usize, marker })
    }

    /// The name after which the page begins, read by `parse`.
    ///
    /// # Errors
    /// `InvalidMarkerException` for a marker that this listing did not give.
    pub(super) fn after<T>(&self, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Fault> {
        let Some(marker) = &self.marker else { return Ok(None) };
        let name = URL_SAFE_NO_PAD
            .decode(marker)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .and_then(|name| parse(&name));
        match name {
            Some(name) => Ok(Some(name)),
            None => Err(Fault::new(FaultCode::InvalidMarkerException, "Invalid marker")),
        }
    }

    /// Takes the page from `items`, which begin where the page does; `name` names each.
    pub(super) fn take<T>(
        &self,
        mut items: impl Iterator<Item = T>,
        name: impl Fn(&T) -> String,
    ) -> Listed<T> {
        let page: Vec<T> = items.by_ref().take(self.limit).collect();
        let last = items.next().and_then(|_| page.last());
        let next_marker = last.map(|item| URL_SAFE_NO_PAD.encode(name(item)));
        Listed { items: page, next_marker }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(limit: usize, marker: Option<String>) -> Page {
        Page { limit, marker }
    }

    #[test]
    fn pages_join_up() {
        let all: Vec<u32> = (0..10).collect();
        let (mut seen, mut marker) = (Vec::new(), None);
        loop {
            let page = page(3, marker);
            let after = page.after(|text| text.parse::<u32>().ok()).unwrap();
            let rest = all.iter().copied().filter(|n| after.is_none_or(|after| *n > after));
            let listed = page.take(rest, ToString::to_string);
            seen.extend(listed.items);
            marker = listed.next_marker;
            if marker.is_none() {
                break;
            }
        }
        assert_eq!(seen, all);
    }

    #[test]
    fn a_full_last_page_has_no_marker() {
        assert_eq!(page(2, None).take([1, 2].into_iter(), ToString::to_string).next_marker, None);
    }

    #[test]
    fn foreign_markers_are_refused() {
        assert!(page(1, Some("§".into())).after(|text| text.parse::<u32>().ok()).is_err());
    }
}
