-- A raw row is an upsert or a tombstone, nothing else.
-- depends_on: {{ ref("documents") }}
{{ config(meta={"dagster": {"ref": {"name": "documents"}}}) }}
{% for name in var("sources") %}
select {{ literal(name) }} as source, key, operation
from {{ source("raw", name) }}
where operation not in ('upsert', 'delete')
{{ "union all" if not loop.last }}
{% endfor %}
