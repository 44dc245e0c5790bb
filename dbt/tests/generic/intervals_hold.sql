{# Half-open intervals of a key do not overlap; without gaps each ends where the next begins. One row per broken place. #}
{% test intervals_hold(model, key, may_have_gaps) %}
with

neighbours as (
    select
        {{ key }},
        valid_from,
        valid_to,
        lead(valid_from) over (partition by {{ key }} order by valid_from) as next_valid_from
    from {{ model }}
)

select *
from neighbours
where next_valid_from {{ '<' if may_have_gaps else '<>' }} valid_to
{% endtest %}
