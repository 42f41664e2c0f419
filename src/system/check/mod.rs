//! The promises of the coordinator, one a file.

mod atomicity;
mod durability;
mod honesty;
mod linearizable;
mod liveness;
mod sequence;

pub use atomicity::Atomicity;
pub use durability::Durability;
pub use honesty::Honesty;
pub use linearizable::Linearizable;
pub use liveness::Liveness;
pub use sequence::Sequence;

use super::operation::{Op, Ret};
use crate::check::Checker;
use crate::record::Record;

/// What a check of the coordinator looks at.
pub type CoordinatorRecord = Record<Op, Ret>;

/// All of them.
pub fn all() -> Vec<Box<dyn Checker<CoordinatorRecord>>> {
    vec![
        Box::new(Linearizable),
        Box::new(Atomicity),
        Box::new(Durability),
        Box::new(Honesty),
        Box::new(Liveness),
        Box::new(Sequence),
    ]
}
