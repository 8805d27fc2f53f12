"""Sphinx configuration."""

from importlib.metadata import version as _version

project = "Spikeloom"
author = "The Spikeloom developers"
copyright = "2026, the Spikeloom developers, Apache-2.0"
version = release = _version("spikeloom")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.mathjax", "numpydoc"]
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
numpydoc_show_class_members = False
autodoc_typehints = "none"
autosummary_generate = False
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"description": "Spiking neural networks on event-camera data", "page_width": "1000px"}
