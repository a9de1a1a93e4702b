-- A row: one decision of the committee, those on whole plans among them.
-- Key: decision_id.
-- Stage: decide.
-- What a decision changes in the plan is told: keeping or dropping a response binds where the policy says so
-- (rules.decisions), an amount where no measure judges the response; the rest is recorded and changes nothing. A decision by hand stands with its price: what the plan would be worth more without it (R100).
SELECT
    decisions.decision_id,
    decisions.planning_year,
    decisions.decision_kind,
    decisions.decision_object,
    decisions.response_id,
    decisions.semel_mosad,
    decisions.decision_value,
    decisions.decision_reason,
    decisions.decided_by_role,
    decisions.decided_on,
    decisions.release_id,
    decisions.meeting_number,
    decisions.votes_for,
    decisions.votes_against,
    decisions.votes_abstained,
    decisions.replaces_id,
    decisions.is_in_force,
    CASE decisions.decision_kind
        WHEN 'focus' THEN focus.indicator_name_he
        WHEN 'goal' THEN goals.goal_name_he
        WHEN 'criterion' THEN criteria.criterion_name_he
    END AS object_name_he,
    prices.worth_gain_pct AS override_worth_gain_pct,
    CASE
        WHEN NOT decisions.is_in_force THEN 'recorded'
        WHEN decisions.decision_kind IN ('focus', 'override', 'share') THEN 'binds_plan'
        WHEN decisions.decision_kind = 'stage' THEN 'closes_stage'
        WHEN decisions.decision_kind = 'response' AND decisions.decision_value IN ('keep', 'drop') AND bind.parameter_id IS NOT NULL
            THEN 'binds_plan'
        WHEN decisions.decision_kind = 'response' AND amounts.response_id IS NOT NULL THEN 'binds_plan'
        ELSE 'recorded'
    END AS decision_effect
FROM core.core_decision AS decisions
LEFT JOIN mart.mart_focus AS focus ON focus.indicator_id = decisions.decision_object
LEFT JOIN core.core_goal AS goals ON goals.goal_id = decisions.decision_object
LEFT JOIN (
    SELECT criterion_id, max(criterion_name_he) AS criterion_name_he FROM core.core_criterion GROUP BY criterion_id
) AS criteria ON criteria.criterion_id = decisions.decision_object
LEFT JOIN core.core_parameter AS bind
    ON bind.parameter_id = 'policy.rules.decisions' AND lower(bind.parameter_value) = 'true'
LEFT JOIN mart.mart_committee_amount AS amounts
    ON amounts.response_id = decisions.response_id AND decisions.decision_value LIKE 'keep:%'
LEFT JOIN mart.mart_rule_price AS prices
    ON decisions.decision_kind = 'override'
    AND decisions.is_in_force
    AND decisions.planning_year = (SELECT planning_year FROM core.core_city)
    AND prices.rule_id = concat(
        'override:', split_part(decisions.decision_value, ':', 1), ':', decisions.semel_mosad, ':', decisions.response_id,
        CASE WHEN contains(decisions.decision_value, ':') THEN ':' || split_part(decisions.decision_value, ':', 2) ELSE '' END
    )
UNION ALL
SELECT
    concat(planning_year, '/v', decision_version),
    planning_year,
    'scenario',
    scenario_name_he,
    NULL,
    NULL,
    scenario_id,
    decision_reason,
    decided_by_role,
    decided_on,
    release_id,
    NULL,
    votes_for,
    votes_against,
    votes_abstained,
    CASE WHEN replaces_version IS NOT NULL THEN concat(planning_year, '/v', replaces_version) END,
    is_in_force,
    scenario_name_he,
    NULL,
    CASE WHEN is_in_force THEN 'binds_plan' ELSE 'recorded' END
FROM core.core_decided
