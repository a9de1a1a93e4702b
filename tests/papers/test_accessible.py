"""Two checkers of PDF/UA-1: Typst's own at writing, and the points of the Matterhorn protocol that
machines can judge (`matterhorn`). The second one finds every damage that is done to a paper.
"""

import pypdf
import pytest
import typst
from pypdf.generic import (
    ArrayObject,
    BooleanObject,
    DecodedStreamObject,
    DictionaryObject,
    NameObject,
    NumberObject,
    RectangleObject,
    TextStringObject,
)

from pipelines.publish.papers.make import MEETINGS, POLICY
from tests.papers.matterhorn import faults_of

PAPERS = (POLICY, *MEETINGS, "rating_map", "gap_cause_action", "response_cards", "ladder")


def test_every_pdf_is_judged(papers):
    assert {path.stem for path in papers.rglob("*.pdf")} == set(PAPERS)


@pytest.mark.parametrize("name", PAPERS)
def test_a_paper_is_accessible_by_the_second_checker(papers, name):
    assert faults_of(papers / "committee" / f"{name}.pdf") == []


def test_the_first_checker_refuses_a_figure_without_words():
    source = '#set document(title: "x")\n#set text(lang: "he")\n#figure(rect())'
    with pytest.raises(typst.TypstError):
        typst.compile(source.encode(), pdf_standards=["ua-1"])


def element(writer, kind, at=0):
    """The `at`-th structure element of a kind, in the order of the tree."""
    found = []

    def walk(one):
        held = one.get_object()
        if isinstance(held, DictionaryObject):
            if str(held.get("/S", ""))[1:] == kind:
                found.append(held)
            kids = held.get("/K", [])
            kids = kids.get_object()
            for kid in kids if isinstance(kids, list) else [kids]:
                walk(kid)

    walk(writer.root_object["/StructTreeRoot"])
    return found[at]


def painted(writer, before=b"", after=b""):
    """Paint more on the first page."""
    page = writer.pages[0]
    held = DecodedStreamObject()
    held.set_data(before + page.get_contents().get_data() + after)
    page[NameObject("/Contents")] = writer._add_object(held)


def marked(root, name, value):
    root[NameObject("/MarkInfo")][NameObject(name)] = BooleanObject(value)


def metadata(writer, old, new):
    held = DecodedStreamObject()
    data = writer.root_object["/Metadata"].get_object().get_data()
    assert old in data
    held.set_data(data.replace(old, new))
    writer.root_object[NameObject("/Metadata")] = writer._add_object(held)


def set_kind(writer, kind, new, at=0):
    element(writer, kind, at)[NameObject("/S")] = NameObject(f"/{new}")


def annotate(writer, **more):
    page = writer.pages[0]
    held = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Annot"),
            NameObject("/Subtype"): NameObject("/Link"),
            NameObject("/Rect"): RectangleObject((0, 0, 9, 9)),
        }
    )
    for name, value in more.items():
        held[NameObject(f"/{name}")] = value
    page[NameObject("/Annots")] = ArrayObject([writer._add_object(held)])


def fonts(writer):
    """Each font of the pages, once."""
    found = {}
    for page in writer.pages:
        for one in page["/Resources"]["/Font"].values():
            held = one.get_object()
            found[id(held)] = held
    return list(found.values())


def letters(writer, old, new):
    for font in fonts(writer):
        held = DecodedStreamObject()
        data = font["/ToUnicode"].get_object().get_data()
        assert old in data
        held.set_data(data.replace(old, new))
        font[NameObject("/ToUnicode")] = writer._add_object(held)


def drop(held, name):
    del held[NameObject(name)]


def no_scope(writer):
    for kind in ("TH", "TD"):
        drop(element(writer, kind), "/A")


def two_heads(writer):
    held = element(writer, "Table")["/K"].get_object()
    for one in held[:2]:
        one.get_object()[NameObject("/S")] = NameObject("/H")


def note(writer):
    set_kind(writer, "P", "Note")


def two_notes(writer):
    for at in (0, 0):
        note_of = element(writer, "P", at)
        note_of[NameObject("/S")] = NameObject("/Note")
        note_of[NameObject("/ID")] = TextStringObject("one")


def locked(writer):
    writer.encrypt("", "owner", permissions_flag=0)


def not_in_the_file(writer):
    for font in fonts(writer):
        described = font["/DescendantFonts"][0].get_object()["/FontDescriptor"].get_object()
        for name in ("/FontFile", "/FontFile2", "/FontFile3"):
            if name in described:
                drop(described, name)


def layer(writer):
    writer.root_object[NameObject("/OCProperties")] = DictionaryObject(
        {NameObject("/D"): DictionaryObject()}
    )


def dynamic(writer):
    writer.root_object[NameObject("/AcroForm")] = DictionaryObject(
        {NameObject("/XFA"): ArrayObject()}
    )


def other_file(writer, times=1, data=b"", **more):
    resources = writer.pages[0]["/Resources"]
    held = DecodedStreamObject()
    held.set_data(data)
    held[NameObject("/Type")], held[NameObject("/Subtype")] = (
        NameObject("/XObject"),
        NameObject("/Form"),
    )
    for name, value in more.items():
        held[NameObject(f"/{name}")] = value
    placed = writer._add_object(held)
    resources[NameObject("/XObject")] = DictionaryObject(
        {NameObject(f"/X{at}"): placed for at in range(times)}
    )


TAGGED = b"/P <</MCID 77777>> BDC\n0 0 m 1 1 l S\nEMC\n"
DAMAGES = {
    "7.1": lambda w: marked(w.root_object, "/Marked", False),
    "01-003": lambda w: painted(w, after=b"\n/P <</MCID 0>> BDC /Artifact BMC EMC EMC\n"),
    "01-004": lambda w: painted(w, after=b"\n/Artifact BMC /P <</MCID 0>> BDC EMC EMC\n"),
    "01-005": lambda w: painted(w, after=b"\n0 0 9 9 re f\n"),
    "01-005: marked content": lambda w: painted(w, after=b"\n" + TAGGED),
    "01-005: elements hold": lambda w: element(w, "P").update(
        {NameObject("/K"): NumberObject(88888)}
    ),
    "01-007": lambda w: marked(w.root_object, "/Suspects", True),
    "02-001": lambda w: set_kind(w, "P", "Chapter"),
    "02-004": lambda w: w.root_object["/StructTreeRoot"].update(
        {NameObject("/RoleMap"): DictionaryObject({NameObject("/P"): NameObject("/Span")})}
    ),
    "06-001": lambda w: drop(w.root_object, "/Metadata"),
    "06-002": lambda w: metadata(w, b"<pdfuaid:part>1<", b"<pdfuaid:part>7<"),
    "06-003": lambda w: metadata(w, b"dc:title", b"dc:other"),
    "07-001": lambda w: drop(w.root_object["/ViewerPreferences"], "/DisplayDocTitle"),
    "07-002": lambda w: w.root_object["/ViewerPreferences"].update(
        {NameObject("/DisplayDocTitle"): BooleanObject(False)}
    ),
    "09-004": lambda w: set_kind(w, "TR", "P"),
    "09-005": lambda w: set_kind(w, "LI", "P"),
    "10-001": lambda w: letters(w, b"<", b"("),
    "11-001": lambda w: drop(w.root_object, "/Lang"),
    "11-002": lambda w: element(w, "P").update(
        {NameObject("/Lang"): TextStringObject("no language")}
    ),
    "13-004": lambda w: drop(element(w, "Figure"), "/Alt"),
    "14-002": lambda w: set_kind(w, "H1", "H2"),
    "14-003": lambda w: set_kind(w, "H2", "H4"),
    "14-006": two_heads,
    "14-007": lambda w: set_kind(w, "H2", "H"),
    "15-003": no_scope,
    "17-002": lambda w: [drop(element(w, "Figure"), "/Alt"), set_kind(w, "Figure", "Formula")],
    "19-003": note,
    "19-004": two_notes,
    "20-001": layer,
    "21-001": dynamic,
    "26-002": locked,
    "28-002": annotate,
    "28-004": lambda w: annotate(w, Subtype=NameObject("/Text")),
    "28-008": annotate,
    "28-009": lambda w: [annotate(w), w.pages[0].update({NameObject("/Tabs"): NameObject("/R")})],
    "28-012": annotate,
    "30-001": lambda w: other_file(w, Ref=DictionaryObject()),
    "30-002": lambda w: other_file(w, times=2, data=TAGGED),
    "31-009": not_in_the_file,
    "31-027": lambda w: [drop(font, "/ToUnicode") for font in fonts(w) if "/ToUnicode" in font],
    "31-028": lambda w: letters(w, b"> <00", b"> <0000"),
    "31-029": lambda w: letters(w, b"> <00", b"> <FEFF00"),
}


# A page is damaged in a tenth of the time of ten; these need a figure, a list or a lower head.
ONE_PAGE, TEN_PAGES = "ladder.pdf", "meeting_1.pdf"
NOT_ON_ONE_PAGE = {"09-005", "13-004", "14-003", "14-007", "17-002"}


@pytest.mark.parametrize("point", DAMAGES)
def test_every_damage_is_found(papers, tmp_path, point):
    paper = TEN_PAGES if point in NOT_ON_ONE_PAGE else ONE_PAGE
    writer = pypdf.PdfWriter(clone_from=papers / "committee" / paper)
    if point in ("28-008", "28-012", "28-002"):
        for page in writer.pages:
            page.pop(NameObject("/Tabs"), None)
    DAMAGES[point](writer)
    writer.write(tmp_path / "damaged.pdf")
    found = faults_of(tmp_path / "damaged.pdf")
    assert any(fault.startswith(point) for fault in found), found


@pytest.mark.parametrize("paper", [ONE_PAGE, TEN_PAGES])
def test_a_copy_without_damage_has_none(papers, tmp_path, paper):
    writer = pypdf.PdfWriter(clone_from=papers / "committee" / paper)
    writer.write(tmp_path / "copy.pdf")
    assert faults_of(tmp_path / "copy.pdf") == []
