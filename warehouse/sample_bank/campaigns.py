"""Tables `campaigns` and `campaign_contacts`: one campaign a quarter, with a control group that gets nothing.

Taking up an offer is what the campaign tool sees: a voucher used, an appointment made. It opens no account: products
are opened by customers as they want them, so a campaign's effect lies in the take-up alone.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from warehouse.sample_bank.columns import booleans, dates, decimals, strings, timestamps
from warehouse.sample_bank.contacts import chance, engagement, known_customers
from warehouse.sample_bank.customers import UTC_OFFSET_SECONDS, consents, customer_ids
from warehouse.sample_bank.dates import Month
from warehouse.sample_bank.further_parameters import CAMPAIGN_TEMPLATES, CampaignTemplate
from warehouse.sample_bank.parameters import PRODUCT_CODES, Parameters
from warehouse.sample_bank.random_numbers import Draws, IntegerArray
from warehouse.sample_bank.state import State

#: Day of the month (from 0) on which a campaign opens, and on which the customers are written to.
_OPENS, _WRITES = 4, 7
_LASTS = 21


def campaign_of(month: Month) -> CampaignTemplate | None:
    """The campaign of a month; only the first month of a quarter has one."""
    if month.of_year % 3 != 1:
        return None
    return CAMPAIGN_TEMPLATES[month.number // 3 % len(CAMPAIGN_TEMPLATES)]


def campaign_id(month: Month) -> str:
    """Id of the campaign of a month.

    Examples
    --------
    >>> campaign_id(Month(2024 * 12 + 3))
    'C2024Q2'
    """
    return f"C{month.year}Q{(month.of_year + 2) // 3}"


def campaigns_table(months: list[int]) -> pa.Table:
    """All campaigns of some months. Their budget is a plan: what a bank of 20,000 customers would need."""
    found = [(Month(number), campaign_of(Month(number))) for number in months]
    rows = [(month, campaign) for month, campaign in found if campaign is not None]
    starts = np.array([month.first_day + _OPENS for month, _ in rows], np.int64)
    budgets = [round(100 * 20_000 * campaign.share * campaign.cost) for _, campaign in rows]
    return pa.table(
        {
            "source_system": strings(["crm"], np.zeros(len(rows), np.int64)),
            "campaign_id": pa.array([campaign_id(month) for month, _ in rows], pa.string()),
            "name": pa.array([campaign.name for _, campaign in rows], pa.string()),
            "product_code": pa.array([campaign.product for _, campaign in rows], pa.string()),
            "channel": pa.array([campaign.channel for _, campaign in rows], pa.string()),
            "approach": pa.array([campaign.approach for _, campaign in rows], pa.string()),
            "starts_on": dates(starts),
            "ends_on": dates(starts + _LASTS),
            "budget": decimals(np.array(budgets, np.int64)),
            "updated_at": timestamps(starts * 86_400 - UTC_OFFSET_SECONDS),
        }
    )


class CampaignLists:
    """Whom the campaign of a month goes to, of one block.

    Parameters
    ----------
    seed, parameters
        Of the bank.
    """

    def __init__(self, seed: int, parameters: Parameters) -> None:
        self._seed, self._parameters = seed, parameters
        self.targets: IntegerArray = np.empty(0, np.int64)

    def plan(self, block: State, month: Month) -> None:
        """Choose the targets of a month from what is known on its eve, where the block stands."""
        campaign = campaign_of(month)
        self.targets = np.empty(0, np.int64)
        if campaign is None:
            return
        numbers = block.people.number
        consenting = consents(Draws(self._seed, "customers", numbers))
        lacks = ~block.is_open[PRODUCT_CODES.index(campaign.product)]
        eligible = known_customers(block, month.number - 1) & consenting & lacks
        draws = Draws(self._seed, "campaign lists", numbers, month.number)
        self.targets = np.flatnonzero(eligible & draws.happens("target", campaign.share))

    def carry_out(self, block: State, month: Month, closed: IntegerArray) -> tuple[pa.Table, pa.Table]:
        """Rows of a month, versions by what became of the offer, and the truth: how likely a take-up was either way.

        Parameters
        ----------
        block, month
            What was lived.
        closed
            Who closed the last account when.
        """
        campaign = campaign_of(month) or CAMPAIGN_TEMPLATES[0]
        further, people = self._parameters.further, block.people
        written = month.first_day + _WRITES
        rows = self.targets[(closed[self.targets] == 0) | (closed[self.targets] > written)]
        numbers = people.number[rows]
        draws = Draws(self._seed, "campaigns", numbers, month.number)
        control = draws.happens("control", further.campaign_control)
        inclined = engagement(block, self._parameters)[rows] * further.take_up_activity / further.response_activity
        without = chance(further.take_up_base + inclined)
        targeted = chance(further.take_up_base + inclined + campaign.effect)
        contacted = written * 86_400 + 9 * 3600 + (3600 * draws.uniform("hour")).astype(np.int64)
        looked = contacted + 3600 + (6 * 86_400 * draws.uniform("looked")).astype(np.int64)
        taken = looked + 3600 + (10 * 86_400 * draws.uniform("taken")).astype(np.int64)
        # Who closes the last account takes nothing up after it.
        until = np.where(closed[rows] > 0, closed[rows] * 86_400, np.iinfo(np.int64).max)
        takes = (draws.uniform("takes up") < np.where(control, without, targeted)) & (taken < until)
        # About twice as many look at an offer as take it.
        looks = ~control & (takes | (draws.uniform("looks") < targeted)) & (looked < until)

        events = np.flatnonzero(looks | takes)
        position = np.concatenate([np.arange(len(rows)), events])
        is_later = np.concatenate([np.zeros(len(rows), np.bool_), np.ones(len(events), np.bool_)])
        order = np.lexsort((is_later, numbers[position]))
        position, is_later = position[order], is_later[order]
        last = np.where(takes, taken, looked)
        updated = np.where(is_later, last[position], contacted[position])
        zeros = np.zeros(len(position), np.int64)
        cost = np.where(control, 0, round(campaign.cost * 100))[position]
        table = pa.table(
            {
                "source_system": strings(["crm"], zeros),
                "campaign_id": strings([campaign_id(month)], zeros),
                "customer_source_system": strings(["core"], zeros),
                "source_customer_id": customer_ids(numbers[position]),
                "contacted_at": timestamps(contacted[position] - UTC_OFFSET_SECONDS, ~control[position]),
                "responded_at": timestamps(looked[position] - UTC_OFFSET_SECONDS, is_later & looks[position]),
                "converted_at": timestamps(taken[position] - UTC_OFFSET_SECONDS, is_later & takes[position]),
                "cost": decimals(cost.astype(np.int64)),
                "is_control": booleans(control[position]),
                "updated_at": timestamps(updated - UTC_OFFSET_SECONDS),
            }
        )
        truth = pa.table(
            {
                "campaign_id": strings([campaign_id(month)], np.zeros(len(rows), np.int64)),
                "source_customer_id": customer_ids(numbers),
                "is_control": booleans(control),
                "probability_without": pa.array(without),
                "probability_contacted": pa.array(targeted),
            }
        )
        return table, truth
