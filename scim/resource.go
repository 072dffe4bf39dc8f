package scim

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/scim/schema"
	"github.com/orgkit/orgkit/store"
)

// chosen is what of a resource the answer is to have.
func (q *request) chosen(k *kind) (projection, error) {
	v := q.http.URL.Query()
	return project(k.typ, names(v["attributes"]), names(v["excludedAttributes"]))
}

// shown makes the answer about a record.
func (q *request) shown(ctx context.Context, p *orgs.Provisioner, k *kind, r record, status int, show projection, linked bool) (*answer, error) {
	all, err := k.objects(ctx, p, q.baseOf(p), []record{r}, linked)
	if err != nil {
		return nil, err
	}
	meta := all[0].Part("meta")
	return &answer{status: status, body: show.show(all[0]), location: meta.Text("location"), version: meta.Text("version")}, nil
}

func (q *request) get(k *kind, id string) (*answer, error) {
	show, err := q.chosen(k)
	if err != nil {
		return nil, err
	}
	var a *answer
	err = q.m.Provisioned(q.ctx(), func(ctx context.Context, p *orgs.Provisioner) error {
		r, err := k.get(ctx, p, id)
		if err != nil {
			return err
		}
		a, err = q.shown(ctx, p, k, r, http.StatusOK, show, show.wants(k.linked))
		return err
	})
	if err == nil {
		a.location = ""
	}
	return a, err
}

func (q *request) create(k *kind, body map[string]any) (*answer, error) {
	show, err := q.chosen(k)
	if err != nil {
		return nil, err
	}
	how := &schema.Reading{Strict: q.opt.Strict}
	o, err := k.typ.Read(body, how)
	if err != nil {
		return nil, err
	}
	var a *answer
	err = q.m.Provision(q.ctx(), "scim."+k.noun()+".create", func(ctx context.Context, p *orgs.Provisioner) (audit.Change, error) {
		r, c, err := k.create(ctx, q, p, o.Clone(), body)
		if err != nil {
			return c, whose(err, q.baseOf(p)+k.typ.Endpoint)
		}
		linked := k == &groups || q.opt.GroupsOnCreate // else nobody new is in a group
		a, err = q.shown(ctx, p, k, r, http.StatusCreated, show, linked && show.wants(k.linked))
		return dropped(c, how.Dropped), err
	})
	return a, err
}

// noun is what the log calls the resources.
func (k *kind) noun() string { return strings.ToLower(strings.Trim(k.typ.Endpoint, "/")) }

func (q *request) replace(k *kind, id string, body map[string]any) (*answer, error) {
	show, err := q.chosen(k)
	if err != nil {
		return nil, err
	}
	how := &schema.Reading{Strict: q.opt.Strict}
	o, err := k.typ.Read(body, how)
	if err != nil {
		return nil, err
	}
	return q.change(k, id, "replace", func(ctx context.Context, p *orgs.Provisioner, old record) (record, audit.Change, error) {
		r, c, err := k.replace(ctx, q, p, old, o.Clone())
		return r, dropped(c, how.Dropped), err
	}, func(ctx context.Context, p *orgs.Provisioner, r record) (*answer, error) {
		return q.shown(ctx, p, k, r, http.StatusOK, show, show.wants(k.linked))
	})
}

// patch answers with a user; with a group only where the request chooses what of it, and with its members where they are
// named.
func (q *request) patch(k *kind, id string, body map[string]any) (*answer, error) {
	show, err := q.chosen(k)
	if err != nil {
		return nil, err
	}
	return q.change(k, id, "patch", func(ctx context.Context, p *orgs.Provisioner, old record) (record, audit.Change, error) {
		return k.patch(ctx, q, p, old, body)
	}, func(ctx context.Context, p *orgs.Provisioner, r record) (*answer, error) {
		if k == &groups && !show.chosen {
			return &answer{status: http.StatusNoContent, version: tag(r.meta())}, nil
		}
		return q.shown(ctx, p, k, r, http.StatusOK, show, show.wants(k.linked) && (k == &users || show.named))
	})
}

// change changes a record in one unit and makes the answer in it. What is changed into what it was is not changed.
func (q *request) change(k *kind, id, verb string, fn func(ctx context.Context, p *orgs.Provisioner, old record) (record, audit.Change, error),
	then func(ctx context.Context, p *orgs.Provisioner, r record) (*answer, error)) (*answer, error) {
	var a *answer
	err := q.m.Provision(q.ctx(), "scim."+k.noun()+"."+verb, func(ctx context.Context, p *orgs.Provisioner) (audit.Change, error) {
		old, err := k.get(ctx, p, id)
		if err != nil {
			return audit.Change{}, err
		}
		if err := q.precondition(old); err != nil {
			return audit.Change{}, err
		}
		r, c, err := fn(ctx, p, old)
		if err != nil && !errors.Is(err, orgs.ErrUnchanged) {
			return c, err
		}
		unchanged := err
		if a, err = then(ctx, p, r); err != nil {
			return c, err
		}
		return c, unchanged
	})
	return a, err
}

func (q *request) remove(k *kind, id string) (*answer, error) {
	err := q.m.Provision(q.ctx(), "scim."+k.noun()+".delete", func(ctx context.Context, p *orgs.Provisioner) (audit.Change, error) {
		old, err := k.get(ctx, p, id)
		if err != nil {
			return audit.Change{}, err
		}
		if err := q.precondition(old); err != nil {
			return audit.Change{}, err
		}
		return k.remove(ctx, p, old)
	})
	return &answer{status: http.StatusNoContent}, err
}

// precondition holds the record against If-Match (RFC 7644 §3.14). What is only shown with it, such as the groups of a user,
// does not count.
func (q *request) precondition(r record) error {
	list := q.http.Header.Get("If-Match")
	if list == "" {
		return nil
	}
	for one := range strings.SplitSeq(list, ",") {
		one = strings.Trim(strings.TrimPrefix(strings.TrimSpace(one), "W/"), `"`)
		number, _, _ := strings.Cut(one, "-")
		if one == "*" || number == strconv.FormatInt(r.meta().Version, 10) {
			return nil
		}
	}
	return &store.ConflictError{Code: "version_mismatch", Message: "it has another version by now; read it again"}
}

// searchAll searches users, then groups (RFC 7644 §3.4.3). What only one of them has the other does not match.
func (q *request) searchAll() (*answer, error) {
	return q.withBody(users.limit, func(body map[string]any) (*answer, error) {
		in, err := searchRequest(body)
		if err != nil {
			return nil, err
		}
		if in.cursor != nil || in.sortBy != "" {
			return nil, &statusError{http.StatusNotImplemented, "everything can be searched by index, in no order; search users or groups for more"}
		}
		var finds []find
		var refused error
		for _, k := range kinds {
			f, err := q.compile(k, in)
			if err != nil {
				refused = err
				continue
			}
			finds = append(finds, f)
		}
		if len(finds) == 0 {
			return nil, refused
		}
		var all listResponse
		err = q.m.Provisioned(q.ctx(), func(ctx context.Context, p *orgs.Provisioner) error {
			all, err = q.both(ctx, p, finds)
			return err
		})
		return &answer{status: http.StatusOK, body: all}, err
	})
}

// both is one list of several.
func (q *request) both(ctx context.Context, p *orgs.Provisioner, finds []find) (all listResponse, err error) {
	start, count := finds[0].start, finds[0].count
	all = listResponse{Schemas: []string{listURN}, StartIndex: start, Resources: []schema.Object{}}
	for _, f := range finds {
		f.start, f.count = max(1, start-all.TotalResults), count-len(all.Resources)
		page, err := q.page(ctx, p, f)
		if err != nil {
			return all, err
		}
		all.TotalResults += page.TotalResults
		all.Resources = append(all.Resources, page.Resources...)
	}
	all.ItemsPerPage = len(all.Resources)
	return all, nil
}

// withQuery is the request with another query, for operations of a bulk request.
func (q *request) withQuery(method string, values url.Values) *request {
	r := q.http.Clone(q.ctx())
	r.Method, r.URL.RawQuery = method, values.Encode()
	r.Header = http.Header{}
	return &request{Handler: q.Handler, orgID: q.orgID, http: r}
}
