#!/usr/bin/env bash
# Builds a local Docker image of Debian's own PostgreSQL without any image
# registry, for machines that have a Docker engine and a Debian mirror but
# cannot pull:
#
#     .ci/postgres-image.sh pgqrs-test-postgres:18
#     PGQRS_TEST_IMAGE=pgqrs-test-postgres:18 cargo test
#
# The tag says which PostgreSQL, and so which Debian: each suite has one version.
# 15 is bookworm's, 17 trixie's, 18 forky's; no suite has 14 or 16. Another suite can
# be named after the tag.
#
# The mirror is one of those the machine's apt is set up with (or the
# environment variable DEBIAN_MIRROR); apt's proxy is used too. Needs root, for
# debootstrap. Takes about 100 s; nothing is done when the tag exists.
set -euo pipefail

say() { echo "postgres-image: $*" >&2; }
die() { say "$*"; exit 1; }

[ $# -eq 1 ] || [ $# -eq 2 ] || die "usage: $0 IMAGE:TAG [SUITE]"
tag=$1
version=${tag##*:}
version=${version%%[!0-9]*} # 18 of 18-forky; empty where the tag begins with no number
suite=${2:-}
if [ -z "$suite" ]; then
    case $version in
    15) suite=bookworm ;;
    17) suite=trixie ;;
    18) suite=forky ;;
    *) die "which Debian has PostgreSQL '$version'? 15 is in bookworm, 17 in trixie, 18 in" \
        "forky, 14 and 16 in none; else name the suite: $0 $tag SUITE" ;;
    esac
fi

command -v docker >/dev/null || die "there is no docker command"
docker version >/dev/null || die "the Docker engine does not answer"
if docker image inspect "$tag" >/dev/null 2>&1; then
    say "$tag exists already"
    exit 0
fi
include=postgresql
# shellcheck source=.ci/debian.sh
. "$(dirname "$0")/debian.sh"
base=$(basename "$work" | tr '[:upper:].' '[:lower:]-'):base
imported=
at_exit() {
    # Only the tag goes: the layers are part of the finished image.
    [ -z "$imported" ] || docker image rm --no-prune "$base" >/dev/null 2>&1 || true
}

bin=$(cd "$root" && echo usr/lib/postgresql/*/bin)
[ -x "$root/$bin/postgres" ] || die "debootstrap installed no PostgreSQL in /$bin"
[ -z "$version" ] || [ "$version" = "$(basename "${bin%/bin}")" ] ||
    die "Debian $suite has another PostgreSQL than $version: /$bin"

say "importing it into Docker"
data=/var/lib/postgresql/data
chroot "$root" install -d -o postgres -g postgres -m 0700 "$data"
imported=yes
# The cluster that the package made is of no use: the image makes its own.
tar -C "$root" --numeric-owner --one-file-system \
    --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' \
    --exclude='./var/cache/apt/*' --exclude='./var/lib/apt/lists/*' \
    --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' \
    --exclude='./usr/share/locale/*' --exclude='./var/lib/postgresql/[0-9]*' \
    -c . |
    docker import \
        --change "ENV PATH=/$bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
        --change "ENV PGDATA=$data" \
        --change "ENV LANG=C.UTF-8" \
        --change "USER postgres" \
        --change "EXPOSE 5432" \
        --change 'CMD ["postgres"]' \
        - "$base" >/dev/null

say "building $tag"
# The durability settings stay at their defaults: fsync is on.
docker build --network none -t "$tag" - >"$work/log" 2>&1 <<DOCKERFILE || {
FROM $base
RUN initdb --username=postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 \
 && echo "listen_addresses = '*'" >> $data/postgresql.conf \
 && echo "max_connections = 500" >> $data/postgresql.conf \
 && echo "host all all all trust" >> $data/pg_hba.conf
VOLUME $data
STOPSIGNAL SIGINT
DOCKERFILE
    tail -n 30 "$work/log" >&2
    die "docker build failed"
}
say "$tag is ready, of Debian $suite, after $SECONDS s"
