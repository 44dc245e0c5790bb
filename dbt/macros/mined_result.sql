{# Of each miner the last run, published or refused: why a person has no result of it. #}
{% macro absence_of(miner, result, otherwise='no open account in the last complete month') -%}
    case
        when {{ result }} is not null then null
        when {{ miner }}.status is null then 'not mined yet'
        when {{ miner }}.status = 'refused' then {{ miner }}.reason_en
        else '{{ otherwise }}'
    end
{%- endmacro %}
