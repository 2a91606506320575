//! Processes, sessions, connections and servers that fail at random, for as long as one likes, and an
//! audit after every half a minute or so that nothing was lost and nothing done twice: see
//! RELIABILITY.md. (What takes a set-up of its own, such as a failover, is in the chaos tests alone.)
//!
//! ```text
//! cargo run --release -p pgqrs-tests --example soak -- --minutes 10 --seed 7
//! ```
//!
//! Producers, pools and consumers are processes; they and a PostgreSQL of its own are killed,
//! stopped, cut off and held up, as the seed decides. (It does not decide how fast they are, so
//! two runs of a seed are not the same to the letter.) It goes on until the time is over, or ends at
//! once, with what is wrong, if an audit finds something.

use std::collections::BTreeMap;
use std::fmt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use fastrand::Rng;

use pgqrs_test_support::{Cluster, private_server};
use pgqrs_tests::chaos::audit::Audit;
use pgqrs_tests::chaos::child::Role;
use pgqrs_tests::chaos::client;
use pgqrs_tests::chaos::run::{Run, terminate_sessions};
use pgqrs_tests::chaos::wire::Wire;

/// Between two audits.
const DISTURBANCES: usize = 15;

/// Messages that come and go between two of them.
const MESSAGES: std::ops::Range<usize> = 30..150;

/// What is done to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Disturbance {
    WorkerKilled,
    AllWorkersKilled,
    ProducerKilled,
    WorkerStopped,
    SessionsTerminated,
    AnswerCut,
    RequestCut,
    ConnectionsDead,
    TableLocked,
    ServerShutDown,
    ServerKilled,
}

use Disturbance as D;

const ALL: [Disturbance; 11] = [
    D::WorkerKilled,
    D::AllWorkersKilled,
    D::ProducerKilled,
    D::WorkerStopped,
    D::SessionsTerminated,
    D::AnswerCut,
    D::RequestCut,
    D::ConnectionsDead,
    D::TableLocked,
    D::ServerShutDown,
    D::ServerKilled,
];

struct Args {
    minutes: f64,
    seed: u64,
}

fn args() -> Result<Args, lexopt::Error> {
    use lexopt::prelude::*;
    let mut args = Args {
        minutes: 1.0,
        seed: fastrand::u64(..),
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("minutes") => args.minutes = parser.value()?.parse()?,
            Long("seed") => args.seed = parser.value()?.parse()?,
            _ => return Err(arg.unexpected()),
        }
    }
    Ok(args)
}

fn main() -> ExitCode {
    if client::is_asked_for() {
        client::main(); // one of the processes that this program starts
        return ExitCode::SUCCESS;
    }
    let Args { minutes, seed } = match args() {
        Ok(args) => args,
        Err(error) => {
            eprintln!("{error}\nusage: soak [--minutes N] [--seed S]");
            return ExitCode::from(2);
        }
    };
    println!("soak: --minutes {minutes} --seed {seed}");
    let mut random = Rng::with_seed(seed);
    let began = Instant::now();
    let server = private_server();
    let mut sum = Sum::default();
    while began.elapsed().as_secs_f64() < minutes * 60.0 {
        let audit = round(&server, &mut random, &mut sum);
        println!("-- round {}\n{audit}", sum.rounds);
        if !audit.findings.is_empty() || audit.confirmed == 0 || audit.archived == 0 {
            println!("soak: failed with --seed {seed}\n{sum}");
            return ExitCode::FAILURE;
        }
    }
    let took = began.elapsed().as_secs();
    println!(
        "== {} minutes {} seconds, seed {seed}\n{sum}",
        took / 60,
        took % 60
    );
    println!("nothing was lost, and nothing done twice");
    ExitCode::SUCCESS
}

/// Everybody works in a schema of their own, is disturbed, works all off, and is audited.
fn round(server: &Cluster, random: &mut Rng, sum: &mut Sum) -> Audit {
    sum.rounds += 1;
    let schema = format!("soak_{}", sum.rounds);
    let wire = Wire::start(server.dsn());
    let mut run = Run::new(std::env::current_exe().unwrap(), server.dsn(), &schema);
    run.set("CHAOS_SEED", random.u64(..)).with_everybody();
    run.set("PGQRS_DSN", wire.dsn()).with_everybody();
    for _ in 0..DISTURBANCES {
        run.progress(random.usize(MESSAGES));
        let disturbance = ALL[random.usize(0..ALL.len())];
        *sum.disturbances.entry(disturbance).or_default() += 1;
        disturb(&mut run, disturbance, server, &wire, random);
    }
    run.progress(random.usize(MESSAGES));
    let audit = run.audit();
    sum.add(&audit);
    let mut client = server.connect();
    let sql = format!("DROP SCHEMA {schema} CASCADE");
    client.batch_execute(&sql).unwrap();
    audit
}

fn disturb(
    run: &mut Run,
    disturbance: Disturbance,
    server: &Cluster,
    wire: &Wire,
    random: &mut Rng,
) {
    let mut one_of = |numbers: Vec<usize>| numbers[random.usize(0..numbers.len())];
    match disturbance {
        D::WorkerKilled => {
            let role = one_of(vec![0, 1, 2]);
            let role = [Role::Worker, Role::Worker, Role::Consumer][role];
            let victim = one_of(run.working(role));
            run.replace(victim);
        }
        D::AllWorkersKilled => {
            for role in [Role::Worker, Role::Consumer] {
                run.working(role).into_iter().for_each(|n| run.replace(n));
            }
        }
        D::ProducerKilled => {
            let victim = one_of(run.working(Role::Producer));
            run.replace(victim);
        }
        D::WorkerStopped => {
            let still = one_of(run.working(Role::Worker));
            let held = run.stop_with_something(still);
            run.taken_over(still, &held);
            run.process(still).signal("CONT");
        }
        D::SessionsTerminated => {
            terminate_sessions(&mut run.client());
        }
        D::AnswerCut => wire.cut_an_answer(),
        D::RequestCut => wire.cut_a_request(),
        D::ConnectionsDead => {
            let _dead = wire.freeze();
            run.progress(100);
        }
        D::TableLocked => {
            let tables = [
                "pgqrs_messages",
                "pgqrs_live",
                "pgqrs_scheduled",
                "pgqrs_done",
            ];
            let table = tables[one_of(vec![0, 1, 2, 3])];
            run.lock(table, Duration::from_millis(1_500));
        }
        D::ServerShutDown => {
            run.may_forget_leases();
            server.restart_immediate();
        }
        D::ServerKilled => {
            run.may_forget_leases();
            server.kill();
            server.start();
        }
    }
}

/// What all rounds came to.
#[derive(Default)]
struct Sum {
    rounds: usize,
    all: Audit,
    disturbances: BTreeMap<Disturbance, usize>,
}

impl Sum {
    fn add(&mut self, audit: &Audit) {
        let all = &mut self.all;
        all.confirmed += audit.confirmed;
        all.unconfirmed += audit.unconfirmed;
        all.archived += audit.archived;
        all.dead += audit.dead;
        all.deleted += audit.deleted;
        all.left += audit.left;
        all.effects += audit.effects;
        all.late += audit.late;
        all.said.add(&audit.said);
        all.findings.extend(audit.findings.iter().cloned());
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done: usize = self.disturbances.values().sum();
        write!(f, "{} audits, {done} disturbances:", self.rounds)?;
        for (disturbance, count) in &self.disturbances {
            write!(f, " {disturbance:?} {count}")?;
        }
        write!(f, "\n{}", self.all)
    }
}
