"""The Nextflow engine: the same tasks, run by Nextflow on this machine, on Slurm or whatever a site has."""

from pipeline.workflow.nextflow.engine import run_nextflow

__all__ = ["run_nextflow"]
