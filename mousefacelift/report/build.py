"""The report: one self-contained HTML file with pictures and numbers of every stage.

Reads result files only, writes results/report/index.html. A stage that has not run says so; a broken file is an error.

    mousefacelift report build --results results --out results/report/index.html
"""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, PackageLoader, select_autoescape

from mousefacelift import __version__
from mousefacelift.core.files import write_text
from mousefacelift.errors import DataError
from mousefacelift.report import data_sections, distill_section, evaluation_section, single_section, source_sections
from mousefacelift.report.config import ReportConfig
from mousefacelift.report.page import Section

BUILDERS = (
    single_section.single,
    evaluation_section.evaluation,
    source_sections.capture,
    distill_section.distill,
    source_sections.splats,
    source_sections.objects,
    data_sections.dataset,
    data_sections.training,
)


def build_report(results: Path, out: Path, config: ReportConfig) -> list[Section]:
    """Write the report over `results` to `out`; returns its sections, findings first."""
    if not results.is_dir():
        raise DataError(f"results folder {results} does not exist", hint="run the pipeline first: snakemake --cores 2")
    sections = [builder(results, config) for builder in BUILDERS]
    environment = Environment(loader=PackageLoader("mousefacelift.report"), autoescape=select_autoescape(["html"]))
    page = environment.get_template("report.html").render(title=config.title, version=__version__, sections=sections)
    write_text(out, page)
    return sections
