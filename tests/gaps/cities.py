"""Simulated cities with known true gaps."""

import numpy as np
import polars as pl

TRUE_SD = {"school": 0.24, "school_subject": 0.13, "school_year": 0.06, "school_subject_year": 0.06}


def city(seed, *, schools=36, subjects=4, years=4, grades=(4, 5), true_sd=TRUE_SD, cohorts=True):
    """Return cells with gap_raw_sd, gap_sampling_sd and the truth."""
    rng = np.random.default_rng(seed)
    code = np.arange(schools)
    u = rng.normal(0, true_sd["school"], schools)
    v = rng.normal(0, true_sd["school_subject"], (schools, subjects))
    w = rng.normal(0, true_sd["school_year"], (schools, years))
    x = rng.normal(0, true_sd["school_subject_year"], (schools, subjects, years))
    mean = rng.normal(0.1, 0.2, (subjects, len(grades), years))
    size = rng.integers(16, 118, schools)
    grid = np.meshgrid(
        code, np.arange(subjects), np.arange(len(grades)), np.arange(years), indexing="ij"
    )
    j, k, g, t = (axis.ravel() for axis in grid)
    error = 1 / np.sqrt(size[j])
    truth = mean[k, g, t] + u[j] + v[j, k] + w[j, t] + x[j, k, t]
    grade = np.array(grades)[g]
    noise = rng.normal(0, 1, len(j))
    if (
        cohorts
    ):  # pupils of one cohort sit all its tests: half the error's variance is shared, .9 a year
        cohort = t - grade
        shared = np.zeros(len(j))
        state: dict = {}
        for i in np.lexsort((t, cohort, j)):
            key = (j[i], cohort[i])
            last = state.get(key)
            if last is None:
                value = rng.normal()
            elif last[0] == t[i]:
                value = last[1]
            else:
                keep = 0.9 ** (t[i] - last[0])
                value = keep * last[1] + np.sqrt(1 - keep**2) * rng.normal()
            state[key] = (t[i], value)
            shared[i] = value
        noise = np.sqrt(0.5) * shared + np.sqrt(0.5) * noise
    return pl.DataFrame(
        {
            "semel_mosad": [f"9{value:05d}" for value in j],
            "subject": np.array(["english", "hebrew", "math", "science"])[k],
            "grade": grade.astype(np.int32),
            "school_year": (2020 + t).astype(np.int32),
            "scale_id": "S",
            "gap_raw_sd": truth + error * noise,
            "gap_sampling_sd": error,
            "truth": truth,
        }
    )
