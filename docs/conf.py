"""Sphinx: Markdown in, a static site out that loads nothing from elsewhere."""

from pygments.lexers.special import TextLexer  # type: ignore[import-untyped]
from sphinx.application import Sphinx

from fn_notifications import __version__

project = "fn-notifications"
author = copyright = "The fn-notifications authors"
release = version = __version__

extensions = ["myst_parser"]
html_theme = "furo"
html_title = project
html_copy_source = False
myst_heading_anchors = 3
myst_links_external_new_tab = False


def setup(app: Sphinx) -> None:
    """Diagrams are Mermaid's source, which GitHub draws; here they are shown as they are written."""
    app.add_lexer("mermaid", TextLexer)
