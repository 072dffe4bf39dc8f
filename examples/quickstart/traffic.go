package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/rbac"
)

// explain prints who may use which model, and why.
func (a *acme) explain(ctx context.Context, out io.Writer) error {
	fmt.Fprintln(out, "\nWho may use which model")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, p := range people {
		for _, model := range a.Catalogue().Models() {
			answer, err := a.Permission(platform(ctx), orgs.PermissionQuery{User: p.email, Team: a.teams[p.team].ID,
				Action: "use", Resource: "model:" + model.ID, At: a.now})
			if err != nil {
				return err
			}
			d := answer.Decision
			why := ""
			if len(d.Reasons) > 0 {
				why = d.Reasons[0].Text
			}
			if len(d.Remedy) > 0 {
				why += "; to pass: " + strings.Join(d.Remedy, ", ")
			}
			fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", p.email, model.ID, d.Verdict, why)
		}
	}
	return w.Flush()
}

// office is where the policy of Engineering lets calls come from.
var office = netip.MustParseAddr("10.0.1.7")

func (a *acme) call(team, model string) gate.Call {
	return gate.Call{Secret: a.keys[team], Model: model, InputTokens: 3000, MaxOutputTokens: 1000, Images: images(model),
		IP: office, Now: a.now, Tags: map[string]string{"project": "demo"}, ApprovalReason: "long context"}
}

func images(model string) int64 {
	if strings.HasPrefix(model, "dall-e") {
		return 1
	}
	return 0
}

// tally counts refusals by what would make them pass.
type tally struct {
	mu       sync.Mutex
	admitted int
	refused  map[string]int
	err      error
}

func (t *tally) add(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var d *gate.Denied
	switch {
	case err == nil:
		t.admitted++
	case errors.As(err, &d):
		t.refused[d.Code+"\t"+strings.Join(d.Remedy, ", ")]++
	default:
		t.err = err
	}
}

// use makes one call: what it is allowed to cost is held, what it does cost is charged.
func (a *acme) use(ctx context.Context, c gate.Call) error {
	adm, err := a.gate.Admit(ctx, c)
	if err != nil {
		return err
	}
	defer adm.Release(ctx)
	return adm.Settle(ctx, billing.Usage{InputTokens: c.InputTokens, OutputTokens: c.MaxOutputTokens / 2, Images: c.Images})
}

// traffic sends concurrent calls of all teams, some of which must be refused.
func (a *acme) traffic(ctx context.Context, out io.Writer) error {
	elsewhere := a.call("engineering", "gpt-4-turbo-preview")
	elsewhere.IP = netip.MustParseAddr("192.0.2.9")
	evening := a.call("engineering", "gpt-4-turbo-preview")
	evening.Now = a.now.Add(10 * 60 * 60 * 1e9)
	untagged := a.call("data-science", "claude-3-opus")
	untagged.Tags = nil
	calls := []gate.Call{
		a.call("engineering", "gpt-4-turbo-preview"), a.call("engineering", "claude-3-opus"), a.call("engineering", "dall-e-3"),
		a.call("engineering", "gpt-4-32k"), a.call("marketing", "claude-3-sonnet"), a.call("marketing", "dall-e-3"),
		a.call("marketing", "gpt-4-turbo"), a.call("data-science", "gpt-3.5-turbo"), elsewhere, evening, untagged,
	}
	t := &tally{refused: map[string]int{}}
	var wg sync.WaitGroup
	for _, c := range calls {
		for range 30 {
			wg.Go(func() { t.add(a.use(ctx, c)) })
		}
	}
	wg.Wait()
	if t.err != nil {
		return t.err
	}
	fmt.Fprintf(out, "\n%d concurrent calls: %d admitted; refused:\n", 30*len(calls), t.admitted)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	var lines []string
	for what, n := range t.refused {
		lines = append(lines, fmt.Sprintf("  %d\t%s", n, what))
	}
	slices.Sort(lines)
	for _, l := range lines {
		fmt.Fprintln(w, l)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return a.approve(ctx, out)
}

// approve lets the lead answer the request that the refused calls have opened.
func (a *acme) approve(ctx context.Context, out io.Writer) error {
	c := a.call("engineering", "gpt-4-32k")
	_, err := a.gate.Admit(ctx, c)
	var d *gate.Denied
	if !errors.As(err, &d) || d.ApprovalID == "" {
		return fmt.Errorf("gpt-4-32k without approval: %v", err)
	}
	if _, err := a.DecideApproval(a.as(ctx, "alice@acme.example"), a.org.ID, d.ApprovalID, rbac.ApprovalDecision{Approve: true}); err != nil {
		return err
	}
	if err := a.use(ctx, c); err != nil {
		return fmt.Errorf("gpt-4-32k with approval: %w", err)
	}
	fmt.Fprintln(out, "\ngpt-4-32k was refused, Alice approved, and the next call passed.")
	return nil
}

// report prints spending and the end of the log.
func (a *acme) report(ctx context.Context, out io.Writer) error {
	states, err := a.Overview(platform(ctx), a.org.ID)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "\nBudgets of this month, USD")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "  team\tlimit\tspent\tleft\tstate\t")
	for _, s := range states {
		for slug, team := range a.teams {
			if team.ID == s.Budget.ScopeID {
				fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\t\n", slug, s.Limit, s.Spent, s.Remaining, s.State)
			}
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	log, err := a.AuditLog(platform(ctx), a.org.ID, audit.Filter{Limit: 8})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "\nThe end of the audit log, newest first")
	w = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, e := range log.Items {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s:%s\t%s\n", e.CreatedAt.Format("15:04:05.000"), e.Type, e.ActorLabel, e.ResourceType, e.ResourceID, e.Outcome)
	}
	return w.Flush()
}
