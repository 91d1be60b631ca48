-- No document whose newest raw row is a tombstone. Written apart from the staging model's way of
-- finding the newest row, so that the two hold each other.
{{ config(meta={"dagster": {"ref": {"name": "documents"}}}) }}
with newest as (
    {% for name in var("sources") %}
    select {{ literal(name) }} as source, key, arg_max(
        operation,
        {'at': coalesce(event_time, ingested_at), 'landed': ingested_at, 'row_hash': row_hash}
    ) as operation
    from {{ source("raw", name) }}
    group by key
    {{ "union all" if not loop.last }}
    {% endfor %}
)

select documents.doc_id
from {{ ref("documents") }} as documents
join newest using (source, key)
where newest.operation = 'delete'
