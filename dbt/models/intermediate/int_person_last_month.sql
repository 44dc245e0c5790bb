select
    person_id,
    month_start_on,
    month_start_on = max(month_start_on) over () as is_last_month,
    accounts_open,
    products_held,
    tenure_months,
    days_since_last_customer_transaction,
    aum_average,
    aum_end,
    lum_end
from {{ ref('mining_features_customer_month') }}
qualify row_number() over (partition by person_id order by month_start_on desc) = 1
