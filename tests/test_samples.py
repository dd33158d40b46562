"""The sample study: the same everywhere, valid, and all that it is said to show."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pydicom
import pypdfium2
import pytest
from pydicom.dataset import FileDataset

from data import make
from data.make.jpeg import encode_lossless
from dicomkit import SettingError, samples
from dicomkit.settings import DicomSenderSetting
from tests.support.peers import program

DATA = Path(__file__).parents[1] / "data"
STUDY = DATA / "sample-study"
SETTINGS = DATA / "settings"
SIZE_LIMIT_BYTES = 4_500_000
SIZE_LIMIT_IN_WHEEL_BYTES = 2_000_000
PRIVATE_TAG_WARNING = re.compile(
    r"\(0x0029,0x10[0-9a-f]{2}\)\s+\?\s+- Warning - Unrecognized tag - assuming explicit value representation OK"
)

FILES = sorted(STUDY.rglob("*.dcm"))


def named(path: Path) -> str:
    return path.relative_to(DATA).as_posix()


@pytest.fixture(scope="module")
def study() -> dict[str, FileDataset]:
    return {named(path): pydicom.dcmread(path) for path in FILES}


# What is drawn depends on no processor, numpy or codec (data/make/drawing.py, jpeg.py). It is pydicom that writes it,
# and a version of it that encodes an element in other bytes would show here.
@pytest.mark.parametrize("write", [make.write_study, samples.write_samples], ids=["drawn", "copied"])
def test_the_files_in_data_are_those_that_are_made_now(
    write: Callable[[Path], list[Path]], tmp_path: Path
) -> None:
    written = write(tmp_path)
    assert [path.relative_to(tmp_path) for path in sorted(written)] == [
        path.relative_to(STUDY) for path in FILES
    ]
    for path in FILES:
        assert (tmp_path / path.relative_to(STUDY)).read_bytes() == path.read_bytes(), named(path)


@pytest.mark.parametrize("write", [make.write_settings, samples.write_settings], ids=["made", "copied"])
def test_the_settings_in_data_are_those_that_are_made_now(
    write: Callable[[Path], list[Path]], tmp_path: Path
) -> None:
    written = write(tmp_path)
    kept = {path.relative_to(SETTINGS): path.read_bytes() for path in SETTINGS.rglob("*.json")}
    assert {path.relative_to(tmp_path): path.read_bytes() for path in written} == kept


def test_the_study_is_read_in_the_order_in_which_it_is_drawn() -> None:
    read, drawn = samples.sample_study(), make.draw_study()
    assert [(name, ds.SOPInstanceUID) for name, ds in read] == [
        (name, ds.SOPInstanceUID) for name, ds in drawn
    ]


def test_data_stays_small() -> None:
    files = [path for path in DATA.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert sum(path.stat().st_size for path in files) < SIZE_LIMIT_BYTES
    assert sum(len(zlib.compress(path.read_bytes())) for path in FILES) < SIZE_LIMIT_IN_WHEEL_BYTES


def test_the_study_has_every_kind_of_object(study: dict[str, FileDataset]) -> None:
    counts = Counter(ds.Modality for ds in study.values())
    assert counts == {"CT": 12, "MR": 9, "US": 1, "CR": 2, "NM": 1, "SR": 1, "DOC": 1}
    cine = study["sample-study/us-heart/four-chambers-cine.dcm"]
    assert (cine.PhotometricInterpretation, cine.NumberOfFrames) == ("RGB", 10)
    assert study["sample-study/cr-chest/chest-monochrome1.dcm"].PhotometricInterpretation == "MONOCHROME1"
    assert study["sample-study/nm-bones/whole-body-multiframe.dcm"].NumberOfFrames == 2


def test_the_study_has_one_compressed_syntax_so_that_one_archive_takes_it_all(
    study: dict[str, FileDataset],
) -> None:
    syntaxes = Counter(ds.file_meta.TransferSyntaxUID.name for ds in study.values())
    assert syntaxes == {
        "Explicit VR Little Endian": 18,
        "Implicit VR Little Endian": 8,
        "JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14 [Selection Value 1])": 1,
    }


def test_patients_are_consistent_within_a_study_and_no_uid_comes_twice(study: dict[str, FileDataset]) -> None:
    patients = {(ds.StudyInstanceUID, ds.PatientID, str(ds.PatientName)) for ds in study.values()}
    assert {patient[1] for patient in patients} == {"DK-0001", "DK-0002"}
    assert len(patients) == 2
    assert len({ds.SOPInstanceUID for ds in study.values()}) == len(study)
    assert len({ds.SeriesInstanceUID for ds in study.values()}) == len({path.parent for path in FILES})
    for ds in study.values():
        assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
        assert ds.SOPInstanceUID.is_valid and ds.SOPInstanceUID.startswith("2.25.")


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.parent.name not in ("sr-report", "pdf-letter")], ids=named
)
def test_pixels_decode_to_a_picture_with_contrast(path: Path) -> None:
    ds = pydicom.dcmread(path)
    pixels = ds.pixel_array
    frames = (ds.NumberOfFrames,) if "NumberOfFrames" in ds else ()
    colours = (3,) if ds.SamplesPerPixel == 3 else ()
    assert pixels.shape == (*frames, ds.Rows, ds.Columns, *colours)
    # In its own window, a picture has dark, middle and bright parts.
    low, high = (ds.WindowCenter, ds.WindowWidth) if "WindowCenter" in ds else (128, 200)
    centre, width = np.atleast_1d(low)[0], np.atleast_1d(high)[0]
    values = pixels * float(ds.get("RescaleSlope", 1)) + float(ds.get("RescaleIntercept", 0))
    dark, bright = np.mean(values < centre - width / 4), np.mean(values > centre + width / 4)
    assert dark > 0.02 and bright > 0.005


def test_the_ct_measures_what_is_painted(study: dict[str, FileDataset]) -> None:
    ds = study["sample-study/ct-abdomen/slice-05.dcm"]
    hounsfield = ds.pixel_array * ds.RescaleSlope + ds.RescaleIntercept
    left, top, _ = ds.ImagePositionPatient

    def at(x: float, y: float) -> float:
        column, row = (x - left) / ds.PixelSpacing[1], (y - top) / ds.PixelSpacing[0]
        return float(hounsfield[int(row) - 2 : int(row) + 3, int(column) - 2 : int(column) + 3].mean())

    assert at(-92, -12) == pytest.approx(8, abs=8), "the cyst is fluid"
    row = hounsfield[round((-12 - top) / ds.PixelSpacing[0]), 50:90]
    assert np.sum(row < 60) * ds.PixelSpacing[1] == pytest.approx(24, abs=2.5), "as wide as the report says"
    assert at(-115, 10) == pytest.approx(112, abs=10), "the liver has taken up contrast"
    assert at(9, 30) == pytest.approx(224, abs=15), "the aorta more so"
    assert at(0, -160) == pytest.approx(-1000, abs=10), "around the patient is air"
    assert ds.PixelPaddingValue == ds.pixel_array[0, 0] == -2000


def test_the_ct_series_is_a_volume(study: dict[str, FileDataset]) -> None:
    slices = [ds for ds in study.values() if ds.Modality == "CT"]
    heights = [ds.ImagePositionPatient[2] for ds in slices]
    assert np.diff(heights).tolist() == [-11.0] * 11
    assert [ds.InstanceNumber for ds in slices] == list(range(1, 13))
    assert len({ds.FrameOfReferenceUID for ds in slices}) == 1
    assert slices[0].WindowCenterWidthExplanation == ["ABDOMEN", "LIVER", "LUNG", "BONE"]


def test_the_report_reads_as_a_tree_and_points_at_a_ct_image_of_the_study(
    study: dict[str, FileDataset],
) -> None:
    ds = study["sample-study/sr-report/ct-report.dcm"]
    sections = {
        item.ConceptNameCodeSequence[0].CodeMeaning: item
        for item in ds.ContentSequence
        if item.ValueType == "CONTAINER"
    }
    assert list(sections) == ["Findings", "Impressions"]
    findings = sections["Findings"].ContentSequence
    (size,) = [item for item in findings if item.ValueType == "NUM"]
    assert size.MeasuredValueSequence[0].NumericValue == 24
    (image,) = [item for item in findings if item.ValueType == "IMAGE"]
    target = study["sample-study/ct-abdomen/slice-05.dcm"]
    assert image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == target.SOPInstanceUID


def test_the_letter_is_a_pdf_whose_cross_references_are_right(study: dict[str, FileDataset]) -> None:
    ds = study["sample-study/pdf-letter/letter.dcm"]
    document = ds.EncapsulatedDocument[: ds.EncapsulatedDocumentLength]
    assert document.startswith(b"%PDF-1.4\n") and document.endswith(b"%%EOF\n")
    start = int(document.split(b"startxref\n")[1].split(b"\n")[0])
    assert document[start:].startswith(b"xref\n0 8\n")
    offsets = [int(line[:10]) for line in document[start:].splitlines()[3:10]]
    for number, offset in enumerate(offsets, start=1):
        assert document[offset:].startswith(b"%d 0 obj\n" % number)
    length = int(document.split(b"/Length ")[1].split(b" ")[0])
    assert document[document.index(b"stream\n") + 7 :][length:].startswith(b"\nendstream")


def test_pdfium_draws_the_letter(study: dict[str, FileDataset]) -> None:
    ds = study["sample-study/pdf-letter/letter.dcm"]
    with pypdfium2.PdfDocument(ds.EncapsulatedDocument[: ds.EncapsulatedDocumentLength]) as letter:
        assert len(letter) == 1
        text = letter[0].get_textpage().get_text_range().splitlines()
        drawn = letter[0].render(scale=0.5).to_numpy()
    assert text[0] == "dicomkit sample study: a letter"
    assert f"Patient: Phantom, Ada ({ds.PatientID}), who does not exist." in text
    assert 0.005 < (drawn.min(axis=2) < 128).mean() < 0.2


def test_the_second_patient_is_named_in_three_scripts_and_has_a_private_block(
    study: dict[str, FileDataset],
) -> None:
    ds = study["sample-study/mr-spine-utf8/sagittal-private-tags.dcm"]
    assert ds.SpecificCharacterSet == "ISO_IR 192"
    assert ds.PatientName.ideographic == "山田^太郎"
    assert ds.PatientName.phonetic == "やまだ^たろう"
    block = ds.private_block(0x0029, "DICOMKIT SAMPLE 1.0")
    assert block[0x01].value.endswith("私的")
    assert block[0x05].value[0].private_block(0x0029, "DICOMKIT SAMPLE 1.0")[0x06].value.startswith("An item")


def test_the_multi_frame_has_sequences_of_undefined_length(study: dict[str, FileDataset]) -> None:
    ds = study["sample-study/nm-bones/whole-body-multiframe.dcm"]
    assert ds["DetectorInformationSequence"].is_undefined_length
    assert ds.DetectorInformationSequence[0].is_undefined_length_sequence_item


@pytest.mark.parametrize("path", FILES, ids=named)
def test_dciodvfy_finds_no_fault(path: Path) -> None:
    done = subprocess.run([program("dciodvfy"), str(path)], capture_output=True, text=True, timeout=60)
    lines = [
        line for line in (done.stdout + done.stderr).splitlines() if "Error" in line or "Warning" in line
    ]
    # It cannot know what a private tag means, and says so.
    assert [line for line in lines if not PRIVATE_TAG_WARNING.fullmatch(line.strip())] == []


@pytest.mark.parametrize("path", FILES, ids=named)
def test_dcmtk_reads_every_file(path: Path) -> None:
    done = subprocess.run(
        [program("dcmdump"), "-q", "+P", "0008,0018", str(path)], capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert pydicom.dcmread(path).SOPInstanceUID.encode() in done.stdout


def test_dcmtk_decompresses_the_hand_to_the_same_pixels(tmp_path: Path) -> None:
    source = STUDY / "cr-hand" / "hand-jpeg-lossless.dcm"
    subprocess.run([program("dcmdjpeg"), str(source), str(tmp_path / "plain.dcm")], check=True, timeout=60)
    assert np.array_equal(
        pydicom.dcmread(tmp_path / "plain.dcm").pixel_array, pydicom.dcmread(source).pixel_array
    )


@pytest.mark.parametrize("precision", [2, 8, 12, 16])
def test_lossless_jpeg_gives_back_the_largest_steps(precision: int, tmp_path: Path) -> None:
    top = 2**precision - 1
    image = np.zeros((16, 40), dtype=np.int64)
    image[::2, ::3] = top
    image[5, :] = np.arange(40) * top // 39
    image[6, :2] = 0, (top + 1) // 2  # a difference of half the range: 32768 with 16 bits
    ds = next(ds for name, ds in samples.sample_study() if name.endswith("hand-jpeg-lossless.dcm"))
    ds.Rows, ds.Columns = image.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = (8 if precision <= 8 else 16), precision, precision - 1
    ds.PixelData = pydicom.encaps.encapsulate([encode_lossless(image, precision)])
    ds.save_as(tmp_path / "steps.dcm")
    assert np.array_equal(pydicom.dcmread(tmp_path / "steps.dcm").pixel_array, image)


def test_the_settings_load_are_refused_or_surprise_as_their_folder_says() -> None:
    for path in sorted(SETTINGS.rglob("*.json")):
        if path.parent.name == "faulty":
            with pytest.raises(SettingError, match=re.escape(path.name)):
                DicomSenderSetting.load(path)
        else:
            setting = DicomSenderSetting.load(path)
            assert [problem for problem in setting.problems() if problem.severity == "error"] == [] or (
                path.name == "timeout-zero.json"
            )


def test_a_checkout_uses_its_own_data() -> None:
    assert samples.sample_folder() == STUDY
    assert samples.sample_settings() == SETTINGS


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """An environment where the package lies as a wheel would install it, and the cache is empty."""
    checkout = DATA.parent
    wheel = tomllib.loads((checkout / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]
    for source, target in {"dicomkit": "dicomkit", **wheel["force-include"]}.items():
        shutil.copytree(
            checkout / source,
            tmp_path / "site" / target,
            ignore=shutil.ignore_patterns("__pycache__"),
            dirs_exist_ok=True,
        )
    cache = str(tmp_path / "cache")
    home = {"XDG_CACHE_HOME": cache, "LOCALAPPDATA": cache, "HOME": str(tmp_path / "home")}
    return os.environ | home | {"PYTHONPATH": str(tmp_path / "site"), "PYTHONDONTWRITEBYTECODE": "1"}


def run(code: str, environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    return done.stdout.strip()


FIND = "from dicomkit.samples import sample_folder; print(sample_folder())"
FIND_LIGHTLY = FIND + "; import sys; print([name for name in ('pydicom', 'numpy') if name in sys.modules])"


def test_an_installed_package_makes_the_study_once_even_for_two_at_a_time(
    installed: dict[str, str], tmp_path: Path
) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: run(FIND, installed, tmp_path), range(2))
    assert first == second
    made = Path(first)
    assert made.is_relative_to(tmp_path) and not made.is_relative_to(tmp_path / "site")
    assert sorted(path.relative_to(made) for path in made.rglob("*.dcm")) == [
        path.relative_to(STUDY) for path in FILES
    ]
    assert list(made.parent.iterdir()) == [made], "nothing half made is left beside it"
    again, heavy = run(FIND_LIGHTLY, installed, tmp_path).splitlines()
    assert (again, heavy) == (first, "[]")


def test_a_cache_that_cannot_be_written_gives_way_to_a_temporary_folder(
    installed: dict[str, str], tmp_path: Path
) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the cache would be")
    names = {name: str(blocked) for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME")}
    code = "from dicomkit.samples import sample_settings; print(sample_settings())"
    made = Path(run(code, installed | names | {"TMPDIR": str(tmp_path), "TEMP": str(tmp_path)}, tmp_path))
    assert (made / "send-to-pacs.json").is_file()


def test_the_module_writes_both_folders(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dicomkit.samples", str(tmp_path)]
    subprocess.run(command, check=True, timeout=100)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sample-study", "settings"]
