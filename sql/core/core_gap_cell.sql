-- A row: one school × subject × grade × school year × scale × group against its target.
-- Key: semel_mosad, subject, grade, school_year, scale_id, group_id.
-- Stage: diagnose.
-- gap = desired - actual in pupil SDs of the scale; positive means below target. The error of the mean holds the
-- variance between classes where pupils' classes are known, and the policy's design effect where they are not.
WITH sized AS (
    SELECT
        *,
        coalesce(
            tested_pupils, CAST(round(median(tested_pupils) OVER (PARTITION BY group_id)) AS INTEGER)
        ) AS pupils_behind
    FROM core.core_school_subject_year
)
SELECT
    cells.semel_mosad,
    cells.subject,
    cells.grade,
    cells.school_year,
    cells.scale_id,
    cells.group_id,
    cells.is_measured,
    CASE WHEN cells.is_measured THEN cells.pupils_behind END AS tested_pupils,
    cells.tested_pupils_is_imputed OR cells.tested_pupils IS NULL AS tested_pupils_is_imputed,
    cells.listed_pupils,
    cells.tested_share_pct,
    targets.desired_value,
    cells.score_mean AS actual_value,
    (targets.desired_value - cells.score_mean) / scales.reference_sd AS gap_raw_sd,
    CASE
        WHEN NOT cells.is_measured THEN NULL
        -- A mean of few pupils has no usable SD of its own: the scale's stands in.
        WHEN classes.between_variance IS NOT NULL AND cells.class_concentration IS NOT NULL
            THEN sqrt(
                classes.between_variance * cells.class_concentration
                + CASE WHEN cells.pupils_behind >= 10 THEN coalesce(cells.score_sd * cells.score_sd, classes.within_variance) ELSE classes.within_variance END
                / cells.pupils_behind
            ) / scales.reference_sd
        ELSE sqrt(city.class_design_effect / cells.pupils_behind)
            * CASE WHEN cells.pupils_behind >= 10 THEN coalesce(cells.score_sd / scales.reference_sd, 1.0) ELSE 1.0 END
    END AS gap_sampling_sd
FROM sized AS cells
CROSS JOIN core.core_city AS city
JOIN core.core_scale AS scales
    ON scales.scale_id = cells.scale_id
    AND scales.school_year = cells.school_year
    AND scales.grade = cells.grade
    AND scales.subject = cells.subject
JOIN core.core_target AS targets
    ON targets.scale_id = cells.scale_id
    AND targets.school_year = cells.school_year
    AND targets.grade = cells.grade
    AND targets.subject = cells.subject
LEFT JOIN core.core_class_variance AS classes
    ON classes.scale_id = cells.scale_id AND classes.subject = cells.subject
