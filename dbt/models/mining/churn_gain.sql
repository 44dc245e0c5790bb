{{ churn_rows('gain') }}
