"""How the films were divided for the network that ships: what it is measured on must not have taught it."""

from cxrbundle.bundle import load_bundle
from cxrbundle.shipped import shipped_bundle

from cxrtrain.data.films import Film
from cxrtrain.data.splits import split
from cxrtrain.recipe import DataSettings


def split_as_shipped(films: list[Film]) -> list[str]:
    """Return the part that each film had when the shipped bundle's network was trained; see `splits.split`."""
    recipe = load_bundle(shipped_bundle()).manifest.training["recipe"]
    return split(films, DataSettings(**recipe["data"]))
