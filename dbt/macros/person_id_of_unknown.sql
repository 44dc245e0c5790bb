{# The person_id of a customer nobody delivered: identity resolution gives the same one if the record comes without a date. #}
{% macro person_id_of_unknown(source_system, source_customer_id) -%}
    substr({{ sha256_hex("'|' || " ~ source_system ~ " || '|' || " ~ source_customer_id) }}, 1, 16)
{%- endmacro %}
