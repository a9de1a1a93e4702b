-- A row: pupils of one third by level whom one response takes in, or all of that third (response all).
-- Key: response_id, level_band.
-- Stage: diagnose.
-- A pupil's third is that among the tested pupils of the grade in the year before the last lists: what the response did
-- since is not in it. Pupils without a score then are of no third.
WITH last_lists AS (
    SELECT max(school_year) AS school_year FROM core.core_response_participant
),
banded AS (
    SELECT
        levels.pupil_hash,
        ['weak', 'middle', 'strong'][ntile(3) OVER (PARTITION BY levels.grade ORDER BY levels.pupil_level_sd, levels.pupil_hash)] AS level_band
    FROM core.core_pupil_level AS levels
    JOIN last_lists ON levels.school_year = last_lists.school_year - 1
    WHERE levels.pupil_level_sd IS NOT NULL
)
SELECT listed.response_id, banded.level_band, CAST(count(DISTINCT listed.pupil_hash) AS INTEGER) AS participants
FROM core.core_response_participant AS listed
JOIN last_lists ON last_lists.school_year = listed.school_year
JOIN banded ON banded.pupil_hash = listed.pupil_hash
GROUP BY listed.response_id, banded.level_band
UNION ALL
SELECT 'all' AS response_id, level_band, CAST(count(*) AS INTEGER) AS participants
FROM banded
GROUP BY level_band
