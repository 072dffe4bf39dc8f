package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/stretchr/testify/require"
)

var (
	small = loadScale{orgs: 1, users: 100, queries: 4096}
	many  = loadScale{orgs: 20, users: 100, queries: 8192}
)

func TestVocabularyIsClosed(t *testing.T) {
	require.Len(t, loadActions, 74)
	require.True(t, slices.IsSorted(loadActions))
	require.Len(t, slices.Compact(slices.Clone(loadActions)), 74)
	known := func(pattern string) bool {
		return slices.ContainsFunc(loadActions, func(a string) bool { return covers(strings.TrimSuffix(pattern, ":own"), a) })
	}
	for _, r := range loadRoles {
		for _, permission := range r.permissions {
			require.True(t, known(permission), permission)
		}
	}
}

func TestMixIsWhatItClaims(t *testing.T) {
	for _, s := range []loadScale{small, many} {
		w := newWorkload(s)
		require.Len(t, w.orgs, s.orgs)
		require.Len(t, w.queries, s.queries)
		var allowed, denied, conditionalAllowed, conditionalDenied float64
		profiles, asked := map[[2]int]bool{}, map[string]bool{}
		for _, q := range w.queries {
			require.Equal(t, q.action, w.actions[q.act])
			require.Equal(t, q.want, w.allowed(q))
			require.Equal(t, q.want, w.pooled(q))
			require.Equal(t, q.conditional, w.depends(q))
			u := w.orgs[q.org].users[q.user]
			profiles[[2]int{u.role, u.team}] = true
			asked[fmt.Sprint(u.id, q.action, q.resource)] = true
			switch {
			case q.conditional && q.want:
				conditionalAllowed++
			case q.conditional:
				conditionalDenied++
			case q.want:
				allowed++
			default:
				denied++
			}
		}
		n := float64(s.queries)
		require.InDelta(t, 0.7, allowed/n, 0.001)
		require.InDelta(t, 0.2, denied/n, 0.001)
		require.Greater(t, conditionalAllowed/n, 0.02)
		require.Greater(t, conditionalDenied/n, 0.02)
		require.Len(t, profiles, 20)
		require.Len(t, asked, s.queries, "all are distinct")
	}
}

func TestWorkloadIsTheSameEachTime(t *testing.T) {
	require.Equal(t, newWorkload(small), newWorkload(small))
}

// What the sizes of the peers' rule sets were when their figures were taken first.
func TestPeersHaveAsManyRulesAsTheirFiguresSay(t *testing.T) {
	w := newWorkload(small)
	m, err := w.casbinModel(w.orgs[0], casbinPlain)
	require.NoError(t, err)
	require.Len(t, m["p"]["p"].Policy, 33)
	require.Len(t, m["g"]["g"].Policy, 2*small.users)
	set, err := w.cedarPolicies(w.orgs[0])
	require.NoError(t, err)
	n := 0
	for range set.All() {
		n++
	}
	require.Equal(t, 16, n)
}

func TestPeersAnswerAsTheReference(t *testing.T) {
	for _, s := range []loadScale{small, many} {
		w := newWorkload(s)
		for _, p := range peers {
			c, err := p.load(w)
			require.NoError(t, err, p.name)
			require.NoError(t, w.verify(c), p.name)
		}
	}
}

func TestWrongAnswerIsAnError(t *testing.T) {
	w := newWorkload(small)
	require.Error(t, w.verify(func(int) (bool, error) { return true, nil }))
}

// The vectors of the grammar: a * is a segment, as the last one also more of them.
func TestCovers(t *testing.T) {
	for _, v := range []struct {
		pattern, action string
		want            bool
	}{
		{"*", "billing.read", true}, {"*", "billing", true},
		{"billing.*", "billing.read", true}, {"billing.*", "billing.invoices.read", true},
		{"billing.*", "billing", false}, {"billing.*", "billings.read", false},
		{"*.read", "billing.read", true}, {"*.read", "billing.delete", false}, {"*.read", "billing.invoices.read", false},
		{"*.read", "read", false}, {"*.*", "billing.read", true}, {"*.*", "billing", false},
		{"billing.*.read", "billing.invoices.read", true}, {"billing.*.read", "billing.read", false},
		{"usage.read", "usage.read", true}, {"usage.read", "usageXread", false}, {"usage", "usage.read", false},
	} {
		require.Equal(t, v.want, covers(v.pattern, v.action), "%s, %s", v.pattern, v.action)
	}
}

func TestGlob(t *testing.T) {
	for _, v := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "", true}, {"*", "model:x", true}, {"model:*", "model:org/claude-3", true}, {"model:*", "model:", true},
		{"model:claude-3-*", "model:claude-3-opus", true}, {"model:claude-3-*", "model:anthropic/claude-3-opus", false},
		{"*opus", "model:claude-3-opus", true}, {"*opus", "model:opus-3", false}, {"m*:*-3-*", "model:claude-3-opus", true},
		{"model:gpt-4o", "model:gpt-4o-mini", false}, {"model:a[1]?", "model:a[1]?", true}, {"model:a[1]?", "model:a1x", false},
	} {
		require.Equal(t, v.want, glob(v.pattern, v.name), "%s, %s", v.pattern, v.name)
	}
}

func benchmarkPeer(b *testing.B, name string) {
	w := newWorkload(small)
	i := slices.IndexFunc(peers, func(p peer) bool { return p.name == name })
	c, err := peers[i].load(w)
	require.NoError(b, err)
	require.NoError(b, w.verify(c))
	ask(b, w, c)
}

// ask asks all queries of a workload, again and again.
func ask(b *testing.B, w *workload, c check) {
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n == len(w.queries) {
			n = 0
		}
		if _, err := c(n); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCasbin(b *testing.B)       { benchmarkPeer(b, "casbin") }
func BenchmarkCasbinTuned(b *testing.B)  { benchmarkPeer(b, "casbin, tuned matcher") }
func BenchmarkCasbinCached(b *testing.B) { benchmarkPeer(b, "casbin, cached") }
func BenchmarkCedar(b *testing.B)        { benchmarkPeer(b, "cedar") }

func BenchmarkHandle(b *testing.B) { benchmarkOrgkit(b, (*orgkit).handles) }
func BenchmarkStrings(b *testing.B) {
	benchmarkOrgkit(b, func(o *orgkit, ctx context.Context) (check, error) { return o.strings(ctx), nil })
}

func benchmarkOrgkit(b *testing.B, by func(*orgkit, context.Context) (check, error)) {
	w := newWorkload(oneOrg)
	o, err := loadOrgkit(b.Context(), w)
	require.NoError(b, err)
	defer o.close()
	c, err := by(o, b.Context())
	require.NoError(b, err)
	require.NoError(b, w.verify(c))
	ask(b, w, c)
}

func BenchmarkWhoCan(b *testing.B) {
	o := changing(b)
	ctx := audit.WithActor(b.Context(), audit.PlatformAdmin())
	q := rbac.AccessQuery{OrgID: o.w.orgs[0].id, Action: "models.use", Resource: "model:claude-3-opus"}
	b.ReportAllocs()
	for b.Loop() {
		_, err := o.WhoCan(ctx, q)
		require.NoError(b, err)
	}
}

func BenchmarkWhatIf(b *testing.B) {
	o := changing(b)
	ctx := audit.WithActor(b.Context(), audit.PlatformAdmin())
	for _, p := range o.proposals() {
		b.Run(p.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, err := o.WhatIf(ctx, o.whatIf(), p.make)
				require.NoError(b, err)
			}
		})
	}
}

func changing(b *testing.B) *orgkit {
	o, err := loadOrgkit(b.Context(), newWorkload(changeScale))
	require.NoError(b, err)
	b.Cleanup(o.close)
	return o
}

func BenchmarkWorkload(b *testing.B) {
	for b.Loop() {
		newWorkload(small)
	}
}
