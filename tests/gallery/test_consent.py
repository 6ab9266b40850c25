"""What is noted of consent and until when: read, kept with people, asked for, found by an audit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gallery import consent
from gallery.audit import audit
from gallery.care import material
from gallery.consent import Terms, changes_of
from gallery.consent_audit import findings, with_findings
from gallery.consent_folder import terms_for
from gallery.enrolment_plan import plan_folder
from gallery.errors import PersonUnknown, TermsRefused
from gallery.store import Gallery
from tests.gallery.builders import ENROLLED_UNIX_NS, reference

NOW = datetime(2026, 11, 22, 12, 0).astimezone()
"""Noon, wherever that is."""
DAY_NS = 86_400_000_000_000


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with Gallery.open(tmp_path / "gallery.db") as opened:
        yield opened


def ends(text: str, now: datetime = NOW) -> datetime:
    found = changes_of(expires=text, now=now)["expires_unix_ns"]
    assert isinstance(found, int)
    return datetime.fromtimestamp(found / 1e9).astimezone()


def test_consent_is_a_basis_with_a_reference_and_the_day_of_today() -> None:
    assert changes_of(consent="contract: file 12:3 ", now=NOW) == {
        "consent_basis": "contract",
        "consent_reference": "file 12:3",
        "consent_date": NOW.date().isoformat(),
    }
    assert changes_of(consent="consent", consent_date="2026-01-31", now=NOW) == {
        "consent_basis": "consent",
        "consent_reference": None,
        "consent_date": "2026-01-31",
    }
    assert changes_of(now=NOW) == {}


def test_none_takes_away_what_was_noted() -> None:
    assert set(changes_of(consent="none", expires="none", note="none", now=NOW).values()) == {None}


def test_somebody_expires_when_the_day_is_over_or_a_period_has_passed() -> None:
    assert ends("2027-01-31").replace(tzinfo=None) == datetime(2027, 2, 1)
    assert ends("90d") - NOW == timedelta(days=90)
    assert ends("2w") - NOW == timedelta(weeks=2)
    assert ends("1y").date() == NOW.date().replace(year=2027)
    leap_day = datetime(2028, 2, 29, 12, 0).astimezone()
    assert ends("1y", leap_day).date().isoformat() == "2029-02-28"
    assert ends("3m", datetime(2026, 11, 30, 12, 0).astimezone()).date().isoformat() == "2027-02-28"


@pytest.mark.parametrize(
    "said",
    [
        {"consent": ""},
        {"consent": ":file 12"},
        {"consent": "x" * 1001},
        {"consent": "a\nb"},
        {"consent_date": "yesterday"},
        {"consent": "consent", "consent_date": "2026-12-24"},
        {"expires": "2026-11-20"},
        {"expires": "0d"},
        {"expires": "soon"},
        {"expires": "99999y"},
        {"note": "a\u2028b"},
        {"note": "\udc80"},
    ],
)
def test_what_can_not_be_noted_is_refused(said: dict[str, str]) -> None:
    with pytest.raises(TermsRefused):
        changes_of(**said, now=NOW)


def test_a_client_that_says_anything_else_is_refused() -> None:
    for changes in (
        {"name": "Eve"},
        {"consent_basis": 7},
        {"expires_unix_ns": "never"},
        {"expires_unix_ns": True},
    ):
        with pytest.raises(TermsRefused):
            consent.checked(changes, NOW)


def test_terms_are_kept_with_who_is_enrolled_and_changed_one_by_one(gallery: Gallery) -> None:
    terms = changes_of(consent="consent:form 1", expires="1y", note="badge 7", now=NOW)
    gallery.add("Ann", [reference("a")], ENROLLED_UNIX_NS, terms)
    first = consent.of(gallery, "Ann")
    assert (first.consent_basis, first.consent_reference, first.note) == ("consent", "form 1", "badge 7")
    gallery.add("Ann", [reference("b")], ENROLLED_UNIX_NS, {})
    assert consent.of(gallery, "Ann") == first
    second = consent.change(gallery, "Ann", {"note": None, "expires_unix_ns": first.expires_unix_ns}, NOW)
    assert second == Terms("consent", "form 1", first.consent_date, first.expires_unix_ns, None)
    assert [entry.what for entry in gallery.trail()] == ["enrolled", "terms_set", "enrolled", "terms_set"]
    with pytest.raises(PersonUnknown):
        consent.change(gallery, "Bob", {"note": "x"}, NOW)


def test_the_trail_holds_no_word_of_consent_reference_or_note(gallery: Gallery) -> None:
    terms = changes_of(consent="basisword:referenceword", note="noteword", now=NOW)
    gallery.add("Nameword", [reference("a")], ENROLLED_UNIX_NS, terms)
    consent.change(gallery, "Nameword", changes_of(note="another noteword", now=NOW), NOW)
    assert "word" not in repr(gallery.trail())


def test_where_consent_is_required_nobody_new_comes_in_without_and_nobody_loses_it(gallery: Gallery) -> None:
    gallery.add("Old", [reference("o")], ENROLLED_UNIX_NS)
    gallery.requires_consent = True
    for terms in (None, {}, {"note": "x"}, {"consent_basis": None}):
        with pytest.raises(TermsRefused, match=r"require_consent.*--consent"):
            gallery.add("Ann", [reference("a")], ENROLLED_UNIX_NS, terms)
    assert [person.name for person in gallery.people()] == ["Old"]
    gallery.add("Old", [reference("o2")], ENROLLED_UNIX_NS)
    gallery.add("Ann", [reference("a")], ENROLLED_UNIX_NS, {"consent_basis": "contract"})
    with pytest.raises(TermsRefused, match="visaged forget"):
        consent.change(gallery, "Ann", {"consent_basis": None}, NOW)
    assert consent.of(gallery, "Ann").consent_basis == "contract"


def test_an_audit_finds_who_has_no_consent_and_who_expires_within_30_days(gallery: Gallery) -> None:
    now_ns = int(NOW.timestamp() * 1e9)
    for name, days in (("Ann", 30), ("Bob", 31), ("Cid", None)):
        until = None if days is None else now_ns + days * DAY_NS
        gallery.add(name, [reference(name)], ENROLLED_UNIX_NS, {"expires_unix_ns": until})
    consent.change(gallery, "Bob", {"consent_basis": "contract"}, NOW)

    def found(*, required: bool) -> list[tuple[str, str]]:
        more = findings(gallery.people(), consent.everybodys(gallery), NOW, required=required)
        return [(each.code, each.people[0].name) for each in more]

    assert found(required=False) == [("expires_soon", "Ann")]
    assert found(required=True) == [("no_consent", "Ann"), ("expires_soon", "Ann"), ("no_consent", "Cid")]
    whole = audit(material(gallery))
    more = findings(gallery.people(), consent.everybodys(gallery), NOW, required=True)
    codes = [each.code for each in with_findings(whole, more).findings]
    assert [code for code in codes if code != "same_person"] == [
        *["no_consent"] * 2,
        *["few_references"] * 3,
        "expires_soon",
    ]


def test_a_folders_file_says_it_for_all_and_for_each(tmp_path: Path) -> None:
    (tmp_path / "Ann Lee").mkdir()
    (tmp_path / "Ann Lee" / "a.jpg").touch()
    (tmp_path / "consent.toml").write_text(
        'consent = "contract:all"\nexpires = "1y"\n[people."Ann Lee"]\nconsent = "consent:hers"\n'
        "consent_date = 2026-01-31\n"
    )
    terms = terms_for({"consent": None, "expires": "90d"}, tmp_path, NOW)
    ann, other = terms("Ann Lee"), terms("Bob")
    assert (ann["consent_reference"], ann["consent_date"]) == ("hers", "2026-01-31")
    assert other["consent_reference"] == "all"
    assert (
        ann["expires_unix_ns"]
        == other["expires_unix_ns"]
        == changes_of(expires="90d", now=NOW)["expires_unix_ns"]
    )
    plan = plan_folder(tmp_path)
    assert ([each.name for each in plan.people], plan.refused) == (["Ann Lee"], ())


@pytest.mark.parametrize(
    "text",
    ["consent = ", 'basis = "x"', "consent = 7", 'people = "Ann"', '[people.Ann]\nexpires = "soon"', "\xff"],
)
def test_a_folders_file_that_is_wrong_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "consent.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(TermsRefused) as told:
        terms_for({}, tmp_path, NOW)
    assert "\n" not in str(told.value)
