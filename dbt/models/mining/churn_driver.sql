{{ churn_rows('driver') }}
