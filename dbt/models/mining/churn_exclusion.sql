{{ churn_rows('exclusion') }}
