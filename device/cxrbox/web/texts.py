"""What there is to read: the model's card, help for those who scan films, and safety."""

from importlib.resources import files

from flask import Blueprint, abort, render_template
from markupsafe import Markup

from cxrbox.web.context import the_bundle

routes = Blueprint("texts", __name__)


@routes.get("/about")
def show_about() -> str:
    """Show why the bundle is trusted, and the model's card."""
    bundle = the_bundle()
    if bundle.card is None:
        abort(503, "The bundle has no card.")
    return render_template("about.html", bundle=bundle, card=to_html(bundle.card))


@routes.get("/help")
def show_help() -> str:
    """Show the page for field staff."""
    return render_template("text.html", title="Help", text=shipped_text("help"))


@routes.get("/safety")
def show_safety() -> str:
    """Show what the box is for, and where it errs."""
    return render_template("text.html", title="Safety", text=shipped_text("safety"))


def shipped_text(name: str) -> Markup:
    """Return a text that ships with the box."""
    return to_html(files("cxrbox.web").joinpath("written", f"{name}.md").read_text("utf-8"))


def to_html(markdown: str) -> Markup:
    """Return a text as HTML. What a bundle brings is text: its tags are shown, never obeyed."""
    from markdown_it import MarkdownIt

    return Markup(MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown))
