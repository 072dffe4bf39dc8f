package audit_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// A user agent that is no UTF-8 does not make an honest log read as tampered.
func TestInvalidUTF8IsStillProved(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		l := newSigned(t, s)
		ctx := audit.WithActor(t.Context(), audit.Actor{Type: audit.User, ID: "usr_1", UserAgent: "Mozilla \xff"})
		require.NoError(t, l.Record(ctx, "org_1", "x.read", audit.Change{Type: "x.read"}))
		p, err := l.Prove(t.Context(), "org_1", 0)
		require.NoError(t, err)
		wire, err := json.Marshal(p)
		require.NoError(t, err)
		var heard audit.Proof
		require.NoError(t, json.Unmarshal(wire, &heard))
		_, err = heard.Verify(origin+"/org_1", l.verifiers)
		require.NoError(t, err)
		r := l.read(t, l.pieces(t, "org_1", 0))
		require.Equal(t, audit.Intact, r.Verdict, r)
	})
}

// What a database cannot keep, or not index, must not keep every organization's events from their places for ever.
func TestNoEventStandsInTheWay(t *testing.T) {
	long := strings.Builder{}
	for i := range 4000 {
		fmt.Fprintf(&long, "%x", (i*7919)^(i*i*31)&0xffff)
	}
	for name, c := range map[string]struct {
		a audit.Actor
		c audit.Change
	}{
		"utf8 request":  {audit.Actor{Type: audit.User, ID: "usr_1", RequestID: "\xff"}, audit.Change{Type: "x.read"}},
		"nul label":     {audit.Actor{Type: audit.User, ID: "usr_1", Label: "a\x00b"}, audit.Change{Type: "x.read"}},
		"utf8 label":    {audit.Actor{Type: audit.User, ID: "usr_1", Label: "a\xffb"}, audit.Change{Type: "x.read"}},
		"long label":    {audit.Actor{Type: audit.User, ID: "usr_1", Label: long.String()}, audit.Change{Type: "x.read"}},
		"long resource": {audit.Actor{Type: audit.User, ID: "usr_1"}, audit.Change{Type: "x.read", Resource: audit.Resource{Type: "x", ID: long.String()}}},
		"long slug":     {audit.Actor{Type: audit.User, ID: "usr_1"}, audit.Change{Type: "x.read", Resource: audit.Resource{Type: "x", ID: "1", Slug: long.String()}}},
		"nul resource":  {audit.Actor{Type: audit.User, ID: "usr_1"}, audit.Change{Type: "x.read", Resource: audit.Resource{Type: "x", ID: "\x00"}}},
		"nul reason":    {audit.Actor{Type: audit.User, ID: "usr_1"}, audit.Change{Type: "x.read", Reason: "\x00"}},
		"long system":   {audit.System(long.String()), audit.Change{Type: "x.read"}},
		"long team":     {audit.Actor{Type: audit.User, ID: "usr_1"}, audit.Change{Type: "x.read", TeamID: long.String()}},
		"nul team":      {audit.Actor{Type: audit.User, ID: "usr_1"}, audit.Change{Type: "x.read", TeamID: "\x00"}},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
				l := logs(s)
				err := l.Record(audit.WithActor(t.Context(), c.a), "org_1", "x.read", c.c)
				require.NoError(t, err)
				require.NoError(t, l.Record(as(t, alice), "org_2", "x.read", audit.Change{Type: "x.read"}))
				page, err := l.List(t.Context(), "org_2", audit.Filter{})
				require.NoError(t, err)
				require.Len(t, page.Items, 1)
			})
		})
	}
}

// A host may write the types of its events as it likes.
func TestOutcomeFilterSeesAllTypes(t *testing.T) {
	s := storetest.Open(t, "memory", store.Options{})
	l := logs(s)
	require.NoError(t, l.Record(as(t, alice), "org_1", "x", audit.Change{Type: "deployment.rolledBack"}))
	require.Len(t, types(t, s, "org_1", audit.Filter{}), 1)
	require.Len(t, types(t, s, "org_1", audit.Filter{Outcome: audit.Success}), 1)
}

func TestTwoIDsOfOneLeaf(t *testing.T) {
	e := newExport(t, 2).entries[0]
	e.ID = "x"
	one, err := e.Leaf()
	require.NoError(t, err)
	e.ID = "evt_=x"
	two, err := e.Leaf()
	require.NoError(t, err)
	require.NotEqual(t, one, two)
}

// The clock goes ahead and back, and beyond what most programs meet.
func TestClockThatErrs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		l := newSigned(t, s)
		now := clock.Now()
		clock.Set(time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC))
		l.write(t, "org_1", 1)
		clock.Set(now)
		l.write(t, "org_1", 2)
		clock.Set(time.Date(1901, 1, 1, 0, 0, 0, 0, time.UTC))
		l.write(t, "org_1", 2)
		l.write(t, "org_2", 2)
		clock.Set(now)
		for _, org := range []string{"org_1", "org_2"} {
			r := l.read(t, l.pieces(t, org, 0))
			require.Equal(t, audit.Intact, r.Verdict, r)
			page, err := l.List(t.Context(), org, audit.Filter{})
			require.NoError(t, err)
			require.Len(t, page.Items, map[string]int{"org_1": 5, "org_2": 2}[org])
		}
	})
}

func TestOddJSONIsProved(t *testing.T) {
	l := newSigned(t, storetest.Open(t, "memory", store.Options{}))
	for _, d := range []string{"{\"a\":\"\xff\"}", "{\"a\":\"\u2028<\"}", `{"a":1,"a":2}`, `{"a":1e999,"b":-0.0,"c":"\ud800"}`, `"\u0000"`, `[ 1 , 2 ]`, `null`} {
		require.NoError(t, l.Record(as(t, alice), "org_1", "x", audit.Change{Type: "x.read", Reason: "\x00\u2028\u202e<&>", Data: json.RawMessage(d)}), d)
		r := l.read(t, l.pieces(t, "org_1", 0))
		require.Equal(t, audit.Intact, r.Verdict, "%q: %v", d, r)
	}
}

// A line of an export has a bound, so what makes it long has one too.
func TestLongLabel(t *testing.T) {
	l := newSigned(t, storetest.Open(t, "memory", store.Options{}))
	a := alice
	a.Label = string(make([]byte, 300_000))
	require.NoError(t, l.Record(as(t, a), "org_1", "x", audit.Change{Type: "x.read"}))
	r := l.read(t, l.pieces(t, "org_1", 0))
	require.Equal(t, audit.Intact, r.Verdict, r)
}
