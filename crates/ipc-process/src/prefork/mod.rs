//! A pool of forked workers that share what their parent has opened.

mod options;
mod pool;
mod report;
mod worker;

pub use options::PreforkOptions;
pub use pool::{Event, Prefork};
pub use report::{Report, WorkerReport};
pub use worker::{Turn, Worker};
