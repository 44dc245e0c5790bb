{{ versions(
    source('raw', 'campaign_contacts'),
    keys=['source_system', 'campaign_id', 'customer_source_system', 'source_customer_id'],
    columns=[
        public_id('source_system', 'campaign_id') ~ ' as campaign_id',
        'customer_source_system',
        'source_customer_id',
        'contacted_at',
        bank_date('contacted_at') ~ ' as contacted_on',
        'responded_at',
        bank_date('responded_at') ~ ' as responded_on',
        'converted_at',
        bank_date('converted_at') ~ ' as converted_on',
        'cost',
        'is_control',
    ],
) }}
