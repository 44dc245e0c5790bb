"""Numbers of the tables that only look on: staff, prices, contacts, surveys, campaigns, records in further systems.

As in `parameters`, each stands with its reason, and none was chosen by looking at what a miner finds. Nothing here
changes a life: contacts and campaigns act on whether customers respond to them, not on what they do with their money.
"""

from __future__ import annotations

from dataclasses import dataclass

TRIGGERS = (
    "complaint_open", "loan_overdue", "large_outflow", "product_maturing", "large_inflow", "nav_moved", "birthday",
    "quarter_end", "festival", "routine",
)  # fmt: skip


@dataclass(frozen=True)
class ContactTrigger:
    """A reason to contact a customer. Of several the first in `CONTACT_TRIGGERS` counts.

    `managed` and `others` are the chance that a customer with and without a relationship manager is put on the list;
    `effect` is added to the log odds of a response within 14 days if the contact is made.
    """

    name: str
    managed: float
    others: float
    effect: float
    purpose: str
    reason: str


#: Shares are assumptions about a list that fits the managers' time; effects are assumptions, set to hold each case
#: that a trigger's evaluation must tell apart: strong, moderate, weak, none and harmful.
CONTACT_TRIGGERS = (
    ContactTrigger("complaint_open", 0.8, 0.5, 1.2, "service", "an apology in person is answered (odds x 3.3)"),
    ContactTrigger("loan_overdue", 0.95, 0.9, 0.7, "collection", "most forgot and react to a reminder (x 2)"),
    ContactTrigger("large_outflow", 0.7, 0.2, 0.5, "retention", "some tell why, and listen (x 1.6)"),
    ContactTrigger("product_maturing", 0.8, 0.3, 0.9, "renewal", "customers look for a rate just then (x 2.5)"),
    ContactTrigger("large_inflow", 0.6, 0.15, 0.6, "sales", "money looks for a use (x 1.8)"),
    ContactTrigger("nav_moved", 0.6, 0.2, 0.0, "information", "nothing: the app told them already"),
    ContactTrigger("birthday", 0.9, 0.15, 0.15, "care", "hardly more than politeness (x 1.2)"),
    ContactTrigger(
        "quarter_end", 0.35, 0.01, -0.6, "deposit_drive", "harmful: being asked for deposits annoys (x 0.55)"
    ),
    ContactTrigger("festival", 0.8, 0.1, 0.0, "care", "nothing: everybody greets at the festival"),
    ContactTrigger("routine", 0.25, 0.01, 0.2, "maintenance", "a little (x 1.2)"),
)


@dataclass(frozen=True)
class CampaignTemplate:
    """One of the campaigns that take turns, quarter by quarter. `effect` is on the log odds of taking the offer up."""

    name: str
    product: str
    channel: str
    approach: str
    share: float
    effect: float
    cost: float
    reason: str


#: Shares are of the eligible (who do not hold the product); effects are assumptions: offers over the phone by far more
#: than messages, one without any effect, one that puts people off.
CAMPAIGN_TEMPLATES = (
    CampaignTemplate("开门红存款 New year's deposits", "TERM-1Y", "sms", "discount", 0.10, 0.5, 0.1, "a better rate"),
    CampaignTemplate("日日盈体验 Daily wealth trial", "CASH-WEALTH", "app", "discount", 0.12, 0.8, 0.05, "a voucher"),
    CampaignTemplate("信用卡首刷礼 Card welcome gift", "CREDIT-CARD", "call", "discount", 0.05, 1.1, 6.0, "a gift"),
    CampaignTemplate("财富讲座 Wealth talk", "FUND-MIXED", "event", "care", 0.03, 0.4, 40.0, "trust takes time"),
    CampaignTemplate("家庭保障问候 Insurance check", "INSURANCE", "email", "care", 0.10, 0.0, 0.02, "nobody reads it"),
    CampaignTemplate("贷款推销 Loan offer", "CONSUMER-LOAN", "call", "discount", 0.05, -0.5, 6.0, "puts people off"),
)


@dataclass(frozen=True)
class FurtherParameters:
    """Parameters of the tables that read lives and never change them. Money in CNY unless said otherwise."""

    # Staff.
    #: AUM from which a customer has a manager and from which the senior of the two: the bounds of gold and platinum.
    managed_aum: int = 200_000
    senior_aum: int = 1_000_000
    #: Life numbers that one team of two managers of every sub-branch covers: with 13 % of the customers managed these
    #: are 180 customers, what a manager can look after.
    numbers_per_team: int = 50_000
    #: Mean years in a place: managers are poached, one in five a year; others stay twice as long.
    manager_years: float = 5.0
    staff_years: float = 10.0
    shortest_stay_years: float = 0.5
    #: Chance at the yearly review of going up a grade, or down one (assumed: four years a grade).
    promoted: float = 0.25
    demoted: float = 0.05
    #: Share of managed customers a month who are handed to the other manager of the team: books are evened out.
    handed_over: float = 0.004
    #: Share of handed-over customers who agree to it in writing.
    agrees: float = 0.8
    #: Largest cut of a rate that a grade may grant: senior, 1, 2, 3, 4, trainee (assumed).
    discount_limits: tuple[float, ...] = (0.0030, 0.0020, 0.0015, 0.0010, 0.0005, 0.0)

    # Prices.
    #: Price of a gram of gold in January 2000 was some 75 CNY; funds began at 1.
    gold_base: float = 75.0
    #: Middle rates of the end of 2023 (China Foreign Exchange Trade System), and their monthly standard deviation.
    currencies: tuple[tuple[str, float, float], ...] = (
        ("USD", 7.0827, 0.010),
        ("EUR", 7.8592, 0.018),
        ("HKD", 0.90622, 0.010),
        ("GBP", 9.0411, 0.019),
        ("JPY", 0.050213, 0.024),
    )
    #: How much of its distance from the level a currency keeps in a month: a managed float.
    currency_reversion: float = 0.95
    #: Funds transfer price over competitors' best deposit rates: deposits then earn some 0.65 points and loans some
    #: 1.2, about the net interest margin of Chinese commercial banks (1.69 % at the end of 2023, the regulator's).
    ftp_margin: float = 0.0035
    #: Overnight money below that of three months; ten years over three years (assumed gentle slope).
    ftp_overnight: float = -0.0030
    ftp_ten_years: float = 0.0020
    #: Yearly commission on what is held: half of the customary management fees (a mixed fund's is 1.2 % since 2023),
    #: which is the most a distributor may keep.
    commissions: tuple[tuple[str, float], ...] = (
        ("CASH-WEALTH", 0.0030),
        ("WEALTH-180", 0.0040),
        ("FUND-MIXED", 0.0060),
        ("FUND-BOND", 0.0030),
        ("INSURANCE", 0.0030),
    )
    #: Share of a card purchase that the issuer keeps (the customary 0.45 % of credit cards' interchange).
    card_interchange: float = 0.0045
    #: Unit costs of 2024, assumed in the order that the trade quotes (4 CNY at a counter, a tenth of it on a phone).
    unit_costs: tuple[tuple[str, str, float], ...] = (
        ("transaction", "counter", 4.0),
        ("transaction", "atm", 1.2),
        ("transaction", "mobile", 0.15),
        ("transaction", "web", 0.25),
        ("transaction", "phone", 3.0),
        ("transaction", "pos", 0.2),
        ("transaction", "rm", 12.0),
        ("transaction", "batch", 0.05),
        ("account_month", "all", 0.6),
        ("card_month", "all", 1.5),
        ("merchant_month", "all", 4.0),
        ("new_account", "counter", 25.0),
        ("new_account", "rm", 30.0),
        ("new_account", "mobile", 4.0),
        ("loan_review", "all", 18.0),
        ("complaint", "all", 45.0),
        ("contact", "call", 6.0),
        ("contact", "visit", 80.0),
        ("contact", "event", 40.0),
        ("contact", "sms", 0.05),
        ("contact", "email", 0.02),
        ("contact", "app", 0.02),
    )
    #: Growth of unit costs a year (wages of the financial sector).
    cost_growth: float = 0.03

    # Loans.
    #: Home loans are granted for 40-70 % of the home's value: the required down payment was 20-30 %, most pay more.
    loan_to_value: tuple[float, float] = (0.40, 0.70)
    #: Probability of default within a year by class (normal to loss), and for loans without collateral this much more:
    #: special mention migrates to non-performing in a quarter to a third of the cases in banks' annual reports.
    default_by_class: tuple[float, ...] = (0.008, 0.25, 1.0, 1.0, 1.0)
    unsecured_factor: float = 2.0
    #: Loss given default of mortgages, consumer and business loans: above Basel III's floors (5 %, 30 %), assumed.
    loss_given_default: tuple[float, ...] = (0.20, 0.60, 0.50)

    # Contacts.
    #: Share of every list that is held out, so that effects can be measured.
    control_share: float = 0.10
    #: Log odds of a response within 14 days without contact; what engagement and loyalty add. 12 % respond anyway.
    response_base: float = -2.0
    response_activity: float = 0.5
    response_loyalty: float = 0.3
    #: Channels of managers (calls, app; visits the rest) and of automatic messages (SMS, app; e-mail the rest), and the
    #: share of calls and visits that find the customer (assumed).
    manager_channels: tuple[float, float] = (0.70, 0.20)
    message_channels: tuple[float, float] = (0.55, 0.35)
    reached: float = 0.75
    #: Those who are leaving, have left in name, are asleep: they answer less and less (log odds).
    response_leaving: tuple[float, ...] = (-0.8, -1.6, -3.0)
    #: A large movement: this share of the AUM and at least this amount within a month.
    large_share: float = 0.3
    large_amount: int = 50_000
    #: A fund's month that is worth a call: beyond a standard deviation of mixed funds.
    nav_moved: float = 0.04

    # Surveys.
    #: Share of customers invited at each quarter's end, log odds that they answer (a quarter does).
    invited: float = 0.03
    answers_base: float = -1.1
    #: How complaints that were left lying, a point of rate gap, and loyalty move satisfaction (standard deviations).
    satisfaction_complaint: float = -1.5
    satisfaction_rate_gap: float = -0.5
    satisfaction_loyalty: float = 0.5
    #: Spread of service between branches, and of opinion between customers.
    satisfaction_branch: float = 0.3
    satisfaction_noise: float = 0.8
    #: On a scale of seven, by dimension of SERVQUAL (tangibles, reliability, responsiveness, assurance, empathy): what
    #: is expected, most of reliability and least of tangibles (the order of importance in Parasuraman, Zeithaml and
    #: Berry 1988), and how much of satisfaction shows; what is perceived on average, and the spread of both (assumed).
    expected: tuple[float, ...] = (5.2, 6.2, 5.8, 6.1, 5.5)
    perceived_by: tuple[float, ...] = (0.3, 0.8, 1.0, 0.7, 0.8)
    perceived: float = 5.4
    perceived_spread: float = 0.7
    expected_spread: float = 0.6
    #: Recommendation from 0 to 10: mean, and points per standard deviation of satisfaction (a middling bank's score).
    nps_mean: float = 7.2
    nps_by: float = 1.5
    #: Share of answers of 6 and less that the branch calls back on the next day or the one after (assumed).
    followed_up: float = 0.6

    # Campaigns.
    campaign_control: float = 0.20
    #: Log odds of taking up an offer that was not made (they ask for it by themselves: 3 %), and of activity.
    take_up_base: float = -3.5
    take_up_activity: float = 0.4

    # The same people in further systems.
    #: Share of people with a record in the card or the customer-relationship system, and of these in both.
    known_elsewhere: float = 0.06
    known_twice: float = 0.25
    #: Share of such records with a wrong character in the name, name parts swapped, an address or mobile number of
    #: before, without birth date, without identity number, with a digit of it mistyped (assumed).
    name_typo: float = 0.12
    name_swapped: float = 0.05
    old_address: float = 0.35
    old_mobile: float = 0.25
    no_birth_date: float = 0.20
    no_identity_number: float = 0.25
    mistyped_identity_number: float = 0.04
    #: Share of people whose relative of the same address and mobile number has a record there: alike, but another.
    relative_elsewhere: float = 0.005

    # Expected value.
    #: Discount rate a year: the bank's cost of capital.
    discount_rate: float = 0.10
