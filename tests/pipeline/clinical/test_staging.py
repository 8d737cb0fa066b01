"""Staging against a second transcription, over every combination of known and missing results."""

from itertools import product

import pytest

from pipeline.clinical.baseline import BASELINE_COLUMNS, stages_from_table
from pipeline.clinical.staging import RESULTS, stage
from pipeline.errors import SheetRefused
from pipeline.formats.delimited import Record, Table

UNKNOWN = None

# Second transcription, from the papers' own words, on values and not on ranges; None is "not tested".
# Kleene logic: a statement is true, false or unknown.


def k_and(*items):
    return False if False in items else (UNKNOWN if UNKNOWN in items else True)


def k_or(*items):
    return True if True in items else (UNKNOWN if UNKNOWN in items else False)


def k_not(item):
    return UNKNOWN if item is UNKNOWN else not item


def at_least(value, limit):
    return UNKNOWN if value is UNKNOWN else value >= limit


def plain_iss(b2m, albumin):
    """Greipp 2005: I b2M < 3.5 mg/L and albumin >= 3.5 g/dL; III b2M >= 5.5 mg/L; II neither."""
    return {
        "I": k_and(k_not(at_least(b2m, 3.5)), at_least(albumin, 3.5)),
        "III": at_least(b2m, 5.5),
    }


def settle(one, three, names=("I", "II", "III")):
    first, second, third = names
    if one is True:
        return first
    if three is True:
        return third
    return second if one is False and three is False else "NOT_ASSESSABLE"


def plain_r_iss(b2m, albumin, ldh_high, del17p, t414, t1416):
    """Palumbo 2015."""
    iss = plain_iss(b2m, albumin)
    fish = k_or(del17p, t414, t1416)
    one = k_and(iss["I"], k_not(ldh_high), k_not(fish))
    return settle(one, k_and(iss["III"], k_or(fish, ldh_high)))


def plain_r2_iss(b2m, albumin, ldh_high, del17p, t414, gain1q):
    """D'Agostino 2022: every completion is added up."""
    groups = set()
    b2ms = [b2m] if b2m is not UNKNOWN else [1.0, 4.0, 9.0]
    albumins = [albumin] if albumin is not UNKNOWN else [2.0, 4.0]
    flags = [[f] if f is not UNKNOWN else [False, True] for f in (ldh_high, del17p, t414, gain1q)]
    for b, a, ldh, d17, t, q in product(b2ms, albumins, *flags):
        total = 1.5 if b >= 5.5 else (0.0 if b < 3.5 and a >= 3.5 else 1.0)
        total += (1.0 if d17 else 0) + (1.0 if ldh else 0) + (1.0 if t else 0) + (0.5 if q else 0)
        groups.add("I" if total == 0 else "II" if total <= 1 else "III" if total <= 2.5 else "IV")
    return groups.pop() if len(groups) == 1 else "NOT_ASSESSABLE"


def plain_ims(b2m, creatinine, del17p, tp53, t414, t1416, t1420, gain1q, del1p):
    """IMS/IMWG 2025, all completions, one criterion a line."""
    answers = set()
    b2ms = [b2m] if b2m is not UNKNOWN else [1.0, 9.0]
    creatinines = [creatinine] if creatinine is not UNKNOWN else [1.0, 2.0]
    flags = [[f] if f is not UNKNOWN else [False, True] for f in (del17p, tp53, t414, t1416, t1420, gain1q)]
    losses = [del1p] if del1p is not UNKNOWN else ["NO", "MONO", "BI"]
    for b, c, d17, tp, t1, t2, t3, q, p in product(b2ms, creatinines, *flags, losses):
        criteria = [
            d17 or tp,
            (t1 or t2 or t3) and (q or p != "NO"),
            p == "BI" or (p == "MONO" and q),
            b >= 5.5 and c < 1.2,
        ]
        answers.add("HIGH" if any(criteria) else "NOT_HIGH")
    return answers.pop() if len(answers) == 1 else "NOT_ASSESSABLE"


B2M = {"3.49": 3.49, "3.5": 3.5, "5.49": 5.49, "5.5": 5.5, "": UNKNOWN}
ALBUMIN = {"3.49": 3.49, "3.5": 3.5, "": UNKNOWN}
LDH = {"220": False, "221": True, "": UNKNOWN}
CREATININE = {"1.19": 1.19, "1.2": 1.2, "": UNKNOWN}
FLAG = {"YES": True, "NO": False, "": UNKNOWN}
LOSS = {"NO": "NO", "MONO": "MONO", "BI": "BI", "": UNKNOWN}
FLAGS = ("del_17p", "tp53_mutation", "t_4_14", "t_14_16", "t_14_20", "gain_1q")


def staged(*patients: dict[str, str]):
    rows = [
        Record(i, (f"P{i}", *(p.get(c, "") for c in BASELINE_COLUMNS[1:]))) for i, p in enumerate(patients, 2)
    ]
    return stages_from_table(
        Table(delimiter=",", header=Record(1, BASELINE_COLUMNS), records=tuple(rows), problems=()),
        path="baseline.csv",
    )


def test_iss_r_iss_and_r2_iss_over_every_combination():
    cases = list(product(B2M, ALBUMIN, LDH, FLAG, FLAG, FLAG, FLAG))
    patients = [
        {
            "beta2_microglobulin_mg_l": b,
            "albumin_g_dl": a,
            "ldh_u_l": ldh,
            "ldh_upper_limit_u_l": "220",
            "del_17p": d,
            "t_4_14": t,
            "t_14_16": u,
            "gain_1q": q,
        }
        for b, a, ldh, d, t, u, q in cases
    ]
    found, notes = staged(*patients)
    assert len(found) == len(cases) == 3645
    assert notes == ()
    for (b, a, ldh, d, t, u, q), patient in zip(cases, found, strict=True):
        s = patient.staging
        iss = plain_iss(B2M[b], ALBUMIN[a])
        assert s.iss == settle(iss["I"], iss["III"])
        assert s.r2_iss == plain_r2_iss(B2M[b], ALBUMIN[a], LDH[ldh], FLAG[d], FLAG[t], FLAG[q])
        plain = plain_r_iss(B2M[b], ALBUMIN[a], LDH[ldh], FLAG[d], FLAG[t], FLAG[u])
        # Kleene's tables do not see that ISS I and ISS III exclude each other; where they settle, both agree.
        assert plain in ("NOT_ASSESSABLE", s.r_iss)


def completed_r_iss(b2m, albumin, ldh_high, del17p, t414, t1416):
    b2ms = [b2m] if b2m is not UNKNOWN else [1.0, 4.0, 9.0]
    albumins = [albumin] if albumin is not UNKNOWN else [2.0, 4.0]
    flags = [[f] if f is not UNKNOWN else [False, True] for f in (ldh_high, del17p, t414, t1416)]
    found = {plain_r_iss(b, a, *f) for b, a, *f in product(b2ms, albumins, *flags)}
    return found.pop() if len(found) == 1 else "NOT_ASSESSABLE"


def test_r_iss_is_what_every_completion_gives():
    cases = list(product(B2M, ALBUMIN, LDH, FLAG, FLAG, FLAG))
    columns = ("beta2_microglobulin_mg_l", "albumin_g_dl", "ldh_u_l", "del_17p", "t_4_14", "t_14_16")
    found, _ = staged(
        *({"ldh_upper_limit_u_l": "220"} | dict(zip(columns, case, strict=True)) for case in cases)
    )
    for (b, a, ldh, *f), patient in zip(cases, found, strict=True):
        expected = completed_r_iss(B2M[b], ALBUMIN[a], LDH[ldh], *(FLAG[x] for x in f))
        assert patient.staging.r_iss == expected


def ims_cases():
    # Two of the four sides of b2M decide, and the three translocations stand for one another.
    return list(product(["5.49", "5.5", ""], CREATININE, *[list(FLAG)] * 6, LOSS))


def check_ims(cases):
    columns = ("beta2_microglobulin_mg_l", "creatinine_mg_dl", *FLAGS, "del_1p32")
    found, _ = staged(*(dict(zip(columns, case, strict=True)) for case in cases))
    for case, patient in zip(cases, found, strict=True):
        b, c, *f, p = case
        expected = plain_ims(B2M[b], CREATININE[c], *(FLAG[x] for x in f), LOSS[p])
        assert patient.staging.ims_2025 == expected, case


def test_ims_2025_over_a_seventh_of_the_combinations():
    check_ims(ims_cases()[::7])


@pytest.mark.slow
def test_ims_2025_over_every_combination():
    cases = ims_cases()
    assert len(cases) == 3 * 3 * 3**6 * 4
    check_ims(cases)


def test_missing_names_only_tests_that_could_change_a_stage():
    known = {
        "beta2_microglobulin_mg_l": "2.0",
        "albumin_g_dl": "4",
        "ldh_u_l": "300",
        "creatinine_mg_dl": "1",
        "del_17p": "YES",
    }
    (patient,), _ = staged(known)
    assert patient.staging.iss == "I"
    assert patient.staging.ims_2025 == "HIGH"
    assert patient.staging.r_iss == "II", "neither I nor III, whatever the limit of LDH"
    assert patient.staging.r2_iss == "NOT_ASSESSABLE"
    assert patient.missing == ("ldh_upper_limit_u_l", "t_4_14", "gain_1q")


def test_nothing_known_names_every_test():
    (patient,), _ = staged({})
    assert patient.missing == BASELINE_COLUMNS[1:]


def test_value_below_a_limit_is_used_as_far_as_it_goes():
    (first, second), _ = staged(
        {"beta2_microglobulin_mg_l": "<0.5", "albumin_g_dl": "4"},
        {"beta2_microglobulin_mg_l": "<4", "albumin_g_dl": "4"},
    )
    assert first.staging.iss == "I"
    assert second.staging.iss == "NOT_ASSESSABLE"
    assert "beta2_microglobulin_mg_l" in second.missing


@pytest.mark.parametrize(
    ("column", "text", "cause"),
    [
        ("albumin_g_dl", "-3", "negative"),
        ("albumin_g_dl", "35", "above 10 g/dL"),
        ("ldh_u_l", "1,200", "may group thousands"),
        ("t_4_14", "maybe", "not an answer"),
        ("del_1p32", "YES", "not an answer"),
    ],
)
def test_bad_cell_is_refused_with_line_and_column(column, text, cause):
    with pytest.raises(SheetRefused, match=cause) as refused:
        staged({}, {column: text})
    assert [(p.line, p.column) for p in refused.value.problems] == [(3, column)]
    assert text not in str(refused.value.problems[0].cause)


def test_decimal_comma_is_mended_and_said():
    (patient,), notes = staged({"beta2_microglobulin_mg_l": "5,5"})
    assert patient.staging.iss == "III"
    assert notes == ("line 2, beta2_microglobulin_mg_l: decimal comma, read as 5.5 mg/L",)


def test_all_known_gives_all_stages():
    staging = stage({t: r[:1] for t, r in RESULTS.items()})
    assert (staging.iss, staging.r_iss, staging.r2_iss, staging.ims_2025) == ("I", "I", "I", "NOT_HIGH")
    assert staging.missing == ()
