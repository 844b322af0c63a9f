"""Figures of reports and studies as SVG text."""
