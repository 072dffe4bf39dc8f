package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/orgkit/orgkit/audit"
)

const auditPage = 100

// askFor is how long a question is asked for the first times at most.
const askFor = 5 * time.Second

// question is a filter with values that change from one time to the next.
type question struct {
	name   string
	filter func(i int) audit.Filter
	deep   bool // a page from the middle of the log
	few    bool // there may be less than a page, of some values nothing
}

// month is a window of 30 days.
func (l *loadedLogs) month(i int) (f audit.Filter) {
	f.Start = l.begin.Add(time.Duration(among(i, 30, 55*24)) * time.Hour)
	f.End = f.Start.Add(30 * 24 * time.Hour)
	return f
}

// busy is one of the actors who do much.
func busy(i int) int { return among(i, 31, 20) }

func (l *loadedLogs) questions() []question {
	with := func(change func(i int, f *audit.Filter)) func(int) audit.Filter {
		return func(i int) (f audit.Filter) {
			change(i, &f)
			return f
		}
	}
	types := func(list ...string) func(int) audit.Filter {
		return with(func(i int, f *audit.Filter) { f.Types = []string{list[i%len(list)]} })
	}
	return []question{
		{name: "newest", filter: types("*")},
		{name: "window of 30 days", filter: l.month},
		{name: "exact type", filter: types("team.updated", "session.created", "budget.updated")},
		{name: "noun.*", filter: types("api_key.*", "session.*", "project.*")},
		{name: "family.*", filter: types("settings.*", "authentication.*", "member.*")},
		{name: "actor by id", filter: with(func(i int, f *audit.Filter) { f.Actors = []string{"user:" + idOf("usr", busy(i))} })},
		{name: "actor by e-mail", filter: with(func(i int, f *audit.Filter) { f.Actors = []string{"user:" + actorEmail(busy(i))} })},
		{name: "rare actor", few: true, filter: with(func(i int, f *audit.Filter) { f.Actors = []string{"user:" + idOf("usr", rareActor)} })},
		{name: "resource by id", filter: with(func(i int, f *audit.Filter) { f.Resources = []string{"team:" + idOf("team", i%40)} })},
		{name: "resource by slug", filter: with(func(i int, f *audit.Filter) { f.Resources = []string{fmt.Sprintf("team:Team-%02d", i%40)} })},
		{name: "outcome", filter: with(func(i int, f *audit.Filter) {
			f.Outcome = []audit.Outcome{audit.Denied, audit.Failure, audit.Success}[i%3]
		})},
		{name: "actor, family, 30 days", few: true, filter: func(i int) audit.Filter {
			f := l.month(i)
			f.Actors, f.Types = []string{"user:" + idOf("usr", busy(i))}, []string{"settings.*"}
			return f
		}},
		{name: "2 types, 30 days", filter: func(i int) audit.Filter {
			f := l.month(i)
			f.Types = []string{"api_key.created", "authorization.denied"}
			return f
		}},
		{name: "page in the middle", deep: true, filter: types("*")},
		{name: "type, page in the middle", deep: true, filter: types("api_key.created")},
		{name: "oldest first", filter: with(func(i int, f *audit.Filter) { f.Ascending = true })},
	}
}

// childQuestions are asked of all children together.
func (l *loadedLogs) childQuestions() []question {
	var list []question
	for _, q := range l.questions() {
		switch q.name {
		case "newest", "exact type", "noun.*", "actor by e-mail", "2 types, 30 days", "page in the middle", "outcome":
			list = append(list, q)
		}
	}
	return list
}

// benchQueries asks both databases for pages. With -full the logs are multiplied before.
func benchQueries(ctx context.Context, b *bench, l *loadedLogs) error {
	sets := []struct {
		bar       string
		prefix    string
		orgIDs    []string
		questions []question
	}{
		{"audit.query_p99_ms", "", []string{mainOrg}, l.questions()},
		{"audit.children_p99_ms", fmt.Sprintf("%d orgs: ", len(childOrgs)), childOrgs, l.childQuestions()},
	}
	var table [][]string // the name of a question, and its figures on each database
	for _, set := range sets {
		for _, q := range set.questions {
			table = append(table, []string{set.prefix + q.name})
		}
	}
	worst := map[string]sample{}
	for _, one := range l.all() {
		if err := l.multiply(ctx, b, one); err != nil {
			return err
		}
		if err := one.settle(ctx); err != nil { // of what was written since it was loaded, too
			return err
		}
		b.begin("audit: queries on " + one.name)
		row := 0
		for _, set := range sets {
			for _, q := range set.questions {
				rounds, first, err := l.ask(ctx, b, one, set.orgIDs, q)
				if err != nil {
					return fmt.Errorf("%s: %s: %w", one.name, q.name, err)
				}
				var p99 sample
				for _, r := range rounds {
					p99 = append(p99, r.p99())
				}
				if w := worst[set.bar]; w == nil || p99.median() > w.median() {
					worst[set.bar] = p99
				}
				table[row] = append(table[row], fmt.Sprintf("%8.2f %8.2f %8.2f %8.2f",
					millis(sample(slices.Concat(rounds...)).median()), millis(p99.median()), millis(p99.best()), millis(first.p99())))
				row++
			}
		}
	}
	for name, s := range worst {
		b.set(name, s, millis)
	}
	b.note("pages of %d events of %d, ms: p50, p99, p99 of the best round, p99 of the first calls; on SQLite and on PostgreSQL:",
		auditPage, l.events(b))
	for _, row := range table {
		b.note("  %-34s %s", row[0], strings.Join(row[1:], "     "))
	}
	return nil
}

func (l *loadedLogs) events(b *bench) int {
	if b.full {
		return auditEventsFull
	}
	return auditEvents
}

// ask asks a question again and again, in rounds, each time with other values. With -full all of them are asked for once before,
// so that what they are about is in memory; else those of one round.
func (l *loadedLogs) ask(ctx context.Context, b *bench, one *loadedLog, orgIDs []string, q question) (rounds []sample, first sample, err error) {
	many, times := 3, 30
	if b.full {
		many, times = 5, 100
	}
	found := 0
	page := func(i int) (time.Duration, error) {
		f := q.filter(i)
		f.Limit = auditPage
		if q.deep {
			after, err := l.middle(ctx, one.log, orgIDs, f, i)
			if err != nil {
				return 0, err
			}
			f.After = after
		}
		begin := time.Now()
		page, err := one.log.ListOf(ctx, orgIDs, f)
		took := time.Since(begin)
		if err == nil && !q.few && len(page.Items) != auditPage {
			err = fmt.Errorf("a page of %d events", len(page.Items))
		}
		found += len(page.Items)
		return took, err
	}
	warm := times
	if b.full {
		warm *= many
	}
	until := time.Now().Add(askFor)
	for i := range warm {
		if time.Now().After(until) && i > 3 { // one that is far too slow needs no more figures
			many, times = 1, i
			break
		}
		took, err := page(i)
		if err != nil {
			return nil, nil, err
		}
		first.add(took, 1)
	}
	for round := range many {
		var s sample
		for i := range times {
			took, err := page(round*times + i)
			if err != nil {
				return nil, nil, err
			}
			s.add(took, 1)
		}
		rounds = append(rounds, s)
	}
	if found == 0 {
		return nil, nil, errors.New("nothing was found")
	}
	return rounds, first, nil
}

// middle is the cursor that a client has when it has come far: that of the first page, put to another time.
func (l *loadedLogs) middle(ctx context.Context, log *audit.Log, orgIDs []string, f audit.Filter, i int) (string, error) {
	page, err := log.ListOf(ctx, orgIDs, f)
	if err != nil {
		return "", err
	}
	b, err := base64.RawURLEncoding.DecodeString(page.Next)
	if err != nil {
		return "", err
	}
	position := map[string]any{}
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	if err := d.Decode(&position); err != nil {
		return "", err
	}
	if position["t"] == nil {
		return "", errors.New("a cursor has another form")
	}
	position["t"] = l.begin.Add(time.Duration(30*24+among(i, 32, 30*24)) * time.Hour).UnixMicro()
	if b, err = json.Marshal(position); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}
