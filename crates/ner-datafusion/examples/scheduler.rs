//! A Ballista scheduler that knows `ner` and holds no model.
//!
//! `cargo run --release -p ner-datafusion --example scheduler -- [ADDRESS [SECONDS]]`: an executor that is not heard of for so long (30) is given up, and its
//! tasks go to the others.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::{env, error::Error, sync::Arc};

use ballista_core::utils::default_session_builder;
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::{SchedulerConfig, TaskDistributionPolicy};
use ballista_scheduler::scheduler_process::{create_scheduler, start_grpc_service_with_listener};
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::SessionConfig;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use ner_datafusion::Ner;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:50050".to_owned());
    let seconds = args.next().map_or(Ok(30), |seconds| seconds.parse())?;
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;

    let config = SchedulerConfig {
        external_host: address.ip().to_string(), // where executors report what they did
        bind_port: address.port(),
        override_session_builder: Some(Arc::new(session_with_ner)),
        // Each task is a lot of work: one for every executor before a second for any.
        task_distribution: TaskDistributionPolicy::RoundRobin,
        executor_timeout_seconds: seconds,
        expire_dead_executor_interval_seconds: 1,
        ..Default::default()
    };
    let cluster = BallistaCluster::new_from_config(&config).await?;
    let scheduler =
        create_scheduler::<LogicalPlanNode, PhysicalPlanNode>(cluster, Arc::new(config)).await?;
    println!("scheduler at {address}");
    start_grpc_service_with_listener(listener, scheduler).await?;
    Ok(())
}

fn session_with_ner(config: SessionConfig) -> datafusion::error::Result<SessionState> {
    let mut state = default_session_builder(config)?;
    state.register_udf(Arc::new(ScalarUDF::from(Ner::without_model())))?;
    Ok(state)
}
