"""The page before the light box: what the camera sees, what the coach says to it, and the button."""

import uuid
from contextlib import suppress
from typing import Any

from flask import Blueprint, Response, abort, jsonify, redirect, render_template, request, send_file, url_for

from cxrbox.cameras.board import PreviewBoard
from cxrbox.web.context import the_settings, the_store
from cxrbox.web.notices import silent_seconds

routes = Blueprint("scan", __name__)
# The requests that the scan station takes, and what it can be asked to do.
REQUESTS = "camera"
TASKS = ("scan", "flat-field", "unlock")
# A camera that works gives a sign of life every ten.
CAMERA_SECONDS = 30.0


@routes.get("/scan")
def show_scan() -> str:
    """Show the camera's page; with a token, also what became of that request."""
    on = the_settings().from_camera
    return render_template("scan.html", on=on, **(_progress() if on else {"camera": None, "token": None}))


@routes.post("/scan")
def ask() -> Response:
    """Ask the scan station for something; the answer is waited for on the page."""
    _require_camera()
    task = request.form.get("do", "scan")
    if task not in TASKS:
        abort(400, f"The camera can do {', '.join(TASKS)}; ask for one of them.")
    token, newest = uuid.uuid4().hex, the_store().newest_film("camera")
    the_store().ask(REQUESTS, {"do": task, "token": token})
    return redirect(url_for("scan.show_scan", token=token, after=newest), 303)


@routes.get("/api/scan")
def api_scan() -> Response:
    """Return how the camera is and what became of the request with this token, as JSON."""
    _require_camera()
    return jsonify(_progress())


@routes.get("/api/scan/coaching")
def api_coaching() -> Response:
    """Return what the coach says to the latest preview, as JSON; asking keeps the camera awake."""
    _require_camera()
    board = PreviewBoard(the_settings().state)
    board.look()
    return jsonify(board.coaching())


@routes.get("/scan/picture.jpg")
def send_preview() -> Response:
    """Send the latest preview, empty while there is none; asking keeps the camera awake."""
    _require_camera()
    board = PreviewBoard(the_settings().state)
    board.look()
    response = Response(status=204)
    with suppress(FileNotFoundError):
        if board.fresh():
            response = send_file(board.picture_path.resolve(), mimetype="image/jpeg")
    # It may show somebody's film.
    response.headers["Cache-Control"] = "no-store"
    return response


def _progress() -> dict[str, Any]:
    """Return how the camera is, the answer to the request with this token, and the film that it brought."""
    token, after = request.args.get("token"), request.args.get("after", type=int)
    camera = the_store().statuses().get("camera")
    if camera and silent_seconds(camera) > CAMERA_SECONDS:
        camera |= {"reason": "the camera has not answered for a while; look at Health, or switch the box off and on"}
    answer = (camera or {}).get("answer")
    newest = the_store().newest_film("camera")
    return {
        "camera": camera,
        "token": token,
        "answer": answer if answer and token and answer["token"] == token else None,
        "film": newest if after is not None and newest > after else None,
    }


def _require_camera() -> None:
    if not the_settings().from_camera:
        abort(409, "This box takes no films from a camera; its setting from_camera is off.")
