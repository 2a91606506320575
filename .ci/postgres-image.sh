#!/usr/bin/env bash
# Builds a local Docker image of Debian's own PostgreSQL without any image
# registry, for machines that have a Docker engine and a Debian mirror but
# cannot pull:
#
#     .ci/postgres-image.sh pgqrs-test-postgres:17
#     PGQRS_TEST_IMAGE=pgqrs-test-postgres:17 cargo test
#
# The mirror is one of those the machine's apt is set up with (or the
# environment variable DEBIAN_MIRROR); apt's proxy is used too. Needs root, for
# debootstrap. Takes about a minute; nothing is done when the tag exists.
set -euo pipefail

suite=trixie

say() { echo "postgres-image: $*" >&2; }
die() { say "$*"; exit 1; }

[ $# -eq 1 ] || die "usage: $0 IMAGE:TAG"
tag=$1

command -v docker >/dev/null || die "there is no docker command"
docker version >/dev/null || die "the Docker engine does not answer"
if docker image inspect "$tag" >/dev/null 2>&1; then
    say "$tag exists already"
    exit 0
fi
command -v apt-get >/dev/null || die "this needs a Debian-like machine (no apt-get)"
[ "$(id -u)" = 0 ] || die "debootstrap needs root (try sudo)"

# /var/tmp, not /tmp: the tree takes some 700 MB and /tmp may be a memory disk.
work=$(mktemp -d "${TMPDIR:-/var/tmp}/postgres-image.XXXXXX")
root=$work/root
base=$(basename "$work" | tr '[:upper:].' '[:lower:]-'):base
imported=

clean() {
    trap - EXIT
    # An interrupted debootstrap leaves file systems mounted in the tree, and
    # removing it must not go through them.
    awk -v under="$root/" 'index($2, under) == 1 { print $2 }' /proc/mounts | sort -r |
        while read -r mounted; do umount -l "$mounted" || true; done
    rm -rf --one-file-system -- "$work"
    # Only the tag goes: the layers are part of the finished image.
    [ -z "$imported" ] || docker image rm --no-prune "$base" >/dev/null 2>&1 || true
}
trap clean EXIT
trap 'exit 130' HUP INT TERM

# Debian's archive keys, to verify the mirror with.
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
missing=
command -v debootstrap >/dev/null || missing="debootstrap"
[ -e "$keyring" ] || missing="$missing debian-archive-keyring"
command -v gpgv >/dev/null || missing="$missing gpgv"
if [ -n "$missing" ]; then
    say "installing $missing"
    apt-get update -qq
    # shellcheck disable=SC2086 # a list of words
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $missing >/dev/null
fi

# Whether the mirror $1 carries the suite, asked by apt's own downloader, so
# that its proxies and certificates hold.
carries() {
    /usr/lib/apt/apt-helper download-file "$1/dists/$suite/InRelease" "$work/InRelease" \
        >/dev/null 2>&1
}

# The mirrors apt knows, in either of its two file formats.
mirrors() {
    # shellcheck disable=SC2016 # apt expands it
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
        sed 's#/*$##' | grep -E '^(https?|file):' | awk '!seen[$0]++'
}

mirror=
for candidate in ${DEBIAN_MIRROR:-$(mirrors)}; do
    if carries "$candidate"; then
        mirror=$candidate
        break
    fi
done
[ -n "$mirror" ] || die "no mirror of apt's carries Debian $suite; set DEBIAN_MIRROR"

# debootstrap downloads with wget, which knows nothing of apt's proxies.
proxy=
eval "$(apt-config shell proxy Acquire::http::Proxy)"
if [ -n "$proxy" ] && [ "$proxy" != DIRECT ]; then
    export http_proxy="${http_proxy:-$proxy}"
fi

say "installing Debian $suite with PostgreSQL from ${mirror##*@}"
debootstrap --variant=minbase --include=postgresql --keyring="$keyring" \
    "$suite" "$root" "$mirror" >"$work/log" 2>&1 || {
    tail -n 30 "$work/log" >&2
    die "debootstrap failed"
}
bin=$(cd "$root" && echo usr/lib/postgresql/*/bin)
[ -x "$root/$bin/postgres" ] || die "debootstrap installed no PostgreSQL in /$bin"

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
say "$tag is ready"
