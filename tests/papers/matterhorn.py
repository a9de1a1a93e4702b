"""A second checker of PDF/UA-1, beside that of Typst: what machines can judge of the Matterhorn
protocol (1.1, PDF Association), over pypdf.

    judged: 01-003 01-004 01-005 01-007, 02-001 02-004, 06-001 06-002 06-003, 07-001 07-002,
    09-004 09-005, 10-001, 11-001 11-002, 13-004, 14-002 14-003 14-006 14-007, 15-003, 17-002,
    19-003 19-004, 20-001, 21-001, 26-001 26-002, 28-002 28-004 28-008 28-009 28-012, 30-001
    30-002, 31-009 31-027 31-028 31-029, and that the file is marked as tagged (ISO 14289-1, 7.1)
    not judged: embedded files and media (21, 27, 29), program data of fonts (31-001 to 31-008,
    31-011 to 31-026, 31-030), and all points that a person must judge
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pypdf
from pypdf.generic import (
    ArrayObject,
    BooleanObject,
    ContentStream,
    DictionaryObject,
    IndirectObject,
)

STANDARD = {
    *("Document", "Part", "Art", "Sect", "Div", "BlockQuote", "Caption", "TOC", "TOCI", "Index"),
    *("NonStruct", "Private", "P", "H", "H1", "H2", "H3", "H4", "H5", "H6", "L", "LI", "Lbl"),
    *("LBody", "Table", "TR", "TH", "TD", "THead", "TBody", "TFoot", "Span", "Quote", "Note"),
    *("Reference", "BibEntry", "Code", "Link", "Annot", "Ruby", "Warichu", "RB", "RT", "RP"),
    *("WT", "WP", "Figure", "Formula", "Form"),
}
# What may stand under what (ISO 32000-1, tables 336 and 337).
MAY_HOLD = {
    "Table": {"TR", "THead", "TBody", "TFoot", "Caption"},
    "THead": {"TR"},
    "TBody": {"TR"},
    "TFoot": {"TR"},
    "TR": {"TH", "TD"},
    "L": {"L", "LI", "Caption"},
    "LI": {"Lbl", "LBody"},
}
MUST_STAND_IN = {
    "TR": {"Table", "THead", "TBody", "TFoot"},
    "TH": {"TR"},
    "TD": {"TR"},
    "THead": {"Table"},
    "TBody": {"Table"},
    "TFoot": {"Table"},
    "LI": {"L"},
    "LBody": {"LI"},
}
_TABLES = {"Table", "THead", "TBody", "TFoot", "TR", "TH", "TD"}
PAINTS = {b"Tj", b"TJ", b"'", b'"', b"f", b"F", b"f*", b"B", b"B*", b"b", b"b*", b"S", b"s"} | {
    b"sh",
    b"INLINE IMAGE",
}
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_PART = "{http://www.aiim.org/pdfua/ns/id/}part"
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"


@dataclass
class Element:
    """A structure element: its type by the role map, its dictionary, and what it holds."""

    kind: str
    held: DictionaryObject
    above: Element | None
    below: list[Element] = field(default_factory=list)
    marked: list[tuple[int, int]] = field(default_factory=list)  # page, id of marked content
    objects: list[int] = field(default_factory=list)  # annotations, by their number


@dataclass
class Read:
    """A PDF with what the checks share."""

    pdf: pypdf.PdfReader
    elements: list[Element]
    roles: dict[str, str]

    @property
    def catalog(self) -> DictionaryObject:
        return self.pdf.trailer["/Root"]

    @property
    def pages(self) -> dict[int, int]:
        """Number of each page's object: its place."""
        return {page.indirect_reference.idnum: place for place, page in enumerate(self.pdf.pages)}


def faults_of(path: Path) -> list[str]:
    """Return the faults of a PDF, each with the point of the protocol; none if there is none."""
    read = _read(path)
    return [fault for check in CHECKS for fault in check(read)]


def _read(path: Path) -> Read:
    pdf = pypdf.PdfReader(path)
    root = pdf.trailer["/Root"].get("/StructTreeRoot")
    root = root.get_object() if root else DictionaryObject()
    roles = {str(k)[1:]: str(v)[1:] for k, v in (root.get("/RoleMap") or {}).items()}
    read = Read(pdf, [], roles)
    for one in _kids(root):
        _walk(read, one, None, None)
    return read


def _kids(held: DictionaryObject) -> list:
    kids = held.get("/K", [])
    kids = kids.get_object() if isinstance(kids, IndirectObject) else kids
    return list(kids) if isinstance(kids, list) else [kids]


def _walk(read: Read, one, above: Element | None, page: int | None) -> None:
    held = one.get_object()
    if isinstance(held, int):
        assert above is not None
        above.marked.append((page, int(held)))
        return
    own = held.raw_get("/Pg").idnum if "/Pg" in held else page
    if held.get("/Type") == "/MCR":
        above.marked.append((own, int(held["/MCID"])))
    elif held.get("/Type") == "/OBJR":
        above.objects.append(held.raw_get("/Obj").idnum)
    else:
        kind = str(held.get("/S", "/"))[1:]
        for _ in range(len(read.roles)):
            if kind in STANDARD:
                break
            kind = read.roles.get(kind, kind)
        element = Element(kind, held, above)
        if above is not None:
            above.below.append(element)
        read.elements.append(element)
        for kid in _kids(held):
            _walk(read, kid, element, own)


def tagged(read: Read) -> Iterator[str]:
    """The file says that it is tagged, and has a tree (7.1; 01-007)."""
    marks = read.catalog.get("/MarkInfo") or {}
    if marks.get("/Marked") != BooleanObject(True) or not read.elements:
        yield "7.1: not marked as tagged"
    if marks.get("/Suspects", BooleanObject(False)) != BooleanObject(False):
        yield "01-007: tags are suspect"


def content(read: Read) -> Iterator[str]:
    """All that is painted is tagged, or an artifact (01-003 to 01-005)."""
    known = {mark for element in read.elements for mark in element.marked}
    seen = set()
    for place, page in enumerate(read.pdf.pages):
        number = page.indirect_reference.idnum
        for fault, mark in _painted(read, page.get_contents(), page.get("/Resources"), number):
            if fault:
                yield f"{fault} (page {place + 1})"
            if mark:
                seen.add(mark)
    if lost := sorted(seen - known):
        yield f"01-005: marked content {lost[:3]} stands in no element"
    if unknown := sorted(known - seen, key=str):
        yield f"01-005: elements hold {unknown[:3]}, which no page has"


def _painted(read: Read, stream, resources, number, within: tuple[str, ...] = ()):
    """Yield (fault, marked content) of a stream."""
    if stream is None:
        return
    resources = (resources or DictionaryObject()).get_object()
    stack: list[str] = list(within)
    told: set[str] = set()
    for operands, operator in ContentStream(stream, read.pdf).operations:
        if operator in (b"BMC", b"BDC"):
            tag = str(operands[0])[1:]
            properties = operands[1] if len(operands) > 1 else None
            if isinstance(properties, str):
                properties = resources["/Properties"][properties]
            mark = (properties or {}).get("/MCID") if tag != "Artifact" else None
            if tag == "Artifact":
                if "tagged" in stack:
                    told.add("01-003: an artifact stands inside tagged content")
                stack.append("artifact")
            elif mark is not None:
                if "artifact" in stack:
                    told.add("01-004: tagged content stands inside an artifact")
                stack.append("tagged")
                yield "", (number, int(mark))
            else:
                stack.append("")
        elif operator == b"EMC":
            stack.pop()
        elif operator == b"Do":
            named = resources["/XObject"][operands[0]].get_object()
            if named["/Subtype"] == "/Form":
                own = named.get("/Resources", resources)
                yield from _painted(read, named, own, number, tuple(stack))
            elif not {"tagged", "artifact"} & set(stack):
                told.add("01-005: an image is neither tagged nor an artifact")
        elif operator in PAINTS and not {"tagged", "artifact"} & set(stack):
            told.add(f"01-005: {operator.decode()} paints what is neither tagged nor an artifact")
    yield from ((fault, None) for fault in sorted(told))


def role_map(read: Read) -> Iterator[str]:
    """Every type of element is a standard one, by the role map at most (02-001, 02-004)."""
    for kind in sorted({element.kind for element in read.elements} - STANDARD):
        yield f"02-001: {kind} is no standard type"
    for kind in sorted(STANDARD & set(read.roles)):
        yield f"02-004: the standard type {kind} is mapped"


def metadata(read: Read) -> Iterator[str]:
    """XMP names the standard and the title (06), and a reader shows the title (07)."""
    if "/Metadata" not in read.catalog:
        yield "06-001: no XMP metadata"
        return
    tree = ElementTree.fromstring(read.catalog["/Metadata"].get_object().get_data())
    parts = [node.text for node in tree.iter(_PART)]
    parts += [node.get(_PART) for node in tree.iter(f"{_RDF}Description") if node.get(_PART)]
    if parts != ["1"]:
        yield f"06-002: the part of PDF/UA is {parts}"
    if not any("".join(node.itertext()).strip() for node in tree.iter(_TITLE)):
        yield "06-003: no title"
    shown = (read.catalog.get("/ViewerPreferences") or {}).get("/DisplayDocTitle")
    if shown is None or not shown.value:
        yield f"07-00{1 if shown is None else 2}: the title is not shown"


def nesting(read: Read) -> Iterator[str]:
    """Parts of tables and lists stand where they belong (09-004, 09-005)."""
    for element in read.elements:
        point = "09-004" if element.kind in _TABLES else "09-005"
        above = element.above.kind if element.above else "nothing"
        if element.kind in MUST_STAND_IN and above not in MUST_STAND_IN[element.kind]:
            yield f"{point}: {element.kind} in {above}"
        for one in element.below if element.kind in MAY_HOLD else ():
            if one.kind not in MAY_HOLD[element.kind]:
                yield f"{point}: {element.kind} holds {one.kind}"


def language(read: Read) -> Iterator[str]:
    """The document has a language, and so has whatever has another (11-001, 11-002)."""
    if not _LANGUAGE.fullmatch(str(read.catalog.get("/Lang", ""))):
        yield "11-001: no language of the document"
    for element in read.elements:
        if "/Lang" in element.held and not _LANGUAGE.fullmatch(str(element.held["/Lang"])):
            yield f"11-002: {element.kind} has the language {element.held['/Lang']!r}"


def alternatives(read: Read) -> Iterator[str]:
    """Figures and formulas are told in words (13-004, 17-002)."""
    for element in read.elements:
        words = str(element.held.get("/Alt", "")) + str(element.held.get("/ActualText", ""))
        if element.kind in ("Figure", "Formula") and not words.strip():
            yield f"{'13-004' if element.kind == 'Figure' else '17-002'}: {element.kind}"


def headings(read: Read) -> Iterator[str]:
    """Headings begin with the first level and skip none (14)."""
    levels = [int(e.kind[1]) for e in read.elements if re.fullmatch("H[1-6]", e.kind)]
    plain = [e for e in read.elements if e.kind == "H"]
    if levels and levels[0] != 1:
        yield f"14-002: the first heading is of level {levels[0]}"
    for one, after in pairwise(levels):
        if after > one + 1:
            yield f"14-003: level {after} after level {one}"
    if plain and levels:
        yield "14-007: headings with and without level"
    if any(sum(one.kind == "H" for one in e.below) > 1 for e in read.elements):
        yield "14-006: two headings without level in one element"


def heads(read: Read) -> Iterator[str]:
    """The head cells of a table say what they are the heads of, or its cells name their heads
    (15-003).
    """
    for table in (e for e in read.elements if e.kind == "Table"):
        cells = [e for e in _under(table) if e.kind in ("TH", "TD")]
        ids = {str(cell.held.get("/ID")) for cell in cells if cell.kind == "TH"}
        named = [_attribute(cell, "/Headers") for cell in cells if cell.kind == "TD"]
        if all(one and {str(name) for name in one} <= ids for one in named):
            continue
        lost = [c for c in cells if c.kind == "TH" and _attribute(c, "/Scope") is None]
        if lost:
            yield f"15-003: {len(lost)} head cells without scope"


def _under(element: Element) -> Iterator[Element]:
    for one in element.below:
        yield one
        yield from _under(one)


def _attribute(element: Element, name: str):
    given = element.held.get("/A", ArrayObject()).get_object()
    for one in given if isinstance(given, list) else [given]:
        one = one.get_object()
        if isinstance(one, dict) and name in one:
            return one[name]
    return None


def notes(read: Read) -> Iterator[str]:
    """Notes have ids of their own (19-003, 19-004)."""
    ids = [element.held.get("/ID") for element in read.elements if element.kind == "Note"]
    if None in ids:
        yield "19-003: a note without id"
    if any(count > 1 for one, count in Counter(ids).items() if one is not None):
        yield "19-004: two notes of one id"


def layers_and_locks(read: Read) -> Iterator[str]:
    """No nameless layer, no dynamic form, no lock against assistive software (20, 21, 26)."""
    layers = read.catalog.get("/OCProperties") or {}
    for one in [layers.get("/D"), *(layers.get("/Configs") or [])]:
        if one is not None and not one.get_object().get("/Name"):
            yield "20-001: a layer without name"
    if "/XFA" in (read.catalog.get("/AcroForm") or {}):
        yield "21-001: a dynamic form"
    if lock := read.pdf.trailer.get("/Encrypt"):
        rights = lock.get_object().get("/P")
        if rights is None or not int(rights) & 512:
            yield f"26-00{1 if rights is None else 2}: locked against assistive software"


def annotations(read: Read) -> Iterator[str]:
    """Annotations are tagged, told in words, and met in the order of the tags (28)."""
    nested = {one: element.kind for element in read.elements for one in element.objects}
    for place, page in enumerate(read.pdf.pages, start=1):
        found = page.get("/Annots") or []
        found = found.get_object() if found else []
        if found and "/Tabs" not in page:
            yield f"28-008: no order of tabs on page {place}"
        elif found and page["/Tabs"] != "/S":
            yield f"28-009: tabs of page {place} by {page['/Tabs']}"
        for one in found:
            held = one.get_object()
            if held["/Subtype"] == "/Popup":
                continue
            if not nested.get(one.idnum):
                yield f"28-002: {held['/Subtype']} on page {place} stands in no element"
            if not held.get("/Contents"):
                point = "28-012" if held["/Subtype"] == "/Link" else "28-004"
                yield f"{point}: {held['/Subtype']} on page {place} without words"


def drawings(read: Read) -> Iterator[str]:
    """No drawing comes from another file, none with tags stands twice (30)."""
    used: Counter[int] = Counter()
    for page in read.pdf.pages:
        for one in ((page.get("/Resources") or {}).get("/XObject") or {}).values():
            held = one.get_object()
            if "/Ref" in held:
                yield "30-001: a drawing of another file"
            if held["/Subtype"] == "/Form" and b"MCID" in held.get_data():
                used[one.indirect_reference.idnum if one.indirect_reference else id(one)] += 1
    if any(count > 1 for count in used.values()):
        yield "30-002: a tagged drawing stands twice"


def fonts(read: Read) -> Iterator[str]:
    """Every font is in the file and says which letters its glyphs are (10-001, 31)."""
    seen = {}
    for page in read.pdf.pages:
        for name, one in ((page.get("/Resources") or {}).get("/Font") or {}).items():
            held = one.get_object()
            seen[str(held.get("/BaseFont", name))] = held
    for name, held in sorted(seen.items()):
        if held["/Subtype"] == "/Type3":
            continue
        inner = held["/DescendantFonts"][0].get_object() if "/DescendantFonts" in held else held
        described = inner.get("/FontDescriptor", DictionaryObject()).get_object()
        if not {"/FontFile", "/FontFile2", "/FontFile3"} & set(described):
            yield f"31-009: {name} is not in the file"
        if "/ToUnicode" not in held:
            yield f"31-027: {name} does not say which letters its glyphs are"
            continue
        text = held["/ToUnicode"].get_object().get_data().decode("latin-1")
        letters = re.findall(r"<[0-9A-Fa-f]+>\s*<([0-9A-Fa-f]*)>\s*$", text, re.M)
        if not letters:
            yield f"10-001: {name} maps no glyph to a letter"
        for letter in letters:
            units = {letter[at : at + 4].upper() for at in range(0, len(letter), 4)}
            if "0000" in units:
                yield f"31-028: {name} maps to nothing"
            if units & {"FEFF", "FFFE"}:
                yield f"31-029: {name} maps to a mark of order"


CHECKS = (
    tagged,
    content,
    role_map,
    metadata,
    nesting,
    language,
    alternatives,
    headings,
    heads,
    notes,
    layers_and_locks,
    annotations,
    drawings,
    fonts,
)
