#!/usr/bin/env bash
# ci.sh - the SLURM step of CI: installs Debian's packages where that is possible, proves that a job runs, then runs the
# tests named below, which may not skip. Where SLURM cannot be had it says why and ends well; nothing here can wait for ever.
set -uo pipefail
cd "$(dirname "$0")/../.."
PATH=$PATH:/usr/sbin:/sbin
tests=("$@"); [ $# -gt 0 ] || tests=(-m "slurm and not slow" tests/workflow/test_slurm.py tests/workflow/test_slurm_faults.py)
leave() { echo "SLURM step left out: $*"; exit 0; }
installed() { for program in slurmctld slurmd munged sbatch srun; do command -v $program >/dev/null || return 1; done; }

[ "$(id -u)" = 0 ] || leave "it needs root to start its own daemons"
folder=$(mktemp -d /tmp/mousefacelift-slurm-XXXXXX); chmod 755 "$folder"
stop() { SLURM_TEST_DIR=$folder/c timeout -k 5 60 bash tests/slurm/stop-slurm.sh --purge; }
trap 'stop; rm -rf "$folder"' EXIT

if ! installed; then
  command -v apt-get >/dev/null || leave "no slurmctld here, and no apt-get to install it"
  export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 # 1: no service of theirs is started
  packages=(slurmctld slurmd slurm-client munge)
  { timeout -k 5 120 apt-get -qq update; timeout -k 5 300 apt-get -qq install -y --no-install-recommends "${packages[@]}"; } \
    </dev/null >"$folder/log" 2>&1 || leave "its packages cannot be installed: $(tail -n 3 "$folder/log")"
  installed || leave "its packages hold no slurmctld, slurmd, munged, sbatch and srun"
fi

trial() (
  export SLURM_TEST_DIR=$folder/c
  timeout -k 5 90 bash tests/slurm/start-slurm.sh && . "$SLURM_TEST_DIR/env.sh" && timeout -k 5 60 srun --mem=100 --gres=gpu:1 true
)
trial </dev/null >"$folder/log" 2>&1 || leave "no job runs on a one-node cluster here: $(tail -n 5 "$folder/log")"
stop

export MFL_REQUIRE_SLURM=1 SLURM_TEST_DIR=$folder OMP_NUM_THREADS=1
timeout -k 30 "${MFL_SLURM_SECONDS:-600}" .venv/bin/python -m pytest --durations=0 "${tests[@]}" </dev/null
code=$?
[ $code != 124 ] && [ $code != 137 ] || leave "its tests are not done in ${MFL_SLURM_SECONDS:-600} s on this machine"
exit $code
