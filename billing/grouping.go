package billing

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/orgkit/orgkit/store"
)

// groupings are the dimensions by which may be grouped, besides ByDay and tags.
var groupings = []Dimension{ByTeam, ByModel, ByProject, ByUser, ByKey, ByEndpoint, ByStatus}

// tagGroup begins the grouping by a tag; its name follows.
const tagGroup = "tag."

// series are the groupings by parts of time, with the longest time that each may tell apart.
var series = map[string]struct {
	most time.Duration
	text string
	next func(from time.Time, zone *time.Location) time.Time
	name string // layout of the value
}{
	ByDay:    {MaxDays * 25 * time.Hour, fmt.Sprintf("%d days", MaxDays), nextDay, time.DateOnly},
	ByHour:   {8 * 24 * time.Hour, "8 days", nextOf(time.Hour), time.RFC3339},
	ByMinute: {2 * time.Hour, "2 hours", nextOf(time.Minute), time.RFC3339},
}

func nextDay(from time.Time, zone *time.Location) time.Time {
	y, mo, day := from.In(zone).Date()
	return first(zone, y, mo, day+1, 0, 0, 0, 0)
}

// nextOf is the end of an hour or minute of the clock of the zone.
func nextOf(d time.Duration) func(time.Time, *time.Location) time.Time {
	return func(from time.Time, zone *time.Location) time.Time {
		_, off := from.In(zone).Zone()
		ahead := time.Duration(off) * time.Second
		return from.Add(ahead).Truncate(d).Add(d - ahead)
	}
}

// CheckGroupBy names what is wrong with the grouping of a query. With teams or models chosen only these, and times of
// teams or of models, are told apart.
func (q AnalyticsQuery) CheckGroupBy() error {
	narrow := q.Teams != nil || q.Models != nil
	by, timed := series[q.GroupBy]
	switch {
	case q.GroupBy == "":
		return nil
	case q.User != "":
		return store.Invalid("group_by", "range", "is for those who may see the usage of others")
	case timed && q.Teams != nil && q.Models != nil:
		return store.Invalid("group_by", "range", "%ss of teams and models at once are not kept", q.GroupBy)
	case timed && q.Below.Sub(q.From) > by.most:
		return store.Invalid("group_by", "range", "at most %s", by.text)
	case timed, q.GroupBy == string(ByTeam), q.GroupBy == string(ByModel):
		return nil
	case !slices.Contains(groupings, Dimension(q.GroupBy)) && (!strings.HasPrefix(q.GroupBy, tagGroup) || q.GroupBy == tagGroup):
		return store.Invalid("group_by", "enum", "must be day, hour, minute, team, model, project, user, key, endpoint, status or tag. and a name")
	case narrow:
		return store.Invalid("group_by", "range", "of teams and models only times, teams and models are told apart")
	}
	return nil
}

func (m *Metering) groups(ctx context.Context, tx *store.Tx, orgID string, q AnalyticsQuery) ([]Share, error) {
	if err := q.CheckGroupBy(); err != nil {
		return nil, err
	}
	if by, timed := series[q.GroupBy]; timed {
		return m.series(ctx, tx, orgID, q, by.next, by.name)
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

// series tells the parts of a time apart, those without calls too; the value is when each begins in the zone, in a layout.
func (m *Metering) series(ctx context.Context, tx *store.Tx, orgID string, q AnalyticsQuery, next func(time.Time, *time.Location) time.Time, layout string) (list []Share, err error) {
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
		below := next(from, zone)
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
		name := from.In(zone).Format(layout)
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
