"""Lessons as a learner meets them: JupyterLab in a headless Chromium, all cells run, a slider moved, checks run again.

``COURSE_SCREENSHOT=picture.png`` keeps the screenshot, ``COURSE_NOTEBOOK=path`` opens another notebook with a slider.
"""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import pytest
from browser import needs_browser, new_page

from transfer_utils.runtime.files import checkout

ROOT = checkout()
NOTEBOOK = Path(os.environ.get("COURSE_NOTEBOOK") or ROOT / "notebooks" / "00_start_here.ipynb")
EXERCISES = ROOT / "notebooks" / "01_feature_extraction.ipynb"
SCREENSHOT = Path(os.environ.get("COURSE_SCREENSHOT") or Path(tempfile.gettempdir()) / "course-lesson-00.png")

KERNEL_IS_IDLE = (
    """() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === "idle" """
)
RUN_ALL = """async () => { await window.jupyterapp.commands.execute("notebook:run-all-cells") }"""
# From the model, not from the page: cells that are out of sight are not on the page.
CELLS = """() => [...window.jupyterapp.shell.currentWidget.content.model.cells]
    .map((cell, place) => ({cell, place}))
    .filter(({cell}) => cell.type === "code" && cell.sharedModel.getSource().trim())
    .map(({cell, place}) => ({place, count: cell.executionCount, source: cell.sharedModel.getSource(),
                   tags: cell.sharedModel.getMetadata("tags") || [],
                   outputs: Array.from({length: cell.outputs.length}, (_, i) => cell.outputs.get(i).toJSON())}))"""
SHOW_CELL = """async (place) => { const notebook = window.jupyterapp.shell.currentWidget.content;
    notebook.activeCellIndex = place; await notebook.scrollToItem(place, "start") }"""
RUN_CELL = """async (place) => { const notebook = window.jupyterapp.shell.currentWidget.content;
    notebook.deselectAll(); notebook.activeCellIndex = place;
    await window.jupyterapp.commands.execute("notebook:run-cell") }"""
WIDGET = "application/vnd.jupyter.widget-view+json"

# What the slider says and the picture it draws, or null where one of them is not there yet.
SLIDER = """() => { const readout = document.querySelector(".widget-readout");
    const picture = readout?.closest(".jp-OutputArea-output")?.querySelector("img");
    return readout?.innerText && picture?.src ? [readout.innerText, picture.src] : null }"""
NO_NEWS = "settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"


@pytest.fixture
def lab(tmp_path):
    """Yield a function that starts JupyterLab on a copy of a lesson and returns its address; end it afterwards."""
    servers = []

    def start(notebook):
        shutil.copyfile(notebook, tmp_path / notebook.name)
        token = secrets.token_hex(16)
        address = _serve(tmp_path, token, servers)
        _wait_for_server(f"{address}/api", servers[-1], tmp_path / "lab.log")
        return f"{address}/lab/tree/{notebook.name}?token={token}"

    try:
        yield start
    finally:
        for server in servers:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _serve(folder, token, servers):
    """Start JupyterLab on ``folder``, note the process in ``servers``, and return its address."""
    (folder / NO_NEWS).parent.mkdir(parents=True)
    (folder / NO_NEWS).write_text('{"fetchNews": "false"}')
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {key: value for key, value in os.environ.items() if key not in ("COURSE_STATIC", "COURSE_BUILD")} | {
        "PYTHONPATH": str(ROOT), "TRANSFER_PROFILE": "tiny", "TRANSFER_CACHE": str(folder / "cache"),
        "TRANSFER_LEDGER": str(folder / "ledger.csv"), "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "share"), "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"), "JUPYTERLAB_WORKSPACES_DIR": str(folder / "spaces"),
    }  # fmt: skip
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser",
               "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}",
               f"--ServerApp.root_dir={folder}",
               "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]  # fmt: skip
    with open(folder / "lab.log", "w") as log:
        servers.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
    return f"http://127.0.0.1:{port}"


def _wait_for_server(address, server, log):
    local = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(240):
        assert server.poll() is None, log.read_text()[-2000:]
        try:
            local.open(address, timeout=5)
            return
        except OSError:
            time.sleep(0.25)
    raise AssertionError("JupyterLab did not answer:\n" + log.read_text()[-2000:])


@pytest.fixture
def page():
    """Yield an empty page of the browser."""
    with new_page(1400, 1000) as page:
        yield page


def widgets(cell):
    """Return what the widgets of a cell say they are; the view of one that was closed is left with an empty id."""
    views = [output["data"] for output in cell["outputs"] if WIDGET in output.get("data", {})]
    return ["".join(view["text/plain"]) if view[WIDGET]["model_id"] else "closed" for view in views]


def place_of_slider(cells):
    """Return the number of the first cell that shows a slider, which is not always the first with a widget."""
    return next((cell["place"] for cell in cells if any("Slider(" in widget for widget in widgets(cell))), None)


def test_the_slider_is_found_behind_other_widgets():
    def cell(place, text, model_id="1"):
        return {"place": place, "outputs": [{"data": {"text/plain": text, WIDGET: {"model_id": model_id}}}]}

    bars = [
        cell(2, "  0%|          | 0/10"),
        cell(4, "FloatSlider(value=0.5)", model_id=""),
        {"place": 5, "outputs": []},
    ]
    assert place_of_slider([*bars, cell(7, "VBox(children=(HBox(children=(SelectionSlider(options=(1, 2)")]) == 7
    assert place_of_slider(bars) is None


def _bring_into_view(page, place):
    """Scroll to a cell until its slider is drawn; pictures that arrive above it may push it out of sight again."""
    for _ in range(30):
        page.evaluate(SHOW_CELL, place)
        page.wait_for_timeout(2000)
        if drawn := page.evaluate(SLIDER):
            return drawn
    page.screenshot(path=SCREENSHOT)
    widget = page.evaluate("() => document.querySelector('.jp-OutputArea-output .widget-box')?.outerHTML")
    raise AssertionError(f"the slider and its picture were not drawn, see {SCREENSHOT}: {str(widget)[:2000]}")


def _run_all(page, address):
    """Open a notebook, run all its cells without an error, and return them."""
    page.goto(address)
    page.wait_for_function(KERNEL_IS_IDLE, timeout=90_000)
    page.evaluate(RUN_ALL)
    cells = page.evaluate(CELLS)
    page.wait_for_function(KERNEL_IS_IDLE, timeout=60_000)
    errors = [output for cell in cells for output in cell["outputs"] if output["output_type"] == "error"]
    assert [(error["ename"], error["evalue"]) for error in errors] == []
    assert [cell["source"] for cell in cells if not cell["count"]] == []
    return cells


def _printed(cell):
    return "".join("".join(output.get("text", "")) for output in cell["outputs"])


@needs_browser
def test_exercises_are_open_after_run_all_and_when_their_checks_run_again(lab, page):
    checks = [cell for cell in _run_all(page, lab(EXERCISES)) if "check" in cell["tags"]]
    assert len(checks) >= 3
    for check in checks:
        page.evaluate(RUN_CELL, check["place"])
    page.wait_for_function(KERNEL_IS_IDLE, timeout=60_000)
    again = [cell for cell in page.evaluate(CELLS) if "check" in cell["tags"]]
    assert min(cell["count"] for cell in again) > max(cell["count"] for cell in checks), "they ran again"
    for cell in [*checks, *again]:
        assert ": open." in _printed(cell), _printed(cell)


@needs_browser
@pytest.mark.skipif(not NOTEBOOK.is_file(), reason=f"{NOTEBOOK.name} is not written yet")
def test_lesson_runs_and_a_slider_moves(lab, page):
    cells = _run_all(page, lab(NOTEBOOK))
    left = [cell["place"] for cell in cells for widget in widgets(cell) if "Slider(" not in widget]
    assert left == [], "these cells hold a widget besides the slider, perhaps what is left of a progress bar"
    place = place_of_slider(cells)
    assert place is not None, "no cell shows a slider"
    before = _bring_into_view(page, place)
    handle = page.locator(".noUi-handle").first
    at_the_end = handle.get_attribute("aria-valuenow") == handle.get_attribute("aria-valuemax")
    handle.focus()
    page.keyboard.press("ArrowLeft" if at_the_end else "ArrowRight")
    moved = "before => { const now = (" + SLIDER + ")(); return now && now[0] !== before[0] && now[1] !== before[1] }"
    page.wait_for_function(moved, arg=before, timeout=60_000)
    page.wait_for_function(KERNEL_IS_IDLE, timeout=60_000)
    page.screenshot(path=SCREENSHOT)
    assert SCREENSHOT.stat().st_size > 20_000
