{{ churn_rows('column') }}
