package audit

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
)

type scrSettings struct {
	Models []string          `json:"models,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	Limit  *int              `json:"limit,omitempty"`
}
type scrTeam struct {
	store.Meta
	OrgID       string      `json:"organization_id"`
	Name        string      `json:"name"`
	Slug        string      `json:"slug"`
	SlugKey     string      `json:"-"`
	Description string      `json:"description"`
	Settings    scrSettings `json:"settings"`
	State       string      `json:"state"`
}

func (t *scrTeam) AuditResource() Resource { return Resource{"team", t.ID, t.Slug} }

func scrInput(ctx context.Context) (context.Context, scrTeam, scrTeam) {
	a := scrTeam{OrgID: "org_01K0000000000000000000000A", Name: "Team", Slug: "team-0000001", Description: "A team as most are, with a sentence about what it does.", State: "active",
		Settings: scrSettings{Models: []string{"gpt-4o"}, Labels: map[string]string{"a": "b"}}}
	a.ID = "team_01K0000000000000000000000B"
	a.CreatedAt, a.UpdatedAt = time.Now(), time.Now()
	b := a
	b.Description = "A team as most are, after change 12."
	b.Version++
	return WithActor(ctx, Actor{Type: User, ID: "usr_01K0000000000000000000000C", Label: "anna.abel@example.com", IP: netip.MustParseAddr("203.0.113.7"), UserAgent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", RequestID: "req_abcdefghijklmnopqrstuvwx"}), a, b
}

func BenchmarkScratchNew(b *testing.B) {
	ctx, was, is := scrInput(b.Context())
	b.ReportAllocs()
	for b.Loop() {
		newEvent(ctx, was.OrgID, "teams.update", Updated(&was, &is).In(is.ID))
	}
}

func BenchmarkScratchDiff(b *testing.B) {
	_, was, is := scrInput(b.Context())
	b.ReportAllocs()
	for b.Loop() {
		difference(&was, &is)
	}
}

func BenchmarkScratchEncode(b *testing.B) {
	ctx, was, is := scrInput(b.Context())
	e, _ := newEvent(ctx, was.OrgID, "teams.update", Updated(&was, &is).In(is.ID))
	e.ID = "evt_01K0000000000000000000000C"
	b.ReportAllocs()
	for b.Loop() {
		r := rowOf(&e)
		r.encode()
	}
}

func BenchmarkScratchAppend(b *testing.B) {
	s := memory.New(nil)
	l := New(s, &Options{NoBackground: true})
	ctx, was, is := scrInput(b.Context())
	err := s.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		b.ReportAllocs()
		for range b.N {
			l.Append(ctx, tx, was.OrgID, "teams.update", Updated(&was, &is).In(is.ID))
		}
		return context.Canceled
	})
	_ = err
}
