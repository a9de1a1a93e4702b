-- A row: what people say, what data say and what the plan says of one response.
-- Key: response_id.
-- Stage: decide.
-- The groups' joint say is the default, that of single people where no group played (R70, R125). The plan in force is
-- compared with last year's line. It gives a response to every eligible school, to as many as its capacity holds, or to
-- fewer: other rules, the price or the money decide there, school by school (`mart_allocation_reason`).
WITH planned AS (
    SELECT
        response_id,
        CAST(nullif(count(semel_mosad), 0) AS INTEGER) AS schools,
        CAST(sum(cost_agorot) AS BIGINT) AS allocated_agorot
    FROM mart.mart_plan_line
    GROUP BY response_id
),
given AS (SELECT DISTINCT semel_mosad, response_id FROM mart.mart_plan_line WHERE semel_mosad IS NOT NULL),
eligible AS (
    SELECT
        mapped.response_id,
        CAST(count(*) FILTER (WHERE mapped.is_eligible) AS INTEGER) AS eligible_schools,
        count(*) FILTER (WHERE mapped.is_eligible AND given.semel_mosad IS NULL) AS eligible_without
    FROM mart.mart_response_map AS mapped
    LEFT JOIN given ON given.semel_mosad = mapped.semel_mosad AND given.response_id = mapped.response_id
    GROUP BY mapped.response_id
),
last_lines AS (
    SELECT response_id, CAST(sum(last_year_agorot) AS BIGINT) AS last_year_agorot
    FROM mart.mart_last_line
    GROUP BY response_id
),
together AS (SELECT * FROM core.core_card_say WHERE voice_mode = 'group'),
alone AS (SELECT * FROM core.core_card_say WHERE voice_mode = 'single' AND left_out = 'none')
SELECT
    responses.response_id,
    coalesce(together.card_say, alone.card_say) AS card_say,
    CASE WHEN together.response_id IS NOT NULL THEN 'group' ELSE 'single' END AS said_by,
    together.card_players AS groups_playing,
    together.asking_change AS asking_groups,
    together.favouring AS favouring_groups,
    alone.card_say AS single_say,
    alone.card_players,
    alone.asking_change AS asking_people,
    alone.favouring AS favouring_people,
    verdicts.verdict,
    CASE
        WHEN NOT responses.is_allocated THEN 'not_planned'
        WHEN planned.response_id IS NULL THEN 'not_funded'
        WHEN last_lines.last_year_agorot IS NULL THEN 'funded'
        WHEN planned.allocated_agorot > last_lines.last_year_agorot THEN 'more'
        WHEN planned.allocated_agorot < last_lines.last_year_agorot THEN 'less'
        ELSE 'same'
    END AS plan_say,
    last_lines.last_year_agorot,
    CASE WHEN responses.is_allocated THEN coalesce(planned.allocated_agorot, 0) END AS allocated_agorot,
    planned.schools,
    eligible.eligible_schools,
    CASE
        WHEN planned.schools IS NULL THEN NULL
        WHEN eligible.eligible_schools > 0 AND eligible.eligible_without = 0 THEN 'every_eligible'
        WHEN planned.schools >= capacities.rule_limit THEN 'at_capacity'
        ELSE 'fewer'
    END AS plan_reach
FROM core.core_response AS responses
LEFT JOIN together ON together.response_id = responses.response_id
LEFT JOIN alone ON alone.response_id = responses.response_id
LEFT JOIN mart.mart_verdict AS verdicts
    ON verdicts.response_id = responses.response_id AND verdicts.group_id = 'all' AND verdicts.subject = 'all'
LEFT JOIN planned ON planned.response_id = responses.response_id
LEFT JOIN eligible ON eligible.response_id = responses.response_id
LEFT JOIN last_lines ON last_lines.response_id = responses.response_id
LEFT JOIN mart.mart_allocation_rule AS capacities
    ON capacities.rule_id = 'school_capacity:' || responses.response_id
WHERE coalesce(together.card_say, alone.card_say) IS NOT NULL
