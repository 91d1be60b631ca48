-- Expressions over one raw row. `payload` is the source's row as JSON; a column of it is named by a
-- text, so any name works. What a value means is said once, in Python (`lake/values.py` and
-- `lake/identities.py`): landing has checked the row by the same functions.

{% macro literal(value) -%}
    '{{ value | replace("'", "''") }}'
{%- endmacro %}

-- Text (never an identity) without NUL, with \n line ends, in NFC, without white space (Unicode's)
-- at either end; empty when nothing of it can be seen.
{% macro clean(expression) -%}
    clean_text({{ expression }})
{%- endmacro %}

-- A column as clean text: strings as they are, other values as JSON, null when missing.
{% macro text_of(column) -%}
    text_of(payload, {{ literal(column) }})
{%- endmacro %}

-- The same on one line.
{% macro line_of(column) -%}
    line_of(payload, {{ literal(column) }})
{%- endmacro %}

-- A column as a point in time; without an offset it is UTC, null when it is none.
{% macro time_of(column) -%}
    time_of(payload, {{ literal(column) }})
{%- endmacro %}

{% macro truth_of(column) -%}
    coalesce(truth_of(payload, {{ literal(column) }}), false)
{%- endmacro %}

-- A column as an identity: a text exactly as it is, an integer by its digits, else empty. Never
-- cleaned: identities that differ in any character are different.
{% macro identity_of(column) -%}
    identity_of(payload, {{ literal(column) }})
{%- endmacro %}
