"""Figures, the HTML report and the splat viewer; reads result files only."""
