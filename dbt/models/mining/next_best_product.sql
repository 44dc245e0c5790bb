{{ mined_rows('next_best_product') }}
