"""Which rows of a list are somebody who was imported before; after `likeness` has grouped the list's own rows.

A group of rows goes to one person at most: the one whom the best evidence names. Two people whom one row ties together stay two
until somebody says otherwise, and so does whoever contradicts the group in customer number or birth date. To somebody whom two
people excluded, or rejected, goes no row: it is asked whether it may be written to.
"""

from __future__ import annotations

from typing import Any

from incidents.people.decisions import ABOUT_REJECTED, AGAIN, EXCLUDED, EXCLUSIONS
from incidents.people.likeness import COMMON, FREE, NAMES, NAMESAKES, OTHER_NAME, OTHER_REFERENCE, PLACE, TIED, TIERS, TORN
from incidents.people.rejected_again import ASK as ASK_AGAIN
from incidents.people.rejected_again import set_aside
from incidents.people.staged import OF_KIND, STAGED

#: Which column the question stands beside.
COLUMN = f"""CASE reason WHEN '{OTHER_NAME}' THEN 'customer_number' WHEN '{OTHER_REFERENCE}' THEN 'person_id'
  WHEN '{NAMESAKES}' THEN 'date_of_birth' ELSE '' END"""
REMEDY = "say whether they are one person"
#: What to do about somebody whom two people wrote off, by the reason of the question.
REMEDIES = {
    EXCLUDED: "exclude again, by two; or accept with the reason why a letter is right now",
    AGAIN: "reject again, by two, for the reason given before or another; or accept: a person after all",
}
#: Whoever was rejected as nobody of this incident is nobody's match; whoever two people excluded is known, and asked about;
#: so is a row that fits somebody rejected (see `rejected_again`).
KNOWN = f"(p.status <> 'rejected' OR p.id IN ({EXCLUSIONS}))"

#: Whether anybody is known, and whether the list is long. People who came a moment ago are no statistics yet: a nested loop would
#: hold every row of a long list against every one of them.
ANYBODY = """
SELECT EXISTS (SELECT FROM incidents_affectedperson WHERE incident_id = %(incident)s), (SELECT count(*) > 1000 FROM staging)"""
TABLES = """
DROP TABLE IF EXISTS pg_temp.tie, pg_temp.chosen, pg_temp.apart, pg_temp.namesake, pg_temp.common, pg_temp.question, pg_temp.back,
  pg_temp.either, pg_temp.unsure;
CREATE TEMP TABLE back (number int, person bigint) ON COMMIT DROP;
CREATE TEMP TABLE tie (tier int, number int, person bigint) ON COMMIT DROP"""
SAME_NAME = "coalesce(p.name_index, '') = coalesce(s.name_index, '')"
#: Neither two customer numbers nor, under one name, two birth dates.
AGREE = "(p.customer_index = s.customer_index) IS NOT FALSE AND (p.name_birth_index = s.name_birth_index) IS NOT FALSE"
PEOPLE = "incidents_affectedperson p"
#: People with further addresses are found by each of them.
FURTHER = """(SELECT id, incident_id, status, name_index, customer_index, name_birth_index,
    unnest(other_email_indexes) AS email_index
  FROM incidents_affectedperson WHERE incident_id = %(incident)s AND other_email_indexes IS NOT NULL) p"""
FIT = (
    f"{{people}} JOIN {STAGED} s ON p.{{column}} = s.{{column}} AND {SAME_NAME} "
    f"WHERE p.incident_id = %(incident)s AND {KNOWN} AND {{counts}}"
)
TIE = (
    f"INSERT INTO tie SELECT {{place}}, s.number, p.id FROM {FIT} AND {AGREE} AND {FREE} "  # noqa: S608
    "AND NOT EXISTS (SELECT 1 FROM tie t WHERE t.number = s.number AND t.person = p.id)"
)
DOUBT = f"INSERT INTO doubt SELECT s.number, NULL, p.id, '{TORN}' FROM {FIT} AND NOT ({AGREE}) AND {FREE}"  # noqa: S608
#: As within a list (see `likeness.BIRTHS`), for rows that nothing better tied to somebody.
NAMESAKES_OF = f"""
CREATE TEMP TABLE namesake ON COMMIT DROP AS SELECT s.number, s.name_index AS name, p.id AS person,
  (p.address_index = s.address_index) IS NOT FALSE AND (p.residence = s.residence OR 'ZZ' IN (p.residence, s.residence)
    OR p.residence = split_part(s.residence, '-', 1) OR s.residence = split_part(p.residence, '-', 1)) AS fits
FROM {PEOPLE} JOIN {STAGED} s USING (name_birth_index)
LEFT JOIN (SELECT DISTINCT coalesce(o.keeper, o.number) AS root FROM tie JOIN staging o USING (number)) g
  ON g.root = coalesce(s.keeper, s.number)
WHERE p.incident_id = %(incident)s AND {KNOWN} AND (p.customer_index = s.customer_index) IS NOT FALSE
  AND g.root IS NULL AND {FREE}"""  # noqa: S608
BIRTHS = f"""
INSERT INTO tie SELECT {PLACE["birth"]}, number, person FROM namesake LEFT JOIN common c USING (name)
WHERE fits AND c.name IS NULL;
INSERT INTO doubt SELECT number, NULL, person, '{NAMESAKES}' FROM namesake LEFT JOIN common c USING (name)
WHERE NOT fits OR c.name IS NOT NULL"""  # noqa: S608
#: A corrected row stays with the person whom it corrects. Whomever else it fits, as rows of a list are matched, is asked about.
CORRECTS = "NOT s.rejected AND s.merge_tier = 'correction' AND p.id <> s.known_person"
RETURNED = f"""
INSERT INTO doubt SELECT s.number, NULL, p.id, CASE WHEN {AGREE} THEN '{TIED}' ELSE '{TORN}' END
FROM {FIT} AND {CORRECTS}"""  # noqa: S608
#: Two people whose rows come back alike in one file: neither is stored yet as it says.
TOGETHER = f"""(SELECT known_person AS id, %(incident)s AS incident_id, 'clear' AS status, name_index, customer_index,
    name_birth_index, email_index, address_index, reference
  FROM {STAGED} o WHERE merge_tier = 'correction' AND NOT rejected) p"""  # noqa: S608
RETURNED_BIRTHS = f"""
INSERT INTO doubt SELECT s.number, NULL, p.id, '{NAMESAKES}' FROM {{people}} JOIN {STAGED} s USING (name_birth_index)
WHERE p.incident_id = %(incident)s AND {KNOWN} AND (p.customer_index = s.customer_index) IS NOT FALSE AND {CORRECTS}
  AND {{counts}} AND NOT EXISTS (SELECT FROM doubt d WHERE d.number = s.number AND d.person = p.id)"""  # noqa: S608
RETURNED_NUMBERS = f"""
INSERT INTO doubt SELECT s.number, NULL, p.id, '{OTHER_NAME}' FROM {{people}} JOIN {STAGED} s USING (customer_index)
WHERE p.incident_id = %(incident)s AND {KNOWN} AND NOT ({SAME_NAME}) AND {CORRECTS} AND {{counts}}"""  # noqa: S608
#: One number beside two names; one reference too, within lists of one source.
DOUBT_NAMES = f"""
INSERT INTO doubt SELECT s.number, NULL, p.id, '{OTHER_NAME}' FROM {PEOPLE}
JOIN {STAGED} s USING (customer_index)
WHERE p.incident_id = %(incident)s AND {KNOWN} AND NOT ({SAME_NAME}) AND {FREE};
INSERT INTO doubt SELECT s.number, NULL, p.id, '{OTHER_REFERENCE}' FROM {PEOPLE}
JOIN {STAGED} s USING (reference)
WHERE p.incident_id = %(incident)s AND {KNOWN}
  AND (NOT ({SAME_NAME}) OR p.customer_index <> s.customer_index) AND {FREE}
  AND EXISTS (SELECT 1 FROM incidents_importrow r JOIN incidents_importbatch b ON b.id = r.batch_id
    JOIN incidents_importbatch now ON now.id = %(batch)s AND now.source_id = b.source_id WHERE r.person_id = p.id)"""  # noqa: S608
#: Somebody who was merged into somebody else stands for that one.
FOLLOW = """
UPDATE {table} t SET person = p.merged_into_id FROM incidents_affectedperson p
WHERE p.id = t.person AND p.merged_into_id IS NOT NULL"""
#: Whatever else it fits, a row that fits somebody excluded is asked about.
ASIDE = f"""
INSERT INTO doubt SELECT DISTINCT number, NULL::int, NULL::bigint, '{EXCLUDED}' FROM (
  SELECT number, person FROM tie UNION ALL SELECT number, person FROM doubt) t WHERE person IN ({EXCLUSIONS});
DELETE FROM tie WHERE person IN ({EXCLUSIONS});
DELETE FROM doubt WHERE person IN ({EXCLUSIONS})"""  # noqa: S608
#: A row that fits one known person, but for nothing of its own, while another one of its name stands against it by nothing but a
#: number: a son without a number, and his father with one of another system. It may be either, and goes to neither.
UNSURE = f"""
CREATE TEMP TABLE unsure ON COMMIT DROP AS
SELECT DISTINCT coalesce(s.keeper, s.number) AS root FROM tie t JOIN {STAGED} s USING (number)
JOIN incidents_affectedperson x ON x.id = t.person
JOIN (SELECT coalesce(r.keeper, r.number) AS root, d.person, r.name_birth_index FROM doubt d JOIN {STAGED} r USING (number)
  WHERE d.reason = '{TORN}' AND d.person IS NOT NULL) a ON a.root = coalesce(s.keeper, s.number) AND a.person <> t.person
JOIN incidents_affectedperson y ON y.id = a.person
WHERE (y.name_birth_index = a.name_birth_index) IS NOT FALSE
  AND NOT ((x.name_birth_index = s.name_birth_index) IS TRUE AND (y.name_birth_index = a.name_birth_index) IS NOT TRUE);
DELETE FROM unsure u USING tie t JOIN staging s USING (number)
WHERE coalesce(s.keeper, s.number) = u.root AND t.tier <= {PLACE["reference"]};
INSERT INTO doubt SELECT DISTINCT t.number, NULL::int, t.person, '{TIED}' FROM tie t JOIN staging s USING (number)
JOIN unsure u ON u.root = coalesce(s.keeper, s.number);
DELETE FROM tie t USING staging s, unsure u WHERE s.number = t.number AND u.root = coalesce(s.keeper, s.number)"""  # noqa: S608
#: Two people whom somebody called two share no group: each row goes by itself to whom it fits best.
FITS = f"""
DROP TABLE IF EXISTS pg_temp.fit;
CREATE TEMP TABLE fit ON COMMIT DROP AS
SELECT coalesce(s.keeper, s.number) AS root, t.tier, t.person,
  coalesce(p.address_index = s.address_index, false)::int + coalesce(p.name_birth_index = s.name_birth_index, false)::int
  + coalesce(s.email_index = ANY(p.other_email_indexes), false)::int
  + 2 * coalesce(p.email_index = s.email_index, false)::int AS agree
FROM tie t JOIN {STAGED} s USING (number) JOIN incidents_affectedperson p ON p.id = t.person;
ANALYZE fit"""  # noqa: S608
APART = """
CREATE TEMP TABLE apart ON COMMIT DROP AS SELECT DISTINCT one.root FROM incidents_queueentry q
JOIN fit one ON one.person = q.person_id JOIN fit two ON two.person = q.other_id AND two.root = one.root
WHERE q.incident_id = %(incident)s AND q.kind = 'match_conflict' AND q.status = 'corrected';
UPDATE staging s SET keeper = NULL, merge_tier = NULL FROM apart a WHERE s.keeper = a.root"""
CHOOSE = f"""
CREATE TEMP TABLE chosen ON COMMIT DROP AS SELECT DISTINCT ON (root) root, person, tier FROM fit
ORDER BY root, tier, agree DESC, person;
ALTER TABLE chosen ADD PRIMARY KEY (root);
INSERT INTO doubt SELECT DISTINCT c.root, NULL::int, t.person, '{TIED}' FROM tie t JOIN staging s USING (number)
JOIN chosen c ON c.root = coalesce(s.keeper, s.number) WHERE t.person <> c.person;
WITH against AS (
  DELETE FROM chosen c USING {STAGED} s, incidents_affectedperson p
  WHERE coalesce(s.keeper, s.number) = c.root AND p.id = c.person
    AND (p.customer_index <> s.customer_index OR p.name_index = s.name_index AND p.name_birth_index <> s.name_birth_index)
  RETURNING c.root, c.person)
INSERT INTO doubt SELECT root, NULL, person, '{TORN}' FROM against"""  # noqa: S608
JOIN_KNOWN = f"""
UPDATE staging s SET known_person = c.person, keeper = NULL, merge_tier = coalesce({NAMES}[t.tier], s.merge_tier, {NAMES}[c.tier])
FROM chosen c JOIN staging o ON coalesce(o.keeper, o.number) = c.root
LEFT JOIN (SELECT number, person, min(tier) AS tier FROM tie GROUP BY 1, 2) t ON t.number = o.number AND t.person = c.person
WHERE s.number = o.number"""  # noqa: S608
#: How well somebody fits a row that may be theirs.
AGREES = """CASE WHEN s.name_birth_index = coalesce(p.name_birth_index, o.name_birth_index) THEN 8
    WHEN s.name_birth_index <> coalesce(p.name_birth_index, o.name_birth_index) THEN -8 ELSE 0 END
    + 2 * coalesce(s.email_index = coalesce(p.email_index, o.email_index), false)::int
    + coalesce(s.address_index = coalesce(p.address_index, o.address_index), false)::int"""
#: Doubts are about groups and people, not rows: each is asked once, about whom it fits best, and never about a pair that was
#: asked about before.
SETTLE_DOUBTS = f"""
CREATE TEMP TABLE question ON COMMIT DROP AS
SELECT DISTINCT ON (root, reason) root AS number, other, person, reason FROM (
  SELECT coalesce(s.keeper, s.number) AS root, s.known_person AS known, coalesce(d.person, o.known_person) AS person,
    CASE WHEN coalesce(d.person, o.known_person) IS NULL THEN coalesce(o.keeper, o.number) END AS other, d.reason,
    {AGREES} AS agree
  FROM doubt d JOIN {STAGED} s ON s.number = d.number LEFT JOIN {STAGED} o ON o.number = d.other
  LEFT JOIN incidents_affectedperson p ON p.id = d.person) d
WHERE coalesce(person <> known, true) AND coalesce(other <> root, true)
  AND NOT EXISTS (SELECT 1 FROM incidents_queueentry q WHERE q.kind = 'match_conflict' AND q.other_id IS NOT NULL
    AND (q.person_id = d.known AND q.other_id = d.person OR q.person_id = d.person AND q.other_id = d.known))
ORDER BY root, reason, agree DESC, person, other"""  # noqa: S608
#: Whoever is asked about is a kind of their own.
ASK = f"""
INSERT INTO kind (kind, minors, {", ".join(OF_KIND)})
SELECT -s.number, k.minors, {", ".join(f"k.{name}" for name in OF_KIND[:-1])}, k.problems || q.asked FROM (
  SELECT number, jsonb_agg(jsonb_build_object('column', {COLUMN}, 'reason', reason,
      'kind', CASE WHEN reason IN {ABOUT_REJECTED} THEN 'data' ELSE 'match_conflict' END,
      'remedy', CASE reason {" ".join(f"WHEN '{reason}' THEN '{remedy}'" for reason, remedy in REMEDIES.items())}
        ELSE '{REMEDY}' END) ORDER BY reason) AS asked
  FROM question GROUP BY 1) q
JOIN staging s USING (number) JOIN kind k USING (kind);
UPDATE staging s SET kind = -number WHERE number IN (SELECT number FROM question)"""  # noqa: S608


def tie_to_people(cursor: Any, ids: dict[str, int]) -> None:
    """Set `known_person` on the rows of people who are known already, and add what is to be asked to `problems`."""
    cursor.execute(TABLES)
    cursor.execute(ANYBODY, ids)
    anybody, long = cursor.fetchone()
    if anybody:
        cursor.execute(f"SET LOCAL enable_nestloop = {'off' if long else 'on'}")
        _tie(cursor, ids)
        cursor.execute("SET LOCAL enable_nestloop TO DEFAULT")
    cursor.execute("ANALYZE doubt")
    cursor.execute(SETTLE_DOUBTS, ids)
    cursor.execute(ASK_AGAIN)
    cursor.execute(ASK)


def _tie(cursor: Any, ids: dict[str, int]) -> None:
    for place, tier in enumerate(TIERS[:-1], start=1):
        for people in (PEOPLE, FURTHER) if tier.name == "email" else (PEOPLE,):
            parts = {"place": place, "people": people, "column": tier.column, "counts": tier.counts}
            cursor.execute(TIE.format(**parts), ids)
            cursor.execute(DOUBT.format(**parts), ids)
    cursor.execute(NAMESAKES_OF, ids)
    cursor.execute(COMMON.format(names="name FROM namesake"), ids)
    cursor.execute(BIRTHS)
    cursor.execute(DOUBT_NAMES, ids)
    _doubt_corrected(cursor, ids)
    for table in ("tie", "doubt"):
        while _moved(cursor, FOLLOW.format(table=table)):
            pass
    cursor.execute(ASIDE)
    set_aside(cursor, ids)
    for statement in (UNSURE, FITS, APART, FITS, CHOOSE):
        cursor.execute(statement, ids)
    cursor.execute(JOIN_KNOWN)


def _doubt_corrected(cursor: Any, ids: dict[str, int]) -> None:
    """Note whom else the corrected rows fit: the people known before, and those whose rows come back in the same file."""
    cursor.execute("SELECT EXISTS (SELECT FROM staging WHERE merge_tier = 'correction')")
    if not cursor.fetchone()[0]:
        return
    for people, each in ((PEOPLE, "true"), (FURTHER, "true"), (TOGETHER, "p.id < s.known_person")):
        for tier in TIERS[:-1]:
            if people != FURTHER or tier.name == "email":
                parts = {"people": people, "column": tier.column, "counts": f"{tier.counts} AND {each}"}
                cursor.execute(RETURNED.format(**parts), ids)
        if people != FURTHER:
            cursor.execute(RETURNED_BIRTHS.format(people=people, counts=each), ids)
            cursor.execute(RETURNED_NUMBERS.format(people=people, counts=each), ids)


def _moved(cursor: Any, statement: str) -> bool:
    cursor.execute(statement)
    return bool(cursor.rowcount > 0)
