"""What a small shift of the film changes is called unstable, on the page and in the ledger."""

import cv2
import numpy as np
from cxrbox.stability import SHIFT, find_unstable, shifted
from cxrbox.store import Store
from cxrbundle.phantom import draw_phantom


def test_a_film_is_moved_each_way_and_its_border_repeated():
    pixels = np.repeat(np.arange(64, dtype=np.uint8).reshape(1, 8, 8, 1), 3, axis=3)
    right, left, down, up = shifted(pixels)
    for film in (right, left, down, up):
        assert film.shape == pixels.shape
    assert (right[0, :, SHIFT:] == pixels[0, :, :-SHIFT]).all() and (right[0, :, :SHIFT] == pixels[0, :, :1]).all()
    assert (left[0, :, :-SHIFT] == pixels[0, :, SHIFT:]).all()
    assert (down[0, SHIFT:] == pixels[0, :-SHIFT]).all()
    assert (up[0, :-SHIFT] == pixels[0, SHIFT:]).all() and (up[0, -SHIFT:] == pixels[0, -1:]).all()


def test_a_finding_is_unstable_where_most_shifts_say_another_state():
    states = {"Mass": "above", "Nodule": "above", "Edema": "below"}
    others = [{"Mass": "above", "Nodule": "uncertain", "Edema": "below"}] * 3 + [dict.fromkeys(states, "above")]
    assert find_unstable(states, others) == ["Nodule"]


def test_films_are_looked_at_again_once_the_queue_is_empty(box):
    for seed in range(8):
        assert cv2.imwrite(str(box.films / f"{seed}.png"), draw_phantom(seed))

    def looked_at():
        entries = [entry for entry in Store(box.state).ledger() if entry.kind == "stability"]
        return entries if len(entries) == 8 else None

    entries = box.wait_until(looked_at)
    told = {entry.film: entry.facts["unstable"] for entry in entries}
    for film in box.list_films():
        shown = [finding for finding, of in film["reading"]["findings"].items() if of.get("unstable")]
        assert shown == told[film["id"]]
    assert Store(box.state).find_fault() is None


def test_an_altered_stability_is_found(tmp_path):
    store = Store(tmp_path)
    store.add_film("a.png", "1", "a" * 64, 1)
    film = store.claim()
    store.add_result(film.id, {"findings": {"Mass": {"state": "above"}}}, b"", 1.0)
    store.add_stability(film.id, ["Mass"])
    assert store.find_fault() is None
    assert store.film(film.id)["reading"]["findings"]["Mass"]["unstable"]
    store._db.execute("UPDATE results SET unstable = '[]'")
    assert "what is unstable in film 1 was altered" in store.find_fault().reason
