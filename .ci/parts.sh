# For .ci/run and .ci/full: parts of a run, and how long each took.
# shellcheck shell=bash

export CARGO_TERM_COLOR=never CARGO_INCREMENTAL=0

part_name='' part_began=0 part_times=''

# part NAME: the last part has ended, and this one begins.
part() {
    end_part
    part_name=$* part_began=$SECONDS
    printf '\n== %s (at %s s)\n' "$part_name" "$SECONDS"
}

end_part() {
    if [ -n "$part_name" ]; then
        part_times+=$(minutes $((SECONDS - part_began)))"  $part_name"$'\n'
        part_name=''
    fi
}

minutes() {
    printf '%3d:%02d' $(($1 / 60)) $(($1 % 60))
}

# What ends a run: the versions that the logs given say were tested; the times come by themselves.
summary() {
    end_part
    printf '\n== done\nPostgreSQL versions tested:\n'
    cat /dev/null "$@" | grep '^pgqrs tests: PostgreSQL' | sort -u || echo "none in this run"
}

# Also of a run that failed.
times() {
    end_part
    printf 'minutes:seconds of each part:\n%s%s  in all\n' "$part_times" "$(minutes "$SECONDS")"
}
trap times EXIT

# without_docker COMMAND...: for tests that are to run on the machine's own PostgreSQL.
without_docker() {
    DOCKER_HOST=tcp://127.0.0.1:1 "$@"
}

# readme PATTERN: the command in README.md that looks like this, so that it is written down once.
readme() {
    grep -m 1 -E "$1" README.md || {
        echo "README.md has no command like $1" >&2
        return 1
    }
}
