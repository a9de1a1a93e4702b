"""The numbers of the demonstration city, in one place.

Everything is synthetic: no real school, pupil, address or institution code. School and pupil
counts of the last year equal the source documents; all other numbers are assumptions, calibrated
so that the realised spread of scores resembles published Israeli figures. What is planted (effects,
causes, slopes, fading) is drawn around these for each city (`coefficients`).
Units: effects and score components in pupil SD, money in NIS, shares between 0 and 1.
"""

from __future__ import annotations

from dataclasses import dataclass

SUBJECTS = ("hebrew", "math", "english", "science")
FIRST_TESTED_GRADE = (2, 2, 3, 5)  # per subject; the last tested grade is 6 for all
GRADES = (1, 2, 3, 4, 5, 6)
GRADE_SHARES = (0.175, 0.172, 0.169, 0.165, 0.161, 0.158)
YEARLY_GROWTH = 0.012
ENROLMENT_NOISE = 0.02
LOCALITY = "עיר ההדגמה"

# ---- schools ------------------------------------------------------------------------------------

STATE, RELIGIOUS, UNOFFICIAL = "state", "state_religious", "recognised_unofficial"
STREAM_OF_LETTER = {"S": STATE, "R": RELIGIOUS, "U": UNOFFICIAL}
CLASS_CAP = {STATE: 32, RELIGIOUS: 31, UNOFFICIAL: 34}  # mean class 26.5 / 25.0 / 24.9


@dataclass(frozen=True)
class School:
    """One row of the school table: pupils and background of the last year, programmes that run."""

    label: str
    pupils: int
    nurture: float
    immigrant_pct: float
    sen_pct: float
    programmes: tuple[str, ...]

    @property
    def stream(self) -> str:
        """Reporting stream, read off the first letter of the label."""
        return STREAM_OF_LETTER[self.label[0]]


_TABLE = """
S01 702 3.4  2  5
S02 655 4.1  4  6
S03 621 3.8  3  5
S04 588 4.6  5  6
S05 566 5.2  6  7 rvadim
S06 541 4.9  6  6
S07 520 5.6  7  7 merchav
S08 498 6.3  9  8 milat rvadim
S09 476 5.0  6  7 makom_balev
S10 455 6.8 10  8 milat icei
S11 433 5.9  8  7 rvadim
S12 412 7.1 11  8 milat merchav
S13 388 6.5  9  8 merchav rvadim posh
S14 361 7.6 12  9 milat rvadim posh
S15 322 5.4  7  7
S16 271 8.1 13  9 milat merchav posh
S17 210 4.4  5  6
R01 560 4.8  4  6
R02 512 5.5  5  7 rvadim
R03 470 6.1  6  8 merchav
R04 438 5.2  4  7 makom_balev
R05 410 6.7  7  8 milat rvadim
R06 386 7.3  8  9 milat
R07 352 5.9  6  7 icei
R08 318 6.4  7  8 merchav rvadim posh
R09 281 7.8  9  9 milat posh
R10 236 8.3 10 10 milat merchav
R11 188 6.9  8  8
R12 140 7.0  8  8 rvadim
U01 412 6.2  2  8
U02 338 7.4  2  9 posh
U03 296 6.8  2  8
U04 251 7.9  2  9 milat
U05 198 8.2  2  9
U06 149 7.1  2  8
U07 100 6.6  2  8
"""  # label, pupils, nurture index, immigrants (%), integration pupils (%), programmes


def _school(line: str) -> School:
    label, pupils, nurture, immigrants, sen, *programmes = line.split()
    return School(
        label, int(pupils), float(nurture), float(immigrants), float(sen), tuple(programmes)
    )


SCHOOLS = tuple(_school(line) for line in _TABLE.strip().splitlines())
SMALL_CITY = ("S03", "S10", "S14", "R08", "R12", "U04")
FIRST_CODE, FIRST_MERGED_CODE = 900001, 900900
MERGED_SCHOOL, MERGED_SHARE = "R12", 0.4  # two codes until the merger in T−2
NEW_SCHOOL = "U07"  # opens in T−1
MERGER_LAG, OPENING_LAG = 2, 1

NAME_PLANTS = (
    "אלון",
    "גפן",
    "רימון",
    "תמר",
    "שקד",
    "אורן",
    "זית",
    "ברוש",
    "הדס",
    "ערבה",
    "דולב",
    "אשל",
    "לוטם",
    "מרווה",
    "נורית",
    "סביון",
    "רותם",
    "יסמין",
    "חרוב",
    "תאנה",
    "אגוז",
    "לבונה",
    "כרכום",
    "סחלב",
    "נרקיס",
    "ורד",
    "דפנה",
    "אזוב",
    "צאלון",
    "שיטה",
    "ארז",
    "תדהר",
    "אטד",
    "קנמון",
    "חצב",
    "לענה",
)
NAME_ENDINGS = ("ורקיע", "ואדווה", "ושחק", "ותלם", "ומצוק")
NAME_PREFIX = {STATE: "יסודי", RELIGIOUS: 'ממ"ד', UNOFFICIAL: "תלמוד תורה"}
CHOICE_CLUSTERS = ("א", "ב", "ג", "ד")
UNIQUENESS_CLUSTERS = (
    "אומנות ויצירה",
    "מדעים וסביבה",
    "יהדות ומורשת",
    "מנהיגות וקהילה",
    "תקשורת ודיאלוג",
)
STAT_AREAS = 24
AREA_COLUMNS, AREA_WIDTH_M, GRID_ORIGIN_M = 6, 900, 10_000  # areas as cells of a grid, six to a row
AREA_CLUSTERS = (2, 8)  # weakest and strongest CBS cluster of the city's areas
AREA_NOISE = 0.85  # in SD of the nurture index: correlation of −.7 between school and area

# ---- pupils -------------------------------------------------------------------------------------

DECILE_SD = 2.3
DECILE_TOLERANCE = 0.04  # the school mean of the deciles stays this close to the table
EDUCATION_AT_ZERO, EDUCATION_PER_DECILE, EDUCATION_SD = 17.0, 0.8, 1.6
INTERNET_AT_5, INTERNET_PER_NURTURE = 0.93, 0.03
IMMIGRANT_YEARS = {2: 0.30, 4: 0.25, 10: 0.45}  # share by full years in Israel, up to the key
LATE_JOINER_IMMIGRANTS = 2.5  # pupils who join above grade 1 are immigrants this much more often
RECENT_YEARS = 2
REPEATER_SHARE = 0.03
OWN_AREA_SHARE = 0.7
GIFTED_SHARE, AMIRIM_SHARE = 0.02, 0.05
IDENTIFICATION_GRADE = 3
AMIRIM_LOSS_DECILE_8 = 0.30  # identified less often at equal ability
EXIT_RATES = {
    "moved_city": 0.026,
    "abroad": 0.004,
    "special_education": 0.005,
    "other_stream": 0.011,
}
MOBILITY_PER_DECILE = 0.005  # more moves above decile 5.5
DROPOUT_RATE, DROPOUT_PER_DECILE = 0.0022, 0.18  # about 35 pupils a year

# ---- achievement --------------------------------------------------------------------------------

CENTRE_DECILE = 5.9
PUPIL_SLOPE, SCHOOL_SLOPE = -0.07, -0.05
SD_BACKGROUND = 0.24  # of what the two slopes do to pupils
SD_SCHOOL, SD_SCHOOL_SUBJECT, SD_SCHOOL_YEAR, SD_SCHOOL_SUBJECT_YEAR = 0.24, 0.13, 0.06, 0.06
SD_CLASS, SD_PUPIL, SD_TEST = 0.10, 0.68, 0.60
PUPIL_PERSISTENCE = 0.9
GIRLS = (0.10, 0.0, 0.0, 0.0)
RECENT_IMMIGRANTS = (-0.45, -0.15, -0.10, -0.25)
INTEGRATION_PUPILS = -0.35
INTERNAL_SCALE, INTERNAL_MEAN, INTERNAL_SD = "INT", 71.0, 14.0
OLD_SCALE, OLD_MEAN = "L1", 500.0
NEW_SCALE, NEW_MEAN = "L2", 510.0
EXTERNAL_SD = 100.0
NEW_SCALE_LAG = 1  # L2 from T−1
EXTERNAL_GRADE = (4, 6, 6, 6)  # per subject
INTERNAL_MISSING = 0.054  # with the school that never reports: 92 % of school × subject × year
SILENT_SCHOOL = "U03"
TESTED, TESTED_SEN, TESTED_RECENT = 0.97, 0.70, 0.40  # 94 % of all pupils
BAND_WIDTH = 0.25
TARGET_INTERNAL = 72.0
REFERENCE_MAX_DECILE = 5

# ---- attendance, climate, informal activity -----------------------------------------------------

ADAPTED_SEN = 0.15  # integrated pupils who sit an adapted version
SCHOOL_DAYS = 215
ABSENCE_MEAN, ABSENCE_PER_DECILE, ABSENCE_SCHOOL_SD, ABSENCE_K = 11.0, 0.9, 2.0, 2.6
JUSTIFIED_SHARE = 0.70
ABSENCE_EFFECT = {"milat": 0.96, "merchav": 0.88}  # factor for participants
CLIMATE_GRADES = (5, 6)
CLIMATE_MEAN = {"relations": 78.0, "safety": 80.0, "teaching": 75.0, "social_value": 72.0}
CLIMATE_SCHOOL_SD, CLIMATE_CLASS_SD, CLIMATE_PER_NURTURE = 6.0, 4.0, -0.8
CLIMATE_EFFECT = {
    "merchav": ("safety", 2.0),
    "rvadim": ("relations", 2.0),
    "perach": ("relations", 3.0),
    "makom_balev": ("social_value", 4.0),
}  # percentage points among participants
RESPONSE_RATE = {STATE: 0.88, RELIGIOUS: 0.88, UNOFFICIAL: 0.72}
LOW_RESPONSE_SCHOOL, LOW_RESPONSE_RATE = "U06", 0.31
INFORMAL_AT_CENTRE = -0.45  # 46 % of pupils take part once clubs are subsidised everywhere
INFORMAL_PER_DECILE = -0.22
INFORMAL_AREA_SD = 0.2
INFORMAL_SUBSIDY_LOGIT = 0.25
ACTIVITIES = {"club": (0.6, 120, 250), "youth_movement": (0.3, 60, 120), "other": (0.1, 80, 180)}
SECOND_ACTIVITY_SHARE = 0.15

# ---- responses (programmes) ---------------------------------------------------------------------


@dataclass(frozen=True)
class Response:
    """One response: its truth, whom it serves, what it costs and who pays.

    `reach`: "listed" in the school table, "all" schools, the "weakest" third or so by nurture
    index (`reach_share`), or schools with many "immigrants".
    """

    response_id: str
    goal_id: str
    reach: str
    mechanism: str
    effects: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    served_share: float = 1.0
    is_targeted: bool = True
    reach_share: float = 1.0
    fixed_nis: int = 0
    unit_nis: int = 0
    funding: tuple[tuple[str, int], ...] = ()  # channel, percent

    @property
    def has_money(self) -> bool:
        """Whether a cost is assumed; the others run on national or staff budgets."""
        return bool(self.funding)


MUNICIPAL, GEFEN, MINISTRY = "municipal_own", "gefen_school", "ministry_other"
LOTTERY, PARTNER, PARENTS = "mifal_hapais", "partner_ngo", "parents"

RESPONSES = (
    Response(
        "milat",
        "g02",
        "listed",
        "need_based",
        (0.05, 0.12, 0.03, 0.0),
        0.22,
        fixed_nis=40_000,
        unit_nis=4_800,
        funding=((MUNICIPAL, 25), (MINISTRY, 65), (PARTNER, 10)),
    ),
    Response(
        "merchav",
        "g06",
        "listed",
        "need_based",
        (0.02, 0.02, 0.0, 0.0),
        0.15,
        fixed_nis=180_000,
        unit_nis=3_200,
        funding=((MUNICIPAL, 30), (MINISTRY, 20), (LOTTERY, 50)),
    ),
    Response(
        "rvadim",
        "g02",
        "listed",
        "teacher_choice",
        (0.06, 0.08, 0.06, 0.0),
        0.20,
        fixed_nis=70_000,
        unit_nis=2_400,
        funding=((MUNICIPAL, 55), (GEFEN, 35), (PARTNER, 10)),
    ),
    Response(
        "icei",
        "g02",
        "listed",
        "school_wide",
        (0.10, 0.0, 0.0, 0.0),
        is_targeted=False,
        fixed_nis=150_000,
        funding=((MUNICIPAL, 40), (GEFEN, 40), (PARTNER, 20)),
    ),
    Response(
        "makom_balev",
        "g02",
        "listed",
        "self_selected",
        served_share=0.30,
        fixed_nis=60_000,
        unit_nis=1_300,
        funding=((MUNICIPAL, 80), (PARTNER, 20)),
    ),
    Response(
        "posh",
        "g02",
        "listed",
        "teacher_choice",
        (0.15, 0.15, 0.08, 0.0),
        0.12,
        fixed_nis=15_000,
        unit_nis=1_500,
        funding=((MUNICIPAL, 40), (GEFEN, 20), (PARTNER, 40)),
    ),
    Response(
        "perach",
        "g06",
        "weakest",
        "teacher_choice",
        (0.05, 0.04, 0.0, 0.0),
        0.04,
        reach_share=20 / 36,
        fixed_nis=5_000,
        unit_nis=900,
        funding=((MUNICIPAL, 30), (MINISTRY, 50), (PARTNER, 20)),
    ),
    Response(
        "hebrew_immigrants",
        "g06",
        "immigrants",
        "need_based",
        (0.20, 0.05, 0.05, 0.0),
        fixed_nis=20_000,
        unit_nis=2_600,
        funding=((MUNICIPAL, 40), (MINISTRY, 60)),
    ),
    Response(
        "amirim",
        "g07",
        "all",
        "teacher_choice",
        (0.05, 0.05, 0.05, 0.05),
        0.08,
        fixed_nis=25_000,
        unit_nis=700,
        funding=((MUNICIPAL, 60), (GEFEN, 40)),
    ),
    Response(
        "gifted_center",
        "g07",
        "all",
        "self_selected",
        (0.03, 0.03, 0.03, 0.03),
        0.012,
        unit_nis=6_500,
        funding=((MUNICIPAL, 35), (MINISTRY, 50), (PARENTS, 15)),
    ),
    Response(
        "tikshuv",
        "g10",
        "all",
        "school_wide",
        (0.01, 0.01, 0.01, 0.01),
        is_targeted=False,
        fixed_nis=30_000,
        unit_nis=120,
        funding=((MUNICIPAL, 70), (MINISTRY, 30)),
    ),
    Response(
        "informal_clubs",
        "g03",
        "all",
        "self_selected",
        (0.01, 0.01, 0.01, 0.01),
        0.15,
        unit_nis=900,
        funding=((MUNICIPAL, 60), (PARENTS, 40)),
    ),
    Response(
        "national_360", "g06", "weakest", "school_wide", is_targeted=False, reach_share=12 / 36
    ),
    Response("shefach", "g06", "all", "school_wide", is_targeted=False),
    Response("hosen", "g03", "all", "school_wide", is_targeted=False),
    Response("library_lending", "g05", "all", "school_wide", is_targeted=False),
)

IMMIGRANT_SCHOOL_PCT = 8
IMMIGRANT_CLASS_YEARS = 5  # pupils up to these full years in Israel join Hebrew for immigrants
LOTTERIES = (("milat", "S14"), ("posh", "S14"), ("posh", "R08"), ("rvadim", "R08"))
THRESHOLDS = (("milat", "S10"),)
DECLINED = 0.08  # of those whom a lottery or a threshold offers a place
STARTS = {
    "milat": (1, 4),
    "merchav": (1, 4),
    "rvadim": (1, 4),
    "icei": (2, 3),
    "makom_balev": (2, 4),
    "posh": (1, 3),
    "informal_clubs": (1, 4),
}  # years before T in which the response started in a school, drawn in this range
LAGGED = ("icei",)  # works one year later
HALF_DOSE = {"posh": 0.3}  # share of participants who come once a week instead of twice
EFFECT_SCHOOL_SD = 0.03
WEAK_DECILE, WEAK_DECILE_FACTOR = 8, {"milat": (1.2, 1.8)}
OVERLAP_FACTOR, FADE_OUT = (0.5, 0.9), (0.2, 0.6)
# SD of the logarithm of what a city has over what stands here: effects and causes, each subject of
# an effect and the classes, the slopes.
RESPONSE_SPREAD, SUBJECT_SPREAD, SLOPE_SPREAD = 0.35, 0.2, 0.15
SELECTION_PER_DECILE, SELECTION_NOISE = 0.1, 0.8
ELIGIBLE_NURTURE = {"milat": 5.0}

ACTUAL_MEAN, ACTUAL_SD = 0.99, 0.04  # spent / planned
GEFEN_PER_PUPIL, GEFEN_PER_NURTURE = 180, 14
MINISTRY_PER_PUPIL = {STATE: 17_885, RELIGIOUS: 19_520, UNOFFICIAL: 15_147}
MINISTRY_SMALL_NETWORKS = 9_828  # unofficial schools from U05 on
PARENTS_PER_PUPIL, PARENTS_PER_NURTURE, PARENTS_SD = 900, -50, 90

# ---- planted causes -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Cause:
    """A planted cause of one school's gap, and the sign it leaves in the data."""

    label: str
    cause_id: str
    subjects: tuple[str, ...]
    shift_sd: float
    signal: str


CAUSES = (
    Cause("S16", "home_internet", SUBJECTS, -0.15, "pupils.has_home_internet −25 points"),
    Cause("R10", "absence", SUBJECTS, -0.15, "attendance.absence_days +6"),
    Cause("U05", "teacher_turnover", SUBJECTS, -0.20, "climate.teaching −7 points"),
    Cause("S14", "immigrant_language", ("hebrew",), -0.15, "pupils.years_in_israel ≤2 for 45 %"),
    Cause(
        "R09", "late_start", SUBJECTS, -0.30, "scores: gap widest in grade 2, a fifth in grade 6"
    ),
    Cause("S12", "climate", SUBJECTS, -0.12, "climate: all facets −8 points"),
)
CAUSE_INTERNET, CAUSE_ABSENCE_DAYS, CAUSE_RECENT_SHARE = -0.25, 6.0, 0.60
CAUSE_RECENT_ODDS = (5.0, 0.4)  # of immigrants among late joiners and in grade 1; total unchanged
CAUSE_CLIMATE_POINTS, CAUSE_TEACHING_POINTS = -8.0, -7.0
LATE_START_BY_GRADE = (1.0, 1.0, 0.8, 0.6, 0.4, 0.2)

# ---- voices -------------------------------------------------------------------------------------

ROLES = (
    "מנהלת אגף החינוך",
    "מפקחת",
    "מנהלת בית ספר",
    "מנהל בית ספר",
    "מנהלת בית ספר",
    "מורה",
    "מורה",
    "נציגת הורים",
    "נציג הורים",
    "יועצת חינוכית",
    "פסיכולוגית חינוכית",
    "קצין ביקור סדיר",
    "רכז נוער וקהילה",
    "גזבר",
)
RATED = tuple(response.response_id for response in RESPONSES if response.has_money)
RATING_LEVELS = ("not_effective", "fairly_effective", "very_effective")
PLANTED_RATINGS = {"makom_balev": (0, 4, 10), "posh": (7, 6, 1)}  # means 2.7 and 1.6 of 3
RATING_SLOPE, RATING_LIKING_SD, RATING_MEMBER_SD = 8.0, 0.25, 0.5
# Those who sit at the table of meeting 3 beside the raters, with the group they speak for.
REPRESENTATIVES = (
    ("נציגת תלמידים", ""),
    ("נציג תלמידים", ""),
    ("נציגת תלמידים", ""),
    ("נציגת קבוצה", "immigrant_10"),
    ("נציג קבוצה", "sen_integration"),
    ("נציגת קבוצה", "decile_8_10"),
)
# A family of roles or a group of pupils that stays away, by city; "" where all come.
MISSING_VOICES = ("", "inspectorate", "services", "immigrant_10")
ROLES_OF_MISSING = {
    "inspectorate": ("מפקחת",),
    "services": ("יועצת חינוכית", "פסיכולוגית חינוכית", "קצין ביקור סדיר", "רכז נוער וקהילה"),
}
PLANTED_CARDS = {"posh": "change_or_drop", "makom_balev": "proven"}
CARD_LIKING = {"indispensable": 3.0, "proven": 1.6, "change_or_drop": -2.5}
CARD_LIKING_SD = 0.3
NEW_RESPONSES = ("ספרייה ניידת", "מרכז למידה לערב", "גינה קהילתית לומדת")
NEW_RESPONSE_SHARE = 2 / 3
FORM_FILLERS = {"הורה": 60, "אם": 30, "תלמידה": 15, "תלמיד": 15}
FORM_NEEDS = ("gap_math", "gap_hebrew", "gap_english", "climate_safety", "chronic_absence", "other")
FIRST_NEED_ODDS = 3.0  # of the city's planted first need against each other one
EXCERPTS_PER_SCHOOL = 260 / 36
STANCES = {"agree": 0.6, "contradict": 0.2, "silent": 0.2}
WITHOUT_CONSENT = 0.05
