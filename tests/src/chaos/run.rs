//! One run: a schema, processes that work on it, and the audit at its end.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use pgqrs::{PgStore, Store};
use postgres::{Client, NoTls};
use tempfile::TempDir;

use super::audit::Audit;
use super::child::{Process, Role};
use super::errand::{ERRANDS, PLAIN};
use super::ledger::{Figures, Ledger};
use super::line::{Delivery, End, Fate, Line};
use super::snapshot::Snapshot;
use pgqrs_test_support::{MINUTE, wait_until};

/// For how long the last worker may do nothing of what is left, unless told otherwise. Longer than
/// any lease.
const DRAIN: Duration = Duration::from_secs(70);

/// What all processes are started with; what a scenario sets comes after it.
const SETTINGS: [(&str, &str); 8] = [
    ("PGQRS_LOCK_TIME", "1s"),
    ("PGQRS_POLL_INTERVAL", "50ms"),
    ("PGQRS_POOL_SIZE", "4"),
    ("PGQRS_CONNECTION_TIMEOUT", "1s"),
    ("CHAOS_IDLE", "3s"),
    ("CHAOS_PAUSE", "4"),
    ("CHAOS_WORK", "1"),
    ("RUST_BACKTRACE", "1"),
];

pub struct Run {
    dir: TempDir,
    /// How the audit reaches the database, ...
    dsn: String,
    schema: String,
    /// ... and how the processes do.
    settings: Vec<(String, String)>,
    processes: Vec<Process>,
    ledgers: Vec<Ledger>,
    /// What they run.
    program: PathBuf,
    leases_forgotten: bool,
    calm: bool,
    drain: Duration,
}

impl Run {
    /// Prepares a schema that nobody else uses, for processes of this program.
    pub fn new(program: impl Into<PathBuf>, dsn: &str, schema: &str) -> Self {
        let run = Self {
            dir: tempfile::tempdir().unwrap(),
            dsn: dsn.to_owned(),
            schema: schema.to_owned(),
            settings: Vec::new(),
            processes: Vec::new(),
            ledgers: Vec::new(),
            program: program.into(),
            leases_forgotten: false,
            calm: false,
            drain: DRAIN,
        };
        run.install();
        // No key: a row that is written twice must be there twice.
        let mut client = run.client();
        client
            .batch_execute("CREATE TABLE effects (message bigint NOT NULL)")
            .unwrap();
        run
    }

    /// Installs the schema, or finds that it is there; and the queues.
    pub fn install(&self) {
        let store = PgStore::builder(&self.dsn)
            .schema(&self.schema)
            .pool_size(1);
        let store = store.build().unwrap();
        store.install().unwrap();
        store.create_queue(ERRANDS).unwrap();
        store.create_queue(PLAIN).unwrap();
    }

    /// Says where the database is from now on, for the audit.
    pub fn move_to(&mut self, dsn: &str) {
        dsn.clone_into(&mut self.dsn);
    }

    /// Sets an environment variable for the processes that are started from now on.
    pub fn set(&mut self, name: &str, value: impl ToString) -> &mut Self {
        self.settings.push((name.to_owned(), value.to_string()));
        self
    }

    /// Says that the server may forget leases: it is going to crash.
    pub fn may_forget_leases(&mut self) {
        self.leases_forgotten = true;
    }

    /// Leaves everybody so much time that nothing runs out on a slow machine: where nobody is killed
    /// and nothing is to lapse.
    pub fn calm(&mut self) -> &mut Self {
        self.calm = true;
        self.set("PGQRS_LOCK_TIME", "60s")
            .set("PGQRS_CONNECTION_TIMEOUT", "60s")
            .set("CHAOS_IDLE", "60s")
    }

    /// Says for how long nothing is to happen before what is left is given up.
    pub fn give_up_after(&mut self, span: Duration) {
        self.drain = span;
    }

    /// Two producers, two workers and a consumer, which is what most scenarios need.
    pub fn with_everybody(&mut self) -> &mut Self {
        self.start_on(Role::Producer, ERRANDS);
        self.start_on(Role::Producer, PLAIN);
        self.start(Role::Worker);
        self.start(Role::Worker);
        self.start(Role::Consumer);
        self
    }

    /// The same, of another version of the program.
    pub fn with_everybody_of(&mut self, program: &Path) {
        let ours = std::mem::replace(&mut self.program, program.to_owned());
        self.with_everybody();
        self.program = ours;
    }

    /// Starts another process, and returns its number.
    pub fn start(&mut self, role: Role) -> usize {
        self.start_on(
            role,
            match role {
                Role::Producer | Role::Worker => ERRANDS,
                Role::Consumer => PLAIN,
            },
        )
    }

    pub fn start_on(&mut self, role: Role, queue: &str) -> usize {
        self.start_as(role, queue, |_| {})
    }

    /// Starts a process whose command is changed before.
    pub fn start_as(
        &mut self,
        role: Role,
        queue: &str,
        change: impl FnOnce(&mut Command),
    ) -> usize {
        let number = self.processes.len();
        let (word, name) = match role {
            Role::Producer => ("produce", format!("producer-{number}")),
            Role::Worker => ("work", format!("worker-{number}")),
            Role::Consumer => ("consume", format!("consumer-{number}")),
        };
        let path = self.dir.path().join(format!("{name}.ledger"));
        let mut command = Command::new(&self.program);
        command
            .args([word, &name])
            .arg(&path)
            .arg(queue)
            .env("PGQRS_DSN", &self.dsn)
            .env("PGQRS_SCHEMA", &self.schema)
            .envs(SETTINGS);
        command.envs(self.settings.iter().cloned());
        change(&mut command);
        self.ledgers.push(Ledger::new(&name, &path));
        let process = Process::start(command, &name, role, queue, self.dir.path());
        self.processes.push(process);
        number
    }

    pub fn process(&mut self, number: usize) -> &mut Process {
        &mut self.processes[number]
    }

    /// Kills a process and starts another in its place, with the settings that it had.
    pub fn replace(&mut self, number: usize) {
        let process = &mut self.processes[number];
        process.kill();
        let (role, queue) = (process.role, process.queue.clone());
        let settings = process.settings.clone();
        self.start_as(role, &queue, |command| {
            command.envs(settings);
        });
    }

    /// Stops a process at a moment when it holds messages, and returns those.
    pub fn stop_with_something(&mut self, number: usize) -> Vec<Delivery> {
        let mut held = Vec::new();
        wait_until("it to hold something", MINUTE, || {
            self.process(number).signal("STOP");
            held = self.ledger(number).held();
            // What somebody has got meanwhile, it only seems to have.
            for other in 0..self.processes.len() {
                let taken = self.ledger(other).took(&held);
                held.retain(|delivery| !taken.contains(delivery));
            }
            if held.is_empty() {
                self.process(number).signal("CONT");
            }
            !held.is_empty()
        });
        held
    }

    /// Whether one of the processes has complained of this.
    pub fn has_complained(&self, of: &str) -> bool {
        let mut processes = self.processes.iter();
        processes.any(|process| process.has_said(self.dir.path(), of))
    }

    /// Waits until others were given some of what a process held, and returns that; or until it
    /// holds nothing of it any more, if it may have been done with it.
    #[track_caller]
    pub fn taken_over(&mut self, from: usize, held: &[Delivery]) -> Vec<Delivery> {
        let others: Vec<usize> = (0..self.processes.len()).filter(|n| *n != from).collect();
        let mut taken = Vec::new();
        wait_until("others to get what was held", MINUTE, || {
            let all = others.iter().map(|other| self.ledger(*other).took(held));
            taken = all.collect::<Vec<_>>().concat();
            let has = self.ledger(from).held();
            !taken.is_empty() || held.iter().all(|delivery| !has.contains(delivery))
        });
        taken
    }

    /// How many archivings were confirmed to a delivery after which there was another.
    pub fn late_archivings(&mut self) -> usize {
        self.ledgers.iter_mut().for_each(Ledger::read_on);
        let lines = || self.ledgers.iter().flat_map(|ledger| &ledger.lines);
        let mut last: HashMap<i64, i32> = HashMap::new();
        for line in lines() {
            if let Line::Leased { delivery, .. } = line {
                let last = last.entry(delivery.id).or_default();
                *last = delivery.read_ct.max(*last);
            }
        }
        let late = lines().filter(|line| match line {
            Line::Ended {
                delivery,
                end: End::Archive,
                fate: Fate::Yes,
            } => last[&delivery.id] > delivery.read_ct,
            _ => false,
        });
        late.count()
    }

    /// Waits until a process was told that it owns one of these no more. `false`: it has got all those
    /// messages again before, and asks for the new deliveries alone.
    #[track_caller]
    pub fn is_told_late(&mut self, number: usize, deliveries: &[Delivery]) -> bool {
        let mut told = false;
        wait_until("the late one to be told so", MINUTE, || {
            let ledger = self.ledger(number);
            told = deliveries.iter().any(|of| ledger.was_told_late(of));
            told || ledger.took(deliveries).len() == deliveries.len()
        });
        told
    }

    /// Locks a table for so long: what an `ALTER TABLE` does that has much to do.
    pub fn lock(&self, table: &str, span: Duration) {
        let sql = format!(
            "BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep({}); COMMIT",
            span.as_secs_f64()
        );
        self.client().batch_execute(&sql).unwrap();
    }

    /// The ledger of a process, as it is now.
    pub fn ledger(&mut self, number: usize) -> &Ledger {
        self.ledgers[number].read_on();
        &self.ledgers[number]
    }

    /// The processes of this role that work.
    pub fn working(&self, role: Role) -> Vec<usize> {
        let processes = self.processes.iter().enumerate();
        let working = processes.filter(|(_, process)| process.role == role && process.works());
        working.map(|(number, _)| number).collect()
    }

    /// What all ledgers say by now.
    pub fn figures(&mut self) -> Figures {
        self.ledgers.iter_mut().for_each(Ledger::read_on);
        Figures::of(&self.ledgers)
    }

    /// Waits until the figures are as wanted.
    #[track_caller]
    pub fn wait(&mut self, what: &str, wanted: impl Fn(&Figures) -> bool) {
        wait_until(what, MINUTE, || {
            let dir = self.dir.path();
            self.processes
                .iter_mut()
                .for_each(|process| process.check(dir));
            wanted(&self.figures())
        });
    }

    /// Waits until so many more messages are put in, and so many more are done.
    #[track_caller]
    pub fn progress(&mut self, more: usize) {
        let Figures { put, done, .. } = self.figures();
        self.wait(&format!("{more} more messages to come and go"), |now| {
            now.put >= put + more && now.done >= done + more
        });
    }

    /// A connection of the scenario's own, with the schema as its `search_path`.
    pub fn client(&self) -> Client {
        let mut client = Client::connect(&self.dsn, NoTls).unwrap();
        let sql = format!(
            "CREATE SCHEMA IF NOT EXISTS \"{0}\"; SET search_path = \"{0}\"",
            self.schema
        );
        client.batch_execute(&sql).unwrap();
        client
    }

    /// Has the producers end, everything be worked off by those who are left, and one more of
    /// each, and audits it all.
    #[track_caller]
    pub fn audit(mut self) -> Audit {
        self.end(Role::Producer);
        self.set("CHAOS_WORK", 0);
        if !self.calm {
            self.set("PGQRS_LOCK_TIME", "1s");
        }
        self.start(Role::Worker);
        self.start(Role::Consumer);
        self.drain();
        self.end(Role::Worker);
        self.end(Role::Consumer);
        self.ledgers.iter_mut().for_each(Ledger::read_on);
        let tables = Snapshot::take(&mut self.client());
        Audit::of(&self.ledgers, &tables, self.leases_forgotten)
    }

    /// [`audit`](Self::audit), and finds nothing wrong. Says what there was.
    #[track_caller]
    pub fn holds(self) -> Audit {
        let audit = self.audit();
        println!("{audit}");
        assert!(audit.findings.is_empty(), "{audit}");
        assert!(audit.confirmed > 0 && audit.archived > 0, "{audit}");
        audit
    }

    fn end(&mut self, role: Role) {
        let processes = self.processes.iter_mut();
        let mut ending: Vec<_> = processes.filter(|process| process.role == role).collect();
        ending.iter_mut().for_each(|process| process.end());
        for process in ending {
            process.wait(self.dir.path());
        }
    }

    /// Waits until nothing is left to do. What stays is the audit's to find.
    fn drain(&mut self) {
        let mut client = self.client();
        let left =
            "SELECT (SELECT count(*) FROM pgqrs_live) + (SELECT count(*) FROM pgqrs_scheduled)";
        let (mut least, mut since) = (i64::MAX, Instant::now());
        wait_until("the queue to be worked off, or not", 5 * MINUTE, || {
            let left: i64 = client.query_one(left, &[]).unwrap().get(0);
            if left < least {
                (least, since) = (left, Instant::now());
            }
            left == 0 || since.elapsed() > self.drain
        });
    }
}

/// Has the server end all sessions but the one that asks, and returns how many.
pub fn terminate_sessions(client: &mut Client) -> i64 {
    let sql = "
        SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";
    client.query_one(sql, &[]).unwrap().get(0)
}
