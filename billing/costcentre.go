package billing

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/store"
)

// The strategies of a [CostAllocation].
const (
	TagBased    = "tag_based"  // by the tag team of each event (F227)
	TeamBased   = "team_based" // by the team of its key
	NotAllotted = "none"
)

// CostAllocation says to which cost centre what a team has spent belongs (F232), and which tags every call has for that.
type CostAllocation struct {
	Strategy     string            `json:"strategy"`
	RequiredTags []string          `json:"required_tags"` // a call without one of them is refused (F228)
	CostCenters  map[string]string `json:"cost_centers"`  // by the slug of the team; slugs compare by their keys (F318)
}

// Validate names what is wrong.
func (a CostAllocation) Validate() error {
	switch a.Strategy {
	case TagBased, TeamBased, NotAllotted:
	default:
		return store.Invalid("strategy", "enum", "must be tag_based, team_based or none")
	}
	if err := checkRequiredTags(a.RequiredTags); err != nil {
		return err
	}
	keys := map[string]bool{}
	for _, slug := range slices.Sorted(maps.Keys(a.CostCenters)) {
		code := a.CostCenters[slug]
		if code == "" || !plain(code, MaxTagValue) {
			return store.Invalid("cost_centers", "pattern", "must have codes of 1 to %d bytes", MaxTagValue)
		}
		if keys[store.SlugKey(slug)] {
			return store.Invalid("cost_centers", "duplicate", "has one team twice")
		}
		keys[store.SlugKey(slug)] = true
	}
	return nil
}

// CostCenter is what belongs to a cost centre. All of them add up to what the organization has spent: Cost exactly, and
// Amount to the cent.
type CostCenter struct {
	Code     string   // "" is what is not allocated
	Teams    []string // slugs, by their keys, that had any of it
	Requests int64
	Cost     decimal.Decimal // USD
	Amount   decimal.Decimal // Cost in cents; see [Apportion]
}

// Allocate returns the cost centres with what they have spent in a time, by their codes, and what is not allocated at the
// end, where there is any. slugs are those of the teams of the organization by their ids. It asks no permission: it serves
// the floors above, who flush before.
func (m *Metering) Allocate(ctx context.Context, tx *store.Tx, orgID string, s Span, a CostAllocation, slugs map[string]string) ([]CostCenter, error) {
	if err := a.Validate(); err != nil {
		return nil, err
	}
	spent, err := m.spentBySlug(ctx, tx, orgID, s, a.Strategy, slugs)
	if err != nil {
		return nil, err
	}
	codes := map[string]string{}
	for slug, code := range a.CostCenters {
		codes[store.SlugKey(slug)] = code
	}
	centers := map[string]*CostCenter{}
	for slug, sum := range spent {
		code := codes[slug]
		c := centers[code]
		if c == nil {
			c = &CostCenter{Code: code}
			centers[code] = c
		}
		c.Requests += sum.Requests
		c.Cost = c.Cost.Add(sum.cost())
		if slug != "" {
			c.Teams = append(c.Teams, slug)
		}
	}
	list := make([]CostCenter, 0, len(centers))
	for _, c := range centers {
		slices.Sort(c.Teams)
		list = append(list, *c)
	}
	slices.SortFunc(list, func(a, b CostCenter) int {
		if (a.Code == "") != (b.Code == "") {
			return cmp.Compare(b.Code, a.Code)
		}
		return cmp.Compare(a.Code, b.Code)
	})
	costs := make([]decimal.Decimal, len(list))
	for i, c := range list {
		costs[i] = c.Cost
	}
	for i, amount := range Apportion(costs, 2) {
		list[i].Amount = amount
	}
	return list, nil
}

// spentBySlug is what was spent by the keys of the slugs of teams; "" is what has no team.
func (m *Metering) spentBySlug(ctx context.Context, tx *store.Tx, orgID string, s Span, strategy string, slugs map[string]string) (map[string]*usageSums, error) {
	spent := map[string]*usageSums{}
	at := func(slug string) *usageSums {
		if spent[slug] == nil {
			spent[slug] = &usageSums{}
		}
		return spent[slug]
	}
	c := m.covering(tx, orgID, s)
	got, err := c.read(ctx, wanted{dim: ByOrg}, wanted{dim: ByTeam}, wanted{dim: ByTag})
	if err != nil {
		return nil, err
	}
	rest := *got[0].sum("")
	allot := func(slug string, sum *usageSums) {
		if slug != "" && *sum != (usageSums{}) {
			at(store.SlugKey(slug)).add(sum)
			rest.subtract(sum)
		}
	}
	switch strategy {
	case TeamBased:
		for id, sum := range got[1].sums {
			allot(slugs[id], sum)
		}
	case TagBased:
		for tag, sum := range got[2].sums {
			if slug, is := strings.CutPrefix(tag, "team="); is {
				allot(slug, sum)
			}
		}
	}
	if rest != (usageSums{}) {
		at("").add(&rest)
	}
	return spent, nil
}
