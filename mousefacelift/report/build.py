"""The report: one self-contained HTML file that decides, shows why, and has every stage's numbers folded behind.

Reads result files only, writes results/report/index.html. A stage that has not run says so; a broken file is an error.

    mousefacelift report build --results results --out results/report/index.html
"""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup

from mousefacelift import __version__
from mousefacelift.core.files import write_text
from mousefacelift.errors import DataError
from mousefacelift.report import (
    data_sections,
    decision_section,
    distill_section,
    evaluation_section,
    single_section,
    source_sections,
    viewer_section,
)
from mousefacelift.report.config import ReportConfig
from mousefacelift.report.page import Section

FRONT = (
    decision_section.decision,
    single_section.single,
    viewer_section.viewer,
    decision_section.evidence,
)
FOLDED = (
    single_section.numbers,
    evaluation_section.evaluation,
    source_sections.capture,
    distill_section.distill,
    source_sections.splats,
    source_sections.objects,
    data_sections.dataset,
    data_sections.training,
)
PARTS = {"style": "report.css", "viewer": "viewer.js", "script": "report.js"}
TEMPLATES = Path(__file__).parent / "templates"


def build_report(results: Path, out: Path, config: ReportConfig) -> list[Section]:
    """Write the report over `results` to `out`; returns its sections, the decision first."""
    own = out.resolve().parent  # made for the page itself
    if not results.is_dir() or all(place.resolve() == own for place in results.iterdir()):
        raise DataError(
            f"results folder {results} does not exist or is empty",
            where=f"in {Path.cwd()}",
            hint="snakemake --cores 2 first, or --results FOLDER",
        )
    sections = [builder(results, config) for builder in FRONT]
    for builder in FOLDED:
        section = builder(results, config)
        section.folded = True
        sections.append(section)
    environment = Environment(loader=PackageLoader("mousefacelift.report"), autoescape=select_autoescape(["html"]))
    parts = {name: Markup((TEMPLATES / file).read_text()) for name, file in PARTS.items()}
    page = environment.get_template("report.html").render(
        title=config.title, version=__version__, sections=sections, **parts
    )
    write_text(out, page)
    return sections
