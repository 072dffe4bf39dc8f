package main

import (
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"
)

// explain prints who may use which model, and why or what is missing.
func (a *acme) explain(out io.Writer) error {
	fmt.Fprintln(out, "\nWho may use which model")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, p := range []struct{ name, team string }{{"bob", "engineering"}, {"erin", "marketing"}, {"frank", "data-science"}} {
		for _, model := range a.m.Catalogue().Models() {
			query := url.Values{"team_id": {a.teams[p.team]}, "resource": {"model:" + model.ID}, "action": {"use"}, "at": {a.now.Format("2006-01-02T15:04:05Z07:00")}}
			o, err := a.call(200, a.admin, "GET", "/v1/users/"+a.users[p.name]+"/permissions?"+query.Encode(), "")
			if err != nil {
				return err
			}
			why := texts(o["reasons"], "text")
			if remedy := texts(o["remedy"], ""); remedy != "" {
				why += "; to pass: " + remedy
			}
			fmt.Fprintf(w, "  %s (%s)\t%s\t%s\t%s\n", p.name, p.team, model.ID, o["decision"], why)
		}
	}
	return w.Flush()
}

// texts joins a list of texts, or one field of a list of objects.
func texts(v any, field string) string {
	list, _ := v.([]any)
	var out []string
	for _, e := range list {
		if o, ok := e.(map[string]any); ok {
			e = o[field]
		}
		out = append(out, fmt.Sprint(e))
	}
	return strings.Join(out, ", ")
}

// report prints spending and the end of the log.
func (a *acme) report(out io.Writer) error {
	o, err := a.call(200, a.admin, "GET", "/v1/organizations/"+a.org+"/budgets", "")
	if err != nil {
		return err
	}
	names := map[any]string{}
	for slug, id := range a.teams {
		names[id] = slug
	}
	for name, id := range a.users {
		names[id] = name
	}
	fmt.Fprintln(out, "\nBudgets, USD")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "whose\twindow\thard\tlimit\tspent\tleft\tstate\t")
	data, _ := o["data"].([]any)
	for _, e := range data {
		b := e.(map[string]any)
		fmt.Fprintf(w, "%s\t%v\t%v\t%v\t%v\t%v\t%v\t\n", names[b["scope_id"]], b["window"], b["hard_limit"], b["effective_limit"], b["spent"], b["remaining"], b["state"])
	}
	if err := w.Flush(); err != nil {
		return err
	}
	path := "/v1/organizations/" + a.org + "/audit"
	if o, err = a.call(200, a.admin, "GET", path+"/counts?event_types=authorization.denied,api_key.denied,security.*", ""); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nRefusals in the audit log")
	w = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	counts, _ := o["data"].([]any)
	for _, c := range counts {
		n := c.(map[string]any)
		fmt.Fprintf(w, "  %v\t%v\n", n["type"], n["events"])
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if o, err = a.call(200, a.admin, "GET", path+"/logs?limit=10&event_types=approval.*,api_key.*,budget.*,policy.*,team.*,member.*", ""); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nThe end of the audit log, newest changes first")
	w = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	events, _ := o["data"].([]any)
	for _, e := range events {
		ev := e.(map[string]any)
		by, about := ev["actor"].(map[string]any), ev["resource"].(map[string]any)
		fmt.Fprintf(w, "  %v\t%v\t%v\t%v %v\t%v\n", ev["time"], ev["type"], by["label"], about["type"], about["id"], ev["outcome"])
	}
	return w.Flush()
}
