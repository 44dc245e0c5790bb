{{ churn_rows('score') }}
