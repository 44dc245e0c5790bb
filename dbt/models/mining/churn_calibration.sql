{{ churn_rows('calibration') }}
