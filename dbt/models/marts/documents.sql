-- Every live document of every source. Exact duplicates (same tenant, title and body) name the
-- survivor, the smallest doc_id, in duplicate_of.
with staged as (
    {% for name in var("sources") %}
    select
        doc_id, source, key, tenant, region, title, body, attributes, updated_at, row_hash,
        uri, run_id, ingested_at
    from {{ ref("stg_" ~ name) }}
    {{ "union all" if not loop.last }}
    {% endfor %}
)

select
    doc_id,
    source,
    key,
    tenant,
    region,
    title,
    body,
    attributes,
    updated_at,
    nullif(min(doc_id) over (partition by tenant, title, body), doc_id) as duplicate_of,
    row_hash,
    uri,
    run_id,
    ingested_at
from staged
