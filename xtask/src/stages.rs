//! The stages of the tutorial.

mod applications;
mod convert;
mod evaluate;
mod export;
mod load;
mod report;
mod train;
mod tutorial;

pub use applications::{
    ApplicationOptions, ApplicationSummary, ApplicationsSummary, ModelQuality, applications,
};
pub use convert::convert;
pub use evaluate::evaluate;
pub use export::{export, exported};
pub use load::load;
pub use report::report;
pub use train::{TrainOptions, train};
pub use tutorial::tutorial;
