"""The settings of Sphinx. https://www.sphinx-doc.org/en/master/usage/configuration.html"""

from cluster.versions import course_version

project = "kubeclass"
author = "kubeclass"
release = course_version()
html_title = "kubeclass"
language = "en"

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
# Furo: its fonts are those of the reader's system, and its scripts are in the site.
html_theme = "furo"
html_theme_options: dict[str, object] = {"top_of_page_buttons": []}
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"

# https://myst-parser.readthedocs.io/en/latest/configuration.html
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # the glossary's entries are headings of the third level below the first
