{# The person_id of a customer record that stands alone: the same formula as identity resolution. #}
{% macro person_id_of(registered_on, source_system, source_customer_id) -%}
    substr(
        {{ sha256_hex(
            "coalesce(cast(" ~ registered_on ~ " as varchar), '') || '|' || " ~ source_system ~ " || '|' || " ~ source_customer_id
        ) }}, 1, 16
    )
{%- endmacro %}
