{# Values the caller must pass. Parsing needs none of them, so that one manifest serves every date and bank. #}
{% macro required_setting(name, example) -%}
    {%- set value = var(name, none) -%}
    {%- if value is none and execute -%}
        {{ exceptions.raise_compiler_error(
            "variable `" ~ name ~ "` is missing: pass --vars '{" ~ name ~ ": " ~ example ~ "}'"
        ) }}
    {%- endif -%}
    {{- value if value is not none else example -}}
{%- endmacro %}

{# The date up to which rows count as known. #}
{% macro as_of() -%}
    {%- set value = required_setting('as_of', '1994-03-30') -%}
    {%- if execute and not modules.re.fullmatch('[0-9]{4}-[0-9]{2}-[0-9]{2}', value) -%}
        {{ exceptions.raise_compiler_error("variable `as_of` is '" ~ value ~ "', not a date like 1994-03-30") }}
    {%- endif -%}
    date '{{ value }}'
{%- endmacro %}

{# The end of an interval that is still open. #}
{% macro open_end() -%}
    date '9999-12-31'
{%- endmacro %}

{# The day before every delivery: when rows of an initial load that carry no date of their own became known. #}
{% macro known_from_the_start() -%}
    date '1900-01-01'
{%- endmacro %}

{# An amount in base currency; absent where the currency differs, since no rate is known yet. #}
{% macro in_base(amount, currency) -%}
    case when {{ currency }} = '{{ required_setting('base_currency', 'CZK') }}' then {{ amount }} end
{%- endmacro %}

{# One id over all source systems; NULL stays NULL. #}
{% macro public_id(source_system, id) -%}
    {{ source_system }} || ':' || {{ id }}
{%- endmacro %}

{# A number from the seed `settings`. #}
{% macro setting(name) -%}
    (select value from {{ ref('settings') }} where setting = '{{ name }}')
{%- endmacro %}
