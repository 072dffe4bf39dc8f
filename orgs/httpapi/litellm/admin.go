package litellm

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// The roles of users over all organizations, beside internal_user, which everybody has. They are roles of the platform
// (orgs.PlatformRole) of the same name, whose only permission says so.
const (
	proxyAdmin  = "proxy_admin"
	proxyViewer = "proxy_admin_viewer"
)

func platformWord(role string) string { return "litellm." + role }

// globalRoleOf is the role over all organizations that a platform role stands for.
func globalRoleOf(r orgs.PlatformRole) string {
	for _, role := range []string{proxyAdmin, proxyViewer} {
		if slices.Contains(r.Permissions, platformWord(role)) {
			return role
		}
	}
	return roleUser
}

// elevate lets people act for the platform whose role says so, by a token or session of theirs, or by a key that may do whatever
// they may. Who only views does so where nothing is changed.
func (c *call) elevate() error {
	person := c.by.Person()
	c.person = person
	if c.by.Sovereign() || person == "" {
		return nil
	}
	r, err := c.svc.PlatformRoleOf(c.ctx(), person)
	if err != nil {
		return err
	}
	if c.global = globalRoleOf(r); c.global == roleUser {
		return nil
	}
	if c.by.Type == audit.APIKey {
		k, err := c.svc.APIKey(c.ctx(), c.by.ID)
		var denied *rbac.Denied
		switch {
		case errors.As(err, &denied), errors.Is(err, store.ErrNotFound), err == nil && !slices.Contains(k.Permissions, "*"):
			c.global = roleUser
			return nil
		case err != nil:
			return err
		}
	}
	if c.global == proxyViewer && c.changes() {
		return wrapped(http.StatusForbidden, "auth_error", none, "Your role="+proxyViewer+" is not allowed to change anything. Route="+c.route.path)
	}
	c.by.Type, c.by.ID, c.by.OnBehalfOf, c.by.Session, c.by.SessionID = audit.Platform, person, "", false, ""
	c.http = c.http.WithContext(audit.WithActor(c.ctx(), c.by))
	return nil
}

// changes says whether the call changes anything: some that do not are made by POST.
func (c *call) changes() bool {
	return c.http.Method != http.MethodGet && !strings.HasSuffix(c.route.path, "/info") && !strings.HasSuffix(c.route.path, "/list")
}

// setGlobalRole gives a user a role over all organizations.
func (c *call) setGlobalRole(ctx context.Context, u orgs.User, role string) (orgs.User, error) {
	r, err := c.svc.EnsurePlatformRole(ctx, role, platformWord(role))
	if err != nil {
		return u, err
	}
	return c.svc.UpdateUser(ctx, u.ID, orgs.UserUpdate{PlatformRole: &r.ID})
}

// roleOver is the role of a user over all organizations. It is no secret where they are known.
func (c *call) roleOver(ctx context.Context, u orgs.User) (string, error) {
	if u.PlatformRoleID == "" {
		return roleUser, nil
	}
	if role, known := c.globals[u.PlatformRoleID]; known {
		return role, nil
	}
	r, err := c.svc.PlatformRoleOf(audit.WithActor(ctx, audit.System("the roles of users are shown")), u.ID)
	if err != nil {
		return "", err
	}
	if c.globals == nil {
		c.globals = map[string]string{}
	}
	c.globals[u.PlatformRoleID] = globalRoleOf(r)
	return c.globals[u.PlatformRoleID], nil
}

// errGlobalAdmin: only the operator changes what such a person is in an organization.
var errGlobalAdmin = detail(http.StatusForbidden, "Only PROXY_ADMIN may modify the organization role of a user who is a global PROXY_ADMIN.")
