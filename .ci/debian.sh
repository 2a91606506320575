# Sourced by the scripts that make Docker images of Debian without any image
# registry: leaves Debian $suite, with the packages $include, in the folder $root,
# and removes that when the script ends. $mirror is where it came from.
# shellcheck shell=bash disable=SC2154 # suite and include are the script's

command -v apt-get >/dev/null || die "this needs a Debian-like machine (no apt-get)"
[ "$(id -u)" = 0 ] || die "debootstrap needs root (try sudo)"

# /var/tmp, not /tmp: the tree takes some 700 MB and /tmp may be a memory disk.
work=$(mktemp -d "${TMPDIR:-/var/tmp}/debian.XXXXXX")
root=$work/root
at_exit() { :; } # what the script itself has to clean up
clean() {
    trap - EXIT
    # An interrupted debootstrap leaves file systems mounted in the tree, and
    # removing it must not go through them.
    awk -v under="$root/" 'index($2, under) == 1 { print $2 }' /proc/mounts | sort -r |
        while read -r mounted; do umount -l "$mounted" || true; done
    rm -rf --one-file-system -- "$work"
    at_exit
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

say "installing Debian $suite from ${mirror##*@}"
# An older debootstrap does not know the newest suites; they are made as sid is.
script=/usr/share/debootstrap/scripts/$suite
[ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid
debootstrap --variant=minbase ${include:+"--include=$include"} --keyring="$keyring" \
    "$suite" "$root" "$mirror" "$script" >"$work/log" 2>&1 || {
    tail -n 30 "$work/log" >&2
    die "debootstrap failed"
}
