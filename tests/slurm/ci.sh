#!/usr/bin/env bash
# ci.sh - the SLURM step of CI: installs Debian's packages where that is possible, proves that a job runs, then runs the
# tests named below, which may not skip. Where SLURM cannot be had it says why and ends well.
set -uo pipefail
cd "$(dirname "$0")/../.."
PATH=$PATH:/usr/sbin:/sbin
python=$PWD/.venv/bin/python
tests=("$@"); [ $# -gt 0 ] || tests=(tests/workflow/test_slurm.py tests/workflow/test_slurm_faults.py)
leave() { echo "SLURM step left out: $*"; exit 0; }
installed() { for program in slurmctld slurmd munged sbatch srun; do command -v $program >/dev/null || return 1; done; }

[ "$(id -u)" = 0 ] || leave "it needs root to start its own daemons"
if ! installed; then
  command -v apt-get >/dev/null || leave "no slurmctld here, and no apt-get to install it"
  export DEBIAN_FRONTEND=noninteractive
  log=$(mktemp)
  { timeout 120 apt-get -qq update && timeout 300 apt-get -qq install -y --no-install-recommends \
      slurmctld slurmd slurm-client munge; } >"$log" 2>&1 || leave "its packages cannot be installed: $(tail -n 3 "$log")"
  installed || leave "its packages hold no slurmctld, slurmd, munged, sbatch and srun"
fi

folder=$(mktemp -d /tmp/mousefacelift-slurm-XXXXXX); chmod 755 "$folder"
export SLURM_TEST_DIR=$folder/trial
trial() { timeout 60 bash tests/slurm/start-slurm.sh && . "$SLURM_TEST_DIR/env.sh" && timeout 60 srun --mem=100 --gres=gpu:1 true; }
why=$( (trial) 2>&1 ); started=$?
timeout 60 bash tests/slurm/stop-slurm.sh --purge; rm -rf "$folder"; unset SLURM_TEST_DIR
[ $started = 0 ] || leave "no job runs on a one-node cluster here: $(tail -n 5 <<<"$why")"

MFL_REQUIRE_SLURM=1 timeout 900 "$python" -m pytest -m slurm --durations=0 "${tests[@]}"
code=$?
[ $code != 124 ] || leave "not done within 15 minutes on this machine"
exit $code
