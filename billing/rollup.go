package billing

import (
	"context"
	"maps"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/store"
)

// Dimension is what usage is summed up by.
type Dimension string

// The dimensions. Each has its sums by hours and days of UTC, and those that analytics are mostly asked for by five
// minutes too. Users are told apart, and latencies spread, by organization, team and model.
const (
	ByOrg       Dimension = "org"
	ByTeam      Dimension = "team"
	ByModel     Dimension = "model"
	byTeamModel Dimension = "team_model" // see pair
	ByProject   Dimension = "project"
	ByUser      Dimension = "user"
	ByKey       Dimension = "key"
	byUserKey   Dimension = "user_key" // what both are made of when they are read: a key is mostly of one user
	ByEndpoint  Dimension = "endpoint"
	ByStatus    Dimension = "status" // by its class: 2xx, or none where nobody has answered
	ByTag       Dimension = "tag"    // see tagValue
)

// grain is how long the spans are that sums are kept by.
type grain string

const (
	fives grain = "five" // minutes
	hours grain = "hour"
	days  grain = "day" // of UTC
)

var lengths = map[grain]time.Duration{fives: 5 * time.Minute, hours: time.Hour, days: 24 * time.Hour}

// grains are those of a dimension, the finest first.
func (d Dimension) grains() []grain {
	if d.known() || d == byTeamModel {
		return []grain{fives, hours, days}
	}
	return []grain{hours, days}
}

// known says whether users are told apart and latencies are spread by the dimension.
func (d Dimension) known() bool { return d == ByOrg || d == ByTeam || d == ByModel }

// of is how rows of a dimension and grain are found.
func (d Dimension) of(g grain) string { return string(d) + "/" + string(g) }

// sums are what analytics add up.
type usageSums struct {
	Requests     int64
	Errors       int64
	Timed        int64 // calls that have come to something, and whose latency is known
	Latency      int64 // of those, microseconds
	InputTokens  int64
	CachedTokens int64
	OutputTokens int64
	CostMicro    int64 // USD; no sum of what one event may cost overflows within 10^12 events
	CostPico     int64 // beside it, 1e-12 USD
}

func (s *usageSums) add(o *usageSums) {
	s.Requests += o.Requests
	s.Errors += o.Errors
	s.Timed += o.Timed
	s.Latency += o.Latency
	s.InputTokens += o.InputTokens
	s.CachedTokens += o.CachedTokens
	s.OutputTokens += o.OutputTokens
	s.CostMicro += o.CostMicro
	s.CostPico += o.CostPico
}

// cost is the sum in USD.
func (s *usageSums) cost() decimal.Decimal {
	return decimal.New(s.CostMicro, -6).Add(decimal.New(s.CostPico, -12))
}

// sums are what one event that has cost so much adds.
func (e *UsageEvent) sums(cost Pico) usageSums {
	s := usageSums{InputTokens: e.InputTokens, CachedTokens: e.CachedTokens, OutputTokens: e.OutputTokens,
		CostMicro: int64(cost) / 1_000_000, CostPico: int64(cost) % 1_000_000}
	if !e.call() {
		return s
	}
	s.Requests = 1
	switch {
	case e.failed():
		s.Errors = 1
	case e.Latency > 0:
		s.Timed, s.Latency = 1, e.Latency.Microseconds()
	}
	return s
}

// rollup is the sums of one value of a dimension in one span.
type rollup struct {
	OrgID        string `store:"word"`
	Of           string `store:"word"` // see Dimension.of
	Start        time.Time
	Value        string
	Requests     int64
	Errors       int64
	Timed        int64
	Latency      int64
	InputTokens  int64
	CachedTokens int64
	OutputTokens int64
	CostMicro    int64
	CostPico     int64
}

var rollups = store.DefineLog[rollup]("usage_rollups", []string{"org_id", "of", "start", "value"})

func (r *rollup) sums() usageSums {
	return usageSums{r.Requests, r.Errors, r.Timed, r.Latency, r.InputTokens, r.CachedTokens, r.OutputTokens, r.CostMicro, r.CostPico}
}

func rollupOf(k spanKey, s *usageSums) rollup {
	return rollup{k.org, k.dim.of(k.grain), k.start, k.value, s.Requests, s.Errors, s.Timed, s.Latency, s.InputTokens, s.CachedTokens, s.OutputTokens, s.CostMicro, s.CostPico}
}

// spanKey is a value of a dimension in a span.
type spanKey struct {
	org   string
	dim   Dimension
	grain grain
	start time.Time // UTC
	value string
}

// wider is the span of the next grain that holds this one.
func (k spanKey) wider(g grain) spanKey {
	k.grain, k.start = g, k.start.Truncate(lengths[g]) // days of UTC begin at multiples of 24 hours from the zero time
	return k
}

// pair is the value of a dimension of two: none of them has a line break.
func pair(a, b string) string { return a + "\n" + b }

// tagValue is the value of ByTag: name=value. A tag that is one too many for its organization is summed up by its name
// alone.
func tagValue(name, value string) string { return tagName(name) + "=" + value }

// tagName is the name of a tag without the sign that ends it.
func tagName(name string) string {
	if !strings.ContainsAny(name, "%=") {
		return name
	}
	return tagEscape.Replace(name)
}

// splitTag takes apart what tagValue has made.
func splitTag(tag string) (name, value string) {
	name, value, _ = strings.Cut(tag, "=")
	return tagUnescape.Replace(name), value
}

var (
	tagEscape   = strings.NewReplacer("%", "%25", "=", "%3D")
	tagUnescape = strings.NewReplacer("%25", "%", "%3D", "=")
)

// tally is what a batch of events adds up to.
type tally struct {
	sums  map[spanKey]*usageSums
	users map[spanKey]userSet
	spans map[spanKey]*spread
	last  countedAt
}

// countedAt is where an event was counted. The next one is mostly of the same caller, and is counted there too.
type countedAt struct {
	event *UsageEvent
	five  spanKey      // team and model
	sums  []*usageSums // all
}

func newTally() *tally {
	return &tally{sums: map[spanKey]*usageSums{}, users: map[spanKey]userSet{}, spans: map[spanKey]*spread{}}
}

func (t *tally) at(k spanKey) *usageSums {
	s := t.sums[k]
	if s == nil {
		s = &usageSums{}
		t.sums[k] = s
	}
	return s
}

// add counts an event that adds so much.
func (t *tally) add(e *UsageEvent, s *usageSums, by recounted, names *named) {
	if five := e.Time.UTC().Truncate(lengths[fives]); t.last.event == nil || !five.Equal(t.last.five.start) || !countedAlike(e, t.last.event) {
		t.last = countedAt{event: e, sums: t.last.sums[:0], five: spanKey{e.OrgID, byTeamModel, fives, five, pair(e.TeamID, e.Model)}}
		if by != byHours {
			t.findFive(e, names)
		}
		if by != byFives {
			t.findHours(e, names)
		}
	}
	for _, sum := range t.last.sums {
		sum.add(s)
	}
	if s.Timed > 0 && by != byHours {
		t.spread(t.last.five).add(s.Latency)
	}
}

// countedAlike says of events of the same five minutes whether they are counted by the same values.
func countedAlike(a, b *UsageEvent) bool {
	return a.OrgID == b.OrgID && a.TeamID == b.TeamID && a.ProjectID == b.ProjectID && a.UserID == b.UserID && a.KeyID == b.KeyID &&
		a.Model == b.Model && a.Endpoint == b.Endpoint && a.call() == b.call() && a.Status/100 == b.Status/100 && maps.Equal(a.Tags, b.Tags)
}

// findFive finds where an event is counted of what is kept by five minutes.
func (t *tally) findFive(e *UsageEvent, names *named) {
	k := t.last.five
	t.last.sums = append(t.last.sums, t.at(k))
	if e.UserID != "" && e.call() {
		if user := names.users[[2]string{e.OrgID, e.UserID}]; user >= 0 {
			t.userSet(k).add(user)
		}
	}
}

// findHours finds where an event is counted by all the rest, with its tags.
func (t *tally) findHours(e *UsageEvent, names *named) {
	hour := spanKey{org: e.OrgID, grain: hours, start: e.Time.UTC().Truncate(lengths[hours])}
	find := func(d Dimension, value string) {
		hour.dim, hour.value = d, value
		t.last.sums = append(t.last.sums, t.at(hour))
	}
	find(ByProject, e.ProjectID)
	find(byUserKey, pair(e.UserID, e.KeyID))
	find(ByEndpoint, e.Endpoint)
	if e.call() {
		find(ByStatus, e.statusClass())
	}
	for name, value := range e.Tags {
		find(ByTag, names.tags[[3]string{e.OrgID, name, value}])
	}
}

func (t *tally) userSet(k spanKey) userSet {
	u := t.users[k]
	if u == nil {
		u = userSet{}
		t.users[k] = u
	}
	return u
}

func (t *tally) spread(k spanKey) *spread {
	s := t.spans[k]
	if s == nil {
		s = &spread{}
		t.spans[k] = s
	}
	return s
}

// close sums up what was counted by more than it was counted by: teams, models and organizations out of both, and
// wider spans out of narrower ones. Nothing is added afterwards.
func (t *tally) close() {
	t.part()
	for _, step := range [][2]grain{{fives, hours}, {hours, days}} {
		for k, s := range copyOf(t.sums) {
			if k.grain == step[0] {
				t.at(k.wider(step[1])).add(s)
			}
		}
		for k, u := range copyOf(t.users) {
			if k.grain == step[0] {
				t.userSet(k.wider(step[1])).join(u)
			}
		}
		for k, s := range copyOf(t.spans) {
			if k.grain == step[0] {
				t.spread(k.wider(step[1])).join(s)
			}
		}
	}
}

// part sums up teams, models and organizations out of teams with models.
func (t *tally) part() {
	for k, s := range copyOf(t.sums) {
		if k.dim == byTeamModel {
			for _, wide := range k.parts() {
				t.at(wide).add(s)
			}
		}
	}
	for k, u := range copyOf(t.users) {
		for _, wide := range k.parts() {
			t.userSet(wide).join(u)
		}
		delete(t.users, k) // by team and model users are not told apart
	}
	for k, s := range copyOf(t.spans) {
		for _, wide := range k.parts() {
			t.spread(wide).join(s)
		}
		delete(t.spans, k)
	}
}

// parts are the organization, team and model of a span by team and model.
func (k spanKey) parts() (wide [3]spanKey) {
	team, model, _ := strings.Cut(k.value, "\n")
	for i, p := range [...]struct {
		dim   Dimension
		value string
	}{{ByOrg, ""}, {ByTeam, team}, {ByModel, model}} {
		wide[i] = k
		wide[i].dim, wide[i].value = p.dim, p.value
	}
	return wide
}

// copyOf is a list of the entries of a map that is about to change.
func copyOf[V any](m map[spanKey]V) func(yield func(spanKey, V) bool) {
	type entry struct {
		k spanKey
		v V
	}
	list := make([]entry, 0, len(m))
	for k, v := range m {
		list = append(list, entry{k, v})
	}
	return func(yield func(spanKey, V) bool) {
		for _, e := range list {
			if !yield(e.k, e.v) {
				return
			}
		}
	}
}

// keep adds the tally to what is kept.
func (t *tally) keep(ctx context.Context, tx *store.Tx, m *Metering) error {
	rows := make([]rollup, 0, len(t.sums))
	for k, s := range t.sums {
		rows = append(rows, rollupOf(k, s))
	}
	if err := addAll(ctx, tx, rollups, rows); err != nil {
		return err
	}
	spreads := make([]latencyRow, 0, len(t.spans))
	for k, s := range t.spans {
		spreads = append(spreads, s.row(k))
	}
	if err := addAll(ctx, tx, latencies, spreads); err != nil {
		return err
	}
	return m.keepUsers(ctx, tx, t.users)
}

// addAll is Log.Add of any number of rows.
func addAll[T any](ctx context.Context, tx *store.Tx, l store.Log[T], rows []T) error {
	for len(rows) > 0 {
		n := min(len(rows), store.MaxAppend)
		if err := l.Add(ctx, tx, rows[:n]); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}
