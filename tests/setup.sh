#!/bin/sh
# Installs what the tests and the examples need and is not there yet: Rust, a C linker,
# PostgreSQL's server programs, PgBouncer and libfaketime (only the programs are used; no
# server of yours is touched). Run it again at any time.
set -eu

say() { printf 'setup: %s\n' "$*"; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# install THING... by whatever package manager there is: cc, postgresql, curl, pgbouncer, faketime.
install() {
    say "installing $*"
    if command -v apt-get >/dev/null; then
        as_root apt-get update -qq
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
            $(echo "$@" | sed 's/cc/gcc libc6-dev/; s/curl/curl ca-certificates/') >/dev/null
    elif command -v dnf >/dev/null; then
        as_root dnf install -y -q $(echo "$@" | sed 's/cc/gcc glibc-devel/; s/postgresql/postgresql-server postgresql-contrib/; s/faketime/libfaketime/')
    elif command -v apk >/dev/null; then
        as_root apk add -q $(echo "$@" | sed 's/cc/gcc musl-dev/; s/postgresql/postgresql postgresql-contrib/; s/faketime/libfaketime/')
    elif command -v brew >/dev/null; then
        brew install $(echo "$@" | sed 's/cc/gcc/; s/faketime/libfaketime/')
    else
        say "there is no package manager here that this script knows; please install: $*"
        exit 1
    fi
}

has_postgres() {
    [ -n "${PGQRS_TEST_DSN:-}${PGQRS_TEST_PG_BIN:-}" ] && return 0
    command -v initdb >/dev/null && return 0
    for dir in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/local/pgsql/bin \
        /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin /usr/libexec/postgresql*; do
        [ -x "$dir/initdb" ] && return 0
    done
    return 1
}

has_pgbouncer() { PATH="$PATH:/usr/sbin" command -v pgbouncer >/dev/null; }

has_faketime() { ls /usr/lib/*/faketime/libfaketimeMT.so.1 /usr/lib*/faketime/libfaketimeMT.so.1 2>/dev/null | grep -q .; }

command -v cc >/dev/null || install cc
has_postgres || install postgresql
# For the chaos tests: a pooler in between, and a clock that jumps.
has_pgbouncer || install pgbouncer
has_faketime || install faketime

PATH="$PATH:$HOME/.cargo/bin"
if ! command -v cargo >/dev/null; then
    command -v curl >/dev/null || install curl
    say "installing Rust with rustup"
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal
fi
say "everything is there"
