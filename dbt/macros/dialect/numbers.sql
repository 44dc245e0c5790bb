{#
    An exact quotient of a DECIMAL amount with two decimals by a positive whole number, rounded once, half away from zero.
    DuckDB divides decimals as DOUBLE: above 90 billion the last cent would be lost. So: whole cents, integer division.
#}
{% macro divide_amount(amount, divisor) -%}
    cast(
        sign({{ amount }}) * (
            (2 * cast(abs({{ amount }}) * 100 as hugeint) + {{ divisor }}) // (2 * {{ divisor }})
        ) as decimal(20, 0)
    ) * cast(0.01 as decimal(3, 2))
{%- endmacro %}

{# Hexadecimal sha256 of a text. #}
{% macro sha256_hex(text) -%}
    sha256({{ text }})
{%- endmacro %}

{# A floating-point number; what is not a number is absent. #}
{% macro absent_if_nan(value) -%}
    nullif(cast({{ value }} as double), cast('NaN' as double))
{%- endmacro %}

{# A row of an aliased relation as JSON text. #}
{% macro row_as_json(alias) -%}
    cast(to_json({{ alias }}) as varchar)
{%- endmacro %}

{#
    How many different values a whole number from 0 to 30 has in the rows of a group that meet a condition.
    As bits of one integer: DuckDB cannot spill the sets that `count(distinct ...)` keeps for each group.
#}
{% macro distinct_small(number, condition) -%}
    bit_count(coalesce(bit_or(1 << cast({{ number }} as integer)) filter (where {{ condition }}), 0))
{%- endmacro %}

{# A text that tells one set of rows from another, whatever their order; columns, or the alias of a relation for all of them. #}
{% macro hash_of_rows() -%}
    cast(bit_xor(hash({{ varargs | join(', ') }})) as varchar)
{%- endmacro %}
