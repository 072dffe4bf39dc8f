package rest

import (
	"context"
	"net/http"

	"github.com/orgkit/orgkit/orgs"
)

// cascade is the query of a deletion.
type cascade struct {
	Cascade bool `query:"cascade" doc:"delete what is in it too"`
}

type moveBody struct {
	ParentID *string `json:"parent_id,omitempty" doc:"id or slug; null makes it a root"`

	named bool
}

// nulls notes whether the place was said at all: nothing moves because of a forgotten field.
func (b *moveBody) nulls(has fields) { _, b.named = has["parent_id"] }

// tree serves what happens to organizations with everything below them.
func (a *api) tree() {
	const path = "/v1/organizations/{org}"
	add[cascade, because](a, http.MethodDelete, path, "Delete an organization; it can be restored for 30 days", func(ctx context.Context, q *cascade) (*answer[deletedView], error) {
		at, in, err := placed[because](ctx, a)
		if err != nil {
			return nil, err
		}
		o, err := a.DeleteOrganization(ctx, at.OrgID, q.Cascade, in.Reason)
		return deleted(o.ID, err)
	})
	a.transition(path+"/suspend", "Stop the keys of an organization and of everything below it", a.SuspendOrganization)
	a.transition(path+"/resume", "End a suspension", a.ResumeOrganization)
	a.transition(path+"/restore", "Restore a deleted organization", a.RestoreOrganization)
	a.moves(path)
	a.children(path)
}

// transition serves a change of an organization's state.
func (a *api) transition(path, summary string, do func(ctx context.Context, ref, reason string) (orgs.Organization, error)) {
	add[none, because](a, http.MethodPost, path, summary, func(ctx context.Context, _ *none) (*answer[organizationView], error) {
		at, in, err := placed[because](ctx, a)
		if err != nil {
			return nil, err
		}
		o, err := do(ctx, at.OrgID, in.Reason)
		return a.organization(ctx, o, err)
	})
}

func (a *api) moves(path string) {
	add[none, moveBody](a, http.MethodPost, path+"/move", "Put an organization below another one", func(ctx context.Context, _ *none) (*answer[organizationView], error) {
		at, in, err := placed[moveBody](ctx, a)
		switch {
		case err != nil:
			return nil, err
		case !in.named:
			return nil, faulty("body.parent_id", "required", "is required; null makes it a root")
		}
		o, err := a.MoveOrganization(ctx, at.OrgID, orZero(in.ParentID))
		return a.organization(ctx, o, err)
	})
}

func (a *api) children(path string) {
	add[organizationQuery, none](a, http.MethodGet, path+"/children", "List the organizations directly below", func(ctx context.Context, q *organizationQuery) (*answer[list[organizationView]], error) {
		if q.ParentID != "" {
			return nil, faulty("query.parent_id", "range", "is that of the path")
		}
		f := q.filter(ctx)
		f.Parent = param(ctx, "org")
		return a.listOrganizations(ctx, f)
	})
	create[newOrganization](a, path+"/children", "Create an organization below", func(ctx context.Context, _ *none) (*answer[organizationView], error) {
		at, in, err := placed[newOrganization](ctx, a)
		switch {
		case err != nil:
			return nil, err
		case in.ParentID != "" && in.ParentID != at.OrgID:
			return nil, faulty("body.parent_id", "range", "is that of the path")
		}
		in.ParentID = at.OrgID
		return a.createOrganization(ctx, in)
	})
}
