"""The scenario studio: move budget, preference, shares and floor, and see the plan solved again.

It reads a published release. What it shows is a draft, which can be saved as a scenario of the
city; a plan of the release can be decided on, as `make decide` does.

Run as an app:  make studio            (or .venv/bin/marimo run notebooks/scenario_studio.py)
Another city:   make studio CITY=my_city
"""

import marimo

app = marimo.App(width="medium", app_title="Tikkun – אולפן תרחישים")


@app.cell
def _():
    import os
    import sys
    import time
    from html import escape
    from pathlib import Path

    import marimo as mo

    project = Path(__file__).resolve().parent.parent
    if str(project) not in sys.path:
        sys.path.insert(0, str(project))
    from pipelines.act.deciding import Decision, decide, plans_of
    from pipelines.decide.studio import Settings, Studio
    from pipelines.guard import VIEW
    from pipelines.publish.release import verify
    from pipelines.publish.studio_words import picture, said
    from pipelines.publish.words import (
        gap_percent,
        integer,
        label,
        nis,
        nis_change,
        pupil_months,
        pupil_months_change,
        signed,
    )
    from pipelines.settings.access import note_access
    from pipelines.settings.city import CityError
    from pipelines.settings.fields import dictionary
    from pipelines.settings.scenario_files import save_scenario
    from pipelines.settings.workspace import workspace

    return (
        CityError,
        Decision,
        Path,
        Settings,
        Studio,
        VIEW,
        decide,
        dictionary,
        escape,
        gap_percent,
        integer,
        label,
        mo,
        nis,
        nis_change,
        note_access,
        os,
        picture,
        plans_of,
        project,
        pupil_months,
        pupil_months_change,
        said,
        save_scenario,
        signed,
        time,
        verify,
        workspace,
    )


@app.cell
def _(Path, Studio, VIEW, note_access, os, project, verify, workspace):
    marts = Path(os.environ.get("TIKKUN_DATA_MARTS") or project / "data_marts")
    city = os.environ.get("TIKKUN_CITY") or "demo_city"
    release = marts / city / "current" / "analyst"
    if not release.is_dir():
        raise SystemExit(
            f"{release}: nothing is published there yet; run `make run CITY={city}` first"
        )
    verify(marts / city)  # what is not as published is not shown: it says what to do
    studio = Studio.open(release)
    base = studio.settings
    space = workspace(city)
    only_shown = bool(os.environ.get(VIEW))
    note_access(space, "studio", "analyst")
    return base, only_shown, release, space, studio


@app.cell
def _(escape, mo, studio):
    identity = studio.city.city.city
    mark = (
        '<p style="background:#7a2e00;color:#fff;padding:.4rem 1rem;font-weight:700">נתונים'
        " סינתטיים – אינם מתארים בית ספר, תלמיד או עיר כלשהם</p>"
        if identity.is_synthetic
        else ""
    )
    title = "font-size:1.6rem;font-weight:700;margin:.6rem 0"
    mo.Html(f"""<div dir="rtl" lang="he">{mark}
        <h1 style="{title}">אולפן תרחישים – {escape(identity.name_he)}</h1>
        <p><strong>טיוטה, לא החלטה.</strong> הזיזו החלטה, והתוכנית תיפתר מחדש.
        הפערים, הצורך וההשפעות אינם משתנים.
        טיוטה שכדאי לדון בה נשמרת כתרחיש; מחליטים רק על תוכנית שפורסמה.</p></div>""")
    return


@app.cell
def _(base, mo):
    # In thousands: the slider writes large numbers as 9.0e6.
    start = round(base.municipal_nis / 100_000) * 100
    budget = mo.ui.slider(
        0,
        max(2 * start, 100),
        step=100,
        value=start,
        label="תקציב הרשות (אלפי ₪)",
        show_value=True,
        debounce=True,
        full_width=True,
    )
    gamma = mo.ui.slider(
        0,
        3,
        step=0.25,
        value=min(base.gamma, 3),
        label="העדפה מתקנת (0 = ללא)",
        show_value=True,
        debounce=True,
        full_width=True,
    )
    excellence = mo.ui.range_slider(
        0,
        100,
        step=1,
        value=list(base.excellence_pct),
        label="חלק המצוינות בכספי הרשות (%)",
        show_value=True,
        debounce=True,
        full_width=True,
    )
    floor = mo.ui.slider(
        0,
        1500,
        step=50,
        value=min(base.floor_nis, 1500),
        label="רצפה לכל בית ספר (₪ לתלמיד, מכל הערוצים)",
        show_value=True,
        debounce=True,
        full_width=True,
    )
    mo.Html(f'<div dir="rtl" lang="he">{mo.vstack([budget, gamma, excellence, floor]).text}</div>')
    return budget, excellence, floor, gamma, start


@app.cell
def _(Settings, base, budget, excellence, floor, gamma, start, studio, time):
    started = time.perf_counter()
    low, high = excellence.value
    # An untouched slider is the plan's own budget, to the shekel.
    money = base.municipal_nis if budget.value == start else int(budget.value) * 1000
    asked = Settings(money, float(gamma.value), (low, high), int(floor.value))
    draft = studio.draft(asked)
    seconds = time.perf_counter() - started
    return asked, draft, seconds


@app.cell
def _(asked, base, draft, escape, mo, picture, said):
    told = "".join(f"<li>{escape(sentence)}</li>" for sentence in said(asked, base, draft))
    drawn = picture(draft)
    chart = (
        f"<figure style='margin:.4rem 0'><figcaption>הפרש הכסף לפי דרגת הצורך, הגבוהה ראשונה"
        f"</figcaption><div dir='ltr' style='display:flex;justify-content:flex-end'"
        f" data-studio='picture'>{drawn.desk}</div></figure>"
        if drawn
        else ""
    )
    mo.Html(
        f'<div dir="rtl" lang="he" role="status"><ul data-studio="said"'
        f' style="list-style:none;padding:0;font-size:1.1rem">{told}</ul>{chart}</div>'
    )
    return


@app.cell
def _(
    draft,
    escape,
    gap_percent,
    integer,
    mo,
    nis,
    nis_change,
    pupil_months,
    pupil_months_change,
    seconds,
    signed,
):
    def ltr(name, text):
        return f'<b dir="ltr" data-studio="{name}" style="font-size:1.35rem">{text}</b>'

    if draft.conflict_he:
        lines = "<br>".join(escape(line) for line in draft.conflict_he.split("\n"))
        shown = (
            '<div dir="rtl" lang="he" role="alert" data-studio="conflict"'
            ' style="background:#fff7e6;border:1px solid #e6c88a;padding:.6rem'
            f' .9rem">{lines}<br><small>{seconds:.1f} שניות</small></div>'
        )
    else:
        total = draft.totals
        facts = [
            (
                "עלות כוללת (₪)",
                ltr("cost", nis(total["cost_agorot"])),
                nis_change(total["cost_change_agorot"]),
            ),
            (
                "כספי רשות (₪)",
                ltr("municipal", nis(total["municipal_agorot"])),
                nis_change(total["municipal_change_agorot"]),
            ),
            (
                "התקדמות צפויה, בלי משקל הצורך (חודשי תלמיד)",
                ltr("benefit", pupil_months(total["benefit_sd_pupils"])),
                (
                    f"{pupil_months_change(total['benefit_change_sd_pupils'])}"
                    f" ({pupil_months_change(total['benefit_change_lo_sd_pupils'])} …"
                    f" {pupil_months_change(total['benefit_change_hi_sd_pupils'])})"
                ),
            ),
            ("מקומות", ltr("participants", integer(total["participants"])), ""),
            (
                "בתי ספר שזזו",
                ltr("moved", integer(total["schools_moved"])),
                f"+{total['schools_gaining']} / −{total['schools_losing']}",
            ),
            ("ללא מענה", ltr("without", integer(total["schools_without"])), ""),
        ]
        if total["concentration"] is not None:
            facts.append(
                (
                    "מדד ריכוז",
                    ltr("concentration", signed(total["concentration"])),
                    f"{signed(total['concentration_lo'])} … {signed(total['concentration_hi'])}",
                )
            )
        cards = "".join(
            '<li style="border:1px solid #d8dde4;border-radius:4px;padding:.5rem'
            f' .8rem">{name}<br>{value}<br><small dir="ltr">{change}</small></li>'
            for name, value, change in facts
        )
        grid = (
            "list-style:none;display:grid;gap:.6rem;padding:0;"
            "grid-template-columns:repeat(auto-fit,minmax(11rem,1fr))"
        )
        shown = f"""<div dir="rtl" lang="he"><ul style="{grid}">{cards}</ul>
        <p><small>מתחת לכל מספר ההפרש מהתוכנית (להתקדמות ולמדד: טווח של 90%);
        n = {total["schools"]} בתי ספר. נפתר ב־{seconds:.1f} שניות;
        המרחק מהטוב ביותר לכל היותר <bdi dir="ltr">{gap_percent(draft.gap_pct)}</bdi>.
        ההתקדמות היא אומדן לפי ההשפעות המשוערות.</small></p></div>"""
    mo.Html(shown)
    return


@app.cell
def _(draft, escape, integer, label, mo, nis, nis_change):
    def cell(text):
        return f"<td>{text}</td>"

    def amount(text):
        return cell(f'<bdi dir="ltr">{text}</bdi>')

    def school_row(row):
        name = escape(row["school_name_he"])
        cells = [
            f'<th scope="row" style="text-align:right">{name}</th>',
            cell(label("stream", row["stream"])),
            cell(label("need_tier", row["need_tier"])),
            amount(integer(row["pupils"])),
            amount(nis(row["cost_agorot"] - row["cost_change_agorot"])),
            amount(nis(row["cost_agorot"])),
            amount(nis_change(row["cost_change_agorot"])),
            cell(label("money_direction", row["money_direction"])),
        ]
        return f"<tr>{''.join(cells)}</tr>"

    schools = [] if draft.conflict_he else draft.schools.iter_rows(named=True)
    rows = "".join(school_row(row) for row in schools)
    heads = [
        "בית ספר",
        "זרם",
        "דרגת צורך",
        "תלמידים",
        "בתוכנית (₪)",
        "בטיוטה (₪)",
        "הפרש (₪)",
        "לעומת התוכנית",
    ]
    head = "".join(f'<th scope="col" style="text-align:right">{name}</th>' for name in heads)
    caption = "הקצאה לבית ספר, לפי זרם ושם ולא לפי דירוג: טיוטה, לא החלטה"
    table = f"""<table data-studio="schools" style="width:100%;border-spacing:.6rem .25rem">
        <caption style="text-align:right">{caption}</caption>
        <thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"""
    mo.Html(f'<div dir="rtl" lang="he" style="overflow-x:auto">{table}</div>') if rows else None
    return


@app.cell
def _(mo, only_shown):
    saved = mo.ui.batch(
        mo.md("""
        **שמירת הטיוטה כתרחיש** – הריצה הבאה תפתור אותו במדויק ותציג אותו ליד התוכנית

        {scenario_id} {name_he} {reason}
        """),
        {
            "scenario_id": mo.ui.text(label="שם הקובץ (אותיות לטיניות, ספרות וקו תחתון)"),
            "name_he": mo.ui.text(label="שם התרחיש"),
            "reason": mo.ui.text(label="למה שואלים"),
        },
    ).form(submit_button_label="שמירה כתרחיש", clear_on_submit=True)
    form = "" if only_shown else saved.text
    mo.Html(f'<div dir="rtl" lang="he" data-studio="save">{form}</div>')
    return (saved,)


@app.cell
def _(CityError, asked, escape, mo, only_shown, save_scenario, saved, space, studio):
    def kept():
        if only_shown:
            return "האולפן פתוח לצפייה בלבד: דבר לא נשמר."
        given = saved.value
        changes = studio.changes(asked)
        if not changes:
            return "אין מה לשמור: הטיוטה היא התוכנית עצמה."
        try:
            name = given["scenario_id"].strip()
            path = save_scenario(
                space.city().folder,
                name,
                given["name_he"],
                name.replace("_", " "),
                given["reason"],
                changes,
            )
        except CityError as error:
            return error.he
        return f"התרחיש נשמר בקובץ {path.name}. הריצה הבאה תפתור אותו."

    shown_saved = escape(kept()) if saved.value else ""
    mo.Html(f'<p dir="rtl" lang="he" role="status" data-studio="saved">{shown_saved}</p>')
    return


@app.cell
def _(dictionary, mo, only_shown, plans_of, release):
    plans = {name: scenario for scenario, name in plans_of(release).items()}
    roles = {name: role for role, name in dictionary().labels["decided_by_role"].items()}
    decided = mo.ui.batch(
        mo.md("""
        **החלטה** – על תוכנית שפורסמה, לא על טיוטה. ההחלטה נשמרת ואינה ניתנת לשינוי; החלטה נוספת
        אומרת את מי היא מחליפה

        {scenario} {role} {decided_on} {replaces} {reason}
        """),
        {
            "scenario": mo.ui.dropdown(plans, value=next(iter(plans)), label="התוכנית"),
            "role": mo.ui.dropdown(roles, value=next(iter(roles)), label="מי מחליט"),
            "decided_on": mo.ui.date(label="יום ההחלטה"),
            "replaces": mo.ui.text(label="מחליפה את גרסה (אם כבר הוחלט)"),
            "reason": mo.ui.text(label="נימוק", full_width=True),
        },
    ).form(submit_button_label="החלטה", clear_on_submit=True)
    choice = "" if only_shown else decided.text
    mo.Html(f'<div dir="rtl" lang="he" data-studio="decide">{choice}</div>')
    return (decided,)


@app.cell
def _(CityError, Decision, decide, decided, escape, mo, only_shown, space):
    def decision():
        from datetime import date

        if only_shown:
            return "האולפן פתוח לצפייה בלבד: דבר לא הוחלט."

        given = decided.value
        replaces = given["replaces"].strip()
        try:
            one = decide(
                space,
                Decision(
                    given["scenario"],
                    given["role"],
                    given["reason"],
                    given["decided_on"],
                    replaces=int(replaces) if replaces.isdecimal() else None,
                ),
                date.today(),
            )
        except CityError as error:
            return error.he
        return f"הוחלט: {one.name}. טביעת ההחלטה {one.hash[:16]}. תוכנית העבודה תתעדכן בריצה הבאה."

    shown_decision = escape(decision()) if decided.value else ""
    mo.Html(f'<p dir="rtl" lang="he" role="status" data-studio="decided">{shown_decision}</p>')
    return


if __name__ == "__main__":
    app.run()
