//! The PostgreSQL binaries of the machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use std::os::unix::process::CommandExt;

/// Where PostgreSQL is installed beside `PATH`: a directory, and how the names
/// in it begin that have a `bin`. A version may follow.
const PLACES: [(&str, &str); 6] = [
    ("/usr/lib/postgresql", ""),         // Debian
    ("/usr", "pgsql-"),                  // PGDG on Red Hat
    ("/opt/homebrew/opt", "postgresql"), // Homebrew
    ("/usr/local/opt", "postgresql"),    // Homebrew on Intel
    ("/usr/local", "pgsql"),             // from source
    ("/usr/libexec", "postgresql"),      // Alpine
];

/// A directory with PostgreSQL's programs, and how to run them.
#[derive(Debug, Clone)]
pub(super) struct Binaries {
    /// The directory.
    dir: PathBuf,
    /// User and group to run them as, if not our own.
    user: Option<(u32, u32)>,
}

impl Binaries {
    /// Finds them, or says why there are none.
    pub(super) fn find() -> Result<Self, String> {
        let dir = match super::setting("PGQRS_TEST_PG_BIN") {
            Some(dir) => {
                let dir = PathBuf::from(dir);
                if !complete(&dir) {
                    return Err(format!(
                        "PGQRS_TEST_PG_BIN={} has no initdb and postgres in it",
                        dir.display()
                    ));
                }
                dir
            }
            None => on_path()
                .or_else(|| PLACES.iter().find_map(|(dir, prefix)| newest(dir, prefix)))
                .ok_or("no initdb and postgres on PATH or in the usual places")?,
        };
        let user = unprivileged()?;
        Ok(Self {
            dir: resolved(dir),
            user,
        })
    }

    /// The directory they are in.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// User and group that the files of a cluster must belong to, if not ours.
    pub(super) fn user(&self) -> Option<(u32, u32)> {
        self.user
    }

    /// One of the programs, to be run in `dir` by the right user.
    pub(super) fn command(&self, program: &str, dir: &Path) -> Command {
        let mut command = Command::new(self.dir.join(program));
        command
            .current_dir(dir)
            // Messages that we can read, whatever the language of the user.
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }
}

impl Binaries {
    /// One of the programs, run where a file system of so many megabytes, in memory, is mounted on
    /// `place`, which nobody else sees.
    pub(super) fn beside_a_disk(&self, program: &str, place: &Path, megabytes: u32) -> Command {
        // Mounting takes root, which PostgreSQL refuses to be: given up again by setpriv. Or it
        // takes a user namespace, in which one need not be root.
        let script = r#"
            place=$1 size=$2 user=$3 group=$4; shift 4
            if [ "$user" = ours ]; then
                mount -t tmpfs -o "size=$size,mode=0700" tmpfs "$place" && exec "$@"
            else
                mount -t tmpfs -o "size=$size,mode=0700,uid=$user,gid=$group" tmpfs "$place" &&
                    exec setpriv --reuid="$user" --regid="$group" --clear-groups "$@"
            fi"#;
        let mut command = Command::new("unshare");
        let (user, group) = match self.user {
            Some((user, group)) => {
                command.arg("--mount");
                (user.to_string(), group.to_string())
            }
            None => {
                command.args(["--user", "--map-current-user", "--keep-caps", "--mount"]);
                ("ours".to_owned(), "ours".to_owned())
            }
        };
        command
            .args(["sh", "-c", script, "sh"])
            .arg(place)
            .args([format!("{megabytes}m"), user, group])
            .arg(self.dir.join(program))
            .current_dir(place)
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        command
    }
}

/// Whether `dir` has what it takes to make and run a cluster.
fn complete(dir: &Path) -> bool {
    dir.join("initdb").is_file() && dir.join("postgres").is_file()
}

/// The directory that the links in `dir` lead to, which says more about what is
/// being tested.
fn resolved(dir: PathBuf) -> PathBuf {
    let target = dir.join("postgres").canonicalize().ok();
    let parent = target.as_deref().and_then(Path::parent);
    parent
        .filter(|dir| complete(dir))
        .map_or(dir, PathBuf::from)
}

/// The first complete directory of `PATH`.
fn on_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find(|dir| complete(dir))
}

/// The `bin` of the newest version among the entries of `dir` that begin with
/// `prefix`.
fn newest(dir: &str, prefix: &str) -> Option<PathBuf> {
    let found = std::fs::read_dir(dir).ok()?.filter_map(|entry| {
        let entry = entry.ok()?;
        let name = entry.file_name().into_string().ok()?;
        // "17", "-17", "@17", or no version at all.
        let version = name.strip_prefix(prefix)?.trim_start_matches(['-', '@']);
        let major: u32 = version.split('.').next()?.parse().unwrap_or(0);
        let bin = [entry.path().join("bin"), entry.path()]
            .into_iter()
            .find(|bin| complete(bin))?;
        Some((major, bin))
    });
    found.max().map(|(_, bin)| bin)
}

/// The user `postgres`, if we are root: PostgreSQL's programs refuse root.
pub(super) fn unprivileged() -> Result<Option<(u32, u32)>, String> {
    if id(&["-u"])? != 0 {
        return Ok(None);
    }
    let user = |flag| {
        id(&[flag, "postgres"]).map_err(|err| {
            format!("PostgreSQL refuses to run as root, and there is no user postgres: {err}")
        })
    };
    Ok(Some((user("-u")?, user("-g")?)))
}

/// What the command `id` says.
fn id(args: &[&str]) -> Result<u32, String> {
    let output = Command::new("id")
        .args(args)
        .output()
        .map_err(|err| format!("cannot run id: {err}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    said.trim().parse().map_err(|_| {
        let failed = String::from_utf8_lossy(&output.stderr);
        format!("id {}: {}{}", args.join(" "), said, failed.trim())
    })
}
