"""Which rules every key of config.yaml reruns: the same function that Snakemake asks, over every key, in one process.

Snakemake reruns a job whose params changed, and what hangs on it. The table below says by hand which rules read a key;
the test asks the declarations of the rules files. `test_plan.py` confirms a sample of keys by true dry runs.
"""

import copy

import pytest
import yaml

from mousefacelift import workflow as flow
from mousefacelift.core import provenance
from mousefacelift.schema import complete
from tests.rules import ROOT, declared_stages

SPLAT_VIEWS = {"render_novel", "render_ring"}
FITS = {"fit_splats", "calibrate_trust"}
PAINTED = {"distill_views", "predict_single"}
IMAGES = {"render_objects", "render_scans"}
READ_BY = {  # the longest name that a key begins with decides
    "seed": {
        "virtual_recording",
        "train_generator",
        "distill_views",
        "select_objects",
        "render_scans",
        "film_animals",
        "prior_train",
        "predict_single",
        *FITS,
    },
    "recordings.mouse1": {"audit_rig", "make_masks"},
    **{f"recordings.mouse1.{key}": {"audit_rig"} for key in ("unit", "mm_per_unit", "length_mm", "fps", "licence")},
    "recordings.mouse1.path": set(),  # decides the recording's folder and whether it is virtual
    "recordings.mouse1.frames": {"audit_rig", "locate_animal", "make_masks"},
    "recordings.mouse1.up": {"audit_rig", "locate_animal"},
    "recordings.mouse1.cuts": {"locate_animal"},
    "recordings.mouse1.include": {"locate_animal"},
    "recordings.mouse1.exclude": {"audit_rig", "locate_animal", "make_masks"},
    "virtual": {"virtual_recording"},
    "capture.size": {"normalise_frames"},
    "capture.mode": {"normalise_frames"},
    "capture.png_compression": {"normalise_frames"},
    "capture.mask_backend": {"audit_rig", "make_masks"},
    "capture.unet_weights": {"audit_rig", "make_masks"},
    "capture.sam2_weights": {"audit_rig", "make_masks"},
    "capture.audit": {"audit_rig", "make_masks"},
    "capture.locate": {"locate_animal"},
    "distill.generator.kind": {"train_generator", *PAINTED},
    "distill.generator.weights": {"train_generator", *PAINTED},
    "distill.generator.prompt_embeddings": {"train_generator", *PAINTED},
    "distill.generator.precision": {"train_generator", *PAINTED},
    "distill.generator.sampler": {"train_generator", *PAINTED},
    "distill.generator.network": {"train_generator"},
    "distill.generator.training": {"train_generator"},
    "distill.generator.prior": {"train_generator"},
    "distill.generator.prior.view_steps": {"train_generator", *PAINTED},
    "distill.views": {"distill_views"},
    "distill.views.view_set": PAINTED,
    "distill.views.azimuths": PAINTED,
    "distill.views.elevation": PAINTED,
    "distill.nearest": PAINTED,
    "distill.gate": {"distill_views"},
    "distill.gate.quantile": {"learn_gate"},
    "distill.gate.slack": {"learn_gate"},
    "distill.gate.frames": {"learn_gate"},
    "distill.gate.voxels": {"learn_gate", "distill_views"},
    "distill.recordings": set(),  # decides whose chunks the generator and the gate are given
    "splats.method": FITS,
    "splats.fit": FITS,
    "splats.fit.cold_every": {"fit_splats"},
    "splats.fit.max_failed": {"fit_splats"},
    "splats.fit.write_ply": {"fit_splats"},
    "splats.trust": {"calibrate_trust"},
    "splats.novel.mode": {"render_novel"},
    "splats.novel.relative_azimuths": {"render_novel"},
    "splats.novel.elevations": {"render_novel"},
    "splats.novel.ring_views": {"render_ring"},
    "splats.novel.size": SPLAT_VIEWS,
    "splats.novel.max_error": SPLAT_VIEWS,
    "splats.novel.depth": SPLAT_VIEWS,
    "objects": IMAGES,
    "objects.source": {"select_objects"},
    "objects.path": {"select_objects"},
    "objects.count": set(),  # decides which chunks there are
    "objects.lvis": {"select_objects"},
    "objects.categories": {"select_objects"},
    "objects.annotations": {"select_objects"},
    "objects.licenses": {"select_objects"},
    "objects.ingredients": {"render_objects"},  # scans are no procedural objects
    "objects.views": {"render_objects"},
    "objects.views.elevation": IMAGES,
    "objects.views.distance": IMAGES,
    "objects.scans": {"render_scans"},
    "objects.scans.every": set(),  # these two decide which scans there are
    "objects.scans.sequences": set(),
    "objects.download": set(),  # of the download command, which no rule runs
    "objects.download.folder": {"render_objects"},
    "dataset": {"build_manifest"},
    "dataset.splits": {"split_frames", "split_learnt"},
    "dataset.splits.held_out_camera": {"split_frames", "split_learnt", *FITS},
    "dataset.splits.object_val": {"build_manifest"},
    "dataset.splits.object_test": {"build_manifest"},
    "mixture": {"train_lrm"},
    "loader": {"train_lrm"},
    "train": {"train_lrm"},
    "predict": {"predict_arm"},
    "single": {"film_animals", "predict_single"},
    "single.frames": {"predict_single"},
    "single.unknown": {"predict_single"},
    "evaluate": {"evaluate_arm", "evaluate_single", "decide", "decide_sweep"},
    "evaluate.consistency_frames": {"evaluate_arm"},
    "report": {"build_report"},
    "embed": {"embed_frames"},
    "prior.data": {"prior_data"},
    "prior.data.individuals": {"prior_train"},  # these two decide which chunks there are
    "prior.data.chunk": {"prior_train"},
    "prior.data.size": {"prior_data", "prior_train"},
    "prior.training": {"prior_train"},
    "scale": set(),  # sets other keys
    "arms": set(),  # these decide which runs there are
    "sweep": set(),
    "sweep_seeds": set(),
    "jobs": set(),
}


def leaves(node, where=""):
    """Dotted names of all values below a mapping; an empty mapping is a value."""
    for name, value in node.items():
        path = f"{where}{name}"
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{path}.")
        else:
            yield path


CONFIG = complete(yaml.safe_load((ROOT / "config.yaml").read_text()))
STAGES = declared_stages()
KEYS = list(leaves(CONFIG))


def params_of(config):
    """{rule: its JSON}, with the rule's recording where it has one."""
    return {
        name: flow.stage_params(config, [*keys, *(f"recordings.mouse1.{key}" for key in own)], [])["config"]
        for name, (keys, _, own, _) in STAGES.items()
    }


BEFORE = params_of(CONFIG)


def changed(key):
    """Rules whose parameters differ when `key` has another value."""
    config = copy.deepcopy(CONFIG)
    *parents, last = key.split(".")
    node = config
    for name in parents:
        node = node[name]
    node[last] = "another value"
    after = params_of(config)
    return {name for name in STAGES if BEFORE[name] != after[name]}


def expected(key):
    names = [name for name in READ_BY if key == name or key.startswith(f"{name}.")]
    assert names, f"say in READ_BY which rules read {key}"
    return READ_BY[max(names, key=len)]


@pytest.mark.parametrize("section", sorted({key.split(".")[0] for key in KEYS}))
def test_every_key_reruns_the_rules_that_read_it_and_no_other(section):
    reruns = {key: changed(key) for key in KEYS if key.split(".")[0] == section}
    assert {key: rules for key, rules in reruns.items() if rules != expected(key)} == {}


def test_no_row_of_the_table_is_left_over():
    assert [name for name in READ_BY if not any(key == name or key.startswith(f"{name}.") for key in KEYS)] == []


def closure(module):
    """Modules of the package that a module imports, directly or not."""
    seen, pending = set(), [module]
    while pending:
        name = pending.pop()
        if name not in seen:
            seen.add(name)
            pending += provenance._read_module(name)[1]
    return seen


def test_the_code_of_the_dear_rules_does_not_hold_that_of_the_cheap_ones():
    """Editing the dedupe, the gate, the planning of a run or the words of a report trains and fits nothing."""
    cheap = {
        "train_generator": ("distill.dedupe", "distill.gate", "distill.selfdistill", "distill.make_views", "report"),
        "train_lrm": ("report", "check.evaluate", "check.table"),
        "fit_splats": ("splats.novel", "splats.trust", "splats.views_chunk", "report"),
        "normalise_frames": ("distill", "splats", "report"),
    }
    for rule, modules in cheap.items():
        held = set().union(*(closure(f"mousefacelift.{module}") for module in STAGES[rule][1]))
        for module in modules:
            name = f"mousefacelift.{module}"
            assert not [h for h in held if h == name or h.startswith(f"{name}.")], (rule, module)
