//! The report: one page that shows a run to somebody who was not there.
//!
//! ```text
//! plan, verdict with its story -> data -> page
//! ```
//!
//! [`Data`] is all that the page knows; [`page`](page::render) puts it and the assets into one HTML file that needs no
//! network and no server. What can be computed from the data in the time of a frame (what came before an event, where
//! it is drawn) the page computes itself.

mod align;
mod data;
mod page;
mod stores;
mod timeline;

pub use align::{Row, align};
pub use data::{Against, Curve, CurvePoint, Data, ShownViolation};
pub use page::render;
pub use stores::{Line, Sign, Store};
pub use timeline::{Columns, Lane, LaneKind, Moment, Operation, Span, SpanKind, Timeline};
