-- Expressions over one raw row. `payload` is the source's row as JSON; a column of the source is
-- addressed by JSON pointer, so any column name works.

{% macro literal(value) -%}
    '{{ value | replace("'", "''") }}'
{%- endmacro %}

{% macro pointer(column) -%}
    {{ literal("/" ~ (column | replace("~", "~0") | replace("/", "~1"))) }}
{%- endmacro %}

-- Text (never an identity) without NUL, with \n line ends, in NFC, without white space (Unicode's) at either end.
{% macro clean(expression) -%}
    trim(
        nfc_normalize(
            replace(replace({{ expression }}, chr(0), ''), chr(13) || chr(10), chr(10))
        ),
        {% for code in [9, 10, 11, 12, 13, 32, 133, 160, 5760, 8192, 8193, 8194, 8195, 8196,
                        8197, 8198, 8199, 8200, 8201, 8202, 8232, 8233, 8239, 8287, 12288, 65279] -%}
            chr({{ code }}){{ " || " if not loop.last }}
        {%- endfor %}
    )
{%- endmacro %}

-- A column as clean text: strings as they are, other values as JSON, null when missing.
{% macro text_of(column) -%}
    {{ clean("json_extract_string(payload, " ~ pointer(column) ~ ")") }}
{%- endmacro %}

{% macro line_of(column) -%}
    regexp_replace({{ text_of(column) }}, '\s+', ' ', 'g')
{%- endmacro %}

-- A column as a point in time; without an offset it is UTC.
{% macro time_of(column) -%}
    try_cast({{ text_of(column) }} as timestamptz)
{%- endmacro %}

{% macro truth_of(column) -%}
    coalesce(lower({{ text_of(column) }}) in ('true', 't', '1', 'yes', 'y'), false)
{%- endmacro %}

-- A column as an identity: a text exactly as it is, an integer by its digits, else empty. Never
-- cleaned: identities that differ in any character are different.
{% macro identity_of(column) -%}
    identity_of(payload, {{ literal(column) }})
{%- endmacro %}
