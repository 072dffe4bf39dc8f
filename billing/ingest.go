package billing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/orgkit/orgkit/store"
)

// Ingested says what became of a batch of events.
type Ingested struct {
	Accepted   int
	Duplicates int // that were there already, as they are
	Conflicts  []UsageConflict
}

// UsageConflict is an event whose identity is that of another one, which says something else. Nothing of it is kept
// (billing edge 55).
type UsageConflict struct {
	Index  int // in the batch
	Source string
	ID     string
}

// Ingest keeps events, at most store.MaxAppend of them, with everything that they add up to, in one unit. What is there
// already is told and changes nothing, so that a batch may be sent again after any error. An event that cannot be is a
// *store.FieldError on events[i], and then nothing is kept. It asks no permission: it serves the floors above.
func (m *Metering) Ingest(ctx context.Context, events []UsageEvent) (done Ingested, err error) {
	if len(events) > store.MaxAppend {
		return done, store.Invalid("events", "range", "must be at most %d", store.MaxAppend)
	}
	now := m.store.Now()
	for i := range events {
		if err := events[i].validate(now); err != nil {
			return done, ofEvent(i, err)
		}
	}
	err = m.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		done, err = m.ingest(ctx, tx, events)
		return err
	})
	if err != nil {
		return Ingested{}, err
	}
	return done, nil
}

// ofEvent says of which event of a batch a field is wrong.
func ofEvent(i int, err error) error {
	var field *store.FieldError
	if !errors.As(err, &field) {
		return err
	}
	return store.Invalid(fmt.Sprintf("events[%d].%s", i, field.Field), field.Code, "%s", field.Message)
}

// ingest keeps events that are valid.
func (m *Metering) ingest(ctx context.Context, tx *store.Tx, events []UsageEvent) (done Ingested, err error) {
	if len(events) == 0 {
		return done, nil
	}
	if events, err = attribute(ctx, tx, events); err != nil {
		return done, err
	}
	rows := make([]usageRow, len(events))
	var before *UsageEvent
	var words eventWords
	for i := range events {
		words, before = wordsOf(&events[i], before, words), &events[i]
		if rows[i], err = rowOf(&events[i], words); err != nil {
			return done, ofEvent(i, err)
		}
	}
	fresh, err := usageEvents.AppendMany(ctx, tx, rows)
	if err != nil {
		return done, fmt.Errorf("usage events: %w", err)
	}
	var old []int
	for i, is := range fresh {
		if is {
			done.Accepted++
		} else {
			old = append(old, i)
		}
	}
	if len(old) > 0 {
		if done.Conflicts, err = conflicts(ctx, tx, rows, old); err != nil {
			return done, err
		}
		done.Duplicates = len(old) - len(done.Conflicts)
	}
	if err := m.sumUp(ctx, tx, events, fresh); err != nil || m.opt.Alerts == nil {
		return done, err
	}
	return done, m.watch(ctx, tx, watchedBy(events, fresh))
}

// conflicts are those of the rows, whose keys are taken, that are not the rows that are there.
func conflicts(ctx context.Context, tx *store.Tx, rows []usageRow, which []int) (list []UsageConflict, err error) {
	ranges := make([]store.Range, len(which))
	for i, at := range which {
		ranges[i] = rows[at].identity(rows[at].ID)
	}
	there, err := usageEvents.ScanEach(ctx, tx, ranges)
	if err != nil {
		return nil, err
	}
	for i, at := range which {
		if len(there[i]) == 0 || !rows[at].equal(&there[i][0]) {
			list = append(list, UsageConflict{at, rows[at].Source, rows[at].ID})
		}
	}
	return list, nil
}

func (r *usageRow) identity(id string) store.Range {
	return store.Range{Equal: []any{r.OrgID, r.Source, id}, Limit: 1}
}

// equal says whether two events say the same.
func (r *usageRow) equal(o *usageRow) bool {
	return r.At.Equal(o.At) && r.Caller == o.Caller && r.Call == o.Call && bytes.Equal(r.Detail, o.Detail)
}

// attribute gives corrections what they have from the events that they correct, which are in the log or before them in
// the batch.
func attribute(ctx context.Context, tx *store.Tx, events []UsageEvent) ([]UsageEvent, error) {
	type identity struct{ org, source, id string }
	var which []int
	var ranges []store.Range
	for i := range events {
		if e := &events[i]; e.Corrects != "" {
			which = append(which, i)
			ranges = append(ranges, store.Range{Equal: []any{e.OrgID, e.Source, e.Corrects}, Limit: 1})
		}
	}
	if len(which) == 0 {
		return events, nil
	}
	there, err := usageEvents.ScanEach(ctx, tx, ranges)
	if err != nil {
		return nil, err
	}
	events = append([]UsageEvent(nil), events...) // those of the caller stay as they are
	before := map[identity]*UsageEvent{}
	next := 0
	for n, i := range which {
		for ; next < i; next++ {
			e := &events[next]
			if id := (identity{e.OrgID, e.Source, e.ID}); before[id] == nil {
				before[id] = e
			}
		}
		e := &events[i]
		original := before[identity{e.OrgID, e.Source, e.Corrects}]
		if len(there[n]) > 0 {
			o, err := there[n][0].event()
			if err != nil {
				return nil, err
			}
			original = &o
		}
		if err := e.correct(original); err != nil {
			return nil, ofEvent(i, err)
		}
	}
	return events, nil
}

// correct gives a correction what it has from the event that it corrects, nil where there is none.
func (e *UsageEvent) correct(o *UsageEvent) error {
	if o == nil || !o.call() {
		return store.Invalid("corrects", "unknown", "must be the id of a call of the same source")
	}
	if o.InputTokens+e.InputTokens < 0 || o.CachedTokens+e.CachedTokens < 0 || o.OutputTokens+e.OutputTokens < 0 || o.Cost.Add(e.Cost).IsNegative() {
		return store.Invalid("corrects", "range", "more would be taken back than the call has used")
	}
	e.TeamID, e.ProjectID, e.UserID, e.KeyID = o.TeamID, o.ProjectID, o.UserID, o.KeyID
	e.Model, e.Endpoint, e.Method, e.Status, e.PriceVersion, e.Tags = o.Model, o.Endpoint, o.Method, o.Status, o.PriceVersion, o.Tags
	e.Latency, e.TTFT = 0, 0
	return nil
}

// sumUp adds the events that are new to everything that is kept of them.
func (m *Metering) sumUp(ctx context.Context, tx *store.Tx, events []UsageEvent, fresh []bool) error {
	n := named{users: map[[2]string]int64{}, tags: map[[3]string]string{}}
	var readings []level
	for i := range events {
		e := &events[i]
		if !fresh[i] {
			continue
		}
		n.note(e)
		if e.Unit != "" {
			l, err := levelOf(e)
			if err != nil {
				return err
			}
			readings = append(readings, l)
		}
	}
	numbers, err := m.number(ctx, tx, n.names)
	if err != nil {
		return fmt.Errorf("usage names: %w", err)
	}
	n.learn(numbers)
	t := newTally()
	for i := range events {
		if fresh[i] {
			cost, err := events[i].pico()
			if err != nil {
				return err
			}
			s := events[i].sums(cost)
			t.add(&events[i], &s, byAll, &n)
		}
	}
	t.close()
	if err := t.keep(ctx, tx, m); err != nil {
		return fmt.Errorf("usage rollups: %w", err)
	}
	return keepLevels(ctx, tx, readings)
}

// named is what users and tags of a batch of events are counted by. Most come again and again.
type named struct {
	names map[nameKey]time.Time // all of them, with the time of the event that had it first
	users map[[2]string]int64   // by organization and user; -1 has no number
	tags  map[[3]string]string  // by organization, name and value
}

// note notes the user and the tags of an event.
func (n *named) note(e *UsageEvent) {
	if n.names == nil {
		n.names = map[nameKey]time.Time{}
	}
	if user := [2]string{e.OrgID, e.UserID}; e.UserID != "" && e.call() {
		if _, known := n.users[user]; !known {
			n.users[user] = -1
			n.names[nameKey{e.OrgID, userNames, e.UserID}] = e.Time
		}
	}
	for name, value := range e.Tags {
		tag := [3]string{e.OrgID, name, value}
		if _, known := n.tags[tag]; !known {
			n.tags[tag] = tagValue(name, value)
			n.names[nameKey{e.OrgID, tagNames, n.tags[tag]}] = e.Time
		}
	}
}

// learn takes the numbers over. A tag that has none is summed up by its name alone.
func (n *named) learn(numbers map[nameKey]int64) {
	for user := range n.users {
		if number, has := numbers[nameKey{user[0], userNames, user[1]}]; has {
			n.users[user] = number
		}
	}
	for tag, value := range n.tags {
		if _, has := numbers[nameKey{tag[0], tagNames, value}]; !has {
			n.tags[tag] = tagName(tag[1])
		}
	}
}
