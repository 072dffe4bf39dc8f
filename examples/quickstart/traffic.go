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
	"time"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs/gate"
)

// request is an AI request of a team's key, from inside of Acme's network.
func (a *acme) request(team, model string) gate.Call {
	c := gate.Call{Secret: a.keys[team], Model: model, InputTokens: 3000, MaxOutputTokens: 1000, IP: netip.MustParseAddr("10.0.1.7"), Now: a.now,
		Tags: map[string]string{"project": "demo"}, ApprovalReason: "long contracts"}
	if strings.HasPrefix(model, "dall-e") {
		c.Images = 1
	}
	return c
}

// use makes one request: what it may cost is held, what it does cost is charged.
func (a *acme) use(ctx context.Context, c gate.Call) error {
	adm, err := a.gate.Admit(ctx, c)
	if err != nil {
		return err
	}
	// A host that may return before it knows the cost defers adm.Release here.
	return adm.Settle(ctx, billing.Usage{InputTokens: c.InputTokens, OutputTokens: c.MaxOutputTokens / 2, Images: c.Images})
}

// tally counts answers by what they were and what would make them pass.
type tally struct {
	mu       sync.Mutex
	admitted map[string]int
	refused  map[[3]string]int
	err      error
}

func (t *tally) add(what string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var d *gate.Denied
	switch {
	case err == nil:
		t.admitted[what]++
	case errors.As(err, &d):
		remedy := strings.Join(d.Remedy, ", ")
		if remedy == "" {
			remedy = d.Message
		}
		t.refused[[3]string{what, d.Code, remedy}]++
	default:
		t.err = err
	}
}

// traffic sends 30 of each kind of request at once.
func (a *acme) traffic(ctx context.Context, out io.Writer) error {
	elsewhere := a.request("engineering", "gpt-4-turbo-preview")
	elsewhere.IP = netip.MustParseAddr("10.0.2.7")
	evening := a.request("engineering", "gpt-4-turbo-preview")
	evening.Now = a.now.Add(10 * time.Hour)
	untagged := a.request("data-science", "claude-3-opus")
	untagged.Tags = nil
	kinds := map[string]gate.Call{
		"engineering, gpt-4-turbo-preview":                a.request("engineering", "gpt-4-turbo-preview"),
		"engineering, claude-3-opus":                      a.request("engineering", "claude-3-opus"),
		"engineering, gpt-4-turbo-preview from 10.0.2.7":  elsewhere,
		"engineering, gpt-4-turbo-preview at 20:00":       evening,
		"engineering, dall-e-3":                           a.request("engineering", "dall-e-3"),
		"engineering, gpt-4-32k":                          a.request("engineering", "gpt-4-32k"),
		"marketing, dall-e-3 (Erin has 0.25 USD a day)":   a.request("marketing", "dall-e-3"),
		"marketing, gpt-4-turbo":                          a.request("marketing", "gpt-4-turbo"),
		"data-science, gpt-3.5-turbo":                     a.request("data-science", "gpt-3.5-turbo"),
		"data-science, claude-3-opus without project tag": untagged,
	}
	t := &tally{admitted: map[string]int{}, refused: map[[3]string]int{}}
	var wg sync.WaitGroup
	for what, c := range kinds {
		for range 30 {
			wg.Go(func() { t.add(what, a.use(ctx, c)) })
		}
	}
	wg.Wait()
	if t.err != nil {
		return t.err
	}
	if err := t.print(out); err != nil {
		return err
	}
	return a.approve(ctx, out)
}

func (t *tally) print(out io.Writer) error {
	var lines []string
	total := 0
	for what, n := range t.admitted {
		lines = append(lines, fmt.Sprintf("  %s\t%d\tadmitted\t", what, n))
		total += n
	}
	for what, n := range t.refused {
		lines = append(lines, fmt.Sprintf("  %s\t%d\t%s\t%s", what[0], n, what[1], what[2]))
		total += n
	}
	slices.Sort(lines)
	fmt.Fprintf(out, "\n%d concurrent AI requests\n", total)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "  request\tcount\tanswer\tto pass")
	for _, l := range lines {
		fmt.Fprintln(w, l)
	}
	return w.Flush()
}

// approve lets Dave, a lead by now, answer the request for approval that the refused requests have
// opened.
func (a *acme) approve(ctx context.Context, out io.Writer) error {
	c := a.request("engineering", "gpt-4-32k")
	_, err := a.gate.Admit(ctx, c)
	var d *gate.Denied
	if !errors.As(err, &d) || d.ApprovalID == "" {
		return errors.Join(errors.New("gpt-4-32k was admitted without approval, or opened no request for one"), err)
	}
	if _, err := a.call(200, a.token["dave"], "POST", "/v1/approvals/"+d.ApprovalID+"/decision", `{"decision": "approve"}`); err != nil {
		return err
	}
	if err := a.use(ctx, c); err != nil {
		return fmt.Errorf("gpt-4-32k with approval: %w", err)
	}
	c.InputTokens = 200_000
	if err := a.use(ctx, c); !errors.As(err, &d) || d.Code != "cost_limit_exceeded" {
		return errors.Join(errors.New("gpt-4-32k was not refused by its cost limit"), err)
	}
	fmt.Fprintln(out, "\ngpt-4-32k: refused, approved by Dave, then admitted up to 10 USD a request.")
	return nil
}
