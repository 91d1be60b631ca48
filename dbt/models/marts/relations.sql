-- Edges from documents to what they name: another document of the same source when the value is
-- its key, else the name as it is.
with named as (
    {% for name in var("sources") %}
    select doc_id, source, unnest(relations, recursive := true)
    from {{ ref("stg_" ~ name) }}
    {{ "union all" if not loop.last }}
    {% endfor %}
)

select distinct
    named.doc_id as subject,
    named.predicate,
    coalesce(documents.doc_id, named.value) as object,
    1.0::double as weight,
    named.source
from named
left join {{ ref("documents") }} as documents
    on documents.source = named.source and documents.key = named.value
