"""Which rows of one list are one person: set by set, in SQL alone, on the temporary table `staging`.

Rows that share an identifier and a name are linked; links make groups; a group that contradicts itself falls apart again and is
asked about. Nothing is compared pair by pair: ten times the rows cost about ten times the work. docs/matching.md has the rules.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from incidents.people.staged import STAGED


class Tier(NamedTuple):
    """One kind of evidence that two rows are one person: what must agree beside the name, and how it is told."""

    name: str
    column: str
    key: str
    reason: str
    #: Which values are evidence.
    counts: str = "true"


#: In order of trust. A reference that we made ourselves ('p-' and twelve digits) is nobody's evidence.
TIERS = (
    Tier("customer", "customer_index", "customer_key", "same customer number and name"),
    Tier("reference", "reference", "reference_key", "same reference and name", "s.reference NOT LIKE 'p-____________'"),
    Tier("email", "email_index", "email_key", "same e-mail address (capitals apart) and name"),
    Tier("address", "address_index", "address_key", "same name, postal address and birth date"),
    Tier("birth", "name_birth_index", "name_birth_key", "same name and birth date"),
)
PLACE = {tier.name: place for place, tier in enumerate(TIERS, start=1)}
NAMES = "(ARRAY[" + ", ".join(f"'{tier.name}'" for tier in TIERS) + "])"
#: Rows that can be matched: not refused, and not tied to a person by a reference of our own reject file.
FREE = "NOT s.rejected AND s.merge_tier IS DISTINCT FROM 'correction'"

OTHER_NAME = "the same customer number stands beside another name"
OTHER_REFERENCE = "the same reference stands beside another name or customer number"
TORN = "the same name and identifier stand beside another customer number or birth date"
NAMESAKES = "the same name and birth date, but nothing else says that it is one person"
TIED = "a row of a list fits two people"

TABLES = """
DROP TABLE IF EXISTS pg_temp.shared, pg_temp.alike, pg_temp.link, pg_temp.node, pg_temp.birth, pg_temp.torn, pg_temp.part,
  pg_temp.piece, pg_temp.common, pg_temp.doubt;
CREATE TEMP TABLE shared (tier int, key bigint) ON COMMIT DROP;
CREATE TEMP TABLE alike (tier int, value bytea, number int, name bytea) ON COMMIT DROP;
CREATE TEMP TABLE doubt (number int, other int, person bigint, reason text) ON COMMIT DROP"""
#: Where every row has a customer number, a name and a birth date decide nothing; then nothing is looked for.
WITHOUT_NUMBER = "SELECT name_birth_key FROM staging WHERE customer_key IS NULL AND name_birth_key IS NOT NULL"
#: Identifiers that several rows share, by their keys.
SHARED = """
INSERT INTO shared SELECT {place}, {key} FROM staging WHERE {among} AND NOT rejected GROUP BY 2 HAVING count(*) > 1"""
#: The rows that share one, by the whole identifier; the name is looked at afterwards, on these few.
ALIKE = f"""
INSERT INTO alike SELECT {{place}}, {{value}}, s.number, coalesce(s.name_index, '') FROM shared g
JOIN {STAGED} s ON s.{{key}} = g.key WHERE g.tier = {{place}} AND {FREE} AND {{counts}}"""  # noqa: S608
#: Of some names those that stand beside several birth dates, in this list or in earlier ones.
COMMON = """
CREATE TEMP TABLE common ON COMMIT DROP AS SELECT n.name FROM (SELECT DISTINCT {names}) n JOIN (
  SELECT name_index, name_birth_index FROM incidents_stagedrow WHERE batch_id = %(batch)s UNION ALL
  SELECT name_index, name_birth_index FROM incidents_affectedperson WHERE incident_id = %(incident)s) s ON s.name_index = n.name
GROUP BY 1 HAVING count(DISTINCT s.name_birth_index) > 1;
ANALYZE common"""
#: Name and birth date alone make one person only where no number, address or home contradicts and where nobody else on the lists
#: bears the name. Two numbers are two people, as their source says; all else is asked.
BIRTHS = f"""
CREATE TEMP TABLE birth ON COMMIT DROP AS
SELECT g.*, numbers < 2 AND addresses < 2 AND parts < 2 AND countries < 2 AND c.name IS NULL AS sure
FROM (SELECT a.value, a.name, min(a.number) AS first, count(DISTINCT s.customer_index) AS numbers,
    count(DISTINCT s.address_index) AS addresses,
    count(DISTINCT s.residence) FILTER (WHERE s.residence LIKE '%%-%%') AS parts,
    count(DISTINCT split_part(s.residence, '-', 1)) FILTER (WHERE s.residence <> 'ZZ') AS countries
  FROM alike a JOIN {STAGED} s USING (number) WHERE a.tier = {PLACE["birth"]} GROUP BY 1, 2) g
LEFT JOIN common c USING (name);
ANALYZE birth"""  # noqa: S608
LINKS = f"""
CREATE TEMP TABLE link ON COMMIT DROP AS SELECT tier, first AS a, number AS b FROM (
  SELECT a.tier, a.number, min(a.number) OVER (PARTITION BY a.tier, a.value, a.name) AS first FROM alike a
  LEFT JOIN birth g ON a.tier = {PLACE["birth"]} AND g.value = a.value WHERE g.sure IS NOT FALSE) l WHERE number <> first;
CREATE TEMP TABLE node ON COMMIT DROP AS
SELECT number, number AS root FROM (SELECT a AS number FROM link UNION SELECT b FROM link) n;
ALTER TABLE node ADD PRIMARY KEY (number); ANALYZE node; ANALYZE link"""  # noqa: S608
#: Each row takes the lowest root of those it is linked with, then its root's root: long chains shrink by halves.
NEIGHBOUR = """
UPDATE node n SET root = l.root FROM (
  SELECT e.number, min(y.root) AS root FROM (SELECT a AS number, b AS other FROM link UNION ALL SELECT b, a FROM link) e
  JOIN node y ON y.number = e.other GROUP BY e.number) l
WHERE n.number = l.number AND l.root < n.root"""
SHORTEN = "UPDATE node n SET root = r.root FROM node r WHERE r.number = n.root AND r.root < n.root"
#: Groups with two numbers or two birth dates fall apart into what is surely one: the same number (unless it has two birth dates),
#: or the same everything. Every part but the first is asked about.
TAKE_APART = f"""
CREATE TEMP TABLE torn ON COMMIT DROP AS SELECT n.root FROM node n JOIN {STAGED} s USING (number)
GROUP BY 1 HAVING count(DISTINCT s.customer_index) > 1 OR count(DISTINCT s.name_birth_index) > 1;
ANALYZE torn;
CREATE TEMP TABLE part ON COMMIT DROP AS
SELECT number, root AS before, min(number) OVER (PARTITION BY root, customer_index, CASE WHEN births IS DISTINCT FROM 1
    THEN ARRAY[name_birth_index, email_index] END) AS root
FROM (SELECT n.number, n.root, s.customer_index, s.name_birth_index, s.email_index, t.births
  FROM node n JOIN torn USING (root) JOIN {STAGED} s USING (number) LEFT JOIN (
    SELECT n.root, s.customer_index, greatest(count(DISTINCT s.name_birth_index), 1) AS births FROM node n JOIN torn USING (root)
    JOIN {STAGED} s USING (number) GROUP BY 1, 2) t ON t.root = n.root AND t.customer_index = s.customer_index) r;
INSERT INTO doubt SELECT DISTINCT root, before, NULL::bigint, '{TORN}' FROM part WHERE root <> before;
UPDATE node n SET root = p.root FROM part p WHERE p.number = n.number"""  # noqa: S608
#: Of the parts of one group: who has the same birth date is likelier than whoever came first; and a part with a number may be one
#: without as well. Asked is about whom it fits best (`knowing.SETTLE_DOUBTS`).
DOUBT_PARTS = f"""
CREATE TEMP TABLE piece ON COMMIT DROP AS SELECT DISTINCT p.before, p.root, s.customer_index, s.name_birth_index
FROM part p JOIN {STAGED} s USING (number);
INSERT INTO doubt SELECT p.root, min(o.root), NULL, '{TORN}' FROM piece p JOIN (
  SELECT before, name_birth_index, min(root) AS root FROM piece GROUP BY 1, 2) o USING (before, name_birth_index)
WHERE p.root <> o.root GROUP BY 1;
INSERT INTO doubt SELECT p.root, min(o.root), NULL, '{TIED}' FROM piece p JOIN piece o USING (before)
WHERE p.customer_index IS NOT NULL AND o.customer_index IS NULL AND (o.name_birth_index = p.name_birth_index) IS NOT FALSE
GROUP BY 1"""  # noqa: S608
KEEPERS = f"""
UPDATE staging s SET keeper = n.root,
  merge_tier = {NAMES}[coalesce(l.tier, CASE WHEN s.customer_key IS NULL THEN {PLACE["email"]} ELSE {PLACE["customer"]} END)]
FROM node n LEFT JOIN (SELECT e.number, min(e.tier) AS tier FROM (
    SELECT tier, a AS number, b AS other FROM link UNION ALL SELECT tier, b, a FROM link) e
  JOIN node x ON x.number = e.number JOIN node y ON y.number = e.other WHERE x.root = y.root GROUP BY 1) l USING (number)
WHERE s.number = n.number AND n.root <> n.number"""  # noqa: S608
DOUBT_BIRTHS = f"""
INSERT INTO doubt SELECT s.number, g.first, NULL, '{NAMESAKES}' FROM birth g
JOIN alike a ON a.tier = {PLACE["birth"]} AND a.value = g.value JOIN {STAGED} s USING (number)
WHERE NOT g.sure AND s.number <> g.first AND (s.customer_index IS NULL OR g.numbers < 2)"""  # noqa: S608
#: One customer number, or one reference, beside two names (or the reference beside two numbers).
DOUBT_NAMES = f"""
INSERT INTO doubt SELECT s.number, f.number, NULL,
  CASE a.tier WHEN {PLACE["customer"]} THEN '{OTHER_NAME}' ELSE '{OTHER_REFERENCE}' END
FROM (SELECT tier, number, name, min(number) OVER (PARTITION BY tier, value) AS first FROM alike
  WHERE tier IN ({PLACE["customer"]}, {PLACE["reference"]})) a
JOIN {STAGED} s USING (number) JOIN {STAGED} f ON f.number = a.first
WHERE a.number <> a.first AND (a.name <> coalesce(f.name_index, '') OR s.customer_index <> f.customer_index)"""  # noqa: S608


def link_rows(cursor: Any, ids: dict[str, int]) -> None:
    """Group the rows of one list: sets `keeper` and `merge_tier`, and fills the temporary table `doubt`."""
    cursor.execute(TABLES)
    for place, tier in enumerate(TIERS, start=1):
        among = f"{tier.key} IN ({WITHOUT_NUMBER})" if tier.name == "birth" else f"{tier.key} IS NOT NULL"
        value = "convert_to(s.reference, 'UTF8')" if tier.column == "reference" else f"s.{tier.column}"
        if _changed(cursor, SHARED.format(place=place, key=tier.key, among=among)):
            cursor.execute(ALIKE.format(place=place, value=value, key=tier.key, counts=tier.counts), ids)
    cursor.execute("ANALYZE shared; ANALYZE alike")
    cursor.execute(COMMON.format(names=f"name FROM alike WHERE tier = {PLACE['birth']}"), ids)
    cursor.execute(BIRTHS, ids)
    cursor.execute(LINKS)
    while _changed(cursor, NEIGHBOUR):
        while _changed(cursor, SHORTEN):
            pass
    for statement in (TAKE_APART, DOUBT_PARTS, KEEPERS, DOUBT_BIRTHS, DOUBT_NAMES):
        cursor.execute(statement, ids)
    cursor.execute("ANALYZE doubt")


def _changed(cursor: Any, statement: str) -> bool:
    cursor.execute(statement)
    return bool(cursor.rowcount > 0)
