//! One module a command.

pub mod calibrate;
pub mod check;
pub mod compare;
pub mod completions;
pub mod distill;
pub mod evaluate;
pub mod info;
pub mod labels;
pub mod man;
pub mod new_model;
pub mod predict;
pub mod preprocess;
pub mod redact;
pub mod serve;
pub mod shrink;
pub mod train;
pub mod warm_up;
