{{ config(materialized='incremental', incremental_strategy='append', on_schema_change='fail',
    pre_hook="{{ forget_unless_unchanged(this.identifier) }}", post_hook="{{ mark_known(this.identifier) }}") }}
{% if is_known_unchanged(this.identifier) %}
    select * from {{ this }} where 1 = 0  -- noqa: AM04,LT14
{% else %}
    with

    months as (
        select
            versions.*,
            min(versions.month_start_on) over (partition by versions.account_id) as first_month_on,
            anchors.anchored_on,
            anchors.is_from_opening,
            anchors.balance as anchor_amount
        from {{ ref('int_account_month_version') }} as versions
        left join {{ ref('int_account_anchor_known') }} as anchors
            on
                versions.account_id = anchors.account_id
                and versions.month_end_on >= anchors.known_from
                and versions.month_end_on < anchors.known_to
                and versions.month_end_on >= anchors.anchored_on
    ),

    -- a transaction changes the balance in the month it is seen, for the days from its booking on, and back when it is withdrawn
    changes as (
        select
            account_id,
            seen_month_on as month_on,
            sum(net_amount) as net_amount,
            sum(balance_days_amount) as balance_days_amount,
            max(last_customer_on) filter (where gone_month_on >= {{ month_start(open_end()) }}) as last_customer_on
        from {{ ref('int_account_month_counted') }}
        group by account_id, seen_month_on
        union all
        select
            account_id,
            gone_month_on as month_on,
            -sum(net_amount) as net_amount,
            -sum(net_amount * cast(extract(day from last_day(gone_month_on)) as integer)) as balance_days_amount,
            cast(null as date) as last_customer_on
        from {{ ref('int_account_month_counted') }}
        where gone_month_on <= {{ as_of() }}
        group by account_id, gone_month_on
    ),

    account_changes as (
        select
            changes.account_id,
            greatest(changes.month_on, firsts.first_month_on) as month_start_on,
            sum(changes.net_amount) as net_amount,
            sum(
                case
                    when changes.month_on < firsts.first_month_on then changes.net_amount * firsts.days_in_month
                    else changes.balance_days_amount
                end
            ) as balance_days_amount,
            max(changes.last_customer_on) as last_customer_on
        from changes
        inner join months as firsts
            on
                changes.account_id = firsts.account_id
                and firsts.month_start_on = firsts.first_month_on
        group by changes.account_id, greatest(changes.month_on, firsts.first_month_on)
    ),

    withdrawn as (
        select
            months.account_id,
            months.month_start_on,
            max(counted.last_customer_on) as last_customer_on
        from {{ ref('int_account_month_counted') }} as counted
        inner join months
            on
                counted.account_id = months.account_id
                and counted.seen_month_on <= months.month_start_on
                and counted.gone_month_on > months.month_start_on
        where counted.last_customer_on is not null and counted.gone_month_on <= {{ as_of() }}
        group by months.account_id, months.month_start_on
    ),

    cumulated as (
        select
            months.*,
            coalesce(changes.balance_days_amount, 0) as balance_days_amount,
            coalesce(changes.net_amount, 0) as net_amount,
            months.anchor_amount + sum(coalesce(changes.net_amount, 0)) over history as closing_amount,
            greatest(
                max(changes.last_customer_on) over history,
                withdrawn.last_customer_on
            ) as last_customer_on,
            case
                when months.is_from_opening or months.anchored_on < months.month_start_on then months.days_in_month
                else {{ days_between('months.anchored_on', 'months.month_end_on') }} + 1
            end as days_known
        from months
        left join account_changes as changes
            on
                months.account_id = changes.account_id
                and months.month_start_on = changes.month_start_on
        left join withdrawn
            on
                months.account_id = withdrawn.account_id
                and months.month_start_on = withdrawn.month_start_on
        window history as (partition by months.account_id order by months.month_start_on rows unbounded preceding)
    )

    select
        account_id,
        month_start_on,
        month_end_on,
        person_id,
        product_code,
        category,
        term_days,
        is_aum,
        is_lum,
        opened_on,
        closed_on,
        closure_reason,
        is_open,
        matures_on,
        interest_rate,
        is_payroll,
        last_customer_on,
        cast({{ in_base('closing_amount', 'currency') }} as decimal(18, 2)) as closing_base,
        cast({{ in_base(
        divide_amount('((closing_amount - net_amount) * days_known + balance_days_amount)', 'days_known'), 'currency'
    ) }} as decimal(18, 2)) as average_base
    from cumulated
    where person_id is not null
{% endif %}
