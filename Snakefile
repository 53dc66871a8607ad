# From a recording to a trained model and a report. Stages in pipeline order; every number is in config.yaml.
#   snakemake --cores 8 --resources gpu=2        snakemake -n        snakemake sweep        snakemake -R fit_splats --until fit_splats
from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.19")


configfile: "config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/virtual.smk"
include: "workflow/rules/capture.smk"
include: "workflow/rules/distill.smk"
include: "workflow/rules/splats.smk"
include: "workflow/rules/objects.smk"
include: "workflow/rules/dataset.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/single.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/prior.smk"
include: "workflow/rules/experiment.smk"
include: "workflow/rules/embed.smk"


onstart:
    try:
        planning.check_cluster(workflow.executor_plugin.name)
    except ConfigError as error:
        raise WorkflowError(f"ConfigError: {error}")


localrules:
    all,
    sweep,
    prior,
    experiment,
    ingredients,
    embed,
    list_chunks,


rule all:
    default_target: True
    input:
        "results/report/index.html",


rule sweep:
    input:
        "results/evaluate/sweep.csv",
        "results/evaluate/sweep_arms.csv",
        "results/decide/sweep/decision.json",


rule prior:
    input:
        "results/prior/train/weights.safetensors",


rule experiment:
    input:
        f"results/experiment/{EXPERIMENT}/cells.csv",


rule ingredients:
    input:
        "results/experiment/ingredients/ingredients.csv",


rule embed:
    input:
        expand("results/embed/{recording}/embedding.parquet", recording=RECORDINGS),
