#!/usr/bin/env bash
# stop-slurm.sh [--purge] - stop what start-slurm.sh started, by process id, and what outlived it: jobs of a lost node, which
# go on as on a real cluster and carry ONE_NODE_TRIAL, and step daemons that wait for a controller, in a folder below its own.
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
for process in $(cd /proc && ls -d [0-9]*); do
  [ "$process" != $$ ] && [ "$process" != $PPID ] || continue
  case "$(readlink "/proc/$process/cwd")" in "$DIR"/*) kill -9 "$process" 2>/dev/null ;; esac
  { tr '\0' '\n' <"/proc/$process/environ" | grep -qxF "ONE_NODE_TRIAL=$DIR" && kill -9 "$process"; } 2>/dev/null
done
if grep -qsF " # $DIR" /etc/hosts; then  # a line of start-slurm.sh; the file may be a mount, which no rename can replace
  kept=$(grep -vF " # $DIR" /etc/hosts); printf '%s\n' "$kept" >/etc/hosts
fi
[ "${1:-}" = --purge ] && rm -rf "$DIR"
exit 0
