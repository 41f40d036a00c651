//! A Ballista executor with a model, loaded once for all its tasks.
//!
//! `cargo run --release -p ner-datafusion --example executor -- MODEL [SCHEDULER [HOST]]`: SCHEDULER is its address, HOST what to listen on. `RAYON_NUM_THREADS`
//! is the number of threads that tag, by default that of the cores.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::net::TcpListener;
use std::{env, error::Error, sync::Arc};

use ballista_core::registry::BallistaFunctionRegistry;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use datafusion::logical_expr::ScalarUDF;
use ner_datafusion::Ner;
use ner_tagger::Tagger;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let model = args
        .next()
        .ok_or("usage: executor MODEL [SCHEDULER [HOST]]")?;
    let scheduler = args.next().unwrap_or_else(|| "127.0.0.1:50050".to_owned());
    let (scheduler_host, scheduler_port) =
        scheduler.rsplit_once(':').ok_or("SCHEDULER is HOST:PORT")?;
    let host = args.next().unwrap_or_else(|| "127.0.0.1".to_owned());

    let ner = ScalarUDF::from(Ner::new(Tagger::from_dir(model)?));
    let mut functions = BallistaFunctionRegistry::default();
    functions
        .scalar_functions
        .insert(ner.name().to_owned(), Arc::new(ner));

    let results = tempfile::tempdir()?; // what tasks made, for the next stage or the client
    let config = ExecutorProcessConfig {
        port: free_port(&host)?,
        grpc_port: free_port(&host)?,
        bind_host: host,
        scheduler_host: scheduler_host.to_owned(),
        scheduler_port: scheduler_port.parse()?,
        scheduler_connect_timeout_seconds: 60,
        // One task at a time has all threads. The others wait at the scheduler, for whichever executor is free first.
        vcores: 1,
        work_dir: Some(results.path().display().to_string()),
        executor_heartbeat_interval_seconds: 1,
        override_function_registry: Some(Arc::new(functions)),
        ..Default::default()
    };
    println!("executor for {scheduler}");
    start_executor_process(Arc::new(config)).await?;
    Ok(())
}

/// A port that nobody listens on at present.
fn free_port(host: &str) -> std::io::Result<u16> {
    Ok(TcpListener::bind((host, 0))?.local_addr()?.port())
}
