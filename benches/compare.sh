#!/bin/sh
# Is this tree slower than another commit? Runs the benches there, saves that as the baseline, runs
# them here, and has criterion compare: on the same machine, one right after the other.
#
#   benches/compare.sh [COMMIT] [BENCH FILTER …]      COMMIT: the last one, unless given
set -eu
cd "$(dirname "$0")/.."
commit=${1:-HEAD}
[ $# -eq 0 ] || shift
there=$(mktemp -d)
trap 'git worktree remove --force "$there/tree" 2>/dev/null; rm -rf "$there"' EXIT
git worktree add --quiet --detach "$there/tree" "$commit"

# The figures in one place, the builds in two: in a shared one cargo takes the binary of the other
# tree for this one's.
export CRITERION_HOME="$PWD/target/criterion"
before="$PWD/target/before"
bench() { cargo bench --bench batch_dequeue --bench pool -- "$@"; }
(cd "$there/tree" && CARGO_TARGET_DIR="$before" bench --save-baseline before "$@")
# lenient: what is new here has nothing to be compared with
bench --baseline-lenient before "$@"
