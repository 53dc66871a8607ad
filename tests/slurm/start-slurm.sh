#!/usr/bin/env bash
# start-slurm.sh - a real, single-node SLURM on loopback, for tests. Idempotent.
#
#   start-slurm.sh      start (or adopt) the cluster without accounting; prints the env file to source
#
# Everything that it makes lies under $SLURM_TEST_DIR (default slurm-test in the temporary folder);
# nothing under /etc is touched and no daemon needs systemd or cgroups.
# Needs: apt-get install --no-install-recommends slurmctld slurmd slurm-client munge
set -euo pipefail

DIR=${SLURM_TEST_DIR:-${TMPDIR:-/tmp}/slurm-test}
GPUS=${SLURM_TEST_GPUS:-2}          # fake GPUs on the node
CPUS=${SLURM_TEST_CPUS:-8}          # CPUs that SLURM believes in (config_overrides)
MEM=${SLURM_TEST_MEM:-16000}        # MB that SLURM believes in
HERE=$(cd "$(dirname "$0")" && pwd)
HOST=$(hostname -s)
t0=$(date +%s.%N)
trap 'echo "start-slurm.sh: failed at line $LINENO; logs:" >&2; tail -n 15 "$DIR"/log/*.out "$DIR"/log/*.log "$DIR"/log/*.err >&2 2>/dev/null' ERR

[ "$(id -u)" = 0 ] || { echo "start-slurm.sh: run as root" >&2; exit 2; }
for b in slurmctld slurmd munged sinfo; do
  command -v "$b" >/dev/null || { echo "start-slurm.sh: $b is not installed" >&2; exit 2; }
done
# SLURM resolves node and controller by name: the name must be loopback, here.
getent ahostsv4 "$HOST" | grep -q '^127\.' || {
  if [ -w /etc/hosts ]; then echo "127.0.0.1 $HOST # $DIR" >>/etc/hosts; else
    echo "start-slurm.sh: $HOST does not resolve to 127.x" >&2; exit 2; fi; }

mkdir -p "$DIR"/{etc,run,log,state,spool,dev}
chmod 755 "$DIR" "$DIR"/{etc,run,log,dev}

# Ports: BASE slurmctld, +1 slurmd, +10..+200 srun; the first free ones, kept for a restart.
if [ ! -s "$DIR/port" ]; then
  BASE=16817
  while (exec 3<>"/dev/tcp/127.0.0.1/$BASE") 2>/dev/null || (exec 3<>"/dev/tcp/127.0.0.1/$((BASE+1))") 2>/dev/null; do
    BASE=$((BASE+300)); [ $BASE -lt 30000 ] || { echo "start-slurm.sh: no free ports" >&2; exit 2; }
  done
  echo $BASE >"$DIR/port"
fi
BASE=$(cat "$DIR/port")

alive() { [ -s "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null; }

# --- munge: the daemon refuses group/world-writable parents, so the socket has its own folder
if ! alive "$DIR/run/munged.pid"; then
  rm -f "$DIR"/run/munge.socket* "$DIR"/run/munged.pid
  [ -s "$DIR/etc/munge.key" ] || (umask 077; head -c 128 /dev/urandom >"$DIR/etc/munge.key")
  munged --force --key-file="$DIR/etc/munge.key" --socket="$DIR/run/munge.socket" \
    --pid-file="$DIR/run/munged.pid" --log-file="$DIR/log/munged.log" \
    --seed-file="$DIR/state/munged.seed" --num-threads=2 --origin=127.0.0.1 >>"$DIR/log/munged.err" 2>&1
fi

# --- fake GPUs: SLURM wants character devices whose names end in the index, and never opens
# them, so each is another name for /dev/null; where mknod is refused, /dev/tty0.. serve.
GRES=""
if [ "$GPUS" -gt 0 ]; then
  GRES="Gres=gpu:fake:$GPUS"
  FILE="$DIR/dev/fakegpu"
  for i in $(seq 0 $((GPUS-1))); do
    [ -c "$FILE$i" ] || { rm -f "$FILE$i"; mknod "$FILE$i" c 1 3 2>/dev/null || FILE=/dev/tty; }
  done
  sed -e "s#@FILE@#$FILE#g" -e "s#@LAST@#$((GPUS-1))#g" -e "s#@HOST@#$HOST#g" \
    "$HERE/gres.conf.in" >"$DIR/etc/gres.conf"
else : >"$DIR/etc/gres.conf"; fi

sed -e "s#@DIR@#$DIR#g" -e "s#@HOST@#$HOST#g" -e "s#@CPUS@#$CPUS#g" -e "s#@MEM@#$MEM#g" \
    -e "s#@GRES@#$GRES#g" -e "s#@CTLD@#$BASE#g" -e "s#@SLURMD@#$((BASE+1))#g" \
    -e "s#@SRUN@#$((BASE+10))-$((BASE+200))#g" \
    "$HERE/slurm.conf.in" >"$DIR/etc/slurm.conf"
export SLURM_CONF="$DIR/etc/slurm.conf"

# --- the cluster itself
alive "$DIR/run/slurmctld.pid" || slurmctld >"$DIR/log/slurmctld.out" 2>&1
alive "$DIR/run/slurmd.pid"    || slurmd -N "$HOST" >"$DIR/log/slurmd.out" 2>&1

# --- ready? (a node left down by an earlier stop or kill is brought back)
ok=0
for n in $(seq 300); do
  st=$(sinfo -h -o %T 2>/dev/null | head -1 || true)
  case "$st" in
    idle|mixed|allocated) ok=1; break ;;
    # ReturnToService=2 brings a node back when its slurmd registers; only a node that an
    # operator (or a failed job) put aside needs a push, and not before slurmd has registered:
    # a job started on it earlier than that has no GPUs.
    down*|drained*|unknown*) [ "$n" -lt 50 ] || scontrol update nodename="$HOST" state=resume 2>/dev/null || true ;;
  esac
  sleep .1
done
# snakemake-executor-plugin-slurm-jobstep drops every SLURM_* variable but a few before it
# calls srun, SLURM_CONF with them; this srun puts it back, so /etc/slurm stays untouched.
mkdir -p "$DIR/bin"
printf '#!/bin/sh\nSLURM_CONF=%s exec %s "$@"\n' "$SLURM_CONF" "$(PATH=${PATH//$DIR\/bin:/} command -v srun)" >"$DIR/bin/srun"
chmod 755 "$DIR/bin/srun"
cat >"$DIR/env.sh" <<ENV
export SLURM_CONF=$SLURM_CONF
case ":\$PATH:" in *":$DIR/bin:"*) ;; *) export PATH=$DIR/bin:\$PATH ;; esac
ENV
if [ $ok != 1 ]; then
  echo "start-slurm.sh: not ready; last lines of the logs:" >&2
  tail -n 15 "$DIR"/log/*.log >&2; exit 1
fi
printf 'slurm %s: %s, %s GPUs, state %s, ready in %.1f s\n  . %s\n' "$(sinfo -V | cut -d' ' -f2)" \
  "$HOST" "$GPUS" "$st" "$(echo "$(date +%s.%N) - $t0" | bc -l 2>/dev/null || python3 -c "import time;print(time.time()-$t0)")" "$DIR/env.sh"
