{{ versions(
    source('raw', 'campaigns'),
    keys=['source_system', 'campaign_id'],
    columns=[
        public_id('source_system', 'campaign_id') ~ ' as campaign_id',
        'name',
        'product_code',
        'channel',
        'approach',
        'starts_on',
        'ends_on',
        'budget',
    ],
) }}
