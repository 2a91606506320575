#!/usr/bin/env bash
# The README's commands on a machine that has nothing but a package manager: a
# container of bare Debian (debootstrap, no image registry), thrown away after.
#
#     .ci/bare.sh trixie root            both commands of "Try it", as root
#     .ci/bare.sh forky user             as a person with sudo
#     .ci/bare.sh forky user quickstart  only the first of the two (or: tests)
#     .ci/bare.sh bookworm nosudo setup  as a person without; only what tests/setup.sh does
#     .ci/bare.sh trixie-backports root  with Debian's backports enabled
#     .ci/bare.sh forky root run COMMAND another command, in a checkout
#
# The script takes the commands out of README.md, and tries the committed HEAD, as
# a tar: a bare machine has no git. The container has no Docker, so the tests use
# the PostgreSQL that tests/setup.sh installs. From this machine the container gets
# the network, apt's proxy and mirror, and the certificates that are trusted.
# debootstrap needs root. The bare image is kept: pgqrs-bare:SUITE.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "bare: $*" >&2; }
die() { say "$*"; exit 1; }

name=${1:-} who=${2:-} what=${3:-all} command=${4:-}
suite=${name%-backports}
[[ -n $name && $who =~ ^(root|user|nosudo)$ && $what =~ ^(setup|quickstart|tests|all|run)$ ]] ||
    die "usage: $0 SUITE root|user|nosudo [all|setup|quickstart|tests|run COMMAND]"

# The commands of the section "Try it": the first of each kind, as it stands in a code fence.
commands=$(sed -n '/^## Try it/,/^## [^T]/p' README.md | awk '/^```/ { code = !code; next } code')
quickstart=$(grep -m 1 'cargo run .*quickstart$' <<<"$commands") || die "README.md: no quickstart"
tests=$(grep -m 1 'setup.sh.* cargo test$' <<<"$commands") || die "README.md: no tests"

docker version >/dev/null || die "the Docker engine does not answer"
image=pgqrs-bare:$suite
if ! docker image inspect "$image" >/dev/null 2>&1; then
    ( # whose end removes the folder
        include=
        # shellcheck source=.ci/debian.sh
        . .ci/debian.sh
        echo "deb $mirror $suite main" >"$root/etc/apt/sources.list"
        rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*
        say "importing it into Docker"
        tar -C "$root" --numeric-owner --one-file-system \
            --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' -c . |
            docker import - "$image" >/dev/null
        say "$image is ready, after $SECONDS s"
    )
fi

# The rights one has on a machine: tests fill small disks, mounted in namespaces of their own.
options=(--network host --init --shm-size 1g --cap-add SYS_ADMIN
    --security-opt seccomp=unconfined --security-opt apparmor=unconfined)
# What this machine needs to get at packages, for cargo and curl; apt's settings follow.
if [ -n "${SSL_CERT_FILE:-}" ]; then
    for variable in CARGO_HTTP_CAINFO CURL_CA_BUNDLE; do
        options+=(--env "$variable=/machine-certificates.pem")
    done
    options+=(--volume "$SSL_CERT_FILE:/machine-certificates.pem:ro")
fi

container=
log=$(mktemp)
trap 'rm -f "$log"; [ -z "$container" ] || docker rm -f "$container" >/dev/null || true' EXIT
trap 'exit 130' HUP INT TERM
container=$(docker run -d "${options[@]}" "$image" sleep infinity)
as_root() { docker exec -i "$container" "$@"; }

apt-config dump | grep -E '^Acquire::(https?::Proxy|Check-Valid-Until) ' |
    as_root sh -c 'cat >/etc/apt/apt.conf.d/99machine' || true
if [ "$name" != "$suite" ]; then
    as_root sed -i "p; s/ $suite main/ $name main/" /etc/apt/sources.list
fi

account=root home=/root
if [ "$who" != root ]; then
    account=ada home=/home/ada
    as_root useradd --create-home --shell /bin/bash ada
fi
if [ "$who" = user ]; then # a person's machine has sudo; here it asks for no password
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends sudo >/dev/null
    as_root sh -c 'echo "ada ALL=(ALL) NOPASSWD: ALL" >/etc/sudoers.d/ada; rm -rf /var/lib/apt/lists/*'
fi
as_account() { docker exec -i -u "$account" -w "$1" "$container" "${@:2}"; }
git archive --prefix=pgqrs/ HEAD | as_account "$home" tar -x

echo "== Debian $name ($(as_root cat /etc/debian_version)), as $who, $(nproc) cores, of $(git rev-parse --short HEAD)"
# Runs the command $1 and says how long it took.
try() {
    local began=$SECONDS status=0
    printf '\n$ %s\n' "$1"
    as_account "$home/pgqrs" sh -c "$1" </dev/null 2>&1 | tee "$log" || status=$?
    echo "== $((SECONDS - began)) s, exit status $status"
    return "$status"
}

if [ "$what" = run ]; then
    try "$command"
    exit
fi
if [ "$what" = setup ]; then
    try "sh tests/setup.sh quickstart"
    try "sh tests/setup.sh"
    try "sh tests/setup.sh"
    exit
fi
if [ "$what" != tests ]; then
    try "sh tests/setup.sh quickstart" # the README leaves Rust and a C compiler to it
    try "PATH=\"\$HOME/.cargo/bin:\$PATH\"; $quickstart"
fi
status=0
[ "$what" = quickstart ] || try "$tests" || status=$?
# shellcheck disable=SC2016 # for the shell in there
as_account "$home" sh -c 'PATH="$HOME/.cargo/bin:$PATH"
    rust=$(command -v cargo) && echo "== Rust: $(rustc --version), $(dpkg -S "$rust" 2>/dev/null || echo "$rust")"'
grep '^pgqrs tests: PostgreSQL' "$log" | sort | uniq -c || true
awk '/^test result:/ { n++; passed += $4; failed += $6; ignored += $8 }
    END { if (n) print "== " passed " passed, " failed " failed, " ignored " ignored" }' "$log"
exit "$status"
