package billing

import (
	"context"
	"maps"
	"time"

	"github.com/orgkit/orgkit/store"
)

// Mismatch is a sum that is not that of the events.
type Mismatch struct {
	OrgID     string
	Dimension Dimension
	Start     time.Time // of the span
	Length    time.Duration
	Value     string // of the dimension
	What      string // sums, latencies or users
}

// Check counts all events of an organization anew that lie in the days of UTC from one to another, both included, and returns
// what differs from the sums that are kept, nil for nothing. Each day is read on one snapshot. It takes as long as reading
// the events does: it is for the host, now and then. It asks no permission.
func (m *Metering) Check(ctx context.Context, orgID string, from, to time.Time) (wrong []Mismatch, err error) {
	for day := from.UTC().Truncate(24 * time.Hour); !day.After(to); day = day.Add(24 * time.Hour) {
		var some []Mismatch
		err := m.store.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			some, err = m.checkDay(ctx, tx, orgID, day)
			return err
		})
		if err != nil {
			return nil, err
		}
		wrong = append(wrong, some...)
	}
	return wrong, nil
}

func (m *Metering) checkDay(ctx context.Context, tx *store.Tx, orgID string, day time.Time) (wrong []Mismatch, err error) {
	t := newTally()
	if err := m.recount(ctx, tx, t, byAll, orgID, day, day.Add(24*time.Hour)); err != nil {
		return nil, err
	}
	t.close()
	note := func(k spanKey, what string) {
		wrong = append(wrong, Mismatch{k.org, k.dim, k.start, lengths[k.grain], k.value, what})
	}
	for _, d := range []Dimension{ByOrg, ByTeam, ByModel, byTeamModel, ByProject, byUserKey, ByEndpoint, ByStatus, ByTag} {
		for _, g := range d.grains() {
			span := store.Range{Equal: []any{orgID, d.of(g)}, From: day, Below: day.Add(24 * time.Hour)}
			for r, err := range rollups.All(ctx, tx, span) {
				if err != nil {
					return nil, err
				}
				k := spanKey{orgID, d, g, r.Start, r.Value}
				if r.sums() != *t.at(k) {
					note(k, "sums")
				}
				delete(t.sums, k)
			}
			if !d.known() {
				continue
			}
			for r, err := range latencies.All(ctx, tx, span) {
				if err != nil {
					return nil, err
				}
				k := spanKey{orgID, d, g, r.Start, r.Value}
				if r.spread() != *t.spread(k) {
					note(k, "latencies")
				}
				delete(t.spans, k)
			}
			for r, err := range actives.All(ctx, tx, span) {
				if err != nil {
					return nil, err
				}
				k, was := spanKey{orgID, d, g, r.Start, r.Value}, userSet{}
				r.into(was)
				if u := t.userSet(k); u[r.Chunk] == nil && was.count() != 0 || u[r.Chunk] != nil && *u[r.Chunk] != *was[r.Chunk] {
					note(k, "users")
				}
				delete(t.users[k], r.Chunk)
			}
		}
	}
	for k, s := range t.sums {
		if *s != (usageSums{}) {
			note(k, "sums")
		}
	}
	for k := range t.spans {
		note(k, "latencies")
	}
	for k, u := range t.users {
		if u.count() != 0 {
			note(k, "users")
		}
	}
	return wrong, nil
}

// recounted is which part of what is kept the events of a time are counted by.
type recounted int

const (
	byAll   recounted = iota
	byFives           // only what is kept by five minutes
	byHours           // only the rest
)

// recount adds the events of a time to a tally.
func (m *Metering) recount(ctx context.Context, tx *store.Tx, t *tally, by recounted, orgID string, from, below time.Time) error {
	r := store.Range{By: []string{"org_id", "at"}, Equal: []any{orgID}, From: from, Below: below, Limit: store.MaxLimit}
	for {
		rows, err := usageEvents.Scan(ctx, tx, r)
		if err != nil || len(rows) == 0 {
			return err
		}
		if err := m.recountRows(ctx, tx, t, by, rows); err != nil {
			return err
		}
		if len(rows) < r.Limit {
			return nil
		}
		r.After = usageEvents.Position(r, &rows[len(rows)-1])
	}
}

func (m *Metering) recountRows(ctx context.Context, tx *store.Tx, t *tally, by recounted, rows []usageRow) (err error) {
	events, sums := make([]UsageEvent, len(rows)), make([]usageSums, len(rows))
	n := named{users: map[[2]string]int64{}, tags: map[[3]string]string{}}
	for i := range rows {
		e := &events[i]
		cost, err := rows[i].read(e, by != byFives)
		if err != nil {
			return err
		}
		sums[i] = e.sums(cost)
		n.note(e)
	}
	numbers := make(map[nameKey]int64, len(n.names))
	_, found, err := numbered(ctx, tx, m.names.look(n.names, numbers))
	if err != nil {
		return err
	}
	maps.Copy(numbers, found)
	m.names.learn(found) // what a snapshot has is committed
	n.learn(numbers)
	for i := range events {
		t.add(&events[i], &sums[i], by, &n)
	}
	return nil
}
