-- Ids, tenants and regions are what the contract admits, as landing checked them under the mapping
-- of its day. The failing rows and their fields are kept in failed_tests.identities_are_admissible.
{{ config(store_failures=true, meta={"dagster": {"ref": {"name": "documents"}}}) }}
with checked as (
    select doc_id, 'key' as field, id_problem(key) as problem from {{ ref("documents") }}
    union all
    select doc_id, 'tenant', tenant_problem(tenant) from {{ ref("documents") }}
    union all
    select doc_id, 'region', tenant_problem(region) from {{ ref("documents") }}
    union all
    select subject, predicate, id_problem(object) from {{ ref("relations") }}
)

select doc_id, field, problem from checked where problem <> ''
