//! One module a command.

pub mod check;
pub mod distill;
pub mod evaluate;
pub mod labels;
pub mod new_model;
pub mod predict;
pub mod preprocess;
pub mod shrink;
pub mod train;
