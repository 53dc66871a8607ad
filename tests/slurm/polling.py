"""Snakemake with its SLURM jobs asked after every two seconds: `python polling.py ARGUMENTS OF SNAKEMAKE`.

The executor waits ten seconds longer after every question that finds no job finished, up to three minutes, and no
option limits that; right for jobs of an hour, three quarters of the time of a run whose jobs take seconds.
"""

import asyncio

from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

SECONDS = 2.0
RemoteExecutor.sleep = lambda self: asyncio.sleep(SECONDS)

if __name__ == "__main__":
    main()
