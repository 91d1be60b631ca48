-- Attributes are a JSON object of what both backends hold without loss: strings, bools, finite
-- floats, integers up to 2^53, lists of strings. The failing rows and their fields are kept in
-- failed_tests.attributes_are_admissible.
{{ config(store_failures=true, meta={"dagster": {"ref": {"name": "documents"}}}) }}
select doc_id, problems
from (select doc_id, attribute_problems(attributes) as problems from {{ ref("documents") }})
where problems <> ''
