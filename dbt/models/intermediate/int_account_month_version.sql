{{ config(materialized='incremental', incremental_strategy='append', on_schema_change='fail',
    pre_hook="{{ forget_unless_unchanged(this.identifier) }}", post_hook="{{ mark_known(this.identifier) }}") }}
{% if is_known_unchanged(this.identifier) %}
    select * from {{ this }} where 1 = 0  -- noqa: AM04,LT14
{% else %}
    with

    months as (
        select
            month_start_on,
            month_end_on,
            days_in_month
        from {{ ref('dim_date') }}
        where
            day_of_month = 1
            and month_end_on <= {{ as_of() }}
            and month_start_on >= (select min(known.seen_month_on) from {{ ref('int_transaction_known') }} as known)
    ),

    -- a deleted account speaks on as last known, until it is delivered anew
    versions as (
        select
            *,
            coalesce(lead(known_from) over (partition by account_id order by known_from), {{ open_end() }}) as next_known_from
        from {{ ref('stg_accounts') }}
    ),

    accounts as (
        select
            months.*,
            versions.*,
            least(
                case when versions.closed_on <= months.month_end_on then versions.closed_on end,
                case when versions.known_to <= months.month_end_on then versions.known_to end
            ) as ended_on
        from months
        inner join versions
            on
                months.month_end_on >= versions.known_from
                and months.month_end_on < versions.next_known_from
                and months.month_end_on >= coalesce(versions.opened_on, versions.known_from)
    ),

    holders as (
        select
            months.month_start_on,
            versions.account_id,
            versions.customer_source_system,
            versions.source_customer_id
        from months
        inner join {{ ref('stg_account_holders') }} as versions
            on
                months.month_end_on >= versions.known_from
                and months.month_end_on < versions.known_to
        where versions.role = 'owner'
        qualify
            row_number() over (
                partition by versions.account_id, months.month_start_on
                order by coalesce(versions.share, 0) desc, versions.customer_source_system asc, versions.source_customer_id asc
            ) = 1
    ),

    owners as (
        select
            accounts.account_id,
            accounts.month_start_on,
            case
                when accounts.source_customer_id is null then holders.customer_source_system
                else coalesce(accounts.customer_source_system, accounts.source_system)
            end as customer_source_system,
            coalesce(accounts.source_customer_id, holders.source_customer_id) as source_customer_id
        from accounts
        left join holders
            on
                accounts.account_id = holders.account_id
                and accounts.month_start_on = holders.month_start_on
    ),

    owned as (
        select
            accounts.*,
            coalesce(own.customer_source_system, settlement.customer_source_system) as owner_source_system,
            coalesce(own.source_customer_id, settlement.source_customer_id) as owner_id
        from accounts
        inner join owners as own
            on
                accounts.account_id = own.account_id
                and accounts.month_start_on = own.month_start_on
        left join owners as settlement
            on
                own.source_customer_id is null
                and accounts.settlement_account_id = settlement.account_id
                and accounts.month_start_on = settlement.month_start_on
    ),

    products as (
        select
            months.month_start_on,
            versions.product_code,
            versions.category,
            versions.term_days,
            coalesce(categories.is_aum, false) as is_aum,
            coalesce(categories.is_lum, false) as is_lum
        from months
        inner join {{ ref('stg_products') }} as versions
            on
                months.month_end_on >= versions.known_from
                and months.month_end_on < versions.known_to
        left join {{ ref('product_categories') }} as categories
            on
                versions.category = categories.category
                and months.month_end_on >= categories.valid_from
                and months.month_end_on < categories.valid_to
        qualify row_number() over (partition by versions.product_code, months.month_start_on order by versions.source_system) = 1
    )

    -- an owner whose record was never delivered is a person too; who is one person is taken as resolved today
    select
        owned.account_id,
        owned.month_start_on,
        owned.month_end_on,
        owned.days_in_month,
        coalesce(
            persons.person_id,
            {{ person_id_of_unknown('owned.owner_source_system', 'owned.owner_id') }}
        ) as person_id,
        owned.product_code,
        products.category,
        products.term_days,
        coalesce(products.is_aum, false) as is_aum,
        coalesce(products.is_lum, false) as is_lum,
        owned.currency,
        owned.opened_on,
        owned.ended_on as closed_on,
        case when owned.closed_on <= owned.month_end_on then owned.closure_reason end as closure_reason,
        owned.ended_on is null as is_open,
        owned.matures_on,
        owned.rate as interest_rate,
        coalesce(owned.is_payroll, false) as is_payroll
    from owned
    left join products on owned.product_code = products.product_code and owned.month_start_on = products.month_start_on
    left join {{ ref('int_customer_person') }} as persons
        on
            owned.owner_source_system = persons.source_system
            and owned.owner_id = persons.source_customer_id
{% endif %}
