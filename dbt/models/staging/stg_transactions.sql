{{ transaction_versions() }}
