-- The staging model of one source: latest version per key, tombstones applied, fields mapped.
-- Every argument but the first two is an SQL expression over the raw row, so a hand-written
-- stg_<source>.sql may pass its own. `attributes` maps names to columns of the payload,
-- `relations` predicates to columns.
--
-- Recency is the event time, or the time of landing where there is none: a late older version
-- never replaces a newer one, and a tombstone without a time is as recent as its landing.
{% macro standardise(
    source_name,
    raw,
    body,
    title="''",
    tenant="'default'",
    region="'global'",
    updated_at="event_time",
    deleted="false",
    attributes={},
    relations={}
) %}
with ranked as (
    select
        *,
        row_number() over (
            partition by key
            order by
                coalesce(event_time, ingested_at) desc, ingested_at desc, row_hash desc
        ) as recency
    from {{ raw }}
),

latest as (
    select * from ranked where recency = 1 and operation <> 'delete'
)

select
    doc_id_of({{ literal(source_name) }}, key) as doc_id,
    {{ literal(source_name) }} as source,
    key,
    nullif({{ tenant }}, '') as tenant,
    nullif({{ region }}, '') as region,
    coalesce({{ title }}, '') as title,
    coalesce({{ body }}, '') as body,
    canonical_attributes(payload, {{ literal(tojson(attributes)) }}) as attributes,
    {{ updated_at }} as updated_at,
    row_hash,
    uri,
    run_id,
    ingested_at,
    relations_of(payload, {{ literal(tojson(relations)) }}) as relations
from latest
where not {{ deleted }}
{% endmacro %}
