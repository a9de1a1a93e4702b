"use strict";
// Recomputes a plan's totals, rules and bound from the tables that stand in the page (R126). Money is
// whole agorot, the proof whole numbers of any size; nothing is fetched. docs/recheck_bound.py says
// the argument of the bound at length.

const NEAR = 1e-9; // of a share or a quotient, which are told as floating numbers
const UNIT = 1000000n; // of a multiplier in one unit of worth

// How a rule's value stands to its limit where it is kept, by the first part of its id.
const SENSES = {
  alone: "<=", asset_hours: "<=", benefit_floor: ">=", budget: "<=", commitment: "=", committee_amount: "=",
  decided_drop: "<=", decided_keep: "=", eligibility: "<=", every_school_served: ">=",
  excellence_share_max: "<=", excellence_share_min: ">=", exclusive: "<=", hold_harmless: ">=", lines_kept: ">=",
  manual_override: "=", minimum_group: "<=", must_drop: "<=", must_keep: "=", need_order: "<=", neediest_kept: ">=",
  notice_period: "=", parents_payments: "<=", participant_capacity: "<=", prerequisite: "<=", rise_cap: "<=",
  school_cap: "<=", school_capacity: "<=", school_channel_cap: "<=", school_floor: ">=", share_max: "<=",
  share_min: ">=", source_excluded: "<=", spending_kept: "<=", together: "<=",
};

// Limits that are no choice of a policy: of what none may be, or the whole of a school's own measure.
const FIXED = {
  alone: 0, decided_drop: 0, eligibility: 0, minimum_group: 0, must_drop: 0, need_order: 0, prerequisite: 0,
  source_excluded: 0, spending_kept: 0, together: 0, parents_payments: 100, school_channel_cap: 100,
};

// Ways to choose among nearly equal plans: the certificate does not rest on them and no row states them.
const PREFERENCES = new Set(["lines_kept", "need_order", "spending_kept"]);

function verify(data) {
  const tables = {};
  for (const [name, { columns, rows }] of Object.entries(data.tables)) {
    tables[name] = rows.map((row) => Object.fromEntries(columns.map((column, i) => [column, row[i]])));
  }
  const checks = [];
  const check = (id, he, en, judge) => {
    const faults = [], untold = [];
    let isTold = false;
    const same = (where, told, found, near = 0) => {
      if (told === null || told === undefined || found === null || found === undefined || Number.isNaN(found)) {
        untold.push(where);
        return;
      }
      const off = typeof told === "bigint" || typeof found === "bigint" || typeof told === "string"
        ? told !== found
        : Math.abs(told - found) > near * Math.max(1, Math.abs(told));
      if (off) faults.push(`${where}: ${told} ≠ ${found}`);
    };
    const holds = (where, is) => {
      if (!is) faults.push(where);
    };
    try {
      judge({ same, holds, untold: (where) => untold.push(where), asTold: () => { isTold = true; } });
    } catch (error) {
      faults.push(String(error.message || error));
    }
    checks.push({ id, he, en, faults, untold, isTold });
  };
  const get = (name) => {
    if (!tables[name]) throw new Error(`${name}: not in this file`);
    return tables[name];
  };
  const only = (name) => {
    const rows = get(name);
    if (rows.length !== 1) throw new Error(`${name}: ${rows.length} rows, not one`);
    return rows[0];
  };
  totals(check, get, only);
  rules(check, tables, get);
  if (tables.mart_bound_row && tables.mart_allocation_bound.length) bound(check, get, only);
  else {
    check("bound", "החסם על ערך התוכנית", "The bound on the plan's worth", ({ untold }) => untold("mart_bound_row"));
  }
  const failed = checks.filter((c) => c.faults.length);
  const open = checks.filter((c) => !c.faults.length && c.untold.length);
  return { verdict: failed.length ? "fails" : open.length ? "in_part" : "holds", checks };
}

// ---- sums -----------------------------------------------------------------------------------

function sumBy(rows, key, column) {
  const sums = new Map();
  for (const row of rows) sums.set(key(row), (sums.get(key(row)) || 0) + unless(row[column]));
  return sums;
}

function sum(rows, column) {
  return rows.reduce((all, row) => all + unless(row[column]), 0);
}

function unless(value) {
  // What is not told makes a sum unknown, never smaller.
  return value === null || value === undefined ? NaN : value;
}

const pair = (row) => `${row.semel_mosad} / ${row.response_id}`;

function unique(holds, rows, key, name) {
  holds(`${name}: a row stands twice`, new Set(rows.map(key)).size === rows.length);
}

function totals(check, get, only) {
  check("lines", "כל שורה שווה לכסף שלה לפי ערוצים", "Each line is the sum of its channels", ({ same, holds }) => {
    const lines = get("mart_allocation"), money = get("mart_allocation_money");
    unique(holds, lines, pair, "mart_allocation");
    unique(holds, money, (row) => `${pair(row)} / ${row.funding_channel}`, "mart_allocation_money");
    const known = new Set(lines.map(pair));
    for (const row of money) holds(`${pair(row)}: money of no line`, known.has(pair(row)));
    const parts = {
      cost_agorot: () => true,
      municipal_agorot: (row) => row.funding_channel === "municipal_own",
      parents_agorot: (row) => row.funding_channel === "parents",
      unconfirmed_agorot: (row) => row.confirmation !== "confirmed",
    };
    for (const [column, of] of Object.entries(parts)) {
      const sums = sumBy(money.filter(of), pair, "amount_agorot");
      for (const line of lines) same(`${pair(line)}: ${column}`, line[column], sums.get(pair(line)) || 0);
    }
    for (const row of [...lines, ...money]) {
      holds(`${pair(row)}: below zero`, !(row.cost_agorot < 0 || row.amount_agorot < 0));
    }
  });
  check("schools", "סכומי בתי הספר", "Sums of schools", ({ same, holds }) => {
    const lines = get("mart_allocation"), schools = get("mart_allocation_school");
    const school = (row) => row.semel_mosad;
    unique(holds, schools, school, "mart_allocation_school");
    const known = new Set(schools.map(school));
    for (const line of lines) holds(`${pair(line)}: a school of no plan`, known.has(line.semel_mosad));
    for (const column of ["cost_agorot", "municipal_agorot", "parents_agorot", "unconfirmed_agorot"]) {
      const sums = sumBy(lines, school, column);
      for (const row of schools) same(`${row.semel_mosad}: ${column}`, row[column], sums.get(row.semel_mosad) || 0);
    }
    for (const row of schools) {
      const own = lines.filter((line) => line.semel_mosad === row.semel_mosad);
      same(`${row.semel_mosad}: responses_count`, row.responses_count, own.length);
      const each = row.pupils === null ? null : Math.floor(row.cost_agorot / row.pupils);
      same(`${row.semel_mosad}: per_pupil_agorot`, row.per_pupil_agorot, each);
    }
  });
  check("city", "שירותי העיר", "Services of the city", ({ same }) => {
    const money = get("mart_city_service_money");
    for (const row of get("mart_city_service")) {
      if (!row.is_allocated) continue;
      const own = money.filter((part) => part.response_id === row.response_id);
      same(`${row.response_id}: cost_agorot`, row.cost_agorot, sum(own, "amount_agorot"));
      for (const [column, channel] of [["municipal_agorot", "municipal_own"], ["parents_agorot", "parents"]]) {
        const paid = own.filter((part) => part.funding_channel === channel);
        same(`${row.response_id}: ${column}`, row[column], sum(paid, "amount_agorot"));
      }
    }
  });
  check("channels", "ערוצי המימון", "Channels of funding", ({ same, holds }) => {
    const rows = get("mart_allocation_channel"), state = get("mart_allocation_confirmation");
    unique(holds, rows, (row) => row.funding_channel, "mart_allocation_channel");
    const known = new Set(rows.map((row) => row.funding_channel));
    const key = (row) => `${row.funding_channel} / ${row.confirmation}`;
    const schools = get("mart_allocation_money"), city = get("mart_city_service_money");
    for (const row of [...schools, ...city]) holds(`${row.funding_channel}: not told`, known.has(row.funding_channel));
    for (const row of rows) {
      const own = (part) => part.funding_channel === row.funding_channel;
      const spent = sum(schools.filter(own), "amount_agorot") + sum(city.filter(own), "amount_agorot");
      same(`${row.funding_channel}: allocated_agorot`, row.allocated_agorot, spent);
      same(`${row.funding_channel}: states`, sum(state.filter(own), "allocated_agorot"), spent);
      if (row.budget_agorot !== null) {
        same(`${row.funding_channel}: left_agorot`, row.left_agorot, row.budget_agorot - spent);
        holds(`${row.funding_channel}: more than its budget`, spent <= row.budget_agorot);
      }
    }
    const ofSchools = sumBy(schools, key, "amount_agorot"), ofCity = sumBy(city, key, "amount_agorot");
    for (const row of state) {
      same(`${key(row)}: schools_agorot`, row.schools_agorot, ofSchools.get(key(row)) || 0);
      same(`${key(row)}: city_services_agorot`, row.city_services_agorot, ofCity.get(key(row)) || 0);
      same(`${key(row)}: allocated_agorot`, row.allocated_agorot, row.schools_agorot + row.city_services_agorot);
    }
  });
  check("certificate", "סכומי התעודה", "Totals of the certificate", ({ same, holds }) => {
    const told = only("mart_allocation_certificate");
    const lines = get("mart_allocation"), city = get("mart_city_service").filter((row) => row.is_allocated);
    const envy = get("mart_allocation_envy");
    same("city_services_agorot", told.city_services_agorot, sum(city, "cost_agorot"));
    same("cost_agorot", told.cost_agorot, sum(lines, "cost_agorot") + sum(city, "cost_agorot"));
    const own = sum(lines, "municipal_agorot") + sum(city, "municipal_agorot");
    same("municipal_agorot", told.municipal_agorot, own);
    same("schools", told.schools, get("mart_allocation_school").length);
    if (told.envied_lines !== null) {
      same("envied_lines", told.envied_lines, envy.length);
      same("envy_agorot", told.envy_agorot, sum(envy, "cost_agorot"));
      const cost = new Map(lines.map((line) => [pair(line), line.cost_agorot]));
      for (const row of envy) same(`${pair(row)}: envied`, row.cost_agorot, cost.get(pair(row)) ?? NaN);
    }
    if (told.objective_bound !== null) {
      holds("objective_bound is below the plan", told.objective <= told.objective_bound * (1 + NEAR));
      const gap = told.objective_bound ? (100 * (told.objective_bound - told.objective)) / told.objective_bound : 0;
      same("optimality_gap_pct", told.optimality_gap_pct, Math.max(0, gap), 1e-6);
    }
  });
}

// ---- rules ----------------------------------------------------------------------------------

function proofOf(tables) {
  // What each row of the proof uses in the plan, by rule.
  if (!tables.mart_bound_row || !tables.mart_bound_row.length) return null;
  const bought = new Map(tables.mart_allocation.map((line) => [`${pair(line)} / ${line.dose_level}`, line]));
  const lines = new Map(), rows = new Map(), of = new Map();
  for (const option of tables.mart_bound_option) {
    const line = bought.get(`${pair(option)} / ${option.dose_level}`);
    if (line) lines.set(option.proof_column, line);
  }
  for (const row of tables.mart_bound_row) {
    const own = { ...row, used: 0, parts: [] };
    rows.set(row.proof_row, own);
    if (!of.has(row.rule_id)) of.set(row.rule_id, []);
    of.get(row.rule_id).push(own);
  }
  for (const entry of tables.mart_bound_entry) {
    const row = rows.get(entry.proof_row), line = lines.get(entry.proof_column);
    if (!row) throw new Error(`mart_bound_entry: row ${entry.proof_row} is not told`);
    if (!line) continue;
    row.used += entry.coefficient;
    row.parts.push([entry.coefficient, line]);
  }
  return { of, isWhole: lines.size === tables.mart_allocation.length };
}

function rules(check, tables, get) {
  let proof = null;
  check("rows", "כל השורות של הכללים", "All rows of the rules", ({ holds, untold }) => {
    if (!tables.mart_bound_row || !tables.mart_bound_row.length) return untold("mart_bound_row");
    proof = proofOf(tables);
    holds("a line of the plan is no option of the proof", proof.isWhole);
    for (const rows of proof.of.values()) {
      for (const row of rows) {
        holds(`${row.rule_id} / ${row.rule_scope}: ${row.used} > ${row.row_limit}`, row.used <= row.row_limit);
      }
    }
    const told = new Set(get("mart_allocation_rule").map((rule) => rule.rule_id));
    for (const id of proof.of.keys()) holds(`${id}: no such rule is told`, told.has(id));
  });
  for (const rule of tables.mart_allocation_rule || []) {
    const [kind, ...rest] = rule.rule_id.split(":"), of = rest.join(":");
    check(`rule/${rule.rule_id}`, rule.rule_he, rule.rule_en, (judge) => {
      const { same, holds, untold } = judge;
      const sense = SENSES[kind];
      if (!sense) return untold(`${kind}: this page does not know such a rule`);
      const [value, limit] = [rule.rule_value, rule.rule_limit];
      if (value === null || limit === null) return untold("the value is not told");
      if (kind in FIXED) same("rule_limit", limit, FIXED[kind]);
      const near = NEAR * Math.max(1, Math.abs(limit));
      const isKept = sense === "<=" ? value <= limit + near : sense === ">=" ? value >= limit - near : value === limit;
      holds(`${value} ${sense} ${limit} does not hold`, isKept);
      holds("told as broken", rule.is_satisfied === true);
      const rows = proof && (proof.of.get(rule.rule_id) || []);
      const found = (RECOMPUTED[kind] || fromRows)({ of, rule, rows, get, same, holds, value, limit });
      if (PREFERENCES.has(kind)) judge.asTold();
      else if (found === undefined) untold("the value cannot be recomputed from this file");
      else if (found !== null) same("rule_value", value, found, NEAR);
    });
  }
}

// Rules whose rows forbid or demand: how many rows are broken or kept.
function fromRows({ rows, limit }) {
  if (!rows) return undefined;
  return limit === 0 ? rows.filter((row) => row.used > row.row_limit).length : undefined;
}

function kept({ rows, same, limit }) {
  if (!rows) return undefined;
  same("rule_limit", limit, rows.length);
  return rows.filter((row) => row.used <= row.row_limit).length;
}

function spent({ get, of }) {
  const own = (row) => !of || row.funding_channel === of;
  const money = get("mart_allocation_money").filter(own), city = get("mart_city_service_money").filter(own);
  return [sum(money, "amount_agorot"), sum(city, "amount_agorot")];
}

function onChannel(get, channel) {
  const money = get("mart_allocation_money").filter((row) => !channel || row.funding_channel === channel);
  return sumBy(money, pair, "amount_agorot");
}

function coefficients({ rows, same }, expected) {
  for (const row of rows || []) {
    for (const [coefficient, line] of row.parts) same(`${pair(line)}: coefficient`, coefficient, expected(line, row));
  }
}

function lastYear(get) {
  return get("mart_allocation_change").filter((row) => row.last_year_agorot > 0);
}

function share({ of, rule, rows, get, same, holds, limit }, isIn, channel) {
  const money = onChannel(get, channel), lines = get("mart_allocation");
  const service = get("mart_city_service_money").filter((row) => !channel || row.funding_channel === channel);
  const inCity = sum(service.filter(isIn), "amount_agorot"), city = sum(service, "amount_agorot");
  let [inside, all] = [inCity, city];
  for (const line of lines) {
    const paid = money.get(pair(line)) || 0;
    all += paid;
    if (isIn(line)) inside += paid;
  }
  const sign = SENSES[rule.rule_id.split(":")[0]] === "<=" ? 1 : -1;
  for (const row of rows || []) {
    // A row counts in parts of an agora; it is the share's where all its numbers stand in one ratio.
    const told = row.parts.map(([n, line]) => [n, sign * (100 * isIn(line) - limit) * (money.get(pair(line)) || 0)]);
    told.push([row.row_limit, -sign * (100 * inCity - limit * city)]);
    const [first, other] = told.reduce((a, b) => (Math.abs(b[1]) > Math.abs(a[1]) ? b : a));
    for (const [n, expected] of told) same("row", n * (other / first), expected, 1e-9);
  }
  holds("a share of nothing", all >= 0);
  return all ? (100 * inside) / all : 0;
}

function responsesWhere(get, is) {
  const own = new Set(get("mart_response").filter(is).map((row) => row.response_id));
  return (row) => own.has(row.response_id);
}

function anyShare(said) {
  const [part, ...channel] = said.of.split(":");
  if (part === "long_term") {
    return share(said, responsesWhere(said.get, (row) => row.horizon === "long"), channel.join(":"));
  }
  if (part !== "neediest_quarter") return undefined;
  const first = said.get("mart_allocation_change").filter((row) => row.need_quartile === 1);
  const schools = new Set(first.map((row) => row.semel_mosad));
  return share(said, (row) => schools.has(row.semel_mosad), channel.join(":"));
}

function ofExcellence(said) {
  return share(said, responsesWhere(said.get, (row) => row.is_excellence), said.of);
}

function perPupil(said, extreme) {
  const { get, of, rows, same, limit } = said;
  const money = onChannel(get, of), lines = get("mart_allocation"), pupils = new Map();
  const values = get("mart_allocation_school").map((school) => {
    pupils.set(school.semel_mosad, school.pupils);
    const own = lines.filter((line) => line.semel_mosad === school.semel_mosad);
    return own.reduce((all, line) => all + (money.get(pair(line)) || 0), 0) / unless(school.pupils);
  });
  const sign = extreme === Math.max ? 1 : -1;
  coefficients(said, (line) => sign * (money.get(pair(line)) || 0));
  for (const row of rows || []) same(`${row.rule_scope}: limit`, row.row_limit, sign * limit * pupils.get(row.rule_scope));
  return extreme(...values);
}

function ofBasket(said, channel) {
  const { rows, get } = said;
  if (!rows) return undefined;
  const money = onChannel(get, channel);
  coefficients(said, (line) => money.get(pair(line)) || 0);
  return Math.max(0, ...rows.map((row) => (row.row_limit ? (100 * row.used) / row.row_limit : row.used ? Infinity : 0)));
}

const RECOMPUTED = {
  budget(said) {
    const [schools, city] = spent(said), money = onChannel(said.get, said.of);
    for (const row of said.get("mart_allocation_channel")) {
      if (row.funding_channel === said.of) said.same("budget_agorot", row.budget_agorot, said.limit);
    }
    coefficients(said, (line) => money.get(pair(line)) || 0);
    for (const row of said.rows || []) said.same("row_limit", row.row_limit, said.limit - city);
    return schools + city;
  },
  school_capacity(said) {
    coefficients(said, () => 1);
    for (const row of said.rows || []) said.same("row_limit", row.row_limit, said.limit);
    return said.get("mart_allocation").filter((line) => line.response_id === said.of).length;
  },
  participant_capacity(said) {
    return sum(said.get("mart_allocation").filter((line) => line.response_id === said.of), "participants");
  },
  committee_amount(said) {
    const told = said.get("mart_committee_amount").find((row) => row.response_id === said.of);
    const lines = said.get("mart_allocation").filter((line) => line.response_id === said.of);
    if (!told) return undefined;
    said.same("schools", told.schools, said.limit);
    said.same("allocated_agorot", told.allocated_agorot, sum(lines, "cost_agorot"));
    said.same("left_agorot", told.left_agorot, told.amount_agorot - told.allocated_agorot);
    for (const row of said.rows || []) said.holds(`${row.rule_scope}: limit`, row.row_limit === -row.parts.length);
    return lines.length;
  },
  every_school_served(said) {
    const lines = said.get("mart_allocation");
    const counts = new Map(said.get("mart_allocation_school").map((row) => [row.semel_mosad, 0]));
    for (const line of lines) counts.set(line.semel_mosad, counts.get(line.semel_mosad) + 1);
    coefficients(said, () => -1);
    if (said.rows) for (const row of said.rows) said.same(`${row.rule_scope}: limit`, row.row_limit, -said.limit);
    // Schools that people decided to leave without stand in no row; without rows they cannot be told.
    const asked = said.rows ? said.rows.map((row) => counts.get(row.rule_scope)) : [...counts.values()];
    const fewest = Math.min(...asked);
    return said.rows || fewest ? fewest : undefined;
  },
  asset_hours(said) {
    const told = said.get("mart_allocation_asset").find((row) => row.asset_id === said.of);
    for (const row of said.rows || []) {
      said.same("row_limit", row.row_limit, said.limit);
      said.same("rows", row.used, said.value);
    }
    if (!told) return said.rows ? null : undefined;
    said.same("asset_hours_free", told.asset_hours_free, said.limit);
    return told.asset_hours;
  },
  hold_harmless(said) {
    const last = new Map(lastYear(said.get).map((row) => [row.semel_mosad, row.last_year_agorot]));
    const cost = new Map(said.get("mart_allocation_school").map((row) => [row.semel_mosad, row.cost_agorot]));
    for (const row of said.get("mart_allocation_change")) {
      said.same(`${row.semel_mosad}: amount_agorot`, row.amount_agorot, cost.get(row.semel_mosad) ?? NaN);
      said.same(`${row.semel_mosad}: change_agorot`, row.change_agorot, row.amount_agorot - row.last_year_agorot);
    }
    coefficients(said, (line) => -line.cost_agorot);
    for (const row of said.rows || []) {
      const floor = -Math.ceil((said.limit * last.get(row.rule_scope)) / 100);
      said.same(`${row.rule_scope}: limit`, row.row_limit, floor);
    }
    return Math.min(...[...last].map(([school, agorot]) => (100 * unless(cost.get(school))) / agorot));
  },
  rise_cap(said) {
    return Math.max(...lastYear(said.get).map((row) => (100 * row.amount_agorot) / row.last_year_agorot));
  },
  school_cap: (said) => perPupil(said, Math.max),
  school_floor: (said) => perPupil(said, Math.min),
  school_channel_cap: (said) => ofBasket(said, said.of),
  parents_payments: (said) => ofBasket(said, "parents"),
  source_excluded: () => undefined,
  excellence_share_max: ofExcellence,
  excellence_share_min: ofExcellence,
  share_max: anyShare,
  share_min: anyShare,
  must_keep: kept,
  decided_keep: kept,
  commitment: kept,
  // Preferences of the search for the fairer plan: no row of the bound, so the sentence is all there is.
  lines_kept(said) {
    for (const text of [said.rule.rule_he, said.rule.rule_en]) {
      said.same("the sentence", Number(/\d[\d,]*/.exec(text)[0].replace(/,/g, "")), said.limit);
    }
    return undefined;
  },
  need_order: () => undefined,
  spending_kept: () => undefined,
};

// ---- the bound ------------------------------------------------------------------------------

function bound(check, get, only) {
  check("bound", "החסם על ערך התוכנית", "The bound on the plan's worth", ({ same, holds, untold }) => {
    const told = only("mart_allocation_bound"), certificate = only("mart_allocation_certificate");
    if (told.bound_units === null) return untold("bound_units");
    const found = recomputedBound(get, told);
    same("bound_units", BigInt(told.bound_units), found.bound);
    same("recomputed_bound", told.recomputed_bound, Number(found.bound) / 1e9, NEAR);
    holds("the plan is worth more than the bound", BigInt(told.plan_units) <= found.bound);
    holds("plan_units is more than its lines", BigInt(told.plan_units) <= found.lines);
    if (told.bound_argument === "prices") {
      // The lines' worths are rounded up one by one, the plan's worth is not.
      const near = Number(found.lines - BigInt(told.plan_units));
      holds(`plan_units: ${near} units below its lines`, near <= 1e-6 * Number(found.lines) + get("mart_allocation").length);
      same("objective", certificate.objective, told.plan_units / 1e9, 1e-8);
    }
    const gap = (100 * (told.bound_units - told.plan_units)) / told.bound_units;
    same("recomputed_gap_pct", told.recomputed_gap_pct, gap, 1e-6);
  });
}

function recomputedBound(get, told) {
  const rows = new Map(), use = new Map(), schools = new Map(), bought = new Set();
  for (const row of get("mart_bound_row")) {
    const price = BigInt(row.multiplier_units); // as text: larger than a number holds exactly
    if (price < 0n) throw new Error(`row ${row.proof_row}: a price below zero proves nothing`);
    rows.set(row.proof_row, { limit: BigInt(row.row_limit), price });
  }
  for (const { proof_row, proof_column, coefficient } of get("mart_bound_entry")) {
    if (!use.has(proof_column)) use.set(proof_column, new Map());
    use.get(proof_column).set(proof_row, BigInt(coefficient));
  }
  const lines = new Set(get("mart_allocation").map((line) => `${pair(line)} / ${line.dose_level}`));
  let worth = BigInt(told.constant_units);
  const led = new Map();
  for (const o of get("mart_bound_option")) {
    const own = use.get(o.proof_column) || new Map();
    let gain = UNIT * BigInt(o.worth_units);
    for (const [r, n] of own) gain -= rows.get(r).price * n;
    const option = { group: o.overlap_group, gain, lead: UNIT * BigInt(o.lead_units), use: own };
    if (!schools.has(o.semel_mosad)) schools.set(o.semel_mosad, new Map());
    const pairs = schools.get(o.semel_mosad), key = `${o.overlap_group ?? -1}/${o.response_id}`;
    if (!pairs.has(key)) pairs.set(key, []);
    pairs.get(key).push(option);
    if (!lines.has(`${pair(o)} / ${o.dose_level}`)) continue;
    bought.add(`${pair(o)} / ${o.dose_level}`);
    worth += BigInt(o.worth_units);
    const at = `${o.semel_mosad}/${o.overlap_group}`, lead = BigInt(o.lead_units);
    if (!led.has(at) || led.get(at) < lead) led.set(at, lead);
  }
  if (bought.size !== lines.size) throw new Error("a line of the plan is no option of the proof");
  const extreme = (pairs, r, less) => pairs.reduce((all, same) => {
    let found = 0n;
    for (const option of same) {
      const n = option.use.get(r) || 0n;
      if (less ? n < found : n > found) found = n;
    }
    return all + found;
  }, 0n);
  const low = new Map(), all = new Map([...rows.keys()].map((r) => [r, 0n]));
  for (const [school, pairs] of schools) {
    const grouped = [...pairs].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, same]) => same);
    schools.set(school, grouped);
    const touched = new Set(grouped.flat().flatMap((option) => [...option.use.keys()]));
    low.set(school, new Map([...touched].map((r) => [r, extreme(grouped, r, true)])));
    for (const [r, n] of low.get(school)) all.set(r, all.get(r) + n);
  }
  let total = 0n;
  for (const { limit, price } of rows.values()) total += price * limit;
  for (const [school, pairs] of schools) {
    const room = new Map([...rows].map(([r, { limit }]) => [r, limit - all.get(r) + (low.get(school).get(r) || 0n)]));
    const tight = [...rows.keys()].filter((r) => extreme(pairs, r, false) > room.get(r));
    total += best(pairs, tight, room, extreme);
  }
  for (const lead of led.values()) worth += lead;
  const up = total >= 0n ? (total + UNIT - 1n) / UNIT : -(-total / UNIT);
  return { bound: BigInt(told.constant_units) + up, lines: worth };
}

// The most that a school's plan gains beyond what it pays; of overlapping options one leads.
function best(pairs, tight, room, extreme) {
  const most = pairs.map((same) => same.reduce((top, o) => (o.gain + o.lead > top ? o.gain + o.lead : top), 0n));
  const rest = Array(pairs.length + 1).fill(0n), least = Array(pairs.length + 1);
  least[pairs.length] = tight.map(() => 0n);
  for (let i = pairs.length - 1; i >= 0; i -= 1) {
    rest[i] = rest[i + 1] + most[i];
    least[i] = tight.map((r) => extreme(pairs.slice(i), r, true));
  }
  const order = pairs.map((same) => [...same].sort((a, b) => (a.gain + a.lead < b.gain + b.lead ? -1 : 1)));
  let found = null;
  const stack = [[0, 0n, new Map(), tight.map(() => 0n)]];
  while (stack.length) {
    const [i, value, leads, used] = stack.pop();
    if (found !== null && value + rest[i] <= found) continue;
    if (i === pairs.length) {
      found = value;
      continue;
    }
    for (const option of [null, ...order[i]]) {
      const now = option ? used.map((n, t) => n + (option.use.get(tight[t]) || 0n)) : used;
      if (!now.every((n, t) => n + least[i + 1][t] <= room.get(tight[t]))) continue;
      let gain = 0n, after = leads;
      if (option) {
        const had = leads.get(option.group) || 0n, more = option.lead > had ? option.lead - had : 0n;
        gain = option.gain + more;
        if (more) after = new Map(leads).set(option.group, had + more);
      }
      stack.push([i + 1, value + gain, after, now]);
    }
  }
  if (found === null) throw new Error("no plan of a school keeps the rows");
  return found;
}
