package billing

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/orgkit/orgkit/store"
)

// groupings are the dimensions by which may be grouped, besides ByDay and tags.
var groupings = []Dimension{ByTeam, ByModel, ByProject, ByUser, ByKey, ByEndpoint, ByStatus}

// tagGroup begins the grouping by a tag; its name follows.
const tagGroup = "tag."

// maxSeries is the most days of a group by them.
const maxSeries = MaxDays

// CheckGroupBy names what is wrong with the grouping of a query. With teams or models chosen only these, and days of
// teams or of models, are told apart.
func (q AnalyticsQuery) CheckGroupBy() error {
	narrow := q.Teams != nil || q.Models != nil
	switch {
	case q.GroupBy == "":
		return nil
	case q.User != "":
		return store.Invalid("group_by", "range", "is for those who may see the usage of others")
	case q.GroupBy == ByDay && q.Teams != nil && q.Models != nil:
		return store.Invalid("group_by", "range", "days of teams and models at once are not kept")
	case q.GroupBy == ByDay && q.Below.Sub(q.From) > maxSeries*25*time.Hour:
		return store.Invalid("group_by", "range", "at most %d days", maxSeries)
	case q.GroupBy == ByDay, q.GroupBy == string(ByTeam), q.GroupBy == string(ByModel):
		return nil
	case !slices.Contains(groupings, Dimension(q.GroupBy)) && (!strings.HasPrefix(q.GroupBy, tagGroup) || q.GroupBy == tagGroup):
		return store.Invalid("group_by", "enum", "must be day, team, model, project, user, key, endpoint, status or tag. and a name")
	case narrow:
		return store.Invalid("group_by", "range", "of teams and models only days, teams and models are told apart")
	}
	return nil
}

func (m *Metering) groups(ctx context.Context, tx *store.Tx, orgID string, q AnalyticsQuery) ([]Share, error) {
	if err := q.CheckGroupBy(); err != nil {
		return nil, err
	}
	if q.GroupBy == ByDay {
		return m.days(ctx, tx, orgID, q)
	}
	d, of := Dimension(q.GroupBy), func(value string) string { return value }
	switch {
	case d == ByTeam || d == ByModel:
		if q.Teams != nil || q.Models != nil {
			got, err := m.covering(tx, orgID, q.Span).read(ctx, wanted{dim: byTeamModel})
			if err != nil {
				return nil, err
			}
			if d == ByTeam {
				return dearest(q.teams(&got[0])), nil
			}
			return dearest(q.models(&got[0])), nil
		}
	case d == ByUser:
		d, of = byUserKey, func(value string) string { user, _, _ := strings.Cut(value, "\n"); return user }
	case d == ByKey:
		d, of = byUserKey, func(value string) string { _, key, _ := strings.Cut(value, "\n"); return key }
	case strings.HasPrefix(q.GroupBy, tagGroup):
		return m.byTag(ctx, tx, orgID, q)
	}
	got, err := m.covering(tx, orgID, q.Span).read(ctx, wanted{dim: d})
	if err != nil {
		return nil, err
	}
	return dearest(q.by(&got[0], of)), nil
}

// byTag tells the values of a tag apart; what has no such tag, and what came when there were too many, has the value "".
func (m *Metering) byTag(ctx context.Context, tx *store.Tx, orgID string, q AnalyticsQuery) ([]Share, error) {
	got, err := m.covering(tx, orgID, q.Span).read(ctx, wanted{dim: ByTag}, wanted{dim: ByOrg})
	if err != nil {
		return nil, err
	}
	name := tagName(strings.TrimPrefix(q.GroupBy, tagGroup))
	sums, rest := map[string]*usageSums{}, *got[1].sum("")
	for tag, s := range got[0].sums {
		if n, value, has := strings.Cut(tag, "="); has && n == name && value != "" {
			sums[value] = s
			rest.subtract(s)
		}
	}
	sums[""] = &rest
	return dearest(sharesOf(sums)), nil
}

func (s *usageSums) subtract(o *usageSums) {
	less := usageSums{-o.Requests, -o.Errors, -o.Timed, -o.Latency, -o.InputTokens, -o.CachedTokens, -o.OutputTokens, -o.CostMicro, -o.CostPico}
	s.add(&less)
}

// days tells the days of the zone apart, those without calls too; the value is the date.
func (m *Metering) days(ctx context.Context, tx *store.Tx, orgID string, q AnalyticsQuery) (list []Share, err error) {
	zone := q.Zone
	if zone == nil {
		zone = time.UTC
	}
	d, values := ByOrg, []string{""}
	if q.Teams != nil {
		d, values = ByTeam, unique(q.Teams)
	} else if q.Models != nil {
		d, values = ByModel, unique(q.Models)
	}
	sums := map[string]*usageSums{}
	var order []string
	for from := q.From; from.Before(q.Below); {
		y, mo, day := from.In(zone).Date()
		below := first(zone, y, mo, day+1, 0, 0, 0, 0)
		if below.After(q.Below) {
			below = q.Below
		}
		got, err := m.covering(tx, orgID, Span{from, below}).read(ctx, wanted{dim: d})
		if err != nil {
			return nil, err
		}
		sum := &usageSums{}
		for _, value := range values {
			sum.add(got[0].sum(value))
		}
		name := from.In(zone).Format(time.DateOnly)
		sums[name], order, from = sum, append(order, name), below
	}
	found := map[string]Share{}
	for _, s := range sharesOf(sums) {
		found[s.Value] = s
	}
	for _, name := range order {
		s := found[name]
		s.Value = name
		list = append(list, s)
	}
	return list, nil
}
