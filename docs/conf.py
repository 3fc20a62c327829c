"""How `tox -e docs` makes a site of these pages: Sphinx, with Markdown by MyST, the theme Furo.

All that the site needs is in its folder, the search too, so it can be read as files.
"""

from sms_gateway import __version__

project = "sendSmsNow"
author = "the sendSmsNow authors"
project_copyright = ""
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
root_doc = "index"
# Links to headings, `api.md#http`, as code forges make them.
myst_heading_anchors = 3
suppress_warnings = [
    # The settings are ### below the title: `settings --reference` prints them for any page.
    "myst.header",
    # Samples with an … in them are no JSON.
    "misc.highlighting_failure",
]
highlight_language = "text"

autodoc_member_order = "bysource"
autodoc_typehints = "description"

html_theme = "furo"
html_title = f"sendSmsNow {__version__}"
html_copy_source = False
# The words around what was found would be fetched, which browsers refuse to pages opened as files.
html_show_search_summary = False
html_show_sphinx = False
html_show_copyright = False
html_permalinks_icon = "#"
