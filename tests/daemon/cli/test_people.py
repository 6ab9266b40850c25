"""`enroll`, `people`, `forget`, `rename`: what they print and with what they exit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np

from tests.conftest import REPOSITORY
from tests.daemon.cli.conftest import Shell

SAMPLES = REPOSITORY / "samples"
OBAMA, BIDEN, COLLINS = (SAMPLES / f"{name}.jpg" for name in ("barack-obama", "joe-biden", "eileen-collins"))


def test_enrolling_tells_as_json_who_was_taken_and_why_others_were_refused(
    visaged: Shell, tmp_path: Path
) -> None:
    text = tmp_path / "notes.jpg"
    text.write_text("not a picture")
    done = visaged("enroll", "버락", OBAMA, text, OBAMA, "--json")
    assert done.code == 0
    (enrolled,) = done.document["enrolled"]
    assert enrolled["image"] == str(OBAMA)
    assert enrolled["person"]["name"] == "버락"
    assert set(enrolled["person"]) == {"id", "name"}
    refused = {(each["image"], each["reason"]) for each in done.document["refused"]}
    assert refused == {(str(text), "not_an_image"), (str(OBAMA), "duplicate_image")}
    assert all(each["detail"] for each in done.document["refused"])


def test_where_nothing_is_enrolled_the_exit_code_is_1_and_each_image_is_told(
    visaged: Shell, tmp_path: Path
) -> None:
    done = visaged("enroll", "Ann", tmp_path / "nowhere.jpg")
    assert done.code == 1
    assert "nowhere.jpg: not_found: " in done.err
    assert visaged("people", "--json").document == []


def test_a_folder_of_people_is_enrolled_by_the_names_of_its_folders(visaged: Shell, tmp_path: Path) -> None:
    for name, picture in (("Barack Obama", OBAMA), ("Eileen Çollins", COLLINS)):
        (tmp_path / name).mkdir()
        shutil.copy(picture, tmp_path / name)
    (tmp_path / ".hidden").mkdir()
    done = visaged("enroll", "--from", tmp_path)
    assert done.code == 0
    assert "enrolled 2, refused 0" in done.out
    people = visaged("people", "--json").document
    assert [(person["name"], person["references"]) for person in people] == [
        ("Barack Obama", 1),
        ("Eileen Çollins", 1),
    ]


def test_enrol_rename_and_forget(visaged: Shell) -> None:
    assert visaged("enroll", "Joe", BIDEN).code == 0
    (before,) = visaged("people", "--json").document
    assert visaged("rename", "Joe", "Joseph").code == 0
    (after,) = visaged("people", "--json").document
    assert (after["id"], after["name"]) == (before["id"], "Joseph")
    (reference,) = visaged("people", "Joseph", "--json").document
    assert reference["image"] == "joe-biden.jpg"
    assert "Joseph" in visaged("people").out
    (receipt,) = visaged("forget", "Joseph", "--json").document["forgotten"]
    assert (receipt["id"], receipt["references"], receipt["verified"]) == (before["id"], 1, True)
    assert "Joseph" not in str(receipt)
    assert visaged("people", "--json").document == []


def test_a_look_alike_who_is_enrolled_as_not_the_person_is_not_named(visaged: Shell, tmp_path: Path) -> None:
    visaged("enroll", "Barack", OBAMA)
    other = SAMPLES / "barack-obama-2.jpg"
    assert visaged("identify", other, "--json").document[0]["faces"][0]["person"]["name"] == "Barack"
    missing = tmp_path / "nowhere.jpg"
    done = visaged("enroll", "Barack", "--not", other, other, missing, "--json")
    assert done.code == 0
    (taken,) = done.document["enrolled"]
    assert (taken["person"]["name"], taken["image"]) == ("Barack", str(other))
    refused = {(each["image"], each["reason"]) for each in done.document["refused"]}
    assert refused == {(str(other), "duplicate_image"), (str(missing), "not_found")}
    (face,) = visaged("identify", other, "--json").document[0]["faces"]
    assert face["person"] is None
    assert face["distance"] <= face["threshold"]
    kept = visaged("people", "Barack", "--json").document
    assert [(each["image"], each["is_person"]) for each in kept] == [
        ("barack-obama.jpg", True),
        ("barack-obama-2.jpg", False),
    ]
    (person,) = visaged("people", "--json").document
    assert (person["references"], person["threshold"]) == (1, None)


def test_only_of_who_is_enrolled_can_be_said_who_they_are_not(visaged: Shell) -> None:
    done = visaged("enroll", "Barack", "--not", OBAMA)
    assert done.code == 2
    assert not (visaged.folder / "state" / "gallery.db").exists()
    visaged("enroll", "Barack", OBAMA)
    assert "Joe: nobody of that name" in visaged("enroll", "Joe", "--not", BIDEN).err
    done = visaged("enroll", "Barack", "--not", OBAMA)
    assert done.code == 1
    assert "duplicate_image" in done.err
    assert visaged("enroll", "Barack", "--not", BIDEN).out.startswith("Barack: 1 new look-alike\n")
    assert visaged("enroll", "--not", "--from", SAMPLES).code == 2


def test_a_name_that_nobody_has_is_refused_in_one_line(visaged: Shell) -> None:
    for arguments in (("forget", "Nobody"), ("rename", "Nobody", "Somebody"), ("people", "Nobody")):
        done = visaged(*arguments)
        assert done.code == 2
        assert done.err.startswith("visaged: ")
        assert len(done.err.strip().splitlines()) == 1


def test_wrong_usage_is_one_line_and_exit_code_2(visaged: Shell) -> None:
    for arguments in (
        ("enroll",),
        ("enroll", "Ann"),
        ("enroll", "Ann", OBAMA, "--from", SAMPLES),
        ("paint",),
    ):
        done = visaged(*arguments)
        assert done.code == 2
        assert done.err.startswith("visaged: ")
        assert len(done.err.strip().splitlines()) == 1


def test_identify_says_who_it_is_as_the_contract_has_it(visaged: Shell, tmp_path: Path) -> None:
    visaged("enroll", "Barack", OBAMA)
    visaged("enroll", "Joe", BIDEN)
    other = SAMPLES / "barack-obama-2.jpg"
    done = visaged("identify", tmp_path / "nowhere.jpg", other, COLLINS, "--json")
    assert done.code == 0
    missing, obama, collins = done.document
    assert (missing["error"], missing["faces"]) == ("not_found", [])
    assert (obama["image"], obama["error"]) == (str(other), None)
    (face,) = obama["faces"]
    assert set(face) == {
        *("box", "landmarks", "score", "person", "distance", "threshold", "runner_up", "reasons"),
    }
    assert face["person"]["name"] == "Barack"
    assert 0 < face["distance"] <= face["threshold"] == 0.52
    assert face["runner_up"]["name"] == "Joe"
    assert face["runner_up"]["distance"] > 0.6
    assert collins["faces"][0]["person"] is None
    assert json.dumps(done.document)


def test_identify_exits_1_where_no_image_could_be_read(visaged: Shell, tmp_path: Path) -> None:
    assert visaged("identify", tmp_path / "nowhere.jpg").code == 1


def test_a_stricter_threshold_on_the_command_line_makes_a_stranger_of_a_match(visaged: Shell) -> None:
    visaged("enroll", "Barack", OBAMA)
    other = SAMPLES / "barack-obama-2.jpg"
    (image,) = visaged("identify", other, "--threshold", "0.2", "--json").document
    assert image["faces"][0]["person"] is None
    assert image["faces"][0]["threshold"] == 0.2


def test_annotated_copies_are_saved_beside_each_other(visaged: Shell, tmp_path: Path) -> None:
    visaged("enroll", "바이든", BIDEN)
    (tmp_path / "copy").mkdir()
    copy = shutil.copy(BIDEN, tmp_path / "copy")
    done = visaged("identify", BIDEN, copy, "--save-annotated", tmp_path / "out")
    assert done.code == 0
    drawn = [cv2.imread(str(tmp_path / "out" / name)) for name in ("joe-biden.png", "joe-biden-2.png")]
    assert all(each is not None and each.shape == (720, 576, 3) for each in drawn)


def test_an_annotated_copy_never_takes_its_originals_place(visaged: Shell, tmp_path: Path) -> None:
    original = tmp_path / "joe.png"
    cv2.imwrite(str(original), np.asarray(cv2.imread(str(BIDEN))))
    before = original.read_bytes()
    done = visaged("identify", original, "--save-annotated", tmp_path)
    assert done.code == 0
    assert original.read_bytes() == before
    assert (tmp_path / "joe-2.png").exists()


def test_distances_equal_face_recognitions_with_its_own_alignment(visaged: Shell, shared_data: Path) -> None:
    import face_recognition

    visaged.configure("[encoder]\nalignment = 'dlib'\n")
    gallery = shared_data / "fixtures" / "gallery"
    encodings = {}
    for name in ("obama", "biden"):
        assert visaged("enroll", name, gallery / f"{name}.jpg").code == 0
        (image,) = visaged("identify", gallery / f"{name}.jpg", "--json").document
        encodings[name] = reference_encoding(gallery / f"{name}.jpg", image["faces"])
    for name, other in (("obama", "biden"), ("biden", "obama")):
        file = gallery / f"{name}2.jpg"
        (image,) = visaged("identify", file, "--json").document
        named = [face for face in image["faces"] if face["person"]]
        assert [face["person"]["name"] for face in named] == [name]
        probe = reference_encoding(file, named)
        distance, runner_up = face_recognition.face_distance([encodings[name], encodings[other]], probe)
        assert abs(named[0]["distance"] - distance) < 0.01
        assert abs(named[0]["runner_up"]["distance"] - runner_up) < 0.01


def reference_encoding(file: Path, faces: list[dict[str, list[float]]]) -> object:
    """What face_recognition makes of the largest of these boxes."""
    import face_recognition

    left, top, right, bottom = max(
        (face["box"] for face in faces), key=lambda box: (box[2] - box[0]) * (box[3] - box[1])
    )
    place = (round(top), round(right), round(bottom), round(left))
    rgb = face_recognition.load_image_file(str(file))
    (encoding,) = face_recognition.face_encodings(rgb, [place], model="small")
    return encoding
