package rest

import (
	"context"
	"net/http"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs/httpapi"
)

type countQuery struct {
	StartTime   string   `query:"start_time" doc:"widened to the beginning of its hour; absent: a day before end_time, of days 30"`
	EndTime     string   `query:"end_time" doc:"widened to the end of its hour; absent: now"`
	Group       string   `query:"group" enum:"hour,day" doc:"hours or days of UTC; absent: all of the time in one"`
	EventTypes  []string `query:"event_types,explode"`
	EventTypes2 []string `query:"event_types[],explode"`
}

func (q *countQuery) query() (c audit.CountQuery, err error) {
	c = audit.CountQuery{Types: flat(q.EventTypes, q.EventTypes2), By: q.Group}
	if c.Start, err = instant("start_time", q.StartTime); err != nil {
		return c, err
	}
	c.End, err = instant("end_time", q.EndTime)
	return c, err
}

type countsView struct {
	StartTime string      `json:"start_time"`
	EndTime   string      `json:"end_time" doc:"itself outside"`
	Data      []countView `json:"data"`
}

type countView struct {
	Start   string        `json:"start" doc:"of the hour, the day or all of it"`
	Type    string        `json:"type"`
	Outcome audit.Outcome `json:"outcome"`
	Events  int64         `json:"events"`
}

func renderCounts(c audit.Counts) countsView {
	v := countsView{httpapi.Stamp(c.From), httpapi.Stamp(c.Below), make([]countView, len(c.Items))}
	for i, n := range c.Items {
		v.Data[i] = countView{httpapi.Stamp(n.Start), n.Type, n.Outcome, n.Events}
	}
	return v
}

type gapQuery struct {
	StartTime string `query:"start_time" doc:"absent: when the organization was made"`
	EndTime   string `query:"end_time" doc:"absent: now"`
}

type gapsView struct {
	Complete bool      `json:"complete" doc:"there is none"`
	Gaps     []gapView `json:"gaps"`
}

type gapView struct {
	From      string          `json:"from"`
	To        string          `json:"to" doc:"itself outside"`
	Reason    audit.GapReason `json:"reason" enum:"before_creation,retention,logging_off"`
	NotLogged []string        `json:"not_logged,omitempty" doc:"the families of which not all events were written"`
}

func renderGaps(gaps []audit.Gap) gapsView {
	v := gapsView{len(gaps) == 0, make([]gapView, len(gaps))}
	for i, g := range gaps {
		v.Gaps[i] = gapView{exact(g.From), exact(g.To), g.Reason, g.NotLogged}
	}
	return v
}

// counted serves numbers of events.
func (a *api) counted(path, summary string, count func(ctx context.Context, org string, q audit.CountQuery) (audit.Counts, error)) {
	add[countQuery, none](a, http.MethodGet, path, summary, func(ctx context.Context, in *countQuery) (*answer[countsView], error) {
		q, err := in.query()
		if err != nil {
			return nil, err
		}
		c, err := count(ctx, param(ctx, "org"), q)
		if err != nil {
			return nil, err
		}
		return ok(renderCounts(c))
	})
}

func (a *api) auditCounts() {
	a.counted("/v1/organizations/{org}/audit/counts", "Count events by type, outcome and time", a.AuditCounts)
	a.counted("/v1/organizations/{org}/audit/descendants/counts", "Count the events of all organizations below, without its own", a.AuditCountsBelow)
	add[gapQuery, none](a, http.MethodGet, "/v1/organizations/{org}/audit/gaps", "Of which times the log cannot tell everything, and why",
		func(ctx context.Context, in *gapQuery) (*answer[gapsView], error) {
			from, err := instant("start_time", in.StartTime)
			if err != nil {
				return nil, err
			}
			to, err := instant("end_time", in.EndTime)
			if err != nil {
				return nil, err
			}
			gaps, err := a.AuditGaps(ctx, param(ctx, "org"), from, to)
			if err != nil {
				return nil, err
			}
			return ok(renderGaps(gaps))
		})
}
