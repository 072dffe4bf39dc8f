package scim

import (
	"context"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/scim/schema"
	"github.com/orgkit/orgkit/store"
)

// record is a user or group as it is kept.
type record interface {
	meta() store.Meta
}

type (
	userRecord  struct{ orgs.ProvisionedUser }
	groupRecord struct{ orgs.ProvisionedGroup }
)

func (u userRecord) meta() store.Meta  { return u.Meta }
func (g groupRecord) meta() store.Meta { return g.Meta }

// kind is a resource type and how it is kept.
type kind struct {
	typ     *schema.ResourceType
	limit   int64    // of bodies, in bytes
	indexed []string // attributes that are looked up, the best first
	column  map[string]string

	get   func(ctx context.Context, p *orgs.Provisioner, id string) (record, error)
	with  func(ctx context.Context, p *orgs.Provisioner, column string, values []string) ([]record, error)
	all   func(ctx context.Context, p *orgs.Provisioner, after string, atOnce int) iter.Seq2[record, error]
	count func(ctx context.Context, p *orgs.Provisioner) (int, error)
	// objects makes resources of records, with the groups of users or the members of groups where that is wanted. There may be
	// fewer than were asked for, but not none.
	objects func(ctx context.Context, p *orgs.Provisioner, base string, of []record, linked bool) ([]schema.Object, error)
	linked  string // the name of the attribute that is then there
	// some is objects for one record, with only those of what is linked that have one of the values; nil: there is none.
	some func(ctx context.Context, p *orgs.Provisioner, base string, of record, values []string) (schema.Object, error)

	create  func(ctx context.Context, q *request, p *orgs.Provisioner, o schema.Object, body map[string]any) (record, audit.Change, error)
	replace func(ctx context.Context, q *request, p *orgs.Provisioner, old record, o schema.Object) (record, audit.Change, error)
	patch   func(ctx context.Context, q *request, p *orgs.Provisioner, old record, body map[string]any) (record, audit.Change, error)
	remove  func(ctx context.Context, p *orgs.Provisioner, old record) (audit.Change, error)
}

// kinds are the resource types.
var kinds = []*kind{&users, &groups}

// kindOf is the resource type with that endpoint, nil where there is none.
func kindOf(part string) *kind {
	for _, k := range []*kind{&users, &groups} { // which kinds are too, but what they do leads back here
		if k.typ.Endpoint == "/"+part {
			return k
		}
	}
	return nil
}

// baseOf is where the resources of the organization say that they are.
func (h *Handler) baseOf(p *orgs.Provisioner) string {
	if p.Settings.BaseURL != "" {
		return p.Settings.BaseURL
	}
	return h.base
}

func tag(m store.Meta) string { return `W/"` + strconv.FormatInt(m.Version, 10) + `"` }

// finish adds what every resource has.
func finish(t *schema.ResourceType, o schema.Object, m store.Meta, external *string, base string) {
	o["id"] = m.ID
	if external != nil {
		o["externalId"] = *external
	}
	o["schemas"] = t.URNs(o)
	o["meta"] = schema.Object{"resourceType": t.Name, "created": m.CreatedAt.UTC().Format(time.RFC3339Nano),
		"lastModified": m.UpdatedAt.UTC().Format(time.RFC3339Nano), "location": base + t.Endpoint + "/" + m.ID, "version": tag(m)}
}

// externalID is that of a resource, nil for none.
func externalID(o schema.Object) *string {
	if s := o.Text("externalId"); s != "" {
		return &s
	}
	return nil
}

// dropped adds to a change which attributes of the request were not taken.
func dropped(c audit.Change, names []string) audit.Change {
	if len(names) > 0 {
		c.Data = map[string]any{"ignored": strings.Join(names[:min(len(names), 20)], " "), "more": c.Data}
	}
	return c
}

func records[R any](all iter.Seq2[R, error], of func(R) record) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		for r, err := range all {
			if !yield(of(r), err) {
				return
			}
		}
	}
}

func recordList[R any](list []R, err error, of func(R) record) ([]record, error) {
	all := make([]record, len(list))
	for i, r := range list {
		all[i] = of(r)
	}
	return all, err
}
