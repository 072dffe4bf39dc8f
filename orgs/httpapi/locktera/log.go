package locktera

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/store"
)

// accessView is an entry of the access log.
type accessView struct {
	Timestamp string  `json:"timestamp"`
	User      string  `json:"user"` // e-mail address of a person; of a key, the platform or the host its id
	Action    string  `json:"action"`
	Status    string  `json:"status"`
	OrgID     string  `json:"org_id"`
	IP        *string `json:"ip"`
	UserID    string  `json:"user_id"`
}

func (a *api) accessLog(w http.ResponseWriter, r *http.Request, at place) (answer, error) {
	f, err := logFilter(r)
	if err != nil {
		return answer{}, err
	}
	list, err := newest(a, w, r, f, func(ctx context.Context, f audit.Filter) (store.Page[orgs.Access], error) {
		return a.AccessLog(ctx, at.id, f)
	})
	if err != nil {
		return answer{}, err
	}
	v := make([]accessView, 0, len(list))
	for _, e := range list {
		entry := accessView{Timestamp: httpapi.Stamp(e.Time), User: e.Who, Action: string(e.Did), Status: "FAILURE", OrgID: e.OrgID, IP: optional(e.IP), UserID: e.ActorID}
		if e.Granted {
			entry.Status = "SUCCESS"
		}
		if a.opt.SpecShapes {
			entry.Action = strings.ToLower(entry.Action)
		}
		v = append(v, entry)
	}
	return ok(v), nil
}

// auditView is an entry of the log of everything below an organization.
type auditView struct {
	Action       string          `json:"action"` // insert, update or delete
	OrgID        string          `json:"org_id"`
	AddressID    *string         `json:"address_id"` // the person that it is about
	AdminID      string          `json:"admin_id"`   // who did it
	Timestamp    string          `json:"timestamp"`
	OldData      json.RawMessage `json:"old_data"`
	NewData      json.RawMessage `json:"new_data"`
	IP           *string         `json:"ip"`
	Type         string          `json:"type"`
	ResourceType string          `json:"resource_type"`
	ResourceID   string          `json:"resource_id"`
}

func (a *api) childrenAudit(w http.ResponseWriter, r *http.Request, at place) (answer, error) {
	f, err := logFilter(r)
	if err != nil {
		return answer{}, err
	}
	list, err := newest(a, w, r, f, func(ctx context.Context, f audit.Filter) (store.Page[audit.Event], error) {
		return a.AuditLogBelow(ctx, at.id, f)
	})
	if err != nil {
		return answer{}, err
	}
	v := make([]auditView, 0, len(list))
	for _, e := range list {
		entry := auditView{Action: "update", OrgID: e.OrgID, AdminID: e.ActorID, Timestamp: httpapi.Stamp(e.Time), OldData: e.Before, NewData: e.After,
			IP: optional(e.IP), Type: e.Type, ResourceType: e.ResourceType, ResourceID: e.ResourceID}
		switch _, verb, _ := strings.Cut(e.Type, "."); verb {
		case "created":
			entry.Action = "insert"
		case "deleted", "removed":
			entry.Action = "delete"
		}
		if e.ResourceType == "user" {
			entry.AddressID = optional(e.ResourceID)
		}
		v = append(v, entry)
	}
	return ok(v), nil
}

// logFilter reads start, end and before.
func logFilter(r *http.Request) (f audit.Filter, err error) {
	q, err := query(r)
	if err != nil {
		return f, err
	}
	if f.Start, err = instant(q, "start"); err != nil {
		return f, err
	}
	if f.End, err = instant(q, "end"); err != nil {
		return f, err
	}
	f.After = q.Get("before")
	return f, f.Validate()
}

// newest reads as many entries as an array may have, and says in the header Link where older ones are.
func newest[T any](a *api, w http.ResponseWriter, r *http.Request, f audit.Filter, list func(context.Context, audit.Filter) (store.Page[T], error)) (all []T, err error) {
	for {
		f.Limit = min(audit.MaxPage, a.opt.LogCap-len(all))
		page, err := list(r.Context(), f)
		if err != nil {
			return nil, err
		}
		all, f.After = append(all, page.Items...), page.Next
		if f.After == "" {
			return all, nil
		}
		if len(all) >= a.opt.LogCap {
			break
		}
	}
	q := url.Values{"before": {f.After}}
	for _, name := range []string{"start", "end"} {
		if v := r.URL.Query().Get(name); v != "" {
			q.Set(name, v)
		}
	}
	w.Header().Set("Link", "<"+a.link(r.URL.EscapedPath()+"?"+q.Encode())+`>; rel="next"`)
	return all, nil
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
