# The configuration is checked; names, chunks and parameters shared by the rules. No logic of any stage lives here.
import sys
from pathlib import Path

sys.path.insert(0, workflow.basedir)

from mousefacelift import inputs, notes, planning, schema, workflow as flow
from mousefacelift.errors import ConfigError
from mousefacelift.experiment.config import find_assets, read_ingredients, read_trial

flow.use_checkout()
EXPERIMENT = config.pop(
    "experiment", "core"
)  # a word of the command line, no key of config.yaml
EXPERIMENT_FILE = f"{workflow.basedir}/workflow/experiments/{EXPERIMENT}.yaml"
INGREDIENTS_FILE = f"{workflow.basedir}/workflow/experiments/objects/ingredients.yaml"
ASSETS = config.pop("assets", None)  # another word of the command line
try:
    TRIAL = read_trial(EXPERIMENT_FILE)
    INGREDIENTS = read_ingredients(INGREDIENTS_FILE)
    planning.refuse_repeated_keys(workflow.configfiles)
    planning.keep_named_recordings(
        config, workflow.configfiles, workflow.overwrite_configfiles
    )
    config.update(schema.complete(config))
    planning.check_plan(config)
    planning.refuse_outputs(
        config,
        flow.run_names(config, config["arms"], [config["seed"]])
        + flow.run_names(config, config["sweep"], config["sweep_seeds"]),
    )
    planning.check_start(config)
    planning.refuse_cameras(config)
except ConfigError as error:
    print(f"ConfigError: {error}", file=sys.stderr)
    sys.exit(error.exit_code)
if workflow.is_main_process:
    for note in notes.notes(config):
        print(f"note: {note}", file=sys.stderr)

RECORDINGS = config["recordings"]
VIRTUAL = [
    name for name, recording in RECORDINGS.items() if recording["path"] == "virtual"
]
LEARNT = [
    name
    for name in RECORDINGS
    if name in (config["distill"]["recordings"] or RECORDINGS)
]
SCANS = flow.scan_sequences(config)
LIBRARY = "results/distill/library/library.json"
NEAREST = config["distill"]["generator"]["kind"] == "nearest"
TRAINS_NETWORK = config["distill"]["generator"]["kind"] in ("pose", "facelift")
SINGLE_BEDS = ["frames", "animals"] + (["mammal"] if config["single"]["mammal"] else [])
SAMPLES = flow.chunk_ranges(config, SCANS)
RANGES = SAMPLES | flow.vector_ranges(config)
CHUNKS = {folder: flow.frame_ranges(*part) for folder, part in RANGES.items()}


wildcard_constraints:
    recording="|".join(map(re.escape, RECORDINGS)),
    scan="|".join(map(re.escape, SCANS)) or "none",
    chunk=r"\d{6}-\d{6}",
    run=r"[A-Za-z0-9-]+(\.[a-z]+)?(\.seed\d+)?",


def stage(keys, modules, recording=""):
    """Parameters of a rule: the keys of config.yaml that its code reads, as JSON, and the version of that code.

    `recording` names keys of the job's own entry of the section recordings.
    """
    keys = flow.expand_keys(keys)
    modules = [f"mousefacelift.{module}" for module in modules.split()]
    params = flow.stage_params(config, keys, modules)
    if not recording:
        return params

    def own(wildcards):
        own_keys = [
            f"recordings.{wildcards.recording}.{key}" for key in recording.split()
        ]
        return flow.stage_params(config, keys + own_keys, modules)["config"]

    return params | {"config": own}


def scan_options(name):
    """Further arguments of a mesh sequence: its poses, and that it belongs to no recording."""
    poses = SCANS[name]["poses"]
    return (["--poses", poses] if poses else []) + (
        [] if name in RECORDINGS else ["--independent"]
    )


def recording_folder(wildcards):
    """Folder of a recording: made by virtual_recording, or the user's own."""
    path = RECORDINGS[wildcards.recording]["path"]
    return f"results/recordings/{wildcards.recording}" if path == "virtual" else path


def recording_files(wildcards):
    """Sizes and times of the user's own videos, masks and calibration: a replaced one reruns its recording."""
    path = RECORDINGS[wildcards.recording]["path"]
    return {} if path == "virtual" else inputs.recording_files(path)


def recording_made(wildcards):
    """What must exist before a recording is read: for a virtual one, its last-written file."""
    return (
        f"results/recordings/{wildcards.recording}/recording.json"
        if wildcards.recording in VIRTUAL
        else []
    )


def masks_made(wildcards):
    """Masks that a job of their own makes: those of a user's recording, where the configuration asks for it."""
    makes = config["capture"]["mask_backend"] != "given"
    return (
        f"results/capture/{wildcards.recording}/masks/masks.json"
        if makes and wildcards.recording not in VIRTUAL
        else []
    )


def lists_of(pattern, names):
    """Lists of the chunks in the folder `pattern` of every recording or scan."""
    return [f"{pattern.format(recording=name)}/chunks.json" for name in names]


def sample_lists():
    """Lists of all chunks of samples that go into the dataset, of all sources."""
    return [f"results/{folder}/chunks.json" for folder in SAMPLES]


def training_shards():
    """Packed shards, when the loader reads them instead of the sample folders."""
    packed = config["loader"]["store"] == "shards"
    return ["results/dataset/shards/index.parquet"] if packed else []
