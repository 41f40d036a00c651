//! SQL with `ner` over Parquet files, on a Ballista cluster.
//!
//! `cargo run --release -p ner-datafusion --example client -- SCHEDULER DOCUMENTS SQL`: SCHEDULER is its address; DOCUMENTS, a Parquet file or a folder of
//! them under a path that every machine sees, is the table `documents`.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::{env, error::Error};

use ballista::extension::SessionContextExt;
use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use ner_datafusion::Ner;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [scheduler, documents, sql] = args.as_slice() else {
        return Err("usage: client SCHEDULER DOCUMENTS SQL".into());
    };
    let session = SessionContext::remote(&format!("df://{scheduler}")).await?;
    session.register_udf(ScalarUDF::from(Ner::without_model()));
    session
        .register_parquet("documents", documents, ParquetReadOptions::default())
        .await?;
    println!("{}", session.sql(sql).await?.to_string().await?);
    Ok(())
}
