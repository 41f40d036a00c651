//! SQL with `ner` over Parquet files, in one process.
//!
//! `cargo run --release -p ner-datafusion --example sql -- MODEL DOCUMENTS SQL`: DOCUMENTS is a Parquet file or a folder of them, the table `documents`.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::{env, error::Error};

use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use ner_datafusion::Ner;
use ner_tagger::Tagger;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [model, documents, sql] = args.as_slice() else {
        return Err("usage: sql MODEL DOCUMENTS SQL".into());
    };
    let session = SessionContext::new();
    session.register_udf(ScalarUDF::from(Ner::new(Tagger::from_dir(model)?)));
    session
        .register_parquet("documents", documents, ParquetReadOptions::default())
        .await?;
    println!("{}", session.sql(sql).await?.to_string().await?);
    Ok(())
}
