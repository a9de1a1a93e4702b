-- A row: one thing that is not as planned.
-- Key: alert_id.
-- Stage: review.
-- Judged on the last day that a status or the ledger tells of, never by the clock; limits are those of the policy
-- (`act`). Before a decision, and before anything is reported, there is nothing to be late (R103, R106).
WITH limits AS (
    SELECT
        max(CASE WHEN parameter_id = 'policy.act.overdue_days' THEN CAST(parameter_value AS DOUBLE) END) AS overdue_days,
        max(CASE WHEN parameter_id = 'policy.act.pace_from_months' THEN CAST(parameter_value AS DOUBLE) END) AS pace_from,
        max(CASE WHEN parameter_id = 'policy.act.under_spent' THEN CAST(parameter_value AS DOUBLE) END) AS under_spent,
        max(CASE WHEN parameter_id = 'policy.act.over_spent' THEN CAST(parameter_value AS DOUBLE) END) AS over_spent,
        max(CASE WHEN parameter_id = 'policy.act.under_attended' THEN CAST(parameter_value AS DOUBLE) END) AS under_attended,
        max(CASE WHEN parameter_id = 'policy.act.silent_days' THEN CAST(parameter_value AS DOUBLE) END) AS silent_days
    FROM core.core_parameter
    WHERE starts_with(parameter_id, 'policy.act.')
),
span AS (
    SELECT date_trunc('month', min(starts_on)) AS first_day, max(ends_on) + INTERVAL 60 DAY AS last_day
    FROM mart.mart_work_plan
    WHERE is_decided
),
ledger AS (
    SELECT paid.plan_row_ref, paid.funding_channel, paid.paid_month, paid.spent_agorot
    FROM staging.stg_finance__ledger AS paid
    CROSS JOIN span
    WHERE paid.paid_month BETWEEN span.first_day AND span.last_day
),
lines AS (
    SELECT
        tracked.plan_row_id,
        tracked.semel_mosad,
        tracked.response_id,
        tracked.cost_agorot,
        tracked.due_agorot,
        tracked.spent_agorot,
        tracked.forecast_agorot,
        tracked.participants,
        tracked.participants_now,
        tracked.work_status,
        tracked.status_on,
        tracked.elapsed_pct * (date_diff('month', plan.starts_on, plan.ends_on) + 1) / 100 AS months_over,
        plan.starts_on,
        plan.response_name_he || ', ' || plan.school_name_he AS what_he,
        tracked.response_id || ' in ' || coalesce(tracked.semel_mosad, 'the city') AS what_en
    FROM mart.mart_line_tracking AS tracked
    JOIN mart.mart_work_plan AS plan ON plan.plan_row_id = tracked.plan_row_id
),
few AS (
    SELECT max(TRY_CAST(parameter_value AS INTEGER)) AS count_pupils
    FROM core.core_parameter
    WHERE parameter_id = 'policy.suppression.count_pupils' OR parameter_id LIKE 'policy.audiences.%.count_pupils'
),
broken AS (
    -- What is paid and who comes vary around the plan: by less than the spread that the plan reckons with a rule of money
    -- or pupils is not broken. What is counted in schools and lines does not vary.
    SELECT
        rules.rule_id,
        rules.rule_he,
        rules.rule_en,
        CASE
            WHEN rules.unit = 'pupils' AND rules.rule_actual < few.count_pupils THEN 'פחות מ־' || few.count_pupils
            WHEN rules.unit = 'agorot' THEN format('{:,d}', CAST(round(rules.rule_actual / 100) AS BIGINT)) || ' ₪'
            WHEN rules.unit = 'agorot per pupil' THEN format('{:,d}', CAST(round(rules.rule_actual / 100) AS BIGINT)) || ' ₪ לתלמיד'
            WHEN starts_with(rules.unit, 'percent') THEN format('{:.1f}', rules.rule_actual) || '%'
            ELSE format('{:,d}', CAST(rules.rule_actual AS BIGINT))
        END AS actual_he,
        CASE
            WHEN rules.unit = 'pupils' AND rules.rule_actual < few.count_pupils THEN 'fewer than ' || few.count_pupils
            WHEN rules.unit = 'agorot' THEN format('{:,d}', CAST(round(rules.rule_actual / 100) AS BIGINT)) || ' NIS'
            WHEN rules.unit = 'agorot per pupil' THEN format('{:,d}', CAST(round(rules.rule_actual / 100) AS BIGINT)) || ' NIS per pupil'
            WHEN starts_with(rules.unit, 'percent') THEN format('{:.1f}', rules.rule_actual) || ' %'
            ELSE format('{:,d}', CAST(rules.rule_actual AS BIGINT))
        END AS actual_en
    FROM mart.mart_rule_actual AS rules
    CROSS JOIN limits
    CROSS JOIN few
    CROSS JOIN (SELECT max(months_over) AS months_over FROM lines) AS year
    WHERE NOT rules.is_kept_actually
        AND CASE
            WHEN starts_with(rules.unit, 'percent') OR starts_with(rules.unit, 'agorot')
                THEN year.months_over >= limits.pace_from
                    AND (rules.rule_actual > limits.over_spent * rules.rule_limit OR rules.rule_actual * limits.over_spent < rules.rule_limit)
            WHEN rules.unit = 'pupils' THEN rules.rule_actual > limits.over_spent * rules.rule_limit
            ELSE TRUE
        END
),
found AS (
    SELECT
        'overdue/' || lines.plan_row_id AS alert_id,
        'overdue' AS alert_kind,
        lines.semel_mosad,
        lines.response_id,
        lines.what_he || ': טרם החל ביום ' || strftime(lines.status_on, '%-d.%-m.%Y') || ', והיה אמור להתחיל ביום ' || strftime(lines.starts_on, '%-d.%-m.%Y') || '.' AS alert_he,
        lines.what_en || ': not started on ' || lines.status_on || ', planned from ' || lines.starts_on || '.' AS alert_en
    FROM lines
    CROSS JOIN limits
    WHERE lines.work_status = 'not_started' AND date_diff('day', lines.starts_on, lines.status_on) > limits.overdue_days
    UNION ALL
    SELECT
        'stopped/' || plan_row_id,
        'stopped',
        semel_mosad,
        response_id,
        what_he || ': הופסק, לפי דיווח מיום ' || strftime(status_on, '%-d.%-m.%Y') || '.',
        what_en || ': stopped, says a report of ' || status_on || '.'
    FROM lines
    WHERE work_status = 'stopped'
    UNION ALL
    SELECT
        'under_spent/' || lines.response_id,
        'under_spent',
        NULL,
        lines.response_id,
        any_value(plan.response_name_he) || ': שולמו ' || format('{:,d}', CAST(sum(lines.spent_agorot) // 100 AS BIGINT)) || ' ₪ מתוך ' || format('{:,d}', CAST(sum(lines.due_agorot) // 100 AS BIGINT)) || ' ₪ שהיו אמורים להיות משולמים עד כה.',
        lines.response_id || ': ' || format('{:,d}', CAST(sum(lines.spent_agorot) // 100 AS BIGINT)) || ' NIS are paid of ' || format('{:,d}', CAST(sum(lines.due_agorot) // 100 AS BIGINT)) || ' NIS that are due so far.'
    FROM lines
    JOIN mart.mart_work_plan AS plan ON plan.plan_row_id = lines.plan_row_id
    CROSS JOIN limits
    GROUP BY lines.response_id, limits.under_spent, limits.pace_from
    HAVING max(lines.months_over) >= limits.pace_from AND sum(lines.spent_agorot) < limits.under_spent * sum(lines.due_agorot)
    UNION ALL
    SELECT
        'over_spent/' || lines.plan_row_id,
        'over_spent',
        lines.semel_mosad,
        lines.response_id,
        lines.what_he || ': בקצב הזה ישולמו ' || format('{:,d}', lines.forecast_agorot // 100) || ' ₪ עד סוף השנה, ותוכננו ' || format('{:,d}', lines.cost_agorot // 100) || ' ₪.',
        lines.what_en || ': at this pace ' || format('{:,d}', lines.forecast_agorot // 100) || ' NIS will be paid, and ' || format('{:,d}', lines.cost_agorot // 100) || ' NIS were planned.'
    FROM lines
    CROSS JOIN limits
    JOIN (
        SELECT plan_row_ref, count(DISTINCT paid_month) AS months_paid FROM ledger WHERE spent_agorot > 0 GROUP BY plan_row_ref
    ) AS paid ON paid.plan_row_ref = lines.plan_row_id
    -- What is paid at once is no pace: it is too much only where more is paid than was planned.
    WHERE lines.spent_agorot > limits.over_spent * lines.cost_agorot
        OR (
            paid.months_paid >= limits.pace_from
            AND lines.months_over >= limits.pace_from
            AND lines.forecast_agorot > limits.over_spent * lines.cost_agorot
        )
    UNION ALL
    SELECT
        'under_attended/' || lines.plan_row_id,
        'under_attended',
        lines.semel_mosad,
        lines.response_id,
        lines.what_he || ': ' || CASE WHEN lines.participants_now < few.count_pupils THEN 'פחות מ־' || few.count_pupils ELSE CAST(lines.participants_now AS VARCHAR) END || ' משתתפים מתוך ' || lines.participants || ' שתוכננו.',
        lines.what_en || ': ' || CASE WHEN lines.participants_now < few.count_pupils THEN 'fewer than ' || few.count_pupils ELSE CAST(lines.participants_now AS VARCHAR) END || ' participants of ' || lines.participants || ' planned.'
    FROM lines
    CROSS JOIN limits
    CROSS JOIN few
    WHERE lines.work_status = 'running' AND lines.participants_now < limits.under_attended * lines.participants
    UNION ALL
    SELECT
        'silent_school/' || lines.semel_mosad,
        'silent_school',
        lines.semel_mosad,
        NULL,
        any_value(schools.school_name_he) || ': אין דיווח ' || CASE WHEN max(lines.status_on) IS NULL THEN 'מתחילת השנה' ELSE 'מאז ' || strftime(max(lines.status_on), '%-d.%-m.%Y') END || '.',
        lines.semel_mosad || ': no report ' || CASE WHEN max(lines.status_on) IS NULL THEN 'since the year began' ELSE 'since ' || max(lines.status_on) END || '.'
    FROM lines
    JOIN core.core_school AS schools ON schools.semel_mosad = lines.semel_mosad
    CROSS JOIN limits
    CROSS JOIN (SELECT max(status_on) AS last_report FROM mart.mart_line_tracking) AS reports
    GROUP BY lines.semel_mosad, limits.silent_days, reports.last_report
    HAVING reports.last_report IS NOT NULL
        AND date_diff('day', coalesce(max(lines.status_on), min(lines.starts_on)), reports.last_report) > limits.silent_days
    UNION ALL
    SELECT
        'not_confirmed/' || paid.plan_row_ref || '/' || paid.funding_channel,
        'not_confirmed',
        any_value(lines.semel_mosad),
        any_value(lines.response_id),
        any_value(lines.what_he) || ': שולמו ' || format('{:,d}', CAST(sum(paid.spent_agorot) // 100 AS BIGINT)) || ' ₪ של אחרים, ו' || CASE WHEN any_value(answers.confirmation_word) IN ('refused', 'withdrawn') THEN 'מי שמשלם חזר בו או סירב' ELSE 'המנהל/ת לא אישר/ה' END || '.',
        any_value(lines.what_en) || ': ' || format('{:,d}', CAST(sum(paid.spent_agorot) // 100 AS BIGINT)) || ' NIS of others are paid, and whoever pays ' || CASE WHEN any_value(answers.confirmation_word) IN ('refused', 'withdrawn') THEN 'refused or withdrew' ELSE 'did not confirm' END || '.'
    FROM ledger AS paid
    JOIN lines ON lines.plan_row_id = paid.plan_row_ref
    LEFT JOIN mart.mart_confirmation AS answers
        ON answers.response_id = lines.response_id
        AND answers.funding_channel = paid.funding_channel
        AND answers.school_or_city = CASE WHEN paid.funding_channel = 'gefen_school' THEN coalesce(lines.semel_mosad, 'city') ELSE 'city' END
    WHERE paid.spent_agorot > 0
        AND (
            answers.confirmation_word IN ('refused', 'withdrawn')
            OR (paid.funding_channel = 'gefen_school' AND coalesce(answers.confirmation_word, 'none') <> 'confirmed')
        )
    GROUP BY paid.plan_row_ref, paid.funding_channel
    UNION ALL
    SELECT
        'not_decided/' || paid.plan_row_ref,
        'not_decided',
        any_value(schools.semel_mosad),
        any_value(registry.response_id),
        coalesce(any_value(registry.response_name_he), 'תשלום') || coalesce(', ' || any_value(schools.school_name_he), '') || ': שולמו ' || format('{:,d}', CAST(sum(paid.spent_agorot) // 100 AS BIGINT)) || ' ₪ על מה שלא הוחלט.',
        paid.plan_row_ref || ': ' || format('{:,d}', CAST(sum(paid.spent_agorot) // 100 AS BIGINT)) || ' NIS are paid for what was not decided.'
    FROM ledger AS paid
    LEFT JOIN mart.mart_work_plan AS plan ON plan.plan_row_id = paid.plan_row_ref
    LEFT JOIN core.core_school AS schools ON schools.semel_mosad = split_part(paid.plan_row_ref, '/', 1)
    LEFT JOIN core.core_registry AS registry ON registry.response_id = split_part(paid.plan_row_ref, '/', 2)
    WHERE plan.plan_row_id IS NULL
        AND EXISTS (SELECT 1 FROM mart.mart_work_plan WHERE is_decided)
    GROUP BY paid.plan_row_ref
    HAVING sum(paid.spent_agorot) > 0
    UNION ALL
    SELECT
        'rule_broken/' || broken.rule_id,
        'rule_broken',
        NULL,
        NULL,
        rtrim(broken.rule_he, '.') || ' – בפועל: ' || broken.actual_he || '.',
        rtrim(broken.rule_en, '.') || ' - in fact: ' || broken.actual_en || '.'
    FROM broken
)
SELECT found.alert_id, found.alert_kind, found.semel_mosad, found.response_id, found.alert_he, found.alert_en
FROM found
