"""ImageViewer: what Python sees of it, what crosses to the browser, and what the browser makes of it."""

from __future__ import annotations

import base64
import gc
import json
import time
import weakref
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pydicom
import pytest
import traitlets
from pydicom.dataset import Dataset

from dicomkit.errors import UnreadableError
from dicomkit.messages import DicomMessage
from dicomkit.preview import Colour, Grey, LookupTable, Window, picture_of, to_8bit
from dicomkit.samples import sample_folder
from dicomkit.widgets import ImageViewer
from dicomkit.widgets.image._answers import Curves, Notice, Pdf, Report, message_of
from tests.preview.test_bits import overlay
from tests.preview.test_looks import mammogram
from tests.preview.test_oracle import GENERATED
from tests.preview.test_preview import TEST_FILES, image, image_names, read
from tests.support.peers import wait_until
from tests.support.viewer_page import SECONDS, ViewerPage, Wire, browser, receive

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CT = sample_folder() / "ct-abdomen"
NASTY = "<img src=x onerror=alert(1)>"


@pytest.fixture
def viewer() -> Iterator[ImageViewer]:
    """The CT series of the sample study."""
    one = ImageViewer(CT)
    yield one
    one.close()


def ask(viewer: ImageViewer, **content: Any) -> list[tuple[dict[str, Any], list[memoryview]]]:
    """Send a custom message to a widget as a browser does, and return what it answers."""
    if not isinstance(viewer.comm, Wire):
        viewer.comm = Wire(viewer)
    viewer.comm.take()
    receive(viewer, {"method": "custom", "content": content})
    return [(data["content"], buffers) for data, buffers in viewer.comm.take() if data["method"] == "custom"]


# What it takes


def test_a_folder_is_a_stack_in_slice_order(viewer: ImageViewer) -> None:
    assert viewer.frame_count == 12
    positions = []
    for viewer.frame in range(12):
        assert viewer.dataset is not None
        positions.append(float(viewer.dataset.ImagePositionPatient[2]))
    assert positions == sorted(positions)


def test_a_study_is_several_series(tmp_path: Path) -> None:
    viewer = ImageViewer(sample_folder())
    assert viewer.series_count == 9
    viewer.series = 2
    assert viewer.frame_count == 12
    assert (viewer.window_center, viewer.window_width) == (50, 400)
    viewer.close()


@pytest.mark.parametrize(
    "source",
    [
        str(CT / "slice-05.dcm"),
        CT / "slice-05.dcm",
        [CT / "slice-05.dcm"],
        str(CT / "slice-0[5].dcm"),
        (CT / "slice-05.dcm").read_bytes(),
        pydicom.dcmread(CT / "slice-05.dcm"),
        DicomMessage.from_file(CT / "slice-05.dcm"),
        DicomMessage.from_file(CT / "slice-05.dcm").instance,
        pd.DataFrame({"source": [str(CT / "slice-05.dcm")] * 2}),
        pd.DataFrame({"source": [str(CT / "slice-05.dcm")]}).iloc[0],
        next(pd.DataFrame({"source": [str(CT / "slice-05.dcm")]}).itertuples()),
    ],
    ids=["str", "path", "list", "glob", "bytes", "dataset", "message", "instance", "frame", "row", "tuple"],
)
def test_whatever_names_a_picture_is_taken(source: object) -> None:
    viewer = ImageViewer(source)
    assert viewer.frame_count == 1
    assert isinstance(viewer.picture, Grey)
    viewer.close()


def test_a_zip_archive_is_taken(tmp_path: Path) -> None:
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write(CT / "slice-05.dcm", "one.dcm")
    viewer = ImageViewer(archive)
    expected = picture_of(pydicom.dcmread(CT / "slice-05.dcm"))
    assert isinstance(viewer.picture, Grey)
    assert isinstance(expected, Grey)
    assert np.array_equal(viewer.picture.stored, expected.stored)
    viewer.close()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ([], "nothing to show"),
        ("nowhere/at-all.dcm", "^at-all.dcm: there is no such file"),
        (pd.DataFrame({"source": ["<dataset>"]}), "give the object itself"),
    ],
)
def test_a_source_without_dicom_is_an_error(source: object, said: str) -> None:
    with pytest.raises(UnreadableError, match=said):
        ImageViewer(source)


def test_a_file_that_is_no_dicom_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(UnreadableError, match="not DICOM"):
        ImageViewer(tmp_path / "a.txt")


def test_what_names_no_picture_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="int names no picture"):
        ImageViewer(5)


# What Python sees


def test_traits_may_be_given_and_observed(viewer: ImageViewer) -> None:
    seen: list[int] = []
    viewer.observe(lambda change: seen.append(change.new), "frame")
    viewer.frame = 4
    assert seen == [4]
    other = ImageViewer(CT, frame=3, invert=True)
    assert (other.frame, other.invert) == (3, True)
    other.close()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("frame", 12, "frame 12 is not there; it is one of 0 to 11"),
        ("series", -1, "series -1 is not there"),
        ("window_width", 0.0, "above 0"),
        ("window_width", 0.5, "LINEAR_EXACT"),
        ("window_center", float("nan"), "finite"),
        ("window_function", "CUBIC", "CUBIC"),
        ("rate", 1000.0, "rate"),
    ],
)
def test_a_value_that_cannot_be_is_refused(viewer: ImageViewer, name: str, value: Any, said: str) -> None:
    before = getattr(viewer, name)
    with pytest.raises(traitlets.TraitError, match=said):
        setattr(viewer, name, value)
    assert getattr(viewer, name) == before


def test_it_shows_what_preview_computes(viewer: ImageViewer) -> None:
    viewer.frame, viewer.window_center, viewer.window_width = 5, 60.0, 200.0
    assert isinstance(viewer.picture, Grey)
    assert np.array_equal(viewer.to_8bit(), to_8bit(viewer.picture, Window(60, 200)))  # type: ignore[arg-type]
    viewer.invert = True
    assert np.array_equal(viewer.to_8bit(), 255 - to_8bit(viewer.picture, Window(60, 200)))  # type: ignore[arg-type]


def test_presets_are_used_by_name(viewer: ImageViewer) -> None:
    assert next(iter(viewer.presets)) == "ABDOMEN"
    viewer.use("CT lung")
    assert (viewer.window_center, viewer.window_width) == (-600, 1500)
    viewer.use(Window(1, 2, "SIGMOID"))
    assert viewer.voi == Window(1, 2, "SIGMOID")
    viewer.reset_window()
    assert (viewer.window_center, viewer.window_width, viewer.window_function) == (50, 400, "LINEAR")


def test_a_voi_lut_is_a_preset_too() -> None:
    viewer = ImageViewer(TEST_FILES["vlut_04.dcm"])
    assert viewer.voi_lut == 0
    assert isinstance(viewer.voi, LookupTable)
    viewer.use("Full range")
    assert viewer.voi_lut == -1
    assert isinstance(viewer.voi, Window)
    viewer.close()


def test_colours_have_no_window() -> None:
    viewer = ImageViewer(TEST_FILES["SC_rgb.dcm"], invert=True)
    assert viewer.window_center is None
    assert viewer.voi is None
    assert isinstance(viewer.picture, Colour)
    assert np.array_equal(viewer.to_8bit(), viewer.picture.rgb)  # type: ignore[arg-type]
    viewer.close()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("sr-report", Report),
        ("pdf-letter", Pdf),
        (TEST_FILES["waveform_ecg.dcm"], Curves),
        (TEST_FILES["rtplan.dcm"], Notice),
    ],
)
def test_what_is_no_picture_gets_a_fitting_view(name: str | Path, kind: type) -> None:
    viewer = ImageViewer(sample_folder() / name)
    assert isinstance(viewer.shown, kind)
    assert viewer.picture is None
    assert viewer.to_8bit() is None
    viewer.close()


def test_what_cannot_be_shown_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    from pydicom.pixels.decoders import JPEG2000LosslessDecoder

    monkeypatch.setattr(JPEG2000LosslessDecoder, "_available", {})
    viewer = ImageViewer(TEST_FILES["MR_small_jp2klossless.dcm"])
    assert "pip install 'dicomkit[codecs]'" in viewer.problem
    ((content, _),) = ask(viewer, kind="frame", series=0, index=0)
    assert content["kind"] == "notice"
    assert content["is_error"]
    viewer.close()


def test_a_file_that_goes_away_is_said(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("slice-01.dcm", "slice-02.dcm")]
    for path in paths:
        path.write_bytes((CT / path.name).read_bytes())
    viewer = ImageViewer(paths)
    for path in paths:
        path.unlink()
    viewer.frame = 1
    assert "there is no such file" in viewer.problem
    viewer.close()


def test_the_repr_is_short_and_names_nobody(viewer: ImageViewer) -> None:
    assert repr(viewer) == "<ImageViewer: 1 series, 12 frames>"


# What crosses


def test_a_frame_crosses_once_as_its_stored_values(viewer: ImageViewer) -> None:
    ((content, buffers),) = ask(viewer, kind="frame", series=0, index=3)
    viewer.frame = 3
    assert isinstance(viewer.picture, Grey)
    assert (content["kind"], content["series"], content["index"]) == ("grey", 0, 3)
    stored = np.frombuffer(buffers[content["buffer"]], content["dtype"])
    assert np.array_equal(stored.reshape(content["rows"], content["columns"]), viewer.picture.stored)
    assert content["modality"] == {"slope": 1.0, "intercept": -1024.0}


def test_big_endian_values_cross_little_endian() -> None:
    values = np.array([[1, 256]], ">u2")
    picture = picture_of(image(values.astype("<u2")))
    assert isinstance(picture, Grey)
    swapped = Grey(
        stored=values,
        modality=picture.modality,
        vois=picture.vois,
        inverse=False,
        padding=None,
        unit="",
        aspect=1,
        overlays=(),
    )
    content, buffers = message_of(swapped)
    assert np.frombuffer(buffers[content["buffer"]], "<u2").tolist() == [1, 256]


def test_a_hello_is_answered_with_the_series(viewer: ImageViewer) -> None:
    ((content, buffers),) = ask(viewer, kind="hello")
    assert content["kind"] == "series"
    assert [one["frames"] for one in content["series"]] == [12]
    assert buffers == []


@pytest.mark.parametrize(
    "content",
    [
        {"series": 9, "index": 0},
        {"series": 0, "index": 12},
        {"series": 0, "index": -1},
        {"series": "0", "index": [0]},
    ],
)
def test_who_asks_for_a_frame_that_is_not_there_is_told_so(
    viewer: ImageViewer, content: dict[str, Any]
) -> None:
    ((answer, buffers),) = ask(viewer, kind="frame", **content)
    said = {"kind": "notice", "text": "This frame is no longer there.", "is_error": True}
    assert answer == said | content
    assert buffers == []


@pytest.mark.parametrize("content", [{}, {"kind": "format"}])
def test_a_message_that_is_not_the_viewers_is_passed_over(
    viewer: ImageViewer, content: dict[str, Any]
) -> None:
    assert ask(viewer, **content) == []


def test_a_browser_that_sets_what_cannot_be_is_told_what_holds(viewer: ImageViewer) -> None:
    ask(viewer)
    receive(viewer, {"method": "update", "state": {"frame": 12}})
    assert isinstance(viewer.comm, Wire)
    last, _ = viewer.comm.take()[-1]
    assert (last["method"], last["state"]) == ("update", {"frame": 0})


def test_every_message_is_json() -> None:
    for name in (
        "CT_small.dcm",
        "vlut_04.dcm",
        "mlut_18.dcm",
        "SC_rgb.dcm",
        "examples_overlay.dcm",
        "reportsi.dcm",
    ):
        viewer = ImageViewer(TEST_FILES[name])
        ((content, _),) = ask(viewer, kind="frame", series=0, index=0)
        json.dumps(content, allow_nan=False)
        viewer.close()


def test_no_synced_trait_holds_a_name_or_a_pixel() -> None:
    dataset = pydicom.dcmread(CT / "slice-05.dcm")
    dataset.PatientName = "Secret^Sally"
    dataset.SeriesDescription = "SECRET series"
    dataset.WindowCenterWidthExplanation = "SECRET window"
    viewer = ImageViewer(dataset)
    ask(viewer, kind="hello")
    ask(viewer, kind="frame", series=0, index=0)
    state = {name: value for name, value in viewer.get_state().items() if name not in ("_esm", "_css")}
    assert "secret" not in json.dumps(state, default=str).lower()
    assert len(json.dumps(state, default=str)) < 2000
    viewer.close()


def test_the_kernel_keeps_a_bounded_number_of_bytes() -> None:
    size = 192 * 192 * 2
    viewer = ImageViewer(CT, cache_bytes=3 * size)
    for viewer.frame in range(12):
        assert isinstance(viewer.picture, Grey)
    assert len(viewer._shown) <= 3
    viewer.close()


def test_closing_fifty_viewers_leaves_nothing() -> None:
    from ipywidgets.widgets.widget import _instances

    before = set(_instances)
    datasets: list[weakref.ref[Dataset]] = []
    for _ in range(50):
        dataset = pydicom.dcmread(CT / "slice-05.dcm")
        datasets.append(weakref.ref(dataset))
        viewer = ImageViewer(dataset)
        viewer.observe(lambda change: None, "frame")
        ask(viewer, kind="frame", series=0, index=0)
        viewer.close()
    assert set(_instances) == before
    assert viewer.dataset is None
    del viewer, dataset
    gc.collect()
    assert [one for one in datasets if one() is not None] == []


# In a browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One Chromium for all tests of this file."""
    with browser() as running:
        yield running


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Any]:
    """Open viewers on pages of their own; closing them fails on any console or page error."""
    pages: list[ViewerPage] = []

    def open_one(source: object, **options: Any) -> ViewerPage:
        viewer = source if isinstance(source, ImageViewer) else ImageViewer(source)
        pages.append(ViewerPage(chromium, viewer, **options))
        return pages[-1]

    yield open_one
    for page in pages:
        page.viewer.close()
        page.close()


READ_BACK = """
([x, y, columns, rows, samples]) => {
  const canvas = document.querySelector(".dk-stage canvas");
  const { data } = canvas.getContext("2d").getImageData(x, y, columns, rows);
  const picture = new Uint8Array(samples * columns * rows);
  for (let at = 0; at < columns * rows; at++) {
    const [red, green, blue, alpha] = [data[4 * at], data[4 * at + 1], data[4 * at + 2], data[4 * at + 3]];
    if (alpha !== 255) throw new Error(`pixel ${at} is not opaque`);
    if (samples === 1 && (red !== green || red !== blue)) throw new Error(`pixel ${at} is not grey`);
    if (samples === 1) picture[at] = red;
    else picture.set([red, green, blue], 3 * at);
  }
  let text = "";
  for (let at = 0; at < picture.length; at += 32768) {
    text += String.fromCharCode(...picture.subarray(at, at + 32768));
  }
  return btoa(text);
}
"""


def read_back(page: ViewerPage, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Return the pixels of the canvas where a picture of that shape lies in its middle."""
    rows, columns, samples = (*shape, 1)[:3]
    width, height = page.page.evaluate(
        "() => { const { width, height } = document.querySelector('.dk-stage canvas'); return [width, height]; }"
    )
    x, y = (width - columns + 1) // 2, (height - rows + 1) // 2
    data = base64.b64decode(page.page.evaluate(READ_BACK, [x, y, columns, rows, samples]))
    return np.frombuffer(data, np.uint8).reshape(shape).astype(int)


def make_room(page: ViewerPage, rows: int, columns: int) -> None:
    """Make the stage as large as a picture at zoom 1."""
    page.page.set_viewport_size({"width": max(columns + 20, 700), "height": 800})
    page.page.add_style_tag(
        content=f".dk-viewer .dk-middle {{ height: {max(rows + 20, 300)}px; flex: none; }}"
    )


def windows_for(picture: Grey) -> list[Window]:
    """Three windows: the picture's range, a narrow one in it, and a curve."""
    full = next(voi for voi in picture.vois if voi.name == "Full range")
    assert isinstance(full, Window)
    third = full.width / 3
    narrow = Window(
        full.center - third / 2, third if full.function != "LINEAR" else max(1, third), full.function
    )
    return [full, narrow, Window(full.center, full.width / 2, "SIGMOID")]


def with_square_pixels(name: str) -> Dataset:
    """Return a test file, drawn pixel for pixel: stretched, it could not be compared."""
    dataset = read(name)
    for keyword in ("PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing"):
        if keyword in dataset:
            setattr(dataset, keyword, [1, 1])
    return dataset


@pytest.fixture(scope="module")
def read_back_before() -> dict[bytes, str]:
    """Which pictures were read back already: several test files hold the same one, differently encoded."""
    return {}


@pytest.mark.parametrize("name", list(image_names()))
def test_the_canvas_shows_what_preview_computes(
    name: str, open_page: Any, read_back_before: dict[bytes, str]
) -> None:
    viewer = ImageViewer(with_square_pixels(name), zoom=1.0, show_overlays=False)
    picture = viewer.picture
    assert picture is not None
    content, buffers = message_of(picture)
    digest = sha256(b"".join([json.dumps(content).encode(), *buffers])).digest()
    if read_back_before.setdefault(digest, name) != name:
        viewer.close()
        return  # the browser would get the same message
    page = open_page(viewer)
    rows, columns = (picture.stored if isinstance(picture, Grey) else picture.rgb).shape[:2]
    make_room(page, rows, columns)
    page.serve()
    for window in windows_for(picture) if isinstance(picture, Grey) else [None]:
        if window is not None:
            viewer.use(window)
            page.serve()
        expected = to_8bit(picture, window)
        assert np.abs(read_back(page, expected.shape) - expected).max() <= 1


@pytest.mark.parametrize("dtype", ["i1", "<i2", "<u4", "<i4"])
@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_every_width_of_values_is_windowed_alike(dtype: str, function: Any, open_page: Any) -> None:
    limits = np.iinfo(dtype)
    stored = np.linspace(limits.min, limits.max, 4096).astype(dtype).reshape(64, 64)
    viewer = ImageViewer(image(stored, RescaleSlope="0.37", RescaleIntercept="-11.5"), zoom=1.0)
    values = viewer.picture.values  # type: ignore[union-attr]
    viewer.use(Window(float(np.quantile(values, 0.4)), max(2.0, float(np.ptp(values)) / 3), function))
    page = open_page(viewer)
    expected = viewer.to_8bit()
    assert expected is not None
    assert np.abs(read_back(page, (64, 64)) - expected).max() <= 1


def test_float_pixels_and_what_is_no_number_are_windowed_alike(open_page: Any) -> None:
    stored = np.linspace(-1, 1, 4096, dtype="<f4").reshape(64, 64)
    stored[0, :3] = np.nan, np.inf, -np.inf
    dataset = image(np.zeros((64, 64), "<u4"))
    del dataset.PixelData
    dataset.FloatPixelData = stored.tobytes()
    viewer = ImageViewer(dataset, zoom=1.0, invert=True)
    page = open_page(viewer)
    expected = viewer.to_8bit()
    assert expected is not None
    assert np.array_equal(read_back(page, (64, 64)), expected)


@pytest.mark.parametrize("name", ["vlut_04.dcm", "mlut_18.dcm"])
def test_lookup_tables_are_applied_in_the_browser(name: str, open_page: Any) -> None:
    viewer = ImageViewer(TEST_FILES[name], zoom=1.0)
    page = open_page(viewer)
    make_room(page, 512, 512)
    page.serve()
    expected = viewer.to_8bit()
    assert expected is not None
    assert np.abs(read_back(page, (512, 512)) - expected).max() <= 1


def test_every_look_on_offer_is_drawn_when_it_is_chosen(open_page: Any) -> None:
    dataset = mammogram()
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = 64, 64, 1
    dataset.PixelData = np.tile(np.arange(256, dtype="u1"), 16).tobytes()
    viewer = ImageViewer(dataset, zoom=1.0)
    page = open_page(viewer)
    labels = list(viewer.presets)
    seen = set()
    for label in [*labels, *labels[:2]]:
        page.page.get_by_label("Window preset").select_option(label=label)
        page.serve()
        expected = viewer.to_8bit()
        assert expected is not None
        assert np.array_equal(to_8bit(viewer.picture, viewer.presets[label]), expected)  # type: ignore[arg-type]
        assert np.abs(read_back(page, (64, 64)) - expected).max() <= 1
        seen.add(expected.tobytes())
    assert len(seen) == 4  # the window NORMAL and the full range look alike


def test_the_browser_shows_the_range_that_the_stack_has_by_now(open_page: Any) -> None:
    columns = np.tile(np.linspace(0, 1, 64), (64, 1))
    frames = np.stack([columns * most for most in [100] * 30 + [1000] + [100] * 9]).astype("<u2")
    viewer = ImageViewer(image(frames), zoom=1.0)
    page = open_page(viewer)

    def is_as_python_says() -> bool:
        expected = viewer.to_8bit()
        assert expected is not None
        return bool(np.abs(read_back(page, (64, 64)) - expected).max() <= 1)

    assert is_as_python_says()
    viewer.frame = 30
    page.serve()
    assert viewer.window_width == 1001
    assert is_as_python_says()
    page.page.keyboard.press("Escape")
    page.page.locator(".dk-slider").fill("5")
    page.serve()
    assert viewer.frame == 4
    assert is_as_python_says()
    page.page.get_by_role("button", name="Per frame").click()
    page.serve()
    assert viewer.range_per_frame
    assert viewer.window_width == 101
    assert is_as_python_says()
    viewer.window_width = 500
    page.serve()
    assert is_as_python_says()
    assert page.page.get_by_role("button", name="Per frame").is_hidden()
    page.page.get_by_role("button", name="Reset").click()
    page.serve()
    assert viewer.automatic
    assert is_as_python_says()


@pytest.mark.parametrize("dtype", ["u1", "<i4"])
def test_a_shutter_is_closed_in_the_browser(dtype: str, open_page: Any) -> None:
    stored = (np.arange(64 * 64) % 200).reshape(64, 64).astype(dtype)
    dataset = image(
        stored, ShutterShape="CIRCULAR", CenterOfCircularShutter=[30, 34], RadiusOfCircularShutter=20
    )
    dataset.ShutterPresentationValue = 0x4000
    viewer = ImageViewer(dataset, zoom=1.0, invert=True)
    expected = viewer.to_8bit()
    assert expected is not None
    assert (expected[0, 0], expected[29, 33]) != (0, 64)
    assert np.abs(read_back(open_page(viewer), (64, 64)) - expected).max() <= 1


@pytest.mark.parametrize("size", [64, 9000])
@pytest.mark.parametrize("dtype", ["<u2", "<i4"])
def test_colours_of_a_grey_picture_are_those_of_python(dtype: str, size: int, open_page: Any) -> None:
    rows = 64 if size == 64 else 40
    stored = (np.arange(rows * size) % 700).reshape(rows, size).astype(dtype)
    dataset = image(
        stored, ShutterShape="CIRCULAR", CenterOfCircularShutter=[30, size // 2], RadiusOfCircularShutter=20
    )
    dataset.ShutterPresentationColorCIELabValue = [35578, 53664, 50857]
    for name, factor in (("Red", 3), ("Green", 5), ("Blue", 7)):
        setattr(dataset, f"{name}PaletteColorLookupTableDescriptor", [256, 400, 8])
        data = (np.arange(256) * factor % 256).astype("u1").tobytes()
        dataset.add_new(f"{name}PaletteColorLookupTableData", "OW", data)
    viewer = ImageViewer(dataset, zoom=1.0)
    expected = viewer.to_8bit()
    assert expected is not None and expected.ndim == 3
    page = open_page(viewer)
    shown = min(size, 64)
    left = (size - shown) // 2
    there = read_back(page, (rows, shown, 3))
    assert np.abs(there - expected[:, left : left + shown]).max() <= 1


def large(rows: int, columns: int) -> np.ndarray[Any, Any]:
    """Return a picture of more columns or rows than a canvas has, in which no place is like another nearby."""
    return ((np.arange(rows)[:, None] * 7 + np.arange(columns) * 3) % 251).astype("u1")


def in_sight(
    levels: np.ndarray[Any, Any], pan: tuple[float, float], rows: int, columns: int
) -> np.ndarray[Any, Any]:
    """Return the part of a picture around its middle, moved by `pan`, at zoom 1."""
    top = (levels.shape[0] - rows) // 2 - int(pan[1])
    left = (levels.shape[1] - columns) // 2 - int(pan[0])
    return levels[top : top + rows, left : left + columns].astype(int)


@pytest.mark.parametrize(
    ("rows", "columns", "pan"),
    [
        (40, 20000, (0.0, 0.0)),
        (40, 20000, (9000.0, 0.0)),
        (40, 65000, (-30000.0, 0.0)),
        (20000, 40, (0.0, -9000.0)),
    ],
)
def test_a_picture_larger_than_a_canvas_is_drawn_where_it_is_seen(
    rows: int, columns: int, pan: tuple[float, float], open_page: Any
) -> None:
    dataset = image(large(rows, columns), WindowCenter=128, WindowWidth=256)
    viewer = ImageViewer(dataset, zoom=1.0, pan=pan)
    page = open_page(viewer)
    levels = viewer.to_8bit()
    assert levels is not None
    seen = (min(rows, 200), min(columns, 400))
    assert np.array_equal(read_back(page, seen), in_sight(levels, pan, *seen))


def test_a_large_picture_keeps_few_tiles(open_page: Any) -> None:
    viewer = ImageViewer(image(large(8, 60000)), zoom=1.0)
    page = open_page(viewer)
    kept = []
    for column in range(-29000, 29001, 1500):
        page.page.evaluate("pan => model.take({ pan })", [column, 0.0])
        page.drawn()
        kept.append(page.page.evaluate("document.querySelector('.dk-viewer').tiles"))
    assert 1 <= kept[0] <= 4
    assert max(kept) == 32


def test_a_large_picture_fits_into_its_place(open_page: Any) -> None:
    levels = np.full((9000, 1200), 40, "u1")
    levels[:4500] = 200
    viewer = ImageViewer(image(levels, WindowCenter=128, WindowWidth=256))
    page = open_page(viewer)
    seen = read_back(page, (100, 20))
    assert set(np.unique(seen[:40])) == {200}
    assert set(np.unique(seen[60:])) == {40}


def test_a_large_coloured_picture_and_its_overlay_are_drawn(open_page: Any) -> None:
    rgb = np.zeros((24, 17000, 3), "u1")
    rgb[..., 0], rgb[..., 2] = large(24, 17000), 255 - large(24, 17000)
    dataset = image(rgb[..., 0])
    dataset.SamplesPerPixel, dataset.PlanarConfiguration, dataset.PhotometricInterpretation = 3, 0, "RGB"
    dataset.PixelData = rgb.tobytes()
    marks = np.zeros((24, 17000), bool)
    marks[4, 8500] = True
    overlay(dataset, rows=24, columns=17000, data=np.packbits(marks.reshape(-1), bitorder="little").tobytes())
    viewer = ImageViewer(dataset, zoom=1.0)
    page = open_page(viewer)
    seen = read_back(page, (24, 300, 3))
    expected = rgb[:, 8350:8650].astype(int)
    different = np.argwhere((seen != expected).any(axis=2))
    assert different.tolist() == [[4, 150]]


LOOKED_AT = [
    *(str(path.relative_to(sample_folder())) for path in sorted(sample_folder().rglob("*.dcm"))),
    *(name for name in GENERATED if "bits" not in name),  # which bits are values is over before it crosses
]


@pytest.mark.parametrize("name", LOOKED_AT)
def test_every_look_of_every_sample_is_drawn_as_preview_computes_it(name: str, open_page: Any) -> None:
    dataset = GENERATED[name]() if name in GENERATED else pydicom.dcmread(sample_folder() / name)
    for keyword in ("PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing"):
        if keyword in dataset:
            setattr(dataset, keyword, [1, 1])
    viewer = ImageViewer(dataset, zoom=1.0, show_overlays=False)
    if viewer.picture is None:
        viewer.close()
        return  # a report or a document
    page = open_page(viewer)
    expected = viewer.to_8bit()
    assert expected is not None
    make_room(page, *expected.shape[:2])
    page.serve()
    assert np.abs(read_back(page, expected.shape) - expected).max() <= 1
    for label in viewer.presets:
        viewer.use(label)
        page.serve()
        expected = viewer.to_8bit()
        assert expected is not None
        assert np.abs(read_back(page, expected.shape) - expected).max() <= 1


def draws(page: ViewerPage) -> int:
    return int(page.page.evaluate("document.querySelector('.dk-viewer').draws"))


def stage_middle(page: ViewerPage) -> tuple[float, float]:
    box = page.page.locator(".dk-stage").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_dragging_redraws_without_a_message_per_move(open_page: Any) -> None:
    page = open_page(CT)
    x, y = stage_middle(page)
    before = draws(page)
    mouse = page.page.mouse
    mouse.move(x, y)
    mouse.down()
    moves, started = 60, time.monotonic()
    for step in range(1, moves + 1):
        mouse.move(x + step, y - step)
        page.drawn()
    mouse.up()
    seconds = time.monotonic() - started
    sent = page.page.evaluate("window.sent")
    assert draws(page) - before >= moves
    assert {message["method"] for message in sent} == {"update"}
    assert len(sent) <= 10 * seconds + 2
    page.serve()
    # 400 pixels double the width; up is brighter.
    assert page.viewer.window_width == 400 + 60
    assert page.viewer.window_center == 50 - 60


def test_the_end_of_a_drag_is_told_at_once(open_page: Any) -> None:
    page = open_page(CT)
    x, y = stage_middle(page)
    page.page.mouse.move(x, y)
    page.page.mouse.down()
    page.page.mouse.move(x + 40, y)
    page.page.mouse.move(x + 80, y)
    page.page.mouse.up()
    sent = page.page.evaluate("window.sent")
    assert sent[-1] == {"method": "update", "state": sent[-1]["state"]}
    assert {**sent[0]["state"], **sent[-1]["state"]}["window_width"] == 480


def test_a_late_echo_does_not_pull_a_drag_back(open_page: Any) -> None:
    page = open_page(CT)
    x, y = stage_middle(page)
    page.page.mouse.move(x, y)
    page.page.mouse.down()
    page.page.mouse.move(x + 40, y)
    page.page.mouse.move(x + 80, y)
    page.page.evaluate("model.take({ window_width: 401 })")
    page.page.mouse.up()
    page.serve()
    assert page.viewer.window_width == 480


def test_two_views_of_one_viewer_agree(open_page: Any) -> None:
    page = open_page(CT)
    page.page.evaluate("show()")
    page.serve()
    page.page.get_by_role("slider", name="Frame").first.fill("7")
    page.page.get_by_role("button", name="Invert").last.click()
    page.serve()
    assert page.page.locator(".dk-corner-frame").all_text_contents() == ["7 / 12", "7 / 12"]
    pressed = [
        button.get_attribute("aria-pressed")
        for button in page.page.get_by_role("button", name="Invert").all()
    ]
    assert pressed == ["true", "true"]
    assert (page.viewer.frame, page.viewer.invert) == (6, True)


def test_python_moves_the_view(open_page: Any) -> None:
    page = open_page(CT)
    page.viewer.frame = 8
    page.viewer.use("CT brain")
    page.serve()
    assert page.page.locator(".dk-corner-frame").text_content() == "9 / 12"
    assert page.page.locator(".dk-corner-window").text_content() == "C 40  W 80"
    assert page.page.get_by_label("Window preset").locator("option:checked").text_content() == "CT brain"


@pytest.mark.parametrize(
    ("keys", "name", "value"),
    [
        (["ArrowRight"], "frame", 1),
        (["ArrowDown", "ArrowDown", "ArrowUp"], "frame", 1),
        (["PageDown"], "frame", 10),
        (["End"], "frame", 11),
        (["End", "Home"], "frame", 0),
        (["i"], "invert", True),
        (["o"], "show_overlays", False),
        (["1"], "zoom", 1),
        (["1", "0"], "zoom", 0),
        (["Shift+ArrowRight"], "window_width", 420),
        (["Shift+ArrowUp"], "window_center", 30),
        (["Shift+ArrowUp", "r"], "window_center", 50),
        (["Space"], "playing", True),
    ],
)
def test_the_keyboard_does_everything(keys: list[str], name: str, value: object, open_page: Any) -> None:
    page = open_page(CT)
    page.page.locator(".dk-stage").focus()
    for key in keys:
        page.page.keyboard.press(key)
        page.drawn()

    def is_so() -> bool:
        page.exchange()
        return bool(getattr(page.viewer, name) == value)

    wait_until(is_so, SECONDS, f"{name} to be {value}")


def test_a_film_goes_round_and_stops(open_page: Any) -> None:
    page = open_page(sample_folder() / "us-heart")
    page.viewer.rate = 60
    seen: set[int] = set()
    page.viewer.observe(lambda change: seen.add(change.new), "frame")
    page.viewer.playing = True

    def has_gone_round() -> bool:
        page.exchange()
        return len(seen) > 3

    wait_until(has_gone_round, SECONDS, "a film to run")
    page.viewer.playing = False
    corner = page.page.locator(".dk-corner-frame")
    page.serve(lambda: corner.text_content() == f"{page.viewer.frame + 1} / 10")
    stopped = page.viewer.frame
    page.serve()
    assert page.viewer.frame == stopped


def test_a_film_that_sweeps_runs_back(open_page: Any) -> None:
    frames = np.arange(4, dtype="u1").repeat(16).reshape(4, 4, 4)
    page = open_page(ImageViewer(image(frames, PreferredPlaybackSequencing=1, RecommendedDisplayFrameRate=8)))
    seen: list[int] = [0]
    page.viewer.observe(lambda change: seen.append(change.new), "frame")
    page.viewer.playing = True

    def has_run_back() -> bool:
        page.exchange()
        return len(seen) > 8

    wait_until(has_run_back, SECONDS, "a film to run")
    page.viewer.playing = False
    page.serve()
    assert seen[:8] == [0, 1, 2, 3, 2, 1, 0, 1]


def test_the_wheel_leafs_and_ctrl_zooms(open_page: Any) -> None:
    page = open_page(CT)
    page.page.mouse.click(*stage_middle(page))
    page.page.mouse.wheel(0, 120)
    page.serve(lambda: page.viewer.frame == 1)
    page.page.keyboard.down("Control")
    page.page.mouse.wheel(0, -120)
    page.page.keyboard.up("Control")
    page.serve(lambda: page.viewer.zoom > 2)
    page.page.mouse.dblclick(*stage_middle(page))
    page.serve(lambda: page.viewer.zoom == 0)


TURN_WHEEL = """
(delta) => {
  const place = document.querySelector(".dk-stage-picture");
  const turn = (ctrlKey) =>
    place.dispatchEvent(new WheelEvent("wheel", { bubbles: true, cancelable: true, deltaY: delta, ctrlKey }));
  return [turn(false), turn(true)];
}
"""


def test_the_wheel_is_the_pages_until_the_viewer_is_clicked(open_page: Any) -> None:
    page = open_page(CT)
    page.page.add_style_tag(content="main { height: 3000px }")
    page.page.mouse.move(*stage_middle(page))
    hint = page.page.get_by_text("Click to use the wheel and the keys")
    assert hint.is_visible()
    assert page.page.evaluate(TURN_WHEEL, 120) == [True, True]
    page.page.mouse.wheel(0, 120)
    page.page.wait_for_function("scrollY > 0")
    page.serve()
    assert (page.viewer.frame, page.viewer.zoom) == (0, 0)
    page.page.mouse.click(*stage_middle(page))
    assert hint.is_hidden()
    assert page.page.evaluate(TURN_WHEEL, 120) == [False, False]
    page.serve()
    assert page.viewer.frame == 1
    assert page.viewer.zoom > 0


@pytest.mark.parametrize(("frame", "delta"), [(0, -120), (11, 120)])
def test_the_wheel_is_the_pages_at_both_ends_of_a_stack(frame: int, delta: int, open_page: Any) -> None:
    page = open_page(CT)
    page.viewer.frame = frame
    page.serve()
    page.page.locator(".dk-stage").focus()
    assert page.page.evaluate(TURN_WHEEL, delta)[0]
    assert not page.page.evaluate(TURN_WHEEL, -delta)[0]


def test_the_value_under_the_cursor_is_in_modality_units(open_page: Any) -> None:
    page = open_page(CT)
    page.viewer.zoom = 2.0
    page.serve()
    x, y = stage_middle(page)
    page.page.mouse.move(x + 21, y + 11)
    page.drawn()
    assert isinstance(page.viewer.picture, Grey)
    rows, columns = page.viewer.picture.stored.shape
    column, row = columns // 2 + 10, rows // 2 + 5
    value = page.viewer.picture.values[row, column]
    assert page.page.locator(".dk-corner-value").text_content() == f"x {column}  y {row}   {value:g} HU"


def test_padding_is_named_under_the_cursor(open_page: Any) -> None:
    page = open_page(image(np.full((4, 4), -2000, "<i2"), PixelPaddingValue=-2000))
    page.page.mouse.move(*stage_middle(page))
    page.drawn()
    assert "padding" in (page.page.locator(".dk-corner-value").text_content() or "")


def test_a_probe_reads_values_by_keyboard(open_page: Any) -> None:
    page = open_page(CT)
    page.page.locator(".dk-stage").focus()
    for key in ("p", "ArrowRight", "Shift+ArrowDown"):
        page.page.keyboard.press(key)
    page.drawn()
    assert isinstance(page.viewer.picture, Grey)
    rows, columns = page.viewer.picture.stored.shape
    assert f"column {columns // 2 + 1}, row {rows // 2 + 10}: " in (
        page.page.locator("[aria-live=polite]").text_content() or ""
    )
    assert page.viewer.frame == 0


def test_a_wrong_number_is_said_and_not_taken(open_page: Any) -> None:
    page = open_page(CT)
    width = page.page.get_by_label("W", exact=True)
    for typed, said in [("abc", "That is no number"), ("0", "above 0"), ("0.5", "at least 1")]:
        width.fill(typed)
        width.press("Enter")
        page.serve()
        assert said in (page.page.get_by_role("status").text_content() or "")
        assert width.get_attribute("aria-invalid") == "true"
        assert page.viewer.window_width == 400
    width.fill("250")
    width.press("Enter")
    page.serve()
    assert page.viewer.window_width == 250
    assert page.page.get_by_role("status").text_content() == ""


def test_an_overlay_is_drawn_and_hidden(open_page: Any) -> None:
    viewer = ImageViewer(TEST_FILES["MR-SIEMENS-DICOM-WithOverlays.dcm"], zoom=1.0)
    picture = viewer.picture
    assert isinstance(picture, Grey)
    page = open_page(viewer)
    make_room(page, 484, 484)
    page.serve()
    bitmap = picture.overlays[0].bitmap
    shown = read_back(page, (484, 484, 3))
    assert (shown[bitmap] == (0xFF, 0xC8, 0x40)).all()
    page.page.get_by_role("button", name="Overlays").click()
    page.serve(lambda: not viewer.show_overlays)
    expected = viewer.to_8bit()
    assert expected is not None
    assert np.array_equal(read_back(page, (484, 484)), expected)


def test_pixels_that_are_not_square_are_drawn_in_their_shape(open_page: Any) -> None:
    page = open_page(ImageViewer(image(np.full((20, 20), 255, "u1"), PixelSpacing=[2, 1]), zoom=4.0))
    drawn = page.page.evaluate(
        """() => {
          const canvas = document.querySelector(".dk-stage canvas");
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          let rows = 0;
          for (let y = 0; y < canvas.height; y++) rows += data[4 * (y * canvas.width + canvas.width / 2) + 3] > 0;
          return rows;
        }"""
    )
    assert drawn == 20 * 4 * 2


def test_frames_are_asked_for_ahead_and_few_at_a_time(open_page: Any) -> None:
    page = open_page(CT)
    page.serve()
    page.viewer.frame = 6
    page.exchange()
    page.drawn()
    asked = page.page.evaluate("window.sent")
    assert [one["content"]["index"] for one in asked] == [6, 7]
    more = page.serve()
    assert {one["content"]["index"] for one in more if one["method"] == "custom"} >= {8, 9, 5}


def test_the_browser_keeps_a_bounded_number_of_bytes(open_page: Any) -> None:
    page = open_page(image(np.zeros((40, 8, 8), "u1")))
    asked = page.page.evaluate(
        """() => {
          const buffers = [new DataView(new ArrayBuffer(32 * 1024 * 1024))];
          const answer = { kind: "notice", text: "large", is_error: false };
          const visit = (frame) => {
            const asked = [];
            model.take({ frame });
            for (let sent = window.sent.splice(0); sent.length; sent = window.sent.splice(0)) {
              for (const { content } of sent.filter((one) => one.method === "custom")) {
                asked.push(content.index);
                model.trigger("msg:custom", { ...answer, ...content, kind: "notice" }, buffers);
              }
            }
            return asked;
          };
          for (let frame = 0; frame < 40; frame++) visit(frame);
          return [visit(38), visit(12)];
        }"""
    )
    assert 38 not in asked[0]
    assert asked[1][0] == 12


def test_text_of_a_file_is_only_ever_text(open_page: Any) -> None:
    dataset = pydicom.dcmread(CT / "slice-05.dcm")
    dataset.SeriesDescription = dataset.WindowCenterWidthExplanation = NASTY
    report = pydicom.dcmread(sample_folder() / "sr-report" / "ct-report.dcm")
    report.SeriesDescription = NASTY
    report.ContentSequence[0].ConceptNameCodeSequence[0].CodeMeaning = NASTY
    page = open_page([dataset, report])
    assert page.page.get_by_label("Window preset").locator("option:checked").text_content() == NASTY
    page.viewer.series = 1
    page.serve()
    assert page.page.get_by_text(NASTY).count() >= 1
    assert page.page.locator("img").count() == 0


def is_blank(page: ViewerPage) -> bool:
    return bool(
        page.page.evaluate(
            """() => {
              const canvas = document.querySelector(".dk-stage canvas");
              const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
              return data.every((value) => value === 0) && document.querySelector(".dk-document").hidden;
            }"""
        )
    )


def test_each_series_that_is_chosen_is_shown_under_its_name(open_page: Any) -> None:
    page = open_page(sample_folder())
    for series in (2, 0, 5, 7, 2):  # 12 frames, 1, 2, a report
        page.page.get_by_label("Series").select_option(str(series))
        page.serve()
        assert page.page.locator(".dk-viewer").get_attribute("aria-busy") == "false"
        assert page.viewer.series == series


def test_the_canvas_is_blank_until_another_series_is_there(open_page: Any) -> None:
    page = open_page(sample_folder())
    for series in range(1, page.viewer.series_count):
        page.page.get_by_label("Series").select_option(str(series))
        page.drawn()
        assert is_blank(page)
        assert page.page.locator(".dk-corner").all_text_contents()[:4] == [""] * 4
        page.serve()
        assert not is_blank(page)


def test_the_canvas_is_blank_when_another_frame_is_late(open_page: Any) -> None:
    page = open_page(CT)
    page.page.get_by_role("slider", name="Frame").fill("12")
    page.page.wait_for_function("document.querySelector('.dk-stage canvas').ariaLabel === 'No picture yet'")
    assert is_blank(page)
    page.serve()
    assert not is_blank(page)
    assert page.page.locator(".dk-corner-frame").text_content() == "12 / 12"


@pytest.mark.parametrize("series", range(9))
def test_every_kind_of_the_sample_study_is_shown(series: int, open_page: Any) -> None:
    page = open_page(sample_folder())
    page.page.get_by_label("Series").select_option(str(series))
    page.serve()
    assert page.viewer.series == series
    is_picture = page.viewer.picture is not None
    assert page.page.locator(".dk-stage").is_visible() == is_picture
    assert page.page.locator(".dk-document").is_visible() != is_picture
    assert page.page.get_by_role("status").text_content() == ""


def test_an_error_is_said_in_the_status_region(open_page: Any) -> None:
    page = open_page(TEST_FILES["MR_truncated.dcm"])
    status = page.page.get_by_role("status")
    assert "8130 vs 8192 bytes" in (status.text_content() or "")
    assert status.get_attribute("data-kind") == "error"


def test_every_control_has_a_name(open_page: Any) -> None:
    page = open_page(sample_folder())
    nameless = page.page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, canvas, [tabindex]")]
          .filter((one) => !(one.getAttribute("aria-label") || one.textContent.trim() || one.labels?.length))
          .map((one) => one.outerHTML)"""
    )
    assert nameless == []


def test_it_fits_a_narrow_place(open_page: Any) -> None:
    page = open_page(CT, width=420)
    assert page.page.evaluate("document.documentElement.scrollWidth") <= 420


def test_closing_a_view_leaves_no_element_and_no_handler(open_page: Any) -> None:
    page = open_page(CT)
    page.page.evaluate("closeAll()")
    assert page.page.locator(".dk-viewer").count() == 0
    assert page.page.evaluate("Object.values(model.handlers).flat().length") == 0


def test_a_view_taken_off_the_page_for_a_moment_keeps_its_picture(open_page: Any) -> None:
    page = open_page(CT)
    size = "() => { const { width, height } = document.querySelector('.dk-stage canvas'); return [width, height]; }"
    before = page.page.evaluate(size)
    page.page.evaluate(
        """() => new Promise((done) => requestAnimationFrame(() => {
          // Off the page while drawing, and back before the browser looks at sizes.
          const viewer = document.querySelector(".dk-viewer");
          const place = viewer.parentElement;
          viewer.remove();
          model.take({ frame: 0, invert: true });
          requestAnimationFrame(() => { place.append(viewer); requestAnimationFrame(done); });
        }))"""
    )
    page.serve()
    assert page.page.evaluate(size) == before


def test_all_keys_are_the_viewers_but_the_one_that_saves_the_notebook(open_page: Any) -> None:
    page = open_page(CT)
    assert page.page.locator(".dk-viewer").get_attribute("data-lm-suppress-shortcuts") == "true"
    page.page.evaluate(
        """() => {
          window.outside = [];
          const place = document.querySelector(".dk-viewer").parentElement;
          place.addEventListener("keydown", (event) => {
            if (event.target === place) outside.push(`${event.ctrlKey ? "Control+" : ""}${event.key}`);
          });
        }"""
    )
    page.page.locator(".dk-stage").focus()
    for keys in ("ArrowDown", "s", "Control+s", "Control+Alt+s"):
        page.page.keyboard.press(keys)
    assert page.page.evaluate("outside") == ["Control+s"]


def test_an_empty_answer_of_the_kernel_is_waited_for_with_a_word(open_page: Any) -> None:
    page = open_page(CT)
    page.page.clock.install()
    page.page.evaluate("model.take({ frame: 11 })")
    page.page.clock.run_for(6000)
    page.page.clock.resume()
    page.page.get_by_text("No answer from the kernel yet").wait_for()
    page.serve()
    assert page.page.get_by_role("status").text_content() == ""
