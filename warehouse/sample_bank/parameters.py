"""Every number the sample bank is made from, each with its reason. Nothing else in the package decides how it looks.

Sources named here give orders of magnitude (China, 2023 and 2024); where none is named the number is an assumption
and says so. None was chosen by looking at what a miner finds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from warehouse.sample_bank.further_parameters import FurtherParameters

# Products: the position in this list is the position in every per-product array.
CURRENT, TERM_3M, TERM_1Y, TERM_3Y, CASH_WEALTH, WEALTH_180, FUND_MIXED, FUND_BOND = range(8)
INSURANCE, GOLD, CREDIT_CARD, MORTGAGE, CONSUMER_LOAN, BUSINESS_LOAN, PAYROLL, MERCHANT_QR = range(8, 16)


@dataclass(frozen=True)
class Product:
    """One product on the shelf. Rates are fractions per year, money is CNY."""

    code: str
    name: str
    category: str
    side: str
    term_days: int | None = None
    risk_level: int | None = None
    yield_kind: str | None = None
    yield_low: float | None = None
    yield_high: float | None = None
    #: Smallest amount at which it is opened.
    minimum: int = 0
    cost_driver: str = "account_month"


#: Demand and term rates: the posted rates of the large state banks between December 2023 and October 2024.
PRODUCTS = (
    Product("CURRENT", "人民币活期 Demand deposit", "deposit_demand", "liability", None, 1, "fixed", 0.0015, 0.002),
    Product(
        "TERM-3M", "三个月定期 Term deposit 3 months", "deposit_term", "liability", 91, 1, "fixed", 0.009, 0.0145, 1_000
    ),
    Product(
        "TERM-1Y", "一年定期 Term deposit 1 year", "deposit_term", "liability", 365, 1, "fixed", 0.012, 0.021, 1_000
    ),
    Product(
        "TERM-3Y", "三年定期 Term deposit 3 years", "deposit_term", "liability", 1095, 1, "fixed", 0.017, 0.029, 5_000
    ),
    Product("CASH-WEALTH", "日日盈 Daily wealth", "wealth", "aum", None, 1, "floating", 0.015, 0.028, 1_000),
    Product(
        "WEALTH-180", "稳健半年 Closed-end wealth 180 days", "wealth", "aum", 180, 2, "floating", 0.022, 0.038, 10_000
    ),
    Product("FUND-MIXED", "混合基金 Mixed fund", "fund", "aum", None, 4, "floating", -0.25, 0.35, 500),
    Product("FUND-BOND", "债券基金 Bond fund", "fund", "aum", None, 2, "floating", -0.02, 0.06, 500),
    Product(
        "INSURANCE", "储蓄保险 Savings insurance", "insurance", "aum", 3650, 1, "principal_protected", 0.02, 0.03, 5_000
    ),
    Product("GOLD", "积存金 Gold accumulation", "metal", "aum", None, 3, "floating", -0.15, 0.3, 500),
    Product("CREDIT-CARD", "信用卡 Credit card", "credit_card", "asset", cost_driver="card_month"),
    Product("MORTGAGE", "个人住房贷款 Mortgage", "loan_mortgage", "asset", 9125, None, "floating", 0.035, 0.049),
    Product("CONSUMER-LOAN", "消费贷款 Consumer loan", "loan_consumer", "asset", 730, None, "fixed", 0.034, 0.072),
    Product(
        "BUSINESS-LOAN", "个体经营贷 Sole trader's loan", "loan_business", "asset", 365, None, "fixed", 0.035, 0.06
    ),
    Product("PAYROLL", "代发工资 Payroll service", "payroll", "fee"),
    Product("MERCHANT-QR", "收款码 QR acquiring", "merchant_acquiring", "fee", cost_driver="merchant_month"),
)
PRODUCT_COUNT = len(PRODUCTS)
PRODUCT_CODES = tuple(product.code for product in PRODUCTS)

#: Products whose balances make up assets under management.
AUM_PRODUCTS = (CURRENT, TERM_3M, TERM_1Y, TERM_3Y, CASH_WEALTH, WEALTH_180, FUND_MIXED, FUND_BOND, INSURANCE, GOLD)
#: Products that mature and are bought again.
MATURING_PRODUCTS = (TERM_3M, TERM_1Y, TERM_3Y, WEALTH_180)
#: Products that can be bought and sold on any day.
LIQUID_PRODUCTS = (CASH_WEALTH, FUND_BOND, FUND_MIXED, GOLD)
LOAN_PRODUCTS = (MORTGAGE, CONSUMER_LOAN, BUSINESS_LOAN)
SERVICE_PRODUCTS = (PAYROLL, MERCHANT_QR)
#: Products that need full legal capacity (the Civil Code, article 17: at 18): credit, and taking payments for a trade.
ADULT_PRODUCTS = (CREDIT_CARD, *LOAN_PRODUCTS, MERCHANT_QR)
#: Products whose rate a customer can compare with that of other banks.
RATED_PRODUCTS = (*MATURING_PRODUCTS, CASH_WEALTH)
#: Demand interest per year, paid on the 20th of the last month of a quarter: the posted rate of late 2023.
DEMAND_RATE = 0.002


@dataclass(frozen=True)
class Group:
    """One of the eight customer groups: what its members are like on average, and how much they differ.

    `wealth` and `income` are medians (CNY; income per month) of lognormal distributions with the sigma beside
    them. `products` is the share of members who want each product, before `AGE_FACTORS`. The rates count events
    per month through this bank at average activity.
    """

    name: str
    chinese_name: str
    share: float
    age: tuple[float, float, int, int]
    income: tuple[float, float]
    wealth: tuple[float, float]
    products: dict[int, float]
    purchases: float
    wallet_payments: float
    money_fund_transfers: float
    transfers_out: float
    transfers_in: float
    cash_withdrawals: float
    card_purchases: float
    #: Share of own acts done at the counter, by phone bank and in the browser; the rest is mobile.
    counter_share: float
    web_share: float
    risk_profile: float
    #: Share of the balance kept on the demand account, as a weight against 1 for each investment held.
    demand_weight: float


_BY_GROUP = (
    TERM_3M, TERM_1Y, CASH_WEALTH, WEALTH_180, FUND_MIXED, FUND_BOND, GOLD,
    CREDIT_CARD, MORTGAGE, CONSUMER_LOAN, BUSINESS_LOAN, PAYROLL, MERCHANT_QR,
)  # fmt: skip


def _products(*shares: float) -> dict[int, float]:
    """Shares of a group that want the products of `_BY_GROUP`.

    Everybody has a demand account. Three-year deposits and insurance depend on age alone (`AGE_FACTORS`): that is
    what makes Simpson's pair.
    """
    wanted = {CURRENT: 1.0, TERM_3Y: 1.0, INSURANCE: 1.0} | dict(zip(_BY_GROUP, shares, strict=True))
    return dict(sorted(wanted.items()))


#: Incomes: average annual wages 2023 of the National Bureau of Statistics (urban private units 68,340, non-private
#: 120,698 CNY), migrant workers' average 4,780 a month (its monitoring survey), employees' pensions 3,000-4,000.
#: Wealth: lognormal, so set that the top fifth holds 70-85 % of AUM (China Merchants Bank's annual report for 2023
#: has 2.4 % of its customers hold 81 %, so this is the flatter, more ordinary bank). Shares, ages, product shares
#: and activity are assumptions of a retail bank in the Yangtze delta; groups overlap on every one of them.
GROUPS = (
    Group(
        "salaried_young", "年轻上班族", 0.20, (29, 4.5, 21, 42), (9_000, 0.40), (18_000, 1.10),
        _products(0.02, 0.06, 0.22, 0.05, 0.10, 0.03, 0.05, 0.40, 0.10, 0.09, 0.00, 0.62, 0.01),
        1.5, 0.9, 0.18, 0.35, 0.20, 0.15, 2.2, 0.03, 0.05, 3.3, 1.2,
    ),
    Group(
        "affluent_savers", "富裕储户", 0.12, (45, 9, 28, 66), (16_000, 0.45), (220_000, 0.85),
        _products(0.10, 0.35, 0.30, 0.25, 0.20, 0.12, 0.10, 0.45, 0.14, 0.05, 0.01, 0.45, 0.02),
        1.2, 0.5, 0.14, 0.40, 0.25, 0.20, 2.2, 0.12, 0.12, 2.6, 0.7,
    ),
    Group(
        "retirees", "退休客户", 0.15, (67, 6.5, 54, 90), (4_200, 0.35), (62_000, 1.10),
        _products(0.14, 0.42, 0.12, 0.14, 0.05, 0.05, 0.08, 0.08, 0.02, 0.01, 0.00, 0.50, 0.00),
        0.6, 0.12, 0.02, 0.15, 0.12, 0.50, 1.2, 0.55, 0.02, 1.6, 0.8,
    ),
    Group(
        "entrepreneurs", "企业主", 0.06, (45, 8, 27, 68), (24_000, 0.70), (150_000, 1.25),
        _products(0.06, 0.12, 0.28, 0.22, 0.18, 0.08, 0.10, 0.45, 0.16, 0.10, 0.25, 0.05, 0.30),
        1.1, 0.5, 0.12, 1.00, 0.70, 0.20, 2.5, 0.10, 0.30, 3.3, 1.5,
    ),
    Group(
        "wealth_clients", "财富客户", 0.03, (53, 9.5, 30, 82), (42_000, 0.70), (1_000_000, 0.90),
        _products(0.10, 0.28, 0.42, 0.52, 0.42, 0.30, 0.22, 0.50, 0.12, 0.04, 0.08, 0.15, 0.05),
        1.1, 0.3, 0.08, 0.65, 0.45, 0.15, 2.8, 0.18, 0.18, 3.7, 0.6,
    ),
    Group(
        "students", "学生", 0.10, (20.5, 2.0, 16, 28), (1_700, 0.30), (3_000, 0.90),
        _products(0.01, 0.02, 0.10, 0.005, 0.04, 0.01, 0.01, 0.08, 0.002, 0.01, 0.00, 0.03, 0.005),
        1.8, 1.1, 0.13, 0.22, 0.30, 0.15, 1.5, 0.02, 0.02, 2.9, 3.0,
    ),
    Group(
        "migrant_workers", "务工人员", 0.20, (34, 9, 18, 58), (5_600, 0.35), (8_000, 1.10),
        _products(0.04, 0.12, 0.06, 0.02, 0.02, 0.005, 0.02, 0.10, 0.03, 0.06, 0.01, 0.40, 0.02),
        0.9, 0.8, 0.05, 0.40, 0.15, 0.40, 1.5, 0.12, 0.01, 2.0, 2.0,
    ),
    Group(
        "small_business_owners", "小微店主", 0.14, (41, 9, 22, 64), (11_000, 0.60), (40_000, 1.15),
        _products(0.05, 0.11, 0.17, 0.08, 0.06, 0.03, 0.05, 0.30, 0.10, 0.10, 0.15, 0.03, 0.55),
        1.1, 0.6, 0.08, 0.80, 0.40, 0.25, 1.8, 0.12, 0.08, 2.5, 1.8,
    ),
)  # fmt: skip
GROUP_NAMES = tuple(group.name for group in GROUPS)

#: Upper bounds (exclusive) of the age bands in which wants differ.
AGE_BANDS = (25, 35, 45, 55, 200)
AGE_BAND_NAMES = ("under_25", "25_to_34", "35_to_44", "45_to_54", "55_and_over")

#: Share (for three-year deposits and insurance) or factor on the group's share, by age band. Elderly customers buy
#: both long deposits and bancassurance far more than the young do; mortgages and consumer credit peak before 45.
AGE_FACTORS = {
    TERM_3Y: (0.005, 0.015, 0.04, 0.09, 0.34),
    INSURANCE: (0.005, 0.02, 0.05, 0.09, 0.30),
    MORTGAGE: (0.2, 1.3, 1.3, 0.8, 0.3),
    CONSUMER_LOAN: (0.7, 1.3, 1.1, 0.7, 0.3),
}


@dataclass(frozen=True)
class Affinity:
    """Wanting `antecedent` multiplies the share that wants `consequent` by `lift`, inside every group and age band.

    The links form a forest (a consequent has one antecedent), so every pair's lift follows exactly. With
    `is_ordered` the consequent is opened after the antecedent, never before.
    """

    antecedent: int
    consequent: int
    lift: float
    is_ordered: bool
    reason: str


AFFINITIES = (
    Affinity(TERM_1Y, TERM_3M, 1.5, False, "savers who ladder their deposits"),
    Affinity(TERM_3Y, INSURANCE, 0.6, False, "both lock money for years: within an age band one replaces the other"),
    Affinity(CASH_WEALTH, WEALTH_180, 1.5, True, "daily wealth is the way into closed-end wealth"),
    Affinity(WEALTH_180, FUND_MIXED, 1.4, False, "both are sold in the same suitability talk"),
    Affinity(FUND_MIXED, FUND_BOND, 2.0, False, "fund buyers spread over fund kinds"),
    Affinity(PAYROLL, CREDIT_CARD, 1.35, True, "cards are offered on the strength of the salary"),
    Affinity(CREDIT_CARD, MORTGAGE, 1.5, False, "mortgage customers are given the card with the loan"),
    Affinity(MERCHANT_QR, BUSINESS_LOAN, 1.5, True, "credit lines are granted on QR turnover"),
)
#: Pairs that are independent within every group and age band although the population shows a lift: shown as such
#: in the truth. Every pair of different trees is null; these are the ones a naive miner reports.
SHOWN_AS_NULL = ((TERM_1Y, GOLD), (WEALTH_180, GOLD), (FUND_MIXED, TERM_1Y), (WEALTH_180, CREDIT_CARD))

LEAVING_KINDS = ("closure", "drain", "dormancy")


@dataclass(frozen=True)
class Hazard:
    """Monthly hazard of deciding to leave: logit(h) = intercept + sum of coefficient x driver.

    Each driver is what holds at the end of the month before. Odds ratios are assumptions in the range that
    attrition studies of retail banks report; the intercept gives 9-13 % a year, an ordinary retail attrition.
    """

    #: A customer of no tenure, no product beside the demand account, average loyalty and no grievance: 1.3 % a month.
    intercept: float = -4.35
    #: A complaint unanswered for 15 days or more, or answered after more than 30 days in the last 3 months (odds x 5).
    unanswered_complaint: float = 1.6
    #: Percentage points by which competitors' best rates exceed the customer's, weighted by share of AUM. Savers
    #: move for a quarter of a point: it doubles the odds.
    rate_gap: float = 3.0
    #: The salary came last more than a month and at most 6 months ago: it is paid elsewhere now (x 6).
    salary_moved: float = 1.8
    #: Share of what leaves that goes to wallets and money funds, smoothed over some 4 months (0 to 1; x 4 from 0 to 1).
    wallet_outflow: float = 1.4
    #: Another manager took over in the last 3 months. Loyalty that is owed to a person goes with him (Palmatier, Scheer
    #: and Steenkamp 2007); how much is assumed: less than a grievance, odds x 2.
    manager_change: float = 0.7
    #: ln(1 + years with the bank): habit; two thirds of newcomers' hazard after 3 years.
    tenure: float = -0.30
    #: Each product beside the demand account raises the cost of switching (x 0.74).
    products: float = -0.30
    #: One standard deviation of latent loyalty is worth one more product (x 0.74); it also shows in wallet use,
    #: renewals, activity and in how much of the income passes through the bank.
    loyalty: float = -0.30


@dataclass(frozen=True)
class Parameters:
    """The remaining numbers. Probabilities are per month unless said otherwise; `reason` is in the comments."""

    hazard: Hazard = field(default_factory=Hazard)
    #: Of the tables that look on and change no life: `further_parameters`.
    further: FurtherParameters = field(default_factory=FurtherParameters)

    # Joining and tenure.
    #: Newcomers per month as a share of the customers at the start: about 7 % a year, slow growth over attrition.
    newcomers: float = 0.006
    #: Months after the start until which newcomers are foreseen; a bank cannot be generated for longer.
    horizon_months: int = 120
    #: Mean years with the bank at the start (exponential, cut at `longest_tenure_years` and at the age of 16).
    mean_tenure_years: float = 7.0
    longest_tenure_years: float = 24.0
    #: Share of customers at the start whose accounts have been asleep for long: every bank has them.
    asleep_at_start: float = 0.06
    #: Share of wants that are already held when the window opens; the rest open evenly over 48 months.
    held_at_start: float = 0.86
    late_opening_months: int = 48
    #: Mean months after joining until a newcomer's next wanted product is opened (geometric).
    newcomer_opening_months: float = 6.0

    # Differences inside a group.
    #: Sigma of the lognormal of activity: so that groups overlap.
    activity_sigma: float = 0.45
    #: Correlation of income and wealth inside a group.
    income_wealth_correlation: float = 0.5
    #: Share of income of those without payroll here that passes through this bank: logistic(a + b x loyalty + noise).
    income_share: tuple[float, float, float] = (0.2, 0.6, 0.7)
    #: Share of income spent each month through the account.
    spending_share: float = 0.92

    # Time.
    #: Wallet payments and money-fund transfers grow each year (counts); mobile payment still replaces cash and cards.
    wallet_growth: float = 0.10
    money_fund_growth: float = 0.15
    #: Growth of incomes per year (disposable income grew about 5-6 % in 2023-2024).
    income_growth: float = 0.05
    #: Share of payroll customers with a thirteenth salary before Spring Festival, and its size in salaries.
    bonus_share: float = 0.6
    bonus_size: tuple[float, float] = (0.5, 2.0)
    #: Share of migrant workers who take savings home at Spring Festival, and how much of the balance.
    festival_remittance: tuple[float, float, float] = (0.35, 0.3, 0.7)
    festival_gift: float = 0.3

    #: Window dressing (冲时点): at quarter ends branches ask for deposits, and some customers bring money for a while.
    #: Share that does, by whether they are wealthy (AUM of 200,000 and more) or not, and how much of their AUM.
    dressing_wealthy: float = 0.03
    dressing_others: float = 0.004
    dressing_size: tuple[float, float] = (0.3, 1.0)

    # What happens to money.
    #: Monthly standard deviation and drift of the market: mixed funds about 15 % a year, bonds 2 %, gold 13 %.
    fund_mixed_return: tuple[float, float] = (0.003, 0.043)
    fund_bond_return: tuple[float, float] = (0.0025, 0.005)
    gold_return: tuple[float, float] = (0.006, 0.038)
    #: After maturity: bought again within days / parked for 1-3 months / taken shopping elsewhere and brought back.
    rebooked_at_once: float = 0.78
    rebooked_elsewhere: float = 0.08
    #: One standard deviation of loyalty multiplies the odds of buying again at once by this.
    rebooking_loyalty: float = 1.5
    #: Surplus on the demand account is put to use, a shortage filled.
    sweep: float = 0.35
    #: A house, a car, a child's wedding: most liquid money leaves although nobody leaves the bank.
    large_purchase: float = 0.0010
    partial_card_payers: float = 0.15

    # What makes customers leave.
    #: 0.9 % a month = 108 complaints, suggestions and enquiries a year per 1,000 customers; a third are complaints
    #: that stay unanswered for long in a third of the cases.
    complaint: float = 0.009
    complaint_slow: float = 0.33
    complaint_days_quick: tuple[int, int] = (0, 9)
    complaint_days_slow: tuple[int, int] = (35, 120)
    #: Employers change banks and people change employers (about 12 % a year of payroll customers).
    salary_moved: float = 0.010
    #: Share of moved salaries that come back after 2 to 13 further months.
    salary_returns: float = 0.5
    #: Share of closures (by customers without a loan here) and of dormancy among those who leave, by ln(AUM / 20,000):
    #: the small close or fall asleep, the large drain and stay in name.
    closure_weight: float = 0.40
    dormancy_weight: float = 0.22
    #: Half of those who close do so within the month, half in the following one.
    closure_at_once: float = 0.5
    #: Share of the liquid balance that leaves in each of the three months of a drain.
    drain_share: tuple[float, float, float] = (0.45, 0.60, 0.80)
    drain_moves_salary: float = 0.7
    #: Gompertz mortality per year: 0.03 % x exp(0.092 x (age - 30)); about 0.9 % at 67 as in China's life tables.
    death_at_30: float = 0.0003
    death_growth: float = 0.092

    # The market of rates (fractions per year): a mean-reverting walk per calendar month; own rates follow late.
    competitor_term_3m: float = 0.0140
    competitor_term_1y: float = 0.0185
    competitor_term_3y: float = 0.0245
    competitor_cash: float = 0.0205
    competitor_wealth: float = 0.0275
    benchmark_one_year: float = 0.0345
    benchmark_five_years: float = 0.0395
    rate_walk: float = 0.0009
    rate_reversion: float = 0.94
    own_rate_margin: float = -0.0030
    own_rate_lag_months: int = 4


DEFAULT_PARAMETERS = Parameters()
