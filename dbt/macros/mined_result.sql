{#
    Why a person has no result of a miner, in the language of `language`; null with a result.

    miner      : last run of the miner, with `status`, `reason_en`, `reason_zh` and `has_model`: whether results of a run are shown
    result     : column of the result
    otherwise  : why a person with an account has none though results are shown
    of_account : whether results are of those with an open account in the last complete month

    What holds for everybody goes first (nothing mined, nothing shown), then what holds for the person. A refused fit is no reason where the results of
    an earlier one are shown.
#}
{% macro absence_of(miner, result, otherwise, language='en', of_account=true) -%}
    {%- set sentences = {
        'not_mined': {'en': 'not mined yet', 'zh': '尚未挖掘'},
        'no_account': {'en': 'no open account in the last complete month', 'zh': '最近完整月份末无存续账户'},
    } -%}
    case
        when {{ result }} is not null then null
        when {{ miner }}.status is null then '{{ sentences.not_mined[language] }}'
        when not {{ miner }}.has_model then {{ miner }}.reason_{{ language }}
        {%- if of_account %}
        when not coalesce(months.is_last_month and months.accounts_open > 0, false) then '{{ sentences.no_account[language] }}'
        {%- endif %}
        else '{{ otherwise[language] }}'
    end
{%- endmacro %}
