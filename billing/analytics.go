package billing

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/store"
)

// Metric is a figure of [Analytics].
type Metric string

// The metrics (F236 to F243).
const (
	TotalRequests     Metric = "total_requests" // calls that were admitted, failed ones too
	TotalTokens       Metric = "total_tokens"   // of input and output
	TotalCost         Metric = "total_cost"     // USD
	ActiveUsers       Metric = "active_users"   // who have made a call
	ModelDistribution Metric = "model_distribution"
	TeamUsage         Metric = "team_usage"
	ErrorRate         Metric = "error_rate"      // failed calls among all; 0 of none
	AverageLatency    Metric = "average_latency" // of calls that have come to something, with the percentiles beside it
)

// Metrics are all of them.
var Metrics = []Metric{TotalRequests, TotalTokens, TotalCost, ActiveUsers, ModelDistribution, TeamUsage, ErrorRate, AverageLatency}

// ParseMetrics reads names of metrics; none are all of them. An unknown one is a *store.FieldError that lists those that
// there are (F244).
func ParseMetrics(names []string) ([]Metric, error) {
	if len(names) == 0 {
		return Metrics, nil
	}
	var list []Metric
	for _, name := range names {
		m := Metric(name)
		if !slices.Contains(Metrics, m) {
			all := make([]string, len(Metrics))
			for i, m := range Metrics {
				all[i] = string(m)
			}
			return nil, store.Invalid("metrics", "enum", "must be of %s", strings.Join(all, ", "))
		}
		if !slices.Contains(list, m) {
			list = append(list, m)
		}
	}
	return list, nil
}

// AnalyticsQuery asks what an organization has used, itself, without those below it.
type AnalyticsQuery struct {
	Span
	Metrics []Metric // none are all
	Teams   []string // only of these, by their ids; "" is what belongs to none. Nil is all
	Models  []string // only of these
	User    string   // only of this one; without Teams and Models
	GroupBy string   // a [Dimension] whose values are told apart, ByDay and the like, or tag. and the name of a tag; "" is none
	Zone    *time.Location
}

// Groupings by time, of the clock of the zone: days by their dates, hours and minutes by when they begin (RFC 3339).
const (
	ByDay    = "day"
	ByHour   = "hour"   // of at most 8 days
	ByMinute = "minute" // of at most 2 hours
)

// Totals are what calls come to.
type Totals struct {
	Requests       int64
	Tokens         int64
	InputTokens    int64
	CachedTokens   int64 // of those of input
	OutputTokens   int64
	Cost           decimal.Decimal // USD
	Errors         int64
	ErrorRate      decimal.Decimal  // 0 to 1, at most six places
	AverageLatency *decimal.Decimal // milliseconds, at most three places; nil: of no call
}

// Share is what a model, team or group has of the whole.
type Share struct {
	Value string // "" is what has none
	Totals
	Requested decimal.Decimal // share of the requests: those of all models add up to 1, or to 0 where there are none
	Spent     decimal.Decimal // share of the cost
}

// Analytics are the answer to an [AnalyticsQuery]. All figures are exact, but for the percentiles. What was not asked
// for is zero; what is not kept in such detail is nil: users and percentiles of teams and models at once, and models and
// teams of one user.
type Analytics struct {
	Span
	Totals
	ActiveUsers *int64
	P50, P95    *time.Duration // of latencies, off by less than a fifth
	Models      []Share        // the dearest first
	Teams       []Share        // by their ids; they add up to the totals
	Groups      []Share        // times in their order, others with the dearest first
}

func (s *usageSums) totals() Totals {
	t := Totals{Requests: s.Requests, Tokens: s.InputTokens + s.OutputTokens, InputTokens: s.InputTokens, CachedTokens: s.CachedTokens, OutputTokens: s.OutputTokens, Cost: s.cost(), Errors: s.Errors, AverageLatency: s.average()}
	if s.Requests > 0 {
		t.ErrorRate = decimal.NewFromInt(s.Errors).DivRound(decimal.NewFromInt(s.Requests), 6)
	}
	return t
}

// Analytics computes what was used on one snapshot, from the sums of whole days, hours and five minutes within the time, and
// from the events at its ends. It asks no permission: it serves the floors above, who flush before.
func (m *Metering) Analytics(ctx context.Context, tx *store.Tx, orgID string, q AnalyticsQuery) (a Analytics, err error) {
	if len(q.Metrics) == 0 {
		q.Metrics = Metrics
	}
	c := m.covering(tx, orgID, q.Span)
	a.Span = q.Span
	switch {
	case q.User != "":
		err = a.ofUser(ctx, c, q)
	case q.Teams != nil && q.Models != nil:
		err = a.ofBoth(ctx, c, q)
	case q.Models != nil:
		err = a.of(ctx, c, q, ByModel, q.Models)
	case q.Teams != nil:
		err = a.of(ctx, c, q, ByTeam, q.Teams)
	default:
		err = a.of(ctx, c, q, ByOrg, []string{""})
	}
	if err == nil && q.GroupBy != "" {
		a.Groups, err = m.groups(ctx, tx, orgID, q)
	}
	return a, err
}

// of answers for the values of a dimension by which everything is known.
func (a *Analytics) of(ctx context.Context, c *covering, q AnalyticsQuery, d Dimension, values []string) error {
	asked := func(m Metric) bool { return slices.Contains(q.Metrics, m) }
	wants := []wanted{{d, asked(ActiveUsers), asked(AverageLatency)}}
	// Of teams the models are told apart by both, and the other way round.
	models, teams := ByModel, ByTeam
	if d == ByTeam {
		models = byTeamModel
	}
	if d == ByModel {
		teams = byTeamModel
	}
	if asked(ModelDistribution) {
		wants = append(wants, wanted{dim: models})
	}
	if asked(TeamUsage) {
		wants = append(wants, wanted{dim: teams})
	}
	got, err := c.read(ctx, wants...)
	if err != nil {
		return err
	}
	var sum usageSums
	users, s := userSet{}, spread{}
	for _, value := range unique(values) {
		sum.add(got[0].sum(value))
		users.join(got[0].users[value])
		s.join(got[0].spread(value))
	}
	a.Totals = sum.totals()
	if asked(ActiveUsers) {
		n := users.count()
		a.ActiveUsers = &n
	}
	if asked(AverageLatency) {
		a.P50, a.P95 = s.percentile(50), s.percentile(95)
	}
	if asked(ModelDistribution) {
		a.Models = dearest(q.models(&got[1]))
	}
	if asked(TeamUsage) {
		a.Teams = q.teams(&got[len(got)-1])
	}
	return nil
}

// ofBoth answers for teams and models at once.
func (a *Analytics) ofBoth(ctx context.Context, c *covering, q AnalyticsQuery) error {
	got, err := c.read(ctx, wanted{dim: byTeamModel})
	if err != nil {
		return err
	}
	var sum usageSums
	for value, s := range got[0].sums {
		if q.admits(byTeamModel, value) {
			sum.add(s)
		}
	}
	a.Totals = sum.totals()
	a.Models, a.Teams = dearest(q.models(&got[0])), q.teams(&got[0])
	return nil
}

// ofUser answers for one user.
func (a *Analytics) ofUser(ctx context.Context, c *covering, q AnalyticsQuery) error {
	got, err := c.read(ctx, wanted{dim: byUserKey})
	if err != nil {
		return err
	}
	var sum usageSums
	for value, s := range got[0].sums {
		if user, _, _ := strings.Cut(value, "\n"); user == q.User {
			sum.add(s)
		}
	}
	a.Totals = sum.totals()
	active := min(sum.Requests, 1)
	a.ActiveUsers = &active
	return nil
}

// UserCosts are what the keys of a user have cost in a time, in USD by their ids. It asks no permission: it serves the floors
// above, who flush before.
func (m *Metering) UserCosts(ctx context.Context, tx *store.Tx, orgID, user string, span Span) (map[string]decimal.Decimal, error) {
	got, err := m.covering(tx, orgID, span).read(ctx, wanted{dim: byUserKey})
	if err != nil {
		return nil, err
	}
	costs := map[string]decimal.Decimal{}
	for value, s := range got[0].sums {
		if of, key, _ := strings.Cut(value, "\n"); of == user {
			costs[key] = s.cost()
		}
	}
	return costs, nil
}

// admits says whether a value of a dimension is asked for.
func (q *AnalyticsQuery) admits(d Dimension, value string) bool {
	team, model, _ := strings.Cut(value, "\n")
	switch d {
	case ByTeam:
		return q.Teams == nil || slices.Contains(q.Teams, value)
	case ByModel:
		return q.Models == nil || slices.Contains(q.Models, value)
	case byTeamModel:
	default:
		return true
	}
	return (q.Teams == nil || slices.Contains(q.Teams, team)) && (q.Models == nil || slices.Contains(q.Models, model))
}

// models are what was found by models, or by teams and models.
func (q *AnalyticsQuery) models(f *found) []Share {
	return q.by(f, func(value string) string {
		if _, model, both := strings.Cut(value, "\n"); both {
			return model
		}
		return value
	})
}

// teams are what was found by teams, or by teams and models, in the order of the teams.
func (q *AnalyticsQuery) teams(f *found) []Share {
	list := q.by(f, func(value string) string {
		team, _, _ := strings.Cut(value, "\n")
		return team
	})
	slices.SortFunc(list, func(a, b Share) int { return cmp.Compare(a.Value, b.Value) })
	return list
}

// by sums up what was found by another value.
func (q *AnalyticsQuery) by(f *found, of func(value string) string) []Share {
	sums := map[string]*usageSums{}
	for value, s := range f.sums {
		if !q.admits(f.dim, value) {
			continue
		}
		to := sums[of(value)]
		if to == nil {
			to = &usageSums{}
			sums[of(value)] = to
		}
		to.add(s)
	}
	return sharesOf(sums)
}

// sharesOf are the values by name, each with what it has of the whole.
func sharesOf(sums map[string]*usageSums) []Share {
	list := make([]Share, 0, len(sums))
	var requests, costs []decimal.Decimal
	for _, value := range slices.Sorted(maps.Keys(sums)) {
		if s := sums[value]; *s != (usageSums{}) {
			list = append(list, Share{Value: value, Totals: s.totals()})
			requests, costs = append(requests, decimal.NewFromInt(s.Requests)), append(costs, s.cost())
		}
	}
	requests, costs = shares(requests), shares(costs)
	for i := range list {
		list[i].Requested, list[i].Spent = requests[i], costs[i]
	}
	return list
}

// dearest sorts by cost, then by requests, then by name.
func dearest(list []Share) []Share {
	slices.SortStableFunc(list, func(a, b Share) int {
		return cmp.Or(b.Cost.Cmp(a.Cost), cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.Value, b.Value))
	})
	return list
}

func unique(values []string) []string { return slices.Compact(slices.Sorted(slices.Values(values))) }
