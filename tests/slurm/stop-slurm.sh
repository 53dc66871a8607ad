#!/usr/bin/env bash
# stop-slurm.sh [--purge] - stop what start-slurm.sh started, by process id.
set -u
DIR=${SLURM_TEST_DIR:-${TMPDIR:-/tmp}/slurm-test}
export SLURM_CONF="$DIR/etc/slurm.conf"
[ -d "$DIR" ] || exit 0
[ -f "$SLURM_CONF" ] && timeout 10 scancel --state=PENDING,RUNNING --user="$(id -un)" 2>/dev/null
end() { # pidfile seconds
  [ -s "$1" ] || return 0
  local p; p=$(cat "$1"); kill "$p" 2>/dev/null || { rm -f "$1"; return 0; }
  for _ in $(seq $(($2*10))); do kill -0 "$p" 2>/dev/null || { rm -f "$1"; return 0; }; sleep .1; done
  kill -9 "$p" 2>/dev/null; rm -f "$1"
}
end "$DIR/run/slurmd.pid" 10
end "$DIR/run/slurmctld.pid" 10
end "$DIR/run/munged.pid" 5
[ "${1:-}" = --purge ] && rm -rf "$DIR"
exit 0
