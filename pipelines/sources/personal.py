"""Find what names a person in a text, and mask it: id numbers, phones, e-mails, names (R110).

Numbers and addresses are found by their form. Names are found by a list of given names and
surnames common in Israel and by words that announce a name ("בשם"). A list is never complete: the
masking lowers the harm of a text that should not have held a name, it does not allow one.
"""

from __future__ import annotations

import re

MASK = "•••"

_ID = r"(?<![\d.])\d{9}(?!\d)|(?<![\d.])\d{7,8}-\d(?!\d)"
_PHONE = r"(?<![\d.])(?:\+?972[-\s]?|0)(?:[23489]|5\d|7\d)[-\s]?\d{3}[-\s]?\d{4}(?!\d)"
_EMAIL = r"[\w.+-]+@[\w-]+\.[\w.-]+"
_NUMBERS = re.compile(f"{_EMAIL}|{_PHONE}|{_ID}")
# A quick look that spares the long patterns the texts without anything to find.
HINT = r"\d{6}|\d-\d|@|[א-ת]"

_GIVEN = [
    "אברהם",
    "אביגיל",
    "אבנר",
    "אהרון",
    "אופיר",
    "אורנה",
    "איילת",
    "איציק",
    "איתמר",
    "אלכס",
    "אלכסנדר",
    "אלעד",
    "אנסטסיה",
    "אסתר",
    "אפרת",
    "אריאל",
    "אריק",
    "בוריס",
    "בנימין",
    "גדעון",
    "גלעד",
    "גרשון",
    "דבורה",
    "דוד",
    "דוידי",
    "דינה",
    "דמיטרי",
    "דני",
    "דניאל",
    "דניאלה",
    "ויקטור",
    "ויקטוריה",
    "ולדימיר",
    "חגי",
    "חדווה",
    "חנה",
    "יאיר",
    "יבגני",
    "יהודה",
    "יהונתן",
    "יואב",
    "יואל",
    "יוחאי",
    "יונתן",
    "יוסי",
    "יוסף",
    "יעל",
    "יעקב",
    "יפעת",
    "יצחק",
    "ישי",
    "כרמית",
    "לאה",
    "ליאת",
    "ליהי",
    "ליזה",
    "לימור",
    "מוחמד",
    "מיכאל",
    "מיכל",
    "מיכאלה",
    "מיקי",
    "מירי",
    "מירית",
    "מנחם",
    "מרדכי",
    "מרים",
    "משה",
    "נאוה",
    "נדב",
    "נחום",
    "נטליה",
    "ניסים",
    "נעמי",
    "נפתלי",
    "סבטלנה",
    "סיגל",
    "סיגלית",
    "סרגיי",
    "עומרי",
    "עידו",
    "ענת",
    "פאטמה",
    "פטימה",
    "צביקה",
    "צילה",
    "קובי",
    "קטיה",
    "רבקה",
    "רונית",
    "רחל",
    "רינת",
    "שולמית",
    "שושנה",
    "שלומי",
    "שלומית",
    "שמואל",
    "שמעון",
    "תהילה",
    "תומר",
    "תמר",
]
# Given names that are words too ("which", "life", "two"): masked only before a surname.
_GIVEN_OR_WORD = [
    "אבי",
    "אביב",
    "אודי",
    "אור",
    "אורי",
    "אילן",
    "איתי",
    "אלון",
    "אלי",
    "אליהו",
    "אמיר",
    "אנה",
    "ארז",
    "אריה",
    "אשר",
    "ברוך",
    "גיל",
    "דן",
    "דנה",
    "הדס",
    "הדר",
    "זאב",
    "חיים",
    "טל",
    "יאן",
    "ירדן",
    "ישראל",
    "ליאור",
    "לירון",
    "מאיה",
    "מאיר",
    "מירב",
    "מיתר",
    "נטע",
    "ניר",
    "נועם",
    "נועה",
    "עדי",
    "עומר",
    "עידן",
    "עמית",
    "ענבל",
    "רון",
    "רועי",
    "רות",
    "רן",
    "שגיא",
    "שחר",
    "שיר",
    "שירה",
    "שלום",
    "שני",
    "שרה",
    "שרון",
]
_SURNAMES = [
    "אברמוב",
    "אברמוביץ",
    "אוחיון",
    "אוחנה",
    "אזולאי",
    "אלבז",
    "אלקיים",
    "אשכנזי",
    "בוזגלו",
    "ביטון",
    "בן־דוד",
    "בן־חמו",
    "ברקוביץ",
    "גבאי",
    "גולדברג",
    "גולדשטיין",
    "גרינברג",
    "דהן",
    "הורוביץ",
    "וקנין",
    "ויצמן",
    "חורי",
    "טויטו",
    "כהן",
    "לוי",
    "לוין",
    "ליבוביץ",
    "מזרחי",
    "סויסה",
    "פרידמן",
    "קפלן",
    "רוזנברג",
    "רביבו",
    "שוורץ",
    "שטרית",
    "שפירא",
    "תורגמן",
]
_SURNAME_OR_WORD = [
    "אלמוג",
    "דיין",
    "חדד",
    "מימון",
    "מלכה",
    "סבג",
    "עמר",
    "פרץ",
    "קדוש",
    "קליין",
    "שושן",
]
_WORD = "[א-ת][א-ת\"'׳״-]*"
# A Hebrew word may carry one letter for "and", "to", "from", "that", "in", "as", "the".
_BEFORE = r"(?<![א-ת\"'])[ושלמבכה]?"
_AFTER = r"(?![א-ת\"'])"
_ANY_SURNAME = "|".join((*_SURNAMES, *_SURNAME_OR_WORD)).replace("־", "[־ -]")
_NAMES = re.compile(
    rf"{_BEFORE}(?:{'|'.join(_GIVEN)})(?:[ -](?:{_ANY_SURNAME}))?{_AFTER}"
    rf"|{_BEFORE}(?:{'|'.join(_GIVEN_OR_WORD)})[ -](?:{_ANY_SURNAME}){_AFTER}"
    rf"|{_BEFORE}(?:{'|'.join(_SURNAMES).replace('־', '[־ -]')}){_AFTER}"
)
_ANNOUNCED = re.compile(
    rf"(?<![א-ת])((?:ש?קוראים ל(?:ו|ה|י)|ו?בשם|ו?שמ(?:ו|ה|י)|מר|גב'|גב׳|הגב'|הגברת)\s+)({_WORD}(?:\s+(?:{_ANY_SURNAME}))?)"
)


def mask_numbers(text: str) -> str:
    """Mask id numbers, phones and e-mail addresses."""
    return _NUMBERS.sub(MASK, text)


def mask_personal(text: str) -> str:
    """Mask id numbers, phones, e-mail addresses and names."""
    masked = _ANNOUNCED.sub(rf"\1{MASK}", mask_numbers(text))
    return _NAMES.sub(MASK, masked)
