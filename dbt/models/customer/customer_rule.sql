with

rules as (
    select rules.*
    from {{ ref('association_rule') }} as rules
    inner join {{ ref('knowledge') }} as verified on rules.rule_id = verified.knowledge_id
    where rules.basket = 'holdings'
),

items as (
    select distinct item
    from {{ ref('mining_baskets') }}
),

-- sides are items joined by ' + '
sides as (
    select
        rules.rule_id,
        items.item,
        strpos(' + ' || rules.antecedent || ' + ', ' + ' || items.item || ' + ') > 0 as is_condition
    from rules
    inner join items
        on
            strpos(' + ' || rules.antecedent || ' + ', ' + ' || items.item || ' + ') > 0
            or strpos(' + ' || rules.consequent || ' + ', ' + ' || items.item || ' + ') > 0
),

matches as (
    select
        baskets.person_id,
        sides.rule_id,
        count(*) filter (where sides.is_condition) as condition_count,
        count(*) filter (where not sides.is_condition) as conclusion_count
    from {{ ref('mining_baskets') }} as baskets
    inner join sides on baskets.item = sides.item
    group by baskets.person_id, sides.rule_id
)

-- a rule applies to who has all of its condition and nothing of its conclusion
select
    matches.person_id,
    rules.rule_id,
    rules.run_id,
    rules.antecedent,
    rules.consequent,
    rules.confidence,
    rules.lift,
    rules.sentence_en,
    rules.sentence_zh
from matches
inner join rules on matches.rule_id = rules.rule_id
where matches.condition_count = rules.antecedent_length and matches.conclusion_count = 0
qualify
    row_number() over (
        partition by matches.person_id
        order by rules.confidence * rules.lift desc, rules.lift desc, rules.rule_id asc
    ) = 1
