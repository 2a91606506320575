#!/bin/sh
# Installs what is needed here and is not there yet. Run it again at any time.
#
#     sh tests/setup.sh             for the tests: Rust, a C compiler, PostgreSQL's server programs,
#                                   PgBouncer and libfaketime (only the programs are used; no server
#                                   of yours is touched)
#     sh tests/setup.sh quickstart  for the quickstart: Rust and a C compiler
#
# Rust comes from the distribution if that has a new enough one, else by rustup.
# shellcheck disable=SC2086 # lists of words, here and there
set -eu
began=$(date +%s)
cargo_of_caller=$(command -v cargo || true)
export LC_ALL=C PATH="$HOME/.cargo/bin:$PATH:/usr/sbin"
wanted=$(sed -n 's/^rust-version *= *"\(.*\)".*/\1/p' "$(dirname "$0")/../Cargo.toml" | head -n 1)

say() { printf 'setup: %s\n' "$*"; }
have() { command -v "$1" >/dev/null; }
rust() { if have cargo; then rustc --version 2>/dev/null | cut -d ' ' -f 2; fi; }
minor() { expr "$1" : '1\.\([0-9]*\)' || true; } # 89 of 1.89.0: all Rusts are 1.x
new_enough() { [ "$(minor "$1")" -ge "$(minor "$wanted")" ]; }

any_file() { for file; do [ ! -e "$file" ] || return 0; done; return 1; }

has_postgres() {
    [ -n "${PGQRS_TEST_DSN:-}${PGQRS_TEST_PG_BIN:-}" ] || have initdb ||
        any_file /usr/lib/postgresql/*/bin/initdb /usr/pgsql-*/bin/initdb /usr/local/pgsql/bin/initdb \
            /opt/homebrew/opt/postgresql*/bin/initdb /usr/local/opt/postgresql*/bin/initdb \
            /usr/libexec/postgresql*/initdb
}

has_faketime() { any_file /usr/lib/*/faketime/libfaketimeMT.so.1 /usr/lib*/faketime/libfaketimeMT.so.1; }

lacks=
have cc || lacks=cc
if [ "${1:-}" != quickstart ]; then
    has_postgres || lacks="$lacks postgresql"
    # For the chaos tests: a pooler in between, and a clock that jumps.
    have pgbouncer || lacks="$lacks pgbouncer"
    has_faketime || lacks="$lacks faketime"
fi
found=$(rust)
no_rust=
new_enough "${found:-1.0}" || no_rust=yes

# The last words.
took() {
    [ -n "$cargo_of_caller" ] || [ ! -x "$HOME/.cargo/bin/cargo" ] ||
        say "cargo is in ~/.cargo/bin: put that on the PATH, as a new login shell does"
    say "$*, after $(($(date +%s) - began)) s"
}
if [ -z "$lacks$no_rust" ]; then
    took "nothing to install: everything was there (Rust $found)"
    exit 0
fi

refresh= # for the package manager's lists, where it has some
for manager in apt-get dnf apk brew none; do have $manager && break; done
case $manager in
apt-get) refresh="apt-get update -qq" add="apt-get install -y -qq --no-install-recommends" ;;
dnf) add="dnf install -y -q" ;;
apk) refresh="apk update -q" add="apk add -q" ;;
brew) add="brew install" ;;
none)
    say "there is no package manager here that this script knows; please install:$lacks ${no_rust:+Rust $wanted}"
    exit 1
    ;;
esac

# What the package manager calls the thing $1.
packages_of() {
    case $manager:$1 in
    apt-get:cc) echo gcc libc6-dev ;;
    dnf:cc) echo gcc glibc-devel ;;
    apk:cc) echo gcc musl-dev ;;
    brew:cc) echo gcc ;;
    apt-get:curl) echo curl ca-certificates ;;
    dnf:postgresql) echo postgresql-server postgresql-contrib ;;
    apk:postgresql) echo postgresql postgresql-contrib ;;
    dnf:faketime | apk:faketime | brew:faketime) echo libfaketime ;;
    *) echo "$1" ;;
    esac
}

# The Rusts that the package manager offers, the preferred one first: VERSION PACKAGES...
offers() {
    case $manager in
    apt-get) # the backports only where they are enabled; -web are newer ones, to build browsers with
        apt-cache policy rustc | sed -n 's/^ *Candidate: \([0-9].*\)/\1 cargo rustc ca-certificates/p'
        apt-cache madison rustc |
            sed -n 's#^ *rustc | \([^ ]*\) | .* \([^ ]*-backports\)/.* Packages#\1 -t \2 cargo rustc ca-certificates#p'
        apt-cache policy rustc-web | sed -n 's/^ *Candidate: \([0-9].*\)/\1 cargo-web rustc-web ca-certificates/p'
        ;;
    dnf) dnf -q info rust | sed -n 's/^Version *: *\(.*\)/\1 cargo rust/p' | tail -n 1 ;;
    apk) apk search -x rust | sed -n 's/^rust-\([0-9].*\)/\1 cargo rust/p' ;;
    brew) brew info rust | sed -n '1s/.*stable \([0-9.]*\).*/\1 rust/p' ;;
    esac
}

versions() { # of those packages that are installed
    case $manager in
    apt-get) dpkg-query -W -f '${Status}:${Package} ${Version}\n' "$@" | sed -n 's/^.* installed://p' ;;
    dnf) rpm -q "$@" | grep -v 'not installed' ;;
    apk) apk info -e -v "$@" ;;
    brew) brew list --versions "$@" ;;
    esac 2>/dev/null || true
}

root= # the prefix that makes us root; none where we cannot be
if [ "$(id -u)" = 0 ] || [ $manager = brew ]; then
    root="env"
elif have sudo && sudo true; then
    root="sudo env"
fi
[ -z "$root" ] || [ -z "$refresh" ] || $root $refresh

packages='' rust_packages='' suitable='' rustup=''
for thing in $lacks; do packages="$packages $(packages_of "$thing")"; done
if [ -n "$no_rust" ]; then
    offered=$(offers)
    suitable=$(echo "$offered" | while read -r version names; do
        if new_enough "${version:-1.0}"; then echo "$names" && break; fi
    done)
    state="Rust $wanted or newer is needed, here is ${found:-none}, the distribution has"
    state="$state $(echo "${offered:-none}" | cut -d ' ' -f 1 | paste -s -d ' ' -)"
    # rustup where the distribution's would not be the one that counts, and where it alone needs root.
    if [ -n "$suitable" ] && ! have rustup && [ -n "$root$packages" ]; then
        say "$state: installing the distribution's ($suitable)"
        rust_packages=$suitable
    else
        say "$state: installing it with rustup"
        rustup=yes
        have rustup || have curl || packages="$packages $(packages_of curl)"
    fi
fi

asked="$packages ${rust_packages#-t * }"
before=$(versions $asked)
if [ -n "$packages$rust_packages" ]; then
    command=${packages:+"$add$packages"}${rust_packages:+"${packages:+ && }$add $rust_packages"}
    if [ -z "$root" ]; then
        say "this needs root, and there is no sudo that makes us root. Ask an administrator for"
        say "    ${refresh:+$refresh && }$command"
        say "and run this again."
        exit 1
    fi
    say "installing$packages${rust_packages:+ $rust_packages}"
    # Debian would make a cluster along with PostgreSQL's programs, and start it.
    debian=/etc/postgresql-common
    case $manager$packages in apt-get*postgresql*)
        trap '$root rm -f $debian/createcluster.d/pgqrs.conf' EXIT
        $root sh -c "mkdir -p $debian/createcluster.d
            echo create_main_cluster = false >$debian/createcluster.d/pgqrs.conf" ;;
    esac
    $root DEBIAN_FRONTEND=noninteractive sh -c "$command" >/dev/null
fi
if [ -n "$rustup" ] && have rustup; then
    rustup update stable && [ -n "$found" ] || rustup default stable || true
elif [ -n "$rustup" ]; then
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal || true
fi

found=$(rust)
if ! new_enough "${found:-1.0}"; then
    say "$state, and rustup did not bring it."
    if [ -n "$suitable" ] && ! have rustup; then
        say "Ask an administrator for: $add $suitable"
    else
        say "Does this machine reach rustup's servers? If not, put a newer cargo and rustc on the PATH, or use"
        say "a newer distribution (of Debian: trixie does), and run this again."
    fi
    exit 1
fi
versions $asked | grep -vxF "${before:-none}" | sed 's/^/setup: installed /'
[ -z "$rustup" ] || say "installed Rust $found with rustup"
took "everything is there (Rust $found)"
